//! Opening a root that the allow list permits.

use std::path::Path;

use crate::{FsError, allow::AllowList, safe::SafeRoot};

/// Opens `path` and judges what was opened. A directory that is away is judged by its text, so that a path outside
/// the list is refused for good and not retried.
pub(crate) fn open_allowed(allow: &AllowList, what: &str, path: &Path) -> Result<SafeRoot, FsError> {
    match SafeRoot::open(path) {
        Ok(root) => {
            allow.check(what, path, root.real())?;
            Ok(root)
        }
        Err(error) => {
            allow.check_text(what, path)?;
            if error.is_not_found() {
                return Err(FsError::unavailable(format!(
                    "the {what} directory {} does not exist; mount its volume or create it",
                    path.display()
                )));
            }
            Err(error)
        }
    }
}
