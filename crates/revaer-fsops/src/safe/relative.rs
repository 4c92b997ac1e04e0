//! A path that can only lead downwards: checked once, by its bytes, before any system call sees it.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::FsError;

/// Longest name on every common file system (`NAME_MAX`).
const NAME_MAX: usize = 255;

/// A path beneath a root, or the root itself: no empty, `.` or `..` component, no leading slash, no NUL, no name
/// beyond 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelativePath(PathBuf);

impl RelativePath {
    /// The root itself.
    pub fn root() -> Self {
        Self(PathBuf::new())
    }

    /// Checks a path of one or more components.
    pub fn new(path: impl AsRef<OsStr>) -> Result<Self, FsError> {
        let path = path.as_ref();
        match fault(path.as_bytes()) {
            None => Ok(Self(PathBuf::from(path))),
            Some(reason) => Err(FsError::Path { path: PathBuf::from(path), reason }),
        }
    }

    /// Checks a single name.
    pub fn name(name: impl AsRef<OsStr>) -> Result<Self, FsError> {
        let name = name.as_ref();
        if name.as_bytes().contains(&b'/') {
            return Err(FsError::Path { path: PathBuf::from(name), reason: "a name holds no slash" });
        }
        Self::new(name)
    }

    /// This path with another one below it.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        if below.is_root() { self.clone() } else { Self(self.0.join(&below.0)) }
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.as_os_str().is_empty()
    }

    /// The path without its last component; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.parent().map(|parent| Self(parent.to_owned()))
    }

    /// The last component; `None` for the root.
    pub fn file_name(&self) -> Option<&OsStr> {
        self.0.file_name()
    }

    /// The first component; `None` for the root.
    pub fn first(&self) -> Option<&OsStr> {
        self.names().next()
    }

    /// Its components, top first.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.0.iter()
    }

    /// As a plain path, for messages and for joining to a root's own path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// As text; wrong bytes are replaced.
    pub fn display(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl From<RelativePath> for OsString {
    fn from(path: RelativePath) -> Self {
        path.0.into_os_string()
    }
}

fn fault(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("it is empty");
    }
    if bytes.contains(&0) {
        return Some("it holds a NUL byte");
    }
    if bytes.first() == Some(&b'/') {
        return Some("it is absolute");
    }
    bytes.split(|byte| *byte == b'/').find_map(|name| match name {
        b"" => Some("it has an empty component"),
        b"." => Some("it has the component '.'"),
        b".." => Some("it has the component '..'"),
        long if long.len() > NAME_MAX => Some("it has a name of more than 255 bytes"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_paths_are_refused() {
        let long = "n".repeat(256);
        for path in
            ["", "/", "/etc/passwd", "..", "a/..", "a/../b", ".", "./a", "a//b", "a/", "a\0b", long.as_str()]
        {
            assert!(RelativePath::new(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn plain_paths_are_taken_as_they_are() {
        for path in ["a", "a/b c/d", "..a/b..", "...", "日本/ü", "-rf", &"n".repeat(255)] {
            assert_eq!(RelativePath::new(path).unwrap().as_path(), Path::new(path));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_stays_beneath(bytes in proptest::collection::vec(
            prop_oneof![4 => Just(b'.'), 4 => Just(b'/'), 1 => Just(0_u8), 4 => any::<u8>()], 0..24)) {
            if let Ok(path) = RelativePath::new(OsStr::from_bytes(&bytes)) {
                // A model of the kernel's walk: the depth never falls below the root, nor stays where it is.
                let mut depth = 0_usize;
                for name in bytes.split(|byte| *byte == b'/') {
                    prop_assert!(!matches!(name, b"" | b"." | b".."));
                    depth += 1;
                }
                prop_assert_eq!(path.names().count(), depth);
                prop_assert!(path.as_path().is_relative());
            }
        }
    }
}
