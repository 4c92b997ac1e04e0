//! The kinds of values a setting can have: one check for changesets and for rows alike.

use std::net::IpAddr;

use serde_json::Value;

use crate::{error::Fault, glob::glob_fault, shape};

/// Entries in one list.
const LONGEST_LIST: usize = 64;

/// Entries that are looked at in a list that is too long, so that it costs no more than that.
const MOST_JUDGED: usize = 256;

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    Bool,
    /// An integer within both bounds.
    Int(i64, i64),
    OneOf(&'static [&'static str]),
    Label,
    Ip,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    Path,
    ModeBits,
    Umask,
    Account,
    Host,
    Origin,
    KeyPath,
    Glob,
    Uuid,
    /// At least this many and at most 64 values of the other rule.
    List(usize, &'static Rule),
}

impl Rule {
    /// The value in its canonical form, or what is wrong with it, each fault with its pointer.
    pub(crate) fn check(&self, pointer: &str, value: &Value) -> Result<Value, Vec<Fault>> {
        if let Self::List(least, rule) = self {
            return check_list(pointer, value, *least, rule);
        }
        self.check_one(value).map_err(|message| vec![Fault::new(pointer, message)])
    }

    fn check_one(&self, value: &Value) -> Result<Value, String> {
        match self {
            Self::Bool if value.is_boolean() => return Ok(value.clone()),
            Self::Bool => return Err("must be true or false".to_owned()),
            Self::Int(least, most) => {
                let fits = value.as_i64().filter(|number| (*least..=*most).contains(number));
                return fits
                    .map(Value::from)
                    .ok_or_else(|| format!("must be an integer from {least} to {most}"));
            }
            _ => {}
        }
        let text = value.as_str().ok_or_else(|| "must be a string".to_owned())?;
        match self {
            Self::OneOf(known) if known.contains(&text) => Ok(()),
            Self::OneOf(known) => return Err(format!("must be one of {}", known.join(", "))),
            Self::Ip => return canonical_ip(text),
            Self::Label => shape::label(text),
            Self::Url(schemes) => shape::url(text, schemes),
            Self::Path => shape::path(text),
            Self::ModeBits => shape::mode_bits(text),
            Self::Umask => shape::umask(text),
            Self::Account => shape::account(text),
            Self::Host => shape::host(text),
            Self::Origin => shape::origin(text),
            Self::KeyPath => shape::key_path(text),
            Self::Glob => glob_fault(text).map_or(Ok(()), Err),
            Self::Uuid => uuid::Uuid::try_parse(text).map(drop).map_err(|_| "must be a UUID"),
            Self::Bool | Self::Int(..) | Self::List(..) => Ok(()),
        }
        .map(|()| Value::from(text))
        .map_err(ToOwned::to_owned)
    }
}

fn canonical_ip(text: &str) -> Result<Value, String> {
    text.parse::<IpAddr>()
        .map(|address| Value::from(address.to_string()))
        .map_err(|_| "must be an IPv4 or IPv6 address".to_owned())
}

fn check_list(pointer: &str, value: &Value, least: usize, rule: &Rule) -> Result<Value, Vec<Fault>> {
    let Some(entries) = value.as_array() else {
        return Err(vec![Fault::new(pointer, "must be an array")]);
    };
    let mut checked = Vec::new();
    let mut faults = Vec::new();
    if !(least..=LONGEST_LIST).contains(&entries.len()) {
        faults.push(Fault::new(pointer, format!("must have {least} to {LONGEST_LIST} entries")));
    }
    for (index, entry) in entries.iter().take(MOST_JUDGED).enumerate() {
        match rule.check(&format!("{pointer}/{index}"), entry) {
            Ok(entry) => checked.push(entry),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() { Ok(Value::Array(checked)) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_list_hides_no_fault_in_it() {
        let mut globs: Vec<String> = (0..=LONGEST_LIST).map(|number| format!("{number}.nfo")).collect();
        globs.push("x".repeat(513));
        let faults = Rule::List(0, &Rule::Glob).check("/a", &globs.into()).unwrap_err();
        let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/a", "/a/65"]);
    }
}
