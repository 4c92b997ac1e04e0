//! Every fault of a body at once, each with its pointer.

use revaer_api_models::{InvalidParam, ProblemKind};

use crate::http::problem::Reject;

/// What is wrong with a document, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    found: Vec<InvalidParam>,
}

/// Faults that are listed at most: a hostile document does not get an answer larger than itself.
const MOST: usize = 256;

impl Faults {
    pub(crate) fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.found.len() < MOST {
            self.found.push(InvalidParam { pointer: pointer.into(), message: message.into() });
        }
    }

    /// How many there are so far.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// The refusal, where there is a fault.
    pub(crate) fn into_result(self) -> Result<(), Reject> {
        if self.found.is_empty() {
            return Ok(());
        }
        let detail = format!("correct {} and send it again", count(self.found.len()));
        Err(self.refusal(ProblemKind::ValidationFailed, detail))
    }

    /// The same for a torrent to be added, whose source stands at `source`: where that is the only thing that is
    /// wrong, it is another kind of problem.
    pub(crate) fn into_torrent_result(self, source: &str) -> Result<(), Reject> {
        let only_source = self.found.iter().all(|fault| fault.pointer == source);
        match self.found.first() {
            Some(first) if only_source => {
                let detail = format!("the torrent is not taken: {}", first.message);
                Err(self.refusal(ProblemKind::InvalidTorrent, detail))
            }
            _ => self.into_result(),
        }
    }

    fn refusal(self, kind: ProblemKind, detail: String) -> Reject {
        Reject::new(kind, detail).with(|problem| problem.invalid_params = self.found)
    }
}

fn count(faults: usize) -> String {
    if faults == 1 {
        "the member named below".to_owned()
    } else {
        format!("the {faults} members named below")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_torrent_alone_is_another_problem_than_a_bad_request() {
        let mut faults = Faults::default();
        assert_eq!(faults.len(), 0);
        faults.add("/magnet", "no");
        let only = std::mem::take(&mut faults).into_torrent_result("/magnet").unwrap_err();
        assert_eq!(only.problem().kind(), Some(ProblemKind::InvalidTorrent));
        faults.add("/magnet", "no");
        faults.add("/tags", "no");
        let both = faults.into_torrent_result("/magnet").unwrap_err();
        assert_eq!(both.problem().kind(), Some(ProblemKind::ValidationFailed));
        assert_eq!(both.problem().invalid_params.len(), 2);
    }
}
