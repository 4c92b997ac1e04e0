//! Events to publish: one of each kind by hand, and any by chance.

use proptest::{collection::vec, option, prelude::*};
use revaer_events::{Event, EventFile, MetadataChange};
use uuid::Uuid;

pub(crate) fn torrent(number: u128) -> Uuid {
    Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + number)
}

pub(crate) fn added(number: u128) -> Event {
    Event::TorrentAdded { torrent_id: torrent(number), name: format!("torrent {number}") }
}

pub(crate) fn progress(number: u128) -> Event {
    Event::Progress {
        torrent_id: torrent(number),
        bytes_downloaded: 1,
        bytes_total: 2,
        download_bps: 3,
        upload_bps: 4,
        eta_seconds: None,
    }
}

/// The files of a torrent, whose paths take `bytes` in all and do not compress.
pub(crate) fn files(number: u128, bytes: usize) -> Event {
    let mut random = u64::try_from(number).unwrap();
    let mut digit = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + u8::try_from(random >> 58).unwrap())
    };
    let mut file = |_| EventFile { path: (0..200).map(|_| digit()).collect(), size_bytes: 1 };
    Event::FilesDiscovered { torrent_id: torrent(number), files: (0..bytes / 200).map(&mut file).collect() }
}

pub(crate) fn settings(description: &str) -> Event {
    Event::SettingsChanged { description: description.to_owned(), revision: 1, sections: Vec::new() }
}

/// Two in three are `progress`, as in life.
pub(crate) fn mixed(count: u128) -> Vec<Event> {
    (0..count).map(|number| if number % 3 == 0 { added(number) } else { progress(number) }).collect()
}

/// Any event of any kind, with texts that JSON and SQL find hard.
pub(crate) fn any_event() -> BoxedStrategy<Event> {
    let text = "[^\0]{0,24}";
    let id = any::<u128>().prop_map(Uuid::from_u128);
    let files = vec((text, any::<u64>()), 0..4).prop_map(|files| {
        files.into_iter().map(|(path, size_bytes)| EventFile { path, size_bytes }).collect()
    });
    let change = (option::of(text), option::of((option::of(any::<u64>()), option::of(any::<u64>()))))
        .prop_map(|(name, rate_limit)| MetadataChange { name, rate_limit });
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), option::of(any::<u64>()));
    prop_oneof![
        (id.clone(), text).prop_map(|(torrent_id, name)| Event::TorrentAdded { torrent_id, name }),
        (id.clone(), files).prop_map(|(torrent_id, files)| Event::FilesDiscovered { torrent_id, files }),
        (id.clone(), numbers).prop_map(|(torrent_id, (done, total, down, up, eta_seconds))| {
            Event::Progress {
                torrent_id,
                bytes_downloaded: done,
                bytes_total: total,
                download_bps: down,
                upload_bps: up,
                eta_seconds,
            }
        }),
        (id.clone(), text, option::of(text)).prop_map(|(torrent_id, state, message)| Event::StateChanged {
            torrent_id,
            state,
            message
        }),
        (id.clone(), text)
            .prop_map(|(torrent_id, library_path)| Event::Completed { torrent_id, library_path }),
        (id.clone(), any::<bool>())
            .prop_map(|(torrent_id, data_deleted)| Event::TorrentRemoved { torrent_id, data_deleted }),
        (id.clone(), change).prop_map(|(torrent_id, change)| Event::MetadataUpdated { torrent_id, change }),
        (id.clone(), text).prop_map(|(torrent_id, reason)| Event::SelectionReconciled { torrent_id, reason }),
        id.clone().prop_map(|torrent_id| Event::FsopsStarted { torrent_id }),
        (id.clone(), text, any::<u64>(), any::<u64>()).prop_map(|(torrent_id, step, done, total)| {
            Event::FsopsProgress { torrent_id, step, bytes_done: done, bytes_total: total }
        }),
        (id.clone(), text)
            .prop_map(|(torrent_id, library_path)| Event::FsopsCompleted { torrent_id, library_path }),
        (id, text, text).prop_map(|(torrent_id, step, message)| Event::FsopsFailed {
            torrent_id,
            step,
            message
        }),
        (text, any::<i64>(), vec(text, 0..4)).prop_map(|(description, revision, sections)| {
            Event::SettingsChanged { description, revision, sections }
        }),
        vec(text, 0..4).prop_map(|degraded| Event::HealthChanged { degraded }),
    ]
    .boxed()
}
