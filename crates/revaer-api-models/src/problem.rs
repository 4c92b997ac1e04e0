//! The body of every error answer (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ProblemKind;

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InvalidParam {
    /// Where: an RFC 6901 pointer into the body, or `/query/<name>`, `/path/<name>`, `/header/<name>`.
    pub pointer: String,
    /// What is wrong there, and what would be right.
    pub message: String,
}

/// Why a request was not done, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of problem, as a URI.
    #[serde(rename = "type", default = "about_blank")]
    pub type_uri: String,
    /// The kind of problem in a few words.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// What happened this time, and what to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What it happened to: the path of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Every fault of the request at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid_params: Vec<InvalidParam>,
    /// The torrent that already has this content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_id: Option<Uuid>,
    /// Seconds until another try can succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// How many requests the key may make at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How many of them are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// The components that are not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<Vec<String>>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A problem of a kind, with nothing said about this occurrence yet.
    pub fn new(kind: ProblemKind) -> Self {
        Self {
            type_uri: kind.uri().to_owned(),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: None,
            instance: None,
            invalid_params: Vec::new(),
            existing_id: None,
            retry_after_seconds: None,
            limit: None,
            remaining: None,
            degraded: None,
        }
    }

    /// Says what happened this time, and what to do next.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says what it happened to.
    #[must_use]
    pub fn with_instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Adds one fault.
    #[must_use]
    pub fn with_param(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        self.invalid_params.push(InvalidParam { pointer: pointer.into(), message: message.into() });
        self
    }

    /// The kind, where the type is one of ours.
    pub fn kind(&self) -> Option<ProblemKind> {
        ProblemKind::from_uri(&self.type_uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_said() {
        let json = serde_json::to_string(&Problem::new(ProblemKind::NotFound)).unwrap();
        insta::assert_snapshot!(json, @r#"{"type":"https://revaer.dev/problems/not-found","title":"resource not found","status":404}"#);
    }

    #[test]
    fn every_fault_has_its_pointer() {
        let mut problem = Problem::new(ProblemKind::ValidationFailed)
            .with_detail("correct the members named below")
            .with_instance("/v1/torrents")
            .with_param("/magnet", "a magnet link begins with magnet:?")
            .with_param("/tags/3", "a tag has at most 64 characters");
        problem.existing_id = Some(Uuid::nil());
        problem.retry_after_seconds = Some(3);
        problem.limit = Some(10);
        problem.remaining = Some(0);
        problem.degraded = Some(vec!["database".to_owned()]);
        insta::assert_json_snapshot!(problem);
        let json = serde_json::to_string(&problem).unwrap();
        assert_eq!(serde_json::from_str::<Problem>(&json).unwrap(), problem);
    }

    #[test]
    fn a_foreign_problem_is_read_too() {
        let problem: Problem = serde_json::from_str(r#"{"title":"teapot","brew":1}"#).unwrap();
        assert_eq!(problem.type_uri, "about:blank");
        assert_eq!(problem.title, "teapot");
        assert_eq!(problem.kind(), None);
    }
}
