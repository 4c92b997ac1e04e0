//! Character classes that the database's regular expressions mirror.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// C0, DEL and C1, as in the domains of the first migration.
pub(crate) fn has_control(text: &str) -> bool {
    text.chars().any(|one| matches!(one, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'))
}

/// One or more visible ASCII characters.
pub(crate) fn is_visible_ascii(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

/// `[A-Za-z0-9]` and the `extra` characters, at least one and at most `most`.
pub(crate) fn is_name(text: &str, extra: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && text.chars().all(|one| one.is_ascii_alphanumeric() || extra.contains(one))
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Escapes a member name for an RFC 6901 pointer.
pub(crate) fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
