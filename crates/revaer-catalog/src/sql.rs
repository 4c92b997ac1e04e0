//! The tables `torrents` and `torrent_metainfo`. Functions take a connection, so that the ledger's transaction
//! holds rows of several crates.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use revaer_torrent_core::{
    Bytes, BytesPerSecond, ContentPath, FilePriority, InfoHashV1, InfoHashV2, InfoHashes, RateLimits,
    SelectionRules, Source, StateKind, TorrentId, Wanted,
};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{ContentFacts, LastObservation, Placement, TorrentRecord, Wish};

/// A row does not fit its type.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database said no.
    #[error("the torrents could not be read")]
    Database(#[from] sqlx::Error),
    /// A value that no version of Revaer writes.
    #[error("table torrents, row {id}: column {column} holds what it cannot hold")]
    Inconsistent {
        /// Which row.
        id: Uuid,
        /// Which column.
        column: &'static str,
    },
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a row has the columns that the table has")]
struct Row {
    id: Uuid,
    name: String,
    info_hash_v1: Option<Vec<u8>>,
    info_hash_v2: Option<Vec<u8>>,
    magnet: Option<String>,
    trackers: Vec<String>,
    peers: Vec<String>,
    tags: Vec<String>,
    download_dir: String,
    save_dir: Option<String>,
    root_name: Option<String>,
    library_path: Option<String>,
    content_in_library: bool,
    wanted: String,
    delete_data: bool,
    sequential: bool,
    seed_mode: bool,
    max_download_bps: Option<i64>,
    max_upload_bps: Option<i64>,
    include: Vec<String>,
    exclude: Vec<String>,
    skip_fluff: bool,
    priorities: serde_json::Value,
    selection_version: i64,
    has_metainfo: bool,
    private: bool,
    is_directory: bool,
    extensions: Vec<String>,
    wanted_bytes: Option<i64>,
    generation: i32,
    complete: bool,
    failure: Option<String>,
    same_as: Option<Uuid>,
    added_at: OffsetDateTime,
    completed_at: Option<OffsetDateTime>,
    last_state: String,
    bytes_done: i64,
    bytes_downloaded: i64,
    bytes_uploaded: i64,
    last_updated: OffsetDateTime,
}

/// Every record, tombstones included. Called once, at start.
pub async fn torrents_load(connection: &mut PgConnection) -> Result<Vec<TorrentRecord>, LoadError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, name, info_hash_v1, info_hash_v2, magnet, trackers, peers, tags, download_dir, save_dir,
                  root_name, library_path, content_in_library, wanted, delete_data, sequential, seed_mode,
                  max_download_bps, max_upload_bps, include, exclude, skip_fluff, priorities, selection_version,
                  has_metainfo, private, is_directory, extensions, wanted_bytes, generation, complete, failure, same_as,
                  added_at, completed_at, last_state, bytes_done, bytes_downloaded, bytes_uploaded, last_updated
           FROM torrents"#
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(TorrentRecord::try_from).collect()
}

