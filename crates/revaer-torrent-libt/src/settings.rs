//! The profile as a complete `settings_pack`: the session starts with it, since a default one would start DHT,
//! LSD and port mapping before it could be told not to. Pure.

use std::net::IpAddr;

use revaer_torrent_core::{
    BytesPerSecond,
    engine::{Encryption, EngineProfile},
};

use crate::ffi::{Setting, SettingKind};

/// libtorrent's default port, the first that is tried where none is wanted.
pub(crate) const FIRST_PORT: u16 = 6881;
/// The last one that is tried.
pub(crate) const LAST_PORT: u16 = 6999;

/// `alert_category`: error, storage, status, `file_progress`. No block, piece or peer alerts.
const ALERT_MASK: i32 = 1 | 1 << 3 | 1 << 6 | 1 << 21;
/// libtorrent's 2,000 lose two of three answers to 10,000 adds.
const ALERT_QUEUE: i32 = 200_000;
/// libtorrent's own default, written back when an upload cap of 0 is lifted.
const UNCHOKE_SLOTS: i32 = 8;
/// Milliseconds. With libtorrent's 500 a cap lets through bursts of three seconds after nine of silence.
const TICK_UNDER_CAP: i32 = 100;
const TICK: i32 = 500;

/// Every setting that Revaer chooses.
pub(crate) fn settings(profile: &EngineProfile, port: u16, capped: bool) -> Vec<Setting> {
    let mut all = fixed();
    all.extend(live(profile, port, capped));
    all
}

/// Those that do not depend on the profile.
fn fixed() -> Vec<Setting> {
    let mut all: Vec<_> = [
        "active_downloads",
        "active_seeds",
        "active_checking",
        "active_dht_limit",
        "active_tracker_limit",
        "active_lsd_limit",
        "active_limit",
    ]
    .into_iter()
    .map(|name| number(name, -1))
    .collect();
    all.extend([
        number("alert_mask", ALERT_MASK),
        number("alert_queue_size", ALERT_QUEUE),
        // A magnet's only peer must not be dropped while the selection is being decided.
        switch("close_redundant_connections", false),
        // A taken port is reported, never silently replaced.
        number("max_retry_port_bind", 0),
        switch("listen_system_port_fallback", false),
        // Pieces that a choked peer may have (BEP 6) would be sent in spite of an upload cap of 0.
        number("allowed_fast_set_size", 0),
        number("stop_tracker_timeout", 1),
        // Seconds. After a crash a peer may still hold our last uTP connection, and refuses a second one of the
        // same address for a while: libtorrent's minute of waiting would be ours.
        number("min_reconnect_time", 5),
    ]);
    all
}

/// Those that the profile decides; all of them apply to a running session.
pub(crate) fn live(profile: &EngineProfile, port: u16, capped: bool) -> Vec<Setting> {
    let (outgoing, incoming) = match profile.encryption {
        Encryption::Require => (0, 0),
        Encryption::Prefer => (1, 1),
        Encryption::Disable => (2, 2),
    };
    let no_uploads = profile.limits.upload == Some(BytesPerSecond(0));
    let tracker = &profile.tracker;
    let agent = concat!("Revaer/", env!("CARGO_PKG_VERSION"));
    let mut all = vec![
        text("listen_interfaces", &listen_interfaces(&profile.listen_interfaces, port)),
        switch("enable_dht", profile.dht),
        switch("enable_lsd", profile.lsd),
        switch("enable_upnp", profile.upnp),
        switch("enable_natpmp", profile.natpmp),
        number("out_enc_policy", outgoing),
        number("in_enc_policy", incoming),
        // `pe_both`: a peer may choose between plain and RC4 after the encrypted handshake, unless all of it must be.
        number("allowed_enc_level", if profile.encryption == Encryption::Require { 2 } else { 3 }),
        switch("prefer_rc4", profile.encryption == Encryption::Require),
        number("download_rate_limit", limit(profile.limits.download)),
        number("upload_rate_limit", limit(profile.limits.upload)),
        number("unchoke_slots_limit", if no_uploads { 0 } else { UNCHOKE_SLOTS }),
        text("user_agent", tracker.user_agent.as_deref().unwrap_or(agent)),
        text("announce_ip", tracker.announce_ip.as_deref().unwrap_or_default()),
        switch("announce_to_all_trackers", tracker.announce_to_all_trackers),
        switch("announce_to_all_tiers", tracker.announce_to_all_tiers),
        tick(capped),
    ];
    if let Some(port) = tracker.announce_port {
        // Unknown to 2.0.8: the session says so when it starts.
        all.push(number("announce_port", i32::from(port)));
    }
    all
}

