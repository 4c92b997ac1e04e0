//! The command line and the environment: the only place that reads either.

use std::{ffi::OsString, fmt, net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use revaer_config::KeyId;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A torrent server that takes a magnet link or a .torrent to a correct entry in the library.
#[derive(Debug, Parser)]
#[command(name = "revaer-app", version, max_term_width = 100)]
pub struct Options {
    /// Where the server keeps everything of its own [default: /var/lib/revaer for root and service users,
    /// ~/.local/share/revaer for people]
    #[arg(long, value_name = "DIR", env = "REVAER_DATA_DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// Listen here instead of at the configured address, for this process only; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,
    /// How log lines are written to stderr, whatever the settings say [default: what the settings say; before they
    /// are read, pretty on a terminal and json elsewhere]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line
    Json,
    /// For people
    Pretty,
}

/// What `revaer-app` can do besides serving.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Ask the running server of this data directory for its health: exit code 0 when it is well, else 1
    Healthcheck,
    /// Compare the database's schema with this program: exit code 0 when they match, 1 when migrations are pending,
    /// 3 when it cannot be asked or is newer
    Migrate {
        /// Only look; what is pending is applied by the next start of the server
        #[arg(long, required = true)]
        check: bool,
    },
    /// Write the database, the resume data and the secret key into one file, whether the server runs or not
    Backup {
        /// The file, or - for stdout [default: revaer-backup-TIME.tar in this directory]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        /// Take the place of a file that is there
        #[arg(long)]
        replace: bool,
    },
    /// Put back what backup has written, while the server is stopped
    Restore {
        /// The file that backup has written
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Set aside the database that is there; it is renamed, not deleted
        #[arg(long)]
        replace: bool,
    },
    /// Issue an API key and print its id and secret once, with a colon between; a running server takes it within
    /// moments
    IssueKey {
        /// Its name [default: a new one]
        #[arg(long, value_name = "ID", value_parser = key_id)]
        key_id: Option<KeyId>,
        /// What it is for [default: its name]
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// When it stops being taken, as in 2030-01-31T00:00:00Z [default: never]
        #[arg(long, value_name = "TIME", value_parser = moment)]
        expires_at: Option<OffsetDateTime>,
        /// Give a key that there is a new secret, and enable it
        #[arg(long, requires = "key_id")]
        replace: bool,
    },
    /// Seal every secret under a new key, while the server is stopped
    RotateSecretKey,
}

fn key_id(text: &str) -> Result<KeyId, String> {
    KeyId::new(text).ok_or_else(|| "must be 1 to 64 letters, digits, _ or -".to_owned())
}

fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "must be a time as in 2030-01-31T00:00:00Z".to_owned())
}

/// What the server takes from its environment. Everything else is configuration in the database.
#[derive(Clone, Default)]
pub struct Environment {
    /// `DATABASE_URL`; `None`: the embedded database. It may hold a password.
    pub database_url: Option<String>,
    /// `REVAER_SECRET_KEY_FILE`: the key that seals secrets, instead of the one in the data directory.
    pub secret_key_file: Option<PathBuf>,
    /// `RUST_LOG`: wins over the configured log level.
    pub rust_log: Option<String>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_DATA_HOME`.
    pub xdg_data_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// `PATH`.
    pub search_path: Option<OsString>,
    /// `PUID`, `PGID` and `UMASK`: who a process that is started as root becomes.
    pub identity: IdentityVariables,
}

/// `PUID`, `PGID` and `UMASK` as they are written, not yet understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityVariables {
    /// The user id.
    pub puid: Option<String>,
    /// The group id.
    pub pgid: Option<String>,
    /// Octal.
    pub umask: Option<String>,
}

/// A variable that is set and of no use.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// Its bytes are not text.
    #[error("the environment variable {name} is not valid UTF-8: correct or unset it")]
    NotText {
        /// The variable.
        name: &'static str,
    },
}

impl Environment {
    /// Reads the process environment.
    pub fn read() -> Result<Self, EnvironmentError> {
        Self::from_lookup(|name| std::env::var_os(name))
    }

    /// Reads from any source. A variable that is set to nothing counts as not set.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, EnvironmentError> {
        let raw = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let text = |name: &'static str| {
            raw(name)
                .map(|value| value.into_string().map_err(|_| EnvironmentError::NotText { name }))
                .transpose()
        };
        // The XDG specification ignores relative paths.
        let absolute = |name: &str| raw(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Ok(Self {
            database_url: text("DATABASE_URL")?,
            secret_key_file: raw("REVAER_SECRET_KEY_FILE").map(PathBuf::from),
            rust_log: text("RUST_LOG")?,
            home: absolute("HOME"),
            xdg_data_home: absolute("XDG_DATA_HOME"),
            xdg_runtime_dir: absolute("XDG_RUNTIME_DIR"),
            search_path: raw("PATH"),
            identity: IdentityVariables { puid: text("PUID")?, pgid: text("PGID")?, umask: text("UMASK")? },
        })
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("database_url", &self.database_url.as_ref().map(|_| "[redacted]"))
            .field("secret_key_file", &self.secret_key_file)
            .field("rust_log", &self.rust_log)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
        let options =
            Options::try_parse_from(["revaer-app", "--listen", "[::1]:0", "--data-dir", "/d", "healthcheck"])
                .unwrap();
        assert_eq!(options.command, Some(Command::Healthcheck));
        assert_eq!(options.data_dir, Some(PathBuf::from("/d")));
        // The data directory may also follow the subcommand.
        let options = Options::try_parse_from(["revaer-app", "healthcheck", "--data-dir", "/d"]).unwrap();
        assert_eq!(options.data_dir, Some(PathBuf::from("/d")));
        assert!(Options::try_parse_from(["revaer-app", "--listen", "7070"]).is_err());
        for wrong in [
            &["--key-id", "no spaces"][..],
            &["--expires-at", "tomorrow"],
            // A new name is never there already.
            &["--replace"],
        ] {
            let words = ["revaer-app", "issue-key"].iter().chain(wrong);
            assert!(Options::try_parse_from(words).is_err(), "{wrong:?}");
        }
        // Migrations are applied by a start alone.
        assert!(Options::try_parse_from(["revaer-app", "migrate"]).is_err());
        let options = Options::try_parse_from(["revaer-app", "migrate", "--check"]).unwrap();
        assert_eq!(options.command, Some(Command::Migrate { check: true }));
    }

    #[test]
    fn empty_is_unset_and_bad_text_is_said() {
        let environment = Environment::from_lookup(|name| match name {
            "DATABASE_URL" => Some(OsString::new()),
            "XDG_DATA_HOME" => Some("relative".into()),
            _ => Some("/x".into()),
        })
        .unwrap();
        assert_eq!(environment.database_url, None);
        assert_eq!(environment.xdg_data_home, None);
        assert_eq!(environment.home, Some(PathBuf::from("/x")));
        let error = Environment::from_lookup(|_| Some(OsString::from_vec(vec![0xff]))).unwrap_err();
        assert!(error.to_string().contains("DATABASE_URL"));
    }

    #[test]
    fn the_database_password_is_not_shown() {
        let environment = Environment {
            database_url: Some("postgres://u:hunter2@h/d".to_owned()),
            ..Environment::default()
        };
        assert!(!format!("{environment:?}").contains("hunter2"));
    }
}
