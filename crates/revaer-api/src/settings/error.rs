//! What the settings service refuses, as problems.

use revaer_api_models::{ProblemKind, SETUP_TOKEN_HEADER};
use revaer_config::ConfigError;

use crate::http::{access::setup_required, problem::Reject};

/// The table of `ConfigError`.
pub(crate) fn reject(error: &ConfigError) -> Reject {
    match error {
        ConfigError::Invalid { faults } => {
            let detail = format!("{error}; correct what is named below and send it again");
            // A name that none can have is no name: the path cannot be parsed.
            let is_in_path = faults.iter().any(|fault| fault.pointer.starts_with("/path/"));
            let kind = if is_in_path { ProblemKind::BadRequest } else { ProblemKind::ConfigInvalid };
            let refusal = Reject::new(kind, detail);
            faults.iter().fold(refusal, |refusal, fault| refusal.param(&fault.pointer, &fault.message))
        }
        ConfigError::Conflict { what, .. } => {
            let pointer = if *what == "revision" { "/header/if-match" } else { "/app_profile/version" };
            Reject::new(ProblemKind::Conflict, error.to_string()).param(pointer, "another one is in force")
        }
        ConfigError::NotFound { what, .. } => {
            let (pointer, next) = match *what {
                "API key" => ("/path/key_id", "GET /v1/auth/keys lists those there are"),
                _ => ("/path/name", "GET /v1/query-presets lists those there are"),
            };
            Reject::new(ProblemKind::NotFound, format!("{error}; {next}"))
                .param(pointer, "there is none of this name")
        }
        ConfigError::Exists { .. } => Reject::new(ProblemKind::Conflict, error.to_string())
            .param("/key_id", "there is a key of this name already"),
        ConfigError::LastKey | ConfigError::NotInSetup => {
            Reject::new(ProblemKind::Conflict, error.to_string())
        }
        ConfigError::Token(fault) => Reject::new(ProblemKind::Unauthorized, error.to_string())
            .param(format!("/header/{SETUP_TOKEN_HEADER}"), fault.to_string()),
        ConfigError::SetupRequired => setup_required(),
        ConfigError::Locked { .. } | ConfigError::Fenced { .. } => {
            Reject::new(ProblemKind::ServiceUnavailable, error.to_string())
        }
        ConfigError::Refused { constraint, .. } => {
            tracing::warn!(constraint, "the database refused settings that the rules let through");
            Reject::new(ProblemKind::ConfigInvalid, error.to_string())
        }
        ConfigError::InvalidStored { fault } => {
            let detail = format!(
                "{error}; correct the row by SQL, or bring an earlier revision back with `revaer config rollback`, \
                 and send this again"
            );
            Reject::new(ProblemKind::Conflict, detail).param(&fault.pointer, &fault.message)
        }
        ConfigError::Full(_) => Reject::new(ProblemKind::InsufficientStorage, error.to_string()),
        ConfigError::Unavailable(_) => Reject::unavailable("the settings could not be reached", error),
        // Key file, cryptography, and what a later version adds: nothing that a client can mend.
        _ => Reject::internal("a settings operation failed", error),
    }
}

#[cfg(test)]
mod tests {
    use revaer_config::{Fault, TokenFault};

    use super::*;

    #[test]
    fn errors_have_the_contracts_statuses_and_pointers() {
        let check = |error: ConfigError, status: u16, pointer: Option<&str>| {
            let refusal = reject(&error);
            let first = refusal.problem().invalid_params.first().map(|param| param.pointer.as_str());
            assert_eq!((refusal.problem().status, first), (status, pointer), "{error}");
        };
        let faults = vec![Fault::new("/app_profile/http_port", "must be a port")];
        check(ConfigError::Invalid { faults }, 422, Some("/app_profile/http_port"));
        let faults =
            vec![Fault::new("/path/name", "must be a name"), Fault::new("/sort", "must be an order")];
        check(ConfigError::Invalid { faults }, 400, Some("/path/name"));
        let conflict = ConfigError::Conflict { what: "revision", expected: 1, actual: 2 };
        check(conflict, 409, Some("/header/if-match"));
        check(ConfigError::Token(TokenFault::Expired), 401, Some("/header/x-revaer-setup-token"));
        check(ConfigError::LastKey, 409, None);
        let fault = Fault::new("/engine_profile/encryption", "must be one of require, prefer, disable");
        check(ConfigError::InvalidStored { fault }, 409, Some("/engine_profile/encryption"));
        check(ConfigError::NotInSetup, 409, None);
        let named = |what| ConfigError::NotFound { what, name: "x".to_owned() };
        check(named("API key"), 404, Some("/path/key_id"));
        check(named("query preset"), 404, Some("/path/name"));
        check(ConfigError::Exists { what: "API key", name: "x".to_owned() }, 409, Some("/key_id"));
        check(ConfigError::SetupRequired, 409, None);
        check(ConfigError::Locked { blocker: Some(1) }, 503, None);
        check(ConfigError::Fenced { reason: "another instance has taken over".to_owned() }, 503, None);
        check(ConfigError::Full(sqlx::Error::PoolTimedOut), 507, None);
        check(ConfigError::Unavailable(sqlx::Error::PoolTimedOut), 503, None);
        check(ConfigError::Crypto { operation: "sealing" }, 500, None);
    }
}
