//! A backup is whole, or it is not there.

use std::{fs, path::Path, process::Command};

use rustix::process::Signal;

use crate::{
    common::{program::said, wait_for},
    place::Place,
};

#[tokio::test]
async fn a_full_disk_leaves_the_last_backup_and_nothing_half() {
    let place = Place::embedded();
    let server = place.program.serve().await;
    place.write_blob(&"x".repeat(300_000));
    let small = place.path("small");
    fs::create_dir(&small).unwrap();
    // In mounts of its own, on a disk of 256 KiB.
    let script = r#"mount -t tmpfs -o size=256k,mode=711 none "$1" && echo last > "$1/b.tar" || exit 99
        shift; "$@"; code=$?; ls -A "$SMALL"; cat "$SMALL/b.tar"; exit $code"#;
    let file = small.join("b.tar").display().to_string();
    let backup = place.program.command(&["backup", "--to", &file, "--replace"]);
    let mut shell = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        shell.arg("--map-root-user");
    }
    shell.args(["--mount", "--propagation", "private", "--", "sh", "-c", script, "sh"]).arg(&small);
    shell.arg(backup.get_program()).args(backup.get_args()).env("SMALL", &small).env_remove("DATABASE_URL");
    let (code, out, err) = said(&shell.output().unwrap());
    assert_eq!(code, 3, "{out}{err}");
    assert_eq!(out, "b.tar\nlast\n");
    assert!(err.contains("No space left"), "{err}");
    server.stop().await;
}

#[tokio::test]
async fn a_signal_breaks_a_backup_off_and_leaves_nothing() {
    let place = Place::embedded();
    let server = place.program.serve().await;
    // A lock that pg_dump waits for.
    let mut conn = place.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE known_volumes IN ACCESS EXCLUSIVE MODE")
        .execute(&mut conn)
        .await
        .unwrap();
    let mut backup = place.program.command(&["backup", "--to", &place.backup()]).spawn().unwrap();
    let half = place.path(".backup.tar.revaer-tmp");
    wait_for("the backup has begun", async || half.exists().then_some(())).await;
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(backup.id().try_into().unwrap()).unwrap(),
        Signal::INT,
    )
    .unwrap();
    let status = wait_for("the backup ends", async || backup.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(130));
    assert!(!half.exists() && !Path::new(&place.backup()).exists());
    drop(conn);
    server.stop().await;
}
