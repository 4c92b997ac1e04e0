//! `revaer-app migrate --check`: is the database's schema the one of this program?

use std::collections::BTreeMap;

use anyhow::Context as _;
use sqlx::{Connection, PgConnection, migrate::Migration};

use super::{
    Desk,
    host::{Found, Host},
    sql::{self, Applied},
};
use crate::database::MIGRATOR;

const PENDING: u8 = 1;

/// How a schema stands to the one of this program.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The same, up to this version.
    Same(i64),
    /// Older: version and name of what the next start applies.
    Pending(Vec<(i64, String)>),
    /// Not a state that this program can go on from.
    Unfit(String),
}

/// Says how the schema stands; answers the exit code.
pub(super) async fn check(desk: &Desk) -> anyhow::Result<u8> {
    let applied = match Host::find(desk).await? {
        Found::Nothing => Vec::new(),
        Found::Database(host) => {
            let applied = applied(desk, &host).await;
            host.close().await;
            applied?
        }
    };
    match compare(MIGRATOR.iter(), &applied) {
        Verdict::Same(version) => {
            println!("the schema is that of this program (version {version})");
            Ok(0)
        }
        Verdict::Pending(pending) => {
            for (version, name) in pending {
                println!("pending: {version} {name}");
            }
            Ok(PENDING)
        }
        Verdict::Unfit(why) => Err(anyhow::anyhow!(why)),
    }
}

/// Refuses a database that this program would have to change before it can use it.
pub(super) async fn expect_same(connection: &mut PgConnection) -> anyhow::Result<()> {
    let applied = sql::migrations(connection).await.context("the schema's version cannot be read")?;
    match compare(MIGRATOR.iter(), &applied) {
        Verdict::Same(_) => Ok(()),
        Verdict::Pending(_) => {
            anyhow::bail!("the database is of an older revaer-app: start the server of this one first")
        }
        Verdict::Unfit(why) => anyhow::bail!(why),
    }
}

async fn applied(desk: &Desk, host: &Host) -> anyhow::Result<Vec<Applied>> {
    let mut connection = host.connect(desk).await?;
    let applied = sql::migrations(&mut connection).await.context("the schema's version cannot be read")?;
    drop(connection.close().await);
    Ok(applied)
}

fn compare<'a>(ours: impl Iterator<Item = &'a Migration>, applied: &[Applied]) -> Verdict {
    let mut left: BTreeMap<i64, &Migration> =
        ours.filter(|one| !one.migration_type.is_down_migration()).map(|one| (one.version, one)).collect();
    let newest = left.keys().next_back().copied().unwrap_or_default();
    for Applied { version, success, checksum } in applied {
        let Some(known) = left.remove(version) else {
            return Verdict::Unfit(format!(
                "the database has migration {version}, which this program (up to {newest}) does not know: use the \
                 newer program that made it, or restore a backup from before"
            ));
        };
        if !success {
            return Verdict::Unfit(format!(
                "migration {version} was cut off: restore a backup from before it"
            ));
        }
        if known.checksum != *checksum {
            return Verdict::Unfit(format!(
                "migration {version} is not the one of this program: use the program that made the database"
            ));
        }
    }
    if left.is_empty() {
        return Verdict::Same(newest);
    }
    Verdict::Pending(left.into_values().map(|one| (one.version, one.description.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Vec<Applied>)) -> Verdict {
        let mut applied: Vec<Applied> = MIGRATOR
            .iter()
            .map(|one| Applied { version: one.version, success: true, checksum: one.checksum.to_vec() })
            .collect();
        change(&mut applied);
        compare(MIGRATOR.iter(), &applied)
    }

    #[test]
    fn the_same_older_and_unfit_are_told_apart() {
        let newest = MIGRATOR.iter().map(|one| one.version).max().unwrap();
        assert_eq!(check(|_| ()), Verdict::Same(newest));
        let Verdict::Pending(pending) = check(|applied| drop(applied.pop())) else { panic!() };
        assert_eq!(pending.iter().map(|one| one.0).collect::<Vec<_>>(), [newest]);
        let Verdict::Pending(pending) = check(Vec::clear) else { panic!() };
        assert_eq!(pending.len(), MIGRATOR.iter().count());
        let unfit = |verdict| match verdict {
            Verdict::Unfit(why) => why,
            other => panic!("{other:?}"),
        };
        let newer = Applied { version: newest + 1, success: true, checksum: Vec::new() };
        assert!(unfit(check(|applied| applied.push(newer))).contains("does not know"));
        assert!(unfit(check(|applied| applied[0].success = false)).contains("cut off"));
        assert!(unfit(check(|applied| applied[0].checksum.clear())).contains("not the one"));
    }
}
