//! A backup is read as it was written, and refused when a byte of it is not.

use std::{fs, io::Write as _, path::Path};

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{super::manifest::*, *};

const ID: &str = "0193b7a0-0000-7000-8000-000000000001";

fn written(path: &Path) {
    let target = Target::file(path, true).unwrap();
    let mut writer = ArchiveWriter::new(target.writer().unwrap(), OffsetDateTime::UNIX_EPOCH).unwrap();
    writer.stream(DATABASE, &b"a dump"[..]).unwrap();
    writer.resume_file(&format!("{ID}.fastresume"), b"a blob").unwrap();
    writer.part(KEY, b"a key\n").unwrap();
    let manifest = Manifest {
        format: FORMAT,
        product_version: "1".to_owned(),
        product_sha: String::new(),
        taken_at: OffsetDateTime::UNIX_EPOCH,
        data_dir: "/d".to_owned(),
        resume_dir: "/d/resume".to_owned(),
        database: DatabaseFacts {
            server_version: "15.1".to_owned(),
            schema: "public".to_owned(),
            schema_version: 6,
            settings_revision: 7,
            event_lease: 8,
        },
        parts: Vec::new(),
    };
    writer.finish(manifest).unwrap();
    assert_eq!(target.commit().unwrap().as_deref(), Some(path));
}

fn open(path: &Path) -> Result<Backup, String> {
    Backup::open(path, CancellationToken::new()).map_err(|error| error.to_string())
}

#[test]
fn what_was_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.tar");
    written(&path);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let backup = open(&path).unwrap();
    assert_eq!(backup.manifest().database.event_lease, 8);
    assert_eq!(backup.key(), b"a key\n");
    let mut seen = Vec::new();
    backup
        .for_each(|entry, content| {
            let mut text = String::new();
            content.read_to_string(&mut text)?;
            seen.push(format!("{entry:?} {text}"));
            Ok(())
        })
        .unwrap();
    let expected = [
        "Database a dump".to_owned(),
        format!("Resume(\"{ID}.fastresume\") a blob"),
        "Key a key\n".to_owned(),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn every_byte_of_a_part_counts_and_so_does_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.tar");
    written(&path);
    let whole = fs::read(&path).unwrap();
    for part in ["a dump", "a blob", "a key"] {
        let mut bytes = whole.clone();
        let at = bytes.windows(part.len()).position(|window| window == part.as_bytes()).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(open(&path).unwrap_err().contains("the sum of"), "{part}");
    }
    for length in (1024..whole.len() - 1024).step_by(509) {
        fs::write(&path, &whole[..length]).unwrap();
        let refused = open(&path).map(|_| length);
        assert!(refused.as_ref().is_err_and(|why| why.contains("damaged")), "{refused:?} at {length}");
    }
    for other in [&b""[..], b"hello", &[0; 4096]] {
        fs::write(&path, other).unwrap();
        assert!(open(&path).unwrap_err().contains("not a backup"), "{other:?}");
    }
}

#[test]
fn a_missing_block_anywhere_is_damage_and_says_nothing_of_what_is_in_it() {
    const BLOCK: usize = 512;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.tar");
    written(&path);
    let whole = fs::read(&path).unwrap();
    // The last two blocks are the end mark, which a tar may lack.
    for at in (0..whole.len() - 2 * BLOCK).step_by(BLOCK) {
        let cut = [&whole[..at], &whole[at + BLOCK..]].concat();
        fs::write(&path, cut).unwrap();
        let why = Backup::open(&path, CancellationToken::new()).unwrap_err();
        let why = format!("{:#}", anyhow::Error::from(why));
        assert!(why.contains("is damaged") || why.contains("is not a backup"), "{why} at {at}");
        for content in ["a key", "a dump", "a blob", ID, "numeric field"] {
            assert!(!why.contains(content), "{why} at {at}");
        }
    }
}

#[test]
fn what_the_disk_answers_is_said() {
    let error = Backup::open(Path::new("/"), CancellationToken::new()).unwrap_err();
    let why = format!("{:#}", anyhow::Error::from(error));
    assert_eq!(why, "can not read /: Is a directory (os error 21)");
}

#[test]
fn a_backup_that_is_given_up_leaves_nothing_and_a_leftover_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.tar");
    fs::write(&path, "the last one").unwrap();
    fs::write(dir.path().join(".b.tar.revaer-tmp"), "left by a kill").unwrap();
    let target = Target::file(&path, true).unwrap();
    target.writer().unwrap().write_all(b"half of one").unwrap();
    assert!(Target::file(&path, true).unwrap_err().to_string().contains("another backup"));
    drop(target);
    assert_eq!(fs::read_to_string(&path).unwrap(), "the last one");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    written(&path);
    open(&path).unwrap();
}

#[test]
fn a_file_that_is_there_is_kept_unless_it_is_to_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("b.tar");
    let target = Target::file(&path, false).unwrap();
    // Made by another while the backup was written.
    fs::write(&path, "another").unwrap();
    assert!(target.commit().unwrap_err().to_string().contains("--replace"));
    assert!(Target::file(&path, false).unwrap_err().to_string().contains("--replace"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "another");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
