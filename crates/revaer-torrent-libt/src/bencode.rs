//! A reader of bencoded values (BEP 3) that borrows from its input: enough to check what libtorrent 2.0.8 lets
//! through. Bounded in depth, so that hostile bytes cannot exhaust the stack.

const MAX_DEPTH: usize = 100;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Dict(Vec<(&'a [u8], Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Reads the first value in `bytes`; what follows it is ignored, as libtorrent does.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        Reader { rest: bytes }.value(0)
    }

    /// The member `key` of a dictionary.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Self> {
        match self {
            Self::Dict(members) => members.iter().find(|(name, _)| *name == key).map(|(_, value)| value),
            Self::Integer(_) | Self::Bytes(_) | Self::List(_) => None,
        }
    }

    pub(crate) fn dict(&self) -> Option<&[(&'a [u8], Self)]> {
        if let Self::Dict(members) = self { Some(members) } else { None }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    pub(crate) fn bytes(&self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.rest.first()? {
            b'i' => {
                self.skip(1)?;
                Some(Value::Integer(self.number_until(b'e')?))
            }
            b'l' => {
                self.skip(1)?;
                let mut items = Vec::new();
                while !self.ends()? {
                    items.push(self.value(depth + 1)?);
                }
                Some(Value::List(items))
            }
            b'd' => {
                self.skip(1)?;
                let mut members = Vec::new();
                while !self.ends()? {
                    members.push((self.string()?, self.value(depth + 1)?));
                }
                Some(Value::Dict(members))
            }
            _ => self.string().map(Value::Bytes),
        }
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number_until(b':')?).ok()?;
        let bytes = self.rest.get(..length)?;
        self.skip(length)?;
        Some(bytes)
    }

    fn number_until(&mut self, end: u8) -> Option<i64> {
        let length = self.rest.iter().take(21).position(|byte| *byte == end)?;
        let digits = std::str::from_utf8(self.rest.get(..length)?).ok()?;
        self.skip(length + 1)?;
        digits.parse().ok()
    }

    /// Whether the container ends here, taking its end.
    fn ends(&mut self) -> Option<bool> {
        let ends = *self.rest.first()? == b'e';
        if ends {
            self.skip(1)?;
        }
        Some(ends)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_read_with_its_members() {
        let value = Value::parse(b"d1:ai-3e1:bl2:xy0:ee").unwrap();
        assert_eq!(value.get(b"a").and_then(Value::integer), Some(-3));
        assert_eq!(value.get(b"b"), Some(&Value::List(vec![Value::Bytes(b"xy"), Value::Bytes(b"")])));
    }

    #[test]
    fn what_is_cut_or_too_deep_is_nothing() {
        for cut in [&b"d1:a"[..], b"5:abc", b"i12", b"l", b"", b"99999999999999999999:"] {
            assert_eq!(Value::parse(cut), None);
        }
        assert_eq!(Value::parse(&b"l".repeat(100_000)), None);
    }
}
