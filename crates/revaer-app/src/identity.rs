//! Who this process is: `PUID`, `PGID` and `UMASK`, for containers that start everything as root.
//!
//! Ids belong to threads in Linux, and the safe calls change those of the calling one. So this happens before there is
//! a second thread, which later ones inherit from, and before anything is opened.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, fchown},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    process::{Gid, Uid, umask},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use crate::{child::Account, options::IdentityVariables};

/// Ids up to here are a user's; the last one means "none" to the system.
const MOST_ID: u32 = u32::MAX - 1;

/// The process cannot become who it shall be. Each of these ends it with exit code 3.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not an id.
    #[error("{name} is {value:?}, which is no numeric id: set it to a number such as 1000, or unset it")]
    NotAnId {
        /// The variable.
        name: &'static str,
        /// What it is set to.
        value: String,
    },
    /// Not a umask.
    #[error(
        "UMASK is {value:?}, which is not octal from 000 to 777: set it to a value such as 022, or unset it"
    )]
    NotAMask {
        /// What it is set to.
        value: String,
    },
    /// A group for a user that is not named.
    #[error("PGID is set and PUID is not: set both, or PUID alone")]
    GroupAlone,
    /// Too late: another thread would stay root.
    #[error("this process has {threads} threads already, and can not become another user as a whole")]
    NotAlone {
        /// How many there are.
        threads: usize,
    },
    /// The system refused.
    #[error("can not {operation}")]
    Refused {
        /// The operation, as a verb with what it was applied to.
        operation: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}

/// What the variables ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    account: Option<Account>,
    mask: Option<u32>,
}

impl Wanted {
    /// Understands the variables. Without `PGID`, `primary_group` of the user, or else the number of the user.
    pub fn parse(
        variables: &IdentityVariables,
        primary_group: impl FnOnce(u32) -> Option<u32>,
    ) -> Result<Self, IdentityError> {
        let uid = id("PUID", variables.puid.as_deref())?;
        let gid = id("PGID", variables.pgid.as_deref())?;
        let mask = variables.umask.as_deref().map(mask).transpose()?;
        let account = match (uid, gid) {
            (None, None) => None,
            (None, Some(_)) => return Err(IdentityError::GroupAlone),
            (Some(uid), gid) => Some(Account { uid, gid: gid.or_else(|| primary_group(uid)).unwrap_or(uid) }),
        };
        Ok(Self { account, mask })
    }
}

fn id(name: &'static str, value: Option<&str>) -> Result<Option<u32>, IdentityError> {
    let parse = |value: &str| {
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        value.parse().ok().filter(|id| digits && *id <= MOST_ID)
    };
    let refused = |value: &str| IdentityError::NotAnId { name, value: value.to_owned() };
    value.map(|value| parse(value.trim()).ok_or_else(|| refused(value))).transpose()
}

fn mask(value: &str) -> Result<u32, IdentityError> {
    let octal = value.trim();
    let digits = (1..=4).contains(&octal.len()) && octal.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    u32::from_str_radix(octal, 8)
        .ok()
        .filter(|mask| digits && *mask <= 0o777)
        .ok_or_else(|| IdentityError::NotAMask { value: value.to_owned() })
}

/// Becomes who the variables say. Where this process is not root they have no effect, and what is to be said about
/// that is answered. `new_data_dir` is made for the new user, or given to it where it is root's and empty (a new volume).
pub fn assume(
    variables: &IdentityVariables,
    new_data_dir: Option<&Path>,
) -> Result<Option<String>, IdentityError> {
    let wanted = Wanted::parse(variables, primary_group)?;
    let own = rustix::process::geteuid();
    if !own.is_root() {
        return Ok(without_effect(variables, wanted, own));
    }
    if let Some(mask) = wanted.mask {
        umask(Mode::from_raw_mode(mask));
    }
    if let Some(account) = wanted.account {
        if let Some(data_dir) = new_data_dir.filter(|_| account.uid != 0) {
            hand_over(data_dir, account)?;
        }
        become_user(account)?;
    }
    Ok(None)
}

/// Host commands work on what a server owns: as root they become the user that the server runs as, who can be known by
/// the lock file, or else by the directory. Files of root in there would keep the server from starting.
pub fn assume_owner_of(data_dir: &Path) -> Result<(), IdentityError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = [data_dir.join("lock"), data_dir.to_owned()]
        .iter()
        .find_map(|path| fs::symlink_metadata(path).ok())
        .map(|found| Account { uid: found.uid(), gid: found.gid() });
    owner.filter(|account| account.uid != 0).map_or(Ok(()), become_user)
}

