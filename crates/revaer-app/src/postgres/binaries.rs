//! The server's programs, as the system has them: the newest for a new cluster, the same major version for an
//! existing one.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::EmbeddedError;
use crate::child::{ChildSpec, Children};

/// The oldest major version that is supported.
const OLDEST: u32 = 15;
/// Directories whose children may hold `bin/postgres`: Debian, Arch and openSUSE, RHEL, Alpine, from source.
const PARENTS: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),
    ("/usr", "pgsql-"),
    ("/usr/lib", "postgresql"),
    ("/usr/libexec", "postgresql"),
    ("/usr/local", "pgsql"),
];

/// One installed `PostgreSQL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    /// As in `15.18`.
    pub(super) version: String,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Finds the installation for the cluster `pg`: of major version `wanted`, or the newest when there is none yet.
pub(super) async fn find(
    children: &Children,
    search_path: Option<&OsStr>,
    pg: &Path,
    wanted: Option<u32>,
) -> Result<Binaries, EmbeddedError> {
    let mut found = Vec::new();
    for dir in candidates(search_path, ["postgres", "initdb"]) {
        if let Some(binaries) = inspect(children, dir, "postgres").await {
            found.push(binaries);
        }
    }
    choose(found, pg, wanted)
}

/// Finds `pg_dump` and `pg_restore` for a server of major version `server`: of the same, else of the next newer one,
/// since they refuse servers that are newer than they.
pub(super) async fn find_clients(
    children: &Children,
    search_path: Option<&OsStr>,
    server: u32,
) -> Result<Binaries, EmbeddedError> {
    let mut found = Vec::new();
    for dir in candidates(search_path, ["pg_dump", "pg_restore"]) {
        if let Some(binaries) = inspect(children, dir, "pg_dump").await {
            found.push(binaries);
        }
    }
    choose_clients(found, server)
}

fn choose_clients(found: Vec<Binaries>, server: u32) -> Result<Binaries, EmbeddedError> {
    let seen = versions(&found);
    let best = found.into_iter().filter(|one| one.major >= server).reduce(|best, one| {
        let nearer = one.major < best.major;
        let newer = one.major == best.major && newer(&one.version, &best.version);
        if nearer || newer { one } else { best }
    });
    best.ok_or(EmbeddedError::ClientsMissing { server, found: seen })
}

fn versions(found: &[Binaries]) -> String {
    let versions: Vec<&str> = found.iter().map(|one| one.version.as_str()).collect();
    if versions.is_empty() { "none".to_owned() } else { versions.join(", ") }
}

fn choose(found: Vec<Binaries>, pg: &Path, wanted: Option<u32>) -> Result<Binaries, EmbeddedError> {
    let seen = versions(&found);
    let best = found
        .into_iter()
        .filter(|one| wanted.map_or(one.major >= OLDEST, |major| one.major == major))
        .reduce(|best, one| if newer(&one.version, &best.version) { one } else { best });
    match (best, wanted) {
        (Some(best), _) => Ok(best),
        (None, Some(major)) => Err(EmbeddedError::MajorMissing { pg: pg.to_owned(), major, found: seen }),
        (None, None) => Err(EmbeddedError::NotInstalled),
    }
}

fn newer(one: &str, other: &str) -> bool {
    let numbers =
        |version: &str| -> Vec<u32> { version.split('.').map(|part| part.parse().unwrap_or(0)).collect() };
    numbers(one) > numbers(other)
}

/// Directories that hold both programs, each once.
fn candidates(search_path: Option<&OsStr>, programs: [&str; 2]) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> =
        search_path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    for (parent, prefix) in PARENTS {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
                dirs.push(entry.path().join("bin"));
                dirs.push(entry.path());
            }
        }
    }
    let mut seen = Vec::new();
    for dir in dirs {
        // The real directory: PostgreSQL finds its own files relative to it.
        let Ok(program) = dir.join(programs[0]).canonicalize() else { continue };
        let Some(real) = program.parent() else { continue };
        // Under its own name too: Debian's /usr/bin/pg_dump is a script that stands for many.
        if programs.iter().all(|program| real.join(program).is_file())
            && !seen.iter().any(|other| other == real)
        {
            seen.push(real.to_owned());
        }
    }
    seen
}

async fn inspect(children: &Children, dir: PathBuf, program: &str) -> Option<Binaries> {
    let spec = ChildSpec::new(dir.join(program)).arg("--version").env("LC_ALL", "C");
    let said = children.run(spec).await.ok().filter(|said| said.status.success())?;
    let version = parse_version(&String::from_utf8_lossy(&said.stdout))?;
    let major = version.split('.').next()?.parse().ok()?;
    Some(Binaries { dir, version, major })
}

/// As in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; `19beta1` counts as 19.
fn parse_version(said: &str) -> Option<String> {
    let word = said.split_whitespace().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let version: String = word.chars().take_while(|one| one.is_ascii_digit() || *one == '.').collect();
    Some(version.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(versions: &[&str]) -> Vec<Binaries> {
        versions
            .iter()
            .map(|version| Binaries {
                dir: PathBuf::from(version),
                version: (*version).to_owned(),
                major: version.split('.').next().unwrap().parse().unwrap(),
            })
            .collect()
    }

    fn check(versions: &[&str], wanted: Option<u32>) -> Result<String, String> {
        choose(installed(versions), Path::new("/d/pg"), wanted)
            .map(|one| one.version)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_new_cluster_gets_the_newest_and_an_old_one_its_own() {
        assert_eq!(check(&["15.9", "17.2", "16.10"], None).unwrap(), "17.2");
        assert_eq!(check(&["15.9", "17.2", "15.10"], Some(15)).unwrap(), "15.10");
        assert_eq!(check(&["13.1"], Some(13)).unwrap(), "13.1");
    }

    #[test]
    fn what_is_missing_is_said_with_its_package() {
        assert!(check(&["14.2"], None).unwrap_err().contains("install the package postgresql"));
        let error = check(&["17.2"], Some(15)).unwrap_err();
        assert!(error.contains("postgresql-15") && error.contains("found: 17.2"), "{error}");
    }

    #[test]
    fn clients_are_never_older_than_the_server_and_as_near_as_can_be() {
        let check = |versions: &[&str], server| {
            choose_clients(installed(versions), server)
                .map(|one| one.version)
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(&["17.2", "15.9", "16.1", "15.10"], 15).unwrap(), "15.10");
        assert_eq!(check(&["15.9", "18.1", "17.2"], 16).unwrap(), "17.2");
        let error = check(&["15.9"], 17).unwrap_err();
        assert!(error.contains("postgresql-client-17") && error.contains("found: 15.9"), "{error}");
    }

    #[test]
    fn versions_are_read_as_packagers_write_them() {
        for (said, version) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some("15.18")),
            ("postgres (PostgreSQL) 19beta1", Some("19")),
            ("postgres (PostgreSQL) 17.2 - Percona Server", Some("17.2")),
            ("no version", None),
        ] {
            assert_eq!(parse_version(said).as_deref(), version);
        }
    }
}
