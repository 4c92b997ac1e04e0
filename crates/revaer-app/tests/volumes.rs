//! The volume service on real mounts (in a mount namespace of their own) and on directories.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test, on directories of its own")]

mod common;

use std::{
    ffi::CStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use common::{HELPER, Host, database::TestDatabase, helper_argument};
use revaer_app::{
    roots::RootGate,
    volume::{SENTINEL_NAME, SentinelId, VolumeStatus, Volumes, sql},
};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use sqlx::postgres::PgPoolOptions;
use tokio::{sync::watch, time::timeout};

type Seen = watch::Receiver<revaer_app::volume::VolumeMap>;

async fn wait_for_fault(seen: &mut Seen, root: &Path) -> String {
    let found = timeout(
        Duration::from_secs(10),
        seen.wait_for(|map| matches!(map.get(root), Some(VolumeStatus::Faulted { .. }))),
    )
    .await
    .unwrap()
    .unwrap();
    match &found[root] {
        VolumeStatus::Faulted { fault, .. } => fault.reason.clone(),
        VolumeStatus::Present(_) => unreachable!("waited for a fault"),
    }
}

async fn wait_for_generation(seen: &mut Seen, root: &Path, generation: u64) {
    timeout(
        Duration::from_secs(10),
        seen.wait_for(|map| {
            matches!(map.get(root), Some(VolumeStatus::Present(state)) if state.generation == generation)
        }),
    )
    .await
    .unwrap()
    .unwrap();
}

async fn register(volumes: &Volumes, root: &Path) -> SentinelId {
    let (id, status) = volumes.register(root, None).await.unwrap();
    assert!(matches!(status, VolumeStatus::Present(_)), "{status:?}");
    id
}

#[tokio::test]
async fn a_root_without_its_sentinel_is_lost_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let (root, away) = (dir.path().join("downloads"), dir.path().join("away"));
    fs::create_dir(&root).unwrap();
    let host = Host::new();
    let volumes = Volumes::start(&host.tasks, &host.health);
    let id = register(&volumes, &root).await;
    let mut seen = volumes.watch();

    fs::rename(&root, &away).unwrap();
    assert!(volumes.check(&root).await.unwrap_err().reason.contains("does not exist"));
    fs::create_dir(&root).unwrap();
    for name in ["b.mkv", "a.mkv"] {
        fs::write(root.join(name), "written into the mount point").unwrap();
    }
    let reason = volumes.check(&root).await.unwrap_err().reason;
    assert!(reason.contains("2 entries") && reason.contains("(a.mkv, b.mkv)"), "{reason}");
    wait_for_fault(&mut seen, &root).await;
    assert_eq!(host.health.degraded(), ["disk"]);
    // A known root is never accepted anew, not even by a fresh process.
    let fresh = Volumes::start(&host.tasks, &host.health);
    let (_, status) = fresh.register(&root, Some(id)).await.unwrap();
    assert!(matches!(status, VolumeStatus::Faulted { .. }));
    assert!(!root.join(SENTINEL_NAME).exists());
    assert!(root.join("a.mkv").exists());

    fs::remove_dir_all(&root).unwrap();
    fs::rename(&away, &root).unwrap();
    assert_eq!(volumes.check(&root).await.unwrap().generation, 2);
    assert!(host.health.degraded().is_empty());
}

#[tokio::test]
async fn another_volume_in_its_place_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    let host = Host::new();
    let volumes = Volumes::start(&host.tasks, &host.health);
    for root in [&one, &other] {
        fs::create_dir(root).unwrap();
        register(&volumes, root).await;
    }
    fs::remove_dir_all(&one).unwrap();
    fs::rename(&other, &one).unwrap();
    let reason = volumes.check(&one).await.unwrap_err().reason;
    assert!(reason.contains("another volume than the accepted one"), "{reason}");
}

#[tokio::test]
async fn a_root_that_is_not_registered_is_not_trusted() {
    let host = Host::new();
    let volumes = Volumes::start(&host.tasks, &host.health);
    assert!(volumes.check(Path::new("/tmp")).await.is_err());
    assert!(volumes.register(Path::new("relative"), None).await.is_err());
    assert!(volumes.free_space(Path::new("/tmp")).await.unwrap() > 0);
    let reservation = volumes.reserve(Path::new("/tmp"), 1).await.unwrap();
    assert_eq!(reservation.left(), 1);
    assert!(volumes.reserve(Path::new("/tmp"), u64::MAX).await.is_err());
}

