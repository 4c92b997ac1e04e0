//! libtorrent behind the engine port: `SessionWorker` owns the session on a thread of its own, the resume store owns
//! the resume data on two others, and [`LibtEngine`] is the only door to all of them.
//!
//! Nothing of libtorrent leaves this crate. `ffi` is the only file that holds `unsafe`; the C++ beside it copies
//! data in and out and decides nothing.

mod bencode;
mod board;
mod engine;
mod ffi;
mod inspect;
mod mailbox;
mod rate;
mod readback;
mod resume;
mod session;
mod settings;
mod wake;
mod worker;

pub use engine::{EngineOptions, LibtEngine, StartError};
