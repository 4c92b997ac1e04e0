//! Query presets: a filter and an order of the list of torrents, under a name.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::StateKind;

/// Conditions on a torrent, as the list takes them; an absent member does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PresetFilter {
    /// One of these states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<StateKind>,
    /// One of these is a fragment of a tracker's URL.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tracker: Vec<String>,
    /// A file has one of these extensions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extension: Vec<String>,
    /// All of these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// One of these is a fragment of the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub name: Vec<String>,
}

/// An order of the list of torrents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ListSort {
    /// Newest first.
    #[default]
    #[serde(rename = "added_at:desc")]
    Newest,
    /// Oldest first.
    #[serde(rename = "added_at:asc")]
    Oldest,
}

/// Why a text is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be added_at:desc or added_at:asc")]
pub struct UnknownListSort;

impl std::str::FromStr for ListSort {
    type Err = UnknownListSort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "added_at:desc" => Ok(Self::Newest),
            "added_at:asc" => Ok(Self::Oldest),
            _ => Err(UnknownListSort),
        }
    }
}

/// What is stored under a name; both members optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PutPreset {
    /// Which torrents; each member an array, or a text with commas.
    pub filter: PresetFilter,
    /// In which order; absent or null: newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<ListSort>,
}

/// A filter and an order of the list of torrents, under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryPreset {
    /// What it is asked for by.
    pub name: String,
    /// Which torrents.
    pub filter: PresetFilter,
    /// In which order; null: newest first.
    #[schema(required)]
    pub sort: Option<ListSort>,
    /// When it was last stored.
    #[serde(with = "crate::timestamp")]
    pub updated_at: OffsetDateTime,
}

/// All presets, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryPresetList {
    /// The presets.
    pub presets: Vec<QueryPreset>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_preset_shows_only_what_restricts() {
        let preset = QueryPreset {
            name: "films".to_owned(),
            filter: PresetFilter { state: vec![StateKind::Seeding], ..PresetFilter::default() },
            sort: Some(ListSort::Oldest),
            updated_at: datetime!(2025-10-17 12:00:00 UTC),
        };
        let wire = json!({"name": "films", "filter": {"state": ["seeding"]}, "sort": "added_at:asc",
                          "updated_at": "2025-10-17T12:00:00Z"});
        assert_eq!(serde_json::to_value(&preset).unwrap(), wire);
        assert_eq!(serde_json::from_value::<QueryPreset>(wire).unwrap(), preset);
    }

    #[test]
    fn an_order_is_one_of_two() {
        assert_eq!("Added_At:ASC".parse(), Ok(ListSort::Oldest));
        assert_eq!("added_at:desc".parse(), Ok(ListSort::Newest));
        assert_eq!("name".parse::<ListSort>(), Err(UnknownListSort));
    }
}
