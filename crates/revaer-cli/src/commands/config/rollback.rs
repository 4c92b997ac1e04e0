//! `revaer config rollback`: what was in force once, as a new revision.
//!
//! The present revision is the condition of the change: what is said to change is what changes, or nothing does.

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value};

use super::{PATH, revision, send};
use crate::{client::Auth, context::Context, difference::differences, error::CliError, reason::Reason};

/// What goes back. Keys, secrets and presets do not: a key that was revoked stays so.
const SECTIONS: [&str; 3] = ["app_profile", "engine_profile", "fs_policy"];

/// Flags of `config rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The revision to go back to, such as `revaer config history` lists
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    revision: i64,
    /// Why, for the history [default: rollback to revision REVISION]
    #[arg(long, value_name = "TEXT")]
    reason: Option<Reason>,
}

/// Goes back, and prints what changed.
pub(super) async fn run(args: &RollbackArgs, context: &Context) -> Result<(), CliError> {
    let mut then = read(context, &format!("{PATH}/history/{}", args.revision)).await?;
    let now = read(context, PATH).await?;
    let present = revision(context, &now)?;
    let mut wanted = Map::new();
    for section in SECTIONS {
        let document = then.get_mut(section).map(Value::take).filter(Value::is_object);
        let document = document.ok_or_else(|| {
            context
                .client
                .not_understood(format!("the revision is not what was asked for: no {section} in it"))
        })?;
        wanted.insert(section.to_owned(), document);
    }
    let changes = changes(&now, &wanted);
    if changes.is_empty() {
        context.screen.notice(&format!("nothing differs from revision {}", args.revision));
    }
    let reason = args.reason.clone().unwrap_or_else(|| Reason::of_rollback(args.revision));
    let answer = send(context, &wanted, Some(present), Some(&reason)).await?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let mut lines = changes;
    lines.push(format!("revision: {}", revision(context, &answer.read()?)?));
    context.screen.result(&lines.join("\n"))
}

async fn read(context: &Context, path: &str) -> Result<Value, CliError> {
    context.client.call(context.client.request(Method::GET, path, &[]), Auth::Key).await?.read()
}

/// What will change. A setting that is younger than the revision is not named in it, and stays as it is.
fn changes(now: &Value, wanted: &Map<String, Value>) -> Vec<String> {
    let sections = SECTIONS.into_iter();
    let all = sections.flat_map(|name| differences(name.to_owned(), now.get(name), wanted.get(name)));
    all.filter(|difference| difference.new.is_some()).map(|difference| difference.line()).collect()
}
