//! Who `PostgreSQL` runs as. It refuses root; as anybody else we are it ourselves.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, lchown},
    path::Path,
};

use super::{EmbeddedError, passwd};
use crate::child::{Account, Children};

/// The user of the database server, and what the server has to know of ours.
#[derive(Debug, Clone)]
pub(super) struct RunAs {
    /// Who it runs as.
    pub(super) account: Account,
    /// Our own user name, which it sees at the other end of the socket.
    pub(super) own_name: String,
    own_uid: u32,
}

impl RunAs {
    /// As root: the owner of an existing cluster, else the user `postgres`, else the owner of the data directory.
    pub(super) async fn choose(children: &Children, data_dir: &Path) -> Result<Self, EmbeddedError> {
        let own =
            Account { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
        let pg = data_dir.join("pg");
        let cluster = owner_of(&pg)?;
        let account = if own.uid != 0 {
            match cluster {
                Some(owner) if owner.uid != own.uid => {
                    return Err(EmbeddedError::WrongOwner { pg, owner: owner.uid, own: own.uid });
                }
                _ => own,
            }
        } else if let Some(owner) = cluster {
            if owner.uid == 0 {
                let why = "it belongs to root, whom postgresql refuses".to_owned();
                return Err(EmbeddedError::NotACluster { pg, why });
            }
            owner
        } else if let Some(postgres) = passwd::by_name(children, "postgres").await {
            postgres.account
        } else {
            owner_of(data_dir)?
                .filter(|owner| owner.uid != 0)
                .ok_or_else(|| EmbeddedError::NobodyToRunAs { data_dir: data_dir.to_owned() })?
        };
        let name_of = async |uid| {
            passwd::by_id(children, uid).await.map(|user| user.name).ok_or(EmbeddedError::NoUserName { uid })
        };
        // initdb looks up its own user as well, so both need a name.
        name_of(account.uid).await?;
        Ok(Self { account, own_name: name_of(own.uid).await?, own_uid: own.uid })
    }

    /// Whether the server runs as somebody else than this process.
    pub(super) fn is_another(&self) -> bool {
        self.account.uid != self.own_uid
    }

    /// What to switch to in a child; `None`: nothing.
    pub(super) fn switch(&self) -> Option<Account> {
        self.is_another().then_some(self.account)
    }

    /// Gives a file or directory of ours to the server's user.
    pub(super) fn give(&self, path: &Path) -> Result<(), EmbeddedError> {
        if !self.is_another() {
            return Ok(());
        }
        lchown(path, Some(self.account.uid), Some(self.account.gid))
            .map_err(EmbeddedError::at("change the owner of", path))
    }
}

fn owner_of(path: &Path) -> Result<Option<Account>, EmbeddedError> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(Account { uid: found.uid(), gid: found.gid() })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::at("inspect", path)(error)),
    }
}
