//! The secret key that is not in the database: it seals secrets and marks API keys.
//!
//! It lives in a file of mode 0600 that holds one line, 32 bytes in base64url. From it come a sealing key
//! (XChaCha20-Poly1305) and a MAC key (HMAC-SHA-256); its id says which key a row was made with.

use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{
    error::ConfigError,
    password,
    text::{base64url, from_base64url},
};

const NONCE_BYTES: usize = 24;

/// A keyed mark of a key id and its secret.
#[derive(Clone)]
pub(crate) struct Mac([u8; 32]);

impl Mac {
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Compares in constant time.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        #[cfg(test)]
        COMPARISONS.set(COMPARISONS.get() + 1);
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
thread_local! {
    static COMPARISONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How often this thread has compared two marks.
#[cfg(test)]
pub(crate) fn comparisons() -> usize {
    COMPARISONS.get()
}

/// The key and what is derived from it.
pub(crate) struct SecretKey {
    id: String,
    bytes: [u8; 32],
    mac_key: [u8; 32],
    sealing_key: [u8; 32],
    dummy: Mac,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SecretKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SecretKey {
    /// A fresh key of 256 random bits.
    pub(crate) fn generate() -> Result<Self, ConfigError> {
        Self::from_bytes(random()?)
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Result<Self, ConfigError> {
        let id = hmac(&bytes, &[b"revaer key id v1"]);
        Ok(Self {
            id: base64url(&id[..9]),
            mac_key: hmac(&bytes, &[b"revaer api key mac v1"]),
            sealing_key: hmac(&bytes, &[b"revaer secret seal v1"]),
            dummy: Mac(random()?),
            bytes,
        })
    }

    /// The key that `passphrase` stands for on the instance `salt` (blocks for some 25 ms).
    pub(crate) fn from_passphrase(passphrase: &str, salt: &[u8]) -> Result<Self, ConfigError> {
        Self::from_bytes(password::derive(passphrase, salt)?)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn mac(&self, key_id: &str, secret: &str) -> Mac {
        Mac(hmac(&self.mac_key, &[key_id.as_bytes(), &[0], secret.as_bytes()]))
    }

    /// A mark that no secret has.
    pub(crate) fn dummy(&self) -> &Mac {
        &self.dummy
    }

    /// Seals a value under its name: nonce, then ciphertext.
    pub(crate) fn seal(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, ConfigError> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        let data = self.associated(name);
        let payload = Payload { msg: value, aad: data.as_bytes() };
        let sealed = self.cipher().encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| ConfigError::Crypto { operation: "sealing a secret" })?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Self::seal`] made; `None` where it was made with another key, for another name, or altered.
    pub(crate) fn open(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let data = self.associated(name);
        self.cipher().decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: data.as_bytes() }).ok()
    }

    fn associated(&self, name: &str) -> String {
        format!("{}\0{name}", self.id)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.sealing_key.into())
    }
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], ConfigError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| ConfigError::Crypto { operation: "reading random bytes" })?;
    Ok(bytes)
}

/// The file that holds the key. Its functions block.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile(PathBuf);

impl KeyFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where the next key lies while one is exchanged for another.
    pub(crate) fn next(&self) -> Self {
        let mut path = self.0.clone().into_os_string();
        path.push(".next");
        Self(path.into())
    }

    /// Reads the key, or makes one where there is no file. Returns whether it was made.
    pub(crate) fn load_or_create(&self) -> Result<(SecretKey, bool), ConfigError> {
        if let Some(key) = self.load()? {
            return Ok((key, false));
        }
        let key = SecretKey::generate()?;
        self.store(&key)?;
        Ok((key, true))
    }

    /// Reads the key; `None` where there is no file.
    pub(crate) fn load(&self) -> Result<Option<SecretKey>, ConfigError> {
        match fs::read_to_string(&self.0) {
            Ok(text) => {
                self.warn_if_open();
                let bytes = from_base64url(text.trim()).and_then(|bytes| bytes.try_into().ok());
                let bytes = bytes.ok_or_else(|| {
                    self.unusable("it must hold one line, 32 bytes in base64url; restore it from a backup")
                })?;
                Ok(Some(SecretKey::from_bytes(bytes)?))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unusable(error)),
        }
    }

    /// Renames this file over another; when it returns, that survives a power cut.
    pub(crate) fn take_the_place_of(&self, other: &Self) -> Result<(), ConfigError> {
        revaer_durable::rename(&self.0, &other.0).map_err(|error| self.unusable(error))
    }

    /// Deletes the file.
    pub(crate) fn remove(&self) -> Result<(), ConfigError> {
        fs::remove_file(&self.0).map_err(|error| self.unusable(error))
    }

    /// Replaces the key; when it returns, the new one survives a power cut.
    pub(crate) fn store(&self, key: &SecretKey) -> Result<(), ConfigError> {
        let line = format!("{}\n", base64url(&key.bytes));
        revaer_durable::write(&self.0, line.as_bytes(), 0o600).map_err(|error| {
            let cause = error.io().map(|cause| format!(": {cause}")).unwrap_or_default();
            self.unusable(format!("{error}{cause}"))
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn warn_if_open(&self) {
        let open = fs::metadata(&self.0).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
        if open {
            tracing::warn!(path = %self.0.display(), "others can read the secret key file; set its mode to 0600");
        }
    }

    fn unusable(&self, reason: impl fmt::Display) -> ConfigError {
        ConfigError::KeyFile { path: self.0.clone(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_under_its_own_name_and_key_only() {
        let (key, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let sealed = key.seal("a", b"value").unwrap();
        assert_eq!(key.open("a", &sealed).unwrap(), b"value");
        assert!(key.open("b", &sealed).is_none());
        assert!(other.open("a", &sealed).is_none());
        assert!(key.open("a", &sealed[..10]).is_none());
        assert_ne!(sealed, key.seal("a", b"value").unwrap());
    }

    #[test]
    fn the_file_is_private_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = KeyFile::new(dir.path().join("secret.key"));
        let (made, created) = file.load_or_create().unwrap();
        let (read, created_again) = file.load_or_create().unwrap();
        assert!(created && !created_again);
        assert_eq!(made.id(), read.id());
        assert!(made.mac("a", "b").matches(&read.mac("a", "b")));
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.key");
        fs::write(&path, "nonsense").unwrap();
        assert!(matches!(KeyFile::new(path.clone()).load_or_create(), Err(ConfigError::KeyFile { .. })));
        assert_eq!(fs::read_to_string(path).unwrap(), "nonsense");
    }
}
