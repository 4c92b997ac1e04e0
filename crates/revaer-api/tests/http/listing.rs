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
    let turned = format!("?tags=a,b&sort=added_at:asc&cursor={next}");
    for query in [format!("?cursor={next}"), turned, "?cursor=nonsense".to_owned(), "?cursor=".to_owned()] {
        let refused = client.get(&format!("/v1/torrents{query}")).await.problem(400, "bad-request");
        assert_eq!(pointers(&refused), ["/query/cursor"], "{query}");
    }
}

#[tokio::test]
async fn the_oldest_can_come_first_page_by_page() {
    let (_fixture, client) = Fixture::active().await;
    for number in 1..=5 {
        add(&client, number, json!({})).await;
    }
    let (first, next) = names(&client, "?sort=added_at:asc&limit=2").await;
    assert_eq!(first, ["torrent-1", "torrent-2"]);
    // What is added meanwhile comes at the end.
    add(&client, 6, json!({})).await;
    let (rest, next) = names(&client, &format!("?sort=added_at:asc&cursor={}", next.unwrap())).await;
    assert_eq!((rest.len(), next), (4, None));
    assert_eq!((&*rest[0], &*rest[3]), ("torrent-3", "torrent-6"));
    assert_eq!(names(&client, "?sort=added_at:desc&limit=1").await.0, ["torrent-6"]);
}

#[tokio::test]
async fn a_preset_filters_as_the_same_words_in_the_query() {
    let (_fixture, client) = Fixture::active().await;
    add(&client, 1, json!({"tags": ["Film", "HD"], "trackers": ["http://one.example/announce"]})).await;
    add(&client, 2, json!({"tags": ["film"], "paused": true})).await;
    add(&client, 3, json!({"tags": ["film"], "name": "Other"})).await;
    let put = |name: &str, body: Value| {
        let (client, path) = (client.clone(), format!("/v1/query-presets/{name}"));
        async move { client.json("PUT", &path, &[], &body).await.expect(200) }
    };
    let filter = json!({"state": "QUEUED,stopped", "tags": ["Film", "film"], "name": ["Torrent"]});
    put("films", json!({"filter": filter, "sort": "added_at:asc"})).await;
    let words = "?state=stopped,queued&tags=FILM&name=torrent&sort=added_at:asc";
    for query in [words, "?preset=films"] {
        assert_eq!(names(&client, query).await.0, ["torrent-1", "torrent-2"], "{query}");
    }
    // One filter and one order: a cursor of one is a cursor of the other.
    let (_, next) = names(&client, "?preset=films&limit=1").await;
    assert_eq!(names(&client, &format!("{words}&cursor={}", next.unwrap())).await.0, ["torrent-2"]);
    // What the query says itself wins, member by member.
    assert_eq!(names(&client, "?preset=films&sort=added_at:desc").await.0, ["torrent-2", "torrent-1"]);
    assert_eq!(names(&client, "?preset=films&state=stopped").await.0, ["torrent-2"]);
    assert_eq!(names(&client, "?preset=films&name=").await.0, ["torrent-1", "torrent-2", "Other"]);
    // A preset that changes between two pages makes the cursor another list's.
    let (_, next) = names(&client, "?preset=films&limit=1").await;
    put("films", json!({"filter": {"tracker": "ONE.example", "extension": ".MKV"}})).await;
    let refused = client.get(&format!("/v1/torrents?preset=films&cursor={}", next.unwrap())).await;
    assert_eq!(pointers(&refused.problem(400, "bad-request")), ["/query/cursor"]);
    assert_eq!(names(&client, "?preset=films&extension=").await.0, ["torrent-1"]);
    let refused = client.get("/v1/torrents?preset=books").await.problem(400, "bad-request");
    assert_eq!(pointers(&refused), ["/query/preset"]);
}

#[tokio::test]
async fn filters_are_read_in_any_case_and_order() {
    let (_fixture, client) = Fixture::active().await;
    for number in 1..=2 {
        add(&client, number, json!({"tags": ["a", "b"]})).await;
    }
    let (_, next) = names(&client, "?limit=1&state=queued,stopped&tags=B,a").await;
    let same = format!("?tags=A,b,,a&state=STOPPED,Queued&cursor={}", next.unwrap());
    assert_eq!(names(&client, &same).await.0, ["torrent-1"]);
    for bad in ["limit=0", "limit=x", "state=", "order=name", "sort=", "preset=", "name=a&name=b"] {
        client.get(&format!("/v1/torrents?{bad}")).await.problem(400, "bad-request");
    }
}

#[tokio::test]
async fn what_is_not_known_is_never_ignored() {
    let (_fixture, client) = Fixture::active().await;
    let refused =
        client.get("/v1/torrents?sort=name&limit=201&state=asleep").await.problem(400, "bad-request");
    assert_eq!(pointers(&refused), ["/query/sort", "/query/limit", "/query/state"]);
}
