//! Keys that were refused: each one counted, and told in the log at most once a second, so that whoever tries keys is
//! seen and cannot fill the log.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use revaer_telemetry::{Metrics, OnFailure, Tasks};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a caller was not taken for the holder of a key. A label in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Missing,
    Malformed,
    Rejected,
    Disabled,
    Expired,
    Busy,
}

impl Cause {
    const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Rejected => "rejected",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::Busy => "busy",
        }
    }
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) cause: Cause,
    /// Where there is such a key: what names none may be a secret in the wrong place.
    pub(crate) key_id: Option<String>,
    /// Who sent it.
    pub(crate) peer: String,
}

/// All refusals. One task at most waits to tell of them.
#[derive(Debug, Default)]
pub(crate) struct RefusedKeys {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many the log was not told of, and the last of them.
    untold: Option<(u64, Refused)>,
    /// A line was written less than [`PAUSE`] ago.
    paused: bool,
}

impl RefusedKeys {
    /// Counts a refusal; tells of it now, or with others as soon as a second has passed since the last line.
    pub(crate) fn note(self: &Arc<Self>, refused: Refused, metrics: &Metrics, tasks: &Tasks) {
        metrics.api_auth_failed(refused.cause.name());
        let Some((count, refused)) = self.begin(refused) else { return };
        tell(count, &refused);
        let (keys, token) = (Arc::clone(self), tasks.child_token());
        tasks.spawn("log of refused keys", OnFailure::Log, async move {
            loop {
                let goes_on = tokio::select! {
                    () = token.cancelled() => false,
                    () = tokio::time::sleep(PAUSE) => true,
                };
                let untold = keys.after_pause(goes_on);
                if let Some((count, last)) = &untold {
                    tell(*count, last);
                }
                if untold.is_none() || !goes_on {
                    return Ok::<(), Infallible>(());
                }
            }
        });
    }

    /// What to tell at once; a pause begins. `None` within one.
    fn begin(&self, refused: Refused) -> Option<(u64, Refused)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.paused {
            let before = state.untold.as_ref().map_or(0, |(count, _)| *count);
            state.untold = Some((before + 1, refused));
            return None;
        }
        state.paused = true;
        Some((1, refused))
    }

    /// What to tell after a pause; another one follows where there is something. At the end the pause goes on, for
    /// nobody would wait out the next one.
    fn after_pause(&self, goes_on: bool) -> Option<(u64, Refused)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = state.untold.take();
        state.paused = untold.is_some() || !goes_on;
        untold
    }
}

fn tell(count: u64, last: &Refused) {
    tracing::warn!(
        event = "auth.rejected",
        reason = last.cause.name(),
        peer = last.peer,
        key_id = last.key_id,
        count,
        "requests were refused for their API key; this is the last of them"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(peer: u8) -> Refused {
        Refused { cause: Cause::Rejected, key_id: None, peer: peer.to_string() }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_after_a_pause() {
        let keys = RefusedKeys::default();
        assert_eq!(keys.begin(refused(1)), Some((1, refused(1))));
        assert_eq!(keys.begin(refused(2)), None);
        assert_eq!(keys.begin(refused(3)), None);
        assert_eq!(keys.after_pause(true), Some((2, refused(3))));
        assert_eq!(keys.begin(refused(4)), None, "a line was just written");
        assert_eq!(keys.after_pause(true), Some((1, refused(4))));
        assert_eq!(keys.after_pause(true), None);
        assert_eq!(keys.begin(refused(5)), Some((1, refused(5))));
        assert_eq!(keys.after_pause(false), None);
        assert_eq!(keys.begin(refused(6)), None, "nobody waits any more");
    }
}
