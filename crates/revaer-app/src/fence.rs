//! The instance lock as the settings see it: each change asks, in its own transaction, whether this instance may write.

use std::sync::Weak;

use revaer_config::{Fence, Fencing};
use sqlx::PgConnection;

use crate::instance::InstanceGuard;

/// Weak, since the guard is given back in order at the end.
pub(crate) struct InstanceFence(pub(crate) Weak<InstanceGuard>);

impl Fence for InstanceFence {
    fn check<'a>(&'a self, connection: &'a mut PgConnection) -> Fencing<'a> {
        Box::pin(async move {
            let guard = self.0.upgrade().ok_or("it is stopping")?;
            guard.check(connection).await.map_err(|error| error.to_string())
        })
    }
}
