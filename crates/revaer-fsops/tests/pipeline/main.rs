//! The pipeline on real directories: outcomes, collisions, crashes, deletion.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside test functions, and a failure there is a failed test"
)]

mod collisions;
mod crashes;
mod deletion;
mod jobs;
mod outcomes;
mod support;
