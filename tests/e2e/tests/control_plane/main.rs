//! The control plane: settings that hold, reload and can be trusted, whoever writes them.

mod concurrent_changes;
mod nonsense;
mod nonsense_beside;
mod one_transaction;
