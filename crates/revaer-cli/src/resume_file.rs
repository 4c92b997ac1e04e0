//! The last event id on disk, so that a stream goes on where it stopped, even after a power cut.

use std::{fs, io, path::PathBuf, time::Duration};

use tokio::time::Instant;

use crate::{error::CliError, key_file::durable};

/// How far the file may lag behind positions that cost nothing when repeated.
const LAG: Duration = Duration::from_secs(1);

/// The file, and what it holds.
#[derive(Debug)]
pub(crate) struct ResumeFile {
    path: PathBuf,
    stored: Option<u64>,
    latest: Option<u64>,
    stored_at: Instant,
}

impl ResumeFile {
    /// Reads the file; one that does not exist holds nothing.
    pub(crate) fn open(path: PathBuf) -> Result<Self, CliError> {
        let stored = match fs::read_to_string(&path) {
            Ok(text) => Some(text.trim().parse().map_err(|_| {
                CliError::Input(format!("{} holds no event id; remove it to start from now", path.display()))
            })?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(CliError::file("read", path)(error)),
        };
        let path = std::path::absolute(&path).map_err(CliError::file("find", path))?;
        Ok(Self { path, stored, latest: stored, stored_at: Instant::now() })
    }

    /// The id to go on after.
    pub(crate) fn last_id(&self) -> Option<u64> {
        self.stored
    }

    /// Everything up to this id was dealt with.
    pub(crate) fn advance(&mut self, id: u64) {
        self.latest = Some(id);
    }

    /// When the file must be written at the latest; `None` when it is up to date.
    pub(crate) fn due(&self) -> Option<Instant> {
        (self.latest != self.stored).then(|| self.stored_at + LAG)
    }

    /// Writes the file if it is behind. On failure it stays behind and is due again after the lag.
    pub(crate) async fn store(&mut self) -> Result<(), CliError> {
        let Some(id) = self.latest.filter(|_| self.latest != self.stored) else { return Ok(()) };
        self.stored_at = Instant::now();
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || {
            revaer_durable::write(&path, format!("{id}\n").as_bytes(), 0o600)
        });
        match written.await {
            Ok(Ok(())) => {
                self.stored = Some(id);
                Ok(())
            }
            Ok(Err(error)) => Err(durable(&error)),
            Err(error) => Err(CliError::Host(format!("the writer of the resume file died: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_id_survives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last");
        let mut file = ResumeFile::open(path.clone()).unwrap();
        assert_eq!((file.last_id(), file.due()), (None, None));
        file.advance(7);
        assert!(file.due().is_some());
        file.store().await.unwrap();
        assert_eq!(file.due(), None);
        assert_eq!(ResumeFile::open(path).unwrap().last_id(), Some(7));
    }

    #[test]
    fn a_file_without_an_id_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last");
        fs::write(&path, "yesterday").unwrap();
        let error = ResumeFile::open(path).unwrap_err();
        assert!(error.to_string().ends_with("holds no event id; remove it to start from now"), "{error}");
    }
}
