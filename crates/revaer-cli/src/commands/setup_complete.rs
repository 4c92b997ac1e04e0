//! `revaer setup complete`: the first settings and the first key.
//!
//! The key is made here and kept in its file before the server hears of it: when the answer is lost, the key
//! is not, and repeating the command brings the same key again.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Method;
use revaer_api_models::{ApiKeyToken, SetupCompleted};
use serde_json::{Map, Value, json};

use crate::{
    client::Auth, context::Context, error::CliError, json_file, key_file, secret::Secret, text::printable,
};

/// Flags of `setup complete`; the server has a default for everything that is left out.
#[derive(Debug, Args)]
pub(crate) struct CompleteArgs {
    /// Name of this server
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR")]
    bind: Option<String>,
    /// Port to listen on
    #[arg(long)]
    port: Option<u16>,
    /// Directory for what a restart needs to go on
    #[arg(long, value_name = "DIR")]
    resume_dir: Option<String>,
    /// Directory that receives downloads
    #[arg(long, value_name = "DIR")]
    download_root: Option<String>,
    /// Directory that receives finished entries
    #[arg(long, value_name = "DIR")]
    library_root: Option<String>,
    /// Directory that the server may use; may be repeated
    #[arg(long, value_name = "DIR")]
    allow_path: Vec<String>,
    /// Label of the first key
    #[arg(long, value_name = "LABEL", default_value = "admin")]
    api_key_label: String,
    /// Id of the first key
    #[arg(long, value_name = "ID", default_value = "admin")]
    api_key_id: String,
    /// Passphrase that seals stored secrets; else the server makes a key of its own
    #[arg(long, env = "REVAER_SETUP_PASSPHRASE", hide_env_values = true)]
    passphrase: Option<Secret>,
    /// JSON file with more settings (sections as in `config set`); the flags win
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The token of `setup start`
    #[arg(long, env = "REVAER_SETUP_TOKEN", hide_env_values = true)]
    token: Option<Secret>,
}

/// Does it.
pub(crate) async fn run(args: &CompleteArgs, context: &Context) -> Result<(), CliError> {
    let token = args.token.as_ref().and_then(|token| token.expose()).map(str::trim).ok_or_else(|| {
        CliError::Input(
            "no setup token; get one with `revaer setup start`, and pass it in REVAER_SETUP_TOKEN".to_owned(),
        )
    })?;
    let path = context.key_file.as_ref().ok_or_else(|| {
        CliError::Input("no place for the key: HOME is not set; name a file with --key-file".to_owned())
    })?;
    if !ApiKeyToken::is_key_id(&args.api_key_id) {
        return Err(CliError::Input("--api-key-id: 1 to 64 characters of A-Z a-z 0-9 _ -".to_owned()));
    }
    let settings = args.settings.as_deref().map(json_file::read).transpose()?.unwrap_or_default();
    let kept = keep_key(path, &args.api_key_id)?;
    if !kept.is_new {
        context.screen.notice(&format!("using the key that {} keeps already", path.display()));
    }
    let body = changeset(args, &kept.key, settings)?;
    let request = context.client.request(Method::POST, "/admin/setup/complete", &[]).json(&body);
    let answer = match context.client.call(request, Auth::SetupToken(token)).await {
        Ok(answer) => answer,
        Err(error) => {
            if kept.is_new
                && !error.is_ambiguous()
                && let Err(error) = key_file::remove(path)
            {
                context.screen.notice(&format!("warning: {error}; the key in it is good for nothing"));
            }
            return Err(error.with_hint(format!(
                "the key is in {}: if `revaer ls` works, setup is done; else repeat the command",
                path.display()
            )));
        }
    };
    context.screen.notice(&format!("the api key is kept in {}", path.display()));
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let completed: SetupCompleted = answer.read()?;
    let instance =
        completed.snapshot.get("app_profile").and_then(|profile| profile["instance_name"].as_str());
    context.screen.result(&format!(
        "instance: {}\napi_key: {}",
        printable(instance.unwrap_or("revaer")),
        completed.api_key.expose()
    ))
}

struct Kept {
    key: ApiKeyToken,
    is_new: bool,
}

/// The key in the file, or a new one that is there now.
fn keep_key(path: &Path, key_id: &str) -> Result<Kept, CliError> {
    if let Some(stored) = key_file::read(path)? {
        if stored.key.key_id() != key_id {
            return Err(CliError::Input(format!(
                "{} keeps another key ({}) already; move it away, or name another file with --key-file",
                path.display(),
                stored.key.key_id()
            )));
        }
        return Ok(Kept { key: stored.key, is_new: false });
    }
    let key = key_file::fresh(key_id)?;
    key_file::write(path, &key)?;
    Ok(Kept { key, is_new: true })
}

/// The settings of the file, with what the flags say on top.
fn changeset(
    args: &CompleteArgs,
    key: &ApiKeyToken,
    mut settings: Map<String, Value>,
) -> Result<Map<String, Value>, CliError> {
    let members = [
        ("app_profile", "instance_name", args.instance.as_ref().map(|value| json!(value))),
        ("app_profile", "bind_addr", args.bind.as_ref().map(|value| json!(value))),
        ("app_profile", "http_port", args.port.map(|value| json!(value))),
        ("engine_profile", "resume_dir", args.resume_dir.as_ref().map(|value| json!(value))),
        ("engine_profile", "download_root", args.download_root.as_ref().map(|value| json!(value))),
        ("fs_policy", "library_root", args.library_root.as_ref().map(|value| json!(value))),
        ("fs_policy", "allow_paths", (!args.allow_path.is_empty()).then(|| json!(args.allow_path))),
    ];
    for (section, member, value) in members {
        let Some(value) = value else { continue };
        let section_value = settings.entry(section).or_insert_with(|| json!({}));
        let object = section_value.as_object_mut().ok_or_else(|| wrong_settings(section, "an object"))?;
        object.insert(member.to_owned(), value);
    }
    let keys = settings.entry("api_keys").or_insert_with(|| json!([]));
    let keys = keys.as_array_mut().ok_or_else(|| wrong_settings("api_keys", "a list"))?;
    if keys.iter().any(|entry| entry["key_id"] == key.key_id()) {
        return Err(CliError::Input(format!(
            "the settings file names the key {} too; give the first key another id with --api-key-id",
            key.key_id()
        )));
    }
    keys.push(json!({
        "op": "upsert",
        "key_id": key.key_id(),
        "label": args.api_key_label,
        "enabled": true,
        "secret": key.secret(),
    }));
    if let Some(passphrase) = args.passphrase.as_ref().and_then(|passphrase| passphrase.expose()) {
        settings.insert("passphrase".to_owned(), json!(passphrase));
    }
    Ok(settings)
}

fn wrong_settings(member: &str, expected: &str) -> CliError {
    CliError::Input(format!("the settings file: {member} is not {expected}"))
}