/// The interval of the session's bookkeeping.
pub(crate) fn tick(capped: bool) -> Setting {
    number("tick_interval", if capped { TICK_UNDER_CAP } else { TICK })
}

/// Where to listen.
pub(crate) fn listen(profile: &EngineProfile, port: u16) -> Setting {
    text("listen_interfaces", &listen_interfaces(&profile.listen_interfaces, port))
}

/// A cap in libtorrent's words, where 0 means "none": a cap of 0 is put in force by other means.
pub(crate) fn limit(cap: Option<BytesPerSecond>) -> i32 {
    cap.map_or(0, |cap| i32::try_from(cap.0).unwrap_or(i32::MAX))
}

/// Whether a cap is to be put in force by holding payload back.
pub(crate) fn is_zero(cap: Option<BytesPerSecond>) -> bool {
    cap == Some(BytesPerSecond(0))
}

fn listen_interfaces(addresses: &[IpAddr], port: u16) -> String {
    if addresses.is_empty() {
        return format!("0.0.0.0:{port},[::]:{port}");
    }
    let all: Vec<_> = addresses
        .iter()
        .map(|address| match address {
            IpAddr::V4(address) => format!("{address}:{port}"),
            IpAddr::V6(address) => format!("[{address}]:{port}"),
        })
        .collect();
    all.join(",")
}

fn number(name: &str, value: i32) -> Setting {
    Setting {
        name: name.to_owned(),
        kind: SettingKind::Number,
        number: value,
        text: String::new(),
        on: false,
    }
}

fn text(name: &str, value: &str) -> Setting {
    Setting { name: name.to_owned(), kind: SettingKind::Text, number: 0, text: value.to_owned(), on: false }
}

fn switch(name: &str, on: bool) -> Setting {
    Setting { name: name.to_owned(), kind: SettingKind::Switch, number: 0, text: String::new(), on }
}

#[cfg(test)]
mod tests {
    use revaer_torrent_core::{RateLimits, engine::TrackerProfile};

    use super::*;

    fn profile() -> EngineProfile {
        EngineProfile {
            listen_interfaces: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            listen_port: None,
            dht: false,
            lsd: false,
            upnp: false,
            natpmp: false,
            encryption: Encryption::Prefer,
            limits: RateLimits::default(),
            limit_local_peers: true,
            resume_dir: "/nowhere".into(),
            resume_save_seconds: 60,
            tracker: TrackerProfile::default(),
        }
    }

    fn find(settings: &[Setting], name: &str) -> Setting {
        settings.iter().find(|setting| setting.name == name).unwrap().clone()
    }

    #[test]
    fn a_cap_of_zero_is_never_handed_over_as_no_limit_alone() {
        let mut profile = profile();
        profile.limits.upload = Some(BytesPerSecond(0));
        let all = settings(&profile, 7000, true);
        assert_eq!(find(&all, "unchoke_slots_limit").number, 0);
        assert_eq!(find(&all, "allowed_fast_set_size").number, 0);
        assert_eq!(find(&all, "tick_interval").number, 100);
    }

    #[test]
    fn a_cap_above_what_libtorrent_counts_is_the_highest_it_counts() {
        assert_eq!(limit(Some(BytesPerSecond(u64::MAX))), i32::MAX);
        assert_eq!(limit(None), 0);
    }

    #[test]
    fn addresses_are_listened_on_with_the_port_of_the_profile() {
        let all = settings(&profile(), 7000, false);
        assert_eq!(find(&all, "listen_interfaces").text, "127.0.0.1:7000,[::1]:7000");
    }

    #[test]
    fn every_setting_is_one_that_the_library_knows() {
        let wake = crate::wake::Wake::new().unwrap();
        let mut offline = profile();
        offline.listen_interfaces = vec!["127.0.0.1".parse().unwrap()];
        let mut unknown = Vec::new();
        let all = settings(&offline, 0, false);
        let session = crate::ffi::open(&all, false, wake.raw(), &mut unknown).unwrap();
        drop(session);
        assert_eq!(unknown, Vec::<String>::new());
    }
}
