//! Harness of the end-to-end tests: starts the built binaries, a `PostgreSQL` cluster, qBittorrent peers and a tracker,
//! all on loopback, and ends every one of them with the test.
//!
//! Invariants: no test shares an address, a port, a database or a directory with another, so all may run at once;
//! nothing here reaches beyond 127.0.0.0/8; the only timer is in [`wait`].

pub mod address;
pub mod api;
pub mod app;
pub mod bencode;
pub mod binaries;
pub mod cli;
pub mod db;
pub mod metainfo;
pub mod payload;
pub mod peer;
pub mod process;
pub mod procfs;
pub mod resume;
pub mod setup;
pub mod sse;
pub mod stage;
pub mod tracker;
pub mod tree;
pub mod wait;
