//! The cluster on disk: made whole or not at all, and how it is configured.
//!
//! Everything is given on the command line, which wins over the cluster's own files; who may connect stands in two
//! files of ours beside the cluster, where its user cannot change them.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::fd::OwnedFd,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::{
    EmbeddedError,
    account::RunAs,
    binaries::Binaries,
    logfile,
    places::{NAME, PORT, Places},
    reach,
};
use crate::child::{ChildSpec, Children};

/// The major version that made the cluster; `None`: there is none.
pub(super) fn major_version(pg: &Path) -> Result<Option<u32>, EmbeddedError> {
    match fs::read_to_string(pg.join("PG_VERSION")) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| EmbeddedError::NotACluster {
            pg: pg.to_owned(),
            why: format!("PG_VERSION says {:?}", text.trim()),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(pg) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Err(EmbeddedError::NotACluster {
                pg: pg.to_owned(),
                why: "it has no file PG_VERSION".to_owned(),
            }),
        },
        Err(error) => Err(EmbeddedError::at("read", &pg.join("PG_VERSION"))(error)),
    }
}

/// Makes the cluster under another name and renames it, so that a crash leaves none or a whole one.
/// `lock` is held until the last process of `initdb` is gone.
pub(super) async fn create(
    children: &Children,
    binaries: &Binaries,
    places: &Places,
    run_as: &RunAs,
    lock: OwnedFd,
) -> Result<(), EmbeddedError> {
    remove_torn(&places.pg_tmp)?;
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&places.pg_tmp)
        .map_err(EmbeddedError::at("create", &places.pg_tmp))?;
    run_as.give(&places.pg_tmp)?;
    tracing::info!(version = binaries.version, pg = %places.pg.display(), "making the embedded database");
    let initdb = program(binaries, "initdb", run_as)
        .args(["--username", NAME, "--encoding=UTF8", "--locale=C", "--auth=peer", "--data-checksums"])
        .args(["--no-instructions", "--pgdata"])
        .arg(&places.pg_tmp)
        .inherit(lock);
    let said = children.run(initdb).await.map_err(EmbeddedError::spawn)?;
    if !said.status.success() {
        return Err(EmbeddedError::ProgramFailed {
            program: "initdb",
            status: said.status.to_string(),
            said: logfile::last_lines(&String::from_utf8_lossy(&said.stderr)),
            hint: reach::hint(&places.pg_tmp, run_as.account),
        });
    }
    // initdb has synced what it wrote.
    revaer_durable::rename_noreplace(&places.pg_tmp, &places.pg).map_err(EmbeddedError::durable)
}

/// Removes what a torn `initdb` left behind.
pub(super) fn remove_torn(pg_tmp: &Path) -> Result<(), EmbeddedError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a directory of ours under the locked data directory, with no link to follow into"
    )]
    match fs::remove_dir_all(pg_tmp) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EmbeddedError::at("remove", pg_tmp)(error))
        }
        _ => Ok(()),
    }
}

/// Writes who may connect: our own user, as the database user `revaer`, and nobody else.
pub(super) fn write_access(places: &Places, run_as: &RunAs) -> Result<(), EmbeddedError> {
    let (hba, ident) = access_files(places);
    let user = run_as.own_name.replace('"', "\"\"");
    let texts =
        [(hba, "local all all peer map=revaer\n".to_owned()), (ident, format!("revaer \"{user}\" {NAME}\n"))];
    for (path, text) in texts {
        revaer_durable::write(&path, text.as_bytes(), 0o644).map_err(EmbeddedError::durable)?;
    }
    Ok(())
}

fn access_files(places: &Places) -> (PathBuf, PathBuf) {
    (places.pg.with_extension("hba"), places.pg.with_extension("ident"))
}

/// The postmaster, to be started.
pub(super) fn postmaster(binaries: &Binaries, places: &Places, run_as: &RunAs) -> ChildSpec {
    let (hba, ident) = access_files(places);
    let settings = [
        setting("listen_addresses", OsStr::new("")),
        setting("port", PORT.to_string()),
        setting("unix_socket_directories", quoted(&places.socket_dir)),
        setting("unix_socket_permissions", "0700"),
        setting("hba_file", hba),
        setting("ident_file", ident),
        setting("shared_buffers", "32MB"),
        setting("max_connections", "30"),
        // Containers give /dev/shm 64 MiB; the data directory has room.
        setting("dynamic_shared_memory_type", "mmap"),
        setting("cluster_name", NAME),
        setting("timezone", "UTC"),
        setting("log_timezone", "UTC"),
        setting("log_destination", "stderr"),
        setting("logging_collector", "off"),
        setting("log_checkpoints", "off"),
    ];
    let mut spec = program(binaries, "postgres", run_as).arg("-D").arg(&places.pg);
    for setting in settings {
        spec = spec.arg("-c").arg(setting);
    }
    spec
}

fn program(binaries: &Binaries, name: &str, run_as: &RunAs) -> ChildSpec {
    ChildSpec::new(binaries.program(name))
        .env("PATH", &binaries.dir)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .account(run_as.switch())
}

fn setting(name: &str, value: impl AsRef<OsStr>) -> OsString {
    let mut setting = OsString::from(name);
    setting.push("=");
    setting.push(value);
    setting
}

/// The setting is a list separated by commas; in quotes a path may hold anything.
fn quoted(dir: &Path) -> String {
    // The socket's directory was chosen to be UTF-8.
    format!("\"{}\"", dir.display().to_string().replace('"', "\"\""))
}
