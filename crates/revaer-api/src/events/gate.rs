//! Whether a stream's key still opens the door: judged again with every change of the settings, and at its expiry.

use std::{sync::Arc, time::Duration};

use revaer_api_models::ApiKeyToken;
use revaer_config::{AuthError, ConfigSnapshot};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::http::key::Caller;

/// Longer sleeps are cut: the wall clock may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// The key of an open stream.
#[derive(Debug)]
pub(crate) struct Gate {
    token: ApiKeyToken,
    expires_at: Option<OffsetDateTime>,
    settings: watch::Receiver<Arc<ConfigSnapshot>>,
}

impl Gate {
    pub(crate) fn new(caller: Caller, mut settings: watch::Receiver<Arc<ConfigSnapshot>>) -> Self {
        // What changed between the admission and now is judged at once.
        settings.mark_changed();
        Self { token: caller.token, expires_at: caller.info.expires_at, settings }
    }

    /// Waits until the key is not taken any more; returns why. Safe to drop and call again.
    pub(crate) async fn closed(&mut self) -> String {
        loop {
            tokio::select! {
                changed = self.settings.changed() => {
                    if changed.is_err() {
                        return "the settings are not watched any more".to_owned();
                    }
                }
                () = sleep_until(self.expires_at) => {}
            }
            if let Some(reason) = self.judge() {
                return reason;
            }
        }
    }

    fn judge(&mut self) -> Option<String> {
        let snapshot = Arc::clone(&self.settings.borrow_and_update());
        match snapshot.authenticate(self.token.key_id(), self.token.secret()) {
            Ok(info) => {
                self.expires_at = info.expires_at;
                None
            }
            // Its secret was right when the stream began; only its mark is missing.
            Err(AuthError::Unverified | AuthError::Busy) => None,
            Err(refused) => Some(refused.to_string()),
        }
    }
}

async fn sleep_until(expiry: Option<OffsetDateTime>) {
    let Some(expiry) = expiry else { return std::future::pending().await };
    let left = Duration::try_from(expiry - OffsetDateTime::now_utc()).unwrap_or(Duration::ZERO);
    // A little later than the moment itself, so that it has passed.
    tokio::time::sleep(left.min(LONGEST_SLEEP) + Duration::from_millis(10)).await;
}
