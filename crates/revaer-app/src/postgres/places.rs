//! Where the embedded database keeps what.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::{EmbeddedError, account::RunAs};

/// The longest path of a Unix socket in bytes (`sun_path` without its end mark, unix(7)).
const SOCKET_PATH_MAX: usize = 107;
const SOCKET_NAME: &str = ".s.PGSQL.5432";
pub(super) const PORT: u16 = 5432;
/// User and database alike.
pub(super) const NAME: &str = "revaer";

/// Absolute paths.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) pg: PathBuf,
    pub(super) pg_tmp: PathBuf,
    pub(super) socket_dir: PathBuf,
    pub(super) log: PathBuf,
    pub(super) lock: PathBuf,
}

impl Places {
    /// Picks the places, and makes the directory of the socket.
    pub(super) fn new(
        data_dir: &Path,
        runtime_dir: Option<&Path>,
        run_as: &RunAs,
    ) -> Result<Self, EmbeddedError> {
        let socket_dir = choose_socket_dir(data_dir, runtime_dir, run_as.is_another(), run_as.account.uid);
        make_socket_dir(&socket_dir, run_as)?;
        Ok(Self {
            pg: data_dir.join("pg"),
            pg_tmp: data_dir.join("pg.tmp"),
            log: data_dir.join("pg.log"),
            lock: data_dir.join("pg.lock"),
            socket_dir,
        })
    }

    /// How to reach the database `revaer` of a running server.
    pub(super) fn connect_options(&self) -> PgConnectOptions {
        connect_options(&self.socket_dir)
    }
}

/// How to reach the database `revaer` through the socket in a directory.
pub(super) fn connect_options(socket_dir: &Path) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(PORT)
        .username(NAME)
        .database(NAME)
        .application_name(NAME)
        .ssl_mode(PgSslMode::Disable)
}

/// Beneath the data directory when the path fits, else in the runtime directory (which a server that runs as
/// somebody else cannot enter), else in `/tmp`.
fn choose_socket_dir(data_dir: &Path, runtime_dir: Option<&Path>, as_another: bool, uid: u32) -> PathBuf {
    let beneath = data_dir.join("pg.sock");
    let key = short_key(data_dir);
    let in_runtime = runtime_dir
        .filter(|dir| dir.is_absolute() && !as_another)
        .map(|dir| dir.join(format!("revaer-{key:016x}")));
    [Some(beneath), in_runtime]
        .into_iter()
        .flatten()
        .find(|dir| fits(dir))
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/revaer-{uid}-{key:016x}")))
}

/// The driver takes the path as text, so it also has to be UTF-8.
fn fits(dir: &Path) -> bool {
    dir.to_str().is_some_and(|text| text.len() + 1 + SOCKET_NAME.len() <= SOCKET_PATH_MAX)
}

/// FNV-1a: the same for the same path in every version. A clash is noticed by `PostgreSQL`'s own lock file.
fn short_key(path: &Path) -> u64 {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The directory ends up 0700 and the server's own. In `/tmp` anybody may have made it before us: then it is
/// refused, since whoever owns it could put a socket of their own there.
fn make_socket_dir(dir: &Path, run_as: &RunAs) -> Result<(), EmbeddedError> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {
            run_as.give(dir)?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(EmbeddedError::at("create", dir)(error)),
    }
    let found = fs::symlink_metadata(dir).map_err(EmbeddedError::at("inspect", dir))?;
    let refused = |why: String| Err(EmbeddedError::SocketDir { dir: dir.to_owned(), why });
    if !found.is_dir() {
        return refused("it is not a directory: remove it".to_owned());
    }
    if found.uid() != run_as.account.uid {
        // A crash between making and giving it leaves it ours: beneath the data directory that is safe to mend.
        if found.uid() == rustix::process::geteuid().as_raw() {
            run_as.give(dir)?;
        } else {
            return refused(format!(
                "it belongs to user id {} and not to {}: remove it",
                found.uid(),
                run_as.account.uid
            ));
        }
    }
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
            .map_err(EmbeddedError::at("set the mode of", dir))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_moves_out_when_the_path_is_too_long() {
        let short = Path::new("/var/lib/revaer");
        let long = PathBuf::from(format!("/{}", "d".repeat(200)));
        let runtime = Path::new("/run/user/1000");
        assert_eq!(choose_socket_dir(short, Some(runtime), false, 1000), short.join("pg.sock"));
        let moved = choose_socket_dir(&long, Some(runtime), false, 1000);
        assert_eq!(moved.parent(), Some(runtime));
        let shared = choose_socket_dir(&long, Some(runtime), true, 101);
        assert!(shared.to_str().unwrap().starts_with("/tmp/revaer-101-"));
        assert_ne!(shared, choose_socket_dir(&long.join("x"), None, true, 101));
    }

    #[test]
    fn the_limit_is_exact() {
        // "/…" + "/pg.sock" + "/.s.PGSQL.5432" = 107 bytes.
        let at_limit = PathBuf::from(format!("/{}", "d".repeat(107 - 1 - 8 - 14)));
        assert_eq!(choose_socket_dir(&at_limit, None, false, 1), at_limit.join("pg.sock"));
        let over = PathBuf::from(format!("/{}", "d".repeat(107 - 8 - 14)));
        assert!(choose_socket_dir(&over, None, false, 1).starts_with("/tmp"));
    }
}
