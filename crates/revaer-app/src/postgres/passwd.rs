//! Users by name and by id.
//!
//! `/etc/passwd` first; `getent`, which also knows directory services and systemd's users, when it is not there.

use std::path::Path;

use crate::child::{Account, ChildSpec, Children};

const PASSWD: &str = "/etc/passwd";

/// A line of the user table, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) account: Account,
}

/// The user called `name`.
pub(super) async fn by_name(children: &Children, name: &str) -> Option<User> {
    find(children, name, |user| user.name == name).await
}

/// The user with the id `uid`.
pub(super) async fn by_id(children: &Children, uid: u32) -> Option<User> {
    find(children, &uid.to_string(), |user| user.account.uid == uid).await
}

async fn find(children: &Children, key: &str, is: impl Fn(&User) -> bool) -> Option<User> {
    let table = tokio::fs::read_to_string(Path::new(PASSWD)).await.unwrap_or_default();
    if let Some(user) = table.lines().filter_map(parse).find(&is) {
        return Some(user);
    }
    let asked = ChildSpec::new("/usr/bin/getent").args(["passwd", key]).env("LC_ALL", "C");
    // Systems without getent (musl) have no other source than the file.
    let answer = children.run(asked).await.ok()?;
    String::from_utf8_lossy(&answer.stdout).lines().filter_map(parse).find(is)
}

/// `name:password:uid:gid:comment:home:shell`, passwd(5).
fn parse(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(User { name, account: Account { uid, gid } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_user_are_skipped() {
        assert_eq!(
            parse("postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash"),
            Some(User { name: "postgres".to_owned(), account: Account { uid: 101, gid: 104 } })
        );
        for line in ["", "# comment", "+::::::", "x:y:z", ":x:1:2:::"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[tokio::test]
    async fn root_is_known_and_an_invented_user_is_not() {
        let children = Children::start().unwrap();
        assert_eq!(by_id(&children, 0).await.unwrap().name, "root");
        assert_eq!(by_name(&children, "nobody-by-this-name").await, None);
        assert_eq!(by_id(&children, 3_999_999_999).await, None);
    }
}
