//! A word about each command to whoever asked for it. It never changes what the command does or returns.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::{environment::Environment, error::CliError, text::printable};

/// The command is over by then, heard or not.
const LIMIT: Duration = Duration::from_secs(2);

/// What is told about one command.
#[derive(Debug, Serialize)]
struct Report<'a> {
    command: &'a str,
    outcome: &'static str,
    trace_id: &'a str,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    timestamp_ms: u128,
    duration_ms: u128,
}

/// Sends the report where the environment says; silent when it does not say, or when nobody listens.
pub(crate) async fn send(
    environment: &Environment,
    command: &str,
    request_id: &str,
    result: &Result<(), CliError>,
    duration: Duration,
) {
    let Some(endpoint) = &environment.telemetry_endpoint else { return };
    let error = result.as_ref().err();
    let report = Report {
        command,
        outcome: if error.is_some() { "failure" } else { "success" },
        trace_id: environment.traceparent.as_ref().map_or(request_id, |parent| parent.trace_id()),
        exit_code: error.map_or(0, CliError::exit_code),
        problem_type: match error {
            Some(CliError::Problem(problem)) => Some(&problem.type_uri),
            _ => None,
        },
        message: error.map(|error| printable(&format!("{}: {error}", error.title()))),
        timestamp_ms: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis(),
        duration_ms: duration.as_millis(),
    };
    let Ok(url) = endpoint.parse::<reqwest::Url>() else { return };
    let Ok(http) = crate::client::build_http(&url, LIMIT) else { return };
    // Nobody is told when this fails: the command's own outcome is what counts.
    drop(http.post(url).timeout(LIMIT).json(&report).send().await);
}
