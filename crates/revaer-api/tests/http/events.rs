//! The event stream: replay, live, gaps, filters, and its ends.

use std::time::Duration;

use revaer_events::{Envelope, Event, sql};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::support::Fixture;

fn added(id: u64, torrent: u128) -> Envelope {
    Envelope {
        id,
        at: OffsetDateTime::now_utc(),
        request_id: Some(format!("r-{id}")),
        event: Event::TorrentAdded { torrent_id: Uuid::from_u128(torrent), name: format!("n{id}") },
    }
}

fn progress(id: u64) -> Envelope {
    let event = Event::Progress {
        torrent_id: Uuid::from_u128(1),
        bytes_downloaded: id,
        bytes_total: 100,
        download_bps: 1,
        upload_bps: 0,
        eta_seconds: None,
    };
    Envelope { event, ..added(id, 1) }
}

fn state(id: u64, state: &str, message: Option<&str>) -> Envelope {
    let event = Event::StateChanged {
        torrent_id: Uuid::from_u128(1),
        state: state.to_owned(),
        message: message.map(ToOwned::to_owned),
    };
    Envelope { event, ..added(id, 1) }
}

impl Fixture {
    /// Stores and publishes, as the ledger does.
    async fn happen(&self, events: Vec<Envelope>) {
        let mut connection = self.ports.pool.acquire().await.unwrap();
        sql::events_insert(&mut connection, &events).await.unwrap();
        self.ports.events.publish(events);
    }
}

#[tokio::test]
async fn live_events_come_in_order_with_their_frames() {
    let (fixture, client) = Fixture::active().await;
    let mut stream = client.events("", None).await;
    assert_eq!(stream.head.headers["content-type"], "text/event-stream");
    assert_eq!(stream.next().await.unwrap().retry, Some(5000));
    fixture.happen(vec![added(1, 1), progress(2), state(3, "failed", Some("no space"))]).await;
    let first = stream.event().await;
    assert_eq!((first.id, first.event.as_deref()), (Some(1), Some("torrent_added")));
    assert_eq!(first.data["id"], 1);
    assert_eq!(first.data["request_id"], "r-1");
    assert_eq!(first.data["event"]["type"], "torrent_added");
    assert_eq!(first.data["event"]["torrent_id"], Uuid::from_u128(1).to_string());
    assert_eq!(stream.event().await.event.as_deref(), Some("progress"));
    let failed = stream.event().await;
    assert_eq!(failed.data["event"]["state"], json!({"failed": {"message": "no space"}}));
}

#[tokio::test]
async fn replay_runs_into_live_without_loss_or_repetition() {
    let (fixture, client) = Fixture::active().await;
    fixture.happen((1..=600).map(|id| added(id, 1)).collect()).await;
    let mut stream = client.events("", Some(5)).await;
    for id in 6..=300 {
        assert_eq!(stream.event().await.id, Some(id));
    }
    fixture.happen((601..=700).map(|id| added(id, 1)).collect()).await;
    for id in 301..=700 {
        assert_eq!(stream.event().await.id, Some(id));
    }
}

#[tokio::test]
async fn a_position_that_is_not_there_is_a_gap_and_live_follows() {
    let (fixture, client) = Fixture::active().await;
    fixture.happen(vec![added(10, 1), added(11, 1)]).await;
    let mut stream = client.events("", Some(9_000_000)).await;
    let gap = stream.event().await;
    assert_eq!((gap.id, gap.event.as_deref()), (Some(11), Some("gap")));
    assert_eq!(gap.data["requested"], 9_000_000);
    assert!(gap.data["oldest"].is_u64());
    fixture.happen(vec![added(12, 1)]).await;
    assert_eq!(stream.event().await.id, Some(12));
}

#[tokio::test]
async fn filters_hold_before_the_wire() {
    let (fixture, client) = Fixture::active().await;
    let torrent = Uuid::from_u128(2);
    let mut of_one = client.events(&format!("?torrent={torrent}"), None).await;
    let mut of_kind = client.events("?event=progress,STATE_CHANGED&state=seeding", None).await;
    of_one.next().await;
    of_kind.next().await;
    let settings = Event::SettingsChanged { description: "x".to_owned(), revision: 2, sections: vec![] };
    let settings = Envelope { event: settings, ..added(5, 1) };
    fixture
        .happen(vec![
            added(1, 1),
            added(2, 2),
            state(3, "downloading", None),
            progress(4),
            settings,
            state(6, "seeding", None),
            added(7, 2),
        ])
        .await;
    let ids = [of_one.event().await.id, of_one.event().await.id, of_one.event().await.id];
    assert_eq!(ids, [Some(2), Some(5), Some(7)]);
    let ids = [of_kind.event().await.id, of_kind.event().await.id];
    assert_eq!(ids, [Some(4), Some(6)]);
}

