//! The same by a form, read part by part within its limits.

use serde_json::json;

use crate::support::{Fixture, engine::torrent, magnet, pointers};

const PATH: &str = "/v1/torrents";
const FILE: &str = "application/x-bittorrent";
const TEXT: &str = "text/plain";
const JSON: &str = "application/json";

#[tokio::test]
async fn a_file_part_and_options_add_a_torrent() {
    let (_fixture, client) = Fixture::active().await;
    let file = torrent(1, &json!([["a.mkv", 10]]));
    let options = br#"{"name": "mine", "tags": ["a"], "paused": true}"#;
    let summary =
        client.form(PATH, &[("torrent", FILE, &file), ("options", JSON, options)]).await.expect(202);
    assert_eq!(summary["name"], "mine");
    assert_eq!(summary["tags"], json!(["a"]));
    assert_eq!(summary["state"]["kind"], "stopped");
}

#[tokio::test]
async fn text_parts_do_the_same() {
    let (_fixture, client) = Fixture::active().await;
    let file = torrent(2, &json!([["a.mkv", 10]]));
    let parts: [(&str, &str, &[u8]); 5] = [
        ("torrent", FILE, &file),
        ("name", TEXT, b"mine"),
        ("tags", TEXT, br#"["a", "b"]"#),
        ("max_upload_bps", TEXT, b"0"),
        ("paused", TEXT, b"true"),
    ];
    let summary = client.form(PATH, &parts).await.expect(202);
    assert_eq!(summary["tags"], json!(["a", "b"]));
    assert_eq!(summary["rate_limit"], json!({"upload_bps": 0}));
    let by_link = client.form(PATH, &[("magnet", TEXT, magnet(3).as_bytes())]).await.expect(202);
    assert_eq!(by_link["name"], "torrent-3");
}

#[tokio::test]
async fn faults_of_parts_are_named_together() {
    let (_fixture, client) = Fixture::active().await;
    let parts: [(&str, &str, &[u8]); 6] = [
        ("torrent", FILE, b"garbage"),
        ("tags", TEXT, b"a, b"),
        ("name", TEXT, b"mine"),
        ("options", JSON, br#"{"name": "other", "id": 1}"#),
        ("colour", TEXT, b"red"),
        ("paused", TEXT, b"\"no\""),
    ];
    let refused = client.form(PATH, &parts).await.problem(422, "validation-failed");
    let mut found = pointers(&refused);
    found.sort();
    assert_eq!(found, ["/colour", "/id", "/name", "/paused", "/tags", "/torrent"]);
    let refused = client.form(PATH, &[("torrent", FILE, b"garbage")]).await.problem(422, "invalid-torrent");
    assert_eq!(pointers(&refused), ["/torrent"]);
    let both: [(&str, &str, &[u8]); 2] = [("torrent", FILE, b"x"), ("magnet", TEXT, b"magnet:?")];
    let refused = client.form(PATH, &both).await.problem(422, "validation-failed");
    assert_eq!(pointers(&refused), ["/magnet", "/torrent"]);
}

#[tokio::test]
async fn a_form_that_cannot_be_parsed_is_a_bad_request() {
    let (_fixture, client) = Fixture::active().await;
    client.form(PATH, &[("options", JSON, b"{")]).await.problem(400, "bad-request");
    let media = ("content-type", "multipart/form-data; boundary=XX");
    client.send("POST", PATH, &[media], b"--XX\r\nno end").await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_file_part_over_its_limit_is_refused_while_it_is_read() {
    let (_fixture, client) = Fixture::active().await;
    let most = 8 * 1024 * 1024;
    // At the limit it is read, and judged as what it is.
    client.form(PATH, &[("torrent", FILE, &vec![b'x'; most])]).await.problem(422, "invalid-torrent");
    let refused = client
        .form(PATH, &[("torrent", FILE, &vec![b'x'; most + 1])])
        .await
        .problem(413, "payload-too-large");
    assert_eq!(pointers(&refused), ["/torrent"]);
    client
        .form(PATH, &[("name", TEXT, &vec![b'x'; 13 * 1024 * 1024])])
        .await
        .problem(413, "payload-too-large");
    // A client that sends far more still gets to read the answer.
    client
        .form(PATH, &[("torrent", FILE, &vec![b'x'; 40 * 1024 * 1024])])
        .await
        .problem(413, "payload-too-large");
}
