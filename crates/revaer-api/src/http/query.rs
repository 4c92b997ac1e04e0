//! The query string, strictly: an unknown name, a name given twice or a bad value is 400, never ignored.

use std::{ops::RangeInclusive, str::FromStr};

use axum::{extract::Query as Pairs, http::Uri};

use crate::http::problem::Reject;

/// Values in one comma-separated list.
const LONGEST_LIST: usize = 64;

/// A query string that is being read.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    faults: Vec<(String, String)>,
}

impl Query {
    /// Starts on the query of `uri`, in which only `known` names may stand.
    pub(crate) fn new(uri: &Uri, known: &[&str]) -> Result<Self, Reject> {
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Reject::bad_request("the query string cannot be parsed"))?;
        let mut query = Self { pairs: Vec::with_capacity(pairs.len()), faults: Vec::new() };
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                query.fault(&name, format!("there is no such parameter; {}", listed(known)));
            } else if query.get(&name).is_some() {
                query.fault(&name, "is given more than once; separate values with commas");
            } else {
                query.pairs.push((name, value));
            }
        }
        Ok(query)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults.push((name.to_owned(), message.into()));
    }

    /// The value of `name` as it stands.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(ToOwned::to_owned)
    }

    /// A flag; absent means no.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        match self.get(name) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.fault(name, "must be true or false");
                false
            }
        }
    }

    /// A number within bounds.
    pub(crate) fn number(&mut self, name: &str, least: usize, most: usize, default: usize) -> usize {
        let rule = format!("must be a number from {least} to {most}");
        self.parsed(name, &rule, least..=most).unwrap_or(default)
    }

    /// A value within bounds, where it is given; `rule` says what it has to be.
    pub(crate) fn parsed<T: FromStr + PartialOrd>(
        &mut self,
        name: &str,
        rule: &str,
        bounds: RangeInclusive<T>,
    ) -> Option<T> {
        let value = self.get(name)?.parse().ok().filter(|value| bounds.contains(value));
        if value.is_none() {
            self.fault(name, rule);
        }
        value
    }

    /// A comma-separated list of words, each of which must be one.
    pub(crate) fn words<T>(&mut self, name: &str) -> Vec<T>
    where
        T: FromStr + PartialEq,
        T::Err: std::fmt::Display,
    {
        self.list(name, str::parse)
    }

    /// A comma-separated list of what `read` takes; equal values are taken once.
    pub(crate) fn list<T: PartialEq, E: std::fmt::Display>(
        &mut self,
        name: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let Some(text) = self.text(name) else { return Vec::new() };
        let mut values = Vec::new();
        for word in self.split(name, &text) {
            match read(word) {
                Ok(value) if values.contains(&value) => {}
                Ok(value) => values.push(value),
                Err(error) => self.fault(name, error.to_string()),
            }
        }
        values
    }

    /// A comma-separated list of fragments, lower case, in one fixed order; empty ones are passed over.
    pub(crate) fn fragments(&mut self, name: &str) -> Vec<String> {
        let Some(text) = self.text(name) else { return Vec::new() };
        fragments(self.split(name, &text))
    }

    /// Whether `name` is given, though it be empty.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn split<'t>(&mut self, name: &str, text: &'t str) -> Vec<&'t str> {
        let values: Vec<&str> = text.split(',').map(str::trim).collect();
        if values.len() > LONGEST_LIST {
            self.fault(name, format!("has {} values; at most {LONGEST_LIST} are taken", values.len()));
            return Vec::new();
        }
        values
    }

    /// The refusal, where there is a fault.
    pub(crate) fn finish(self) -> Result<(), Reject> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let refusal = Reject::bad_request("correct the query parameters named below");
        Err(self
            .faults
            .into_iter()
            .fold(refusal, |refusal, (name, message)| refusal.param(format!("/query/{name}"), message)))
    }
}

/// Fragments in the one form in which lists are filtered by them.
pub(crate) fn fragments<'t>(words: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut fragments: Vec<String> = words.into_iter().map(|word| word.trim().to_lowercase()).collect();
    fragments.retain(|fragment| !fragment.is_empty());
    fragments.sort();
    fragments.dedup();
    fragments
}

fn listed(known: &[&str]) -> String {
    if known.is_empty() {
        "this path takes none".to_owned()
    } else {
        format!("known parameters: {}", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use revaer_api_models::StateKind;

    use super::*;

    fn query(text: &str) -> Query {
        Query::new(&format!("/x?{text}").parse().unwrap(), &["state", "limit", "name", "all"]).unwrap()
    }

    fn pointers(query: Query) -> Vec<String> {
        let refused = query.finish().unwrap_err();
        refused.problem().invalid_params.iter().map(|param| param.pointer.clone()).collect()
    }

    #[test]
    fn good_values_are_read() {
        let mut query = query("state=Seeding,%20stopped,seeding&limit=7&name=B,a,,B&all=true");
        assert_eq!(query.words::<StateKind>("state"), [StateKind::Seeding, StateKind::Stopped]);
        assert_eq!(query.number("limit", 1, 200, 50), 7);
        assert_eq!(query.fragments("name"), ["a", "b"]);
        assert!(query.flag("all"));
        query.finish().unwrap();
    }

    #[test]
    fn every_bad_one_is_named() {
        let mut query = query("state=asleep,seeding&limit=0&other=1&name=a&name=b&all=1");
        query.words::<StateKind>("state");
        query.number("limit", 1, 200, 50);
        query.flag("all");
        let expected = ["/query/other", "/query/name", "/query/state", "/query/limit", "/query/all"];
        assert_eq!(pointers(query), expected);
    }
}
