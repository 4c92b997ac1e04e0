//! Changesets: any part of the settings, all of it or nothing, on a condition, and without a difference.

use anyhow::{Context, Result};
use futures_util::future::try_join;
use revaer_e2e::stage::Server;
use serde_json::{Value, json};

use crate::support::{
    LIMIT, active, change, column, faults, fresh, patch, pointers, revision, stored_revision, upsert,
};

/// Checks that a changeset changes what it names and nothing else.
async fn changes_only(server: &Server, changeset: Value) -> Result<()> {
    let mut expected = server.settings().await?;
    revaer_e2e::setup::merge(&mut expected, &changeset);
    let is_other = expected != server.settings().await?;
    expected["revision"] = json!(revision(&expected)? + i64::from(is_other));
    let mut after = change(server, changeset.clone()).await?;
    for document in [&mut expected, &mut after] {
        document["app_profile"]["version"].take();
    }
    assert_eq!(after, expected, "{changeset}");
    Ok(())
}

#[tokio::test]
async fn a_changeset_is_any_subset_of_the_sections_each_any_subset_of_its_members() -> Result<()> {
    let (_database, server) = active().await?;
    for changeset in [
        json!({}),
        json!({ "app_profile": {}, "engine_profile": {}, "fs_policy": {} }),
        json!({ "app_profile": { "instance_name": "attic" } }),
        json!({ "app_profile": { "telemetry": { "prometheus": false } } }),
        json!({ "engine_profile": { "tracker": { "announce_port": 7000 }, "encryption": "require" } }),
        json!({ "fs_policy": { "par2": "verify" }, "app_profile": { "features": { "par2": false } } }),
        json!({ "app_profile": { "cors_origins": ["https://a.example"] }, "engine_profile": { "max_active": 3 },
            "fs_policy": { "cleanup_drop": ["*.nfo"], "umask": "022" } }),
    ] {
        changes_only(&server, changeset).await?;
    }
    // A whole section is a subset too.
    let snapshot = server.settings().await?;
    let whole = json!({ "engine_profile": snapshot["engine_profile"], "fs_policy": snapshot["fs_policy"] });
    changes_only(&server, whole).await
}

#[tokio::test]
async fn api_keys_are_upserted_and_deleted_and_secrets_set_and_deleted() -> Result<()> {
    let (_database, server) = active().await?;
    let secret = "k".repeat(32);
    let whole = upsert(
        "second",
        &json!({ "label": "of the second", "enabled": true, "secret": secret, "expires_at": "2999-01-01T00:00:00Z",
            "rate_limit": { "burst": 4_294_967_295_u32, "per_seconds": 1 } }),
    );
    let with = change(
        &server,
        json!({ "api_keys": [whole.clone()], "secrets": [{ "op": "set", "name": "a", "value": "1" }] }),
    )
    .await?;
    for member in ["label", "enabled", "expires_at", "rate_limit"] {
        assert_eq!(with["api_keys"][1][member], whole[member], "{member}");
    }
    assert_eq!(with["secrets"], json!(["a"]));
    let second = server.api.with_key(&format!("second:{secret}"));
    second.get("/v1/torrents").await?.expect(200)?;
    // What an upsert does not name stays as it was.
    let disabled =
        change(&server, json!({ "api_keys": [upsert("second", &json!({ "enabled": false }))] })).await?;
    assert_eq!(disabled["api_keys"][1]["label"], "of the second");
    assert_eq!(disabled["api_keys"][1]["rate_limit"], whole["rate_limit"]);
    assert_eq!(second.get("/v1/torrents").await?.status, 401);
    let without = change(
        &server,
        json!({ "api_keys": [{ "op": "delete", "key_id": "second" }], "secrets": [{ "op": "delete", "name": "a" }] }),
    )
    .await?;
    assert_eq!(without["api_keys"].as_array().map(Vec::len), Some(1));
    assert_eq!(without["secrets"], json!([]));
    assert_eq!(
        pointers(
            &server,
            json!({ "api_keys": [{ "op": "burn", "key_id": "a" }], "secrets": [{ "op": "x", "name": "a", "value": "1" }] })
        )
        .await?,
        ["/api_keys/0/op", "/secrets/0/op"]
    );
    Ok(())
}

#[tokio::test]
async fn both_arrays_default_to_empty() -> Result<()> {
    let (_database, server) = active().await?;
    change(&server, json!({ "secrets": [{ "op": "set", "name": "a", "value": "1" }] })).await?;
    let before = server.settings().await?;
    for arrays in [json!({}), json!({ "api_keys": [] }), json!({ "secrets": [] })] {
        let mut changeset = arrays;
        changeset["fs_policy"] = json!({ "flatten": before["fs_policy"]["flatten"] == false });
        let after = change(&server, changeset).await?;
        assert_eq!((&after["api_keys"], &after["secrets"]), (&before["api_keys"], &before["secrets"]));
    }
    Ok(())
}

