//! One round of saves: the volumes of the payload are synced once each, then the blobs are written durably.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use revaer_durable::Batch;
use revaer_torrent_core::TorrentId;

use super::{
    MetaRecord,
    files::{blob_name, meta_name},
};

/// The resume data of one torrent, to be stored.
#[derive(Debug, Clone)]
pub(crate) struct SaveItem {
    pub(crate) id: TorrentId,
    pub(crate) blob: Vec<u8>,
    pub(crate) record: MetaRecord,
    /// Whether the blob claims any piece: then the payload has to be on disk first.
    pub(crate) claims_pieces: bool,
}

/// What became of each torrent of a round, in its order.
pub(crate) type RoundOutcome = Vec<(TorrentId, Result<(), String>)>;

/// Stores a round. Torrents whose volume cannot be synced keep the blob that they had.
pub(crate) fn save(dir: &Path, items: &[SaveItem]) -> RoundOutcome {
    let volumes = sync_volumes(items);
    let mut batch = Batch::new(dir);
    let mut outcome: RoundOutcome = Vec::with_capacity(items.len());
    for item in items {
        let synced = if item.claims_pieces { volumes[&item.record.download_dir].clone() } else { Ok(()) };
        outcome.push((item.id, synced.and_then(|()| add(&mut batch, item))));
    }
    if let Err(error) = batch.commit() {
        let reason = describe(&error);
        for (_, result) in &mut outcome {
            *result = Err(reason.clone());
        }
    }
    outcome
}

fn add(batch: &mut Batch, item: &SaveItem) -> Result<(), String> {
    let record = serde_json::to_vec_pretty(&item.record).map_err(|error| error.to_string())?;
    batch.add(blob_name(item.id), &item.blob, 0o600).map_err(|error| describe(&error))?;
    batch.add(meta_name(item.id), &record, 0o600).map_err(|error| describe(&error))
}

/// Syncs the file system of every directory that payload was written to, each file system once.
fn sync_volumes(items: &[SaveItem]) -> HashMap<PathBuf, Result<(), String>> {
    let dirs: HashSet<&PathBuf> =
        items.iter().filter(|item| item.claims_pieces).map(|item| &item.record.download_dir).collect();
    let mut by_device: HashMap<u64, Result<(), String>> = HashMap::new();
    let mut by_dir = HashMap::new();
    for dir in dirs {
        let opened = File::open(dir).and_then(|open| Ok((open.metadata()?.dev(), open)));
        let synced = match opened {
            Ok((device, open)) => by_device.entry(device).or_insert_with(|| sync(&open, dir)).clone(),
            Err(error) => Err(format!("{} could not be opened to sync it: {error}", dir.display())),
        };
        by_dir.insert(dir.clone(), synced);
    }
    by_dir
}

fn sync(open: &File, dir: &Path) -> Result<(), String> {
    rustix::fs::syncfs(open).map_err(|error| {
        format!("the volume of {} could not be synced: {}", dir.display(), io::Error::from(error))
    })
}

fn describe(error: &revaer_durable::DurableError) -> String {
    match error.io() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
