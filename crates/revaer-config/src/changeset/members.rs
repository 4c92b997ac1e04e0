//! The members of one object of an array, taken one by one; what nobody takes is unknown.

use serde_json::{Map, Value};

use crate::{error::Fault, text::pointer_token};

pub(crate) struct Members<'a> {
    pointer: String,
    given: &'a Map<String, Value>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Members<'a> {
    pub(crate) fn new(pointer: String, value: &'a Value, faults: &'a mut Vec<Fault>) -> Option<Self> {
        Some(Self { pointer, given: value.as_object()?, faults })
    }

    pub(crate) fn fault(&mut self, member: &str, message: impl Into<String>) {
        let pointer = if member.is_empty() {
            self.pointer.clone()
        } else {
            format!("{}/{}", self.pointer, pointer_token(member))
        };
        self.faults.push(Fault::new(pointer, message));
    }

    /// Refuses members that are not in `known`.
    pub(crate) fn only(&mut self, known: &[&str]) {
        for name in self.given.keys().filter(|name| !known.contains(&name.as_str())) {
            self.fault(name, format!("is not known here; known are {}", known.join(", ")));
        }
    }

    pub(crate) fn get(&self, member: &str) -> Option<&'a Value> {
        self.given.get(member)
    }

    /// A member that must be there.
    pub(crate) fn required<T>(
        &mut self,
        member: &str,
        rule: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        if self.get(member).is_none() {
            self.fault(member, format!("is missing; {rule}"));
            return None;
        }
        self.optional(member, rule, read)
    }

    /// A member that may be absent; a fault where it is there and `read` does not take it.
    pub(crate) fn optional<T>(
        &mut self,
        member: &str,
        rule: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(member)?;
        let read = read(value);
        if read.is_none() {
            self.fault(member, rule);
        }
        read
    }
}
