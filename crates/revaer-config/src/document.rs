//! Between rows (flat columns), documents (nested members) and single changes, by the table of fields.

use serde_json::{Map, Value};

use crate::{
    error::Fault,
    field::{Field, Section, Setter},
    text::pointer_token,
};

/// A checked new value for one setting.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) section: Section,
    pub(crate) field: &'static Field,
    pub(crate) value: Value,
}

impl Change {
    pub(crate) fn pointer(&self) -> String {
        pointer_of(self.section, self.field)
    }
}

pub(crate) fn pointer_of(section: Section, field: &Field) -> String {
    format!("/{}/{}", section.name(), field.path.replace('.', "/"))
}

/// The value of a field in its document.
pub(crate) fn value_at<'a>(document: &'a Value, field: &Field) -> Option<&'a Value> {
    field.path.split('.').try_fold(document, |inner, member| inner.get(member))
}

fn check(field: &Field, pointer: &str, value: &Value) -> Result<Value, Vec<Fault>> {
    if value.is_null() && field.nullable {
        return Ok(Value::Null);
    }
    field.rule.check(pointer, value)
}

/// The document of a row as `to_jsonb` gives it; every column is checked by its rule.
pub(crate) fn from_row(section: Section, row: &Value) -> Result<Value, Vec<Fault>> {
    let mut document = Map::new();
    let mut faults = Vec::new();
    for field in section.fields() {
        let pointer = pointer_of(section, field);
        let stored = row.get(field.column).unwrap_or(&Value::Null);
        match check(field, &pointer, stored) {
            Ok(value) => insert(&mut document, field.path, value),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() { Ok(Value::Object(document)) } else { Err(faults) }
}

/// A stored row in the form of its document, unchecked; columns that it does not have are left out.
pub(crate) fn shown(section: Section, row: &Value) -> Value {
    of_fields(row, section.fields().iter())
}

/// What of a stored row a changeset may name, in the form of its document.
pub(crate) fn settable(section: Section, row: &Value) -> Value {
    of_fields(row, section.fields().iter().filter(|field| field.setter == Setter::Operator))
}

fn of_fields(row: &Value, fields: impl Iterator<Item = &'static Field>) -> Value {
    let mut document = Map::new();
    for field in fields {
        if let Some(value) = row.get(field.column) {
            insert(&mut document, field.path, value.clone());
        }
    }
    Value::Object(document)
}

fn insert(document: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            document.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = document.entry(head).or_insert_with(|| Value::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                insert(inner, rest, value);
            }
        }
    }
}

/// Reads the members that a changeset gives of one section.
pub(crate) struct PatchReader<'a> {
    pub(crate) section: Section,
    /// `mode` may be named.
    pub(crate) during_setup: bool,
    pub(crate) changes: &'a mut Vec<Change>,
    pub(crate) expected_version: &'a mut Option<i64>,
    pub(crate) faults: &'a mut Vec<Fault>,
}

impl PatchReader<'_> {
    pub(crate) fn read(&mut self, body: &Value) {
        self.read_members("", body);
    }

    fn read_members(&mut self, prefix: &str, body: &Value) {
        let at = format!("/{}{}", self.section.name(), prefix_pointer(prefix));
        let Some(members) = body.as_object() else {
            self.faults.push(Fault::new(at, "must be an object"));
            return;
        };
        for (name, value) in members {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            // A dot in a member's name must not reach into a map.
            let field = self.section.field(&path).filter(|_| !name.contains('.'));
            if let Some(field) = field {
                self.read_field(field, value);
            } else if prefix.is_empty() && self.is_map(name) {
                self.read_members(&path, value);
            } else {
                let message = format!("is not a known setting; known are {}", self.known(prefix).join(", "));
                self.faults.push(Fault::new(format!("{at}/{}", pointer_token(name)), message));
            }
        }
    }

    fn read_field(&mut self, field: &'static Field, value: &Value) {
        let pointer = pointer_of(self.section, field);
        match field.setter {
            Setter::Server => {
                self.faults.push(Fault::new(pointer, "is set by the server and can not be changed"));
                return;
            }
            Setter::Setup if !self.during_setup => {
                self.faults.push(Fault::new(pointer, "changes only when setup completes"));
                return;
            }
            Setter::Setup | Setter::Condition | Setter::Operator => {}
        }
        match check(field, &pointer, value) {
            Err(found) => self.faults.extend(found),
            Ok(value) => match field.setter {
                Setter::Condition => *self.expected_version = value.as_i64(),
                Setter::Operator => self.changes.push(Change { section: self.section, field, value }),
                // Completing setup makes the server active whatever the document says.
                Setter::Setup | Setter::Server => {}
            },
        }
    }

    fn is_map(&self, name: &str) -> bool {
        let inside = |field: &Field| field.path.split_once('.').is_some_and(|(head, _)| head == name);
        self.section.fields().iter().any(inside)
    }

    fn known(&self, prefix: &str) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for field in self.section.fields() {
            let name = match field.path.split_once('.') {
                Some((head, rest)) => {
                    if head == prefix {
                        rest
                    } else {
                        head
                    }
                }
                None => field.path,
            };
            let belongs =
                prefix.is_empty() || field.path.split_once('.').is_some_and(|(head, _)| head == prefix);
            if belongs && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

fn prefix_pointer(prefix: &str) -> String {
    if prefix.is_empty() { String::new() } else { format!("/{prefix}") }
}
