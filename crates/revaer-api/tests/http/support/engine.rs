//! An engine that reads a notation of its own instead of .torrent files, and sees what a test tells it to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use revaer_torrent_core::{
    BoxFuture, Bytes, BytesPerSecond, ContentFile, InfoHashV1, InfoHashes, Metainfo, TorrentId,
    engine::{EngineCommand, EngineError, EngineStatus, InspectError, Observation, TorrentEngine},
};
use serde_json::{Value, json};

#[derive(Default)]
pub(crate) struct ScriptedEngine {
    pub(crate) seen: Mutex<HashMap<TorrentId, Arc<Observation>>>,
}

/// A .torrent in the notation: `[path, size]` or `[path, size, true]` for padding.
pub(crate) fn torrent(number: u8, files: &Value) -> Vec<u8> {
    torrent_with(number, files, &json!({}))
}

/// The same with more members: `private`, `trackers`.
pub(crate) fn torrent_with(number: u8, files: &Value, more: &Value) -> Vec<u8> {
    json!({"hash": number, "name": format!("torrent-{number}"), "files": files, "more": more})
        .to_string()
        .into_bytes()
}

fn read(bytes: &[u8]) -> Option<Metainfo> {
    let json: Value = serde_json::from_slice(bytes).ok()?;
    let hash = u8::try_from(json["hash"].as_u64()?).ok()?;
    let mut offset = 0;
    let mut files = Vec::new();
    for file in json["files"].as_array()? {
        let size = file[1].as_u64()?;
        files.push(ContentFile {
            path: file[0].as_str()?.to_owned(),
            size: Bytes(size),
            offset: Bytes(offset),
            is_padding: file[2] == true,
            is_symlink: false,
        });
        offset += size;
    }
    let trackers = json["more"]["trackers"].as_array().cloned().unwrap_or_default();
    Some(Metainfo {
        info_hashes: InfoHashes { v1: Some(InfoHashV1::new([hash; 20])), v2: None },
        name: json["name"].as_str()?.to_owned(),
        is_directory: files.len() > 1,
        piece_length: Bytes(10),
        piece_count: u32::try_from(offset.div_ceil(10)).ok()?,
        private: json["more"]["private"] == true,
        trackers: trackers.iter().filter_map(|url| url.as_str().map(ToOwned::to_owned)).collect(),
        files,
    })
}

impl TorrentEngine for ScriptedEngine {
    fn inspect(&self, metainfo: Arc<[u8]>) -> BoxFuture<'_, Result<Metainfo, InspectError>> {
        match metainfo.as_ref() {
            b"panic" => return Box::pin(async { panic!("on purpose") }),
            b"never" => return Box::pin(std::future::pending()),
            _ => {}
        }
        let judged = match metainfo.as_ref() {
            b"unavailable" => Err(InspectError::Unavailable("it is being tested".to_owned())),
            bytes => read(bytes).ok_or_else(|| InspectError::Invalid("it is no bencoding".to_owned())),
        };
        Box::pin(async move { judged })
    }

    fn execute(&self, _command: EngineCommand) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async { Err(EngineError::NotRunning) })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn take_changed(&self) -> Vec<Arc<Observation>> {
        Vec::new()
    }

    fn observe(&self, id: TorrentId) -> Option<Arc<Observation>> {
        self.seen.lock().unwrap().get(&id).cloned()
    }

    fn status(&self) -> EngineStatus {
        EngineStatus {
            running: true,
            library_version: "2.0.8.0".to_owned(),
            listen_port: Some(6881),
            download_limit: Some(BytesPerSecond(1000)),
            upload_held: true,
            ..EngineStatus::default()
        }
    }
}
