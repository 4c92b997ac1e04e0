//! The user that the server becomes.

use std::{fs, os::unix::fs::MetadataExt};

use crate::{
    common::program::Program,
    place::{Place, names},
};

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
