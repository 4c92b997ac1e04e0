//! Character classes of globs: `[…]` never matches a `/`, which globset leaves to the pattern.

/// `pattern` with every negated class made to leave out `/`, or why a class cannot be used.
///
/// A class that is not closed is left for globset to report.
pub(super) fn without_separators(pattern: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find(['\\', '[']) {
        let (before, special) = rest.split_at(at);
        out.push_str(before);
        if special.starts_with('\\') {
            let escaped = special.chars().take(2).map(char::len_utf8).sum();
            out.push_str(&special[..escaped]);
            rest = &special[escaped..];
            continue;
        }
        let Some(class) = Class::read(special) else {
            rest = special;
            break;
        };
        class.check()?;
        out.push_str(&class.write());
        rest = &special[class.length..];
    }
    out.push_str(rest);
    Ok(out)
}

struct Class<'a> {
    is_negated: bool,
    body: &'a str,
    /// Bytes from `[` to `]`, both included.
    length: usize,
    ranges: Vec<(char, char)>,
    /// It ends with a `-` that stands for itself.
    ends_with_dash: bool,
}

impl<'a> Class<'a> {
    /// The class that begins with the `[` at the start of `text`, read as globset does: a `]` or a `-` that comes
    /// first stands for itself.
    fn read(text: &'a str) -> Option<Self> {
        let inside = text.strip_prefix('[')?;
        let is_negated = inside.starts_with(['!', '^']);
        let begin = 1 + usize::from(is_negated);
        let mut ranges: Vec<(char, char)> = Vec::new();
        let mut in_range = false;
        for (at, letter) in text[begin..].char_indices() {
            match letter {
                ']' if at > 0 => {
                    let body = &text[begin..begin + at];
                    return Some(Self {
                        is_negated,
                        body,
                        length: begin + at + 1,
                        ranges,
                        ends_with_dash: in_range,
                    });
                }
                '-' if at > 0 && !in_range => in_range = true,
                _ => match ranges.last_mut() {
                    Some(range) if in_range => {
                        range.1 = letter;
                        in_range = false;
                    }
                    _ => ranges.push((letter, letter)),
                },
            }
        }
        None
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.ranges.iter().any(|(first, last)| first != last && !(first.is_ascii() && last.is_ascii())) {
            return Err("a range in `[…]` can only be of ASCII characters; name the others one by one");
        }
        if !self.is_negated && self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&'/')) {
            return Err("`[…]` stands for one character of a name, which is never a `/`");
        }
        Ok(())
    }

    fn write(&self) -> String {
        let body = self.body;
        match (self.is_negated, self.ends_with_dash) {
            (false, _) => format!("[{body}]"),
            (true, false) => format!("[!{body}/]"),
            (true, true) => format!("[!{}/-]", body.strip_suffix('-').unwrap_or(body)),
        }
    }
}
