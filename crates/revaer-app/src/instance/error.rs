//! Why this instance may not write.

/// The instance lock or the epoch speaks against this instance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// Another server uses the database: exit code 3.
    #[error("the database is in use by {by}: stop that server, or use another database")]
    Held {
        /// The other server.
        by: String,
    },
    /// Another server has taken over while the database was out of reach: exit code 3.
    #[error("{by} has taken over the database: this server stops writing and ends")]
    Superseded {
        /// The other server.
        by: String,
    },
    /// The lock was lost with its connection, and is taken again as soon as the database answers.
    #[error("the connection that holds the instance lock is lost: nothing is written until it is back")]
    Lost,
    /// The database did not let us in.
    #[error(
        "the database at {place} can not be reached ({reason}): see whether PostgreSQL runs there and \
         DATABASE_URL{hint} is right"
    )]
    Unreachable {
        /// Host and port, or the directory of the socket.
        place: String,
        /// Why.
        reason: String,
        /// Whether `DATABASE_URL` counts at all.
        hint: &'static str,
    },
    /// The database refused.
    #[error("can not check who uses the database")]
    Database {
        /// Why.
        #[source]
        source: sqlx::Error,
    },
}
