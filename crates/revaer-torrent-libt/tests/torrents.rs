//! Every .torrent of the test data is judged as its folder says, and those that are taken make sense.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::PathBuf, sync::Arc};

use revaer_telemetry::{Tasks, Telemetry};
use revaer_torrent_core::engine::{InspectError, TorrentEngine};
use revaer_torrent_libt::{EngineOptions, LibtEngine};

fn torrents(verdict: &str) -> Vec<(String, Arc<[u8]>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/data/torrents").join(verdict);
    fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "torrent"))
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap().into())
        })
        .collect()
}

#[tokio::test]
async fn every_valid_torrent_is_taken_and_its_paths_stay_beneath_the_save_directory() {
    let engine =
        LibtEngine::start(EngineOptions { telemetry: Telemetry::new(), tasks: Tasks::new() }).unwrap();
    let torrents = torrents("valid");
    assert!(torrents.len() >= 32);
    for (name, bytes) in torrents {
        let metainfo = engine.inspect(bytes).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(metainfo.info_hashes.v1.is_some() || metainfo.info_hashes.v2.is_some(), "{name}");
        assert!(!metainfo.files.is_empty() && metainfo.piece_length.0 > 0, "{name}");
        for file in &metainfo.files {
            let parts: Vec<_> = file.path.split('/').collect();
            let safe = parts.iter().all(|part| !part.is_empty() && *part != "." && *part != "..");
            assert!(safe || file.is_padding, "{name}: {:?}", file.path);
            if metainfo.is_directory && !file.is_padding {
                assert_eq!(parts[0], metainfo.name, "{name}: {:?}", file.path);
            }
        }
    }
}

#[tokio::test]
async fn every_invalid_torrent_is_refused_with_a_readable_reason() {
    let engine =
        LibtEngine::start(EngineOptions { telemetry: Telemetry::new(), tasks: Tasks::new() }).unwrap();
    let torrents = torrents("invalid");
    assert!(torrents.len() >= 20);
    for (name, bytes) in torrents {
        match engine.inspect(bytes).await {
            Err(InspectError::Invalid(reason)) => {
                println!("{name}: {reason}");
                assert!(reason.len() > 5 && !reason.contains(".cpp"), "{name}: {reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}
