//! What every request goes through: identity, admission, time limit, body, query, and the problem document.

pub(crate) mod access;
pub(crate) mod allowed_hosts;
pub(crate) mod body;
pub(crate) mod cors;
pub(crate) mod detached;
pub(crate) mod edge;
pub(crate) mod faults;
pub(crate) mod host;
pub(crate) mod identity;
pub(crate) mod key;
pub(crate) mod limiter;
pub(crate) mod loopback;
pub(crate) mod members;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod recent;
pub(crate) mod refused_keys;
pub(crate) mod sole;
