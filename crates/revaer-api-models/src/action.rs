//! What a client asks of one torrent.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

// The variants have braces so that an unknown member is refused in each.
/// Body of an action on a torrent, told apart by `type`. Every action is idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Stop it.
    Pause {},
    /// Let it go on; clears a failure.
    Resume {},
    /// Forget it.
    Remove {
        /// Delete what it downloaded too; never a library entry.
        #[serde(default)]
        delete_data: bool,
        /// Where the downloaded content has become the library entry, delete that too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        delete_library: bool,
    },
    /// Change its own rate limits.
    Rate {
        /// The limit on received payload.
        #[serde(default, skip_serializing_if = "LimitChange::is_keep")]
        #[schema(value_type = Option<u64>)]
        download_bps: LimitChange,
        /// The limit on sent payload.
        #[serde(default, skip_serializing_if = "LimitChange::is_keep")]
        #[schema(value_type = Option<u64>)]
        upload_bps: LimitChange,
    },
}

/// What to do with a rate limit: the wire tells an absent member, a null and a number apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LimitChange {
    /// Absent: the limit stays as it is.
    #[default]
    Keep,
    /// Null: no limit from now on.
    Lift,
    /// A number: at most so many bytes per second; 0 stops payload in that direction.
    Set(u64),
}

impl LimitChange {
    /// Whether the limit stays as it is.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// The limit that follows from `current` after this change.
    pub const fn apply(self, current: Option<u64>) -> Option<u64> {
        match self {
            Self::Keep => current,
            Self::Lift => None,
            Self::Set(limit) => Some(limit),
        }
    }
}

impl Serialize for LimitChange {
    /// `Keep` is meant to be left out of its object; alone it reads as null.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Lift => serializer.serialize_none(),
            Self::Set(limit) => serializer.serialize_some(limit),
        }
    }
}

impl<'de> Deserialize<'de> for LimitChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map_or(Self::Lift, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(action: &Action, json: &str) {
        assert_eq!(serde_json::to_string(action).unwrap(), json);
        assert_eq!(&serde_json::from_str::<Action>(json).unwrap(), action);
    }

    #[test]
    fn actions_are_told_apart_by_type() {
        check(&Action::Pause {}, r#"{"type":"pause"}"#);
        check(&Action::Resume {}, r#"{"type":"resume"}"#);
        check(
            &Action::Remove { delete_data: true, delete_library: false },
            r#"{"type":"remove","delete_data":true}"#,
        );
    }

    #[test]
    fn a_limit_is_kept_lifted_or_set() {
        check(
            &Action::Rate { download_bps: LimitChange::Keep, upload_bps: LimitChange::Lift },
            r#"{"type":"rate","upload_bps":null}"#,
        );
        check(
            &Action::Rate { download_bps: LimitChange::Set(0), upload_bps: LimitChange::Keep },
            r#"{"type":"rate","download_bps":0}"#,
        );
        assert_eq!(LimitChange::Keep.apply(Some(5)), Some(5));
        assert_eq!(LimitChange::Lift.apply(Some(5)), None);
        assert_eq!(LimitChange::Set(0).apply(None), Some(0));
    }

    #[test]
    fn remove_keeps_data_unless_told_otherwise() {
        let action: Action = serde_json::from_str(r#"{"type":"remove"}"#).unwrap();
        assert_eq!(action, Action::Remove { delete_data: false, delete_library: false });
    }

    #[test]
    fn the_schema_says_what_may_be_left_out() {
        use utoipa::PartialSchema;
        insta::assert_json_snapshot!(Action::schema());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for json in [
            r#"{"type":"dance"}"#,
            r#"{"type":"pause","hard":true}"#,
            r#"{"type":"remove","delete":true}"#,
            r#"{"type":"rate","download_bps":-1}"#,
            r#"{"type":"rate","download_bps":"fast"}"#,
            "{}",
        ] {
            assert!(serde_json::from_str::<Action>(json).is_err(), "{json}");
        }
    }
}
