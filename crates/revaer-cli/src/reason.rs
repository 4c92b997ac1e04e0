//! Why a change is made: a flag of every command that changes settings, keys or presets, and a header of its call.

use std::{fmt, str::FromStr};

use clap::Args;
use reqwest::{RequestBuilder, header::HeaderValue};
use revaer_api_models::REASON_HEADER;

/// Characters that the history takes.
const LONGEST: usize = 256;

/// The flag.
#[derive(Debug, Args)]
pub(crate) struct ReasonArg {
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<Reason>,
}

/// A line of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason(String);

impl Reason {
    /// Why a rollback is made that says nothing else.
    pub(crate) fn of_rollback(revision: i64) -> Self {
        Self(format!("rollback to revision {revision}"))
    }
}

impl FromStr for Reason {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let fits = (1..=LONGEST).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err("a reason has 1 to 256 characters on one line") }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The request with its reason, where there is one.
pub(crate) fn explained(request: RequestBuilder, reason: Option<&Reason>) -> RequestBuilder {
    // A text without control characters is a header's value, in UTF-8 too.
    match reason.and_then(|reason| HeaderValue::from_bytes(reason.0.as_bytes()).ok()) {
        Some(value) => request.header(REASON_HEADER, value),
        None => request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_line_of_words() {
        for text in ["ticket 7: too fast", " für die Nacht ", &"ä".repeat(256)] {
            let reason: Reason = text.parse().unwrap();
            assert_eq!(reason.to_string(), text.trim());
            assert!(HeaderValue::from_bytes(reason.0.as_bytes()).is_ok());
        }
        for text in ["", "  ", "a\nb", "a\tb", "a\u{85}b", &"x".repeat(257)] {
            assert!(text.parse::<Reason>().is_err(), "{text:?}");
        }
    }
}
