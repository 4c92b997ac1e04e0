//! What is computed for readers.

use revaer_catalog::{Live, TorrentView};
use revaer_torrent_core::{Bytes, BytesPerSecond};

use crate::records::record;

fn view(wanted: Option<u64>, done: u64, rate: u64) -> TorrentView {
    let mut record = record(1);
    record.content.wanted_bytes = wanted.map(Bytes);
    let live = Live { done: Bytes(done), download_rate: BytesPerSecond(rate), ..Live::from_record(&record) };
    TorrentView { record: record.into(), live }
}

#[test]
fn a_hundred_percent_means_complete() {
    for (wanted, done, expected) in [
        (None, 0, 0.0),
        (Some(0), 0, 100.0),
        (Some(1_000), 0, 0.0),
        (Some(1_000), 555, 55.5),
        (Some(1_000_000), 999_999, 99.9),
        (Some(1 << 60), (1 << 60) - 1, 99.9),
        (Some(1_000), 1_000, 100.0),
    ] {
        let percent = view(wanted, done, 0).percent_complete();
        assert!((percent - expected).abs() < 1e-9, "{wanted:?} {done}: {percent}");
    }
}

#[test]
fn the_time_left_is_told_while_something_flows() {
    for (wanted, done, rate, expected) in [
        (None, 0, 10, None),
        (Some(100), 0, 0, None),
        (Some(100), 100, 10, None),
        (Some(100), 200, 10, None),
        (Some(100), 95, 10, Some(1)),
        (Some(100), 0, 10, Some(10)),
    ] {
        assert_eq!(view(wanted, done, rate).eta_seconds(), expected, "{wanted:?} {done} {rate}");
    }
}

#[test]
fn the_ratio_of_what_was_never_downloaded_is_of_its_size() {
    for (received, sent, wanted, expected) in
        [(0, 0, None, 0.0), (0, 50, Some(100), 0.5), (200, 50, Some(100), 0.25), (3, 1, None, 0.333)]
    {
        let mut view = view(wanted, 0, 0);
        (view.live.downloaded, view.live.uploaded) = (Bytes(received), Bytes(sent));
        assert!((view.ratio() - expected).abs() < 1e-9, "{received} {sent} {wanted:?}: {}", view.ratio());
    }
}
