//! `so`: which files, as indexes and ranges such as `0,2,4-6` (BEP 53).

use super::ignored::shown;

/// So many files may be named, ranges counted in full.
const MAX_FILES: usize = 100_000;

/// Adds the files that `value` names to `files`, or says what is wrong with it.
pub(super) fn take(files: &mut Vec<u32>, value: &str) -> Result<(), String> {
    for part in value.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (index(first, part)?, index(last, part)?),
            None => (index(part, part)?, index(part, part)?),
        };
        if first > last {
            return Err(format!("the range {} runs backward", shown(part)));
        }
        // Counted before anything is made, so that `0-4294967295` costs nothing.
        let room = MAX_FILES.saturating_sub(files.len());
        if (last - first) as usize >= room {
            return Err(format!("it names more than {MAX_FILES} files"));
        }
        files.extend(first..=last);
    }
    Ok(())
}

fn index(digits: &str, part: &str) -> Result<u32, String> {
    let wrong = || format!("{} is neither a file's index nor a range of them", shown(part));
    // `parse` alone would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    digits.parse().map_err(|_| wrong())
}
