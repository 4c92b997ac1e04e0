//! How long the read model takes with 100,000 torrents: `cargo run --release -p revaer-catalog --example scale`.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use revaer_catalog::{
    Catalog, Change, ContentFacts, Filter, LastObservation, Live, Order, Placement, TorrentRecord, Wish,
};
use revaer_torrent_core::{
    Bytes, InfoHashV1, InfoHashes, RateLimits, SelectionRules, Source, StateKind, TorrentId, Wanted,
};
use time::OffsetDateTime;
use uuid::Uuid;

const TORRENTS: u32 = 100_000;

fn main() {
    let records: Vec<TorrentRecord> = (0..TORRENTS).map(record).collect();
    let began = Instant::now();
    let catalog = Catalog::new(records);
    println!("load {TORRENTS} torrents: {:?}", began.elapsed());

    let one = record(TORRENTS / 2);
    let changes = || (0..256).map(|number| Change::Put(record(number * 300).into())).collect::<Vec<_>>();
    let lives = || (0..TORRENTS).map(|number| Change::Live(id(number), Live::from_record(&one)));
    show("commit 256 records", 50, || catalog.commit(changes()));
    show("commit 100,000 observations", 10, || catalog.commit(lives()));

    let page = |filter: &Filter| catalog.page(filter, Order::Newest, None, 200).torrents.len();
    show("first page of 200", 1_000, || page(&Filter::default()));
    let names = |name: &str| Filter { names: vec![name.to_owned()], ..Filter::default() };
    let deep = catalog.page(&Filter::default(), Order::Newest, None, 99_000).next;
    show("page of 200 after 99,000", 1_000, || {
        catalog.page(&Filter::default(), Order::Newest, deep, 200).torrents.len()
    });
    show("oldest page of 200", 1_000, || {
        catalog.page(&Filter::default(), Order::Oldest, None, 200).torrents.len()
    });
    show("name that none has", 20, || page(&names("nowhere")));
    show("name that one has", 20, || page(&names("number 77 ")));
    let trackers = Filter { trackers: vec!["nowhere".to_owned()], ..Filter::default() };
    show("tracker that none has", 20, || page(&trackers));
    let tags = Filter { tags: vec!["nothing".to_owned()], ..Filter::default() };
    show("tag that none has", 20, || page(&tags));
    show("counts", 1_000, || catalog.counts());
}

/// The median of `times` runs.
fn show<T>(what: &str, times: usize, mut run: impl FnMut() -> T) {
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let began = Instant::now();
            black_box(run());
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!("{what}: {:?}", took[times / 2]);
}

fn id(number: u32) -> TorrentId {
    // Scattered, as ids are.
    TorrentId::from_trusted(Uuid::from_u128(
        u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
    ))
}

fn record(number: u32) -> TorrentRecord {
    let mut hash = [0; 20];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    let at = OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(number.into());
    TorrentRecord {
        id: id(number),
        name: format!("Some.Release.Name.2024.1080p number {number} of a GROUP"),
        info_hashes: InfoHashes { v1: Some(InfoHashV1::new(hash)), v2: None },
        source: Source::Metainfo,
        trackers: vec![
            "udp://tracker.example:6969/announce".to_owned(),
            "https://tracker.other.example/0123456789abcdef/announce".to_owned(),
        ],
        peers: Vec::new(),
        tags: vec!["films".to_owned(), "Watched".to_owned()],
        placement: Placement {
            download_dir: "/downloads".into(),
            content: Some(revaer_torrent_core::ContentPath {
                save_dir: "/downloads".into(),
                root_name: number.to_string(),
            }),
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
        added_at: at,
        completed_at: None,
        last: LastObservation {
            kind: StateKind::Seeding,
            done: Bytes(1),
            downloaded: Bytes(1),
            uploaded: Bytes(1),
            at,
        },
        fsops: None,
    }
}
