//! What the tests of the engine share: payload, a .torrent of it (v1), engines on addresses of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test binary uses a part of it"
)]

mod v2;

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use revaer_telemetry::{Health, Metrics, Tasks, Telemetry};
use revaer_torrent_core::{
    FilePriority, RateLimits, TorrentId,
    engine::{
        AddSource, AddTorrent, AppliedSelection, Encryption, EngineCommand, EngineError, EngineProfile,
        Observation, TorrentEngine, TrackerProfile,
    },
};
use revaer_torrent_libt::{EngineOptions, LibtEngine};
use sha1::{Digest, Sha1};
use tempfile::TempDir;

pub use v2::V2Sample;

pub const PIECE: usize = 16 * 1024;

/// A torrent with its content.
pub struct Sample {
    pub name: &'static str,
    pub files: Vec<(&'static str, Vec<u8>)>,
    pub metainfo: Arc<[u8]>,
    pub info_hash: String,
}

impl Sample {
    /// A folder of files with these lengths; the bytes differ from file to file and from name to name.
    pub fn new(name: &'static str, lengths: &[(&'static str, usize)]) -> Self {
        let mut state =
            name.bytes().fold(1u64, |state, byte| state.wrapping_mul(31).wrapping_add(byte.into()));
        let files: Vec<_> = lengths
            .iter()
            .map(|(path, length)| {
                let bytes = (0..*length)
                    .map(|_| {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        state.to_be_bytes()[0]
                    })
                    .collect::<Vec<u8>>();
                (*path, bytes)
            })
            .collect();
        let info = info_dictionary(name, &files);
        let info_hash =
            Sha1::digest(&info).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let metainfo = [b"d4:info", info.as_slice(), b"e"].concat().into();
        Self { name, files, metainfo, info_hash }
    }

    /// Writes the content beneath `dir`.
    pub fn write(&self, dir: &Path) {
        for (path, bytes) in &self.files {
            let path = dir.join(self.name).join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// Asserts that the file lies beneath `dir`, whole.
    pub fn check(&self, dir: &Path, file: usize) {
        let (path, bytes) = &self.files[file];
        let found = std::fs::read(dir.join(self.name).join(path)).unwrap();
        assert!(found == *bytes, "{path} differs");
    }

    pub fn path(&self, dir: &Path, file: usize) -> PathBuf {
        dir.join(self.name).join(self.files[file].0)
    }

    pub fn magnet(&self) -> String {
        format!("magnet:?xt=urn:btih:{}", self.info_hash)
    }
}

fn info_dictionary(name: &str, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut info = b"d5:filesl".to_vec();
    for (path, bytes) in files {
        info.extend(format!("d6:lengthi{}e4:pathl", bytes.len()).bytes());
        for part in path.split('/') {
            info.extend(format!("{}:{part}", part.len()).bytes());
        }
        info.extend(b"ee");
    }
    let content: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    let pieces: Vec<u8> = content.chunks(PIECE).flat_map(|piece| Sha1::digest(piece).to_vec()).collect();
    info.extend(
        format!("e4:name{}:{name}12:piece lengthi{PIECE}e6:pieces{}:", name.len(), pieces.len()).bytes(),
    );
    info.extend(pieces);
    info.push(b'e');
    info
}

/// An engine with directories and an address of its own. libtorrent takes one peer per address.
pub struct Client {
    pub engine: Option<Arc<LibtEngine>>,
    pub health: Health,
    pub metrics: Metrics,
    pub dir: Arc<TempDir>,
    pub address: IpAddr,
}

impl Client {
    /// Starts with nothing.
    pub async fn start() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        // Test processes run side by side: the process id keeps them apart.
        let [.., third, second] = std::process::id().to_be_bytes();
        let address = IpAddr::from([127, second, third, NEXT.fetch_add(1, Ordering::Relaxed)]);
        Self::restart(Arc::new(TempDir::new().unwrap()), address).await
    }

    /// Starts on what an earlier one left.
    pub async fn restart(dir: Arc<TempDir>, address: IpAddr) -> Self {
        let telemetry = Telemetry::new();
        let Telemetry { health, metrics, .. } = telemetry.clone();
        let engine = LibtEngine::start(EngineOptions { telemetry, tasks: Tasks::new() }).unwrap();
        let client = Self { engine: Some(engine), health, metrics, dir, address };
        client.run(EngineCommand::Configure(Box::new(client.profile()))).await.unwrap();
        client
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.engine = None;
    }

    pub fn engine(&self) -> &Arc<LibtEngine> {
        self.engine.as_ref().unwrap()
    }

    pub fn profile(&self) -> EngineProfile {
        EngineProfile {
            listen_interfaces: vec![self.address],
            listen_port: None,
            dht: false,
            lsd: false,
            upnp: false,
            natpmp: false,
            encryption: Encryption::Prefer,
            limits: RateLimits::default(),
            limit_local_peers: true,
            resume_dir: self.resume_dir(),
            resume_save_seconds: 1,
            tracker: TrackerProfile::default(),
        }
    }

    pub fn resume_dir(&self) -> PathBuf {
        self.dir.path().join("resume")
    }

    pub fn save_dir(&self) -> PathBuf {
        self.dir.path().join("downloads")
    }

    pub async fn run(&self, command: EngineCommand) -> Result<(), EngineError> {
        self.engine().execute(command).await
    }

    /// Where its peers reach it.
    pub async fn endpoint(&self) -> SocketAddr {
        let start = Instant::now();
        loop {
            if let Some(port) = self.engine().status().listen_port {
                return SocketAddr::new(self.address, port);
            }
            assert!(start.elapsed() < Duration::from_secs(20), "no port was bound");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn add(&self, id: TorrentId, sample: &Sample) -> AddTorrent {
        let source = AddSource::Metainfo(Arc::clone(&sample.metainfo));
        self.add_from(id, source, Some(everything(1, sample)))
    }

    pub fn add_from(
        &self,
        id: TorrentId,
        source: AddSource,
        selection: Option<AppliedSelection>,
    ) -> AddTorrent {
        AddTorrent {
            id,
            source,
            save_dir: self.save_dir(),
            selection,
            limits: RateLimits::default(),
            sequential: false,
            seed_mode: false,
            trackers: Vec::new(),
            peers: Vec::new(),
        }
    }

    /// Makes it a seed of `sample`.
    pub async fn seed(&self, sample: &Sample) -> TorrentId {
        sample.write(&self.save_dir());
        let id = id(1);
        self.run(EngineCommand::Add(Box::new(self.add(id, sample)))).await.unwrap();
        self.wait(id, "it seeds", |seen| seen.pieces == revaer_torrent_core::PieceSet::All).await;
        id
    }

    /// Waits until an observation is as wanted.
    pub async fn wait(
        &self,
        id: TorrentId,
        what: &str,
        wanted: impl Fn(&Observation) -> bool,
    ) -> Arc<Observation> {
        let start = Instant::now();
        loop {
            if let Some(seen) = self.engine().observe(id).filter(|seen| wanted(seen)) {
                return seen;
            }
            let seen = self.engine().observe(id);
            assert!(start.elapsed() < Duration::from_secs(40), "not seen in time: {what}; last: {seen:?}");
            // Woken by changes; the time-out only ends a test that would hang.
            drop(tokio::time::timeout(Duration::from_secs(1), self.engine().changed()).await);
            drop(self.engine().take_changed());
        }
    }
}

pub fn id(number: u128) -> TorrentId {
    TorrentId::new(uuid::Uuid::from_u128(number)).unwrap()
}

pub fn everything(version: u64, sample: &Sample) -> AppliedSelection {
    AppliedSelection { version, priorities: vec![FilePriority::Normal; sample.files.len()] }
}
