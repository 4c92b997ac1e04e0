//! A restore brings back what was backed up, loses nothing that was there, and can be broken off at any moment.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use sqlx::Connection as _;

use crate::{
    common::{program::Program, wait_for},
    place::{BLOB, Place, both, names},
};

#[tokio::test]
async fn a_backup_of_a_running_server_comes_back_and_nothing_that_was_there_is_lost() {
    both(async |place| {
        let backup = place.backup();
        let server = place.program.serve().await;
        place.write_blob("saved");
        fs::write(place.resume("clean-stop"), "some boot").unwrap();
        place.set_name("before").await;
        let lease = place.lease().await;
        place.program.ok(&["backup", "--to", &backup]);
        assert_eq!(fs::metadata(&backup).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(names(place.dir.path()), ["backup.tar", "data", "data.log"], "nothing half is left");

        place.set_name("after").await;
        place.write_blob("saved later");
        fs::write(place.resume(&BLOB.replace("0001", "0002")), "added later").unwrap();
        let restore = &["restore", "--from", &backup];
        let replace = &["restore", "--from", &backup, "--replace"];
        assert!(place.program.refused(replace).contains("in use"), "the server runs");
        server.stop().await;
        assert!(place.program.refused(restore).contains("--replace"));
        let secret = fs::read(place.program.data_dir.join("secret.key")).unwrap();
        fs::write(place.program.data_dir.join("secret.key"), "another").unwrap();

        let said = place.program.ok(replace);
        assert!(said.contains("kept"), "{said}");
        assert!(!place.program.data_dir.join("restore.json").exists());
        assert_eq!(fs::read(place.program.data_dir.join("secret.key")).unwrap(), secret);
        assert_eq!(fs::read_to_string(place.resume(BLOB)).unwrap(), "saved");
        assert!(!place.resume("clean-stop").exists(), "what comes back is not the last word");
        let aside = names(&place.program.data_dir);
        assert!(aside.iter().any(|name| name.starts_with("secret.key.before-restore-")), "{aside:?}");
        if place.external.is_none() {
            assert!(aside.iter().any(|name| name.starts_with("pg.before-restore-")), "{aside:?}");
        }
        let resume = names(&place.program.data_dir.join("resume"));
        assert_eq!(resume.len(), 2, "{resume:?}");
        let kept = names(&place.resume(&resume[1]));
        assert_eq!(kept.len(), 3, "{kept:?}");

        let server = place.program.serve().await;
        assert_eq!(place.name().await, "before");
        assert!(place.lease().await > lease + (1 << 32), "event numbers never fall");
        server.stop().await;

        // Again, by a backup of the stopped server, and once more: numbers rise each time.
        assert!(place.program.refused(&["backup", "--to", &backup]).contains("--replace"));
        place.program.ok(&["backup", "--to", &backup, "--replace"]);
        place.program.ok(replace);
        let server = place.program.serve().await;
        let first = place.lease().await;
        server.stop().await;
        place.program.ok(replace);
        let server = place.program.serve().await;
        assert!(place.lease().await > first);
        server.stop().await;
        place.remove().await;
    })
    .await;
}

#[tokio::test]
async fn keys_are_good_under_the_secret_key_that_comes_back() {
    let place = Place::embedded();
    let server = place.program.serve().await;
    let key = server.set_up();
    place.program.ok(&["backup", "--to", &place.backup()]);
    server.stop().await;
    fs::remove_file(place.program.data_dir.join("secret.key")).unwrap();
    place.program.ok(&["restore", "--from", &place.backup(), "--replace"]);
    let server = place.program.serve().await;
    let (status, body) = server.request("GET", "/health/full", Some(&key), "");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"degraded\":[]"), "{body}");
    server.stop().await;
}

