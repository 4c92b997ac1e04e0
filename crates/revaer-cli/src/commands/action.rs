//! `revaer action`: what can be asked of one torrent.

use clap::{Args, ValueEnum};
use reqwest::Method;
use revaer_api_models::{Action, TorrentSummary};
use uuid::Uuid;

use crate::{
    client::Auth,
    context::Context,
    error::CliError,
    values::{Limit, torrent_id},
};

/// What to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verb {
    /// Stop it
    Pause,
    /// Let it go on; clears a failure
    Resume,
    /// Forget it
    Remove,
    /// Forget it and delete what it downloaded
    RemoveData,
    /// Change its rate limits
    Rate,
}

/// Flags of `action`.
#[derive(Debug, Args)]
pub(crate) struct ActionArgs {
    /// The torrent
    #[arg(value_parser = torrent_id)]
    id: Uuid,
    /// What to ask
    #[arg(value_enum)]
    verb: Verb,
    /// With remove: delete what it downloaded, never a library entry
    #[arg(long)]
    delete_data: bool,
    /// With remove: where the downloaded content has become the library entry, delete that too
    #[arg(long)]
    delete_library: bool,
    /// With rate: most bytes per second to receive (0: none), or none to lift the limit
    #[arg(long, value_name = "BPS|none")]
    download: Option<Limit>,
    /// With rate: most bytes per second to send (0: none), or none to lift the limit
    #[arg(long, value_name = "BPS|none")]
    upload: Option<Limit>,
}

impl ActionArgs {
    /// The request's body; an error when flags and verb do not go together.
    fn action(&self) -> Result<Action, CliError> {
        let wrong = |text: &str| Err(CliError::Input(text.to_owned()));
        let removes = matches!(self.verb, Verb::Remove | Verb::RemoveData);
        if (self.delete_data || self.delete_library) && !removes {
            return wrong("--delete-data and --delete-library go with remove only");
        }
        let limits = self.download.is_some() || self.upload.is_some();
        if limits && self.verb != Verb::Rate {
            return wrong("--download and --upload go with rate only");
        }
        if self.verb == Verb::Rate && !limits {
            return wrong(
                "rate changes nothing without --download or --upload; give at least one, in bytes per second, \
                 or none to lift that limit",
            );
        }
        Ok(match self.verb {
            Verb::Pause => Action::Pause {},
            Verb::Resume => Action::Resume {},
            Verb::Remove | Verb::RemoveData => Action::Remove {
                delete_data: self.delete_data || self.verb == Verb::RemoveData,
                delete_library: self.delete_library,
            },
            Verb::Rate => Action::Rate {
                download_bps: Limit::change(self.download),
                upload_bps: Limit::change(self.upload),
            },
        })
    }
}

/// Asks and prints the torrent as it is then.
pub(crate) async fn run(args: &ActionArgs, context: &Context) -> Result<(), CliError> {
    send(args.id, &args.action()?, context).await
}

/// Sends an action and prints what came of it.
pub(super) async fn send(id: Uuid, action: &Action, context: &Context) -> Result<(), CliError> {
    let path = format!("/v1/torrents/{id}/action");
    let request = context.client.request(Method::POST, &path, &[]).json(action);
    let answer = context
        .client
        .call(request, Auth::Key)
        .await
        .map_err(|error| error.with_hint("repeat the command: asking twice does no harm"))?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    if matches!(action, Action::Remove { .. }) {
        return context.screen.result(&format!("{id} removed"));
    }
    let torrent: TorrentSummary = answer.read()?;
    let limit = torrent.rate_limit;
    context.screen.result(&match action {
        Action::Rate { .. } => format!(
            "{id} download limit {}, upload limit {}",
            crate::text::limit(limit.download_bps),
            crate::text::limit(limit.upload_bps)
        ),
        _ => format!("{id} {}", torrent.state.kind),
    })
}
