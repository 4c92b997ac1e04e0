//! Path confinement as a type: a directory is opened once and pinned, and everything below it is reached without
//! following a symbolic link, leaving the directory, or opening anything but files and directories.
//!
//! Invariant: no function outside this module hands a raw path to a system call that changes anything.

mod metadata;
mod path;
mod relative;
mod resolve;
mod root;
mod tree;

#[cfg(test)]
mod tests;

pub use metadata::{Kind, Metadata};
pub use path::SafePath;
pub use relative::RelativePath;
pub use resolve::Resolution;
pub use root::SafeRoot;
pub use tree::Entry;
