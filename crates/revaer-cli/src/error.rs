//! Why a command was not done: what is printed, and the exit code that follows.

use std::{io, path::PathBuf, time::Duration};

use revaer_api_models::Problem;

use crate::text::printable;

/// Exit code of a command that was wrong as it was asked.
pub(crate) const EXIT_WRONG: u8 = 2;
/// Exit code of everything else that went wrong.
pub(crate) const EXIT_FAILED: u8 = 3;

/// Why a command was not done. No variant ever holds a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command cannot be meant as it stands.
    #[error("{0}")]
    Input(String),
    /// A local file that the command names cannot be used.
    #[error("can not {operation} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A local file could not be made durable.
    #[error("{0}")]
    Durable(String),
    /// The server said no.
    #[error("{}", .0.detail.as_deref().unwrap_or("the server gave no detail"))]
    Problem(Box<Problem>),
    /// The server was never reached, so nothing was done.
    #[error("{url}: {reason}; start revaer-app, or name the server with --api-url or REVAER_API_URL")]
    Unreachable {
        /// The server's address.
        url: String,
        /// The innermost cause.
        reason: String,
    },
    /// The answer did not come, so nobody knows what was done.
    #[error("{url}: {reason}; {hint}")]
    Lost {
        /// The server's address.
        url: String,
        /// What happened to the answer.
        reason: String,
        /// How to find out, or to repeat safely.
        hint: String,
    },
    /// What answered does not speak like Revaer.
    #[error("{url}: {reason}; check that --api-url names a Revaer server of this version")]
    Answer {
        /// The server's address.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The answer came and says that something is not well.
    #[error("{detail}")]
    Unwell {
        /// What is not well, in a few words.
        title: &'static str,
        /// Why.
        detail: String,
    },
    /// This host cannot do what the command needs.
    #[error("{0}")]
    Host(String),
    /// The result could not be printed.
    #[error("can not write to stdout: {0}")]
    Output(io::Error),
}

impl CliError {
    /// For `map_err`: an operation on a file failed.
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }

    /// What a lost answer means for this command.
    #[must_use]
    pub(crate) fn with_hint(self, new_hint: impl Into<String>) -> Self {
        match self {
            Self::Lost { url, reason, .. } => Self::Lost { url, reason, hint: new_hint.into() },
            other => other,
        }
    }

    /// What to do next, where the server or nobody said why.
    #[must_use]
    pub(crate) fn with_next_step(self, step: &str) -> Self {
        match self {
            Self::Lost { url, reason, .. } => Self::Lost { url, reason, hint: step.to_owned() },
            Self::Answer { url, reason } => Self::Answer { url, reason: format!("{reason}; {step}") },
            Self::Problem(mut problem) => {
                let detail = problem.detail.take();
                problem.detail =
                    Some(detail.map_or_else(|| step.to_owned(), |text| format!("{text}; {step}")));
                Self::Problem(problem)
            }
            other => other,
        }
    }

    /// Whether the server did not take the key.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == 401)
    }

    /// Whether the server may have done what it was asked although no answer says so.
    pub(crate) fn is_ambiguous(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::Answer { .. } => true,
            Self::Problem(problem) => problem.status >= 500 || problem.status == 408,
            Self::Input(_)
            | Self::File { .. }
            | Self::Durable(_)
            | Self::Unreachable { .. }
            | Self::Unwell { .. }
            | Self::Host(_)
            | Self::Output(_) => false,
        }
    }

    /// The kind of error in a few words.
    pub(crate) fn title(&self) -> &str {
        match self {
            Self::Input(_) => "command not usable",
            Self::File { .. } | Self::Durable(_) => "file not usable",
            Self::Problem(problem) => &problem.title,
            Self::Unreachable { .. } => "server not reached",
            Self::Lost { .. } => "answer lost",
            Self::Answer { .. } => "answer not understood",
            Self::Unwell { title, .. } => title,
            Self::Host(_) => "host not usable",
            Self::Output(_) => "result not printed",
        }
    }

    /// 2 when the command was wrong, else 3.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) | Self::File { .. } => EXIT_WRONG,
            Self::Problem(problem) if matches!(problem.status, 400 | 409 | 413 | 415 | 422) => EXIT_WRONG,
            Self::Problem(_)
            | Self::Durable(_)
            | Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::Answer { .. }
            | Self::Unwell { .. }
            | Self::Host(_)
            | Self::Output(_) => EXIT_FAILED,
        }
    }

    /// Whether the same request may succeed later without anybody changing it.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Problem(problem) => matches!(problem.status, 408 | 429 | 500..),
            // An answer that is not understood: a proxy's page while the server behind it is away.
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Answer { .. } => true,
            Self::Input(_)
            | Self::File { .. }
            | Self::Durable(_)
            | Self::Unwell { .. }
            | Self::Host(_)
            | Self::Output(_) => false,
        }
    }

    /// How long the server asks to be left alone, an hour at most.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::Problem(problem) => Duration::from_secs(problem.retry_after_seconds.unwrap_or(0).min(3600)),
            _ => Duration::ZERO,
        }
    }

    /// Whether the reader of stdout went away, which is no failure of the command.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The lines for stderr.
    pub(crate) fn report(&self) -> String {
        let mut report = format!("error: {}: {}\n", printable(self.title()), printable(&self.to_string()));
        if let Self::Problem(problem) = self {
            for param in &problem.invalid_params {
                report.push_str(&printable(&format!("  {}: {}", param.pointer, param.message)));
                report.push('\n');
            }
            if let Some(id) = problem.existing_id {
                report.extend(["  existing_id: ", &id.to_string(), "\n"]);
            }
            if let Some(seconds) = problem.retry_after_seconds {
                report.extend(["  retry_after_seconds: ", &seconds.to_string(), "\n"]);
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use revaer_api_models::ProblemKind;

    use super::*;

    #[test]
    fn a_problem_is_told_with_every_fault() {
        let problem = Problem::new(ProblemKind::ValidationFailed)
            .with_detail("correct the members below")
            .with_param("/magnet", "no magnet\x1b[2J");
        let error = CliError::Problem(Box::new(problem));
        insta::assert_snapshot!(error.report(), @r"
        error: request not valid: correct the members below
          /magnet: no magnet�[2J
        ");
    }

    #[test]
    fn wrong_requests_exit_2_and_everything_else_3() {
        for kind in ProblemKind::ALL {
            let wrong = [400, 409, 413, 415, 422].contains(&kind.status());
            let expected = if wrong { EXIT_WRONG } else { EXIT_FAILED };
            assert_eq!(CliError::Problem(Box::new(Problem::new(kind))).exit_code(), expected, "{kind:?}");
        }
        assert_eq!(CliError::Input(String::new()).exit_code(), EXIT_WRONG);
        assert_eq!(CliError::Host(String::new()).exit_code(), EXIT_FAILED);
    }
}
