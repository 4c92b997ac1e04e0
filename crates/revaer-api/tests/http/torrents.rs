//! One torrent: shown, told what to do, removed.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use revaer_catalog::{FsopsStatus, FsopsSummary, sql};
use revaer_torrent_core::{
    Bytes, BytesPerSecond, EngineState, InfoHashes, PieceSet, RateLimits, StateKind, TorrentId,
    engine::Observation,
};
use serde_json::{Value, json};

use crate::support::{Fixture, client::Client, engine::torrent, magnet, pointers};

const UNKNOWN: &str = "/v1/torrents/01980000-0000-7000-8000-000000000009";

async fn add(client: &Client, body: &Value) -> (TorrentId, String) {
    let summary = client.post("/v1/torrents", body).await.expect(202);
    let id = summary["id"].as_str().unwrap();
    (id.parse().unwrap(), format!("/v1/torrents/{id}"))
}

fn observation(id: TorrentId, pieces: PieceSet) -> Observation {
    Observation {
        id,
        loaded: true,
        state: EngineState::Downloading,
        info_hashes: InfoHashes::default(),
        metainfo: None,
        selection_version: None,
        limits: RateLimits::default(),
        pieces,
        wanted_done: Bytes(0),
        downloaded: Bytes(0),
        uploaded: Bytes(0),
        download_rate: BytesPerSecond(0),
        upload_rate: BytesPerSecond(0),
        peers: 0,
        error: None,
        conflict: false,
    }
}

#[tokio::test]
async fn actions_are_durable_before_their_answer_and_idempotent() {
    let (_fixture, client) = Fixture::active().await;
    let (_, path) = add(&client, &json!({"magnet": magnet(1)})).await;
    let action = format!("{path}/action");
    for _ in 0..2 {
        let paused = client.post(&action, &json!({"type": "pause"})).await.expect(202);
        assert_eq!(paused["state"]["kind"], "stopped");
    }
    assert_eq!(client.get(&path).await.expect(200)["state"]["kind"], "stopped");
    client.post(&action, &json!({"type": "resume"})).await.expect(202);
    let limited = client.post(&action, &json!({"type": "rate", "download_bps": 5, "upload_bps": 0})).await;
    assert_eq!(limited.expect(202)["rate_limit"], json!({"download_bps": 5, "upload_bps": 0}));
    // Both members absent: both keep their values.
    let kept = client.post(&action, &json!({"type": "rate"})).await.expect(202);
    assert_eq!(kept["rate_limit"], json!({"download_bps": 5, "upload_bps": 0}));
    let lifted = client.post(&action, &json!({"type": "rate", "download_bps": null})).await.expect(202);
    assert_eq!(lifted["rate_limit"], json!({"upload_bps": 0}));
    let removed = client.post(&action, &json!({"type": "remove", "delete_data": true})).await;
    assert_eq!((removed.status, removed.text.as_str()), (204, ""));
    client.get(&path).await.problem(404, "not-found");
    client.post(&action, &json!({"type": "remove"})).await.problem(404, "not-found");
}

#[tokio::test]
async fn an_action_that_there_is_not_is_told_with_those_there_are() {
    let (_fixture, client) = Fixture::active().await;
    let (_, path) = add(&client, &json!({"magnet": magnet(1)})).await;
    let answer = client.post(&format!("{path}/action"), &json!({"type": "dance"})).await;
    let refused = answer.problem(422, "validation-failed");
    assert_eq!(pointers(&refused), ["/type"]);
    assert!(refused.text.contains("pause, resume, remove, rate"), "{}", refused.text);
    let answer = client.post(&format!("{path}/action"), &json!({"type": "pause", "hard": true})).await;
    let refused = answer.problem(422, "validation-failed");
    assert!(refused.text.contains("there is no such member; known members: type"), "{}", refused.text);
}

