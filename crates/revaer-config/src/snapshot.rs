//! All settings as of one revision, in memory: what everyone reads, and what a request is authenticated by.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{
    error::AuthError,
    keyring::{Mac, SecretKey},
    preset::QueryPreset,
    profile::{AppProfile, EngineProfile, FsPolicy},
};

/// The number of a state of all settings; it only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

impl Revision {
    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The name of an API key: `[A-Za-z0-9_-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// The name, if it is one.
    pub fn new(text: &str) -> Option<Self> {
        crate::text::is_name(text, "_-", 64).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Requests that a key may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests at once.
    pub burst: u32,
    /// Seconds in which that many requests come back.
    pub per_seconds: u32,
}

impl RateLimit {
    /// What a key gets that asks for nothing else.
    pub const DEFAULT: Self = Self { burst: 120, per_seconds: 1 };
}

/// An API key without anything secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiKeyInfo {
    /// Its name.
    pub key_id: KeyId,
    /// What it is for, in the operator's words.
    pub label: String,
    /// Whether it is taken at all.
    pub enabled: bool,
    /// Its limit; without one it is unlimited.
    pub rate_limit: Option<RateLimit>,
    /// When it was issued.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it stops being taken.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

impl ApiKeyInfo {
    /// Whether the key opens the door at `now`.
    pub fn is_usable(&self, now: OffsetDateTime) -> bool {
        self.enabled && self.expires_at.is_none_or(|expiry| expiry > now)
    }
}

/// What a secret is compared with.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) secret: Proof,
    /// The secrets that it had before, and until when each is taken; at most [`MOST_PREVIOUS`].
    pub(crate) previous: Vec<(Proof, OffsetDateTime)>,
}

/// Secrets of before that a key may have at a time.
pub(crate) const MOST_PREVIOUS: usize = 4;

impl Credential {
    /// The secrets of before that are still taken.
    pub(crate) fn previous_at(&self, now: OffsetDateTime) -> impl Iterator<Item = (&Proof, OffsetDateTime)> {
        self.previous.iter().filter(move |(_, until)| *until > now).map(|(proof, until)| (proof, *until))
    }
}

/// What is known of one secret.
#[derive(Clone)]
pub(crate) struct Proof {
    pub(crate) hash: String,
    /// Absent where there is none for this hash and the present secret key.
    pub(crate) mac: Option<Mac>,
}

/// What a secret's mark turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    Present,
    Previous {
        until: OffsetDateTime,
    },
    /// A secret of the key has no mark: its hash has to decide.
    Unmarked,
    Neither,
}

/// Compares a mark with those of a key. Right, old, wrong and unknown take the same comparisons: where there is nothing
/// to compare with there is a dummy, which is random, so that no secret has its mark.
fn compare(given: &Mac, credential: Option<&Credential>, dummy: &Mac, now: OffsetDateTime) -> Compared {
    let is_present = given.matches(credential.and_then(|one| one.secret.mac.as_ref()).unwrap_or(dummy));
    let mut unmarked = credential.is_some_and(|one| one.secret.mac.is_none());
    let mut until = None;
    let mut previous = credential.into_iter().flat_map(|one| one.previous_at(now));
    for _ in 0..MOST_PREVIOUS {
        let next = previous.next();
        let mark = next.and_then(|(proof, _)| proof.mac.as_ref());
        unmarked |= next.is_some() && mark.is_none();
        if given.matches(mark.unwrap_or(dummy)) {
            until = next.map(|(_, until)| until);
        }
    }
    match (is_present, until) {
        (true, _) => Compared::Present,
        (false, Some(until)) => Compared::Previous { until },
        _ if unmarked => Compared::Unmarked,
        _ => Compared::Neither,
    }
}

/// The private half of the snapshot.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) secret_key: Arc<SecretKey>,
    pub(crate) by_key: HashMap<String, Credential>,
}

/// All settings as of one revision.
#[derive(Clone)]
pub struct ConfigSnapshot {
    /// Which state this is.
    pub revision: Revision,
    /// Who this instance is, where it listens, what it logs.
    pub app: AppProfile,
    /// How the torrent engine behaves.
    pub engine: EngineProfile,
    /// What becomes of finished content.
    pub fs: FsPolicy,
    /// The API keys, sorted by name.
    pub api_keys: Vec<ApiKeyInfo>,
    /// The names of the sealed secrets.
    pub secrets: Vec<String>,
    /// Filters of lists under a name, sorted by it.
    pub presets: Vec<QueryPreset>,
    pub(crate) credentials: Credentials,
}

impl fmt::Debug for ConfigSnapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, app, engine, fs, api_keys, secrets, presets, credentials: _ } = self;
        formatter
            .debug_struct("ConfigSnapshot")
            .field("revision", revision)
            .field("app", app)
            .field("engine", engine)
            .field("fs", fs)
            .field("api_keys", api_keys)
            .field("secrets", secrets)
            .field("presets", presets)
            .finish_non_exhaustive()
    }
}

impl ConfigSnapshot {
    /// Decides a request by the key's MAC, in memory and in constant time: right, wrong and unknown cost the
    /// same microseconds, so there is nothing to exhaust.
    pub fn authenticate(&self, key_id: &str, secret: &str) -> Result<ApiKeyInfo, AuthError> {
        self.authenticate_at(key_id, secret, OffsetDateTime::now_utc())
    }

    /// [`Self::authenticate`] with the time given.
    pub fn authenticate_at(
        &self,
        key_id: &str,
        secret: &str,
        now: OffsetDateTime,
    ) -> Result<ApiKeyInfo, AuthError> {
        let given = self.credentials.secret_key.mac(key_id, secret);
        let credential = self.credentials.by_key.get(key_id);
        match compare(&given, credential, self.credentials.secret_key.dummy(), now) {
            Compared::Present => self.admit(key_id, now),
            Compared::Previous { until } => self.admit_until(key_id, now, until),
            Compared::Unmarked => Err(AuthError::Unverified),
            Compared::Neither => Err(AuthError::Rejected),
        }
    }

    /// Takes the mark of a secret over; `false` where the key has no such secret without a mark.
    pub(crate) fn mark(&mut self, key_id: &str, secret_hash: &str, mac: &Mac) -> bool {
        let Some(credential) = self.credentials.by_key.get_mut(key_id) else { return false };
        let proofs = std::iter::once(&mut credential.secret)
            .chain(credential.previous.iter_mut().map(|(proof, _)| proof));
        let mut marked = false;
        for proof in proofs.filter(|proof| proof.hash == secret_hash && proof.mac.is_none()) {
            proof.mac = Some(mac.clone());
            marked = true;
        }
        marked
    }

    /// The key, once its secret is known to be right.
    pub(crate) fn admit(&self, key_id: &str, now: OffsetDateTime) -> Result<ApiKeyInfo, AuthError> {
        let info = self.key(key_id).ok_or(AuthError::Rejected)?;
        if !info.enabled {
            return Err(AuthError::Disabled);
        }
        if !info.is_usable(now) {
            return Err(AuthError::Expired);
        }
        Ok(info.clone())
    }

    /// The key by a secret that was rotated away: for its caller it expires when that secret does.
    pub(crate) fn admit_until(
        &self,
        key_id: &str,
        now: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<ApiKeyInfo, AuthError> {
        let mut info = self.admit(key_id, now)?;
        info.expires_at = Some(info.expires_at.map_or(until, |end| end.min(until)));
        Ok(info)
    }

    /// The key of this name.
    pub fn key(&self, key_id: &str) -> Option<&ApiKeyInfo> {
        let at = self.api_keys.binary_search_by(|info| info.key_id.as_str().cmp(key_id)).ok()?;
        self.api_keys.get(at)
    }

    /// The preset of this name.
    pub fn preset(&self, name: &str) -> Option<&QueryPreset> {
        self.presets.iter().find(|preset| preset.name == name)
    }

    /// The directories content may be in: `allow_paths` and the three roots, each once.
    pub fn allow_list(&self) -> Vec<PathBuf> {
        let roots = [&self.engine.download_root, &self.fs.library_root, &self.engine.resume_dir];
        let mut paths: Vec<PathBuf> = Vec::new();
        for path in self.fs.allow_paths.iter().chain(roots) {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        paths
    }

    /// Whether content may be put at `path`: it lies in the allow list, and not among the server's own files.
    pub fn allows(&self, path: &Path) -> bool {
        let is_own = path.starts_with(&self.engine.resume_dir)
            || path.components().any(|one| one.as_os_str().as_encoded_bytes().starts_with(b".revaer"));
        !is_own && self.allow_list().iter().any(|root| path.starts_with(root))
    }

    /// The document as clients see it.
    pub fn to_wire(&self) -> Value {
        json!({
            "revision": self.revision,
            "app_profile": self.app,
            "engine_profile": self.engine,
            "fs_policy": self.fs,
            "api_keys": self.api_keys,
            "secrets": self.secrets,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::comparisons;

    #[test]
    fn right_old_wrong_and_unknown_take_the_same_comparisons() {
        let key = SecretKey::generate().unwrap();
        let now = OffsetDateTime::now_utc();
        let until = now + time::Duration::minutes(5);
        let proof = |secret| Proof { hash: String::new(), mac: Some(key.mac("k", secret)) };
        let rotated = Credential { secret: proof("new"), previous: vec![(proof("old"), until)] };
        let plain = Credential { secret: proof("new"), previous: Vec::new() };
        for (secret, credential, expected) in [
            ("new", Some(&rotated), Compared::Present),
            ("old", Some(&rotated), Compared::Previous { until }),
            ("wrong", Some(&rotated), Compared::Neither),
            ("new", Some(&plain), Compared::Present),
            ("old", Some(&plain), Compared::Neither),
            ("new", None, Compared::Neither),
        ] {
            let before = comparisons();
            let compared = compare(&key.mac("k", secret), credential, key.dummy(), now);
            assert_eq!((compared, comparisons() - before), (expected, 1 + MOST_PREVIOUS), "{secret}");
        }
        assert_eq!(compare(&key.mac("k", "old"), Some(&rotated), key.dummy(), until), Compared::Neither);
    }
}
