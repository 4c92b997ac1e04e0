//! The registered roots with what the last look found, published whenever that changes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use revaer_telemetry::{Component, Health};
use tokio::sync::watch;

use super::{
    SentinelId, VolumeFault, VolumeMap, VolumeState, VolumeStatus,
    identity::{self, Mounted},
    space::SpaceLedger,
};

/// What the health of the disks calls roots that cannot be registered.
const REFUSED: &str = "refused roots";

#[derive(Debug)]
struct Root {
    accepted: SentinelId,
    generation: u64,
    /// Of the last good look.
    mounted: Option<Mounted>,
    status: Option<VolumeStatus>,
    /// Looks that were begun, and the last of them whose answer was kept: an answer that comes after that of a
    /// later look is old news.
    begun: u64,
    kept: u64,
    /// A regular look is under way: the next one waits for a hanging file system instead of piling up.
    looking: Arc<AtomicBool>,
}

#[derive(Debug)]
pub(super) struct Registry {
    roots: Mutex<BTreeMap<PathBuf, Root>>,
    published: watch::Sender<VolumeMap>,
    space: SpaceLedger,
    health: Health,
}

impl Registry {
    pub(super) fn new(health: Health) -> Self {
        Self {
            roots: Mutex::default(),
            published: watch::Sender::new(VolumeMap::default()),
            space: SpaceLedger::default(),
            health,
        }
    }

    pub(super) fn insert(&self, root: &Path, accepted: SentinelId) {
        let mut roots = self.lock();
        if roots.get(root).is_none_or(|known| known.accepted != accepted) {
            let looking = Arc::new(AtomicBool::new(false));
            let fresh =
                Root { accepted, generation: 1, mounted: None, status: None, begun: 0, kept: 0, looking };
            roots.insert(root.to_owned(), fresh);
        }
    }

    pub(super) fn remove(&self, root: &Path) {
        let mut roots = self.lock();
        roots.remove(root);
        self.publish(&roots);
    }

