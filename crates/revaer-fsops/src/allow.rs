//! The allow list: what may be read from or written to at all. Pure; the caller resolves the paths.

use std::path::{Path, PathBuf};

use crate::FsError;

/// The roots within which work is allowed, as configured and as they resolve now.
#[derive(Debug, Clone)]
pub(crate) struct AllowList {
    roots: Vec<(PathBuf, Option<PathBuf>)>,
}

impl AllowList {
    /// Resolves the roots. One that does not exist now allows nothing that exists.
    pub(crate) fn resolve(roots: &[PathBuf]) -> Self {
        Self { roots: roots.iter().map(|root| (root.clone(), std::fs::canonicalize(root).ok())).collect() }
    }

    /// Refuses a directory outside every root. `real` is what was opened, links resolved: a link out of a root is
    /// outside, and a link into one is inside.
    pub(crate) fn check(&self, what: &str, path: &Path, real: &Path) -> Result<(), FsError> {
        let inside =
            self.roots.iter().any(|(_, root)| root.as_deref().is_some_and(|root| real.starts_with(root)));
        if inside { Ok(()) } else { Err(self.refusal(what, path, Some(real))) }
    }

    /// As [`AllowList::check`] for a path that could not be opened: by its text alone.
    pub(crate) fn check_text(&self, what: &str, path: &Path) -> Result<(), FsError> {
        let plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
        let inside = plain
            && self.roots.iter().any(|(text, real)| {
                path.starts_with(text) || real.as_deref().is_some_and(|real| path.starts_with(real))
            });
        if inside { Ok(()) } else { Err(self.refusal(what, path, None)) }
    }

    fn refusal(&self, what: &str, path: &Path, real: Option<&Path>) -> FsError {
        let resolved = match real {
            Some(real) if real != path => format!(" (which is {})", real.display()),
            Some(_) | None => String::new(),
        };
        let rule = if self.roots.is_empty() {
            "the allow list is empty".to_owned()
        } else {
            let roots: Vec<_> = self.roots.iter().map(|(root, _)| root.display().to_string()).collect();
            format!("the allow list holds only {}", roots.join(", "))
        };
        FsError::refused(format!(
            "the {what} {}{resolved} is outside the allow list: {rule}; add it to fs_policy.allow_paths or move it",
            path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(roots: &[&str]) -> AllowList {
        AllowList {
            roots: roots.iter().map(|root| (PathBuf::from(root), Some(PathBuf::from(root)))).collect(),
        }
    }

    fn allowed(roots: &[&str], path: &str) -> bool {
        list(roots).check("library", Path::new(path), Path::new(path)).is_ok()
    }

    #[test]
    fn whole_names_decide_not_prefixes_of_text() {
        assert!(allowed(&["/data"], "/data"));
        assert!(allowed(&["/srv", "/data/"], "/data/a/b"));
        assert!(!allowed(&["/data"], "/database"));
        assert!(!allowed(&["/data/a"], "/data"));
        assert!(!allowed(&[], "/data"));
    }

    #[test]
    fn what_was_opened_decides_not_what_was_written() {
        let error =
            list(&["/data"]).check("library", Path::new("/data/link"), Path::new("/etc")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the library /data/link (which is /etc) is outside the allow list: the allow list holds only /data; \
             add it to fs_policy.allow_paths or move it"
        );
    }

    #[test]
    fn a_path_that_is_away_is_judged_by_its_text() {
        let list = list(&["/data"]);
        assert!(list.check_text("library", Path::new("/data/away")).is_ok());
        assert!(list.check_text("library", Path::new("/data/../etc")).is_err());
    }

    proptest! {
        #[test]
        fn allowed_means_below_a_root(
            roots in proptest::collection::vec("(/[ab]{1,2}){1,3}", 0..3),
            path in "(/[ab]{1,2}){1,4}",
        ) {
            let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
            let below = roots.iter().any(|root| path == *root || path.starts_with(&format!("{root}/")));
            prop_assert_eq!(allowed(&roots, &path), below);
        }
    }
}
