//! Which profile the engine has, and which revision of the settings is in force by that. Pure.

use revaer_torrent_core::{RateLimits, engine::EngineProfile};

use super::settings::Settings;

/// What to do about the settings of now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: they are in force, or the end of what is under way looks at them.
    Nothing,
    /// Say that this revision is in force.
    Report(i64),
    /// Hand the engine this profile.
    Configure(Box<EngineProfile>),
}

/// How handing over a profile ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The revision that the profile was of.
    pub(crate) revision: i64,
    /// The engine's first profile: nothing could be added before.
    pub(crate) is_first: bool,
    /// The caps on the whole session before and after, where they differ.
    pub(crate) caps: Option<(RateLimits, RateLimits)>,
}

/// The profile in force, and the one on its way.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// What the engine has taken; `None` where that is not known.
    in_force: Option<EngineProfile>,
    /// The last caps that it has taken.
    caps: Option<RateLimits>,
    under_way: Option<(EngineProfile, i64)>,
    reported: Option<i64>,
}

impl Profile {
    /// Whether the engine has taken a profile, so that torrents can be added.
    pub(crate) const fn is_ready(&self) -> bool {
        self.caps.is_some()
    }

    /// Looks at the settings of now. A step that is answered is taken as done.
    pub(crate) fn step(&mut self, settings: &Settings) -> Step {
        if self.under_way.is_some() {
            return Step::Nothing;
        }
        let revision = settings.policy.revision;
        match &settings.engine {
            Some(wanted) if self.in_force.as_ref() != Some(wanted) => {
                self.under_way = Some((wanted.clone(), revision));
                Step::Configure(Box::new(wanted.clone()))
            }
            // In setup mode the engine rests, and there is nothing to hand over.
            Some(_) | None if self.reported == Some(revision) => Step::Nothing,
            Some(_) | None => {
                self.reported = Some(revision);
                Step::Report(revision)
            }
        }
    }

    /// Notes how handing over ended; nothing where none was under way.
    pub(crate) fn ended(&mut self, is_taken: bool) -> Option<Ended> {
        let (profile, revision) = self.under_way.take()?;
        if !is_taken {
            // A part of it may be in force: even the one before has to be handed over again.
            self.in_force = None;
            return Some(Ended { revision, is_first: false, caps: None });
        }
        let before = self.caps.replace(profile.limits);
        let caps = before.filter(|before| *before != profile.limits).map(|before| (before, profile.limits));
        self.in_force = Some(profile);
        self.reported = Some(revision);
        Some(Ended { revision, is_first: before.is_none(), caps })
    }
}

/// Caps for the log.
pub(crate) fn shown(limits: &RateLimits) -> String {
    let one = |limit: Option<revaer_torrent_core::BytesPerSecond>| {
        limit.map_or_else(|| "none".to_owned(), |rate| format!("{} B/s", rate.0))
    };
    format!("download {}, upload {}", one(limits.download), one(limits.upload))
}

#[cfg(test)]
mod tests {
    use revaer_torrent_core::{
        BytesPerSecond,
        engine::{Encryption, TrackerProfile},
        fsops::{MoveMode, Policy},
    };

    use super::{super::settings::TrackerPolicy, *};

    fn settings(revision: i64, cap: Option<u64>) -> Settings {
        Settings {
            engine: Some(EngineProfile {
                listen_interfaces: Vec::new(),
                listen_port: None,
                dht: false,
                lsd: false,
                upnp: false,
                natpmp: false,
                encryption: Encryption::Prefer,
                limits: RateLimits { download: cap.map(BytesPerSecond), upload: None },
                limit_local_peers: true,
                resume_dir: "/srv/resume".into(),
                resume_save_seconds: 60,
                tracker: TrackerProfile::default(),
            }),
            max_active: None,
            policy: Policy {
                revision,
                library_root: "/srv/library".into(),
                move_mode: MoveMode::Copy,
                allow_list: Vec::new(),
            },
            trackers: TrackerPolicy::default(),
        }
    }

    /// A profile that the engine has taken at revision 1.
    fn configured() -> Profile {
        let mut profile = Profile::default();
        assert!(matches!(profile.step(&settings(1, None)), Step::Configure(_)));
        assert_eq!(profile.ended(true), Some(Ended { revision: 1, is_first: true, caps: None }));
        profile
    }

    #[test]
    fn a_revision_that_does_not_concern_the_engine_is_in_force_at_once() {
        let mut profile = configured();
        assert_eq!(profile.step(&settings(1, None)), Step::Nothing, "said when the engine answered");
        assert_eq!(profile.step(&settings(2, None)), Step::Report(2));
        assert_eq!(profile.step(&settings(2, None)), Step::Nothing);
    }

    #[test]
    fn while_the_engine_rests_every_revision_is_in_force() {
        let mut profile = Profile::default();
        let resting = |revision| Settings { engine: None, ..settings(revision, None) };
        assert_eq!(profile.step(&resting(1)), Step::Report(1));
        assert_eq!(profile.step(&resting(2)), Step::Report(2));
        assert!(!profile.is_ready());
    }

    #[test]
    fn a_revision_that_comes_meanwhile_waits_for_the_engine() {
        let mut profile = configured();
        assert!(matches!(profile.step(&settings(2, Some(5))), Step::Configure(_)));
        assert_eq!(profile.step(&settings(3, Some(5))), Step::Nothing);
        let (none, five) = (RateLimits::default(), settings(3, Some(5)).engine.unwrap().limits);
        assert_eq!(
            profile.ended(true),
            Some(Ended { revision: 2, is_first: false, caps: Some((none, five)) })
        );
        assert_eq!(profile.step(&settings(3, Some(5))), Step::Report(3));
    }

    #[test]
    fn after_a_failure_even_the_profile_before_is_handed_over_again() {
        let mut profile = configured();
        assert!(matches!(profile.step(&settings(2, Some(5))), Step::Configure(_)));
        assert_eq!(profile.ended(false), Some(Ended { revision: 2, is_first: false, caps: None }));
        assert!(profile.is_ready());
        assert!(matches!(profile.step(&settings(3, None)), Step::Configure(_)));
        assert_eq!(profile.ended(true), Some(Ended { revision: 3, is_first: false, caps: None }));
        assert_eq!(profile.ended(true), None);
    }
}