#[tokio::test]
async fn known_roots_survive_a_restart_in_the_database() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let host = Host::new();
    let database = TestDatabase::new(KNOWN_VOLUMES).await;
    let mut conn = database.connect().await;

    let volumes = Volumes::start(&host.tasks, &host.health);
    assert!(matches!(volumes.accept(&mut conn, root).await.unwrap(), VolumeStatus::Present(_)));
    fs::remove_file(root.join(SENTINEL_NAME)).unwrap();
    let restarted = Volumes::start(&host.tasks, &host.health);
    assert!(matches!(restarted.accept(&mut conn, root).await.unwrap(), VolumeStatus::Faulted { .. }));
    assert!(!root.join(SENTINEL_NAME).exists());
    // Removed from the configuration and added again: accepted as it is now.
    sql::known_volume_delete(&mut conn, root).await.unwrap();
    restarted.unregister(root);
    assert!(matches!(restarted.accept(&mut conn, root).await.unwrap(), VolumeStatus::Present(_)));
    database.remove().await;
}

const KNOWN_VOLUMES: &str = include_str!("../../../migrations/0006_create_known_volumes.sql");

/// A gate as a server has it after a start, still closed.
async fn gate(host: &Host, database: &TestDatabase) -> RootGate {
    let pool = PgPoolOptions::new().max_connections(2).connect_with(database.options.clone()).await.unwrap();
    RootGate::new(Volumes::start(&host.tasks, &host.health), pool)
}

/// A gate that has looked at its roots.
async fn gate_with(host: &Host, database: &TestDatabase, roots: &[&Path], allowed: &[&Path]) -> RootGate {
    let gate = gate(host, database).await;
    let owned = |paths: &[&Path]| paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>();
    assert_eq!(gate.follow(&owned(roots), &owned(allowed)).await, []);
    gate
}

async fn refusal(gate: &RootGate, path: &Path) -> String {
    gate.check(path).await.unwrap_err()
}

#[tokio::test]
async fn nothing_passes_the_gate_before_the_roots_were_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("downloads");
    let (host, database) = (Host::new(), TestDatabase::new(KNOWN_VOLUMES).await);
    let gate = gate(&host, &database).await;
    assert!(refusal(&gate, &root).await.contains("not been looked at yet"));
    assert_eq!(gate.follow(std::slice::from_ref(&root), &[]).await, []);
    gate.check(&root.join("a")).await.unwrap();
    drop(gate);
    database.remove().await;
}

#[tokio::test]
async fn a_root_that_cannot_be_accepted_refuses_what_lies_beneath_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (root, other) = (dir.path().join("root"), dir.path().join("other"));
    fs::write(&root, "a file").unwrap();
    let (host, database) = (Host::new(), TestDatabase::new(KNOWN_VOLUMES).await);
    let gate = gate(&host, &database).await;
    let roots = [root.clone(), other.clone()];
    assert_eq!(gate.follow(&roots, &[]).await.len(), 1);
    assert_eq!(host.health.degraded(), ["disk"]);
    assert!(refusal(&gate, &root.join("a")).await.contains("can not make"));
    gate.check(&other.join("a")).await.unwrap();
    fs::remove_file(&root).unwrap();
    assert_eq!(gate.follow(&roots, &[]).await, []);
    assert!(host.health.degraded().is_empty());
    gate.check(&root.join("a")).await.unwrap();
    drop(gate);
    database.remove().await;
}

#[tokio::test]
async fn an_outage_of_the_database_refuses_new_roots_alone_and_is_forgotten_when_it_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let (known, moved) = (dir.path().join("known"), dir.path().join("moved"));
    let (host, database) = (Host::new(), TestDatabase::new(KNOWN_VOLUMES).await);
    let gate = gate_with(&host, &database, &[&known], &[]).await;
    let follow = async |roots: &[&PathBuf]| {
        let roots: Vec<PathBuf> = roots.iter().map(|root| (*root).clone()).collect();
        gate.follow(&roots, &[]).await
    };
    database.close_door().await;
    // Settings that change meanwhile have the roots looked at again.
    assert_eq!(follow(&[&known]).await, []);
    gate.check(&known.join("a")).await.unwrap();
    let refused = follow(&[&known, &moved]).await;
    assert_eq!(refused, [(moved.clone(), "the database does not answer".to_owned())]);
    assert_eq!(host.health.degraded(), ["disk"]);
    // Another snapshot, before the next try.
    assert_eq!(follow(&[&known]).await, []);
    assert!(host.health.degraded().is_empty());
    assert_eq!(follow(&[&known, &moved]).await.len(), 1);
    // Nor does what is found of a volume meanwhile take the word back.
    gate.check(&known.join("a")).await.unwrap();
    assert_eq!(host.health.degraded(), ["disk"]);
    database.open_door().await;
    assert_eq!(follow(&[&known, &moved]).await, []);
    assert!(host.health.degraded().is_empty());
    gate.check(&moved.join("a")).await.unwrap();
    drop(gate);
    database.remove().await;
}

