//! Tells the health registry what of the settings the machine does not allow any more. It was allowed when it was
//! written, or it was written by SQL.

use std::{convert::Infallible, time::Duration};

use revaer_config::ConfigService;
use revaer_telemetry::{Component, Health};
use tokio_util::sync::CancellationToken;

/// Accounts and files of the host change without notice.
const LOOK: Duration = Duration::from_secs(30);
const CAUSE: &str = "environment";

/// Looks at every change of the settings, and now and then.
pub(crate) async fn watch(
    config: ConfigService,
    health: Health,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut snapshots = config.watch();
    loop {
        let faults = config.environment_faults().await;
        let words: Vec<String> =
            faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect();
        if words.is_empty() {
            health.clear_by(Component::Fsops, CAUSE);
        } else {
            health.degrade_by(Component::Fsops, CAUSE, words.join("; "));
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = snapshots.changed() => if changed.is_err() { return Ok(()) },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
