//! The environment: the embedded database, `RUST_LOG`, and variables that have no effect. Where there is an external
//! database, and who `PUID` makes of root, is tested elsewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::process::geteuid;
use serde_json::json;

use crate::support::{Place, Running, as_user, folder_of, is_level};

/// The sockets that a process has open, by their numbers.
fn sockets(pid: u32) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).with_context(|| format!("sockets of {pid}"))? {
        // A file may be closed between the two reads.
        let target = fs::read_link(entry?.path()).unwrap_or_default();
        let number = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
        found.extend(number.map(str::to_owned));
    }
    Ok(found)
}

/// Those lines of a table of the kernel whose column `index` is one of `numbers`.
fn lines_of(table: &str, index: usize, numbers: &BTreeSet<String>) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/net/{table}")).with_context(|| table.to_owned())?;
    let has = |line: &&str| line.split_whitespace().nth(index).is_some_and(|number| numbers.contains(number));
    Ok(text.lines().filter(has).map(str::to_owned).collect())
}

/// TCP and UDP sockets of a process.
fn network(pid: u32) -> Result<Vec<String>> {
    let numbers = sockets(pid)?;
    let mut found = Vec::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        // Without IPv6 there are no such tables.
        if Path::new("/proc/net").join(table).exists() {
            found.extend(lines_of(table, 9, &numbers)?);
        }
    }
    Ok(found)
}

#[tokio::test]
async fn without_database_url_postgresql_runs_under_the_data_directory_on_a_unix_socket_only() -> Result<()> {
    let place = Place::embedded()?;
    let server = Running::start(&place.server()).await?;
    assert!(!network(server.process.id())?.is_empty(), "the server itself has its listener");
    let cluster = place.data().join("pg").canonicalize()?;
    let pid_file = fs::read_to_string(cluster.join("postmaster.pid"))?;
    let postmaster: u32 = pid_file.lines().next().context("no process id")?.trim().parse()?;
    let mut family = 0;
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == cluster) {
            family += 1;
            // A worker may end between the two reads.
            let found = network(pid).unwrap_or_default();
            assert!(found.is_empty(), "PostgreSQL's process {pid} has {found:?}");
        }
    }
    assert!(family > 3 && network(postmaster)?.is_empty(), "{family} processes of PostgreSQL");
    let listening = lines_of("unix", 6, &sockets(postmaster)?)?;
    let [socket] = listening.as_slice() else { anyhow::bail!("not one socket: {listening:?}") };
    // Flag 10000: it accepts connections.
    assert!(socket.contains(" 00010000 ") && socket.contains("/.s.PGSQL."), "{socket}");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn rust_log_wins_over_log_level() -> Result<()> {
    let place = Place::external().await?;
    let level = |level: &str| json!({ "app_profile": { "telemetry": { "log_level": level } } });
    let (server, api) = place.active(&place.server().env("RUST_LOG", "warn"), &level("debug")).await?;
    let answer = api.patch("/admin/settings", &level("trace")).await?.expect(200)?;
    assert_eq!(answer["notices"][0]["pointer"], "/app_profile/telemetry/log_level", "{answer}");
    assert!(answer["notices"][0]["message"].to_string().contains("RUST_LOG"), "{answer}");
    api.get("/v1/torrents").await?.expect(200)?;
    api.patch("/admin/settings", &level("error")).await?.expect(200)?;
    let log = server.stop().await?;
    for more in ["INFO", "DEBUG", "TRACE"] {
        assert!(!log.lines().any(|line| is_level(line, more)), "{log}");
    }
    let log = Running::start(&place.server().env("RUST_LOG", "info")).await?.stop().await?;
    assert!(log.contains("told to stop"), "{log}");
    let log = Running::start(&place.server()).await?.stop().await?;
    assert!(!log.contains("told to stop"), "without it the settings are in force: {log}");
    Ok(())
}

#[tokio::test]
async fn puid_pgid_and_umask_have_no_effect_where_it_is_not_started_as_root() -> Result<()> {
    let uid = if geteuid().is_root() { 1234 } else { geteuid().as_raw() };
    let place = Place::external().await?;
    folder_of(uid, &place.data())?;
    let spec = as_user(place.server(), uid).env("PUID", "1").env("PGID", "1").env("UMASK", "0123");
    let server = Running::start(&spec).await?;
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id()))?;
    assert!(status.contains(&format!("\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")), "{status}");
    assert!(!status.contains("\nUmask:\t0123\n"), "{status}");
    let log = server.stop().await?;
    assert!(log.contains("PUID, PGID, UMASK without effect"), "{log}");
    Ok(())
}
