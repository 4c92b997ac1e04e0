//! What every command works with: the server, the screen, and where the key is kept.

use std::{path::PathBuf, time::Duration};

use revaer_api_models::{ApiKeyToken, RequestId};

use crate::{
    args::Global,
    client::{Client, Identity},
    environment::Environment,
    error::CliError,
    key_file, rotation,
    screen::Screen,
};

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The server.
    pub(crate) client: Client,
    /// Stdout and stderr.
    pub(crate) screen: Screen,
    /// The file that keeps the key, named or default.
    pub(crate) key_file: Option<PathBuf>,
    /// The key that calls are made with.
    pub(crate) key: Option<FoundKey>,
}

/// The key, and where it was found.
#[derive(Debug, Clone)]
pub(crate) struct FoundKey {
    /// The key.
    pub(crate) token: ApiKeyToken,
    /// Whether the key file holds it; else the flag or the variable does.
    pub(crate) is_from_file: bool,
}

impl Context {
    /// Finds the key and prepares for calls. `needs_key` is false for commands that never send one.
    pub(crate) fn new(
        global: &Global,
        environment: &Environment,
        screen: Screen,
        request_id: RequestId,
        needs_key: bool,
    ) -> Result<Self, CliError> {
        let url = global
            .api_url
            .parse()
            .map_err(|reason| CliError::Input(format!("--api-url (REVAER_API_URL): {reason}")))?;
        let key_file = global.key_file.clone().or_else(|| environment.default_key_file());
        let key = if needs_key { find_key(global, key_file.as_ref(), screen)? } else { None };
        let identity = Identity {
            key: key.as_ref().map(|found| found.token.clone()),
            request_id,
            traceparent: environment.traceparent.clone(),
        };
        let client = Client::new(url, identity, Duration::from_secs(global.timeout))?;
        Ok(Self { client, screen, key_file, key })
    }

    /// What a failure means here: a key that is refused while its rotation was not seen to end.
    pub(crate) fn explain(&self, error: CliError) -> CliError {
        let (Some(path), Some(found)) = (&self.key_file, &self.key) else { return error };
        if !error.is_unauthorized() || !found.is_from_file || !rotation::is_unfinished(path) {
            return error;
        }
        error.with_next_step(&format!(
            "{} keeps the key from before a rotation that was not seen to end: finish it with \
             `revaer keys rotate {}`",
            rotation::earlier_path(path).display(),
            found.token.key_id()
        ))
    }
}

/// The flag, else the variable (both by the parser), else the file.
fn find_key(
    global: &Global,
    key_file: Option<&PathBuf>,
    screen: Screen,
) -> Result<Option<FoundKey>, CliError> {
    if let Some(text) = global.api_key.as_ref().and_then(|key| key.expose()) {
        let token = text
            .trim()
            .parse()
            .map_err(|error| CliError::Input(format!("--api-key (REVAER_API_KEY): {error}")))?;
        return Ok(Some(FoundKey { token, is_from_file: false }));
    }
    let Some(path) = key_file else { return Ok(None) };
    let Some(stored) = key_file::read(path)? else { return Ok(None) };
    if stored.exposed {
        screen.notice(&format!(
            "warning: others can read the api key in {0}; run chmod 600 {0}",
            path.display()
        ));
    }
    Ok(Some(FoundKey { token: stored.key, is_from_file: true }))
}