#[tokio::test]
async fn a_root_behind_a_link_is_asked_under_its_real_name_too() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let (disk, away, link) = (base.join("disk"), base.join("away"), base.join("link"));
    fs::create_dir(&disk).unwrap();
    std::os::unix::fs::symlink(&disk, &link).unwrap();
    let (host, database) = (Host::new(), TestDatabase::new(KNOWN_VOLUMES).await);
    let root = link.join("downloads");
    let gate = gate_with(&host, &database, &[&root], &[]).await;
    let paths = [root.join("a"), disk.join("downloads/a")];
    for path in &paths {
        gate.check(path).await.unwrap();
    }
    fs::rename(&disk, &away).unwrap();
    fs::create_dir_all(disk.join("downloads")).unwrap();
    // A fresh process knows no more of the link than the database does.
    for gate in [gate, gate_with(&host, &database, &[&root], &[]).await] {
        for path in &paths {
            assert!(refusal(&gate, path).await.contains("is gone"), "{}", path.display());
        }
    }
    fs::remove_dir_all(&disk).unwrap();
    let gate = gate_with(&host, &database, &[&root], &[]).await;
    for path in &paths {
        assert!(refusal(&gate, path).await.contains("does not exist any more"), "{}", path.display());
    }
    assert!(!disk.exists());
    fs::rename(&away, &disk).unwrap();
    for path in &paths {
        gate.check(path).await.unwrap();
    }
    drop(gate);
    database.remove().await;
}

#[tokio::test]
async fn a_directory_that_takes_no_mark_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (root, other) = (dir.path().join("root"), dir.path().join("other"));
    fs::create_dir(&other).unwrap();
    fs::write(other.join(SENTINEL_NAME), "of somebody else").unwrap();
    let (host, database) = (Host::new(), TestDatabase::new(KNOWN_VOLUMES).await);
    let gate = gate_with(&host, &database, &[&root], &[]).await;
    assert!(refusal(&gate, &other).await.contains("32 hexadecimal digits"));
    fs::write(other.join(SENTINEL_NAME), "0123456789abcdef0123456789abcdef\n").unwrap();
    gate.check(&other).await.unwrap();
    drop(gate);
    database.remove().await;
}

#[tokio::test]
async fn an_allowed_directory_on_a_disk_that_is_not_mounted_is_not_written_into() {
    let Some(outer) = helper_argument() else {
        return with_own_mounts("an_allowed_directory_on_a_disk_that_is_not_mounted_is_not_written_into");
    };
    let [disk, mnt, root] = ["disk", "mnt", "root"].map(|name| outer.join(name));
    let big = mnt.join("big");
    for dir in [&disk, &big] {
        fs::create_dir_all(dir).unwrap();
    }
    mount_tmpfs(&disk);
    let mount_big = || mount(&disk, &big, "", MountFlags::BIND, None::<&CStr>).unwrap();
    mount_big();
    let (host, database) = (Host::new(), TestDatabase::new(KNOWN_VOLUMES).await);
    let torrent = big.join("tv/show");
    let start = async || gate_with(&host, &database, &[&root], &[&mnt]).await;
    let running = start().await;
    running.check(&torrent).await.unwrap();
    // One mark for the volume: neither above its mount point nor one for each download.
    assert!(big.join(SENTINEL_NAME).exists() && !mnt.join(SENTINEL_NAME).exists());
    assert!(!big.join("tv").exists());

    unmount(&big, UnmountFlags::DETACH).unwrap();
    for gate in [&running, &start().await] {
        let reason = refusal(gate, &torrent).await;
        assert!(reason.contains("an empty directory is in its place"), "{reason}");
        assert!(refusal(gate, &big.join("films")).await.contains("is gone"));
    }
    assert_eq!(fs::read_dir(&big).unwrap().count(), 0);
    mount_big();
    running.check(&torrent).await.unwrap();
    unmount(&big, UnmountFlags::DETACH).unwrap();
    unmount(&disk, UnmountFlags::DETACH).unwrap();
    drop(running);
    database.remove().await;
}

