//! The commands of the host, with the real program on real databases: embedded and external, running and stopped.

#![expect(clippy::unwrap_used, reason = "a test, on directories of its own")]

mod common;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use common::{data_dir, database::TestDatabase, postmaster_pid, program::Program, wait_for};
use rustix::process::Signal;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

const BLOB: &str = "0193b7a0-0000-7000-8000-000000000001.fastresume";

/// A place for one test: a data directory, a backup, and what else there is.
struct Place {
    dir: tempfile::TempDir,
    program: Program,
    external: Option<TestDatabase>,
}

impl Place {
    fn embedded() -> Self {
        let dir = data_dir();
        let program = Program::new(&dir.path().join("data"));
        Self { dir, program, external: None }
    }

    async fn external() -> Self {
        let database = TestDatabase::new("").await;
        let mut place = Self::embedded();
        place.program.database_url = Some(url(&database.options));
        place.external = Some(database);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn backup(&self) -> String {
        self.path("backup.tar").display().to_string()
    }

    fn resume(&self, name: &str) -> PathBuf {
        self.program.data_dir.join("resume").join(name)
    }

    fn write_blob(&self, text: &str) {
        fs::create_dir_all(self.program.data_dir.join("resume")).unwrap();
        fs::write(self.resume(BLOB), text).unwrap();
    }

    /// Of a running server.
    async fn connect(&self) -> PgConnection {
        match &self.external {
            Some(database) => database.connect().await,
            None => {
                let options = revaer_app::postgres::reach_running(&self.program.data_dir).unwrap();
                PgConnection::connect_with(&options).await.unwrap()
            }
        }
    }

    async fn set_name(&self, name: &str) {
        let mut conn = self.connect().await;
        sqlx::query("UPDATE settings_app_profile SET instance_name = $1")
            .bind(name)
            .execute(&mut conn)
            .await
            .unwrap();
        conn.close().await.unwrap();
    }

    async fn text(&self, query: &'static str) -> String {
        let mut conn = self.connect().await;
        let text = sqlx::query_scalar(query).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        text
    }

    async fn name(&self) -> String {
        self.text("SELECT instance_name FROM settings_app_profile").await
    }

    async fn lease(&self) -> i64 {
        self.text("SELECT leased_through::text FROM event_log_state").await.parse().unwrap()
    }

    async fn remove(self) {
        if let Some(database) = self.external {
            database.remove().await;
        }
    }
}

/// As the server takes it; the tests' server is reached by a socket.
fn url(options: &PgConnectOptions) -> String {
    let host = options
        .get_socket()
        .map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string());
    format!(
        "postgres://{}@localhost:{}/{}?host={host}",
        options.get_username(),
        options.get_port(),
        options.get_database().unwrap()
    )
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn both(test: impl AsyncFn(Place)) {
    test(Place::embedded()).await;
    test(Place::external().await).await;
}

#[tokio::test]
async fn migrate_check_tells_same_pending_and_newer_apart() {
    both(async |place| {
        let check = &["migrate", "--check"];
        if place.external.is_none() {
            assert!(place.program.refused(check).contains("no data directory"));
            assert!(!place.program.data_dir.exists(), "a question makes nothing");
            fs::create_dir(&place.program.data_dir).unwrap();
            fs::set_permissions(&place.program.data_dir, fs::Permissions::from_mode(0o711)).unwrap();
        }
        let (code, out, _) = place.program.run(check);
        assert_eq!(code, 1);
        assert!(out.contains("pending: 1 create settings"), "{out}");
        let server = place.program.serve().await;
        assert!(place.program.ok(check).contains("the schema is that of this program"));
        let mut conn = place.connect().await;
        let newest: i64 =
            sqlx::query_scalar("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations) RETURNING version")
                .fetch_one(&mut conn).await.unwrap();
        let (code, out, _) = place.program.run(check);
        assert_eq!(code, 1);
        assert_eq!(out.lines().count(), 1);
        assert!(out.starts_with(&format!("pending: {newest} ")), "{out}");
        sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', true, '', 0)")
            .execute(&mut conn).await.unwrap();
        assert!(place.program.refused(check).contains("9999"));
        conn.close().await.unwrap();
        server.stop().await;
        assert!(place.program.refused(check).contains("9999"), "of a stopped server too");
        assert_eq!(postmaster_pid(&place.program.data_dir), None, "what was started has stopped");
        place.remove().await;
    })
    .await;
}

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
        place.program.ok(&["backup", "--to", &backup]);
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
async fn a_full_disk_leaves_the_last_backup_and_nothing_half() {
    let place = Place::embedded();
    let server = place.program.serve().await;
    place.write_blob(&"x".repeat(300_000));
    let small = place.path("small");
    fs::create_dir(&small).unwrap();
    // In mounts of its own, on a disk of 256 KiB.
    let script = r#"mount -t tmpfs -o size=256k,mode=711 none "$1" && echo last > "$1/b.tar" || exit 99
        shift; "$@"; code=$?; ls -A "$SMALL"; cat "$SMALL/b.tar"; exit $code"#;
    let backup = place.program.command(&["backup", "--to", &small.join("b.tar").display().to_string()]);
    let mut shell = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        shell.arg("--map-root-user");
    }
    shell.args(["--mount", "--propagation", "private", "--", "sh", "-c", script, "sh"]).arg(&small);
    shell.arg(backup.get_program()).args(backup.get_args()).env("SMALL", &small).env_remove("DATABASE_URL");
    let (code, out, err) = common::program::said(&shell.output().unwrap());
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

#[tokio::test]
async fn issue_key_gives_a_key_to_whoever_is_on_the_host() {
    both(async |place| {
        let server = place.program.serve().await;
        assert!(place.program.refused(&["issue-key"]).contains("complete its setup"));
        server.set_up();
        let issued = place.program.ok(&["issue-key", "--key-id", "host", "--label", "for me"]);
        let key = issued.trim().to_owned();
        let secret = key.strip_prefix("host:").unwrap();
        assert_eq!(secret.len(), 43, "256 random bits");
        let is_good = async |key: &str, wanted: u16| {
            wait_for("the running server has seen the key", async || {
                (server.request("GET", "/v1/torrents", Some(key), "").0 == wanted).then_some(())
            })
            .await;
        };
        is_good(&key, 200).await;
        let again = &["issue-key", "--key-id", "host", "--replace"];
        assert!(place.program.refused(&again[..3]).contains("--replace"));
        let second = place.program.ok(again);
        is_good(second.trim(), 200).await;
        is_good(&key, 401).await;
        let history = place.text("SELECT actor || ' ' || coalesce(new::text, '') FROM settings_history ORDER BY id DESC LIMIT 1").await;
        assert!(history.starts_with("revaer-app issue-key") && !history.contains(secret), "{history}");
        server.stop().await;
        // With nobody there to tell.
        let third = place.program.ok(&["issue-key", "--expires-at", "2999-01-01T00:00:00Z"]);
        let server = place.program.serve().await;
        assert_eq!(server.request("GET", "/v1/torrents", Some(third.trim()), "").0, 200);
        server.stop().await;
        place.remove().await;
    })
    .await;
}

#[tokio::test]
async fn rotate_secret_key_is_for_a_stopped_server_and_keeps_keys() {
    both(async |place| {
        let server = place.program.serve().await;
        let key = server.set_up();
        assert!(place.program.refused(&["rotate-secret-key"]).contains("in use"));
        server.stop().await;
        let file = place.program.data_dir.join("secret.key");
        let before = fs::read(&file).unwrap();
        place.program.ok(&["rotate-secret-key"]);
        assert_ne!(fs::read(&file).unwrap(), before);
        let server = place.program.serve().await;
        assert_eq!(server.request("GET", "/v1/torrents", Some(&key), "").0, 200);
        let (_, health) = server.request("GET", "/health/full", Some(&key), "");
        assert!(health.contains("\"degraded\":[]"), "{health}");
        server.stop().await;
        place.remove().await;
    })
    .await;
}

/// Only root can become somebody else.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test]
async fn puid_pgid_and_umask_are_taken_before_anything_is_opened() {
    const NOBODY: u32 = 65_534;
    let mut place = Place::embedded();
    let set = |program: &mut Program, puid: &str, pgid: &str, umask: &str| {
        program.env = [("PUID", puid), ("PGID", pgid), ("UMASK", umask)]
            .map(|(name, value)| (name, value.to_owned()))
            .into();
    };
    for (puid, pgid, umask, said) in
        [("me", "1", "022", "PUID"), ("", "1", "022", "PUID is not"), ("1", "1", "9", "UMASK")]
    {
        set(&mut place.program, puid, pgid, umask);
        assert!(place.program.refused(&[]).contains(said));
        assert!(!place.program.data_dir.exists());
    }
    set(&mut place.program, "65534", "65534", "027");
    if !is_root() {
        let (_, _, error) = place.program.run(&["migrate", "--check"]);
        assert!(error.contains("without effect"), "{error}");
        return;
    }
    let server = place.program.serve().await;
    let pid = server.child.id();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let ids = |name: &str| -> Vec<u32> {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).map(|id| id.parse().unwrap()).collect()
    };
    assert_eq!((ids("Uid:"), ids("Gid:"), ids("Groups:")), (vec![NOBODY; 4], vec![NOBODY; 4], vec![NOBODY]));
    assert!(status.contains("Umask:\t0027"), "{status}");
    for thread in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(status.contains("Uid:\t65534\t65534\t65534\t65534"), "{status}");
    }
    let data = place.program.data_dir.clone();
    for file in ["", "secret.key", "lock", "pg", "pg/postmaster.pid", "pg.sock", "url"] {
        assert_eq!(fs::metadata(data.join(file)).unwrap().uid(), NOBODY, "{file}");
    }
    // From the host as root, with none of the variables: as the server's user.
    place.program.env.clear();
    let out = fs::File::create(place.path("b.tar")).unwrap();
    let backup = place.program.command(&["backup", "--to", "-"]).stdout(out).status().unwrap();
    assert!(backup.success());
    server.stop().await;
    place.program.ok(&["migrate", "--check"]);
    for file in names(&data) {
        assert_eq!(fs::metadata(data.join(&file)).unwrap().uid(), NOBODY, "{file}");
    }
    set(&mut place.program, "65534", "65534", "");
    place.program.serve().await.stop().await;
}
