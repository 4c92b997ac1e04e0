//! The roots whose volumes are watched: kept as the settings have them, and asked before anything is believed.

mod gate;
mod place;

use std::{convert::Infallible, time::Duration};

use revaer_config::ConfigService;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::settings;

pub use gate::RootGate;

const AGAIN: Duration = Duration::from_secs(5);

/// Hands the gate the roots of each snapshot, and tries again where one could not be accepted.
pub(crate) async fn keep(
    config: ConfigService,
    gate: RootGate,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut snapshots = config.watch();
    snapshots.mark_changed();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = snapshots.changed() => if changed.is_err() { return Ok(()) },
        }
        let snapshot = snapshots.borrow_and_update().clone();
        let roots = settings::watched_roots(&snapshot);
        let following = gate.follow(&roots, &snapshot.fs.allow_paths);
        let Some(refused) = stop.run_until_cancelled(following).await else { return Ok(()) };
        for (root, reason) in &refused {
            warn!(root = %root.display(), reason, "a root cannot be watched yet");
        }
        if !refused.is_empty() {
            snapshots.mark_changed();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}
