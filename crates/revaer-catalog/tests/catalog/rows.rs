//! Records as rows: what is stored comes back, and the database itself refuses what must not be there twice.

use std::collections::BTreeMap;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use revaer_catalog::{TorrentRecord, sql};
use revaer_torrent_core::{InfoHashes, TorrentId};

use crate::{
    database::Database,
    records::{any_record, content, id, record, removed, v1, v2},
};

async fn put(database: &mut Database, record: &TorrentRecord) -> Result<(), sqlx::Error> {
    sql::torrent_put(&mut database.connection, record).await
}

async fn load(database: &mut Database) -> BTreeMap<TorrentId, TorrentRecord> {
    let records = sql::torrents_load(&mut database.connection).await.unwrap();
    records.into_iter().map(|record| (record.id, record)).collect()
}

async fn refused_by(database: &mut Database, record: &TorrentRecord) -> String {
    let refusal = put(database, record).await.unwrap_err();
    refusal.as_database_error().and_then(|error| error.constraint()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_record_comes_back_as_it_was_new_and_overwritten() {
    let mut database = Database::new("round_trip").await;
    let mut runner = TestRunner::deterministic();
    let mut any = || any_record().new_tree(&mut runner).unwrap().current();
    let mut stored = BTreeMap::new();
    for _ in 0..300 {
        let record = any();
        put(&mut database, &record).await.unwrap();
        stored.insert(record.id, record);
    }
    assert_eq!(load(&mut database).await, stored);

    for record in stored.values_mut() {
        *record = TorrentRecord { id: record.id, ..any() };
        put(&mut database, record).await.unwrap();
    }
    assert_eq!(load(&mut database).await, stored);
    database.remove().await;
}

#[tokio::test]
async fn an_info_hash_is_there_once_until_its_torrent_is_a_tombstone() {
    let mut database = Database::new("hashes").await;
    for (one, constraint) in [(v1(1), "torrents_info_hash_v1"), (v2(1), "torrents_info_hash_v2")] {
        let number = if one.v1.is_some() { 10 } else { 20 };
        let first = TorrentRecord { info_hashes: one, ..record(number) };
        let second = TorrentRecord { info_hashes: one, ..record(number + 1) };
        put(&mut database, &first).await.unwrap();
        put(&mut database, &first).await.unwrap();
        assert_eq!(refused_by(&mut database, &second).await, constraint);
        let hybrid = InfoHashes { v1: one.v1.or(v1(9).v1), v2: one.v2.or(v2(9).v2) };
        let hybrid = TorrentRecord { info_hashes: hybrid, ..record(number + 2) };
        assert_eq!(refused_by(&mut database, &hybrid).await, constraint);

        put(&mut database, &removed(first.clone())).await.unwrap();
        put(&mut database, &second).await.unwrap();
        put(&mut database, &removed(TorrentRecord { id: id(99), ..first.clone() })).await.unwrap();
        assert_eq!(refused_by(&mut database, &first).await, constraint, "a tombstone does not come back");
    }
    let none = TorrentRecord { info_hashes: InfoHashes { v1: None, v2: None }, ..record(30) };
    assert!(refused_by(&mut database, &none).await.ends_with("_check"));
    database.remove().await;
}

#[tokio::test]
async fn a_content_path_is_there_once_tombstones_included() {
    let mut database = Database::new("paths").await;
    let mut first = record(1);
    first.placement.content = Some(content("/downloads", "name"));
    let mut second = record(2);
    second.placement.content = Some(content("/downloads", "name"));
    put(&mut database, &first).await.unwrap();
    put(&mut database, &removed(first.clone())).await.unwrap();
    assert_eq!(refused_by(&mut database, &second).await, "torrents_content_path");
    second.placement.content = Some(content("/downloads/2", "name"));
    put(&mut database, &second).await.unwrap();
    // Without metadata there is no path yet, for any number of torrents.
    put(&mut database, &record(3)).await.unwrap();
    put(&mut database, &record(4)).await.unwrap();

    sql::torrent_delete(&mut database.connection, first.id).await.unwrap();
    let mut third = record(5);
    third.placement.content = Some(content("/downloads", "name"));
    put(&mut database, &third).await.unwrap();
    assert_eq!(load(&mut database).await.len(), 4);
    database.remove().await;
}

#[tokio::test]
async fn a_metainfo_lives_and_goes_with_its_torrent() {
    let mut database = Database::new("metainfo").await;
    let one = record(1);
    put(&mut database, &one).await.unwrap();
    let connection = &mut database.connection;
    assert_eq!(sql::metainfo_with_pieces(connection, one.id).await.unwrap(), None);
    sql::metainfo_put(connection, one.id, b"first").await.unwrap();
    sql::pieces_put(connection, one.id, Some(b"\x01")).await.unwrap();
    sql::metainfo_put(connection, one.id, b"second").await.unwrap();
    assert_eq!(sql::metainfo_get(connection, one.id).await.unwrap().as_deref(), Some(&b"second"[..]));
    let (metainfo, pieces) = sql::metainfo_with_pieces(connection, one.id).await.unwrap().unwrap();
    assert_eq!((&*metainfo, pieces.as_deref()), (&b"second"[..], Some(&b"\x01"[..])));
    sql::pieces_put(connection, one.id, None).await.unwrap();
    assert_eq!(sql::metainfo_with_pieces(connection, one.id).await.unwrap().unwrap().1, None);

    let orphan = sql::metainfo_put(connection, id(2), b"orphan").await.unwrap_err();
    assert!(orphan.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation));
    sql::torrent_delete(connection, one.id).await.unwrap();
    sql::torrent_delete(connection, one.id).await.unwrap();
    assert_eq!(sql::metainfo_get(connection, one.id).await.unwrap(), None);
    database.remove().await;
}

#[tokio::test]
async fn a_row_that_no_version_wrote_is_named_with_its_column() {
    let mut database = Database::new("broken").await;
    let one = record(1);
    let cases = [
        ("last_state", "UPDATE torrents SET last_state = 'asleep'"),
        ("peers", "UPDATE torrents SET peers = ARRAY['nowhere']"),
        ("priorities", r#"UPDATE torrents SET priorities = '[[0, "urgent"]]'"#),
        ("priorities", r"UPDATE torrents SET priorities = '{}'"),
        ("generation", "UPDATE torrents SET generation = -1"),
    ];
    for (column, statement) in cases {
        put(&mut database, &one).await.unwrap();
        sqlx::query(statement).execute(&mut database.connection).await.unwrap();
        let error = sql::torrents_load(&mut database.connection).await.unwrap_err().to_string();
        assert!(error.contains(&format!("row {}:", one.id)), "{error}");
        assert!(error.contains(&format!("column {column} ")), "{error}");
    }
    database.remove().await;
}
