//! The actions of the plan: each one short, safe to repeat, and told to the ledger when it changes what is true.

use std::{path::PathBuf, sync::Arc, time::Duration};

use revaer_catalog::{FsopsStatus, TorrentRecord};
use revaer_telemetry::Tasks;
use revaer_torrent_core::{
    Action, Magnet, PieceSet, Source, TorrentId, Wanted,
    engine::{AddSource, AddTorrent, AppliedSelection, EngineCommand, EngineError, TorrentEngine},
    fsops::{Deletion, FsOpsControl},
};
use sqlx::PgPool;
use tokio::sync::watch;
use tracing::{info, warn};

use super::{
    content::{self, ContentError, StoredContent},
    settings::Settings,
    slot::Given,
};
use crate::{
    ledger::{Fact, FactReply, Facts},
    roots::RootGate,
};

/// What an action did to the torrent's membership.
#[derive(Debug)]
pub(crate) enum Effect {
    /// It is as it was.
    Unchanged,
    /// It is a member, added or changed to this.
    Given(Given),
    /// It is no longer a member.
    Out,
}

/// Why an action did not succeed.
#[derive(Debug)]
pub(crate) enum Setback {
    /// It may succeed later: tried again after a while. Others would fare no better.
    Later(String),
    /// It may succeed later, and what it waits for is its own: tried again after a while, and others go first.
    Blocked(String),
    /// It cannot succeed: the torrent has been, or is to be, marked as failed with this.
    Never(String),
}

pub(crate) type Acted = Result<Effect, Setback>;

/// What actions work with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) engine: Arc<dyn TorrentEngine>,
    pub(crate) fsops: Arc<dyn FsOpsControl>,
    pub(crate) facts: Facts,
    pub(crate) pool: PgPool,
    pub(crate) settings: watch::Receiver<Settings>,
    pub(crate) gate: RootGate,
    pub(crate) tasks: Tasks,
}

impl From<ContentError> for Setback {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Database(_) => Self::Later(error.to_string()),
            ContentError::Broken(_) => Self::Never(error.to_string()),
        }
    }
}

impl From<EngineError> for Setback {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused { reason, .. } => {
                Self::Never(format!("libtorrent refused it: {reason}; mend that and resume the torrent"))
            }
            EngineError::NotRunning
            | EngineError::NotLoaded(_)
            | EngineError::Setup(_)
            | EngineError::Storage(_)
            | EngineError::SameContent(_)
            | EngineError::TimedOut { .. } => Self::Later(error.to_string()),
        }
    }
}

impl Actor {
    pub(crate) async fn act(&self, action: Action, record: &TorrentRecord, given: Option<Given>) -> Acted {
        match action {
            Action::Nothing => Ok(Effect::Unchanged),
            Action::Add => self.add(record).await,
            Action::StoreMetainfo => self.store_metainfo(record.id).await,
            Action::AssignPath => self.assign_path(record).await,
            Action::Select => self.select(record, given).await,
            Action::SetLimits => {
                let command = EngineCommand::SetLimits { id: record.id, limits: record.wish.limits };
                self.engine.execute(command).await?;
                Ok(Effect::Unchanged)
            }
            Action::Unload => self.unload(record.id).await,
            Action::Remove => self.remove(record).await,
        }
    }

    async fn add(&self, record: &TorrentRecord) -> Acted {
        let (source, content, save_dir) = match (&record.source, &record.placement.content) {
            (_, Some(path)) if record.content.has_metainfo => {
                self.make_ready(&path.save_dir).await?;
                let stored = StoredContent::read(&self.pool, &*self.engine, record).await?;
                let content = stored.given(record.wish.selection_version);
                (AddSource::Metainfo(stored.bytes), Some(content), path.save_dir.clone())
            }
            (Source::Magnet(uri), _) => {
                let magnet = Magnet::parse(uri).map_err(|error| Setback::Never(error.to_string()))?;
                // The link in the one spelling that libtorrent reads; trackers, peers and selection are given apart.
                let bare =
                    Magnet { trackers: Vec::new(), peers: Vec::new(), select_only: Vec::new(), ..magnet };
                let download_dir = record.placement.download_dir.clone();
                self.make_ready(&download_dir).await?;
                (AddSource::Magnet(bare.to_uri()), None, download_dir)
            }
            (Source::Metainfo, _) => {
                return Err(Setback::Later("its place on disk is not decided yet".to_owned()));
            }
        };
        let selection = content.as_ref().map(|content| AppliedSelection {
            version: content.selection_version,
            priorities: content.priorities.clone(),
        });
        let add = AddTorrent {
            id: record.id,
            source,
            save_dir: save_dir.clone(),
            selection,
            limits: record.wish.limits,
            sequential: record.wish.sequential,
            seed_mode: record.wish.seed_mode,
            trackers: self.settings.borrow().trackers.apply(&record.trackers, record.content.private),
            peers: record.peers.clone(),
        };
        self.engine.execute(EngineCommand::Add(Box::new(add))).await?;
        Ok(Effect::Given(Given { save_dir, content }))
    }

