//! What can go wrong at the edge of this crate, and the faults that a changeset is refused with.

use std::path::PathBuf;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: an RFC 6901 pointer into the document.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Fault {
    /// A fault at `pointer`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// Why a setup token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// None was given.
    #[error("no setup token was given")]
    Missing,
    /// It is none of ours.
    #[error("the setup token is not known")]
    Unknown,
    /// Its time is over.
    #[error("the setup token has expired")]
    Expired,
    /// It was used.
    #[error("the setup token was already used")]
    Consumed,
    /// A later one took its place.
    #[error("the setup token was superseded by a later one")]
    Superseded,
}

/// Why an API key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Unknown key id or wrong secret; which of the two is not told.
    #[error("the API key is not known or its secret is wrong")]
    Rejected,
    /// The secret is right, the key is switched off.
    #[error("the API key is disabled")]
    Disabled,
    /// The secret is right, the key's time is over.
    #[error("the API key has expired")]
    Expired,
    /// The key has no valid MAC (its row was written by SQL, or the secret key file changed): it has to be
    /// checked against its argon2id hash, by `ConfigService::authenticate`.
    #[error("the API key has to be verified against its hash")]
    Unverified,
    /// Too many keys are being verified against their hashes; a moment later it works.
    #[error("too many API keys are being verified at once")]
    Busy,
}

/// A settings operation failed; what was in force stays in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The document is wrong; every fault of it is listed.
    #[error(
        "the document has {}; the first is at {}",
        counted(faults.len()),
        faults.first().map_or("", |fault| if fault.pointer.is_empty() { "its root" } else { &fault.pointer })
    )]
    Invalid {
        /// In the order of the document.
        faults: Vec<Fault>,
    },
    /// The settings changed since the caller read them.
    #[error(
        "the change was made against {what} {expected}, the current one is {actual}; read it again and repeat"
    )]
    Conflict {
        /// `revision` or `app_profile.version`.
        what: &'static str,
        /// What the caller named.
        expected: i64,
        /// What is in force.
        actual: i64,
    },
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    NotFound {
        /// `API key`, `query preset` or `revision`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is one of that name already.
    #[error("there is an {what} {name} already; choose another name, or change that one")]
    Exists {
        /// `API key`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The change would leave nobody who could make the next one.
    #[error(
        "the change would leave no API key that is enabled and does not expire, now or later; issue or enable another one first"
    )]
    LastKey,
    /// The setup token is not taken.
    #[error("{0}; issue a new one with POST /admin/setup/start or `revaer setup start`")]
    Token(TokenFault),
    /// Setup was completed before.
    #[error("the server is set up; change it through /admin/settings")]
    NotInSetup,
    /// Setup was not completed yet.
    #[error("the server is not set up; complete setup first")]
    SetupRequired,
    /// Another transaction holds the settings.
    #[error(
        "another transaction has held the settings for five seconds{}; end it and repeat",
        blocker.map(|pid| format!(" (PostgreSQL process {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The `PostgreSQL` process that holds them, where it could be found.
        blocker: Option<i32>,
    },
    /// The rows in the database break a rule; the last good revision stays in force.
    #[error("the stored settings break a rule at {}: {}", fault.pointer, fault.message)]
    InvalidStored {
        /// The first broken rule.
        fault: Fault,
    },
    /// The database refused a value that the rules let through.
    #[error("the database refuses the settings by its rule {constraint}")]
    Refused {
        /// The constraint's name.
        constraint: String,
        /// The database's words.
        #[source]
        source: sqlx::Error,
    },
    /// The secret key file cannot be read or written.
    #[error("can not use the secret key file {}: {reason}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A sealed secret does not open under the secret key, so it cannot be sealed under another one.
    #[error(
        "the secret {name} does not open under the present secret key; restore the key file that it was sealed with, or delete the secret"
    )]
    Sealed {
        /// The secret.
        name: String,
    },
    /// Sealing, opening or hashing failed.
    #[error("{operation} failed")]
    Crypto {
        /// What was tried.
        operation: &'static str,
    },
    /// A default directory cannot be named.
    #[error("the data directory {} is not an absolute path in UTF-8", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
    },
    /// The database answers a statement with an error that has nothing to do with the caller.
    #[error("a settings statement failed")]
    Failed(#[source] sqlx::Error),
    /// This instance may not write (any more).
    #[error("this server may not write to the database now: {reason}")]
    Fenced {
        /// Who has taken over, or what was lost.
        reason: String,
    },
    /// The database has no room left to write to.
    #[error("the database has no room left on its disk; make room, and repeat")]
    Full(#[source] sqlx::Error),
    /// The database cannot be asked; a moment later it may work.
    #[error("the settings database does not answer")]
    Unavailable(#[source] sqlx::Error),
}

impl ConfigError {
    pub(crate) fn invalid(faults: Vec<Fault>) -> Self {
        Self::Invalid { faults }
    }
}

/// `1 fault`, `2 faults`.
fn counted(faults: usize) -> String {
    if faults == 1 { "1 fault".to_owned() } else { format!("{faults} faults") }
}

impl From<sqlx::Error> for ConfigError {
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            // What arrived and does not fit is a fault of the rows or of this program, not of the connection.
            return match error {
                sqlx::Error::RowNotFound
                | sqlx::Error::TypeNotFound { .. }
                | sqlx::Error::ColumnIndexOutOfBounds { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Encode(_)
                | sqlx::Error::Decode(_) => Self::Failed(error),
                _ => Self::Unavailable(error),
            };
        };
        let code = database.code().unwrap_or_default();
        let constraint = database.constraint().map(ToOwned::to_owned);
        match (code.as_ref(), constraint) {
            // Lock not available, which `lock_timeout` raises.
            ("55P03", _) => Self::Locked { blocker: None },
            // Disk full; and writes that were refused because of it before.
            ("53100", _) => Self::Full(error),
            (_, Some(constraint)) => Self::Refused { constraint, source: error },
            // Connection exceptions, insufficient resources, operator intervention.
            (code, None) if ["08", "53", "57"].iter().any(|class| code.starts_with(class)) => {
                Self::Unavailable(error)
            }
            (_, None) => Self::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_in_words_that_agree() {
        let one = ConfigError::invalid(vec![Fault::new("/a", "no")]);
        assert_eq!(one.to_string(), "the document has 1 fault; the first is at /a");
        let two = ConfigError::invalid(vec![Fault::new("", "no"), Fault::new("/b", "no")]);
        assert_eq!(two.to_string(), "the document has 2 faults; the first is at its root");
    }
}
