//! Torrents in the database and in memory.
//!
//! `REVAER_TEST_DATABASE_URL` names a server on which databases can be made; without it the tests of rows fail.

#![expect(clippy::unwrap_used, reason = "a test says by a panic what does not hold")]

mod database;
mod filters;
mod intents;
mod model;
mod paging;
mod paths;
mod records;
mod rows;
mod views;
