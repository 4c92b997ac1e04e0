//! Records: a plain one to change, and any one by chance.

use std::net::SocketAddr;

use proptest::{collection::vec, option, prelude::*, sample::select};
use revaer_catalog::{ContentFacts, LastObservation, Live, Placement, TorrentRecord, Wish};
use revaer_torrent_core::{
    Bytes, BytesPerSecond, ContentPath, FilePriority, InfoHashV1, InfoHashV2, InfoHashes, RateLimits,
    SelectionRules, Source, StateKind, TorrentId, Wanted,
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub(crate) fn id(number: u128) -> TorrentId {
    TorrentId::from_trusted(Uuid::from_u128(number))
}

pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds)
}

pub(crate) fn v1(number: u8) -> InfoHashes {
    InfoHashes { v1: Some(InfoHashV1::new([number; 20])), v2: None }
}

pub(crate) fn v2(number: u8) -> InfoHashes {
    InfoHashes { v1: None, v2: Some(InfoHashV2::new([number; 32])) }
}

pub(crate) fn content(save_dir: &str, root_name: &str) -> ContentPath {
    ContentPath { save_dir: save_dir.into(), root_name: root_name.to_owned() }
}

/// A torrent that runs, added in the second of its number.
pub(crate) fn record(number: u8) -> TorrentRecord {
    TorrentRecord {
        id: id(number.into()),
        name: format!("torrent {number}"),
        info_hashes: v1(number),
        source: Source::Metainfo,
        trackers: Vec::new(),
        peers: Vec::new(),
        tags: Vec::new(),
        placement: Placement {
            download_dir: "/downloads".into(),
            content: None,
            library_path: None,
            content_in_library: false,
        },
        wish: Wish {
            wanted: Wanted::Running,
            sequential: false,
            seed_mode: false,
            limits: RateLimits::default(),
            selection: SelectionRules::default(),
            selection_version: 1,
        },
        content: ContentFacts::default(),
        failure: None,
        same_as: None,
        added_at: at(number.into()),
        completed_at: None,
        last: LastObservation {
            kind: StateKind::Queued,
            done: Bytes(0),
            downloaded: Bytes(0),
            uploaded: Bytes(0),
            at: at(number.into()),
        },
        fsops: None,
    }
}

/// The same as a tombstone.
pub(crate) fn removed(mut record: TorrentRecord) -> TorrentRecord {
    record.wish.wanted = Wanted::Removed { delete_data: false };
    record
}

pub(crate) fn any_state() -> impl Strategy<Value = StateKind> + Clone {
    select(StateKind::ALL.as_slice())
}

pub(crate) fn any_live() -> impl Strategy<Value = Live> {
    (any_state(), any::<[u32; 5]>(), any::<bool>()).prop_map(|(kind, numbers, loaded)| {
        let [done, downloaded, uploaded, download_rate, upload_rate] = numbers.map(u64::from);
        Live {
            kind,
            done: Bytes(done),
            downloaded: Bytes(downloaded),
            uploaded: Bytes(uploaded),
            download_rate: BytesPerSecond(download_rate),
            upload_rate: BytesPerSecond(upload_rate),
            loaded,
        }
    })
}

fn text() -> impl Strategy<Value = String> + Clone {
    "[^\0]{0,24}"
}

/// What a column of eight bytes holds.
fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![Just(0), Just(i64::MAX.unsigned_abs()), 0..=i64::MAX.unsigned_abs()]
}

