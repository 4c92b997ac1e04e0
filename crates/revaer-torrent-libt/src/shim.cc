// The session and its torrents: settings in, calls through.
#include "revaer-torrent-libt/src/shim.h"

#include <stdexcept>
#include <string>

#include <unistd.h>

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/load_torrent.hpp>
#include <libtorrent/magnet_uri.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/posix_disk_io.hpp>
#include <libtorrent/read_resume_data.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/session_stats.hpp>
#include <libtorrent/settings_pack.hpp>
#include <libtorrent/torrent_flags.hpp>
#include <libtorrent/torrent_info.hpp>

#include "revaer-torrent-libt/src/ffi.rs.h"

namespace revaer {

namespace {

// Chokes its peer while the gate is closed. libtorrent then rejects requests as the protocol has it, since no
// pieces are allowed fast.
struct GatedPeer final : lt::peer_plugin {
  GatedPeer(lt::peer_connection_handle peer, std::shared_ptr<UploadGate> gate)
      : peer_(std::move(peer)), gate_(std::move(gate)) {}
  // Whether the request is dropped.
  bool on_request(lt::peer_request const &) override {
    hold();
    return gate_->closed() && !peer_.is_choked();
  }
  void tick() override { hold(); }
  void hold() {
    if (gate_->closed() && !peer_.is_connecting() && !peer_.is_disconnecting() && !peer_.is_choked())
      peer_.choke_this_peer();
  }
  lt::peer_connection_handle peer_;
  std::shared_ptr<UploadGate> gate_;
};

struct GatedTorrent final : lt::torrent_plugin {
  explicit GatedTorrent(std::shared_ptr<UploadGate> gate) : gate_(std::move(gate)) {}
  std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const &peer) override {
    if (peer.type() != lt::connection_type::bittorrent)
      return {};
    return std::make_shared<GatedPeer>(peer, gate_);
  }
  std::shared_ptr<UploadGate> gate_;
};

lt::span<char const> chars(rust::Slice<const std::uint8_t> bytes) {
  return {reinterpret_cast<char const *>(bytes.data()), static_cast<std::ptrdiff_t>(bytes.size())};
}

lt::settings_pack pack_of(rust::Slice<const Setting> settings, rust::Vec<rust::String> *unknown) {
  lt::settings_pack pack;
  for (auto const &setting : settings) {
    std::string const name(setting.name);
    int const id = lt::setting_by_name(name);
    if (id < 0) {
      if (unknown != nullptr)
        unknown->push_back(setting.name);
      continue;
    }
    switch (setting.kind) {
    case SettingKind::Number:
      pack.set_int(id, setting.number);
      break;
    case SettingKind::Text:
      pack.set_str(id, std::string(setting.text));
      break;
    case SettingKind::Switch:
      pack.set_bool(id, setting.on);
      break;
    }
  }
  return pack;
}

bool same_torrent(lt::info_hash_t const &left, lt::info_hash_t const &right) {
  return (left.has_v1() && right.has_v1() && left.v1 == right.v1) ||
         (left.has_v2() && right.has_v2() && left.v2 == right.v2);
}

// What is learnt from a blob, and nothing that is wanted.
void take_progress(lt::add_torrent_params &into, lt::add_torrent_params &blob) {
  into.total_uploaded = blob.total_uploaded;
  into.total_downloaded = blob.total_downloaded;
  into.active_time = blob.active_time;
  into.finished_time = blob.finished_time;
  into.seeding_time = blob.seeding_time;
  into.added_time = blob.added_time;
  into.completed_time = blob.completed_time;
  into.last_seen_complete = blob.last_seen_complete;
  into.last_download = blob.last_download;
  into.last_upload = blob.last_upload;
  for (auto const &peer : blob.peers)
    into.peers.push_back(peer);
  into.banned_peers = std::move(blob.banned_peers);
  if (!into.ti)
    return;
  into.have_pieces = std::move(blob.have_pieces);
  into.verified_pieces = std::move(blob.verified_pieces);
  into.unfinished_pieces = std::move(blob.unfinished_pieces);
  if (!blob.merkle_trees.empty()) {
    into.merkle_trees = std::move(blob.merkle_trees);
    into.merkle_tree_mask = std::move(blob.merkle_tree_mask);
    into.verified_leaf_hashes = std::move(blob.verified_leaf_hashes);
  }
  // Belongs to `verified_pieces`: without it pieces that were only believed would count as verified.
  into.flags &= ~lt::torrent_flags::seed_mode;
  into.flags |= blob.flags & lt::torrent_flags::seed_mode;
}

lt::ip_filter peer_class_filter(bool limited) {
  constexpr std::uint32_t global_class = 1u << 0;
  constexpr std::uint32_t local_class = 1u << 2;
  lt::ip_filter filter;
  auto const rule = [&filter](char const *first, char const *last, std::uint32_t flags) {
    filter.add_rule(lt::make_address(first), lt::make_address(last), flags);
  };
  rule("0.0.0.0", "255.255.255.255", global_class);
  rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", global_class);
  if (limited)
    return filter;
  rule("10.0.0.0", "10.255.255.255", local_class);
  rule("172.16.0.0", "172.31.255.255", local_class);
  rule("192.168.0.0", "192.168.255.255", local_class);
  rule("169.254.0.0", "169.254.255.255", local_class);
  rule("127.0.0.0", "127.255.255.255", local_class);
  rule("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", local_class);
  rule("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", local_class);
  rule("::1", "::1", local_class);
  return filter;
}

} // namespace

