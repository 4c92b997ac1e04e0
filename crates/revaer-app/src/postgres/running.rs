//! The embedded database of a server that runs: where its socket is, for host commands that do not hold the lock.

use std::{fs, path::Path};

use sqlx::postgres::PgConnectOptions;

use super::{leftover, places};

/// How to reach the postmaster that runs on the cluster of `data_dir`; `None`: none does. Blocks.
///
/// It has noted the directory of its socket itself, so that it is found whatever this process's environment says. The
/// note lies in the cluster, which only the server's own user can write to.
pub fn reach_running(data_dir: &Path) -> Option<PgConnectOptions> {
    let pg = data_dir.join("pg").canonicalize().ok()?;
    leftover::live_postmaster(&pg)?;
    let note = fs::read_to_string(pg.join("postmaster.pid")).ok()?;
    Some(places::connect_options(Path::new(socket_dir(&note)?)))
}

/// The fifth line of `postmaster.pid`: process id, cluster, start, port, socket directory, address, key, status.
fn socket_dir(note: &str) -> Option<&str> {
    note.lines().nth(4).filter(|line| line.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_where_the_postmaster_says() {
        let note = "41\n/d/pg\n1763743646\n5432\n/d/pg.sock\n\n  1 2\nready   \n";
        assert_eq!(socket_dir(note), Some("/d/pg.sock"));
        // Written line by line while it starts.
        assert_eq!(socket_dir("41\n/d/pg\n1763743646\n5432\n"), None);
        assert_eq!(socket_dir("41\n/d/pg\n1763743646\n5432\n\n"), None);
    }
}
