//! What the environment supplies beyond what the command line parser reads; taken once, in `main`.

use std::path::PathBuf;

/// A copy of the few variables that count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// Where to report what was run, `REVAER_TELEMETRY_ENDPOINT`.
    pub(crate) telemetry_endpoint: Option<String>,
    /// The trace this command is a part of, `TRACEPARENT` (W3C Trace Context).
    pub(crate) traceparent: Option<Traceparent>,
    /// Whether colors are unwelcome, `NO_COLOR`.
    pub(crate) no_color: bool,
    /// Where a person's settings are, `XDG_CONFIG_HOME` or `~/.config`.
    pub(crate) config_home: Option<PathBuf>,
}

impl Environment {
    /// Reads the process's environment.
    pub(crate) fn read() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            telemetry_endpoint: text("REVAER_TELEMETRY_ENDPOINT"),
            traceparent: text("TRACEPARENT").and_then(|value| Traceparent::parse(&value)),
            no_color: text("NO_COLOR").is_some(),
            config_home: path("XDG_CONFIG_HOME").or_else(|| path("HOME").map(|home| home.join(".config"))),
        }
    }

    /// The file that holds the key when none is named.
    pub(crate) fn default_key_file(&self) -> Option<PathBuf> {
        self.config_home.as_ref().map(|home| home.join("revaer").join("api-key"))
    }
}

/// A well-formed `traceparent`: `version-traceid-parentid-flags` in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traceparent(String);

impl Traceparent {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('-').collect();
        let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
        let hex =
            |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let fits = lengths == [2, 32, 16, 2] && parts.iter().all(hex);
        (fits && parts[0] != "ff" && !zero(parts[1]) && !zero(parts[2])).then(|| Self(text.to_owned()))
    }

    /// The header's value.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The trace id: 32 hex digits.
    pub(crate) fn trace_id(&self) -> &str {
        &self.0[3..35]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_names_its_trace() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = Traceparent::parse(text).unwrap();
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.as_str(), text);
    }

    #[test]
    fn what_is_no_traceparent_is_ignored() {
        for text in [
            "",
            "00-4bf9-00f0-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Traceparent::parse(text), None, "{text}");
        }
    }
}
