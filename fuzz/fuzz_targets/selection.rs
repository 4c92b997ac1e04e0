//! Any rules on any files are refused with a reason, or come to one priority per file with something left.
//!
//! The input is lines: `+glob`, `-glob`, `f` (skip fluff), `=<index digit><priority digit>`, and anything else is a
//! file's path, whose length is its size; `p` before a path makes it padding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revaer_torrent_core::{Bytes, ContentFile, FilePriority, SelectionError, SelectionRules};

fuzz_target!(|text: &str| {
    let mut rules = SelectionRules::default();
    let mut files = Vec::new();
    for line in text.lines().take(200) {
        match line.split_at_checked(1) {
            Some(("+", glob)) => rules.include.push(glob.to_owned()),
            Some(("-", glob)) => rules.exclude.push(glob.to_owned()),
            Some(("f", "")) => rules.skip_fluff = true,
            Some(("=", digits)) => rules.priorities.extend(priority(digits)),
            Some(("p", path)) => files.push(file(path, true)),
            _ => files.push(file(line, false)),
        }
    }
    let valid = rules.validate();
    match rules.apply(&files) {
        Ok(priorities) => {
            assert_eq!(valid, Ok(()));
            assert_eq!(priorities.len(), files.len());
            assert!(priorities.iter().any(|priority| *priority != FilePriority::Skip));
        }
        Err(SelectionError::NothingLeft | SelectionError::NoSuchFile { .. }) => assert_eq!(valid, Ok(())),
        Err(error) => assert_eq!(valid, Err(error)),
    }
});

fn file(path: &str, is_padding: bool) -> ContentFile {
    let size = Bytes(path.len() as u64);
    ContentFile { path: path.to_owned(), size, offset: Bytes::ZERO, is_padding, is_symlink: false }
}

fn priority(digits: &str) -> Option<(u32, FilePriority)> {
    use FilePriority::{High, Low, Normal, Skip};
    let mut digits = digits.chars().map(|digit| digit.to_digit(10));
    let index = digits.next()??;
    let priority = [Skip, Low, Normal, High].get(digits.next()?? as usize).copied()?;
    Some((index, priority))
}