#[tokio::test]
async fn what_is_asked_for_is_checked() {
    let (_fixture, client) = Fixture::active().await;
    for query in ["?torrent=x", "?event=boom", "?state=asleep", "?since=1"] {
        client.get(&format!("/v1/events{query}")).await.problem(400, "bad-request");
    }
    let last = [("last-event-id", "x")];
    client.send("GET", "/v1/torrents/events", &last, b"").await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let (fixture, client) = Fixture::active().await;
    let secret = "s".repeat(40);
    let upsert = |more: serde_json::Value| {
        let mut key = json!({"op": "upsert", "key_id": "guest"});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"api_keys": [key]})
    };
    fixture.apply(upsert(json!({"secret": secret}))).await;
    let guest = client.with_key(&format!("guest:{secret}"));
    let mut stream = guest.events("", None).await;
    let mut other = client.events("", None).await;
    stream.next().await;
    other.next().await;
    // A change that leaves the key alone leaves the stream alone.
    fixture.apply(json!({"engine_profile": {"dht": false}})).await;
    fixture.happen(vec![added(1, 1)]).await;
    assert_eq!(stream.event().await.id, Some(1));
    fixture.apply(upsert(json!({"enabled": false}))).await;
    let ended = tokio::time::timeout(Duration::from_secs(1), stream.next()).await.expect("too slow").unwrap();
    assert!(ended.comment.unwrap().contains("disabled"));
    assert_eq!(stream.next().await, None);
    fixture.happen(vec![added(2, 1)]).await;
    assert_eq!((other.event().await.id, other.event().await.id), (Some(1), Some(2)));
}

