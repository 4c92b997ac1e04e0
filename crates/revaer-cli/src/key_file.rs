//! The file that keeps the API key: `key_id:secret` on one line, readable by its owner only.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use revaer_api_models::ApiKeyToken;

use crate::error::CliError;

/// More than any key; a longer file is something else.
const MAX_BYTES: u64 = 1024;

/// A key read from its file.
#[derive(Debug)]
pub(crate) struct StoredKey {
    /// The key.
    pub(crate) key: ApiKeyToken,
    /// Whether others than the owner can read it.
    pub(crate) exposed: bool,
}

/// A key of 256 random bits, as the server makes them.
pub(crate) fn fresh(key_id: &str) -> Result<ApiKeyToken, CliError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| CliError::Host(format!("no random numbers: {error}")))?;
    ApiKeyToken::new(key_id, URL_SAFE_NO_PAD.encode(secret))
        .map_err(|error| CliError::Input(error.to_string()))
}

/// Reads the key; `None` when there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<StoredKey>, CliError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CliError::file("read", path)(error)),
    };
    let mode = file.metadata().map_err(CliError::file("read", path))?.permissions().mode();
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(CliError::file("read", path))?;
    let key = text.trim().parse().map_err(|error| {
        CliError::Input(format!("{} holds no api key ({error}); write key_id:secret into it", path.display()))
    })?;
    Ok(Some(StoredKey { key, exposed: mode & 0o077 != 0 }))
}

/// Writes the key so that it survives a power cut, making its directory where there is none.
pub(crate) fn write(path: &Path, key: &ApiKeyToken) -> Result<(), CliError> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(CliError::file("make", dir))?;
    }
    let line = format!("{}\n", key.expose());
    let path = std::path::absolute(path).map_err(CliError::file("find", path))?;
    revaer_durable::write(&path, line.as_bytes(), 0o600).map_err(|error| durable(&error))
}

/// Removes a key that the server certainly did not take.
pub(crate) fn remove(path: &Path) -> Result<(), CliError> {
    fs::remove_file(path).map_err(CliError::file("remove", path))
}

/// Tells a failed durable write with its cause.
pub(crate) fn durable(error: &revaer_durable::DurableError) -> CliError {
    match error.io() {
        Some(cause) => CliError::Durable(format!("{error}: {cause}")),
        None => CliError::Durable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/dir/api-key");
        assert!(read(&path).unwrap().is_none());
        let key = ApiKeyToken::new("admin", "s3cret").unwrap();
        write(&path, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let stored = read(&path).unwrap().unwrap();
        assert_eq!((stored.key, stored.exposed), (key, false));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap().unwrap().exposed);
    }

    #[test]
    fn a_file_without_a_key_is_refused_without_repeating_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api-key");
        fs::write(&path, "hunter2").unwrap();
        let error = read(&path).unwrap_err();
        assert!(!error.report().contains("hunter2"), "{}", error.report());
        assert_eq!(error.exit_code(), 2);
    }
}