fn without_effect(variables: &IdentityVariables, wanted: Wanted, own: Uid) -> Option<String> {
    let differs = wanted.account.is_some_and(|account| {
        account.uid != own.as_raw() || account.gid != rustix::process::getegid().as_raw()
    });
    let named = [
        (differs, "PUID"),
        (differs && variables.pgid.is_some(), "PGID"),
        (variables.umask.is_some(), "UMASK"),
    ];
    let names: Vec<&str> = named.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect();
    (!names.is_empty()).then(|| {
        let (names, own) = (names.join(", "), own.as_raw());
        format!("{names} without effect: this process was not started as root, and stays user id {own}")
    })
}

/// Of the local table alone: nothing that asks the network is started as root.
fn primary_group(uid: u32) -> Option<u32> {
    let table = fs::read_to_string("/etc/passwd").ok()?;
    table.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let is = fields.next()?.parse::<u32>().ok()? == uid;
        is.then(|| fields.next()?.parse().ok()).flatten()
    })
}

/// The new user could neither make a directory beneath `/var/lib` nor use the empty one of a new volume.
fn hand_over(data_dir: &Path, account: Account) -> Result<(), IdentityError> {
    let refused = |operation: &str, source: io::Error| IdentityError::Refused {
        operation: format!("{operation} {}", data_dir.display()),
        source,
    };
    match rustix::fs::mkdir(data_dir, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        // What is missing above it is not ours to invent as root; opening it will say so.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(refused("create", error.into())),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // A link, or a file: opening it as the new user will say what is wrong, if anything is.
    let Ok(opened) = rustix::fs::open(data_dir, flags, Mode::empty()) else { return Ok(()) };
    let opened = fs::File::from(opened);
    let found = opened.metadata().map_err(|error| refused("inspect", error))?;
    let empty = fs::read_dir(data_dir).is_ok_and(|mut entries| entries.next().is_none());
    if found.uid() == 0 && empty {
        fchown(&opened, Some(account.uid), Some(account.gid))
            .map_err(|error| refused("give the new user", error))?;
    }
    Ok(())
}

fn become_user(account: Account) -> Result<(), IdentityError> {
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(IdentityError::NotAlone { threads });
    }
    let refused = |operation: String| {
        move |error: rustix::io::Errno| IdentityError::Refused { operation, source: error.into() }
    };
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    // The user comes last: once it is not root any more, the rest would be refused.
    set_thread_groups(&[gid]).map_err(refused(format!("leave every group but {}", account.gid)))?;
    set_thread_res_gid(gid, gid, gid).map_err(refused(format!("become group id {}", account.gid)))?;
    set_thread_res_uid(uid, uid, uid).map_err(refused(format!("become user id {}", account.uid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(puid: &str, pgid: &str, umask: &str) -> Result<Wanted, IdentityError> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let variables = IdentityVariables { puid: given(puid), pgid: given(pgid), umask: given(umask) };
        Wanted::parse(&variables, |uid| (uid == 33).then_some(44))
    }

    #[test]
    fn the_group_is_the_given_one_else_the_primary_one_else_the_number_of_the_user() {
        let account = |uid, gid| Some(Account { uid, gid });
        assert_eq!(parse("33", "1", "").unwrap().account, account(33, 1));
        assert_eq!(parse("33", "", "").unwrap().account, account(33, 44));
        assert_eq!(parse("1234", "", "").unwrap().account, account(1234, 1234));
        assert_eq!(parse("", "", "027").unwrap(), Wanted { account: None, mask: Some(0o27) });
    }

    #[test]
    fn what_is_no_id_or_no_mask_is_said() {
        for (puid, pgid, umask, said) in [
            ("me", "", "", "PUID"),
            ("-1", "", "", "PUID"),
            ("+1", "", "", "PUID"),
            ("4294967295", "", "", "PUID"),
            ("1", "1.5", "", "PGID"),
            ("", "1", "", "PUID is not"),
            ("", "", "8", "UMASK"),
            ("", "", "1000", "UMASK"),
            ("", "", "00000", "UMASK"),
        ] {
            let error = parse(puid, pgid, umask).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
