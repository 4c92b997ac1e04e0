//! Files on the command line that hold one JSON object.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde_json::{Map, Value};

use crate::error::CliError;

/// The server takes no longer JSON body.
const MAX_BYTES: u64 = 1 << 20;

/// Reads one JSON object from a file, or from stdin where the path is `-`.
pub(crate) fn read(path: &Path) -> Result<Map<String, Value>, CliError> {
    let is_stdin = path == Path::new("-");
    let path = if is_stdin { Path::new("stdin") } else { path };
    let text = if is_stdin {
        read_text(io::stdin().lock(), path)?
    } else {
        read_text(File::open(path).map_err(CliError::file("read", path))?, path)?
    };
    if text.trim().is_empty() {
        // Most often the command before a pipe failed, and has said why.
        return Err(CliError::Input(format!("{} is empty: there is nothing to apply", path.display())));
    }
    serde_json::from_str(&text)
        .map_err(|error| CliError::Input(format!("{} holds no JSON object: {error}", path.display())))
}

fn read_text(reader: impl Read, path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    reader.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(CliError::file("read", path))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(CliError::Input(format!("{} is longer than {MAX_BYTES} bytes", path.display())));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("changes.json");
        std::fs::write(&path, r#"{"a":1}"#).unwrap();
        assert_eq!(read(&path).unwrap()["a"], 1);
        for text in ["[]", "{", "", &" ".repeat(1 << 21)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap_err().exit_code(), 2);
        }
    }
}
