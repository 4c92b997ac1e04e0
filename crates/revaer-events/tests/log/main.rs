//! The event log over a real database, one database for each test.
//!
//! `REVAER_TEST_DATABASE_URL` names a server on which databases can be made; without it these tests fail.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic what does not hold")]

mod away;
mod events;
mod live;
mod numbers;
mod overtaken;
mod pages;
mod retention;
mod round_trip;
mod support;
