//! Who may call what: decided by the path alone, before a handler runs, so that no route can forget it.

use axum::extract::{MatchedPath, Request};
use revaer_api_models::ProblemKind;
use revaer_config::{ConfigSnapshot, Mode};
use revaer_telemetry::Guard;

use crate::{
    http::{
        allowed_hosts,
        key::{self, Unidentified},
        limiter::Allowance,
        loopback,
        problem::Reject,
        refused_keys::Refused,
    },
    ports::App,
    server::Peer,
};

/// What a path asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Nothing.
    Open,
    /// A key, where the settings protect what can be observed.
    Observability,
    /// To be on this host, while the server is not set up.
    Setup,
    /// A key, once the server is set up.
    Keyed,
}

impl Access {
    fn of(path: &str) -> Self {
        match path {
            "/health/full" | "/metrics" | "/.well-known/revaer.json" => Self::Observability,
            _ if path.starts_with("/admin/setup/") => Self::Setup,
            _ if path.starts_with("/admin/") || path.starts_with("/v1/") => Self::Keyed,
            _ => Self::Open,
        }
    }
}

/// What came of a request before its handler.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// What the key has left, where it is limited.
    pub(crate) allowance: Option<Allowance>,
    /// Why the handler does not run.
    pub(crate) refusal: Option<Reject>,
}

impl Admission {
    /// The handler does not run.
    pub(crate) fn refused(reject: Reject) -> Self {
        Self { allowance: None, refusal: Some(reject) }
    }
}

/// Judges the name that the server is called by. A setup call is judged more strictly than any list, and counted.
pub(crate) fn judge_host(snapshot: &ConfigSnapshot, request: &Request) -> Result<(), Reject> {
    match (Access::of(request.uri().path()), snapshot.app.mode) {
        (Access::Setup, Mode::Setup) => Ok(()),
        _ => allowed_hosts::judge(&snapshot.app.allowed_hosts, request),
    }
}

/// Judges a request. One that brings a key carries a [`key::Caller`] afterwards.
pub(crate) async fn admit(app: &App, snapshot: &ConfigSnapshot, request: &mut Request) -> Admission {
    match (Access::of(request.uri().path()), snapshot.app.mode) {
        (Access::Open, _) | (Access::Observability, Mode::Setup) => Admission::default(),
        (Access::Observability, Mode::Active) if !snapshot.app.features.protect_observability => {
            Admission::default()
        }
        (Access::Setup, Mode::Active) => Admission::refused(Reject::new(
            ProblemKind::Conflict,
            "the server is set up already; change it through PATCH /admin/settings",
        )),
        (Access::Setup, Mode::Setup) => setup(app, request),
        (Access::Keyed, Mode::Setup) => Admission::refused(setup_required()),
        (Access::Keyed, Mode::Active) if request.extensions().get::<MatchedPath>().is_none() => {
            nowhere(app, snapshot, request).await
        }
        (Access::Keyed | Access::Observability, Mode::Active) => keyed(app, snapshot, request).await,
    }
}

/// The answer to everything but setup, before setup.
pub(crate) fn setup_required() -> Reject {
    Reject::new(
        ProblemKind::SetupRequired,
        "the server is not set up yet; run `revaer setup start` and `revaer setup complete` on its host",
    )
}

fn setup(app: &App, request: &Request) -> Admission {
    let Err(refusal) = loopback::judge(request) else { return Admission::default() };
    let peer = peer(request);
    tracing::warn!(event = "loopback.refused", reason = %refusal, peer, "a setup call was refused");
    let reason = format!("a setup call from {peer} was refused: {refusal}");
    app.guardrails.violated(Guard::Loopback, &reason);
    app.refused_setup.note(&peer, reason, &app.health, &app.tasks);
    Admission::refused(Reject::new(
        ProblemKind::Forbidden,
        format!("{refusal}; setup is done on the server's own host, for example with `revaer setup start`"),
    ))
}

/// Nothing is behind an unknown path, so there is nothing to protect; but a limited key is limited there too.
async fn nowhere(app: &App, snapshot: &ConfigSnapshot, request: &mut Request) -> Admission {
    if !key::is_given(request.headers()) {
        return Admission::default();
    }
    // A wrong key counts here too: whoever tries keys would see the headers of a limited one that is right.
    let admission = keyed(app, snapshot, request).await;
    if admission.allowance.is_some() { admission } else { Admission::default() }
}

async fn keyed(app: &App, snapshot: &ConfigSnapshot, request: &mut Request) -> Admission {
    let caller = match key::identify(app, snapshot, request.headers()).await {
        Ok(caller) => caller,
        Err(Unidentified { cause, key_id, reject }) => {
            if let Some(cause) = cause {
                let refused = Refused { cause, key_id, peer: peer(request) };
                app.refused_keys.note(refused, &app.metrics, &app.tasks);
            }
            return Admission::refused(reject);
        }
    };
    let allowance = app.limiter.take(&caller.info, snapshot);
    let refusal = allowance.filter(|allowance| !allowance.granted).map(|allowance| {
        app.limiter.report(caller.info.key_id.as_str(), app);
        allowance.reject()
    });
    request.extensions_mut().insert(caller);
    Admission { allowance, refusal }
}

/// Who sent a request, for the log.
fn peer(request: &Request) -> String {
    request.extensions().get::<Peer>().map_or_else(|| "unknown".to_owned(), |peer| peer.0.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_protected_by_their_beginning() {
        let check = |path, access| assert_eq!(Access::of(path), access, "{path}");
        check("/health", Access::Open);
        check("/docs/openapi.json", Access::Open);
        check("/nothing", Access::Open);
        check("/health/full", Access::Observability);
        check("/metrics", Access::Observability);
        check("/admin/setup/start", Access::Setup);
        check("/admin/settings", Access::Keyed);
        check("/admin/torrents/1", Access::Keyed);
        check("/v1/torrents", Access::Keyed);
        check("/v1/anything", Access::Keyed);
    }
}