    async fn store_metainfo(&self, id: TorrentId) -> Acted {
        let offered = self.engine.observe(id).and_then(|seen| seen.metainfo.clone());
        let Some(bytes) = offered else { return Ok(Effect::Unchanged) };
        let metainfo = self.engine.inspect(Arc::clone(&bytes)).await.map_err(|error| {
            Setback::Never(format!("the metadata that peers sent cannot be used: {error}"))
        })?;
        self.tell(Fact::MetadataKnown { id, bytes, metainfo }).await?;
        Ok(Effect::Unchanged)
    }

    async fn assign_path(&self, record: &TorrentRecord) -> Acted {
        let stored = StoredContent::read(&self.pool, &*self.engine, record).await?;
        let root_name =
            stored.root_name().ok_or_else(|| Setback::Never("the torrent names no file".to_owned()))?;
        let download_dir = &record.placement.download_dir;
        let save_dir = self.make_ready(download_dir).await?;
        // Who says that the content is there means what lies there.
        let is_taken = !record.wish.seed_mode && {
            let (save_dir, root_name, files) = (save_dir.clone(), root_name.clone(), stored.all_files());
            let look = move || content::is_foreign(&save_dir, &root_name, &files);
            self.tasks.spawn_blocking("look for what lies there", look).await.unwrap_or(true)
        };
        let fact = Fact::AssignPath { id: record.id, save_dir, root_name, is_taken };
        match self.facts.tell(fact).await {
            Ok(FactReply::Noted | FactReply::Gone) => Ok(Effect::Unchanged),
            Ok(FactReply::PathBusy) => {
                Err(Setback::Blocked("its path still belongs to a torrent that is being removed".to_owned()))
            }
            // The database has just been read from: it may be this torrent's row that it refuses.
            Err(error) => Err(Setback::Blocked(error.to_string())),
        }
    }

    /// Looks for what an action needs, as far as that takes no place in the session.
    pub(crate) async fn ask(&self, action: Action, record: &TorrentRecord) -> Acted {
        if action == Action::AssignPath {
            return self.assign_path(record).await;
        }
        let content = record.placement.content.as_ref().filter(|_| record.content.has_metainfo);
        self.make_ready(content.map_or(&record.placement.download_dir, |path| &path.save_dir)).await?;
        Ok(Effect::Unchanged)
    }

    /// Makes a directory that content is written to, where it may be and on the volume that it should be on.
    async fn make_ready(&self, directory: &std::path::Path) -> Result<PathBuf, Setback> {
        self.expect_allowed(directory).await?;
        self.gate.check(directory).await.map_err(Setback::Blocked)?;
        make_directory(directory.to_owned()).await
    }

    /// Refuses a directory that a symbolic link has taken out of the roots that may be written to. Without a link it was
    /// judged when the torrent was added: that the roots have changed since takes nothing from it.
    async fn expect_allowed(&self, directory: &std::path::Path) -> Result<(), Setback> {
        let allow_list = self.settings.borrow().policy.allow_list.clone();
        let asked = directory.to_path_buf();
        let look = move || {
            let leads_to = content::resolve(&asked);
            let is_allowed = leads_to == asked
                || allow_list.iter().any(|allowed| leads_to.starts_with(content::resolve(allowed)));
            (!is_allowed).then_some(leads_to)
        };
        match self.tasks.spawn_blocking("resolve the allow list", look).await {
            Ok(None) => Ok(()),
            Ok(Some(leads_to)) => Err(Setback::Never(format!(
                "{} leads to {}, which is outside fs_policy.allow_paths; add that there, or use another download_dir",
                directory.display(),
                leads_to.display()
            ))),
            Err(error) => Err(Setback::Later(error.to_string())),
        }
    }

    async fn select(&self, record: &TorrentRecord, given: Option<Given>) -> Acted {
        let stored = StoredContent::read(&self.pool, &*self.engine, record).await?;
        let content = stored.given(record.wish.selection_version);
        let selection =
            AppliedSelection { version: content.selection_version, priorities: content.priorities.clone() };
        self.engine.execute(EngineCommand::Select { id: record.id, selection }).await?;
        let save_dir = given.map_or_else(|| record.placement.download_dir.clone(), |given| given.save_dir);
        Ok(Effect::Given(Given { save_dir, content: Some(content) }))
    }

