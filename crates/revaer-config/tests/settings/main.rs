//! The settings over a real database: needs `REVAER_TEST_DATABASE_URL`, makes a database per test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod changes;
mod effect;
mod history;
mod keys;
mod presets;
mod reseal;
mod round_trip;
mod rules;
mod setup;
mod sql;
mod support;
