// A thin layer over libtorrent's session: it copies data in and out, and decides nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>

#include <libtorrent/load_torrent.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/torrent_handle.hpp>
#include <libtorrent/torrent_info.hpp>
#include <libtorrent/torrent_status.hpp>

#include "rust/cxx.h"

namespace revaer {

struct AddOutcome;
struct AddRequest;
struct Alerts;
struct MetainfoFacts;
struct Setting;
struct Status;

// Says whether payload may be sent. libtorrent reads a cap of 0 as "no cap" and has no switch of its own.
struct UploadGate {
  std::shared_ptr<std::atomic<bool>> all;
  std::atomic<bool> own{false};
  bool closed() const { return own.load(std::memory_order_relaxed) || all->load(std::memory_order_relaxed); }
};

struct Member {
  lt::torrent_handle handle;
  std::shared_ptr<UploadGate> gate;
};

// Created, used and destroyed by one thread.
class Session {
public:
  Session(lt::session_params params, int eventfd);
  ~Session();
  Session(Session const &) = delete;
  Session &operator=(Session const &) = delete;

  lt::torrent_handle const &handle(std::uint64_t slot) const;
  std::uint64_t slot_of(lt::torrent_handle const &handle) const;
  void adopt(std::uint64_t slot, lt::torrent_handle const &handle);
  void forget(std::uint64_t slot);

  std::shared_ptr<std::atomic<bool>> uploads_held = std::make_shared<std::atomic<bool>>(false);
  std::unordered_map<std::uint64_t, Member> members;
  // Handles compare by identity even when their torrent is gone; userdata does not outlive it.
  std::map<lt::torrent_handle, std::uint64_t> slots;
  int received_metric;
  int sent_metric;
  lt::session session;
};

// Asks a session from another thread than its owner's; a handle may be used from anywhere. Calls wait for the
// network thread, and throw once the session has ended.
struct Viewer {
  lt::session_handle session;
};

constexpr std::uint64_t no_slot = UINT64_MAX;

lt::client_data_t slot_to_userdata(std::uint64_t slot);
std::uint64_t slot_from_userdata(lt::client_data_t const &data);
Status status_of(std::uint64_t slot, lt::torrent_status const &status);
// How .torrent files are read, here and in `inspect`: the limits are the same for both.
lt::load_torrent_limits load_limits();

rust::String library_version();
rust::String header_version();
MetainfoFacts inspect(rust::Slice<const std::uint8_t> metainfo);
void check_resume(rust::Slice<const std::uint8_t> blob);

std::unique_ptr<Session> open(rust::Slice<const Setting> settings, bool posix, std::int32_t eventfd,
                              rust::Vec<rust::String> &unknown);
std::unique_ptr<Viewer> view(Session &session);
rust::Vec<std::int32_t> read_numbers(Viewer const &viewer, rust::Slice<const rust::String> names);
void apply(Session &session, rust::Slice<const Setting> settings);
void set_local_peers_limited(Session &session, bool limited);
void reopen(Session &session);
void pause_session(Session &session);
void hold_all_uploads(Session &session, bool hold);

AddOutcome add(Session &session, AddRequest const &request, rust::Slice<const std::uint8_t> metainfo,
               rust::Slice<const std::uint8_t> resume);
void prioritize(Session &session, std::uint64_t slot, rust::Slice<const std::uint8_t> priorities);
void set_upload_mode(Session &session, std::uint64_t slot, bool on);
void hold_uploads(Session &session, std::uint64_t slot, bool hold);
void set_limits(Session &session, std::uint64_t slot, std::int32_t download, std::int32_t upload);
void pause(Session &session, std::uint64_t slot);
void save_resume(Session &session, std::uint64_t slot, bool with_info);
void flush(Session &session, std::uint64_t slot);
void remove(Session &session, std::uint64_t slot, bool delete_partfile);
void forget(Session &session, std::uint64_t slot);

void post_updates(Session &session);
void post_stats(Session &session);
Alerts pop(Session &session);
Alerts resync(Session &session);

} // namespace revaer
