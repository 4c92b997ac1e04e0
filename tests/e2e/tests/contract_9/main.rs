//! The contract's §9 on the built server: tests named after its sentences. `docs/contract-tests.md` is the list.

mod end;
mod environment;
mod flags;
mod page;
mod serving;
mod setup_mode;
mod support;
