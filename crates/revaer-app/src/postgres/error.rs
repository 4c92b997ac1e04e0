//! Why the embedded database does not run, said so that the operator knows what to do.

use std::{io, path::PathBuf, time::Duration};

use revaer_durable::DurableError;

use crate::child::SpawnError;

/// The embedded database did not start. Each of these but `Stopped` ends the server with exit code 3.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No `PostgreSQL` of a supported version is installed.
    #[error(
        "no postgresql server (15 or newer) found in PATH or the usual places: \
         install the package postgresql, or set DATABASE_URL"
    )]
    NotInstalled,
    /// The cluster was made by a major version that is not installed.
    #[error(
        "the database in {} was made by postgresql {major}, which is not installed (found: {found}): install the \
         package postgresql-{major} (Fedora and RHEL: postgresql{major}-server)", pg.display()
    )]
    MajorMissing {
        /// The cluster.
        pg: PathBuf,
        /// Its major version.
        major: u32,
        /// What is installed instead.
        found: String,
    },
    /// Nothing to copy a database with.
    #[error(
        "pg_dump and pg_restore for postgresql {server} were not found in PATH or the usual places (found: {found}): \
         install the package postgresql-client-{server}, or a newer one"
    )]
    ClientsMissing {
        /// The major version of the server.
        server: u32,
        /// What is installed instead.
        found: String,
    },
    /// `pg/` is something else than a cluster.
    #[error("{} is not a postgresql database ({why}): move it away, or restore it", pg.display())]
    NotACluster {
        /// The directory.
        pg: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Root, and nobody to run `PostgreSQL` as.
    #[error(
        "postgresql refuses to run as root, there is no user postgres, and {} belongs to root: create the user \
         postgres, or give the data directory to an unprivileged user, or set DATABASE_URL", data_dir.display()
    )]
    NobodyToRunAs {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The cluster belongs to a user that this process cannot become.
    #[error(
        "{} belongs to user id {owner}, and this process runs as {own}: start it as that user or as root, or \
         change the owner of the whole directory", pg.display()
    )]
    WrongOwner {
        /// The cluster.
        pg: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// A user id without a name: `PostgreSQL` knows users by name.
    #[error("user id {uid} has no name on this system, which postgresql needs: add it to /etc/passwd")]
    NoUserName {
        /// The user id.
        uid: u32,
    },
    /// No directory is fit for the socket.
    #[error("{} can not hold the database's socket: {why}", dir.display())]
    SocketDir {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Processes of an earlier run do not end.
    #[error("an earlier postgresql of {} still runs after {waited:?} ({holders}): end it, then start again", pg.display())]
    StillRunning {
        /// The cluster.
        pg: PathBuf,
        /// How long was waited.
        waited: Duration,
        /// Process ids, as far as they can be seen.
        holders: String,
    },
    /// A program of `PostgreSQL` ended with an error.
    #[error("{program} failed ({status}): {said}{hint}")]
    ProgramFailed {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// Its exit status.
        status: String,
        /// The end of what it said.
        said: String,
        /// A likely reason that the program could not know, or nothing.
        hint: String,
    },
    /// The server runs but does not accept connections.
    #[error("postgresql did not accept a connection within {waited:?}; {} says why", log.display())]
    NotReady {
        /// How long was waited.
        waited: Duration,
        /// Its log.
        log: PathBuf,
        /// The last refusal.
        #[source]
        source: sqlx::Error,
    },
    /// The `revaer` database could not be made.
    #[error("can not create the database revaer in the embedded postgresql")]
    CreateDatabase {
        /// The refusal.
        #[source]
        source: sqlx::Error,
    },
    /// A program could not be started or waited for.
    #[error("postgresql could not be started")]
    Spawn {
        /// Why.
        #[source]
        source: SpawnError,
    },
    /// A file under the data directory could not be read or written.
    #[error("can not {operation} {}", path.display())]
    Io {
        /// The operation, as a verb.
        operation: &'static str,
        /// What it was applied to.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A file under the data directory could not be made durable.
    #[error("can not store the database's configuration")]
    Durable {
        /// Why.
        #[source]
        source: DurableError,
    },
    /// The server was asked to stop before the database was ready, which is no failure.
    #[error("the embedded database was not waited for, since the server is to stop")]
    Stopped,
    /// The thread that prepares the database panicked.
    #[error("preparing the embedded database failed; the log holds the reason")]
    Panicked,
}

impl EmbeddedError {
    pub(super) fn at(operation: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, path: path.to_owned(), source }
    }

    pub(super) fn spawn(source: SpawnError) -> Self {
        Self::Spawn { source }
    }

    pub(super) fn durable(source: DurableError) -> Self {
        Self::Durable { source }
    }
}