#[tokio::test]
async fn a_stream_ends_when_its_key_expires() {
    let (fixture, client) = Fixture::active().await;
    let secret = "s".repeat(40);
    let expiry = OffsetDateTime::now_utc() + Duration::from_millis(1500);
    let expiry = expiry.format(&time::format_description::well_known::Rfc3339).unwrap();
    let key = json!({"op": "upsert", "key_id": "guest", "secret": secret, "expires_at": expiry});
    fixture.apply(json!({"api_keys": [key]})).await;
    let mut stream = client.with_key(&format!("guest:{secret}")).events("", None).await;
    stream.next().await;
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.expect("too slow").unwrap();
    assert!(ended.comment.unwrap().contains("expired"));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_stream_ends_within_a_second_of_the_revocation_of_its_key() {
    let (_fixture, client) = Fixture::active().await;
    let issued = client.post("/v1/auth/keys", &json!({"key_id": "guest", "label": "a"})).await.expect(201);
    let mut stream = client.with_key(issued["api_key"].as_str().unwrap()).events("", None).await;
    stream.next().await;
    assert_eq!(client.delete("/v1/auth/keys/guest").await.status, 204);
    let ended = tokio::time::timeout(Duration::from_secs(1), stream.next()).await.expect("too slow").unwrap();
    assert!(ended.comment.unwrap().contains("revoked"));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_the_grace_of_its_secret() {
    let (fixture, client) = Fixture::active().await;
    let issued = client.post("/v1/auth/keys", &json!({"key_id": "guest", "label": "a"})).await.expect(201);
    let old = client.with_key(issued["api_key"].as_str().unwrap());
    let mut before = old.events("", None).await;
    let rotated = json!({"grace_seconds": 2});
    let new = client.post("/v1/auth/keys/guest/rotate", &rotated).await.expect(200);
    // Opened with the old secret, before and after the rotation; and one with the new secret.
    let mut after = old.events("", None).await;
    let mut fresh = client.with_key(new["api_key"].as_str().unwrap()).events("", None).await;
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    let until = OffsetDateTime::parse(new["grace_until"].as_str().unwrap(), rfc3339).unwrap();
    for stream in [&mut before, &mut after] {
        stream.next().await;
        let ended = stream.next().await.unwrap();
        let late = OffsetDateTime::now_utc() - until;
        assert!(late >= Duration::ZERO && late < Duration::from_secs(1), "{late} after its end");
        assert!(ended.comment.unwrap().contains("replaced"));
        assert_eq!(stream.next().await, None);
    }
    old.get("/v1/torrents").await.problem(401, "unauthorized");
    fresh.next().await;
    fixture.happen(vec![added(1, 1)]).await;
    assert_eq!(fresh.event().await.id, Some(1));
}

#[tokio::test]
async fn a_stream_ends_when_its_secret_is_replaced_by_sql() {
    let (fixture, client) = Fixture::active().await;
    let secret = "s".repeat(40);
    for key_id in ["guest", "other"] {
        let key = json!({"op": "upsert", "key_id": key_id, "secret": secret});
        fixture.apply(json!({"api_keys": [key]})).await;
    }
    let mut stream = client.with_key(&format!("guest:{secret}")).events("", None).await;
    stream.next().await;
    // The row has no mark then: its hash decides, here and in requests.
    let other = "n".repeat(40);
    fixture.apply(json!({"api_keys": [{"op": "upsert", "key_id": "other", "secret": other}]})).await;
    let statement = "UPDATE auth_api_keys SET secret_hash = \
                     (SELECT secret_hash FROM auth_api_keys WHERE key_id = 'other') WHERE key_id = 'guest'";
    sqlx::query(statement).execute(&fixture.ports.pool).await.unwrap();
    // Nothing watches the database here: the next change brings it along.
    fixture.apply(json!({"engine_profile": {"dht": false}})).await;
    let ended = stream.next().await.unwrap();
    assert!(ended.comment.unwrap().contains("replaced"));
    assert_eq!(stream.next().await, None);
    client.with_key(&format!("guest:{secret}")).get("/v1/torrents").await.problem(401, "unauthorized");
    client.with_key(&format!("guest:{other}")).get("/v1/torrents").await.expect(200);
}

#[tokio::test]
async fn open_streams_are_counted() {
    let (fixture, client) = Fixture::active().await;
    let mut stream = client.events("", None).await;
    stream.next().await;
    let text = client.get("/metrics").await.text;
    assert!(text.contains("sse_subscribers 1"), "{text}");
    drop(stream);
    // Seen by the connection as soon as it is gone.
    for _ in 0..1000 {
        if fixture.ports.metrics.render(&fixture.ports.health).contains("sse_subscribers 0") {
            return;
        }
        tokio::task::yield_now().await;
        client.get("/health").await;
    }
    panic!("the stream is still counted");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_and_counted() {
    let (fixture, client) = Fixture::active().await;
    let mut stream = client.events("", None).await;
    stream.next().await;
    // More than the sockets hold.
    let name = "n".repeat(16 * 1024);
    let large = |id| {
        let event = Event::TorrentAdded { torrent_id: Uuid::from_u128(1), name: name.clone() };
        Envelope { event, ..added(id, 1) }
    };
    fixture.ports.events.publish((1..=2000).map(large).collect());
    // From here on, time passes whenever everybody waits.
    tokio::time::pause();
    tokio::time::sleep(Duration::from_mins(2)).await;
    let text = fixture.ports.metrics.render(&fixture.ports.health);
    assert!(text.contains("sse_dropped_total 1") && text.contains("sse_subscribers 0"), "{text}");
}

/// More than the log keeps in memory.
const MANY: u64 = 10_000;

#[tokio::test]
async fn a_slow_reader_loses_progress_and_goes_on() {
    let (fixture, client) = Fixture::active().await;
    let mut stream = client.events("", None).await;
    stream.next().await;
    fixture.ports.events.publish((1..=MANY).map(progress).collect());
    fixture.happen(vec![added(MANY + 1, 1)]).await;
    let first = stream.event().await;
    assert!(first.id.unwrap() > 1, "progress from before the ring's begin was kept");
    for id in first.id.unwrap() + 1..=MANY + 1 {
        assert_eq!(stream.event().await.id, Some(id));
    }
}

#[tokio::test]
async fn without_backpressure_a_slow_reader_is_cut_at_once() {
    let (fixture, client) = Fixture::active().await;
    let mut stream = client.events("", None).await;
    stream.next().await;
    // Hot: the stream is open already.
    fixture.apply(json!({"app_profile": {"features": {"sse_backpressure": false}}})).await;
    fixture.happen(vec![added(1, 1)]).await;
    assert_eq!(stream.event().await.id, Some(1));
    fixture.ports.events.publish((2..=MANY).map(progress).collect());
    let last = stream.next().await.unwrap();
    assert!(last.comment.unwrap().contains("too slow"));
    assert_eq!(stream.next().await, None);
    let text = client.get("/metrics").await.text;
    assert!(text.contains("sse_dropped_total 1") && text.contains("sse_subscribers 0"), "{text}");
    // It resumes by id, and a replay is no slowness.
    fixture.happen(vec![added(MANY + 1, 1)]).await;
    let mut stream = client.events("?event=torrent_added", Some(1)).await;
    assert_eq!(stream.event().await.id, Some(MANY + 1));
}
