//! Where the built binaries are: `REVAER_E2E_BIN_DIR`, else beside the running test.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The path of a binary of this workspace; says how to build it if it is not there.
pub fn find(name: &str) -> Result<PathBuf> {
    let directory = match std::env::var_os("REVAER_E2E_BIN_DIR") {
        // Tests run in their package's folder, the variable is set in the workspace's.
        Some(directory) => {
            let directory = PathBuf::from(directory);
            if directory.is_absolute() { directory } else { workspace().join(directory) }
        }
        None => beside_test()?,
    };
    let path = directory.join(name);
    if !path.is_file() {
        bail!(
            "{} is not there: run `cargo build -p revaer-app -p revaer-cli` first, or set REVAER_E2E_BIN_DIR",
            path.display()
        );
    }
    Ok(path)
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `target/<profile>` of a test in `target/<profile>/deps` or a binary in `target/<profile>`.
fn beside_test() -> Result<PathBuf> {
    let own = std::env::current_exe().context("the test does not know its own path")?;
    let directory = own.parent().context("the test has no folder")?;
    let profile = if directory.ends_with("deps") { directory.parent() } else { Some(directory) };
    Ok(profile.context("the test's folder has no parent")?.to_owned())
}
