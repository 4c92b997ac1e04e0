//! The v1 members of an info dictionary: one stream of SHA-1 pieces over all files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use anyhow::Result;
use sha1::{Digest, Sha1};

use super::files::Content;
use crate::bencode::Value;

/// `pieces` and `length` or `files`; with `aligned`, padding files (BEP 47) put every file at a piece's start.
pub(super) fn members(
    content: &Content,
    piece_length: u64,
    aligned: bool,
) -> Result<BTreeMap<Vec<u8>, Value>> {
    let mut pieces = Pieces::new(piece_length);
    let mut list = Vec::new();
    for file in &content.files {
        let gap = (piece_length - pieces.total % piece_length) % piece_length;
        if aligned && gap > 0 && file.size > 0 {
            list.push(entry(&[".pad".to_owned(), gap.to_string()], gap, Some("p")));
            pieces.read(std::io::repeat(0).take(gap))?;
        }
        list.push(entry(&file.path, file.size, None));
        pieces.read(File::open(&file.on_disk)?)?;
    }
    let total = pieces.total;
    let pieces = Value::from(pieces.finish());
    let layout = if content.single { ("length", Value::size(total)) } else { ("files", Value::List(list)) };
    Ok(BTreeMap::from([(b"pieces".to_vec(), pieces), (layout.0.as_bytes().to_vec(), layout.1)]))
}

fn entry(path: &[String], size: u64, attributes: Option<&str>) -> Value {
    let path = path.iter().map(|part| Value::from(part.as_str())).collect();
    let members = [("length", Value::size(size)), ("path", Value::List(path))];
    Value::dict(members.into_iter().chain(attributes.map(|attributes| ("attr", Value::from(attributes)))))
}

/// Hashes a stream piece by piece.
struct Pieces {
    length: u64,
    total: u64,
    digest: Sha1,
    hashes: Vec<u8>,
}

impl Pieces {
    fn new(length: u64) -> Self {
        Self { length, total: 0, digest: Sha1::new(), hashes: Vec::new() }
    }

    fn read(&mut self, mut source: impl Read) -> Result<()> {
        let mut buffer = vec![0_u8; 1 << 20];
        loop {
            let room = self.length - self.total % self.length;
            let want = usize::try_from(room.min(1 << 20))?;
            let read = source.read(&mut buffer[..want])?;
            if read == 0 {
                return Ok(());
            }
            self.digest.update(&buffer[..read]);
            self.total += read as u64;
            if self.total.is_multiple_of(self.length) {
                self.hashes.extend_from_slice(&self.digest.finalize_reset());
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if !self.total.is_multiple_of(self.length) {
            self.hashes.extend_from_slice(&self.digest.finalize());
        }
        self.hashes
    }
}
