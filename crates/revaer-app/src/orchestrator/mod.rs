//! The orchestrator: compares what is wanted of each torrent with what the engine and the pipeline have, and acts
//! until they agree.
//!
//! It owns no truth. What is wanted comes from the catalogue, what is comes from the engine; [`plan`] says what to do
//! next, one action per torrent at a time, and every end of an action plans again. So a start, a crash and a missed
//! notification need no code of their own.
//!
//! [`plan`]: revaer_torrent_core::plan

mod acted;
mod actions;
mod admission;
mod compare;
mod configure;
mod content;
mod jobs;
mod observe;
mod profile;
mod run;
mod settings;
mod slot;
mod verify;

pub(crate) use jobs::claimed_mode;
pub use run::{Applied, Orchestrator, OrchestratorParts};
pub use settings::{Settings, TrackerPolicy};
