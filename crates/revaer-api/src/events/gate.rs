//! Whether a stream's key still opens the door: judged again with every change of the settings, and at its expiry or
//! at the end of its secret's grace.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use revaer_api_models::ApiKeyToken;
use revaer_config::{ApiKeyInfo, AuthError, ConfigSnapshot};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::{
    http::{
        key::{Caller, verify},
        problem::Reject,
    },
    ports::App,
};

/// Longer sleeps are cut: the wall clock may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);
/// Until a secret is verified again that could not be, because many others were.
const BUSY: Duration = Duration::from_secs(1);

type Verifying = BoxFuture<'static, Result<Result<ApiKeyInfo, AuthError>, Reject>>;

/// The key of an open stream.
pub(crate) struct Gate {
    app: App,
    token: ApiKeyToken,
    /// When this secret stops being taken, as far as is known.
    expires_at: Option<OffsetDateTime>,
    settings: watch::Receiver<Arc<ConfigSnapshot>>,
    /// The secret is being verified against its hash. Kept here, so that it goes on when the wait for it is dropped.
    verifying: Option<Verifying>,
}

impl Gate {
    pub(crate) fn new(app: App, caller: Caller) -> Self {
        let mut settings = app.config.watch();
        // What changed between the admission and now is judged at once.
        settings.mark_changed();
        Self { app, token: caller.token, expires_at: caller.info.expires_at, settings, verifying: None }
    }

    /// Waits until the key is not taken any more; returns why. Safe to drop and call again.
    pub(crate) async fn closed(&mut self) -> String {
        loop {
            let judged = tokio::select! {
                changed = self.settings.changed() => {
                    if changed.is_err() {
                        return "the settings are not watched any more".to_owned();
                    }
                    self.judge()
                }
                () = sleep_until(self.expires_at) => self.judge(),
                verified = wait_for(self.verifying.as_mut()) => {
                    self.verifying = None;
                    // What could not be said is asked again.
                    verified.unwrap_or(Err(AuthError::Busy))
                }
            };
            match judged {
                Ok(info) => {
                    self.expires_at = info.expires_at;
                    self.verifying = None;
                }
                Err(AuthError::Unverified) => self.verify(Duration::ZERO),
                Err(AuthError::Busy) => self.verify(BUSY),
                Err(refused) => return self.reason(refused),
            }
        }
    }

    fn judge(&mut self) -> Result<ApiKeyInfo, AuthError> {
        let snapshot = Arc::clone(&self.settings.borrow_and_update());
        let judged = snapshot.authenticate(self.token.key_id(), self.token.secret());
        match snapshot.key(self.token.key_id()) {
            // Whatever its secret is, such a key opens nothing.
            Some(key) if !key.enabled => Err(AuthError::Disabled),
            Some(key) if !key.is_usable(OffsetDateTime::now_utc()) => Err(AuthError::Expired),
            _ => judged,
        }
    }

    /// Its row has no mark, for it was written by SQL or under another secret key: its hash decides.
    fn verify(&mut self, pause: Duration) {
        let (app, token) = (self.app.clone(), self.token.clone());
        let work = async move {
            tokio::time::sleep(pause).await;
            verify(&app, &token).await
        };
        self.verifying = Some(work.boxed());
        self.expires_at = self.settings.borrow().key(self.token.key_id()).and_then(|key| key.expires_at);
    }

    /// The secret was right when the stream began.
    fn reason(&self, refused: AuthError) -> String {
        let is_there = self.settings.borrow().key(self.token.key_id()).is_some();
        match refused {
            AuthError::Rejected if is_there => "the secret of the API key was replaced".to_owned(),
            AuthError::Rejected => "the API key was revoked".to_owned(),
            refused => refused.to_string(),
        }
    }
}

async fn wait_for(verifying: Option<&mut Verifying>) -> Result<Result<ApiKeyInfo, AuthError>, Reject> {
    match verifying {
        Some(verifying) => verifying.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(expiry: Option<OffsetDateTime>) {
    let Some(expiry) = expiry else { return std::future::pending().await };
    let left = Duration::try_from(expiry - OffsetDateTime::now_utc()).unwrap_or(Duration::ZERO);
    // A little later than the moment itself, so that it has passed.
    tokio::time::sleep(left.min(LONGEST_SLEEP) + Duration::from_millis(10)).await;
}
