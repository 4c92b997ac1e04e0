//! The outermost layer: names the request, admits it, bounds its time, renders its errors, counts and logs it.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, uri::PathAndQuery},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;
use revaer_api_models::{ProblemKind, REQUEST_ID_HEADER};
use revaer_config::ConfigSnapshot;
use revaer_telemetry::traces;
use tracing::Instrument as _;

use crate::{
    http::{
        access::{self, Admission},
        cors::Cors,
        host,
        identity::{Identity, traceparent},
        limiter::Allowance,
        problem::{self, Reject},
    },
    ports::App,
};

/// From the head of the request to the head of the answer; the body of a stream is not in it.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Longer URIs are refused; the header block as a whole is bounded by the server.
const LONGEST_URI: usize = 8 * 1024;
/// The route of what no route matches, in metrics.
const UNMATCHED: &str = "unmatched";

pub(crate) async fn edge(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let identity = Identity::of(request.headers());
    let method = method_label(request.method());
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let traceparent = traceparent(request.headers());
    let span = tracing::info_span!("request", request_id = identity.0.as_str(), method, path, traceparent);
    let exported =
        traces::Request::begun(&span, method, route.as_ref().map(MatchedPath::as_str), traceparent);
    request.extensions_mut().insert(identity.clone());
    async {
        let settings = app.config.snapshot();
        let cors = Cors::of(&settings.app.cors_origins, request.headers());
        let (response, allowance) = answered(&app, &settings, &cors, request, next).await;
        let mut response = problem::finish(response, &path);
        if let Some(allowance) = allowance {
            allowance.write(response.headers_mut());
        }
        cors.write(response.headers_mut());
        if let Ok(value) = HeaderValue::from_str(identity.0.as_str()) {
            response.headers_mut().insert(REQUEST_ID_HEADER, value);
        }
        let (code, elapsed) = (response.status().as_u16(), started.elapsed());
        let pattern = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
        app.metrics.http_request(method, pattern, code, elapsed.as_secs_f64());
        tracing::debug!(code, duration_ms = elapsed.as_secs_f64() * 1000.0, "answered");
        exported.answered(code);
        response
    }
    .instrument(span)
    .await
}

/// The answer of whoever answers first, and what the caller's key has left.
async fn answered(
    app: &App,
    settings: &ConfigSnapshot,
    cors: &Cors,
    mut request: Request,
    next: Next,
) -> (Response, Option<Allowance>) {
    let judged = host::judge(request.version(), request.headers())
        .and_then(|()| access::judge_host(settings, &request));
    if let Err(reject) = judged {
        return (reject.into_response(), None);
    }
    // A browser asks without a key.
    if let Some(preflight) = cors.preflight(&request) {
        return (preflight, None);
    }
    let Admission { allowance, refusal } = access::admit(app, settings, &mut request).await;
    let response = match refusal {
        Some(reject) => reject.into_response(),
        None => answer(request, next).await,
    };
    (response, allowance)
}

/// Runs the handler within its time. A panic in it is this request's failure and nobody else's.
async fn answer(request: Request, next: Next) -> Response {
    let too_long = |target: &PathAndQuery| target.as_str().len() > LONGEST_URI;
    if request.uri().path_and_query().is_some_and(too_long) {
        return StatusCode::URI_TOO_LONG.into_response();
    }
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(REQUEST_TIME, handled).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            tracing::error!("a handler panicked; its message and place are above");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_elapsed) => Reject::new(
            ProblemKind::RequestTimeout,
            "the request took longer than 30 s; what it asked for may still happen, so look before sending it again",
        )
        .into_response(),
    }
}

/// Methods beyond the known ones share a label: a client cannot make metrics grow.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}
