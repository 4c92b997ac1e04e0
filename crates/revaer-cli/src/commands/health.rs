//! `revaer health`: the server's own word on how it is.

use reqwest::Method;
use revaer_api_models::{HealthFull, HealthStatus, Mode};

use crate::{
    client::Auth,
    context::Context,
    error::CliError,
    table::{Cell, Table},
    text::{printable, span},
};

/// Prints the health document; an error when anything is degraded.
pub(crate) async fn run(context: &Context) -> Result<(), CliError> {
    let request = context.client.request(Method::GET, "/health/full", &[]);
    let answer = context.client.call(request, Auth::KeyIfAny).await?;
    let health: HealthFull = answer.read()?;
    if context.screen.is_json() {
        context.screen.result(answer.body())?;
    } else {
        context.screen.table(&table(&health))?;
    }
    match health.status {
        HealthStatus::Ok => Ok(()),
        HealthStatus::Degraded => {
            Err(CliError::Unwell { title: "server degraded", detail: health.degraded.join(", ") })
        }
    }
}

fn table(health: &HealthFull) -> Table {
    let mut table = Table::default();
    table.pair("status", status(health.status));
    table.pair(
        "mode",
        match health.mode {
            Mode::Setup => "setup",
            Mode::Active => "active",
        },
    );
    table.pair("revision", health.revision.to_string());
    table.pair("version", printable(&format!("{} ({})", health.build.version, health.build.sha)));
    table.pair("uptime", span(health.uptime_seconds));
    let torrents = &health.torrent;
    table.pair("torrents", format!("{} active, {} queued", torrents.active, torrents.queue_depth));
    let fsops = &health.fsops;
    table.pair(
        "fsops",
        format!(
            "{} queued, {} running, {} waiting, {} failed",
            fsops.queued, fsops.running, fsops.waiting, fsops.failed_total
        ),
    );
    for (name, component) in &health.components {
        let reason = component.reason.as_deref().map(printable).unwrap_or_default();
        table.row([printable(name).into(), status(component.status), reason.into()]);
    }
    for guardrail in &health.guardrails {
        table.row([
            printable(&guardrail.guard).into(),
            Cell::colored("look", "33"),
            printable(&guardrail.reason).into(),
        ]);
    }
    table
}

fn status(status: HealthStatus) -> Cell {
    match status {
        HealthStatus::Ok => Cell::colored("ok", "32"),
        HealthStatus::Degraded => Cell::colored("degraded", "31"),
    }
}
