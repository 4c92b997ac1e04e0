//! `revaer keys rotate`: a new secret for a key.
//!
//! The secret is made here, or comes from stdin, so that the call can be repeated when its answer is lost.

use std::io::{self, Read};

use clap::Args;
use reqwest::Method;
use revaer_api_models::{ApiKeyToken, IssuedKey};
use serde_json::json;

use super::PATH;
use crate::{
    client::{Answer, Auth},
    context::Context,
    error::CliError,
    key_file,
    reason::{ReasonArg, explained},
    rotation::Rotation,
    text::moment,
    values::key_id,
};

/// Fewest characters of a secret that is brought along.
const MIN_SECRET_LEN: usize = 32;
/// More than any secret.
const MAX_STDIN_BYTES: u64 = 1024;

/// Flags of `keys rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The key
    #[arg(value_name = "KEY_ID", value_parser = key_id)]
    key_id: String,
    /// How long the secret before is taken beside the new one; 0: not at all [default: the server's, 300]
    #[arg(long, value_name = "SECS")]
    grace_seconds: Option<u32>,
    /// Read the new secret from stdin instead of making one: 32 to 256 visible ASCII characters
    #[arg(long)]
    secret_stdin: bool,
    #[command(flatten)]
    why: ReasonArg,
}

/// Rotates the key and prints it.
pub(super) async fn run(args: &RotateArgs, context: &Context) -> Result<(), CliError> {
    let brought = if args.secret_stdin { Some(read_secret(&args.key_id)?) } else { None };
    let own = context.key.as_ref().filter(|found| found.token.key_id() == args.key_id);
    let rotation = match (own, &context.key_file) {
        (Some(own), Some(path)) => Rotation::begin(path, &own.token, brought.as_ref())?,
        _ => None,
    };
    let (rotated, answer) = match rotation {
        Some(rotation) => in_file(args, context, rotation).await?,
        None => elsewhere(args, context, brought).await?,
    };
    if own.is_some_and(|own| !own.is_from_file) {
        context.screen.notice("REVAER_API_KEY, or the flag, has the secret before: replace it");
    }
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let mut lines = rotated.api_key.expose();
    if let Some(time) = rotated.grace_until {
        lines.extend(["\ngrace_until: ", &moment(time)]);
    }
    context.screen.result(&lines)
}

/// Rotates the key that the key file holds.
async fn in_file(
    args: &RotateArgs,
    context: &Context,
    rotation: Rotation,
) -> Result<(IssuedKey, Answer), CliError> {
    if rotation.is_resumed {
        context
            .screen
            .notice("finishing a rotation that was not seen to end; repeat the command for another");
        match send(args, context, &rotation.fresh, Auth::As(&rotation.fresh)).await {
            Ok(answer) => return finish(context, rotation, answer),
            // The server never took the new key, so it takes the one before.
            Err(error) if error.is_unauthorized() => {}
            Err(error) => return Err(error.with_next_step(&rotation.how_to_go_on())),
        }
    }
    match send(args, context, &rotation.fresh, Auth::As(&rotation.earlier)).await {
        Ok(answer) => finish(context, rotation, answer),
        Err(error) if rotation.is_resumed && error.is_unauthorized() => {
            Err(CliError::Unwell { title: "no key is taken", detail: rotation.how_to_start_over() })
        }
        Err(error) if error.is_ambiguous() => Err(error.with_next_step(&rotation.how_to_go_on())),
        Err(error) => {
            if let Err(failure) = rotation.undo() {
                context.screen.notice(&format!("warning: the key before is not in its place: {failure}"));
            }
            Err(error)
        }
    }
}

fn finish(context: &Context, rotation: Rotation, answer: Answer) -> Result<(IssuedKey, Answer), CliError> {
    let rotated: IssuedKey = answer.read().map_err(|error| error.with_next_step(&rotation.how_to_go_on()))?;
    rotation.accept(&rotated.api_key)?;
    match rotation.finish() {
        Ok(path) => context.screen.notice(&format!("the api key is kept in {}", path.display())),
        Err(error) => {
            context.screen.notice(&format!("warning: {error}; the key in it is not needed any more"));
        }
    }
    Ok((rotated, answer))
}

/// Rotates a key that the key file does not hold. Where nobody knows what came of it, the key is printed all
/// the same: it may be in force.
async fn elsewhere(
    args: &RotateArgs,
    context: &Context,
    brought: Option<ApiKeyToken>,
) -> Result<(IssuedKey, Answer), CliError> {
    let is_brought = brought.is_some();
    let key = brought.map_or_else(|| key_file::fresh(&args.key_id), Ok)?;
    let result = send(args, context, &key, Auth::Key).await.and_then(|answer| Ok((answer.read()?, answer)));
    match result {
        Ok(rotated) => Ok(rotated),
        Err(error) if !error.is_ambiguous() => Err(error),
        Err(error) if is_brought => Err(error.with_next_step("repeat the command with the same secret")),
        Err(error) => {
            let form = if context.screen.is_json() {
                json!({"api_key": key.expose()}).to_string()
            } else {
                key.expose()
            };
            context.screen.result(&form)?;
            Err(error.with_next_step(
                "the key that was printed may be in force: repeat the command with --secret-stdin, and give it that",
            ))
        }
    }
}

async fn send(
    args: &RotateArgs,
    context: &Context,
    key: &ApiKeyToken,
    auth: Auth<'_>,
) -> Result<Answer, CliError> {
    let mut body = json!({"secret": key.secret()});
    if let Some(seconds) = args.grace_seconds {
        body["grace_seconds"] = json!(seconds);
    }
    let path = format!("{PATH}/{}/rotate", args.key_id);
    let request = context.client.request(Method::POST, &path, &[]).json(&body);
    context.client.call(explained(request, args.why.reason.as_ref()), auth).await
}

/// The secret on the first line of stdin, or the whole key that it is a part of. Never repeated in an error.
fn read_secret(key_id: &str) -> Result<ApiKeyToken, CliError> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(MAX_STDIN_BYTES)
        .read_to_string(&mut text)
        .map_err(CliError::file("read", "stdin"))?;
    let line = text.lines().next().unwrap_or_default().trim();
    let secret = line.strip_prefix(key_id).and_then(|rest| rest.strip_prefix(':')).unwrap_or(line);
    ApiKeyToken::new(key_id, secret)
        .ok()
        .filter(|key| key.secret().len() >= MIN_SECRET_LEN)
        .ok_or_else(|| CliError::Input("stdin: a secret has 32 to 256 visible ASCII characters".to_owned()))
}
