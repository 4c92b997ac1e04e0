//! HTTP, server-sent events and `OpenAPI`: translates between the wire and the ports.
//!
//! [`router`] is the whole surface over a set of [`Ports`]; [`Server`] carries it over TCP. Decisions live in the
//! core, in the catalog's ledger and in the settings service: a handler reads a request, hands it over, and puts
//! the answer into the wire's words.
//!
//! Invariants: every 4xx and 5xx is a problem document, made in one place (`http::problem`); no handler holds
//! more of a body than its limit; a change that is asked for is owned by somebody else before it is awaited, so
//! that a dropped connection cannot cut it in half.
#![forbid(unsafe_code)]

mod events;
mod health;
mod http;
mod keys;
mod openapi;
mod ports;
mod presets;
mod routes;
mod server;
mod settings;
mod torrents;

pub use openapi::openapi_json;
pub use ports::{Ports, ServerFacts};
pub use revaer_api_models as models;
pub use routes::router;
pub use server::{BindError, Listener, Server, ServerHandle};
