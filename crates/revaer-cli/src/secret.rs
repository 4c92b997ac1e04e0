//! Secrets on the command line: never printed, and moved out of the process's title.

use std::{
    convert::Infallible,
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::OsStrExt,
    str::FromStr,
};

/// A secret text. Reading one never fails, so that no parser repeats it in an error.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text in clear; `None` when it is empty, as an unset variable often is.
    pub(crate) fn expose(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|text| !text.is_empty())
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Flags that carry a secret, and the variable that carries it instead.
const SECRET_FLAGS: [(&str, &str); 3] = [
    ("--api-key", "REVAER_API_KEY"),
    ("--token", "REVAER_SETUP_TOKEN"),
    ("--passphrase", "REVAER_SETUP_PASSPHRASE"),
];

/// Arguments without secrets, and the environment that carries them instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Concealed {
    /// The arguments that remain, program name first.
    pub(crate) args: Vec<OsString>,
    /// The variables to set.
    pub(crate) variables: Vec<(&'static str, OsString)>,
}

/// Moves secrets from arguments, which every user of the host can read, to the environment, which only the
/// same user can. `None` when there are none. The arguments must have been understood before.
pub(crate) fn conceal(args: impl IntoIterator<Item = OsString>) -> Option<Concealed> {
    let mut concealed = Concealed { args: Vec::new(), variables: Vec::new() };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            concealed.args.push(arg);
            concealed.args.extend(args);
            break;
        }
        match secret_of(&arg) {
            None => concealed.args.push(arg),
            Some((variable, Some(value))) => concealed.variables.push((variable, value)),
            Some((variable, None)) => concealed.variables.push((variable, args.next()?)),
        }
    }
    (!concealed.variables.is_empty()).then_some(concealed)
}

/// The variable for a secret's flag, and the value where it is part of the same argument.
fn secret_of(arg: &OsStr) -> Option<(&'static str, Option<OsString>)> {
    SECRET_FLAGS.into_iter().find_map(|(flag, variable)| {
        let rest = arg.as_bytes().strip_prefix(flag.as_bytes())?;
        match rest.split_first() {
            None => Some((variable, None)),
            Some((b'=', value)) => Some((variable, Some(OsStr::from_bytes(value).to_owned()))),
            Some(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(args: &[&str]) -> Vec<OsString> {
        args.iter().map(OsString::from).collect()
    }

    #[test]
    fn secrets_leave_the_arguments() {
        let args = os(&["revaer", "--api-key", "k:s", "setup", "complete", "--token=t", "--api-key-id", "x"]);
        let concealed = conceal(args).unwrap();
        assert_eq!(concealed.args, os(&["revaer", "setup", "complete", "--api-key-id", "x"]));
        assert_eq!(
            concealed.variables,
            [("REVAER_API_KEY", OsString::from("k:s")), ("REVAER_SETUP_TOKEN", OsString::from("t"))]
        );
    }

    #[test]
    fn without_secrets_nothing_is_moved() {
        assert_eq!(conceal(os(&["revaer", "ls", "--", "--api-key", "x"])), None);
        assert_eq!(conceal(os(&["revaer", "ls", "--api-key-id=x"])), None);
    }

    #[test]
    fn a_secret_is_never_printed() {
        let secret: Secret = "hunter2".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "<redacted>");
        assert_eq!(secret.expose(), Some("hunter2"));
        assert_eq!("".parse::<Secret>().unwrap().expose(), None);
    }
}
