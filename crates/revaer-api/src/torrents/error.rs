//! What the ledger refuses, as problems.

use revaer_api_models::ProblemKind;
use revaer_catalog::IntentError;
use revaer_torrent_core::TorrentId;

use crate::http::problem::Reject;

/// The table of `IntentError`.
pub(crate) fn reject(error: &IntentError) -> Reject {
    match error {
        IntentError::NotFound(id) => not_found(*id),
        IntentError::Duplicate { existing } => {
            let existing = existing.as_uuid();
            Reject::new(ProblemKind::DuplicateTorrent, format!("{error}; use that one, or remove it first"))
                .with(|problem| problem.existing_id = Some(existing))
        }
        IntentError::IdTaken(_) => Reject::new(ProblemKind::Conflict, error.to_string())
            .param("/id", "belongs to a torrent with other content"),
        IntentError::Refused(reason) => Reject::new(ProblemKind::Conflict, reason.clone()),
        IntentError::Unavailable => Reject::new(ProblemKind::ServiceUnavailable, error.to_string()),
    }
}

/// No torrent of that id is there, or it is being removed.
pub(crate) fn not_found(id: TorrentId) -> Reject {
    Reject::new(
        ProblemKind::NotFound,
        format!("there is no torrent {id}; GET /v1/torrents lists those there are"),
    )
    .param("/path/id", "no torrent has this id")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn refusals_have_the_contracts_types() {
        let id = TorrentId::from_trusted(Uuid::from_u128(7));
        let check = |error: IntentError, kind: ProblemKind| {
            assert_eq!(reject(&error).problem().kind(), Some(kind), "{error}");
        };
        check(IntentError::NotFound(id), ProblemKind::NotFound);
        check(IntentError::Duplicate { existing: id }, ProblemKind::DuplicateTorrent);
        check(IntentError::IdTaken(id), ProblemKind::Conflict);
        check(IntentError::Refused("no".to_owned()), ProblemKind::Conflict);
        check(IntentError::Unavailable, ProblemKind::ServiceUnavailable);
        let duplicate = reject(&IntentError::Duplicate { existing: id });
        assert_eq!(duplicate.problem().existing_id, Some(id.as_uuid()));
    }
}
