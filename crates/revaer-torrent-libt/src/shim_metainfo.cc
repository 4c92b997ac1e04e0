// What can be asked without a session: versions, and what libtorrent's loaders make of some bytes.
#include "revaer-torrent-libt/src/shim.h"

#include <algorithm>
#include <string>

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/load_torrent.hpp>
#include <libtorrent/read_resume_data.hpp>
#include <libtorrent/torrent_info.hpp>
#include <libtorrent/version.hpp>

#include "revaer-torrent-libt/src/ffi.rs.h"

namespace revaer {

namespace {

lt::span<char const> chars(rust::Slice<const std::uint8_t> bytes) {
  return {reinterpret_cast<char const *>(bytes.data()), static_cast<std::ptrdiff_t>(bytes.size())};
}

} // namespace

rust::String library_version() { return rust::String(lt::version()); }

rust::String header_version() { return rust::String(LIBTORRENT_VERSION); }

lt::load_torrent_limits load_limits() { return {}; }

void check_resume(rust::Slice<const std::uint8_t> blob) { lt::read_resume_data(chars(blob)); }

MetainfoFacts inspect(rust::Slice<const std::uint8_t> metainfo) {
  auto const params = lt::load_torrent_buffer(chars(metainfo), load_limits());
  auto const &info = *params.ti;
  auto const &files = info.files();
  MetainfoFacts facts{};
  facts.name = rust::String::lossy(info.name());
  auto const &hashes = info.info_hashes();
  facts.has_v1 = hashes.has_v1();
  std::copy(hashes.v1.begin(), hashes.v1.end(), facts.v1.begin());
  facts.has_v2 = hashes.has_v2();
  std::copy(hashes.v2.begin(), hashes.v2.end(), facts.v2.begin());
  facts.files.reserve(static_cast<std::size_t>(files.num_files()));
  for (auto const index : files.file_range()) {
    FileFacts file{};
    file.path = rust::String::lossy(files.file_path(index));
    file.size = static_cast<std::uint64_t>(files.file_size(index));
    file.offset = static_cast<std::uint64_t>(files.file_offset(index));
    file.padding = files.pad_file_at(index);
    file.symlink = bool(files.file_flags(index) & lt::file_storage::flag_symlink);
    facts.files.push_back(std::move(file));
  }
  facts.piece_length = static_cast<std::uint64_t>(info.piece_length());
  facts.piece_count = static_cast<std::uint32_t>(info.num_pieces());
  facts.private_ = info.priv();
  for (auto const &tracker : params.trackers)
    facts.trackers.push_back(rust::String::lossy(tracker));
  return facts;
}

} // namespace revaer