#[tokio::test]
async fn a_backup_comes_back_in_another_place() {
    let place = Place::embedded();
    let server = place.program.serve().await;
    place.write_blob("saved");
    place.set_name("moved").await;
    server.stop().await;
    place.program.ok(&["backup", "--to", &place.backup()]);
    let other = Place { program: Program::new(&place.path("other")), ..Place::embedded() };
    let said = other.program.ok(&["restore", "--from", &place.backup()]);
    assert!(said.contains("downloads"), "where content is expected is said: {said}");
    assert_eq!(fs::read_to_string(other.resume(BLOB)).unwrap(), "saved");
    let server = other.program.serve().await;
    assert_eq!(other.name().await, "moved");
    let resume_dir = other.text("SELECT resume_dir::text FROM settings_engine_profile").await;
    assert_eq!(Path::new(&resume_dir), other.program.data_dir.canonicalize().unwrap().join("resume"));
    let actor = other.text("SELECT actor FROM settings_history ORDER BY id DESC LIMIT 1").await;
    assert_eq!(actor, "revaer-app restore");
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_backup_touches_nothing() {
    both(async |place| {
        let server = place.program.serve().await;
        place.set_name("here").await;
        place.program.ok(&["backup", "--to", &place.backup()]);
        server.stop().await;
        let mut bytes = fs::read(place.backup()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(place.backup(), &bytes).unwrap();
        let before = names(&place.program.data_dir);
        let error = place.program.refused(&["restore", "--from", &place.backup(), "--replace"]);
        assert!(error.contains("damaged"), "{error}");
        assert_eq!(names(&place.program.data_dir), before);
        let server = place.program.serve().await;
        assert_eq!(place.name().await, "here");
        server.stop().await;
        place.remove().await;
    })
    .await;
}

#[tokio::test]
async fn a_restore_that_is_killed_at_any_moment_can_be_done_again_and_no_server_starts_between() {
    let place = Place::embedded();
    let data = place.program.data_dir.clone();
    let server = place.program.serve().await;
    place.write_blob("saved");
    place.set_name("restored").await;
    place.program.ok(&["backup", "--to", &place.backup()]);
    place.set_name("replaced").await;
    server.stop().await;
    // A sign of each stage.
    let (mark, initdb) = (data.join("restore.json"), data.join("pg.tmp/PG_VERSION"));
    let (new, pid, blob) = (data.join("pg"), data.join("pg/postmaster.pid"), place.resume(BLOB));
    let sign = |name: &str| match name {
        "the mark" => mark.exists(),
        "the old cluster renamed" => !new.exists(),
        "a cluster in the making" => initdb.exists(),
        "a new cluster" => pid.exists(),
        "files" => blob.exists(),
        other => unreachable!("{other}"),
    };
    let names_of_signs =
        ["the mark", "the old cluster renamed", "a cluster in the making", "a new cluster", "files"];
    for name in names_of_signs {
        // The blob of the last round is the sign of the next.
        drop(fs::remove_file(place.resume(BLOB)));
        let mut restore =
            place.program.command(&["restore", "--from", &place.backup(), "--replace"]).spawn().unwrap();
        let early = wait_for(name, async || {
            let ended = restore.try_wait().unwrap();
            (sign(name) || ended.is_some()).then_some(ended)
        })
        .await;
        restore.kill().unwrap();
        restore.wait().unwrap();
        if early.is_none() && data.join("restore.json").exists() {
            let (code, _, error) = place.program.run(&["--listen", "127.0.0.1:0"]);
            assert_eq!(code, 3, "{name}");
            assert!(error.contains("run revaer-app restore again"), "{name}: {error}");
            assert!(
                place.program.refused(&["backup", "--to", "/nowhere/x"]).contains("restore again"),
                "{name}"
            );
            place.program.ok(&["restore", "--from", &place.backup()]);
        }
        let server = place.program.serve().await;
        assert_eq!(place.name().await, "restored", "{name}");
        assert_eq!(fs::read_to_string(place.resume(BLOB)).unwrap(), "saved", "{name}");
        server.stop().await;
    }
    let kept = names(&data).into_iter().filter(|name| name.starts_with("pg.before-restore-")).count();
    assert!(kept >= 1, "the cluster that was there first is kept");
}

#[tokio::test]
async fn an_external_database_that_is_half_restored_is_refused_by_every_server() {
    let place = Place::external().await;
    let server = place.program.serve().await;
    place.set_name("restored").await;
    place.program.ok(&["backup", "--to", &place.backup()]);
    server.stop().await;
    let mut conn = place.connect().await;
    // What a kill between making room and the transaction's commit leaves.
    sqlx::raw_sql(
        "ALTER SCHEMA public RENAME TO before; CREATE SCHEMA public; CREATE TABLE revaer_restore (x int)",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    let other =
        Program { database_url: place.program.database_url.clone(), ..Program::new(&place.path("other")) };
    assert!(other.refused(&["--listen", "127.0.0.1:0"]).contains("did not come to its end"));
    place.program.ok(&["restore", "--from", &place.backup()]);
    let server = place.program.serve().await;
    assert_eq!(place.name().await, "restored");
    server.stop().await;
    conn.close().await.unwrap();
    place.remove().await;
}

#[tokio::test]
async fn a_backup_that_lacks_a_block_is_refused_without_a_word_of_its_content() {
    const BLOCK: usize = 512;
    let place = Place::embedded();
    place.program.serve().await.stop().await;
    place.program.ok(&["backup", "--to", &place.backup()]);
    let secret = fs::read_to_string(place.program.data_dir.join("secret.key")).unwrap();
    let whole = fs::read(place.backup()).unwrap();
    let at = whole.windows(secret.len()).position(|window| window == secret.as_bytes()).unwrap();
    // The header of the key's part: the key itself stands where a header should.
    let header = at - BLOCK;
    let cut = place.path("cut.tar");
    fs::write(&cut, [&whole[..header], &whole[at..]].concat()).unwrap();
    let said = place.program.refused(&["restore", "--from", &cut.display().to_string()]);
    assert!(said.contains("is damaged") && !said.contains(secret.trim()), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
