//! From a fresh server to a key: setup mode refuses everything else, a token works once, the key works afterwards,
//! whatever happens in between.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::future::{join, try_join};
use revaer_e2e::api::Answer;
use revaer_e2e::app::{App, Options};
use revaer_e2e::db::Database;
use revaer_e2e::stage::loops;
use revaer_e2e::{setup, wait};
use serde_json::{Value, json};

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

/// Completes setup with a key that the client brings; answers what came back, if anything did.
async fn complete(app: &App, token: &str, body: &Value) -> Result<Answer> {
    app.api()?.post_with("/admin/setup/complete", body, &[("x-revaer-setup-token", token)]).await
}

/// A changeset with a key of the client's own.
fn with_key(app: &App, key_id: &str, secret: &str) -> Value {
    let mut body = setup::changeset(app);
    let key = json!({ "op": "upsert", "key_id": key_id, "label": key_id, "secret": secret });
    setup::merge(&mut body, &json!({ "api_keys": [key] }));
    body
}

async fn key_works(app: &App, key: &str) -> Result<bool> {
    Ok(app.api()?.with_key(key).get("/v1/torrents").await?.status == 200)
}

#[tokio::test]
async fn of_two_completions_with_one_token_one_is_done_and_one_conflicts_and_there_is_one_key() -> Result<()>
{
    for _ in 0..loops(3) {
        let database = Database::create().await?;
        let app =
            App::start_with(Options { database_url: Some(database.url().to_owned()), ..Options::default() })
                .await?;
        let token = setup::token(&app.api()?).await?;
        let secrets = ["1".repeat(43), "2".repeat(43)];
        let bodies = [with_key(&app, "one", &secrets[0]), with_key(&app, "two", &secrets[1])];
        let (first, second) =
            try_join(complete(&app, &token, &bodies[0]), complete(&app, &token, &bodies[1])).await?;
        let (won, lost) = match (first.status, second.status) {
            (200, 409) => (0, second),
            (409, 200) => (1, first),
            both => bail!("they answered {both:?}: {} {}", first.body, second.body),
        };
        lost.expect_problem(409, "conflict")?;
        let names = ["one", "two"];
        assert!(key_works(&app, &format!("{}:{}", names[won], secrets[won])).await?);
        assert!(!key_works(&app, &format!("{}:{}", names[1 - won], secrets[1 - won])).await?);
        assert_eq!(app.sql("SELECT key_id FROM auth_api_keys").await?, [[Some(names[won].to_owned())]]);
        let consumed =
            app.sql_value("SELECT count(*) FROM setup_tokens WHERE consumed_at IS NOT NULL").await?;
        assert_eq!(consumed.as_deref(), Some("1"));
    }
    Ok(())
}

/// Kills the server `delay` into a completion; answers whether setup was done when it came back.
async fn kill_at(delay: Duration, passphrase: Option<&str>) -> Result<bool> {
    let database = Database::create().await?;
    let mut app =
        App::start_with(Options { database_url: Some(database.url().to_owned()), ..Options::default() })
            .await?;
    let token = setup::token(&app.api()?).await?;
    let secret = "k".repeat(43);
    let key = format!("brought:{secret}");
    let mut body = with_key(&app, "brought", &secret);
    body["secrets"] = json!([{ "op": "set", "name": "kept", "value": "sealed" }]);
    if let Some(passphrase) = passphrase {
        body["passphrase"] = passphrase.into();
    }
    let api = app.api()?;
    let header = [("x-revaer-setup-token", token.as_str())];
    let asked = api.post_with("/admin/setup/complete", &body, &header);
    // No answer is an answer here.
    let (answer, killed) = join(asked, async {
        wait::pass(delay).await;
        app.kill9().await
    })
    .await;
    killed?;
    let acknowledged = answer.is_ok_and(|answer| answer.status == 200);

    app.start_again().await?;
    let done = app.mode() == "active";
    if acknowledged && !done {
        bail!("setup was acknowledged and is lost");
    }
    if !done {
        assert!(!key_works(&app, &key).await?, "not set up, and yet the key works");
        complete(&app, &token, &body)
            .await?
            .expect(200)
            .context("not set up, and the token does not work")?;
    }
    complete(&app, &token, &body).await?.expect_problem(409, "conflict")?;
    assert!(
        key_works(&app, &key).await?,
        "set up, and the key that was brought does not work (done: {done})"
    );
    let keys = app.sql("SELECT key_id FROM auth_api_keys").await?;
    assert_eq!(keys, [[Some("brought".to_owned())]]);
    // The secret can be opened: the key file is the one it was sealed under.
    assert_eq!(app.sigterm().await?, 0);
    app.start_again().await?;
    assert_eq!(app.mode(), "active");
    assert!(key_works(&app, &key).await?);
    let health = app.api()?.get("/health").await?.expect(200)?;
    assert_eq!(health["degraded"], json!([]), "{health}");
    Ok(done)
}

/// How long a completion takes that is let alone.
async fn usual_time(passphrase: Option<&str>) -> Result<Duration> {
    let app = App::start().await?;
    let token = setup::token(&app.api()?).await?;
    let mut body = with_key(&app, "brought", &"k".repeat(43));
    if let Some(passphrase) = passphrase {
        body["passphrase"] = passphrase.into();
    }
    let began = Instant::now();
    complete(&app, &token, &body).await?.expect(200)?;
    Ok(began.elapsed())
}

/// Kills at moments spread over a completion and a little beyond.
async fn kills_over_a_completion(passphrase: Option<&str>) -> Result<()> {
    let usual = usual_time(passphrase).await?;
    let kills = loops(6);
    let mut done = 0;
    for kill in 0..kills {
        let mut byte = [0_u8];
        getrandom::fill(&mut byte).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        // A random moment of each of so many equal parts.
        let share = (f64::from(kill) + f64::from(byte[0]) / 256.0) / f64::from(kills);
        let delay = usual.mul_f64(share * 1.3);
        let was_done = kill_at(delay, passphrase)
            .await
            .with_context(|| format!("killed {delay:?} into a completion that takes {usual:?}"))?;
        done += u32::from(was_done);
    }
    eprintln!("of {kills} completions of {usual:?} that were killed, {done} were done");
    Ok(())
}

#[tokio::test]
async fn a_completion_that_is_killed_is_done_with_the_key_brought_or_undone_with_the_token_good() -> Result<()>
{
    Box::pin(kills_over_a_completion(None)).await
}

#[tokio::test]
async fn a_completion_with_a_passphrase_that_is_killed_is_done_or_undone_too() -> Result<()> {
    Box::pin(kills_over_a_completion(Some("correct horse battery staple"))).await
}
