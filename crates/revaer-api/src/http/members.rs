//! Reads the members of a JSON object one by one, so that every fault of it is found, and not the first alone.

use revaer_api_models::LimitChange;
use serde_json::{Map, Value};

use crate::http::faults::Faults;

/// Entries of one list that are judged: one that is far too long is refused for that, and not looked through.
const MOST_JUDGED: usize = 1024;
/// Numbers on the wire are exact up to here.
const MOST: u64 = (1 << 53) - 1;

/// An object that is being read.
#[derive(Debug)]
pub(crate) struct Members<'a, 'f> {
    object: &'a Map<String, Value>,
    faults: &'f mut Faults,
}

impl<'a, 'f> Members<'a, 'f> {
    /// Starts on `object`; members that are not among `known` are faults.
    pub(crate) fn new(object: &'a Map<String, Value>, known: &[&str], faults: &'f mut Faults) -> Self {
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            let known = known.join(", ");
            faults.add(pointer(name), format!("there is no such member; known members: {known}"));
        }
        Self { object, faults }
    }

    pub(crate) fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults.add(pointer(name), message);
    }

    /// A text; null is as good as absent.
    pub(crate) fn text(&mut self, name: &str) -> Option<&'a str> {
        match self.object.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => {
                self.fault(name, "must be a string");
                None
            }
        }
    }

    /// A flag; `None` where it is absent or wrong.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.object.get(name)? {
            Value::Null => None,
            Value::Bool(flag) => Some(*flag),
            _ => {
                self.fault(name, "must be true or false");
                None
            }
        }
    }

    /// A number; null is as good as absent.
    pub(crate) fn number(&mut self, name: &str) -> Option<u64> {
        self.limit(name).apply(None)
    }

    /// A limit to be kept (absent), lifted (null) or set.
    pub(crate) fn limit(&mut self, name: &str) -> LimitChange {
        match self.object.get(name) {
            None => LimitChange::Keep,
            Some(Value::Null) => LimitChange::Lift,
            Some(value) => match value.as_u64().filter(|number| *number <= MOST) {
                Some(number) => LimitChange::Set(number),
                None => {
                    self.fault(name, format!("must be an integer from 0 to {MOST}"));
                    LimitChange::Keep
                }
            },
        }
    }

    /// A list of at most `most` texts, each of which `check` accepts; equal ones are taken once.
    pub(crate) fn texts(
        &mut self,
        name: &str,
        most: usize,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Vec<String> {
        let Some(value) = self.object.get(name) else { return Vec::new() };
        let Value::Array(entries) = value else {
            self.fault(name, "must be an array of strings");
            return Vec::new();
        };
        if entries.len() > most {
            self.fault(name, format!("has {} entries; at most {most} are taken", entries.len()));
        }
        let mut taken: Vec<String> = Vec::with_capacity(entries.len().min(most));
        for (index, entry) in entries.iter().take(MOST_JUDGED).enumerate() {
            let checked = match entry.as_str() {
                Some(text) => check(text).map(|()| text),
                None => Err("must be a string".to_owned()),
            };
            match checked {
                Ok(text) if taken.iter().any(|one| one == text) => {}
                Ok(text) => taken.push(text.to_owned()),
                Err(message) => self.faults.add(format!("{}/{index}", pointer(name)), message),
            }
        }
        taken
    }
}

/// An RFC 6901 pointer to a member of the document's root.
pub(crate) fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// 1 to `most` characters without control characters.
pub(crate) fn plain_text(text: &str, most: usize) -> Result<(), String> {
    let fits = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(format!("must have 1 to {most} characters, none of them a control character"))
    }
}
