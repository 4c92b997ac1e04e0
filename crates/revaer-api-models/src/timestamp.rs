//! Times on the wire: RFC 3339, always in UTC with `Z`, whatever offset the value was made with.
//!
//! Used through `#[serde(with = "crate::timestamp")]` and `#[serde(with = "crate::timestamp::option")]`.

use serde::{Deserializer, Serializer};
use time::{OffsetDateTime, UtcOffset, serde::rfc3339};

pub(crate) fn serialize<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    rfc3339::serialize(&at.to_offset(UtcOffset::UTC), serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    Ok(rfc3339::deserialize(deserializer)?.to_offset(UtcOffset::UTC))
}

/// The same for a time that may be absent.
pub(crate) mod option {
    use serde::{Deserializer, Serializer};
    use time::{OffsetDateTime, UtcOffset, serde::rfc3339};

    #[expect(clippy::ref_option, reason = "serde hands fields over by reference")]
    pub(crate) fn serialize<S: Serializer>(
        at: &Option<OffsetDateTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        rfc3339::option::serialize(&at.map(|at| at.to_offset(UtcOffset::UTC)), serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<OffsetDateTime>, D::Error> {
        Ok(rfc3339::option::deserialize(deserializer)?.map(|at| at.to_offset(UtcOffset::UTC)))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use time::{OffsetDateTime, macros::datetime};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Stamped {
        #[serde(with = "super")]
        at: OffsetDateTime,
        #[serde(with = "super::option", default, skip_serializing_if = "Option::is_none")]
        then: Option<OffsetDateTime>,
    }

    #[test]
    fn an_offset_is_converted_to_utc() {
        let stamped = Stamped {
            at: datetime!(2025-10-17 14:00:00.25 +2),
            then: Some(datetime!(2025-10-17 00:00:00 -1)),
        };
        let json = serde_json::to_string(&stamped).unwrap();
        assert_eq!(json, r#"{"at":"2025-10-17T12:00:00.25Z","then":"2025-10-17T01:00:00Z"}"#);
        assert_eq!(serde_json::from_str::<Stamped>(&json).unwrap(), stamped);
    }

    #[test]
    fn an_absent_time_stays_absent() {
        let json = r#"{"at":"2025-10-17T12:00:00Z"}"#;
        let stamped: Stamped = serde_json::from_str(json).unwrap();
        assert_eq!(stamped.then, None);
        assert_eq!(serde_json::to_string(&stamped).unwrap(), json);
    }
}
