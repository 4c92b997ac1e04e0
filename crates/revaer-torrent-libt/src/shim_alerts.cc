// Alerts and statuses, copied into owned structs: libtorrent's own die at the next `pop_alerts`.
#include "revaer-torrent-libt/src/shim.h"

#include <algorithm>
#include <string>

#include <libtorrent/alert_types.hpp>
#include <libtorrent/operations.hpp>
#include <libtorrent/session_stats.hpp>
#include <libtorrent/write_resume_data.hpp>

#include "revaer-torrent-libt/src/ffi.rs.h"

namespace revaer {

namespace {

rust::String lossy(std::string const &text) { return rust::String::lossy(text); }

rust::Vec<std::uint8_t> bytes_of(std::vector<char> const &bytes) {
  rust::Vec<std::uint8_t> copy;
  copy.reserve(bytes.size());
  std::copy(bytes.begin(), bytes.end(), std::back_inserter(copy));
  return copy;
}

Alert alert_of(AlertKind kind, std::uint64_t slot) {
  Alert alert{};
  alert.kind = kind;
  alert.slot = slot;
  alert.other = no_slot;
  return alert;
}

// A magnet's v2 hash trees may be half known: a .torrent without piece layers is still one.
rust::Vec<std::uint8_t> metainfo_of(lt::add_torrent_params params) {
  auto const flags = lt::write_flags::allow_missing_piece_layer;
  try {
    return bytes_of(lt::write_torrent_file_buf(params, flags));
  } catch (lt::system_error const &) {
    params.merkle_trees.clear();
    params.merkle_tree_mask.clear();
    params.verified_leaf_hashes.clear();
    return bytes_of(lt::write_torrent_file_buf(params, flags));
  }
}

std::string place_of(lt::operation_t operation, std::string const &message) {
  return std::string(lt::operation_name(operation)) + ": " + message;
}

void on_added(Session &session, lt::add_torrent_alert const &alert, Alerts &out) {
  auto const slot = slot_from_userdata(alert.params.userdata);
  if (slot == no_slot)
    return;
  auto const duplicate = alert.error == lt::errors::duplicate_torrent;
  auto const failed = duplicate ? AlertKind::AddDuplicate : AlertKind::AddFailed;
  auto flat = alert_of(alert.error ? failed : AlertKind::Added, slot);
  if (alert.error) {
    flat.text = lossy(alert.error.message());
    session.members.erase(slot);
  } else {
    session.adopt(slot, alert.handle);
  }
  out.alerts.push_back(std::move(flat));
}

void on_deleted(Session &session, lt::torrent_alert const &alert, AlertKind kind, std::string const &why, Alerts &out) {
  auto const slot = session.slot_of(alert.handle);
  auto flat = alert_of(kind, slot);
  flat.text = lossy(why);
  out.alerts.push_back(std::move(flat));
}

void flatten_torrent(Session &session, lt::torrent_alert const &alert, Alerts &out) {
  auto const slot = session.slot_of(alert.handle);
  if (slot == no_slot)
    return;
  auto flat = alert_of(AlertKind::Removed, slot);
  if (lt::alert_cast<lt::torrent_removed_alert>(&alert)) {
    flat.kind = AlertKind::Removed;
  } else if (lt::alert_cast<lt::torrent_paused_alert>(&alert)) {
    flat.kind = AlertKind::Paused;
  } else if (lt::alert_cast<lt::torrent_resumed_alert>(&alert)) {
    flat.kind = AlertKind::Resumed;
  } else if (lt::alert_cast<lt::torrent_checked_alert>(&alert)) {
    flat.kind = AlertKind::Checked;
  } else if (lt::alert_cast<lt::metadata_received_alert>(&alert)) {
    flat.kind = AlertKind::MetadataReceived;
  } else if (lt::alert_cast<lt::file_prio_alert>(&alert)) {
    flat.kind = AlertKind::PrioritiesSet;
  } else if (lt::alert_cast<lt::cache_flushed_alert>(&alert)) {
    flat.kind = AlertKind::CacheFlushed;
  } else if (lt::alert_cast<lt::file_completed_alert>(&alert)) {
    flat.kind = AlertKind::FileCompleted;
  } else if (auto const *saved = lt::alert_cast<lt::save_resume_data_alert>(&alert)) {
    flat.kind = AlertKind::ResumeData;
    auto params = saved->params;
    if (params.ti) {
      flat.metainfo = metainfo_of(params);
      params.ti.reset();
    }
    flat.blob = bytes_of(lt::write_resume_data_buf(params));
  } else if (auto const *unsaved = lt::alert_cast<lt::save_resume_data_failed_alert>(&alert)) {
    flat.kind = AlertKind::ResumeFailed;
    flat.text = lossy(unsaved->error.message());
  } else if (auto const *failed = lt::alert_cast<lt::torrent_error_alert>(&alert)) {
    flat.kind = AlertKind::TorrentError;
    flat.text = lossy(failed->error.message());
    flat.path = lossy(failed->filename());
  } else if (auto const *file = lt::alert_cast<lt::file_error_alert>(&alert)) {
    flat.kind = AlertKind::FileError;
    flat.text = lossy(place_of(file->op, file->error.message()));
    flat.path = lossy(file->filename());
    flat.code = file->error.value();
  } else if (auto const *refused = lt::alert_cast<lt::fastresume_rejected_alert>(&alert)) {
    flat.kind = AlertKind::ResumeRejected;
    flat.text = lossy(place_of(refused->op, refused->error.message()));
    flat.path = lossy(refused->file_path());
  } else if (auto const *conflict = lt::alert_cast<lt::torrent_conflict_alert>(&alert)) {
    flat.kind = AlertKind::Conflict;
    flat.other = session.slot_of(conflict->conflicting_torrent);
    if (conflict->metadata) {
      lt::add_torrent_params params;
      params.ti = conflict->metadata;
      flat.metainfo = metainfo_of(std::move(params));
    }
  } else {
    return;
  }
  out.alerts.push_back(std::move(flat));
}

void flatten(Session &session, lt::alert const *alert, Alerts &out) {
  if (auto const *added = lt::alert_cast<lt::add_torrent_alert>(alert)) {
    on_added(session, *added, out);
  } else if (auto const *updates = lt::alert_cast<lt::state_update_alert>(alert)) {
    for (auto const &status : updates->status) {
      auto const slot = session.slot_of(status.handle);
      if (slot != no_slot)
        out.statuses.push_back(status_of(slot, status));
    }
  } else if (auto const *deleted = lt::alert_cast<lt::torrent_deleted_alert>(alert)) {
    on_deleted(session, *deleted, AlertKind::Deleted, {}, out);
  } else if (auto const *undeleted = lt::alert_cast<lt::torrent_delete_failed_alert>(alert)) {
    on_deleted(session, *undeleted, AlertKind::DeleteFailed,
               undeleted->error ? undeleted->error.message() : std::string{}, out);
  } else if (auto const *stats = lt::alert_cast<lt::session_stats_alert>(alert)) {
    auto flat = alert_of(AlertKind::SessionStats, no_slot);
    auto const counters = stats->counters();
    flat.received = static_cast<std::uint64_t>(counters[session.received_metric]);
    flat.sent = static_cast<std::uint64_t>(counters[session.sent_metric]);
    out.alerts.push_back(std::move(flat));
  } else if (auto const *listening = lt::alert_cast<lt::listen_succeeded_alert>(alert)) {
    if (listening->socket_type != lt::socket_type_t::tcp)
      return;
    auto flat = alert_of(AlertKind::ListenSucceeded, no_slot);
    flat.port = static_cast<std::uint16_t>(listening->port);
    flat.path = lossy(listening->address.to_string());
    out.alerts.push_back(std::move(flat));
  } else if (auto const *deaf = lt::alert_cast<lt::listen_failed_alert>(alert)) {
    auto flat = alert_of(AlertKind::ListenFailed, no_slot);
    flat.port = static_cast<std::uint16_t>(deaf->port);
    flat.path = lossy(deaf->listen_interface());
    flat.text = lossy(place_of(deaf->op, deaf->error.message()));
    flat.code = deaf->error.category() == lt::system_category() ? deaf->error.value() : 0;
    out.alerts.push_back(std::move(flat));
  } else if (auto const *broken = lt::alert_cast<lt::session_error_alert>(alert)) {
    auto flat = alert_of(AlertKind::SessionError, no_slot);
    flat.text = lossy(broken->message());
    out.alerts.push_back(std::move(flat));
  } else if (lt::alert_cast<lt::alerts_dropped_alert>(alert)) {
    out.alerts.push_back(alert_of(AlertKind::Dropped, no_slot));
  } else if (auto const *torrent = dynamic_cast<lt::torrent_alert const *>(alert)) {
    flatten_torrent(session, *torrent, out);
  }
}

} // namespace

Status status_of(std::uint64_t slot, lt::torrent_status const &status) {
  Status flat{};
  flat.slot = slot;
  flat.state = static_cast<std::uint8_t>(status.state);
  flat.has_metadata = status.has_metadata;
  flat.paused = bool(status.flags & lt::torrent_flags::paused);
  if (status.errc)
    flat.error = lossy(status.errc.message());
  flat.has_v1 = status.info_hashes.has_v1();
  std::copy(status.info_hashes.v1.begin(), status.info_hashes.v1.end(), flat.v1.begin());
  flat.has_v2 = status.info_hashes.has_v2();
  std::copy(status.info_hashes.v2.begin(), status.info_hashes.v2.end(), flat.v2.begin());
  flat.piece_count = static_cast<std::uint32_t>(std::max(status.num_pieces, 0));
  flat.all_pieces = !status.pieces.empty() && status.num_pieces == status.pieces.size();
  if (!flat.all_pieces && status.num_pieces > 0) {
    auto const *bits = reinterpret_cast<std::uint8_t const *>(status.pieces.data());
    flat.pieces.reserve(static_cast<std::size_t>(status.pieces.size() + 7) / 8);
    std::copy(bits, bits + (status.pieces.size() + 7) / 8, std::back_inserter(flat.pieces));
  }
  auto const count = [](std::int64_t value) { return static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0)); };
  flat.wanted_done = count(status.total_wanted_done);
  flat.all_time_download = count(status.all_time_download);
  flat.all_time_upload = count(status.all_time_upload);
  flat.session_download = count(status.total_payload_download);
  flat.session_upload = count(status.total_payload_upload);
  flat.peers = static_cast<std::uint32_t>(std::max(status.num_peers, 0));
  return flat;
}

Alerts pop(Session &session) {
  Alerts out;
  std::vector<lt::alert *> alerts;
  session.session.pop_alerts(&alerts);
  for (auto const *alert : alerts)
    flatten(session, alert, out);
  return out;
}

Alerts resync(Session &session) {
  Alerts out;
  auto const all = session.session.get_torrent_status([](lt::torrent_status const &) { return true; },
                                                      lt::torrent_handle::query_pieces);
  for (auto const &status : all) {
    auto slot = session.slot_of(status.handle);
    if (slot == no_slot) {
      // Its add_torrent_alert was among those that were lost.
      slot = slot_from_userdata(status.handle.userdata());
      if (slot == no_slot)
        continue;
      session.adopt(slot, status.handle);
      out.alerts.push_back(alert_of(AlertKind::Added, slot));
    }
    out.statuses.push_back(status_of(slot, status));
  }
  return out;
}

} // namespace revaer