Session::Session(lt::session_params params, int eventfd)
    : received_metric(lt::find_metric_idx("net.recv_payload_bytes")),
      sent_metric(lt::find_metric_idx("net.sent_payload_bytes")), session(std::move(params)) {
  // Runs on the network thread under the alert mutex: it wakes the owner and does nothing else.
  session.set_alert_notify([eventfd] {
    std::uint64_t const one = 1;
    // A full counter means that the owner is about to wake anyway.
    [[maybe_unused]] auto const written = ::write(eventfd, &one, sizeof one);
  });
}

// 2.0.8 still calls the callback while the session is destroyed, when the eventfd may be gone.
Session::~Session() {
  session.set_alert_notify([] {});
}

lt::torrent_handle const &Session::handle(std::uint64_t slot) const {
  auto const found = members.find(slot);
  if (found == members.end() || !found->second.handle.is_valid())
    throw std::runtime_error("the torrent is not in the session");
  return found->second.handle;
}

std::uint64_t Session::slot_of(lt::torrent_handle const &handle) const {
  auto const found = slots.find(handle);
  return found == slots.end() ? no_slot : found->second;
}

void Session::adopt(std::uint64_t slot, lt::torrent_handle const &handle) {
  members[slot].handle = handle;
  slots[handle] = slot;
}

void Session::forget(std::uint64_t slot) {
  auto const found = members.find(slot);
  if (found == members.end())
    return;
  slots.erase(found->second.handle);
  members.erase(found);
}

// The pointer is never followed: it carries the number. Shifted by one, since slot 0 must not be a null pointer.
lt::client_data_t slot_to_userdata(std::uint64_t slot) {
  return lt::client_data_t(reinterpret_cast<Session *>(static_cast<std::uintptr_t>(slot + 1)));
}

std::uint64_t slot_from_userdata(lt::client_data_t const &data) {
  auto const *pointer = data.get<Session>();
  return pointer == nullptr ? no_slot : reinterpret_cast<std::uintptr_t>(pointer) - 1;
}

std::unique_ptr<Session> open(rust::Slice<const Setting> settings, bool posix, std::int32_t eventfd,
                              rust::Vec<rust::String> &unknown) {
  lt::session_params params(pack_of(settings, &unknown));
  if (posix)
    params.disk_io_constructor = lt::posix_disk_io_constructor;
  return std::make_unique<Session>(std::move(params), eventfd);
}

void apply(Session &session, rust::Slice<const Setting> settings) {
  session.session.apply_settings(pack_of(settings, nullptr));
}

std::unique_ptr<Viewer> view(Session &session) { return std::make_unique<Viewer>(Viewer{session.session}); }

rust::Vec<std::int32_t> read_numbers(Viewer const &viewer, rust::Slice<const rust::String> names) {
  auto const pack = viewer.session.get_settings();
  rust::Vec<std::int32_t> numbers;
  for (auto const &name : names) {
    auto const index = lt::setting_by_name(std::string(name));
    if (index < 0 || (index & lt::settings_pack::type_mask) != lt::settings_pack::int_type_base)
      throw std::invalid_argument("no number is called " + std::string(name));
    numbers.push_back(pack.get_int(index));
  }
  return numbers;
}

void set_local_peers_limited(Session &session, bool limited) {
  session.session.set_peer_class_filter(peer_class_filter(limited));
}

void reopen(Session &session) { session.session.reopen_network_sockets({}); }

void pause_session(Session &session) { session.session.pause(); }

void hold_all_uploads(Session &session, bool hold) { session.uploads_held->store(hold); }

