//! What this process knows of itself, for the health document.

use std::{ffi::OsStr, path::PathBuf, time::Instant};

use revaer_api::ServerFacts;

/// Gathers it once, at start.
pub(crate) fn gather(started_at: Instant, postgresql: &str, search_path: Option<&OsStr>) -> ServerFacts {
    ServerFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sha: env!("REVAER_BUILD_SHA").to_owned(),
        target: env!("REVAER_BUILD_TARGET").to_owned(),
        started_at,
        sevenzip: find(&["7zz", "7z"], search_path),
        par2: find(&["par2"], search_path),
        postgresql_version: postgresql.to_owned(),
    }
}

fn find(names: &[&str], search_path: Option<&OsStr>) -> Option<PathBuf> {
    let directories: Vec<PathBuf> = std::env::split_paths(search_path?).collect();
    names
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)))
        .find(|path| path.is_file())
}
