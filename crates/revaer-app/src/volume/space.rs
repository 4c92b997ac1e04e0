//! Free space, and what of it is promised to somebody.

use std::{
    collections::HashMap,
    fs::File,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{VolumeFault, identity};

/// Reserved bytes per device.
type Promised = Arc<Mutex<HashMap<u64, u64>>>;

#[derive(Debug, Default)]
pub(super) struct SpaceLedger {
    promised: Promised,
}

impl SpaceLedger {
    /// Blocks.
    pub(super) fn reserve(&self, path: &Path, bytes: u64) -> Result<Reservation, VolumeFault> {
        let opened = open(path)?;
        let device =
            identity::mounted(&opened).map_err(|error| VolumeFault::io("inspect", path, &error))?.device;
        let free = free_bytes_of(&opened, path)?;
        let mut promised = lock(&self.promised);
        let others = promised.get(&device).copied().unwrap_or(0);
        let available = free.saturating_sub(others);
        if bytes > available {
            return Err(VolumeFault::new(format!(
                "{bytes} bytes do not fit on the volume of {}: {free} are free, of which {others} are reserved; \
                 make room for {} more",
                path.display(),
                bytes - available
            )));
        }
        promised.insert(device, others.saturating_add(bytes));
        drop(promised);
        Ok(Reservation { promised: Arc::clone(&self.promised), device, left: bytes })
    }
}

/// Bytes set aside on a device. Dropping it gives them back.
#[derive(Debug)]
pub struct Reservation {
    promised: Promised,
    device: u64,
    left: u64,
}

impl Reservation {
    /// Bytes that are still set aside.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Says that `bytes` of it were written: they are no longer free, so they need not be set aside.
    pub fn consume(&mut self, bytes: u64) {
        let used = bytes.min(self.left);
        self.left -= used;
        self.give_back(used);
    }

    fn give_back(&self, bytes: u64) {
        let mut promised = lock(&self.promised);
        if let Some(total) = promised.get_mut(&self.device) {
            *total = total.saturating_sub(bytes);
            if *total == 0 {
                promised.remove(&self.device);
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_back(self.left);
    }
}

/// Bytes that an unprivileged user may still write on the file system of `path`. Blocks.
pub(super) fn free_bytes(path: &Path) -> Result<u64, VolumeFault> {
    free_bytes_of(&open(path)?, path)
}

fn free_bytes_of(opened: &File, path: &Path) -> Result<u64, VolumeFault> {
    let found = rustix::fs::fstatvfs(opened)
        .map_err(|error| VolumeFault::io("ask for the free space of", path, &error.into()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn open(path: &Path) -> Result<File, VolumeFault> {
    File::open(path).map_err(|error| VolumeFault::io("open", path, &error))
}

fn lock(promised: &Promised) -> MutexGuard<'_, HashMap<u64, u64>> {
    promised.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_not_reserved_twice() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = SpaceLedger::default();
        // More than half, so that a second one cannot fit whatever others do on this disk meanwhile.
        let most = free_bytes(dir.path()).unwrap() / 3 * 2;
        let mut first = ledger.reserve(dir.path(), most).unwrap();
        let refused = ledger.reserve(dir.path(), most).unwrap_err();
        assert!(refused.reason.contains("do not fit"), "{refused}");
        first.consume(most);
        assert_eq!(first.left(), 0);
        let second = ledger.reserve(dir.path(), most).unwrap();
        drop((first, second));
        assert!(lock(&ledger.promised).is_empty());
    }

    #[test]
    fn a_missing_path_is_a_fault_with_its_name() {
        let fault = SpaceLedger::default().reserve(Path::new("/nonexistent/root"), 1).unwrap_err();
        assert!(fault.reason.contains("/nonexistent/root"));
    }
}
