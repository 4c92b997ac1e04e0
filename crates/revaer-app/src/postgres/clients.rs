//! `pg_dump` and `pg_restore`, told where the database is without showing a password to anybody.

use std::ffi::OsStr;

use sqlx::postgres::PgSslMode;
use url::Url;

use super::{EmbeddedError, binaries, binaries::Binaries};
use crate::child::{ChildSpec, Children};

/// The programs that copy a database.
#[derive(Debug)]
pub struct Clients {
    binaries: Binaries,
    /// For libpq. Arguments can be read by everyone on this machine; the environment by our own user alone.
    variables: Vec<(&'static str, String)>,
}

impl Clients {
    /// Finds programs that a server of major version `server` can be read and filled with. `url` is the
    /// `DATABASE_URL` that `connect` was made from, if it was.
    pub async fn find(
        children: &Children,
        search_path: Option<&OsStr>,
        server: u32,
        connect: &sqlx::postgres::PgConnectOptions,
        url: Option<&str>,
    ) -> Result<Self, EmbeddedError> {
        let binaries = binaries::find_clients(children, search_path, server).await?;
        Ok(Self { binaries, variables: variables(connect, url) })
    }

    /// One of the programs, told how to connect.
    pub fn program(&self, name: &str) -> ChildSpec {
        let spec = ChildSpec::new(self.binaries.program(name)).env("LC_ALL", "C").env("TZ", "UTC");
        self.variables.iter().fold(spec, |spec, (name, value)| spec.env(name, value))
    }
}

/// The options as libpq's variables. The driver does not give back the password and the files for TLS.
fn variables(connect: &sqlx::postgres::PgConnectOptions, url: Option<&str>) -> Vec<(&'static str, String)> {
    let host = connect.get_socket().map_or_else(
        || connect.get_host().trim_matches(['[', ']']).to_owned(),
        |socket| socket.display().to_string(),
    );
    let sslmode = match connect.get_ssl_mode() {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    };
    let mut variables = vec![
        ("PGHOST", host),
        ("PGPORT", connect.get_port().to_string()),
        ("PGUSER", connect.get_username().to_owned()),
        ("PGDATABASE", connect.get_database().unwrap_or(connect.get_username()).to_owned()),
        ("PGSSLMODE", sslmode.to_owned()),
        ("PGAPPNAME", "revaer-app".to_owned()),
        ("PGCONNECT_TIMEOUT", "30".to_owned()),
    ];
    variables.extend(connect.get_options().map(|options| ("PGOPTIONS", options.to_owned())));
    if let Some(url) = url.and_then(|url| Url::parse(url).ok()) {
        variables.extend(url.password().map(|password| ("PGPASSWORD", decoded(password))));
        for (key, value) in url.query_pairs() {
            let name = match &*key {
                "password" => "PGPASSWORD",
                "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "PGSSLROOTCERT",
                "sslcert" | "ssl-cert" => "PGSSLCERT",
                "sslkey" | "ssl-key" => "PGSSLKEY",
                _ => continue,
            };
            // The last one counts, as for the driver.
            variables.retain(|(other, _)| *other != name);
            variables.push((name, value.into_owned()));
        }
    }
    variables
}

/// Percent-encoding undone.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *byte == b'%') {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, str::FromStr};

    use sqlx::postgres::PgConnectOptions;

    use super::*;

    fn check(url: &str) -> BTreeMap<&'static str, String> {
        variables(&PgConnectOptions::from_str(url).unwrap(), Some(url)).into_iter().collect()
    }

    #[test]
    fn what_the_url_says_reaches_libpq() {
        let said = check(
            "postgres://us%40er:p%2Fw%25@[::1]:6000/da%20ta?sslmode=verify-full&sslrootcert=/ca&statement-cache-capacity=3",
        );
        for (name, value) in [
            ("PGHOST", "::1"),
            ("PGPORT", "6000"),
            ("PGUSER", "us@er"),
            ("PGPASSWORD", "p/w%"),
            ("PGDATABASE", "da ta"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/ca"),
        ] {
            assert_eq!(said.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    #[test]
    fn a_socket_is_a_host_that_begins_with_a_slash() {
        let said =
            check("postgres://u:first@localhost/d?host=/run/pg&password=second&options=-csearch_path%3Dx");
        assert_eq!(said["PGHOST"], "/run/pg");
        assert_eq!(said["PGPASSWORD"], "second");
        assert_eq!(said["PGOPTIONS"], "-csearch_path=x");
    }
}
