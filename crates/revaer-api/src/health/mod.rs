//! What the server says of itself: readiness, everything, and figures.

pub(crate) mod brief;
pub(crate) mod database;
pub(crate) mod full;
pub(crate) mod metrics;

use revaer_api_models::Mode;
use revaer_config::Mode as ConfigMode;

const fn mode(mode: ConfigMode) -> Mode {
    match mode {
        ConfigMode::Setup => Mode::Setup,
        ConfigMode::Active => Mode::Active,
    }
}