/// A time as records have it: cut to microseconds.
fn moment() -> impl Strategy<Value = OffsetDateTime> + Clone {
    (0..4_000_000_000_000_000_i64)
        .prop_map(|micros| OffsetDateTime::UNIX_EPOCH + Duration::microseconds(micros))
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let wanted = prop_oneof![
        Just(Wanted::Running),
        Just(Wanted::Stopped),
        any::<bool>().prop_map(|delete_data| Wanted::Removed { delete_data }),
    ];
    let limit = || option::of(number().prop_map(BytesPerSecond));
    let priority =
        select([FilePriority::Skip, FilePriority::Low, FilePriority::Normal, FilePriority::High].as_slice());
    let rules = (vec(text(), 0..3), vec(text(), 0..3), any::<bool>(), vec((any::<u32>(), priority), 0..5));
    (wanted, any::<[bool; 2]>(), (limit(), limit()), rules, number()).prop_map(
        |(wanted, [sequential, seed_mode], (download, upload), rules, selection_version)| Wish {
            wanted,
            sequential,
            seed_mode,
            limits: RateLimits { download, upload },
            selection: SelectionRules {
                include: rules.0,
                exclude: rules.1,
                skip_fluff: rules.2,
                priorities: rules.3,
            },
            selection_version,
        },
    )
}

fn any_placement() -> impl Strategy<Value = Placement> {
    let path = || "/[^\0]{0,24}";
    let content = option::of((path(), "[^/\0]{1,12}"));
    (path(), content, option::of(path()), any::<bool>()).prop_map(
        |(download_dir, content, library_path, content_in_library)| Placement {
            download_dir: download_dir.into(),
            content: content
                .map(|(save_dir, root_name)| ContentPath { save_dir: save_dir.into(), root_name }),
            library_path: library_path.map(Into::into),
            content_in_library,
        },
    )
}

fn any_content() -> impl Strategy<Value = ContentFacts> {
    let generation = 0..=i32::MAX.unsigned_abs();
    (any::<[bool; 4]>(), vec(text(), 0..4), option::of(number()), generation).prop_map(
        |([has_metainfo, private, is_directory, complete], extensions, wanted_bytes, generation)| {
            ContentFacts {
                has_metainfo,
                private,
                is_directory,
                extensions,
                wanted_bytes: wanted_bytes.map(Bytes),
                generation,
                complete,
            }
        },
    )
}

/// Any record that can be stored; the pipeline's summary is another crate's.
pub(crate) fn any_record() -> BoxedStrategy<TorrentRecord> {
    let hashes = (any::<[u8; 20]>(), any::<[u8; 32]>(), 0..3).prop_map(|(v1, v2, which)| InfoHashes {
        v1: (which != 1).then(|| InfoHashV1::new(v1)),
        v2: (which != 0).then(|| InfoHashV2::new(v2)),
    });
    let source = option::of(text()).prop_map(|magnet| magnet.map_or(Source::Metainfo, Source::Magnet));
    let texts = (text(), vec(text(), 0..4), vec(any::<SocketAddr>(), 0..4), vec(text(), 0..4));
    let times = (moment(), option::of(moment()), moment());
    let last = (any_state(), [number(), number(), number()]);
    let facts = (any_placement(), any_wish(), any_content(), option::of(text()), option::of(any::<u128>()));
    (any::<u128>(), hashes, source, texts, times, last, facts)
        .prop_map(|(number, info_hashes, source, texts, times, last, facts)| {
            let mut peers = texts.2;
            for peer in &mut peers {
                if let SocketAddr::V6(peer) = peer {
                    // A property of a connection, not of a peer.
                    peer.set_flowinfo(0);
                }
            }
            TorrentRecord {
                id: id(number),
                name: texts.0,
                info_hashes,
                source,
                trackers: texts.1,
                peers,
                tags: texts.3,
                placement: facts.0,
                wish: facts.1,
                content: facts.2,
                failure: facts.3,
                same_as: facts.4.map(id),
                added_at: times.0,
                completed_at: times.1,
                last: LastObservation {
                    kind: last.0,
                    done: Bytes(last.1[0]),
                    downloaded: Bytes(last.1[1]),
                    uploaded: Bytes(last.1[2]),
                    at: times.2,
                },
                fsops: None,
            }
        })
        .boxed()
}
