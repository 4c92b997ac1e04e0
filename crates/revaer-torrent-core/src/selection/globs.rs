//! The globs of a selection, checked and compiled once for all files.

use globset::{ErrorKind, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::{
    SelectionError, SelectionRules,
    alphabet::{Alphabet, lower},
    class,
};

/// So many globs may stand in one list.
pub const MAX_GLOBS: usize = 64;
/// So long may each be.
pub const MAX_GLOB_BYTES: usize = 512;

/// Both lists, ready to match.
pub(super) struct Globs {
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
    alphabet: Alphabet,
}

impl Globs {
    /// Compiles the lists of `rules`, or says which pattern cannot be used and why.
    pub(super) fn compile(rules: &SelectionRules) -> Result<Self, SelectionError> {
        let include = patterns("include", &rules.include)?;
        let exclude = patterns("exclude", &rules.exclude)?;
        let alphabet = Alphabet::of(include.iter().chain(&exclude).map(|pattern| pattern.text.as_str()));
        Ok(Self { include: set(&include, &alphabet)?, exclude: set(&exclude, &alphabet)?, alphabet })
    }

    /// Whether the lists want the file at `path`, which is in lower case.
    pub(super) fn want(&self, path: &str) -> bool {
        if self.include.is_none() && self.exclude.is_none() {
            return true;
        }
        let path = self.alphabet.write(path);
        self.include.as_ref().is_none_or(|globs| globs.is_match(&*path))
            && !self.exclude.as_ref().is_some_and(|globs| globs.is_match(&*path))
    }
}

/// A glob as it was given, and as it is read: in lower case, from the top of the torrent.
struct Pattern<'a> {
    given: &'a str,
    text: String,
}

fn patterns<'a>(list: &'static str, globs: &'a [String]) -> Result<Vec<Pattern<'a>>, SelectionError> {
    if globs.len() > MAX_GLOBS {
        return Err(SelectionError::TooManyGlobs { list, count: globs.len() });
    }
    globs.iter().map(|glob| pattern(glob)).collect()
}

fn pattern(given: &str) -> Result<Pattern<'_>, SelectionError> {
    if given.is_empty() {
        return Err(refused(given, "it is empty"));
    }
    if given.len() > MAX_GLOB_BYTES {
        let reason = format!("it is {} bytes long; at most {MAX_GLOB_BYTES} are taken", given.len());
        return Err(refused(&given.chars().take(64).chain(['…']).collect::<String>(), &reason));
    }
    if given.chars().any(char::is_control) {
        return Err(refused(given, "it holds a control character"));
    }
    if given.ends_with('/') {
        return Err(refused(given, &format!("it names a folder; write `{given}**` for what is in it")));
    }
    let text =
        class::without_separators(&anchored(&lower(given))).map_err(|reason| refused(given, reason))?;
    Ok(Pattern { given, text })
}

/// A pattern without `/` matches in any folder; others match from the top.
fn anchored(pattern: &str) -> String {
    match pattern.strip_prefix('/') {
        Some(from_top) => from_top.to_owned(),
        None if pattern.contains('/') => pattern.to_owned(),
        None => format!("**/{pattern}"),
    }
}

/// `None` where there are no patterns.
fn set(patterns: &[Pattern<'_>], alphabet: &Alphabet) -> Result<Option<GlobSet>, SelectionError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let globs = patterns.iter().map(|pattern| glob(pattern, alphabet)).collect::<Result<Vec<_>, _>>()?;
    match compiled(&globs) {
        Ok(set) => Ok(Some(set)),
        // The set's error does not say which of them it was.
        Err(error) => {
            let pair =
                patterns.iter().zip(&globs).find(|(_, glob)| compiled(std::slice::from_ref(glob)).is_err());
            let (pattern, reason) = match pair {
                Some((pattern, _)) => (pattern.given, words(error.kind())),
                None => ("", "the patterns together are too large".to_owned()),
            };
            Err(refused(pattern, &reason))
        }
    }
}

fn glob(pattern: &Pattern<'_>, alphabet: &Alphabet) -> Result<Glob, SelectionError> {
    GlobBuilder::new(&alphabet.write(&pattern.text))
        .literal_separator(true)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()
        .map_err(|error| refused(pattern.given, &words(error.kind())))
}

fn compiled(globs: &[Glob]) -> Result<GlobSet, globset::Error> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        builder.add(glob.clone());
    }
    builder.build()
}

fn words(kind: &ErrorKind) -> String {
    match kind {
        // These are about the regular expression that it became, which nobody has seen.
        ErrorKind::Regex(_) => "it is nested too deeply, or too large".to_owned(),
        kind => kind.to_string(),
    }
}

fn refused(pattern: &str, reason: &str) -> SelectionError {
    SelectionError::Glob { pattern: pattern.to_owned(), reason: reason.to_owned() }
}
