//! Maps the settings documents onto what each part of the server takes. Nobody else reads another's settings.

use std::{net::SocketAddr, path::PathBuf};

use revaer_config::{ConfigSnapshot, Encryption as WantedEncryption, Mode, MoveMode as WantedMove};
use revaer_torrent_core::{
    BytesPerSecond, RateLimits,
    engine::{Encryption, EngineProfile, TrackerProfile},
    fsops::{MoveMode, Policy},
};

use crate::orchestrator::{Settings, TrackerPolicy};

/// What the orchestrator takes of a snapshot. In setup mode the engine rests: nothing talks to the network before
/// an operator has said how.
pub(crate) fn for_orchestrator(snapshot: &ConfigSnapshot) -> Settings {
    let active = snapshot.app.mode == Mode::Active;
    Settings {
        engine: active.then(|| engine_profile(snapshot)),
        max_active: snapshot.engine.max_active,
        policy: Policy {
            revision: snapshot.revision.get(),
            library_root: snapshot.fs.library_root.clone(),
            move_mode: match snapshot.fs.move_mode {
                WantedMove::Copy => MoveMode::Copy,
                WantedMove::Move => MoveMode::Move,
                WantedMove::Hardlink => MoveMode::Hardlink,
            },
            allow_list: snapshot.allow_list(),
        },
        trackers: TrackerPolicy {
            extra: snapshot.engine.tracker.extra_trackers.clone(),
            replace: snapshot.engine.tracker.replace_trackers,
        },
    }
}

/// Where the server is told to listen: the flag wins over the settings.
pub(crate) fn configured_address(snapshot: &ConfigSnapshot, flag: Option<SocketAddr>) -> SocketAddr {
    flag.unwrap_or_else(|| SocketAddr::new(snapshot.app.bind_addr, snapshot.app.http_port))
}

/// Where the server listens: as it is told, but for setup mode, which keeps to loopback.
pub(crate) fn listen_address(snapshot: &ConfigSnapshot, flag: Option<SocketAddr>) -> SocketAddr {
    let configured = configured_address(snapshot, flag);
    if snapshot.app.mode == Mode::Active || configured.ip().is_loopback() {
        configured
    } else {
        SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), configured.port())
    }
}

/// The directories that have to be on the volume they were first seen on.
pub(crate) fn watched_roots(snapshot: &ConfigSnapshot) -> Vec<PathBuf> {
    vec![snapshot.engine.download_root.clone(), snapshot.fs.library_root.clone()]
}

fn engine_profile(snapshot: &ConfigSnapshot) -> EngineProfile {
    let engine = &snapshot.engine;
    EngineProfile {
        listen_interfaces: engine.listen_interfaces.clone().unwrap_or_default(),
        listen_port: engine.listen_port,
        dht: engine.dht,
        lsd: engine.lsd,
        upnp: engine.upnp,
        natpmp: engine.natpmp,
        encryption: match engine.encryption {
            WantedEncryption::Require => Encryption::Require,
            WantedEncryption::Prefer => Encryption::Prefer,
            WantedEncryption::Disable => Encryption::Disable,
        },
        limits: RateLimits {
            download: engine.max_download_bps.map(BytesPerSecond),
            upload: engine.max_upload_bps.map(BytesPerSecond),
        },
        limit_local_peers: engine.limit_local_peers,
        resume_dir: engine.resume_dir.clone(),
        resume_save_seconds: engine.resume_save_seconds,
        tracker: TrackerProfile {
            user_agent: engine.tracker.user_agent.clone(),
            announce_ip: engine.tracker.announce_ip.map(|address| address.to_string()),
            announce_port: engine.tracker.announce_port,
            announce_to_all_trackers: engine.tracker.announce_to_all_trackers,
            announce_to_all_tiers: engine.tracker.announce_to_all_tiers,
        },
    }
}
