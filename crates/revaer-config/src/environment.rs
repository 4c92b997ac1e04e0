//! Whether the machine can do what a changeset asks: directories that can be made and written, accounts that
//! exist. Blocks; run off the async workers.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{error::Fault, keyring::random, text::base64url};

/// A directory that has to be usable, and where the changeset names it.
#[derive(Debug, Clone)]
pub(crate) struct WantedDirectory {
    pub(crate) pointer: String,
    pub(crate) path: PathBuf,
}

/// What the check found, and what it made on the way.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) faults: Vec<Fault>,
    made: Vec<PathBuf>,
}

impl Report {
    /// Removes the directories that the check made, as far as they are empty: the changeset is refused.
    pub(crate) fn undo(&self) {
        for path in self.made.iter().rev() {
            if let Err(error) = fs::remove_dir(path) {
                tracing::debug!(path = %path.display(), %error, "a directory made for a refused change stays");
            }
        }
    }
}

pub(crate) fn check_directories(wanted: &[WantedDirectory]) -> Report {
    let mut report = Report::default();
    for WantedDirectory { pointer, path } in wanted {
        if let Err(error) = make_and_write(path, &mut report.made) {
            let message = format!("{} can not be made and written: {error}", path.display());
            report.faults.push(Fault::new(pointer, message));
        }
    }
    report
}

fn make_and_write(path: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|one| !one.exists()).collect();
    for one in missing.into_iter().rev() {
        match fs::create_dir(one) {
            Ok(()) => made.push(one.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    if !fs::metadata(path)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let name = random::<9>().map_err(io::Error::other)?;
    let probe = path.join(format!(".revaer-probe-{}", base64url(&name)));
    fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

/// Which of the system's lists an account is looked up in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AccountKind {
    User,
    Group,
}

/// Says what is wrong with an account, if anything. Numbers always exist.
pub(crate) fn account_fault(kind: AccountKind, name: &str) -> Option<String> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (list, noun) = match kind {
        AccountKind::User => ("/etc/passwd", "user"),
        AccountKind::Group => ("/etc/group", "group"),
    };
    let listed = fs::read_to_string(list)
        .is_ok_and(|text| text.lines().any(|line| line.split(':').next() == Some(name)));
    (!listed).then(|| format!("the {noun} {name} is not in {list}; create it, or give its number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(path: PathBuf) -> [WantedDirectory; 1] {
        [WantedDirectory { pointer: "/fs_policy/library_root".to_owned(), path }]
    }

    #[test]
    fn a_missing_directory_is_made_and_a_refused_change_takes_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let report = check_directories(&wanted(dir.path().join("a/b")));
        assert!(report.faults.is_empty());
        assert!(dir.path().join("a/b").is_dir());
        report.undo();
        assert!(!dir.path().join("a").exists());
    }

    #[test]
    fn a_file_is_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert_eq!(check_directories(&wanted(file.clone())).faults.len(), 1);
        assert_eq!(check_directories(&wanted(file.join("below"))).faults.len(), 1);
    }

    #[test]
    fn accounts_exist_by_name_or_number() {
        assert_eq!(account_fault(AccountKind::User, "root"), None);
        assert_eq!(account_fault(AccountKind::Group, "1234567"), None);
        assert!(account_fault(AccountKind::User, "no-such-user-here").is_some());
    }
}