/// Writes the whole record, new or not.
pub async fn torrent_put(connection: &mut PgConnection, record: &TorrentRecord) -> Result<(), sqlx::Error> {
    let (wanted, delete_data) = match record.wish.wanted {
        Wanted::Running => ("running", false),
        Wanted::Stopped => ("stopped", false),
        Wanted::Removed { delete_data } => ("removed", delete_data),
    };
    let magnet = match &record.source {
        Source::Magnet(uri) => Some(uri.as_str()),
        Source::Metainfo => None,
    };
    let peers: Vec<String> = record.peers.iter().map(ToString::to_string).collect();
    let content = record.placement.content.as_ref();
    sqlx::query!(
        r#"INSERT INTO torrents (id, name, info_hash_v1, info_hash_v2, magnet, trackers, peers, tags, download_dir,
               save_dir, root_name, library_path, content_in_library, wanted, delete_data, sequential, seed_mode,
               max_download_bps, max_upload_bps, include, exclude, skip_fluff, priorities, selection_version,
               has_metainfo, private, is_directory, extensions, wanted_bytes, generation, complete, failure,
               added_at, completed_at, last_state, bytes_done, bytes_downloaded, bytes_uploaded, last_updated, same_as)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
               $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40)
           ON CONFLICT (id) DO UPDATE SET
               name = $2, info_hash_v1 = $3, info_hash_v2 = $4, magnet = $5, trackers = $6, peers = $7, tags = $8,
               download_dir = $9, save_dir = $10, root_name = $11, library_path = $12, content_in_library = $13,
               wanted = $14, delete_data = $15, sequential = $16, seed_mode = $17, max_download_bps = $18,
               max_upload_bps = $19, include = $20, exclude = $21, skip_fluff = $22, priorities = $23,
               selection_version = $24, has_metainfo = $25, private = $26, is_directory = $27, extensions = $28,
               wanted_bytes = $29, generation = $30, complete = $31, failure = $32, added_at = $33,
               completed_at = $34, last_state = $35, bytes_done = $36, bytes_downloaded = $37,
               bytes_uploaded = $38, last_updated = $39, same_as = $40"#,
        record.id.as_uuid(),
        record.name,
        record.info_hashes.v1.as_ref().map(|hash| hash.as_bytes().as_slice()),
        record.info_hashes.v2.as_ref().map(|hash| hash.as_bytes().as_slice()),
        magnet,
        &record.trackers,
        &peers,
        &record.tags,
        text(&record.placement.download_dir),
        content.map(|path| text(&path.save_dir)),
        content.map(|path| path.root_name.as_str()),
        record.placement.library_path.as_deref().map(text),
        record.placement.content_in_library,
        wanted,
        delete_data,
        record.wish.sequential,
        record.wish.seed_mode,
        record.wish.limits.download.map(|limit| big(limit.0)),
        record.wish.limits.upload.map(|limit| big(limit.0)),
        &record.wish.selection.include,
        &record.wish.selection.exclude,
        record.wish.selection.skip_fluff,
        priorities_to_json(&record.wish.selection.priorities),
        big(record.wish.selection_version),
        record.content.has_metainfo,
        record.content.private,
        record.content.is_directory,
        &record.content.extensions,
        record.content.wanted_bytes.map(|bytes| big(bytes.0)),
        i32::try_from(record.content.generation).unwrap_or(i32::MAX),
        record.content.complete,
        record.failure.as_deref(),
        record.added_at,
        record.completed_at,
        record.last.kind.name(),
        big(record.last.done.0),
        big(record.last.downloaded.0),
        big(record.last.uploaded.0),
        record.last.at,
        record.same_as.map(TorrentId::as_uuid),
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Forgets a torrent, with everything that hangs on it.
pub async fn torrent_delete(connection: &mut PgConnection, id: TorrentId) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM torrents WHERE id = $1", id.as_uuid()).execute(connection).await.map(drop)
}

/// Stores a .torrent, once.
pub async fn metainfo_put(
    connection: &mut PgConnection,
    id: TorrentId,
    metainfo: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO torrent_metainfo (torrent_id, metainfo) VALUES ($1, $2)
         ON CONFLICT (torrent_id) DO UPDATE SET metainfo = $2",
        id.as_uuid(),
        metainfo
    )
    .execute(connection)
    .await
    .map(drop)
}

/// The .torrent of a torrent.
pub async fn metainfo_get(
    connection: &mut PgConnection,
    id: TorrentId,
) -> Result<Option<Arc<[u8]>>, sqlx::Error> {
    let found =
        sqlx::query_scalar!("SELECT metainfo FROM torrent_metainfo WHERE torrent_id = $1", id.as_uuid())
            .fetch_optional(connection)
            .await?;
    Ok(found.map(Arc::from))
}

/// Keeps the verified pieces of a torrent that leaves the engine.
pub async fn pieces_put(
    connection: &mut PgConnection,
    id: TorrentId,
    pieces: Option<&[u8]>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE torrent_metainfo SET pieces = $2 WHERE torrent_id = $1", id.as_uuid(), pieces)
        .execute(connection)
        .await
        .map(drop)
}

/// The .torrent of a torrent, with the verified pieces that were last kept.
pub async fn metainfo_with_pieces(
    connection: &mut PgConnection,
    id: TorrentId,
) -> Result<Option<(Arc<[u8]>, Option<Arc<[u8]>>)>, sqlx::Error> {
    let found =
        sqlx::query!("SELECT metainfo, pieces FROM torrent_metainfo WHERE torrent_id = $1", id.as_uuid())
            .fetch_optional(connection)
            .await?;
    Ok(found.map(|row| (Arc::from(row.metainfo), row.pieces.map(Arc::from))))
}

