//! The data directory: where it is, that only one process uses it, and the `url` file in it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use revaer_durable::DurableError;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::options::Environment;

/// Where the server of root and of service users keeps its data.
const SYSTEM_DATA_DIR: &str = "/var/lib/revaer";
/// The first id of a person, and the first beyond the persons (systemd's dynamic users up to `nobody`).
const FIRST_PERSON: u32 = 1000;
const NOT_PERSONS: std::ops::RangeInclusive<u32> = 61_184..=65_534;

/// The data directory cannot be used. Each of these ends the server with exit code 3.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// Another server uses it.
    #[error(
        "the data directory {} is in use by {}: stop that server, or use another --data-dir",
        path.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Held {
        /// The directory.
        path: PathBuf,
        /// Who holds it, where it has said so.
        pid: Option<u32>,
    },
    /// It is not a directory.
    #[error("the data directory {} is not a directory: move it away, or use another --data-dir", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// There is none, and none is to be made.
    #[error("there is no data directory {}: name the server's with --data-dir", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A restore was cut off in it.
    #[error(
        "a restore into {} did not come to its end: run revaer-app restore again, with the same file or another",
        path.display()
    )]
    HalfRestored {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused.
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
    /// The `url` file could not be written.
    #[error("can not publish the address in the data directory")]
    Url {
        /// Why.
        #[source]
        source: DurableError,
    },
}

/// Where the data directory is: as given, else by who runs the server.
pub fn resolve(given: Option<&Path>, environment: &Environment) -> PathBuf {
    resolve_for(given, environment, rustix::process::geteuid().as_raw())
}

fn resolve_for(given: Option<&Path>, environment: &Environment, uid: u32) -> PathBuf {
    let person = uid >= FIRST_PERSON && !NOT_PERSONS.contains(&uid);
    let of_person = || {
        let base = environment
            .xdg_data_home
            .clone()
            .or_else(|| environment.home.as_ref().map(|home| home.join(".local/share")))?;
        Some(base.join("revaer"))
    };
    given
        .filter(|path| !path.as_os_str().is_empty())
        .map(Path::to_owned)
        .or_else(|| person.then(of_person).flatten())
        .unwrap_or_else(|| PathBuf::from(SYSTEM_DATA_DIR))
}

/// The data directory, held by this process until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    // Children do not inherit it (close-on-exec), so the lock ends with this process.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is missing, and locks it. Refused while a restore into it has not ended. Blocks.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let opened = Self::open_for_restore(path)?;
        refuse_half_restored(opened.path())?;
        Ok(opened)
    }

    /// [`DataDir::open`] of a directory that is there. Blocks.
    pub fn open_existing(path: &Path) -> Result<Self, DataDirError> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(DataDirError::Missing { path: path.to_owned() })
            }
            _ => Self::open(path),
        }
    }

    /// [`DataDir::open`] for the one who may go on with a restore that was cut off. Blocks.
    pub fn open_for_restore(path: &Path) -> Result<Self, DataDirError> {
        let is_root = rustix::process::geteuid().is_root();
        create(path, is_root)?;
        let path = path.canonicalize().map_err(at("resolve", path))?;
        let found = fs::metadata(&path).map_err(at("inspect", &path))?;
        if !found.is_dir() {
            return Err(DataDirError::NotADirectory { path });
        }
        // As root the database runs as somebody else, who has to pass to its own directory in here.
        if is_root && found.uid() == 0 && found.mode() & 0o011 != 0o011 {
            let mode = fs::Permissions::from_mode(found.mode() & 0o7777 | 0o011);
            fs::set_permissions(&path, mode).map_err(at("set the mode of", &path))?;
        }
        let lock = hold(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Its absolute path, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says where the server is reached, for `healthcheck` and for scripts.
    pub fn write_url(&self, url: &str) -> Result<(), DataDirError> {
        let text = format!("{url}\n");
        revaer_durable::write(&self.path.join("url"), text.as_bytes(), 0o644)
            .map_err(|source| DataDirError::Url { source })
    }

    /// Takes the address back: nothing is served any more.
    pub fn remove_url(&self) -> Result<(), DataDirError> {
        let path = self.path.join("url");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at("remove", &path)(error)),
            _ => Ok(()),
        }
    }
}

/// What a restore leaves in the data directory until it has come to its end.
pub(crate) fn restore_mark(data_dir: &Path) -> PathBuf {
    data_dir.join("restore.json")
}

fn refuse_half_restored(path: &Path) -> Result<(), DataDirError> {
    let mark = restore_mark(path);
    match fs::symlink_metadata(&mark) {
        Ok(_) => Err(DataDirError::HalfRestored { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at("inspect", &mark)(error)),
    }
}

/// The address that the server of a data directory has published.
pub fn read_url(data_dir: &Path) -> io::Result<String> {
    Ok(fs::read_to_string(data_dir.join("url"))?.trim().to_owned())
}

fn create(path: &Path, is_root: bool) -> Result<(), DataDirError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(at("create", parent))?;
    }
    let mode = if is_root { 0o711 } else { 0o700 };
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at("create", path)(error)),
        _ => Ok(()),
    }
}

fn hold(dir: &Path) -> Result<File, DataDirError> {
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(&path)
        .map_err(at("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // Without the number the message is poorer, but still right.
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(DataDirError::Held { path: dir.to_owned(), pid });
        }
        Err(error) => return Err(at("lock", &path)(error.into())),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(at("write", &path))?;
    Ok(file)
}

fn at(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError {
    move |source| DataDirError::Io { operation, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_have_their_own_and_services_the_systems() {
        let person = Environment { home: Some("/home/p".into()), ..Environment::default() };
        let xdg = Environment { xdg_data_home: Some("/xdg".into()), ..person.clone() };
        let check = |given: Option<&str>, environment: &Environment, uid, expected: &str| {
            assert_eq!(resolve_for(given.map(Path::new), environment, uid), Path::new(expected));
        };
        check(Some("/given"), &xdg, 0, "/given");
        check(None, &xdg, 0, "/var/lib/revaer");
        check(None, &xdg, 999, "/var/lib/revaer");
        check(None, &xdg, 1000, "/xdg/revaer");
        check(None, &person, 1000, "/home/p/.local/share/revaer");
        check(None, &person, 65_534, "/var/lib/revaer");
        check(None, &person, 200_000, "/home/p/.local/share/revaer");
        check(None, &Environment::default(), 1000, "/var/lib/revaer");
    }

    #[test]
    fn a_second_holder_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert!(matches!(&error, DataDirError::Held { pid: Some(pid), .. } if *pid == std::process::id()));
        assert!(error.to_string().contains(&format!("process {}", std::process::id())));
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn the_directory_is_closed_but_passable_for_the_database_of_root() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let held = DataDir::open(&path).unwrap();
        let expected = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, expected);
        drop(held);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        DataDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, expected);
    }

    #[test]
    fn the_address_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path()).unwrap();
        held.write_url("http://127.0.0.1:7070").unwrap();
        assert_eq!(read_url(dir.path()).unwrap(), "http://127.0.0.1:7070");
        held.remove_url().unwrap();
        held.remove_url().unwrap();
        assert!(read_url(dir.path()).is_err());
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(DataDir::open(file.path()), Err(DataDirError::NotADirectory { .. })));
    }
}
