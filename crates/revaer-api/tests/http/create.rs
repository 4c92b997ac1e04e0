//! Torrents are added by JSON, judged whole, and durable before the answer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    Fixture,
    engine::{torrent, torrent_with},
    magnet, pointers,
};

const PATH: &str = "/v1/torrents";

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[tokio::test]
async fn a_magnet_is_listed_as_soon_as_it_is_accepted() {
    let (fixture, client) = Fixture::active().await;
    let link = format!("{}&tr=udp%3A%2F%2Ft.example%3A1%2Fa", magnet(1));
    let body = json!({"magnet": link, "tags": ["b", "a", "b"], "trackers": ["udp://t.example:1/a", "http://u/a"],
                      "max_download_bps": 5, "max_upload_bps": null, "sequential": true});
    let answer = client.post(PATH, &body).await;
    let location = answer.headers["location"].clone();
    let summary = answer.expect(202);
    assert_eq!(location, format!("/v1/torrents/{}", summary["id"].as_str().unwrap()));
    assert_eq!(summary["name"], "torrent-1");
    assert_eq!(summary["info_hash"], json!({"v1": "01".repeat(20)}));
    assert_eq!(summary["tags"], json!(["b", "a"]));
    assert_eq!(summary["trackers"], json!(["udp://t.example:1/a", "http://u/a"]));
    assert_eq!(summary["rate_limit"], json!({"download_bps": 5}));
    assert_eq!(summary["download_dir"], fixture.downloads());
    assert_eq!(summary["sequential"], true);
    let detail = client.get(&location).await.expect(200);
    assert_eq!(detail["id"], summary["id"]);
    assert!(detail.get("files").is_none(), "{detail}");
    let list = client.get("/admin/torrents").await.expect(200);
    assert_eq!(list["torrents"], json!([summary]));
}

