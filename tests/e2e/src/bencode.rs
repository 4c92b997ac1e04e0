//! Bencoding (BEP 3): enough to make metainfo and tracker answers, and to read a resume blob.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// Nesting that a value may have.
const DEPTH: usize = 64;

/// A bencoded value. Keys of dictionaries are sorted as raw bytes, as BEP 3 asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Int(i64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A dictionary.
    Dict(BTreeMap<Vec<u8>, Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl Value {
    /// A number from a size.
    pub fn size(size: u64) -> Self {
        Self::Int(i64::try_from(size).unwrap_or(i64::MAX))
    }

    /// A dictionary.
    pub fn dict<K: AsRef<[u8]>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Dict(entries.into_iter().map(|(key, value)| (key.as_ref().to_vec(), value)).collect())
    }

    /// The encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Reads one value that fills `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        let value = parse(&mut rest, 0)?;
        if !rest.is_empty() {
            bail!("{} bytes follow the value", rest.len());
        }
        Ok(value)
    }

    /// A member of a dictionary.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Dict(entries) => entries.get(key.as_bytes()),
            _ => None,
        }
    }

    /// The bytes of a byte string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(number) => out.extend_from_slice(format!("i{number}e").as_bytes()),
            Self::Bytes(bytes) => write_bytes(bytes, out),
            Self::List(values) => {
                out.push(b'l');
                for value in values {
                    value.write(out);
                }
                out.push(b'e');
            }
            Self::Dict(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    write_bytes(key, out);
                    value.write(out);
                }
                out.push(b'e');
            }
        }
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
}

fn parse(rest: &mut &[u8], depth: usize) -> Result<Value> {
    if depth > DEPTH {
        bail!("nested too deeply");
    }
    match rest.first().context("ends in mid value")? {
        b'i' => {
            *rest = &rest[1..];
            Ok(Value::Int(number(rest, b'e')?))
        }
        b'l' => {
            *rest = &rest[1..];
            let mut values = Vec::new();
            while !at_end(rest)? {
                values.push(parse(rest, depth + 1)?);
            }
            Ok(Value::List(values))
        }
        b'd' => {
            *rest = &rest[1..];
            let mut entries = BTreeMap::new();
            while !at_end(rest)? {
                let key = bytes(rest)?;
                entries.insert(key, parse(rest, depth + 1)?);
            }
            Ok(Value::Dict(entries))
        }
        _ => Ok(Value::Bytes(bytes(rest)?)),
    }
}

/// Whether a list or dictionary ends here; its mark is taken.
fn at_end(rest: &mut &[u8]) -> Result<bool> {
    let ends = *rest.first().context("ends in mid value")? == b'e';
    if ends {
        *rest = &rest[1..];
    }
    Ok(ends)
}

fn number(rest: &mut &[u8], end: u8) -> Result<i64> {
    let length = rest.iter().position(|byte| *byte == end).context("a number without an end")?;
    let number = std::str::from_utf8(&rest[..length])?.parse().context("not a number")?;
    *rest = &rest[length + 1..];
    Ok(number)
}

fn bytes(rest: &mut &[u8]) -> Result<Vec<u8>> {
    let length = usize::try_from(number(rest, b':')?).context("a negative length")?;
    let bytes = rest.get(..length).context("a string beyond the end")?.to_vec();
    *rest = &rest[length..];
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_gives_back_what_was_encoded() {
        let value = Value::dict([
            ("a", Value::List(vec![Value::Int(-7), Value::from("x")])),
            ("b", Value::dict([("c", Value::from(vec![0_u8, 255]))])),
        ]);
        assert_eq!(value.encode(), b"d1:ali-7e1:xe1:bd1:c2:\x00\xffee");
        assert_eq!(Value::decode(&value.encode()).unwrap(), value);
    }

    #[test]
    fn torn_input_is_refused() {
        for torn in ["", "i7", "d1:a", "5:abc", "l", "i7ei8e"] {
            assert!(Value::decode(torn.as_bytes()).is_err(), "{torn}");
        }
    }
}