#[tokio::test]
async fn a_disk_mounted_beneath_a_root_has_a_mark_of_its_own() {
    let Some(outer) = helper_argument() else {
        return with_own_mounts("a_disk_mounted_beneath_a_root_has_a_mark_of_its_own");
    };
    let root = outer.join("root");
    let tv = root.join("tv");
    fs::create_dir_all(&tv).unwrap();
    mount_tmpfs(&tv);
    let (host, database) = (Host::new(), TestDatabase::new(KNOWN_VOLUMES).await);
    let gate = gate_with(&host, &database, &[&root], &[]).await;
    gate.check(&tv).await.unwrap();
    gate.check(&root.join("films")).await.unwrap();
    assert!(tv.join(SENTINEL_NAME).exists() && !root.join("films").exists());
    unmount(&tv, UnmountFlags::DETACH).unwrap();
    for gate in [&gate, &gate_with(&host, &database, &[&root], &[]).await] {
        assert!(refusal(gate, &tv.join("a")).await.contains("is gone"));
        gate.check(&root.join("films")).await.unwrap();
    }
    drop(gate);
    database.remove().await;
}

/// Runs the test `name` again in a process with mounts of its own, which touch nobody else.
fn with_own_mounts(name: &str) {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let outer = tempfile::tempdir().unwrap();
    let status = command
        .args(["--mount", "--propagation", "private", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(HELPER, outer.path())
        .status()
        .expect("unshare of util-linux is installed");
    assert!(status.success());
}

fn mount_tmpfs(at: &Path) {
    mount("tmpfs", at, "tmpfs", MountFlags::empty(), None::<&CStr>).unwrap();
}

#[tokio::test]
async fn a_lazy_unmount_is_noticed_by_itself() {
    let Some(root) = helper_argument() else {
        return with_own_mounts("a_lazy_unmount_is_noticed_by_itself");
    };
    mount_tmpfs(&root);
    let host = Host::new();
    let volumes = Volumes::start(&host.tasks, &host.health);
    register(&volumes, &root).await;
    let mut seen = volumes.watch();
    let opened = fs::File::create(root.join("being downloaded")).unwrap();
    let begin = Instant::now();
    unmount(&root, UnmountFlags::DETACH).unwrap();
    let reason = wait_for_fault(&mut seen, &root).await;
    assert!(reason.contains("an empty directory is in its place"), "{reason}");
    // Well before the clock: the kernel told.
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    drop(opened);
}

#[tokio::test]
async fn the_same_volume_mounted_anew_has_another_generation() {
    let Some(outer) = helper_argument() else {
        return with_own_mounts("the_same_volume_mounted_anew_has_another_generation");
    };
    let [disk, root, other] = ["disk", "root", "other"].map(|name| outer.join(name));
    for dir in [&disk, &root, &other] {
        fs::create_dir(dir).unwrap();
    }
    mount_tmpfs(&disk);
    let bind = || mount(&disk, &root, "", MountFlags::BIND, None::<&CStr>).unwrap();
    bind();
    let host = Host::new();
    let volumes = Volumes::start(&host.tasks, &host.health);
    register(&volumes, &root).await;
    let mut seen = volumes.watch();
    let before = volumes.check(&root).await.unwrap();
    // Away and back, possibly between two looks: the mount id tells. Before Linux 6.8 ids are used again, so
    // another mount takes the one that was freed. A look may hold the root open for a moment.
    unmount(&root, UnmountFlags::DETACH).unwrap();
    mount_tmpfs(&other);
    bind();
    wait_for_generation(&mut seen, &root, before.generation + 1).await;
    let after = volumes.check(&root).await.unwrap();
    assert_eq!(after.device, before.device);
    for dir in [&root, &disk, &other] {
        unmount(dir, UnmountFlags::DETACH).unwrap();
    }
}

#[tokio::test]
async fn a_read_only_root_is_refused_with_the_reason() {
    let Some(root) = helper_argument() else {
        return with_own_mounts("a_read_only_root_is_refused_with_the_reason");
    };
    mount("tmpfs", &root, "tmpfs", MountFlags::RDONLY, None::<&CStr>).unwrap();
    let host = Host::new();
    let volumes = Volumes::start(&host.tasks, &host.health);
    let error = volumes.register(&root, None).await.unwrap_err();
    assert!(error.to_string().contains("its sentinel file can not be written"), "{error}");
    unmount(&root, UnmountFlags::DETACH).unwrap();
}
