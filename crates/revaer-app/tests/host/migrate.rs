//! `migrate --check`.

use std::{fs, os::unix::fs::PermissionsExt};

use sqlx::Connection as _;

use crate::{
    common::postmaster_pid,
    place::{Place, both},
};

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
async fn a_wrong_database_url_is_said_once_with_the_host() {
    let mut place = Place::embedded();
    // A port of our own that nobody listens at.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    let commands: [&[&str]; 3] =
        [&["--listen", "127.0.0.1:0"], &["migrate", "--check"], &["rotate-secret-key"]];
    for words in commands {
        place.program.database_url = Some(format!("postgres://u:hunter2@127.0.0.1:{port}/d"));
        let said = place.program.refused(words);
        let last = said.lines().last().unwrap();
        assert!(last.contains(&format!("127.0.0.1:{port} can not be reached")), "{words:?} {said}");
        assert!(last.contains("DATABASE_URL"), "{words:?} {said}");
        assert_eq!(last.matches("Connection refused").count(), 1, "{words:?} {said}");
        place.program.database_url = Some("mysql://u:hunter2@127.0.0.1/d".to_owned());
        let refused = place.program.refused(words);
        assert!(refused.contains("has to begin with postgres://"), "{words:?} {refused}");
        assert!(!said.contains("hunter2") && !refused.contains("hunter2"), "{words:?} {said}{refused}");
    }
}
