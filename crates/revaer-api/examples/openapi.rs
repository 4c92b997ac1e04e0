//! Prints the `OpenAPI` document: `cargo run -p revaer-api --example openapi > docs/api/openapi.json`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(revaer_api::openapi_json().as_bytes())
}
