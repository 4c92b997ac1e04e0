//! What a stored resume blob claims: the pieces that the server has promised not to fetch again.

use std::path::Path;

use anyhow::{Context, Result};

use crate::bencode::Value;

/// Bytes of the whole pieces that `<resume_dir>/<id>.fastresume` holds; 0 if there is none yet.
pub fn claimed_bytes(resume_dir: &Path, id: &str, piece_length: u64) -> Result<u64> {
    let path = resume_dir.join(format!("{id}.fastresume"));
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let blob = Value::decode(&bytes).with_context(|| format!("{} does not parse", path.display()))?;
    // One byte per piece; the lowest bit says that we have it.
    let pieces = blob.get("pieces").and_then(Value::as_bytes).unwrap_or_default();
    Ok(pieces.iter().filter(|piece| **piece & 1 == 1).count() as u64 * piece_length)
}