    async fn unload(&self, id: TorrentId) -> Acted {
        match self.engine.execute(EngineCommand::Unload { id }).await {
            Ok(()) | Err(EngineError::NotLoaded(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let pieces = self.engine.observe(id).and_then(|seen| match &seen.pieces {
            PieceSet::Some(bits) => Some(Arc::clone(bits)),
            PieceSet::None | PieceSet::All => None,
        });
        // Only what the detail page shows of a stopped torrent: not worth holding anything up for.
        if self.facts.tell(Fact::Left { id, pieces }).await.is_err() {
            warn!(torrent.id = %id, "the pieces of an unloaded torrent were not stored");
        }
        Ok(Effect::Out)
    }

    /// The engine lets go, then the torrent's own files go, then the tombstone.
    async fn remove(&self, record: &TorrentRecord) -> Acted {
        let id = record.id;
        let content = record.placement.content.as_ref();
        let save_dir =
            content.map_or_else(|| record.placement.download_dir.clone(), |path| path.save_dir.clone());
        self.engine.execute(EngineCommand::Remove { id, save_dir }).await?;
        if let (Wanted::Removed { delete_data: true }, Some(path)) = (record.wish.wanted, content) {
            self.gate.check(&path.save_dir).await.map_err(Setback::Later)?;
            let stored = match StoredContent::read(&self.pool, &*self.engine, record).await {
                Ok(stored) => stored,
                // Which files are its own cannot be known any more: none is touched, and its path becomes free.
                Err(ContentError::Broken(reason)) => {
                    warn!(torrent.id = %id, reason, path = %path.root().display(), "its content is left where it is");
                    return self.end_tombstone(record).await;
                }
                Err(error) => return Err(error.into()),
            };
            let deletion = Deletion {
                torrent: id,
                content: path.clone(),
                files: stored.all_files(),
                allow_list: vec![path.save_dir.clone()],
            };
            let outcome =
                self.fsops.delete(deletion).await.map_err(|error| Setback::Later(error.to_string()))?;
            info!(torrent.id = %id, deleted = outcome.deleted, kept = ?outcome.kept, "content deleted");
            self.remove_own_directory(record, path.save_dir.clone()).await;
        }
        self.end_tombstone(record).await
    }

    /// The directory that was made for it because its plain path was taken. Not where something else lies in it.
    async fn remove_own_directory(&self, record: &TorrentRecord, save_dir: PathBuf) {
        if save_dir.file_name() != Some(record.id.to_string().as_ref()) {
            return;
        }
        let shown = save_dir.clone();
        let removed =
            self.tasks.spawn_blocking("remove a directory", move || std::fs::remove_dir(save_dir)).await;
        if let Ok(Err(error)) = removed {
            info!(torrent.id = %record.id, %error, path = %shown.display(), "its directory stays");
        }
    }

    async fn end_tombstone(&self, record: &TorrentRecord) -> Acted {
        self.discard_job(record).await?;
        self.tell(Fact::Removed { id: record.id }).await?;
        Ok(Effect::Out)
    }

    /// What an unfinished job left in the library goes with its torrent.
    async fn discard_job(&self, record: &TorrentRecord) -> Result<(), Setback> {
        let unfinished = record.fsops.as_ref().is_some_and(|job| job.status != FsopsStatus::Completed);
        if !unfinished {
            return Ok(());
        }
        let claimed = super::jobs::claimed_policy(self, record).await.map_err(Setback::Later)?;
        if let Some(policy) = claimed {
            let discarded = self.fsops.discard(record.id, policy.library_root).await;
            discarded.map_err(|error| Setback::Later(error.to_string()))?;
        }
        Ok(())
    }

    async fn tell(&self, fact: Fact) -> Result<FactReply, Setback> {
        self.facts.tell(fact).await.map_err(|error| Setback::Later(error.to_string()))
    }
}

/// Makes a directory and resolves the symbolic links in its path, so that one place has one name.
async fn make_directory(path: PathBuf) -> Result<PathBuf, Setback> {
    let shown = path.clone();
    let made = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&path)?;
        path.canonicalize()
    });
    let limit = Duration::from_secs(30);
    match tokio::time::timeout(limit, made).await {
        Ok(Ok(Ok(resolved))) => Ok(resolved),
        Ok(Ok(Err(error))) => Err(Setback::Never(format!(
            "the directory {} cannot be made: {error}; mend that and resume the torrent",
            shown.display()
        ))),
        Ok(Err(_)) | Err(_) => {
            Err(Setback::Blocked(format!("the directory {} does not answer", shown.display())))
        }
    }
}
