//! Looks at every root when a mount changes, when asked, and by the clock.

use std::{sync::Arc, time::Duration};

use revaer_telemetry::OnFailure;

use super::{DEADLINE, Volumes, mounts};

/// The longest that a loss stays unnoticed where the kernel does not tell.
const EVERY: Duration = Duration::from_secs(2);

pub(super) async fn run(volumes: Volumes) {
    let stopping = volumes.tasks.token();
    mounts::watch(Arc::clone(&volumes.look_again), stopping.clone());
    loop {
        look_at_all(&volumes);
        tokio::select! {
            () = stopping.cancelled() => return,
            () = volumes.look_again.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Starts a look at each root, except where the last one still hangs.
fn look_at_all(volumes: &Volumes) {
    for (root, looking) in volumes.registry.begin_looks() {
        let registry = Arc::clone(&volumes.registry);
        let path = root.clone();
        let look = volumes.tasks.spawn_blocking("volume look", move || {
            let _looking = looking;
            // The answer is kept by the registry, which is all that a regular look is for.
            drop(registry.look(&path));
        });
        let registry = Arc::clone(&volumes.registry);
        volumes.tasks.spawn("volume look", OnFailure::Log, async move {
            match tokio::time::timeout(DEADLINE, look).await {
                Ok(ended) => ended,
                Err(_) => {
                    registry.unresponsive(&root);
                    Ok(())
                }
            }
        });
    }
}