impl TryFrom<Row> for TorrentRecord {
    type Error = LoadError;

    fn try_from(row: Row) -> Result<Self, LoadError> {
        let id = row.id;
        let broken = |column| LoadError::Inconsistent { id, column };
        let wanted = match row.wanted.as_str() {
            "running" => Wanted::Running,
            "stopped" => Wanted::Stopped,
            "removed" => Wanted::Removed { delete_data: row.delete_data },
            _ => return Err(broken("wanted")),
        };
        let v1 = row.info_hash_v1.as_deref().map(InfoHashV1::try_from).transpose();
        let v2 = row.info_hash_v2.as_deref().map(InfoHashV2::try_from).transpose();
        let peers: Result<Vec<SocketAddr>, _> = row.peers.iter().map(|peer| peer.parse()).collect();
        let content = row
            .save_dir
            .zip(row.root_name)
            .map(|(save_dir, root_name)| ContentPath { save_dir: save_dir.into(), root_name });
        Ok(Self {
            id: TorrentId::from_trusted(id),
            name: row.name,
            info_hashes: InfoHashes {
                v1: v1.map_err(|_| broken("info_hash_v1"))?,
                v2: v2.map_err(|_| broken("info_hash_v2"))?,
            },
            source: row.magnet.map_or(Source::Metainfo, Source::Magnet),
            trackers: row.trackers,
            peers: peers.map_err(|_| broken("peers"))?,
            tags: row.tags,
            placement: Placement {
                download_dir: row.download_dir.into(),
                content,
                library_path: row.library_path.map(PathBuf::from),
                content_in_library: row.content_in_library,
            },
            wish: Wish {
                wanted,
                sequential: row.sequential,
                seed_mode: row.seed_mode,
                limits: RateLimits {
                    download: row.max_download_bps.map(|limit| BytesPerSecond(small(limit))),
                    upload: row.max_upload_bps.map(|limit| BytesPerSecond(small(limit))),
                },
                selection: SelectionRules {
                    include: row.include,
                    exclude: row.exclude,
                    skip_fluff: row.skip_fluff,
                    priorities: priorities_from_json(&row.priorities).ok_or_else(|| broken("priorities"))?,
                },
                selection_version: small(row.selection_version),
            },
            content: ContentFacts {
                has_metainfo: row.has_metainfo,
                private: row.private,
                is_directory: row.is_directory,
                extensions: row.extensions,
                wanted_bytes: row.wanted_bytes.map(|bytes| Bytes(small(bytes))),
                generation: u32::try_from(row.generation).map_err(|_| broken("generation"))?,
                complete: row.complete,
            },
            failure: row.failure,
            same_as: row.same_as.map(TorrentId::from_trusted),
            added_at: row.added_at,
            completed_at: row.completed_at,
            last: LastObservation {
                kind: StateKind::from_name(&row.last_state).ok_or_else(|| broken("last_state"))?,
                done: Bytes(small(row.bytes_done)),
                downloaded: Bytes(small(row.bytes_downloaded)),
                uploaded: Bytes(small(row.bytes_uploaded)),
                at: row.last_updated,
            },
            fsops: None,
        })
    }
}

const PRIORITY_NAMES: [(FilePriority, &str); 4] = [
    (FilePriority::Skip, "skip"),
    (FilePriority::Low, "low"),
    (FilePriority::Normal, "normal"),
    (FilePriority::High, "high"),
];

fn priorities_to_json(priorities: &[(u32, FilePriority)]) -> serde_json::Value {
    let name = |wanted| PRIORITY_NAMES.iter().find(|(one, _)| *one == wanted).map(|(_, name)| *name);
    priorities.iter().map(|(index, priority)| serde_json::json!([index, name(*priority)])).collect()
}

fn priorities_from_json(json: &serde_json::Value) -> Option<Vec<(u32, FilePriority)>> {
    json.as_array()?
        .iter()
        .map(|pair| {
            let index = u32::try_from(pair.get(0)?.as_u64()?).ok()?;
            let name = pair.get(1)?.as_str()?;
            PRIORITY_NAMES.iter().find(|(_, one)| *one == name).map(|(priority, _)| (index, *priority))
        })
        .collect()
}

/// The API refuses paths that are not UTF-8, so this loses nothing.
fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Sizes and counters fit: 2^63 bytes are eight exbibytes.
fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn small(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