#[tokio::test]
async fn a_torrent_says_what_it_holds() {
    let (_fixture, client) = Fixture::active().await;
    let files = json!([["t/a.MKV", 30], ["t/pad", 2, true], ["t/b.txt", 8]]);
    let body = json!({"metainfo": base64(&torrent(2, &files)), "name": "mine", "paused": true});
    let summary = client.post(PATH, &body).await.expect(202);
    assert_eq!(summary["name"], "mine");
    assert_eq!(summary["state"], json!({"kind": "stopped"}));
    assert_eq!(summary["progress"]["bytes_total"], 38);
    let list = client.get("/v1/torrents?extension=mkv").await.expect(200);
    assert_eq!(list["torrents"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_anything_else_is_a_conflict() {
    let (_fixture, client) = Fixture::active().await;
    let id = "01980000-0000-7000-8000-000000000001";
    let first = client.post(PATH, &json!({"magnet": magnet(1), "id": id})).await.expect(202);
    assert_eq!(first["id"], id);
    let again = client.post(PATH, &json!({"magnet": magnet(1), "id": id})).await.expect(202);
    assert_eq!(again, first);
    let taken = client.post(PATH, &json!({"magnet": magnet(2), "id": id})).await.problem(409, "conflict");
    assert_eq!(pointers(&taken), ["/id"]);
    let duplicate = client.post(PATH, &json!({"magnet": magnet(1)})).await.problem(409, "duplicate-torrent");
    assert_eq!(duplicate.json["existing_id"], id);
}

#[tokio::test]
async fn every_fault_is_named_at_once() {
    let (_fixture, client) = Fixture::active().await;
    let body = json!({
        "magnet": "http://not.a/magnet",
        "id": "7", "name": "", "download_dir": "/etc", "sequential": "yes",
        "tags": ["ok", "", 3], "trackers": ["ftp://t/a"], "include": ["[", "*.mkv"], "exclude": "x",
        "skip_fluff": 1, "max_download_bps": -1, "max_upload_bps": "fast", "paused": "no", "seed_mode": [],
        "max_download": 5,
    });
    let refused = client.post(PATH, &body).await.problem(422, "validation-failed");
    let mut found = pointers(&refused);
    found.sort();
    let expected = [
        "/download_dir",
        "/exclude",
        "/id",
        "/include/0",
        "/magnet",
        "/max_download",
        "/max_download_bps",
        "/max_upload_bps",
        "/name",
        "/paused",
        "/seed_mode",
        "/sequential",
        "/skip_fluff",
        "/tags/1",
        "/tags/2",
        "/trackers/0",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_list_that_is_too_long_hides_no_fault_in_it() {
    let (_fixture, client) = Fixture::active().await;
    let mut globs: Vec<String> = (0..65).map(|number| format!("{number}.mkv")).collect();
    globs.push("x".repeat(513));
    let body = json!({"magnet": magnet(1), "include": globs});
    let refused = client.post(PATH, &body).await.problem(422, "validation-failed");
    assert_eq!(pointers(&refused), ["/include", "/include/65"]);
}

#[tokio::test]
async fn a_torrent_that_is_none_is_told_with_the_reason() {
    let (fixture, client) = Fixture::active().await;
    for link in ["", "http://x", "magnet:?dn=x", &format!("magnet:?xt=urn:btih:{}", "0".repeat(8200))] {
        let refused = client.post(PATH, &json!({"magnet": link})).await.problem(422, "invalid-torrent");
        assert_eq!(pointers(&refused), ["/magnet"], "{link}");
    }
    for metainfo in [base64(b"garbage"), "***".to_owned()] {
        let refused = client.post(PATH, &json!({"metainfo": metainfo})).await.problem(422, "invalid-torrent");
        assert_eq!(pointers(&refused), ["/metainfo"]);
    }
    let down = json!({"metainfo": base64(b"unavailable")});
    client.post(PATH, &down).await.problem(503, "service-unavailable");
    let large = json!({"metainfo": base64(&vec![b'x'; 8 * 1024 * 1024 + 3])});
    let refused = client.post(PATH, &large).await.problem(413, "payload-too-large");
    assert_eq!(pointers(&refused), ["/metainfo"]);
    assert!(fixture.ledger.asked.lock().unwrap().is_empty(), "nothing of it reached the ledger");
}

#[tokio::test]
async fn there_is_exactly_one_source() {
    let (_fixture, client) = Fixture::active().await;
    let check = async |body: Value, found: &[&str]| {
        let refused = client.post(PATH, &body).await.problem(422, "validation-failed");
        assert_eq!(pointers(&refused), found, "{body}");
    };
    check(json!({}), &["/magnet", "/metainfo"]).await;
    check(json!({"magnet": magnet(1), "metainfo": "AA=="}), &["/magnet", "/metainfo"]).await;
    check(json!({"magnet": 7}), &["/magnet"]).await;
}

#[tokio::test]
async fn body_and_source_must_not_contradict_each_other() {
    let (_fixture, client) = Fixture::active().await;
    let private =
        torrent_with(4, &json!([["a.mkv", 10]]), &json!({"private": true, "trackers": ["http://own/a"]}));
    let refused = client
        .post(PATH, &json!({"metainfo": base64(&private), "trackers": ["http://other/a"]}))
        .await
        .problem(422, "validation-failed");
    assert_eq!(pointers(&refused), ["/trackers"]);
    let refused = client.post(PATH, &json!({"magnet": magnet(5), "seed_mode": true})).await;
    assert_eq!(pointers(&refused.problem(422, "validation-failed")), ["/seed_mode"]);
    let files = torrent(6, &json!([["t/a.mkv", 10], ["t/b.mkv", 10]]));
    let refused = client.post(PATH, &json!({"metainfo": base64(&files), "exclude": ["*"]})).await;
    assert_eq!(pointers(&refused.problem(422, "validation-failed")), ["/include"]);
    let taken = client.post(PATH, &json!({"metainfo": base64(&private)})).await.expect(202);
    assert_eq!(taken["trackers"], json!(["http://own/a"]));
}

#[tokio::test]
async fn a_download_directory_lies_in_the_allow_list() {
    let (fixture, client) = Fixture::active().await;
    let inside = format!("{}/films", fixture.downloads());
    let summary = client.post(PATH, &json!({"magnet": magnet(1), "download_dir": inside})).await.expect(202);
    assert_eq!(summary["download_dir"], inside);
    let downloads = fixture.downloads();
    for outside in
        ["/etc", "relative", &format!("{downloads}/../x"), &format!("{downloads}x"), &format!("{downloads}/")]
    {
        let refused = client.post(PATH, &json!({"magnet": magnet(2), "download_dir": outside})).await;
        assert_eq!(pointers(&refused.problem(422, "validation-failed")), ["/download_dir"], "{outside}");
    }
}

#[tokio::test]
async fn a_links_choice_of_files_is_kept_unless_the_client_chooses() {
    let (_fixture, client) = Fixture::active().await;
    let chosen = format!("{}&so=1,3", magnet(1));
    let id = client.post(PATH, &json!({"magnet": chosen})).await.expect(202)["id"].clone();
    let detail = client.get(&format!("/v1/torrents/{}", id.as_str().unwrap())).await.expect(200);
    let rules = &detail["selection"]["priorities"];
    assert_eq!(rules, &json!([{"index": 1, "priority": "normal"}, {"index": 3, "priority": "normal"}]));
    let own = json!({"magnet": format!("{}&so=1", magnet(2)), "include": ["*.mkv"]});
    let id = client.post(PATH, &own).await.expect(202)["id"].clone();
    let detail = client.get(&format!("/v1/torrents/{}", id.as_str().unwrap())).await.expect(200);
    assert_eq!(detail["selection"]["include"], json!(["*.mkv"]));
    assert_eq!(detail["selection"]["priorities"], json!([]));
}
