//! A torrent's files: from its metainfo, its selection and its verified pieces. Nothing of it is kept.

use revaer_api_models::TorrentFile;
use revaer_catalog::{TorrentView, sql};
use revaer_torrent_core::{
    FilePriority, Layout, Metainfo, PieceSet, TorrentId,
    engine::{InspectError, Observation},
};

use crate::{http::problem::Reject, ports::App, torrents::wire};

/// The files of a torrent; `None` until its metadata is known.
pub(crate) async fn of(app: &App, view: &TorrentView) -> Result<Option<Vec<TorrentFile>>, Reject> {
    if !view.record.content.has_metainfo {
        return Ok(None);
    }
    let Some((metainfo, stored)) = stored(app, view.record.id).await? else { return Ok(None) };
    let metainfo = app.engine.inspect(metainfo).await.map_err(|error| refused(&error))?;
    let observed = app.engine.observe(view.record.id).filter(|one| one.loaded);
    let pieces = pieces(observed.as_deref(), stored, view.record.content.complete);
    let priorities = view.record.wish.selection.apply(&metainfo.files).unwrap_or_default();
    Ok(Some(listed(&metainfo, &priorities, &pieces)))
}

type Stored = (std::sync::Arc<[u8]>, Option<std::sync::Arc<[u8]>>);

async fn stored(app: &App, id: TorrentId) -> Result<Option<Stored>, Reject> {
    let read = async {
        let mut connection = app.pool.acquire().await?;
        sql::metainfo_with_pieces(&mut connection, id).await
    };
    read.await.map_err(|error| Reject::unavailable("a torrent's metainfo could not be read", &error))
}

/// The engine's word while it has the torrent, else what was kept when it left.
fn pieces(observed: Option<&Observation>, stored: Option<std::sync::Arc<[u8]>>, complete: bool) -> PieceSet {
    match (observed, stored) {
        (Some(observed), _) => observed.pieces.clone(),
        (None, Some(stored)) => PieceSet::Some(stored),
        (None, None) if complete => PieceSet::All,
        (None, None) => PieceSet::None,
    }
}

fn listed(metainfo: &Metainfo, priorities: &[FilePriority], pieces: &PieceSet) -> Vec<TorrentFile> {
    let done = Layout::new(metainfo).file_progress(pieces);
    let numbered = (0_u32..).zip(metainfo.files.iter().zip(done));
    numbered
        .filter(|(_, (file, _))| !file.is_padding)
        .map(|(index, (file, done))| {
            let priority = priorities.get(index as usize).copied().unwrap_or_default();
            TorrentFile {
                index,
                path: file.path.clone(),
                size_bytes: file.size.0,
                bytes_completed: done.0,
                priority: wire::file_priority(priority),
                selected: priority != FilePriority::Skip,
            }
        })
        .collect()
}

fn refused(error: &InspectError) -> Reject {
    match error {
        InspectError::Invalid(_) => Reject::internal("a stored .torrent is not understood any more", error),
        InspectError::Unavailable(_) => {
            let detail = format!("{error}; try again");
            Reject::new(revaer_api_models::ProblemKind::ServiceUnavailable, detail)
        }
    }
}