/// A change of every section and of both arrays.
fn everything() -> Value {
    json!({
        "app_profile": { "instance_name": "all" },
        "engine_profile": { "max_download_bps": 1 << 20 },
        "fs_policy": { "flatten": true },
        "api_keys": [upsert("second", &json!({ "label": "l", "secret": "s".repeat(40) }))],
        "secrets": [{ "op": "set", "name": "a", "value": "1" }],
    })
}

#[tokio::test]
async fn all_of_a_changeset_commits_in_one_transaction_as_one_revision_or_none_of_it() -> Result<()> {
    let (_database, server) = active().await?;
    let before = server.settings().await?;
    // What breaks it: a member of each part in turn.
    for (pointer, value) in [
        ("/app_profile/instance_name", json!("")),
        ("/engine_profile/max_download_bps", json!(-1)),
        ("/fs_policy/flatten", json!("yes")),
        ("/api_keys/0/secret", json!("short")),
        ("/secrets/0/name", json!("")),
    ] {
        let mut broken = everything();
        *broken.pointer_mut(pointer).context("no such member")? = value;
        assert_eq!(pointers(&server, broken).await?, [pointer]);
        assert_eq!(server.settings().await?, before, "{pointer}");
    }
    assert_eq!(stored_revision(&server.app).await?, revision(&before)?);

    let after = change(&server, everything()).await?;
    assert_eq!(revision(&after)?, revision(&before)? + 1);
    let history = format!(
        "SELECT section FROM settings_history WHERE revision > {} ORDER BY section",
        revision(&before)?
    );
    let sections = ["api_keys", "app_profile", "engine_profile", "fs_policy", "secrets"];
    assert_eq!(column(&server.app, &history).await?, sections);
    // One transaction wrote all of it.
    let writers = "SELECT DISTINCT xmin::text FROM (
            SELECT xmin FROM settings_app_profile UNION ALL SELECT xmin FROM settings_engine_profile
            UNION ALL SELECT xmin FROM settings_fs_policy UNION ALL SELECT xmin FROM settings_revision
            UNION ALL SELECT xmin FROM auth_api_keys WHERE key_id = 'second'
            UNION ALL SELECT xmin FROM settings_secret WHERE name = 'a') AS rows";
    assert_eq!(column(&server.app, writers).await?.len(), 1);
    Ok(())
}

/// One of two clients that were as fast is made, the other one is a conflict.
fn only_one_of(first: revaer_e2e::api::Answer, second: revaer_e2e::api::Answer) -> Result<()> {
    let (won, lost) = if first.status == 200 { (first, second) } else { (second, first) };
    won.expect(200)?;
    lost.expect_problem(409, "conflict")?;
    Ok(())
}

#[tokio::test]
async fn if_match_makes_a_changeset_conditional_and_a_race_is_409() -> Result<()> {
    let (_database, server) = active().await?;
    let seen = revision(&server.settings().await?)?;
    let with = |revision: i64, seconds: u32| {
        let api = server.api.clone();
        async move {
            let tag = format!("\"{revision}\"");
            let body = json!({ "engine_profile": { "resume_save_seconds": seconds } });
            api.patch_with("/admin/settings", &body, &[("if-match", &tag)]).await
        }
    };
    for other in [seen - 1, seen + 1] {
        with(other, 1).await?.expect_problem(409, "conflict")?;
    }
    assert_eq!(stored_revision(&server.app).await?, seen);
    let made = with(seen, 2).await?.expect(200)?;
    assert_eq!(revision(&made)?, seen + 1);
    let (first, second) = try_join(with(seen + 1, 3), with(seen + 1, 4)).await?;
    only_one_of(first, second)?;
    assert_eq!(stored_revision(&server.app).await?, seen + 2);
    Ok(())
}

#[tokio::test]
async fn app_profile_version_makes_a_changeset_conditional_and_a_race_is_409() -> Result<()> {
    let (_database, server) = active().await?;
    let seen = server.settings().await?["app_profile"]["version"].as_i64().context("no version")?;
    let with = |version: i64, name: &str| {
        let body = json!({ "app_profile": { "version": version, "instance_name": name } });
        patch(&server, body)
    };
    for other in [seen - 1, seen + 1] {
        with(other, "no").await?.expect_problem(409, "conflict")?;
    }
    let made = with(seen, "one").await?.expect(200)?;
    assert_eq!(made["app_profile"]["version"], seen + 1);
    // The profile's own: what changes elsewhere is no race.
    change(&server, json!({ "fs_policy": { "flatten": true } })).await?;
    let (first, second) = try_join(with(seen + 1, "two"), with(seen + 1, "three")).await?;
    only_one_of(first, second)
}

