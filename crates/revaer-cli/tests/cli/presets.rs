//! Presets: filters and orders for `ls` under names.

use crate::support::{Server, json as answer, run, typed};
use serde_json::json;

#[tokio::test]
async fn a_preset_is_set_with_the_flags_of_ls() {
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "DELETE" => typed(204, "text/plain", ""),
        _ => answer(200, &json!({"name": "tv"})),
    })
    .await;
    let flags = ["--state", "Seeding,queued", "--tracker", "a.example,b", "--extension", "mkv"];
    let more = ["--tags", "tv,hd", "--name", "show", "--sort", "added_at:asc"];
    let ran = run(&server.url, &[&["presets", "set", "tv"], &flags[..], &more].concat()).await;
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "tv\n", ""));
    assert_eq!(run(&server.url, &["presets", "set", "all"]).await.code, 0);
    assert_eq!(run(&server.url, &["presets", "rm", "tv"]).await.stdout, "tv removed\n");
    let seen = server.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("PUT", "/v1/query-presets/tv"));
    assert_eq!(
        seen[0].json(),
        json!({"filter": {"state": "seeding,queued", "tracker": "a.example,b", "extension": "mkv",
            "tags": "tv,hd", "name": "show"}, "sort": "added_at:asc"})
    );
    assert_eq!(seen[1].json(), json!({"filter": {}, "sort": null}));
    assert_eq!((seen[2].method.as_str(), seen[2].path.as_str()), ("DELETE", "/v1/query-presets/tv"));
}

#[tokio::test]
async fn presets_are_shown_as_they_are_typed() {
    let tv = json!({"name": "tv", "filter": {"state": ["seeding", "queued"], "name": ["sh\u{1b}ow"]},
        "sort": null, "updated_at": "2025-10-17T12:00:00Z"});
    let body = json!({"presets": [tv, {"name": "all", "filter": {}, "sort": "added_at:asc",
        "updated_at": "2025-10-17T12:00:00Z"}]});
    let expected = format!("{body}\n");
    let server = Server::start(move |seen, _| match seen.path.as_str() {
        "/v1/query-presets" => answer(200, &body),
        _ => answer(200, &tv),
    })
    .await;
    insta::assert_snapshot!(run(&server.url, &["presets", "ls"]).await.stdout, @r"
    NAME  SORT           FILTER
    tv    added_at:desc  state=seeding,queued name=sh�ow
    all   added_at:asc
    ");
    insta::assert_snapshot!(run(&server.url, &["presets", "show", "tv"]).await.stdout, @r"
    preset      tv
    state       seeding,queued
    name        sh�ow
    sort        added_at:desc
    updated_at  2025-10-17T12:00:00Z
    ");
    assert_eq!(run(&server.url, &["presets", "ls", "--output", "json"]).await.stdout, expected);
}

#[tokio::test]
async fn ls_takes_a_preset_and_an_order() {
    let server = Server::start(|_, _| answer(200, &json!({"torrents": []}))).await;
    assert_eq!(run(&server.url, &["ls", "--preset", "tv.1", "--sort", "added_at:desc"]).await.code, 0);
    assert_eq!(server.seen()[0].path, "/v1/torrents?sort=added_at%3Adesc&preset=tv.1");
    for args in [
        &["ls", "--preset", "a/b"][..],
        &["ls", "--sort", "name"],
        &["presets", "set", ".."],
        &["presets", "set", "tv", "--state", "asleep"],
        &["presets", "show"],
    ] {
        assert_eq!(run(&server.url, args).await.code, 2, "{args:?}");
    }
    assert_eq!(server.seen().len(), 1);
}
