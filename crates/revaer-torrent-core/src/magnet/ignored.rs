//! What a link says and the torrent does without: bounded, so that a hostile link cannot make a long answer.

/// So many reasons are kept; one more line counts the rest.
const KEPT: usize = 64;

/// Collects reasons.
#[derive(Default)]
pub(super) struct Ignored {
    reasons: Vec<String>,
    more: usize,
}

impl Ignored {
    /// Notes that the `number`th `member` is not used.
    pub(super) fn note(&mut self, member: &str, number: usize, reason: &str) {
        if self.reasons.len() < KEPT {
            self.reasons.push(format!("`{member}` number {number}: {reason}"));
        } else {
            self.more += 1;
        }
    }

    /// The reasons, in the link's order.
    pub(super) fn into_reasons(mut self) -> Vec<String> {
        if self.more > 0 {
            self.reasons.push(format!("and {} more", self.more));
        }
        self.reasons
    }
}

/// `text` as it may be shown in a reason: escaped, and not longer than a host name would be.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.chars().nth(LONGEST).is_none() {
        return format!("{text:?}");
    }
    format!("{:?}…", text.chars().take(LONGEST).collect::<String>())
}
