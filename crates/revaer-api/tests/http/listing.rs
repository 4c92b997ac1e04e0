//! Lists: stable pages, strict filters.

use serde_json::{Value, json};

use crate::support::{Fixture, client::Client, magnet, pointers};

async fn names(client: &Client, query: &str) -> (Vec<String>, Option<String>) {
    let page = client.get(&format!("/v1/torrents{query}")).await.expect(200);
    let torrents = page["torrents"].as_array().unwrap();
    let names = torrents.iter().map(|torrent| torrent["name"].as_str().unwrap().to_owned()).collect();
    (names, page["next"].as_str().map(ToOwned::to_owned))
}

async fn add(client: &Client, number: u8, more: Value) -> String {
    let mut body = json!({"magnet": magnet(number)});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/v1/torrents", &body).await.expect(202)["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn pages_repeat_and_miss_nothing_while_torrents_come_and_go() {
    let (_fixture, client) = Fixture::active().await;
    let mut ids = Vec::new();
    for number in 1..=7 {
        ids.push(add(&client, number, json!({})).await);
    }
    let (first, next) = names(&client, "?limit=3").await;
    assert_eq!(first, ["torrent-7", "torrent-6", "torrent-5"]);
    // The row the cursor stands on goes, others come: the next page does not move.
    client.delete(&format!("/v1/torrents/{}", ids[4])).await;
    add(&client, 8, json!({})).await;
    let (second, next) = names(&client, &format!("?limit=3&cursor={}", next.unwrap())).await;
    assert_eq!(second, ["torrent-4", "torrent-3", "torrent-2"]);
    let (third, next) = names(&client, &format!("?limit=3&cursor={}", next.unwrap())).await;
    assert_eq!((third, next), (vec!["torrent-1".to_owned()], None));
}

#[tokio::test]
async fn filters_hold_all_at_once() {
    let (_fixture, client) = Fixture::active().await;
    add(&client, 1, json!({"tags": ["Film", "HD"], "trackers": ["http://one.example/announce"]})).await;
    add(&client, 2, json!({"tags": ["film"], "paused": true})).await;
    add(&client, 3, json!({"name": "Other"})).await;
    for (query, expected) in [
        ("?tags=film", vec!["torrent-2", "torrent-1"]),
        ("?tags=film,hd", vec!["torrent-1"]),
        ("?state=stopped", vec!["torrent-2"]),
        ("?state=queued,STOPPED&tags=film", vec!["torrent-2", "torrent-1"]),
        ("?tracker=ONE.example", vec!["torrent-1"]),
        ("?name=oth,-2", vec!["Other", "torrent-2"]),
        ("?extension=mkv", vec![]),
    ] {
        assert_eq!(names(&client, query).await.0, expected, "{query}");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_filter() {
    let (_fixture, client) = Fixture::active().await;
    for number in 1..=3 {
        add(&client, number, json!({"tags": ["a", "b"]})).await;
    }
    let (_, next) = names(&client, "?limit=1&tags=a,b").await;
    let next = next.unwrap();
    assert_eq!(names(&client, &format!("?tags=B,A&cursor={next}")).await.0, ["torrent-2", "torrent-1"]);
    for query in [format!("?cursor={next}"), "?cursor=nonsense".to_owned(), "?cursor=".to_owned()] {
        let refused = client.get(&format!("/v1/torrents{query}")).await.problem(400, "bad-request");
        assert_eq!(pointers(&refused), ["/query/cursor"], "{query}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_never_ignored() {
    let (_fixture, client) = Fixture::active().await;
    let refused =
        client.get("/v1/torrents?sort=name&limit=201&state=asleep").await.problem(400, "bad-request");
    assert_eq!(pointers(&refused), ["/query/sort", "/query/limit", "/query/state"]);
}
