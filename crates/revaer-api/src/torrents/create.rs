//! `POST /v1/torrents`: understood, judged, durable, and only then answered.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::HttpBody as _,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use revaer_api_models::{CreateTorrent, ProblemKind, TorrentSummary};
use revaer_catalog::{Intent, IntentReply, NewTorrent, TorrentView};
use revaer_torrent_core::TorrentId;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    http::{body, faults::Faults, identity::Identity, problem::Reject, query::Query},
    ports::App,
    torrents::{create_body::CreateBody, error, multipart::Form, record, source::Given, wire},
};

/// Most bytes of a body: 8 MiB of .torrent in base64, and room for the rest.
const BODY_LIMIT: usize = 12 * 1024 * 1024;

// Read by `multipart.rs`; this names the parts for the document.
/// A torrent to be added, as a form.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it only names the parts")]
struct CreateForm {
    /// The .torrent: at most 8 MiB.
    #[schema(value_type = Option<String>, format = Binary)]
    torrent: Option<Vec<u8>>,
    /// The members of the JSON form, each of which may be a text part of its own instead (lists, numbers and
    /// flags as JSON).
    options: Option<CreateTorrent>,
}

/// Adds a torrent. When the answer comes, it is durable and listed.
#[utoipa::path(
    post, path = "/v1/torrents", tag = "torrents", operation_id = "add_torrent",
    security(("api_key" = []), ("bearer" = [])),
    request_body(
        description = "JSON; or multipart/form-data with a file part `torrent` and the same members in a JSON part `options` or as text parts",
        content(
            (CreateTorrent = "application/json"),
            (CreateForm = "multipart/form-data"),
        )
    ),
    responses(
        (status = 202, description = "It is durable; the header `location` names it", body = TorrentSummary),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Result<Response, Reject> {
    Query::new(request.uri(), &[])?.finish()?;
    let new = read(&app, request).await?;
    let reply = app.intents.submit(Intent::Add(Box::new(new)), Some(identity.text())).await;
    match reply.map_err(|refused| error::reject(&refused))? {
        IntentReply::Accepted(view) => accepted(&view),
        IntentReply::Removed => {
            Err(Reject::new(ProblemKind::Conflict, "the torrent was removed while it was being added"))
        }
    }
}

fn accepted(view: &TorrentView) -> Result<Response, Reject> {
    let location = HeaderValue::from_str(&format!("/v1/torrents/{}", view.record.id))
        .map_err(|error| Reject::internal("a torrent's path is no header value", &error))?;
    let mut response = (StatusCode::ACCEPTED, Json(wire::summary(view))).into_response();
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

async fn read(app: &App, request: Request) -> Result<NewTorrent, Reject> {
    let large = request.body().size_hint().upper().is_none_or(|most| most > body::JSON_LIMIT as u64);
    // Never closed.
    let _place = if large { app.uploads.acquire().await.ok() } else { None };
    let mut faults = Faults::default();
    let multipart = body::media_type(request.headers())
        .is_some_and(|media| media.eq_ignore_ascii_case("multipart/form-data"));
    let form = if multipart {
        Form::read(request, BODY_LIMIT, &mut faults).await?
    } else {
        match body::json(request, BODY_LIMIT).await? {
            Value::Object(object) => Form { object, torrent: None },
            _ => {
                faults.add("", "must be an object with a member `magnet` or `metainfo`");
                faults.into_result()?;
                return Err(Reject::bad_request("the body is no object"));
            }
        }
    };
    judge(app, &form.object, form.torrent, faults).await
}

async fn judge(
    app: &App,
    object: &Map<String, Value>,
    torrent: Option<Arc<[u8]>>,
    mut faults: Faults,
) -> Result<NewTorrent, Reject> {
    let settings = app.config.snapshot();
    let body = CreateBody::read(object, &settings, &mut faults);
    let given = Given { magnet: body.magnet, metainfo: body.metainfo, torrent };
    let pointer = given.pointer();
    // A source of the wrong type is a fault already; that there is none, then, is not another one.
    if is_misshapen(object) {
        faults.into_result()?;
        return Err(Reject::bad_request("the body names no torrent"));
    }
    let source = given.judge(app.engine.as_ref(), &mut faults).await?;
    let fresh = TorrentId::from_trusted(Uuid::now_v7());
    let new = source.and_then(|source| {
        record::build(body, source, &settings, fresh, OffsetDateTime::now_utc(), &mut faults)
    });
    faults.into_torrent_result(pointer)?;
    // Without a fault there is a torrent.
    new.ok_or_else(|| Reject::bad_request("the body names no torrent"))
}

/// Whether a source is no text at all.
fn is_misshapen(object: &Map<String, Value>) -> bool {
    ["magnet", "metainfo"]
        .iter()
        .any(|name| object.get(*name).is_some_and(|value| !value.is_null() && !value.is_string()))
}
