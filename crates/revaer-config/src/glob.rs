//! The glob grammar that the settings accept: `*`, `**`, `?`, `[set]`, `{a,b}` and `\` escapes.
//!
//! A subset of what the matchers understand, small enough that the database holds the same rule
//! (`settings_glob_ok`): sets and braces do not nest, a range rises, a set does not hold `[`, `\` or `/`.

use crate::text::has_control;

/// Bytes in one glob.
const LONGEST: usize = 512;

/// Says what is wrong with a glob, if anything.
pub(crate) fn glob_fault(glob: &str) -> Option<&'static str> {
    if glob.is_empty() || glob.len() > LONGEST {
        return Some("a pattern has 1 to 512 bytes");
    }
    if has_control(glob) {
        return Some("a pattern has no control characters");
    }
    let chars: Vec<char> = glob.chars().collect();
    let mut at = 0;
    let mut braces = false;
    while let Some(here) = chars.get(at) {
        match here {
            '\\' if at + 1 == chars.len() => return Some("the pattern ends in an escape"),
            '\\' => at += 1,
            '{' if braces => return Some("braces do not nest"),
            '{' => braces = true,
            '}' if !braces => return Some("a closing brace has no opening one"),
            '}' => braces = false,
            ']' => return Some("a closing bracket has no opening one"),
            '[' => match set_end(&chars, at + 1) {
                Some(end) => at = end,
                None => return Some("a set is like [abc], [!abc] or [a-z]"),
            },
            _ => {}
        }
        at += 1;
    }
    braces.then_some("an opening brace has no closing one")
}

/// The index of the bracket that closes the set whose content begins at `start`.
fn set_end(chars: &[char], start: usize) -> Option<usize> {
    let first = if matches!(chars.get(start), Some('!' | '^')) { start + 1 } else { start };
    let mut at = first;
    loop {
        match *chars.get(at)? {
            '[' | '\\' | '/' => return None,
            ']' => return (at > first).then_some(at),
            '-' => {
                let upper = *chars.get(at + 1)?;
                let closed = matches!(upper, ']' | '[' | '\\' | '/' | '-');
                if at == first || closed || chars[at - 1] > upper || chars.get(at + 2) == Some(&'-') {
                    return None;
                }
                at += 2;
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_what_is_wrong() {
        for good in ["*.mkv", "**/sample/*", "[!a-z0-9]?", "{a,b}*.{c,d}", r"\[x\]", "a-b", "ü*"] {
            assert_eq!(glob_fault(good), None, "{good}");
        }
        for bad in
            ["", "[", "[]", "[z-a]", "{a", "a}", "a]", "\\", "{a{b}}", "[a-b-c]", "[-a]", "[a-]", "a\n"]
        {
            assert!(glob_fault(bad).is_some(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_compiles(glob in r"[\[\]{}\\!^*?a-c/,-]{0,12}") {
            if glob_fault(&glob).is_none() {
                prop_assert!(globset::Glob::new(&glob).is_ok(), "{glob}");
            }
        }
    }
}