    /// A cause of its own: what is published of the registered roots, which is only what changes, says nothing of it.
    pub(super) fn refuse(&self, reasons: &[String]) {
        if reasons.is_empty() {
            self.health.clear_by(Component::Disk, REFUSED);
        } else {
            self.health.degrade_by(Component::Disk, REFUSED, reasons.join("; "));
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<VolumeMap> {
        self.published.subscribe()
    }

    pub(super) fn ledger(&self) -> &SpaceLedger {
        &self.space
    }

    /// The roots that no regular look is at, each marked as being looked at until the guard goes.
    pub(super) fn begin_looks(&self) -> Vec<(PathBuf, Looking)> {
        self.lock()
            .iter()
            .filter(|(_, known)| !known.looking.swap(true, Ordering::AcqRel))
            .map(|(root, known)| (root.clone(), Looking(Arc::clone(&known.looking))))
            .collect()
    }

    /// Looks at a root and keeps the answer. Blocks.
    pub(super) fn look(&self, root: &Path) -> Result<VolumeState, VolumeFault> {
        let Some((accepted, number)) = self.begin(root) else {
            return Err(VolumeFault::new(format!("{} is not a registered volume", root.display())));
        };
        // Not under the lock: this is what may hang.
        let answer = identity::look(root, &accepted);
        self.keep(root, &accepted, number, answer)
    }

    /// The fault of a root that did not answer in time.
    pub(super) fn unresponsive(&self, root: &Path) -> VolumeFault {
        let fault = VolumeFault::unresponsive(root);
        let kept =
            self.begin(root).map(|(accepted, number)| self.keep(root, &accepted, number, Err(fault.clone())));
        match kept {
            Some(Err(kept)) => kept,
            Some(Ok(_)) | None => fault,
        }
    }

    fn begin(&self, root: &Path) -> Option<(SentinelId, u64)> {
        let mut roots = self.lock();
        let known = roots.get_mut(root)?;
        known.begun += 1;
        Some((known.accepted.clone(), known.begun))
    }

    pub(super) fn faulted_since(&self, root: &Path) -> SystemTime {
        match self.lock().get(root).and_then(|known| known.status.as_ref()) {
            Some(VolumeStatus::Faulted { since, .. }) => *since,
            Some(VolumeStatus::Present(_)) | None => now(),
        }
    }

    fn keep(
        &self,
        root: &Path,
        accepted: &SentinelId,
        number: u64,
        answer: Result<Mounted, VolumeFault>,
    ) -> Result<VolumeState, VolumeFault> {
        let mut roots = self.lock();
        let Some(known) = roots.get_mut(root).filter(|known| known.accepted == *accepted) else {
            return Err(VolumeFault::new(format!("{} was given up meanwhile", root.display())));
        };
        let status = match &known.status {
            Some(newer) if number < known.kept => newer.clone(),
            _ => known.learn(answer, now()),
        };
        known.kept = known.kept.max(number);
        let answer = match &status {
            VolumeStatus::Present(state) => Ok(state.clone()),
            VolumeStatus::Faulted { fault, .. } => Err(fault.clone()),
        };
        if known.status.as_ref() != Some(&status) {
            log_change(root, known.status.as_ref(), &status);
            known.status = Some(status);
            self.publish(&roots);
        }
        answer
    }

    fn publish(&self, roots: &BTreeMap<PathBuf, Root>) {
        let map: BTreeMap<PathBuf, VolumeStatus> =
            roots.iter().filter_map(|(root, known)| Some((root.clone(), known.status.clone()?))).collect();
        let faults: Vec<&str> = map
            .values()
            .filter_map(|status| match status {
                VolumeStatus::Faulted { fault, .. } => Some(fault.reason.as_str()),
                VolumeStatus::Present(_) => None,
            })
            .collect();
        if faults.is_empty() {
            self.health.clear(Component::Disk);
        } else {
            self.health.degrade(Component::Disk, faults.join("; "));
        }
        self.published.send_replace(Arc::new(map));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Root>> {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Root {
    /// The status after a look. Pure but for the generation, which rises when what users hold open is stale.
    fn learn(&mut self, answer: Result<Mounted, VolumeFault>, now: SystemTime) -> VolumeStatus {
        match answer {
            Ok(mounted) => {
                let was_away = matches!(self.status, Some(VolumeStatus::Faulted { .. }));
                let is_other = self.mounted.is_some_and(|before| before != mounted);
                // Away before the first good look means that nobody holds anything of it.
                if is_other || (was_away && self.mounted.is_some()) {
                    self.generation += 1;
                }
                self.mounted = Some(mounted);
                let Mounted { device, mount_id } = mounted;
                VolumeStatus::Present(VolumeState { generation: self.generation, device, mount_id })
            }
            Err(fault) => {
                let since = match &self.status {
                    Some(VolumeStatus::Faulted { since, .. }) => *since,
                    Some(VolumeStatus::Present(_)) | None => now,
                };
                VolumeStatus::Faulted { fault, since }
            }
        }
    }
}

/// A regular look that is under way.
#[derive(Debug)]
pub(super) struct Looking(Arc<AtomicBool>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn log_change(root: &Path, before: Option<&VolumeStatus>, after: &VolumeStatus) {
    let root = root.display();
    match (before, after) {
        (_, VolumeStatus::Faulted { fault, .. }) => tracing::error!(%root, reason = %fault, "volume lost"),
        (None, VolumeStatus::Present(_)) => tracing::debug!(%root, "volume present"),
        (Some(_), VolumeStatus::Present(state)) => {
            tracing::warn!(%root, generation = state.generation, "volume is back, or mounted anew");
        }
    }
}

fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        let accepted = SentinelId::parse(&"0".repeat(32)).unwrap();
        Root {
            accepted,
            generation: 1,
            mounted: None,
            status: None,
            begun: 0,
            kept: 0,
            looking: Arc::default(),
        }
    }

    fn learn(root: &mut Root, answer: Result<Mounted, VolumeFault>) -> Option<u64> {
        let status = root.learn(answer, SystemTime::UNIX_EPOCH);
        root.status = Some(status.clone());
        match status {
            VolumeStatus::Present(state) => Some(state.generation),
            VolumeStatus::Faulted { .. } => None,
        }
    }

    #[test]
    fn the_generation_rises_with_every_interruption_and_not_otherwise() {
        let mounted = |mount_id| Ok(Mounted { device: 1, mount_id });
        let gone = || Err(VolumeFault::new("gone"));
        let mut root = root();
        assert_eq!(learn(&mut root, gone()), None);
        assert_eq!(learn(&mut root, mounted(10)), Some(1));
        assert_eq!(learn(&mut root, mounted(10)), Some(1));
        assert_eq!(learn(&mut root, gone()), None);
        assert_eq!(learn(&mut root, mounted(10)), Some(2), "away and back as the same mount");
        assert_eq!(learn(&mut root, mounted(11)), Some(3), "mounted anew between two looks");
        assert_eq!(learn(&mut root, mounted(11)), Some(3));
    }
}
