//! `migrate --check`.

use std::{fs, os::unix::fs::PermissionsExt};

use sqlx::Connection as _;

use crate::{
    common::postmaster_pid,
    place::both,
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