#[tokio::test]
async fn a_torrent_that_is_not_there_is_never_a_silent_success() {
    let (_fixture, client) = Fixture::active().await;
    client.get(UNKNOWN).await.problem(404, "not-found");
    client.delete(UNKNOWN).await.problem(404, "not-found");
    client.post(&format!("{UNKNOWN}/action"), &json!({"type": "pause"})).await.problem(404, "not-found");
    for path in ["/v1/torrents/x", "/v1/torrents/00000000-0000-0000-0000-000000000000"] {
        let refused = client.get(path).await.problem(400, "bad-request");
        assert_eq!(pointers(&refused), ["/path/id"]);
    }
}

#[tokio::test]
async fn removal_is_the_same_by_either_path() {
    let (_fixture, client) = Fixture::active().await;
    let (id, path) = add(&client, &json!({"magnet": magnet(1)})).await;
    let refused =
        client.delete(&format!("{path}?delete_data=yes&all=true")).await.problem(400, "bad-request");
    assert_eq!(pointers(&refused), ["/query/all", "/query/delete_data"]);
    assert_eq!(client.delete(&format!("/admin/torrents/{id}?delete_data=true")).await.status, 204);
    client.delete(&path).await.problem(404, "not-found");
    assert_eq!(client.get("/v1/torrents").await.expect(200), json!({"torrents": []}));
}

#[tokio::test]
async fn files_show_what_is_selected_and_what_is_there() {
    let (fixture, client) = Fixture::active().await;
    let file = torrent(1, &json!([["t/a.mkv", 20], ["t/.pad", 10, true], ["t/b.txt", 10]]));
    let body = json!({"metainfo": STANDARD.encode(&file), "include": ["*.mkv"]});
    let (id, path) = add(&client, &body).await;
    let files = client.get(&path).await.expect(200)["files"].clone();
    let expected = json!([
        {"index": 0, "path": "t/a.mkv", "size_bytes": 20, "bytes_completed": 0, "priority": "normal", "selected": true},
        {"index": 2, "path": "t/b.txt", "size_bytes": 10, "bytes_completed": 0, "priority": "skip", "selected": false},
    ]);
    assert_eq!(files, expected);
    // The first piece, as the engine sees it.
    let pieces = PieceSet::Some(Arc::from([0b1000_0000_u8]));
    fixture.engine.seen.lock().unwrap().insert(id, Arc::new(observation(id, pieces)));
    assert_eq!(client.get(&path).await.expect(200)["files"][0]["bytes_completed"], 10);
    // Out of the engine: what was kept when it left.
    fixture.engine.seen.lock().unwrap().clear();
    let mut connection = fixture.ports.pool.acquire().await.unwrap();
    sql::pieces_put(&mut connection, id, Some(&[0b1100_0000])).await.unwrap();
    drop(connection);
    assert_eq!(client.get(&path).await.expect(200)["files"][0]["bytes_completed"], 20);
}

#[tokio::test]
async fn a_failure_and_a_job_are_shown_with_their_reasons() {
    let (fixture, client) = Fixture::active().await;
    let (id, path) = add(&client, &json!({"magnet": magnet(1)})).await;
    let changed = fixture.ledger.change(id, |record| {
        record.last.kind = StateKind::Failed;
        record.failure = Some("no space left on /srv; free some".to_owned());
        record.fsops = Some(FsopsSummary {
            status: FsopsStatus::Waiting,
            step: Some("transfer".to_owned()),
            message: Some("the library is away".to_owned()),
            claim: None,
        });
    });
    changed.unwrap();
    let detail = client.get(&path).await.expect(200);
    assert_eq!(
        detail["state"],
        json!({"kind": "failed", "failure_message": "no space left on /srv; free some"})
    );
    assert_eq!(detail["fsops"]["status"], "waiting");
    assert_eq!(detail["fsops"]["message"], "the library is away");
    assert_eq!(detail["fsops"]["steps"][0]["name"], "transfer");
}
