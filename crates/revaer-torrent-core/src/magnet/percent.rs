//! Percent-encoding (RFC 3986, section 2.1), both ways.

/// What a percent-encoded text says.
pub(super) struct Decoded {
    /// The bytes; a `%` that begins no escape stands for itself.
    pub(super) bytes: Vec<u8>,
    /// There was such a `%`.
    pub(super) is_malformed: bool,
}

/// What `+` stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// Itself, as in any URI.
    Literal,
    /// A space, as in forms; the habit of `dn`.
    Space,
}

/// Reads `text`.
pub(super) fn decode(text: &str, plus: Plus) -> Decoded {
    let mut decoded = Decoded { bytes: Vec::with_capacity(text.len()), is_malformed: false };
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let byte = match first {
            b'+' if plus == Plus::Space => b' ',
            b'%' => match escape(tail) {
                Some(byte) => {
                    rest = &tail[2..];
                    byte
                }
                None => {
                    decoded.is_malformed = true;
                    b'%'
                }
            },
            other => other,
        };
        decoded.bytes.push(byte);
    }
    decoded
}

/// The byte that the first two of `digits` spell.
fn escape(digits: &[u8]) -> Option<u8> {
    let high = char::from(*digits.first()?).to_digit(16)?;
    let low = char::from(*digits.get(1)?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// Writes `text` onto `out`, with everything escaped that RFC 3986 does not call unreserved.
pub(super) fn encode_onto(out: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}
