//! `POST /v1/torrents/{id}/action`: what a torrent is told to do. Every action is idempotent.

use axum::{
    Extension, Json,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use revaer_api_models::LimitChange;
use revaer_catalog::{Intent, IntentReply, RateChange};
use revaer_torrent_core::{BytesPerSecond, TorrentId};
use serde_json::{Map, Value};

use crate::{
    http::{body, faults::Faults, identity::Identity, members::Members, problem::Reject, query::Query},
    ports::App,
    torrents::{error, path_id, wire},
};

/// The members of each action beside `type`.
const ACTIONS: [(&str, &[&str]); 4] = [
    ("pause", &["type"]),
    ("resume", &["type"]),
    ("remove", &["type", "delete_data", "delete_library"]),
    ("rate", &["type", "download_bps", "upload_bps"]),
];

/// Tells a torrent what to do. What is asked for is durable before the answer.
#[utoipa::path(
    post, path = "/v1/torrents/{id}/action", tag = "torrents", operation_id = "act_on_torrent",
    security(("api_key" = []), ("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "Which torrent")),
    request_body = revaer_api_models::Action,
    responses(
        (status = 202, description = "It will be so", body = revaer_api_models::TorrentSummary),
        (status = 204, description = "It is removed"),
        (status = "default", description = "Not done", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn action(
    State(app): State<App>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Reject> {
    let id = path_id(&id)?;
    Query::new(request.uri(), &[])?.finish()?;
    let document = body::json(request, body::JSON_LIMIT).await?;
    let mut faults = Faults::default();
    let intent = read(id, &document, &mut faults);
    faults.into_result()?;
    // Without a fault there is an intent.
    let intent = intent.ok_or_else(|| Reject::bad_request("the body says nothing to do"))?;
    let reply = app.intents.submit(intent, Some(identity.text())).await;
    match reply.map_err(|refused| error::reject(&refused))? {
        IntentReply::Accepted(view) => Ok((StatusCode::ACCEPTED, Json(wire::summary(&view))).into_response()),
        IntentReply::Removed => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

fn read(id: TorrentId, document: &Value, faults: &mut Faults) -> Option<Intent> {
    let Value::Object(object) = document else {
        faults.add("", "must be an object with a member `type`");
        return None;
    };
    let names: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
    let Some((name, known)) = action_named(object) else {
        faults.add("/type", format!("must be one of {}", names.join(", ")));
        return None;
    };
    let mut members = Members::new(object, known, faults);
    Some(match name {
        "pause" => Intent::Pause(id),
        "resume" => Intent::Resume(id),
        "remove" => Intent::Remove {
            id,
            delete_data: members.flag("delete_data").unwrap_or(false),
            delete_library: members.flag("delete_library").unwrap_or(false),
        },
        _ => {
            let change = |limit| match limit {
                LimitChange::Keep => None,
                LimitChange::Lift => Some(None),
                LimitChange::Set(limit) => Some(Some(BytesPerSecond(limit))),
            };
            let download = change(members.limit("download_bps"));
            Intent::SetRates(id, RateChange { download, upload: change(members.limit("upload_bps")) })
        }
    })
}

fn action_named(object: &Map<String, Value>) -> Option<(&'static str, &'static [&'static str])> {
    let name = object.get("type")?.as_str()?;
    ACTIONS.into_iter().find(|(known, _)| *known == name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn check(document: &Value) -> Result<Intent, Vec<String>> {
        let mut faults = Faults::default();
        let intent = read(TorrentId::from_trusted(Uuid::from_u128(1)), document, &mut faults);
        match faults.into_result() {
            Ok(()) => Ok(intent.unwrap()),
            Err(refused) => {
                Err(refused.problem().invalid_params.iter().map(|one| one.pointer.clone()).collect())
            }
        }
    }

    #[test]
    fn an_absent_rate_is_kept_and_a_null_one_lifted() {
        let intent = check(&json!({"type": "rate", "download_bps": null})).unwrap();
        let Intent::SetRates(_, change) = intent else { panic!("{intent:?}") };
        assert_eq!(change, RateChange { download: Some(None), upload: None });
        let intent = check(&json!({"type": "rate", "upload_bps": 0})).unwrap();
        let Intent::SetRates(_, change) = intent else { panic!("{intent:?}") };
        assert_eq!(change, RateChange { download: None, upload: Some(Some(BytesPerSecond(0))) });
    }

    #[test]
    fn data_is_kept_unless_its_deletion_is_asked_for() {
        let intent = check(&json!({"type": "remove"})).unwrap();
        assert!(matches!(intent, Intent::Remove { delete_data: false, delete_library: false, .. }));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(check(&json!({"type": "dance"})).unwrap_err(), ["/type"]);
        assert_eq!(check(&json!({})).unwrap_err(), ["/type"]);
        assert_eq!(check(&json!([])).unwrap_err(), [""]);
        assert_eq!(check(&json!({"type": "pause", "hard": true})).unwrap_err(), ["/hard"]);
        let both = json!({"type": "rate", "download_bps": -1, "upload_bps": "fast"});
        assert_eq!(check(&both).unwrap_err(), ["/download_bps", "/upload_bps"]);
        assert_eq!(check(&json!({"type": "remove", "delete_data": 1})).unwrap_err(), ["/delete_data"]);
    }
}
