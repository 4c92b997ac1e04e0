//! Says which directory keeps another user out: the usual reason why `PostgreSQL` fails below a home directory.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::child::Account;

/// A sentence about the first directory above `path` that `account` cannot pass, or nothing.
/// By owner, group and mode alone: access lists may say otherwise, so this explains a failure and predicts none.
pub(super) fn hint(path: &Path, account: Account) -> String {
    closed_ancestor(path, account)
        .map(|(dir, mode)| {
            format!(
                "; user id {} can not pass {} (mode {mode:04o}): allow it with chmod o+x, or use another data \
                 directory",
                account.uid,
                dir.display()
            )
        })
        .unwrap_or_default()
}

fn closed_ancestor(path: &Path, account: Account) -> Option<(PathBuf, u32)> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    above.into_iter().find_map(|dir| {
        let found = fs::metadata(dir).ok()?;
        let shift = match (found.uid() == account.uid, found.gid() == account.gid) {
            (true, _) => 6,
            (false, true) => 3,
            (false, false) => 0,
        };
        let mode = found.mode() & 0o7777;
        (mode >> shift & 1 == 0).then(|| (dir.to_owned(), mode))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_closed_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = Account { uid: 65_111, gid: 65_111 };
        assert!(hint(&closed.join("pg"), stranger).contains("closed (mode 0700)"));
        assert_eq!(hint(&closed, stranger), "");
    }
}
