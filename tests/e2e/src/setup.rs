//! From a fresh server to a usable one, over HTTP.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::api::Api;
use crate::app::App;

/// Starts setup; answers the token.
pub async fn token(api: &Api) -> Result<String> {
    let started = api.post("/admin/setup/start", &json!({})).await?.expect(200)?;
    Ok(started["token"].as_str().context("no token in the answer")?.to_owned())
}

/// What every server under test is told: keep to loopback, listen on its own address.
pub fn changeset(app: &App) -> Value {
    json!({
        "engine_profile": {
            "dht": false,
            "lsd": false,
            "listen_interfaces": [app.engine().ip().to_string()],
            "listen_port": app.engine().port(),
        }
    })
}

/// Completes setup with [`changeset`] and `more` on top; answers a client with the key.
pub async fn complete(app: &App, more: &Value) -> Result<Api> {
    let api = app.api()?;
    let token = token(&api).await?;
    let mut body = changeset(app);
    merge(&mut body, more);
    let done = api
        .post_with("/admin/setup/complete", &body, &[("x-revaer-setup-token", &token)])
        .await?
        .expect(200)?;
    Ok(api.with_key(done["api_key"].as_str().context("no api_key in the answer")?))
}

/// Lays the members of `more` over those of `base`, objects member by member.
pub fn merge(base: &mut Value, more: &Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (name, value) in more {
                merge(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more.clone(),
    }
}