AddOutcome add(Session &session, AddRequest const &request, rust::Slice<const std::uint8_t> metainfo,
               rust::Slice<const std::uint8_t> resume) {
  AddOutcome outcome;
  lt::add_torrent_params params;
  if (request.magnet.empty()) {
    params = lt::load_torrent_buffer(chars(metainfo), load_limits());
    auto const &files = params.ti->files();
    for (auto const index : files.file_range())
      outcome.file_sizes.push_back(files.pad_file_at(index) ? 0 : static_cast<std::uint64_t>(files.file_size(index)));
  } else {
    params = lt::parse_magnet_uri(std::string(request.magnet));
  }
  params.flags = lt::torrent_flags::update_subscribe | lt::torrent_flags::apply_ip_filter |
                 lt::torrent_flags::override_trackers | lt::torrent_flags::duplicate_is_error;
  if (request.upload_mode)
    params.flags |= lt::torrent_flags::upload_mode;
  if (request.sequential)
    params.flags |= lt::torrent_flags::sequential_download;
  if (request.seed_mode)
    params.flags |= lt::torrent_flags::seed_mode;
  params.save_path = std::string(request.save_dir);
  params.upload_limit = request.upload_limit;
  params.download_limit = request.download_limit;
  params.trackers.clear();
  params.tracker_tiers.clear();
  for (auto const &tracker : request.trackers) {
    params.tracker_tiers.push_back(std::min(static_cast<int>(params.trackers.size()), 255));
    params.trackers.push_back(std::string(tracker));
  }
  params.file_priorities.clear();
  for (auto const priority : request.priorities)
    params.file_priorities.push_back(lt::download_priority_t(priority));
  params.peers.clear();
  for (auto const &peer : request.peers)
    params.peers.emplace_back(lt::make_address(std::string(peer.address)), peer.port);
  if (!resume.empty()) {
    lt::error_code error;
    auto blob = lt::read_resume_data(chars(resume), error);
    if (error)
      outcome.resume_refused = error.message();
    else if (!same_torrent(blob.info_hashes, params.ti ? params.ti->info_hashes() : params.info_hashes))
      outcome.resume_refused = "it belongs to another torrent";
    else
      take_progress(params, blob);
  }
  auto gate = std::make_shared<UploadGate>();
  gate->all = session.uploads_held;
  gate->own = request.hold_uploads;
  params.extensions.push_back([gate](lt::torrent_handle const &, lt::client_data_t) {
    return std::make_shared<GatedTorrent>(gate);
  });
  params.userdata = slot_to_userdata(request.slot);
  session.members[request.slot].gate = std::move(gate);
  session.session.async_add_torrent(std::move(params));
  return outcome;
}

void prioritize(Session &session, std::uint64_t slot, rust::Slice<const std::uint8_t> priorities) {
  std::vector<lt::download_priority_t> files;
  files.reserve(priorities.size());
  for (auto const priority : priorities)
    files.emplace_back(priority);
  session.handle(slot).prioritize_files(files);
}

void set_upload_mode(Session &session, std::uint64_t slot, bool on) {
  if (on)
    session.handle(slot).set_flags(lt::torrent_flags::upload_mode);
  else
    session.handle(slot).unset_flags(lt::torrent_flags::upload_mode);
}

void hold_uploads(Session &session, std::uint64_t slot, bool hold) {
  auto const found = session.members.find(slot);
  if (found != session.members.end() && found->second.gate)
    found->second.gate->own.store(hold);
}

void set_limits(Session &session, std::uint64_t slot, std::int32_t download, std::int32_t upload) {
  auto const &handle = session.handle(slot);
  handle.set_download_limit(download);
  handle.set_upload_limit(upload);
}

void pause(Session &session, std::uint64_t slot) { session.handle(slot).pause(); }

void save_resume(Session &session, std::uint64_t slot, bool with_info) {
  session.handle(slot).save_resume_data(with_info ? lt::torrent_handle::save_info_dict : lt::resume_data_flags_t{});
}

void flush(Session &session, std::uint64_t slot) { session.handle(slot).flush_cache(); }

void remove(Session &session, std::uint64_t slot, bool delete_partfile) {
  session.session.remove_torrent(session.handle(slot), delete_partfile ? lt::session_handle::delete_partfile
                                                                       : lt::remove_flags_t{});
}

void forget(Session &session, std::uint64_t slot) { session.forget(slot); }

void post_updates(Session &session) {
  session.session.post_torrent_updates(lt::torrent_handle::query_pieces |
                                       lt::torrent_handle::query_accurate_download_counters);
}

void post_stats(Session &session) { session.session.post_session_stats(); }

} // namespace revaer
