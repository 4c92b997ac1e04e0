//! Puts the settings in force: the engine's profile, and how many torrents may run.

use std::{collections::HashSet, sync::Arc, time::Duration};

use revaer_telemetry::Component;
use revaer_torrent_core::{
    TorrentId,
    engine::{EngineCommand, EngineProfile},
};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    profile::{self, Step},
    run::{End, Orchestrator, send},
};

/// How long a profile rests that the engine did not take.
const CONFIGURE_AGAIN: Duration = Duration::from_secs(5);

impl Orchestrator {
    /// Puts the settings of now in force, as far as they are not.
    pub(super) fn configure(&mut self) {
        let settings = self.parts.settings.borrow_and_update().clone();
        self.set_limit(settings.max_active);
        match self.profile.step(&settings) {
            Step::Nothing => {}
            Step::Report(revision) => (self.parts.applied)(revision, Ok(())),
            Step::Configure(profile) => self.hand_over(profile),
        }
    }

    /// Starts the engine, or hands it the changed profile.
    fn hand_over(&self, profile: Box<EngineProfile>) {
        let (engine, ends) = (Arc::clone(&self.parts.engine), self.ends.0.clone());
        // Once, before anything is added; tombstones are among the known, since they still own their resume data.
        let known: Option<HashSet<TorrentId>> =
            (!self.profile.is_ready()).then(|| self.parts.catalog.ids().into_iter().collect());
        self.spawn("engine-configure", async move {
            let outcome = engine.execute(EngineCommand::Configure(profile)).await;
            if let (Ok(()), Some(known)) = (&outcome, known)
                && let Err(error) = engine.execute(EngineCommand::SetAsideUnknown { known }).await
            {
                // It only tidies: no torrent waits for it.
                warn!(%error, "resume data of unknown torrents stays where it is until the next start");
            }
            send(&ends, End::Configured(outcome.map_err(|error| error.to_string()))).await;
        });
    }

    pub(super) fn on_configured(&mut self, outcome: Result<(), String>) {
        let Some(ended) = self.profile.ended(outcome.is_ok()) else { return };
        if let Err(reason) = &outcome {
            warn!(reason, "the engine could not be configured; it is tried again");
            self.parts.health.degrade(Component::Engine, reason.clone());
            self.configure_at = Some(Instant::now() + CONFIGURE_AGAIN);
            (self.parts.applied)(ended.revision, outcome);
            return;
        }
        self.parts.health.clear(Component::Engine);
        if let Some((old, new)) = ended.caps {
            let (old, new) = (profile::shown(&old), profile::shown(&new));
            info!(
                event = "engine.caps_changed",
                old,
                new,
                revision = ended.revision,
                "the caps have changed"
            );
        }
        (self.parts.applied)(ended.revision, Ok(()));
        if ended.is_first {
            self.look_at_all();
        }
        // The settings may have changed again meanwhile.
        self.configure();
    }

    /// All are entered before the first is looked at: else those that come early were added, to be unloaded again.
    fn look_at_all(&mut self) {
        let ids = self.parts.catalog.ids();
        for id in &ids {
            let view = self.parts.catalog.get_any(*id);
            // Each of them is looked at below.
            drop(self.enter(*id, view.as_ref()));
        }
        self.say_who_runs();
        for id in ids {
            self.look_at(id);
        }
    }

    fn set_limit(&mut self, limit: Option<u32>) {
        if limit == self.admission.limit() {
            return;
        }
        let changed = self.admission.set_limit(limit);
        if self.profile.is_ready() {
            self.say_who_runs();
        }
        self.parts.ledger.pokes.add(changed);
    }

    fn say_who_runs(&self) {
        if let Some(max_active) = self.admission.limit() {
            let (run, wait) = self.admission.counts();
            info!(max_active, run, wait, "so many torrents may run at once");
        } else {
            info!("every torrent that is not stopped may run");
        }
    }
}
