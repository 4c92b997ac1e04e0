//! What differs between two JSON documents, member by member, in words short enough for a line. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::text::printable;

/// Longer values are cut.
const LONGEST_VALUE: usize = 48;

/// A member that differs; `None` where it is missing.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference<'a> {
    /// The names that lead to it, joined by dots.
    pub(crate) path: String,
    /// Its value before.
    pub(crate) old: Option<&'a Value>,
    /// Its value after.
    pub(crate) new: Option<&'a Value>,
}

/// Every difference below `path`, sorted by name. Objects are compared by their members, all else as a whole.
pub(crate) fn differences<'a>(
    path: String,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
) -> Vec<Difference<'a>> {
    if let (Some(Value::Object(was)), Some(Value::Object(is))) = (old, new) {
        let names: BTreeSet<_> = was.keys().chain(is.keys()).collect();
        return names
            .into_iter()
            .flat_map(|name| differences(format!("{path}.{name}"), was.get(name), is.get(name)))
            .collect();
    }
    if old == new { Vec::new() } else { vec![Difference { path, old, new }] }
}

impl Difference<'_> {
    /// The difference on one line.
    pub(crate) fn line(&self) -> String {
        format!("{} {} -> {}", printable(&self.path), short(self.old), short(self.new))
    }
}

fn short(value: Option<&Value>) -> String {
    let text = printable(&value.map_or_else(|| "nothing".to_owned(), Value::to_string));
    if text.chars().count() <= LONGEST_VALUE {
        return text;
    }
    text.chars().take(LONGEST_VALUE - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(old: &Value, new: &Value) -> Vec<String> {
        differences("s".to_owned(), Some(old), Some(new)).iter().map(Difference::line).collect()
    }

    #[test]
    fn members_are_compared_at_every_depth() {
        let old = json!({"a": 1, "map": {"x": "same", "y": null}, "list": [1], "gone": true});
        let new = json!({"a": 1, "map": {"x": "same", "y": "set"}, "list": [1, 2], "here": {}});
        assert_eq!(
            lines(&old, &new),
            [
                "s.gone true -> nothing",
                "s.here nothing -> {}",
                "s.list [1] -> [1,2]",
                "s.map.y null -> \"set\""
            ]
        );
        assert!(lines(&old, &old).is_empty());
    }

    #[test]
    fn long_values_are_cut_and_cannot_steer_the_terminal() {
        let line = &lines(&json!(1), &json!("é\u{9b}".repeat(100)))[0];
        assert!(line.chars().count() < 64 && line.ends_with('…') && !line.contains('\u{9b}'), "{line}");
    }
}
