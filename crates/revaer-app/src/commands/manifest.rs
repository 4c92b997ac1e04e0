//! What a backup says about itself, and the names of its parts.

use revaer_torrent_core::TorrentId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

/// The layout of the file. A program reads its own and older ones.
pub(super) const FORMAT: u32 = 1;
/// The first entry; says what the file is before anything else is read.
pub(super) const HEAD: &str = "revaer-backup";
/// `pg_dump`'s custom format.
pub(super) const DATABASE: &str = "database.dump";
/// Before the name of each file of resume data.
pub(super) const RESUME: &str = "resume/";
/// The secret key file.
pub(super) const KEY: &str = "secret.key";
/// The last entry: this document.
pub(super) const MANIFEST: &str = "manifest.json";

/// What a backup says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// [`FORMAT`].
    pub(super) format: u32,
    /// Of the program that wrote it.
    pub(super) product_version: String,
    /// Its source.
    pub(super) product_sha: String,
    /// When the database was read.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) taken_at: OffsetDateTime,
    /// The data directory that it was taken from.
    pub(super) data_dir: String,
    /// The directory that the resume data was read from.
    pub(super) resume_dir: String,
    /// The database at that moment.
    pub(super) database: DatabaseFacts,
    /// Sums, in the order of the file; all files of resume data are one part.
    pub(super) parts: Vec<Part>,
}

/// The database at the moment of the dump.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DatabaseFacts {
    /// As in `15.18`.
    pub(super) server_version: String,
    /// The schema that the tables are in, usually `public`.
    pub(super) schema: String,
    /// The newest migration.
    pub(super) schema_version: i64,
    /// The revision of the settings.
    pub(super) settings_revision: i64,
    /// No event has a number above it.
    pub(super) event_lease: i64,
}

/// A part with its sum. For `resume/` the sum is taken over each file's name, a zero byte, its length as eight bytes,
/// most significant first, and its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Its name in the file.
    pub(super) name: String,
    /// Of `resume/`: how many files.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) files: Option<u64>,
    /// Its length.
    pub(super) bytes: u64,
    /// In hexadecimal.
    pub(super) sha256: String,
}

/// A sum in hexadecimal.
pub(super) fn hex(hash: Sha256) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or_default();
    hash.finalize().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Whether a file of a resume directory is one that a restart needs: the blob or the record of a torrent. What was set
/// aside, the mark of a clean stop and half-written files are not.
pub(super) fn is_resume_file(name: &str) -> bool {
    name.strip_suffix(".fastresume")
        .or_else(|| name.strip_suffix(".meta.json"))
        .is_some_and(|id| id.parse::<TorrentId>().is_ok_and(|parsed| parsed.to_string() == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_torrents_own_files_are_resume_data() {
        let id = "0193b7a0-0000-7000-8000-000000000001";
        assert!(is_resume_file(&format!("{id}.fastresume")));
        assert!(is_resume_file(&format!("{id}.meta.json")));
        for name in [
            "clean-stop".to_owned(),
            format!("{id}.fastresume.corrupt"),
            format!("../{id}.fastresume"),
            format!(".{id}.fastresume.1-0.revaer-tmp"),
            ".fastresume".to_owned(),
        ] {
            assert!(!is_resume_file(&name), "{name}");
        }
    }
}
