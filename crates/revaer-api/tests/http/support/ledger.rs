//! A ledger that answers intents as the real one does, one by one, and remembers who asked.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use revaer_catalog::{
    Catalog, Change, Intent, IntentError, IntentReply, IntentRequest, NewTorrent, TorrentRecord, sql,
};
use revaer_telemetry::{OnFailure, Tasks};
use revaer_torrent_core::{StateKind, TorrentId, Wanted};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
pub(crate) struct Ledger {
    /// The request ids that came with intents.
    pub(crate) asked: Arc<Mutex<Vec<Option<String>>>>,
    /// Cancelled: nothing is taken any more.
    pub(crate) away: CancellationToken,
    catalog: Catalog,
    pool: PgPool,
}

impl Ledger {
    pub(crate) fn spawn(
        tasks: &Tasks,
        catalog: Catalog,
        mut requests: mpsc::Receiver<IntentRequest>,
        pool: PgPool,
    ) -> Self {
        let ledger = Self { asked: Arc::default(), away: CancellationToken::new(), catalog, pool };
        let owner = ledger.clone();
        tasks.spawn("ledger", OnFailure::Log, async move {
            loop {
                let request = tokio::select! {
                    () = owner.away.cancelled() => break,
                    request = requests.recv() => request,
                };
                let Some(request) = request else { break };
                owner.asked.lock().unwrap().push(request.request_id.clone());
                let answer = owner.answer(request.intent).await;
                request.reply.send(answer).ok();
            }
            Ok::<(), Infallible>(())
        });
        ledger
    }

    async fn answer(&self, intent: Intent) -> Result<IntentReply, IntentError> {
        match intent {
            Intent::Add(new) => self.add(*new).await,
            Intent::Pause(id) => self.change(id, |record| {
                record.wish.wanted = Wanted::Stopped;
                record.last.kind = StateKind::Stopped;
            }),
            Intent::Resume(id) => self.change(id, |record| {
                record.wish.wanted = Wanted::Running;
                record.last.kind = StateKind::Queued;
            }),
            Intent::SetRates(id, change) => self.change(id, |record| {
                let limits = &mut record.wish.limits;
                limits.download = change.download.unwrap_or(limits.download);
                limits.upload = change.upload.unwrap_or(limits.upload);
            }),
            Intent::Remove { id, delete_data, .. } => self
                .change(id, |record| record.wish.wanted = Wanted::Removed { delete_data })
                .map(|_| IntentReply::Removed),
        }
    }

    async fn add(&self, new: NewTorrent) -> Result<IntentReply, IntentError> {
        let record = new.record;
        if let Some(view) = self.catalog.get(record.id) {
            let same = view.record.info_hashes.overlaps(&record.info_hashes);
            return if same { self.view(record.id) } else { Err(IntentError::IdTaken(record.id)) };
        }
        if let Some(existing) = self.catalog.by_info_hash(&record.info_hashes) {
            return Err(IntentError::Duplicate { existing });
        }
        let mut connection = self.pool.acquire().await.unwrap();
        sql::torrent_put(&mut connection, &record).await.unwrap();
        if let Some((bytes, _)) = &new.metainfo {
            sql::metainfo_put(&mut connection, record.id, bytes).await.unwrap();
        }
        let id = record.id;
        self.catalog.commit([Change::Put(Arc::new(record))]);
        self.view(id)
    }

    /// Changes a record as the real ledger's commit would show it.
    pub(crate) fn change(
        &self,
        id: TorrentId,
        change: impl FnOnce(&mut TorrentRecord),
    ) -> Result<IntentReply, IntentError> {
        let view = self.catalog.get(id).ok_or(IntentError::NotFound(id))?;
        let mut record = (*view.record).clone();
        change(&mut record);
        self.catalog.commit([Change::Put(Arc::new(record))]);
        self.catalog
            .get_any(id)
            .map(|view| IntentReply::Accepted(Box::new(view)))
            .ok_or(IntentError::NotFound(id))
    }

    fn view(&self, id: TorrentId) -> Result<IntentReply, IntentError> {
        let view = self.catalog.get(id).ok_or(IntentError::NotFound(id))?;
        Ok(IntentReply::Accepted(Box::new(view)))
    }
}
