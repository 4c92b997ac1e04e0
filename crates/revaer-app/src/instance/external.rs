//! The database that `DATABASE_URL` names: how it is written, and what is said of one that is not reached. The URL may
//! hold a password, so nothing of it is said but the host.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::InstanceError;

/// `DATABASE_URL` names no PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UrlError {
    /// It is the URL of something else. The driver would take any.
    #[error("DATABASE_URL has to begin with postgres:// or postgresql://: only PostgreSQL will do")]
    Scheme,
    /// The rest of it is wrong.
    #[error("DATABASE_URL is not understood: {reason}")]
    Syntax {
        /// What the driver says.
        reason: String,
    },
}

/// Reads `DATABASE_URL`.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, UrlError> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("postgres" | "postgresql")) {
        return Err(UrlError::Scheme);
    }
    PgConnectOptions::from_str(url).map_err(|error| UrlError::Syntax { reason: said(&error) })
}

/// What to say of a database that did not let us in.
pub(crate) fn unreachable(options: &PgConnectOptions, error: &sqlx::Error) -> InstanceError {
    let port = options.get_port();
    let (place, hint) = match options.get_socket() {
        // Perhaps the embedded one.
        Some(socket) => (format!("{}, port {port}", socket.display()), ", where it is set,"),
        None => (format!("{}:{port}", options.get_host()), ""),
    };
    InstanceError::Unreachable { place, reason: said(error), hint }
}

/// The driver's errors hold the text of their cause: it is said once.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(cause) => cause.to_string(),
        sqlx::Error::Database(cause) => cause.message().to_owned(),
        sqlx::Error::Tls(cause) | sqlx::Error::Configuration(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_postgresql_will_do() {
        for url in ["postgres://h/d", "postgresql://u:p@h:1/d?sslmode=disable", "POSTGRES://h/d"] {
            assert!(options(url).is_ok(), "{url}");
        }
        for url in ["mysql://u:hunter2@h/d", "u:hunter2@h/d", "sqlite:hunter2", "http://hunter2/", "hunter2"]
        {
            let said = options(url).unwrap_err().to_string();
            assert!(said.contains("has to begin with postgres://") && !said.contains("hunter2"), "{said}");
        }
        for url in
            ["postgres://u:hunter2@h:port/d", "postgres://u:hunter2@[::1/d", "postgres://u:hunter2@/%zz"]
        {
            if let Err(error) = options(url) {
                let said = error.to_string();
                assert!(said.starts_with("DATABASE_URL is not understood: "), "{said}");
                assert!(!said.contains("hunter2"), "{said}");
            }
        }
    }

    #[test]
    fn a_cause_is_said_once_with_the_host_and_never_a_password() {
        let refused = || sqlx::Error::Io(std::io::Error::from_raw_os_error(libc::ECONNREFUSED));
        let said =
            |url| format!("{:#}", anyhow::Error::from(unreachable(&options(url).unwrap(), &refused())));
        assert_eq!(
            said("postgres://u:hunter2@db.example:6000/d"),
            "the database at db.example:6000 can not be reached (Connection refused (os error 111)): see whether \
             PostgreSQL runs there and DATABASE_URL is right"
        );
        let socket = said("postgres://u:hunter2@h/d?host=/run/pg");
        assert!(socket.contains("/run/pg, port 5432") && !socket.contains("hunter2"), "{socket}");
    }
}
