//! Who may write at all: an instance that another one has taken over must not change settings any more.

use std::{pin::Pin, sync::Arc};

use sqlx::PgConnection;

use super::ConfigService;
use crate::error::ConfigError;

/// Answers whether this instance may write; where not, why.
pub type Fencing<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Asked inside the transaction of every change.
pub trait Fence: Send + Sync {
    /// Whether this instance may commit what the transaction holds. Whoever wants to take over waits for its end.
    fn check<'a>(&'a self, connection: &'a mut PgConnection) -> Fencing<'a>;
}

impl ConfigService {
    /// Names who says whether this instance may write. Without one it always may: a command on the host beside a
    /// server writes as `psql` does.
    pub fn set_fence(&self, fence: Arc<dyn Fence>) {
        if self.shared.fence.set(fence).is_err() {
            tracing::error!("the fence was named twice; the first one stays");
        }
    }

    pub(super) async fn ask_fence(&self, connection: &mut PgConnection) -> Result<(), ConfigError> {
        let Some(fence) = self.shared.fence.get() else { return Ok(()) };
        fence.check(connection).await.map_err(|reason| ConfigError::Fenced { reason })
    }
}
