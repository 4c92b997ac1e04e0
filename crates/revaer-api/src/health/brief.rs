//! `/health`: whether the server can be relied on now.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use revaer_api_models::{DatabaseHealth, HealthBrief, HealthStatus, ProblemKind};

use crate::{
    health::{database, mode},
    http::{problem::Reject, query::Query},
    ports::App,
};

/// Whether the server can be relied on now.
#[utoipa::path(
    get, path = "/health", tag = "health", operation_id = "health",
    responses(
        (status = 200, description = "It can", body = HealthBrief),
        (status = "default", description = "It cannot: `degraded` names the database", body = revaer_api_models::Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn brief(State(app): State<App>, uri: Uri) -> Result<Response, Reject> {
    Query::new(&uri, &[])?.finish()?;
    let mut degraded: Vec<String> = app.health.degraded().into_iter().map(ToOwned::to_owned).collect();
    if database::latency(&app.pool).await.is_none() {
        if !degraded.iter().any(|name| name == "database") {
            degraded.insert(0, "database".to_owned());
        }
        let detail = "the database does not answer; see whether PostgreSQL runs and DATABASE_URL names it";
        return Err(Reject::new(ProblemKind::ServiceUnavailable, detail)
            .with(|problem| problem.degraded = Some(degraded)));
    }
    let snapshot = app.config.snapshot();
    let answer = HealthBrief {
        status: HealthStatus::Ok,
        mode: mode(snapshot.app.mode),
        database: DatabaseHealth { status: HealthStatus::Ok, revision: snapshot.revision.get() },
        degraded,
    };
    Ok(Json(answer).into_response())
}
