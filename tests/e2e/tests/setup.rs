//! From a fresh server to a key: setup mode refuses everything else, a token works once, the key works afterwards.

use anyhow::{Context, Result};
use revaer_e2e::app::App;
use revaer_e2e::setup;
use serde_json::json;

#[tokio::test]
async fn setup_mode_answers_nothing_but_setup() -> Result<()> {
    let app = App::start().await?;
    assert_eq!(app.mode(), "setup");
    let api = app.api()?;
    let health = api.get("/health").await?.expect(200)?;
    assert_eq!((&health["status"], &health["mode"]), (&json!("ok"), &json!("setup")));
    for path in ["/v1/torrents", "/v1/events", "/v1/config", "/admin/settings", "/admin/torrents"] {
        api.get(path).await?.expect_problem(409, "setup-required").context(path)?;
    }
    api.get("/nowhere").await?.expect_problem(404, "not-found")?;
    let foreign = [("origin", "https://example.org")];
    api.post_with("/admin/setup/start", &json!({}), &foreign).await?.expect_problem(403, "forbidden")?;
    let forwarded = [("x-forwarded-for", "203.0.113.7")];
    api.post_with("/admin/setup/start", &json!({}), &forwarded).await?.expect_problem(403, "forbidden")?;
    let url = std::fs::read_to_string(app.data_dir().join("url"))?;
    assert_eq!(url.trim().trim_end_matches('/'), app.url().trim_end_matches('/'));
    Ok(())
}

#[tokio::test]
async fn a_token_works_once_and_the_key_from_then_on() -> Result<()> {
    let mut app = App::start().await?;
    let api = app.api()?;
    let header = "x-revaer-setup-token";
    let body = setup::changeset(&app);
    let complete = |token: String| {
        let (api, body) = (api.clone(), body.clone());
        async move { api.post_with("/admin/setup/complete", &body, &[(header, &token)]).await }
    };

    let superseded = setup::token(&api).await?;
    let token = setup::token(&api).await?;
    for wrong in [superseded, "no-such-token".to_owned()] {
        let problem = complete(wrong).await?.expect_problem(401, "unauthorized")?;
        assert_eq!(problem["invalid_params"][0]["pointer"], "/header/x-revaer-setup-token", "{problem}");
        assert!(problem["detail"].is_string(), "{problem}");
    }
    let done = complete(token.clone()).await?.expect(200)?;
    let key = done["api_key"].as_str().context("no key")?.to_owned();
    complete(token).await?.expect_problem(409, "conflict")?;
    api.post("/admin/setup/start", &json!({})).await?.expect_problem(409, "conflict")?;

    api.get("/v1/torrents").await?.expect_problem(401, "unauthorized")?;
    api.with_key("admin:not-the-secret").get("/v1/torrents").await?.expect_problem(401, "unauthorized")?;
    api.with_key(&key).get("/v1/torrents").await?.expect(200)?;
    let snapshot = api.with_key(&key).get("/admin/settings").await?.expect(200)?;
    assert_eq!(snapshot["engine_profile"]["dht"], false, "{snapshot}");
    let secret = key.split_once(':').context("a key without a colon")?.1;
    let public = api.get("/.well-known/revaer.json").await?.expect(200)?.to_string();
    assert!(!public.contains(secret) && !snapshot.to_string().contains(secret));

    assert_eq!(app.sigterm().await?, 0);
    app.start_again().await?;
    assert_eq!(app.mode(), "active");
    app.api()?.with_key(&key).get("/v1/torrents").await?.expect(200)?;
    assert_eq!(app.api()?.get("/health").await?.expect(200)?["mode"], "active");
    Ok(())
}

#[tokio::test]
async fn an_empty_changeset_makes_a_usable_server() -> Result<()> {
    let app = App::start().await?;
    let api = app.api()?;
    let token = setup::token(&api).await?;
    // The one setting that a test may not leave at its default: it would look for peers beyond this machine.
    let body = json!({ "engine_profile": { "dht": false, "lsd": false } });
    let done = api
        .post_with("/admin/setup/complete", &body, &[("x-revaer-setup-token", &token)])
        .await?
        .expect(200)?;
    for (member, folder) in [("download_root", app.downloads()), ("resume_dir", app.resume_dir())] {
        assert_eq!(done["engine_profile"][member], folder.display().to_string());
        assert!(folder.is_dir(), "{}", folder.display());
    }
    assert_eq!(done["fs_policy"]["library_root"], app.library().display().to_string());
    assert!(app.library().is_dir());
    Ok(())
}
