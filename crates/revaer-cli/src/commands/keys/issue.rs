//! `revaer keys issue`: a new key, whose secret the server makes and shows this once.

use clap::Args;
use reqwest::Method;
use revaer_api_models::IssuedKey;
use serde_json::{Map, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::PATH;
use crate::{
    client::Auth,
    context::Context,
    error::CliError,
    reason::{ReasonArg, explained},
    text,
    values::{key_id, moment},
};

/// Flags of `keys issue`. Without a limit of its own a key gets the server's default.
#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// Id of the key; else the server makes one
    #[arg(long, value_name = "ID", value_parser = key_id)]
    key_id: Option<String>,
    /// What the key is for
    #[arg(long, value_name = "TEXT")]
    label: String,
    /// Most requests at once
    #[arg(long, value_name = "N", requires = "per_seconds", value_parser = clap::value_parser!(u32).range(1..))]
    burst: Option<u32>,
    /// Seconds in which as many requests come back
    #[arg(long, value_name = "N", requires = "burst", value_parser = clap::value_parser!(u32).range(1..))]
    per_seconds: Option<u32>,
    /// No limit; the server warns of such keys
    #[arg(long, conflicts_with_all = ["burst", "per_seconds"])]
    unlimited: bool,
    /// When the key stops being taken, as in 2030-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    expires_at: Option<OffsetDateTime>,
    #[command(flatten)]
    why: ReasonArg,
}

/// Issues the key and prints it.
pub(super) async fn run(args: &IssueArgs, context: &Context) -> Result<(), CliError> {
    let mut body = Map::from_iter([("label".to_owned(), json!(args.label))]);
    if let Some(key_id) = &args.key_id {
        body.insert("key_id".to_owned(), json!(key_id));
    }
    match (args.burst, args.per_seconds) {
        (Some(burst), Some(per_seconds)) => {
            body.insert("rate_limit".to_owned(), json!({"burst": burst, "per_seconds": per_seconds}));
        }
        _ if args.unlimited => {
            body.insert("rate_limit".to_owned(), json!(null));
        }
        _ => {}
    }
    if let Some(time) = args.expires_at {
        let time =
            time.format(&Rfc3339).map_err(|error| CliError::Input(format!("--expires-at: {error}")))?;
        body.insert("expires_at".to_owned(), json!(time));
    }
    let request = context.client.request(Method::POST, PATH, &[]).json(&body);
    let answer = context.client.call(explained(request, args.why.reason.as_ref()), Auth::Key).await.map_err(
        |error| {
            error.with_hint(
                "`revaer keys ls` shows whether there is a new key; `revaer keys rotate` gives it a secret \
                 that is known, `revaer keys revoke` ends it",
            )
        },
    )?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let issued: IssuedKey = answer.read()?;
    let mut lines = issued.api_key.expose();
    if let Some(time) = issued.expires_at {
        lines.extend(["\nexpires_at: ", &text::moment(time)]);
    }
    context.screen.result(&lines)
}
