//! How values look to a person: sizes, times, states, and names that cannot steer the terminal.

use revaer_api_models::StateKind;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A text from elsewhere, made harmless: control and direction characters become `\u{fffd}`.
///
/// Names of torrents and files come from strangers; an escape sequence in one must not reach a terminal.
pub(crate) fn printable(text: &str) -> String {
    let steers = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|character| if steers(character) { '\u{fffd}' } else { character }).collect()
}

/// A size in bytes with a binary unit.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A rate in bytes per second with a binary unit.
pub(crate) fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", size(bytes_per_second))
}

/// A rate limit.
pub(crate) fn limit(bytes_per_second: Option<u64>) -> String {
    bytes_per_second.map_or_else(|| "none".to_owned(), rate)
}

/// A span of seconds, in its two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

/// A moment, to the second.
pub(crate) fn moment(time: OffsetDateTime) -> String {
    let second = time.replace_nanosecond(0).unwrap_or(time);
    second.format(&Rfc3339).unwrap_or_else(|_| second.to_string())
}

/// Percent with one decimal, never rounded up to 100.
pub(crate) fn percent(percent: f64) -> String {
    let floored = (percent * 10.0).floor() / 10.0;
    format!("{floored:.1}%")
}

/// Bytes of bytes as percent; of nothing, nothing is missing.
pub(crate) fn percent_of(done: u64, total: u64) -> f64 {
    if total == 0 {
        return 100.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let ratio = done as f64 / total as f64;
    ratio * 100.0
}

/// The ANSI color of a state.
pub(crate) const fn state_color(kind: StateKind) -> &'static str {
    match kind {
        StateKind::Failed => "31",
        StateKind::Stopped | StateKind::Queued => "33",
        StateKind::Checking | StateKind::FetchingMetadata | StateKind::Downloading => "36",
        StateKind::Seeding | StateKind::Completed => "32",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(
            printable("a\x1b[2Jb\r\nc\u{9b}d\u{202e}e é"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d\u{fffd}e é"
        );
    }

    #[test]
    fn values_are_short() {
        assert_eq!(size(1536), "1.50 KiB");
        assert_eq!(limit(None), "none");
        assert_eq!(limit(Some(0)), "0 B/s");
        assert_eq!(
            ["0s", "1m1s", "1h1m", "2d1h"],
            [span(0), span(61), span(3_660), span(176_400)].each_ref().map(String::as_str)
        );
    }

    #[test]
    fn a_moment_is_told_to_the_second() {
        assert_eq!(moment(time::macros::datetime!(2025-10-17 12:00:00.123456 UTC)), "2025-10-17T12:00:00Z");
    }

    #[test]
    fn almost_done_is_not_done() {
        assert_eq!(percent(99.99), "99.9%");
        assert_eq!(percent(100.0), "100.0%");
        assert_eq!(percent(percent_of(0, 0)), "100.0%");
        assert_eq!(percent(percent_of(1, 3)), "33.3%");
    }
}
