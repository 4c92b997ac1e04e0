//! What the tests here have in common: a server on a database of its own, and short ways to ask it.

use std::time::Duration;

use anyhow::{Context, Result};
use revaer_e2e::api::Answer;
use revaer_e2e::app::{App, Options};
use revaer_e2e::db::Database;
use revaer_e2e::stage::{Server, unhurried_key};
use revaer_e2e::wait;
use serde_json::{Value, json};
use sqlx::postgres::{PgListener, PgNotification};

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// An external database: its start costs less than that of the server's own.
pub(crate) async fn options() -> Result<(Database, Options)> {
    let database = Database::create().await?;
    let options = Options { database_url: Some(database.url().to_owned()), ..Options::default() };
    Ok((database, options))
}

/// A server that was never set up.
pub(crate) async fn fresh() -> Result<(Database, App)> {
    let (database, options) = options().await?;
    Ok((database, App::start_with(options).await?))
}

/// A server that is set up, with a key whose limit no test reaches.
pub(crate) async fn active() -> Result<(Database, Server)> {
    let (database, options) = options().await?;
    Ok((database, Server::start_with(options, &unhurried_key()).await?))
}

/// Changes settings; answers the snapshot.
pub(crate) async fn change(server: &Server, changeset: Value) -> Result<Value> {
    patch(server, changeset).await?.expect(200)
}

pub(crate) async fn patch(server: &Server, changeset: Value) -> Result<Answer> {
    server.api.patch("/admin/settings", &changeset).await
}

/// The pointers and messages of a changeset that is refused, by pointer.
pub(crate) async fn faults(server: &Server, changeset: Value) -> Result<Vec<(String, String)>> {
    let problem = patch(server, changeset.clone()).await?.expect_problem(422, "config-invalid");
    let problem = problem.with_context(|| changeset.to_string())?;
    let params = problem["invalid_params"].as_array().context("no invalid_params")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<_> = params.iter().map(|one| (text(&one["pointer"]), text(&one["message"]))).collect();
    found.sort();
    Ok(found)
}

/// The pointers alone.
pub(crate) async fn pointers(server: &Server, changeset: Value) -> Result<Vec<String>> {
    Ok(faults(server, changeset).await?.into_iter().map(|(pointer, _)| pointer).collect())
}

pub(crate) fn revision(snapshot: &Value) -> Result<i64> {
    snapshot["revision"].as_i64().with_context(|| format!("no revision: {snapshot}"))
}

/// The revision that the database holds.
pub(crate) async fn stored_revision(app: &App) -> Result<i64> {
    Ok(app.sql_value("SELECT revision FROM settings_revision").await?.context("no revision")?.parse()?)
}

/// One text per row of a query.
pub(crate) async fn column(app: &App, sql: &str) -> Result<Vec<String>> {
    let rows = app.sql(sql).await?;
    Ok(rows.into_iter().map(|row| row.into_iter().next().flatten().unwrap_or_default()).collect())
}

/// Hears what the triggers notify, from now on.
pub(crate) async fn listener(database: &Database) -> Result<PgListener> {
    let mut listener = PgListener::connect(database.url()).await?;
    listener.listen("revaer_settings_changed").await?;
    Ok(listener)
}

/// The payloads of the next `count` notifications.
pub(crate) async fn heard(listener: &mut PgListener, count: usize) -> Result<Vec<String>> {
    let mut payloads = Vec::new();
    while payloads.len() < count {
        let next = async { Ok(listener.recv().await?) };
        let what = format!("a notification after {payloads:?}");
        let told: PgNotification = wait::within(what, LIMIT, next).await?;
        payloads.push(told.payload().to_owned());
    }
    Ok(payloads)
}

/// Waits until a member of the snapshot has a value.
pub(crate) async fn wait_setting(server: &Server, pointer: &str, value: Value) -> Result<Value> {
    wait::until(format!("{pointer} to be {value}"), LIMIT, || async {
        let settings = server.settings().await?;
        Ok((settings.pointer(pointer) == Some(&value)).then_some(settings))
    })
    .await
}

/// A key for `changes` of `api_keys`.
pub(crate) fn upsert(key_id: &str, more: &Value) -> Value {
    let mut key = json!({ "op": "upsert", "key_id": key_id });
    revaer_e2e::setup::merge(&mut key, more);
    key
}
