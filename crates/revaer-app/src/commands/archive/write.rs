//! Writes a backup, part after part, in the order of the file.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
};

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use time::OffsetDateTime;

use super::ResumeSum;
use crate::commands::manifest::{FORMAT, HEAD, MANIFEST, Manifest, Part, RESUME, hex};

const CHUNK: usize = 256 * 1024;

/// A backup that is being written.
pub(in crate::commands) struct ArchiveWriter {
    tar: Builder<BufWriter<File>>,
    at: OffsetDateTime,
    parts: Vec<Part>,
    resume: ResumeSum,
}

impl ArchiveWriter {
    /// Begins one in an empty file.
    pub(in crate::commands) fn new(file: File, at: OffsetDateTime) -> io::Result<Self> {
        let tar = Builder::new(BufWriter::with_capacity(CHUNK, file));
        let mut writer = Self { tar, at, parts: Vec::new(), resume: ResumeSum::default() };
        writer.append(HEAD, format!("{FORMAT}\n").as_bytes())?;
        Ok(writer)
    }

    /// Adds a part whose length is not known before.
    pub(in crate::commands) fn stream(&mut self, name: &str, mut from: impl Read) -> io::Result<()> {
        let mut header = self.header();
        let mut entry = self.tar.append_writer(&mut header, name)?;
        let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
        loop {
            let read = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let piece = chunk.get(..read).unwrap_or_default();
            hash.update(piece);
            entry.write_all(piece)?;
            bytes += u64::try_from(read).unwrap_or_default();
        }
        entry.finish()?;
        self.parts.push(Part { name: name.to_owned(), files: None, bytes, sha256: hex(hash) });
        Ok(())
    }

    /// Adds a file of resume data.
    pub(in crate::commands) fn resume_file(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.resume.add(name, content);
        self.append(&format!("{RESUME}{name}"), content)
    }

    /// Adds a small part.
    pub(in crate::commands) fn part(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let sha256 = hex(Sha256::new_with_prefix(content));
        self.append(name, content)?;
        self.parts.push(Part { name: name.to_owned(), files: None, bytes, sha256 });
        Ok(())
    }

    /// Adds the manifest, with the sums, and ends the file. Not synced yet.
    pub(in crate::commands) fn finish(mut self, mut manifest: Manifest) -> io::Result<(File, Manifest)> {
        manifest.parts.append(&mut self.parts);
        manifest.parts.push(std::mem::take(&mut self.resume).into_part());
        let text = serde_json::to_vec_pretty(&manifest)?;
        self.append(MANIFEST, &text)?;
        let file = self.tar.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, manifest))
    }

    fn append(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut header = self.header();
        header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
        self.tar.append_data(&mut header, name, content)
    }

    fn header(&self) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.at.unix_timestamp()).unwrap_or_default());
        header
    }
}
