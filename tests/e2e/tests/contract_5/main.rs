//! The contract's §5 on the wire: a test for each of its sentences, named after it. `docs/contract-tests.md` is the list.

mod changeset;
mod checks;
mod environment;
mod page;
mod secrets;
mod setup;
mod snapshot;
mod support;
mod tables;
mod watchers;
