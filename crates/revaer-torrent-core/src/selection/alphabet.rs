//! One byte per character, since globset matches bytes: `?` and `[…]` would see a part of `é` or `話`.
//!
//! A character beyond ASCII that stands in a pattern gets a byte of its own, those that stand in none share one.
//! Texts are in lower case and patterns hold no control characters, so capital letters and control codes are free.

use std::{borrow::Cow, collections::BTreeMap};

/// What stands for every character that no pattern names.
const OTHER: char = '\x01';

/// Which byte stands for which character.
#[derive(Default)]
pub(super) struct Alphabet {
    letters: BTreeMap<char, char>,
}

impl Alphabet {
    /// Gives bytes to the characters of `patterns`.
    ///
    /// There are 57 of them. Characters beyond that stay as they are: they still match themselves, but not `?`.
    /// Patterns in which that would show come first.
    pub(super) fn of<'a>(patterns: impl Iterator<Item = &'a str> + Clone) -> Self {
        let narrow = |pattern: &&str| pattern.contains(['?', '[']);
        let first = patterns.clone().filter(narrow);
        let then = patterns.filter(move |pattern| !narrow(pattern));
        let mut free = ('\x02'..='\x1f').chain('A'..='Z').chain(['\x7f']);
        let mut letters = BTreeMap::new();
        for letter in first.chain(then).flat_map(str::chars).filter(|letter| !letter.is_ascii()) {
            letters.entry(letter).or_insert_with(|| free.next().unwrap_or(letter));
        }
        Self { letters }
    }

    /// `text`, which is in lower case, with one byte per character.
    pub(super) fn write<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Cow::Borrowed(text);
        }
        text.chars()
            .map(|letter| match letter {
                ' '..='~' => letter,
                _ => self.letters.get(&letter).copied().unwrap_or(OTHER),
            })
            .collect()
    }
}

/// `text` in lower case, letter by letter: what comes after a letter never changes it, as it does for a final sigma.
pub(super) fn lower(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).collect()
}