#[tokio::test]
async fn id_is_refused_and_mode_too_outside_setup() -> Result<()> {
    let (_database, server) = active().await?;
    let before = server.settings().await?;
    let profile = &before["app_profile"];
    for (member, values) in
        [("id", [profile["id"].clone(), json!("x")]), ("mode", [json!("active"), json!("setup")])]
    {
        for value in values {
            let pointer = format!("/app_profile/{member}");
            assert_eq!(
                pointers(&server, json!({ "app_profile": { member: value } })).await?,
                [pointer],
                "{value}"
            );
        }
    }
    assert_eq!(server.settings().await?, before);

    let (_database, app) = fresh().await?;
    let api = app.api()?;
    let token = revaer_e2e::setup::token(&api).await?;
    let complete = async |more: Value| {
        let mut body = revaer_e2e::setup::changeset(&app);
        body["app_profile"] = more;
        api.post_with("/admin/setup/complete", &body, &[("x-revaer-setup-token", &token)]).await
    };
    let id = json!("00000000-0000-0000-0000-000000000000");
    let refused = complete(json!({ "id": id })).await?.expect_problem(422, "config-invalid")?;
    assert_eq!(refused["invalid_params"][0]["pointer"], "/app_profile/id");
    let done = complete(json!({ "mode": "active" })).await?.expect(200)?;
    assert_eq!(done["app_profile"]["mode"], "active");
    Ok(())
}

#[tokio::test]
async fn a_changeset_that_changes_nothing_is_200_no_new_revision_and_still_emits_settings_changed()
-> Result<()> {
    let (_database, server) = active().await?;
    let before = server.settings().await?;
    let mut events = server.api.events("?event=settings_changed", None).await?;
    let same = json!({ "engine_profile": before["engine_profile"], "fs_policy": before["fs_policy"],
        "api_keys": [{ "op": "delete", "key_id": "nobody" }] });
    for changeset in [json!({}), same] {
        let answer = patch(&server, changeset).await?;
        let request = answer.headers.get("x-request-id").context("no x-request-id")?.to_str()?.to_owned();
        assert_eq!(answer.expect(200)?, before);
        assert_eq!(stored_revision(&server.app).await?, revision(&before)?);
        let told = events
            .wait_for("settings_changed", LIMIT, |frame| frame.data["request_id"] == request.as_str())
            .await?;
        assert_eq!(told.data["event"]["revision"], before["revision"], "{}", told.data);
    }
    let rows = format!("SELECT count(*) FROM settings_history WHERE revision > {}", revision(&before)?);
    assert_eq!(server.app.sql_value(&rows).await?.as_deref(), Some("0"));
    Ok(())
}

#[tokio::test]
async fn every_fault_of_a_changeset_is_told_at_once_with_its_pointer() -> Result<()> {
    let (_database, server) = active().await?;
    let body = json!({
        "app_profile": { "http_port": 0, "telemetry": { "colour": 1 }, "id": "x" },
        "engine_profile": { "encryption": "maybe", "download_root": "/dev/null/x", "tracker": { "announce_ip": "x" } },
        "fs_policy": { "chmod_file": "888", "cleanup_keep": ["*", "["], "owner": "nobody-of-this-name" },
        "api_keys": [upsert("new", &json!({ "rate_limit": { "burst": 0, "per_seconds": 1 } })), 7],
        "secrets": [{ "op": "set", "name": "a" }],
        "nonsense": {},
    });
    let found = faults(&server, body).await?;
    let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    let expected = [
        "/api_keys/0/rate_limit",
        "/api_keys/0/secret",
        "/api_keys/1",
        "/app_profile/http_port",
        "/app_profile/id",
        "/app_profile/telemetry/colour",
        "/engine_profile/download_root",
        "/engine_profile/encryption",
        "/engine_profile/tracker/announce_ip",
        "/fs_policy/chmod_file",
        "/fs_policy/cleanup_keep/1",
        "/fs_policy/owner",
        "/nonsense",
        "/secrets/0/value",
    ];
    assert_eq!(pointers, expected);
    assert!(found.iter().all(|(_, message)| !message.is_empty()), "{found:?}");
    Ok(())
}
