//! `revaer-app`: the server. Everything is composed in `serve`.

use std::process::ExitCode;

use clap::Parser as _;
use revaer_app::{
    Logging, datadir, healthcheck,
    options::{Command, Environment, LogFormat, Options},
};
use revaer_telemetry::logging;
use std::io::IsTerminal as _;

/// The request of the operator cannot be met; stderr says why.
const FAILED: u8 = 3;
const UNHEALTHY: u8 = 1;

fn main() -> ExitCode {
    let options = Options::parse();
    let environment = match Environment::read() {
        Ok(environment) => environment,
        Err(error) => return fail(&error.into()),
    };
    match options.command {
        Some(Command::Healthcheck) => {
            let data_dir = datadir::resolve(options.data_dir.as_deref(), &environment);
            match healthcheck::check(&data_dir) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("error: {:#}", anyhow::Error::from(error));
                    ExitCode::from(UNHEALTHY)
                }
            }
        }
        None => match serve(options, environment) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
    }
}

fn serve(options: Options, environment: Environment) -> anyhow::Result<()> {
    let format = options
        .log_format
        .unwrap_or_else(|| if std::io::stderr().is_terminal() { LogFormat::Pretty } else { LogFormat::Json });
    let filter = environment.rust_log.as_deref().unwrap_or("info,sqlx=warn");
    let logger = logging::install(
        filter,
        match format {
            LogFormat::Json => logging::LogFormat::Json,
            LogFormat::Pretty => logging::LogFormat::Pretty,
        },
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // What the command line and the environment say wins over the settings.
    let logging = Logging {
        logger,
        follows_level: environment.rust_log.is_none(),
        follows_format: options.log_format.is_none(),
    };
    let outcome = runtime.block_on(revaer_app::serve(options, environment, logging, FAILED));
    // Dropping it would wait for every call that a hanging disk has not answered.
    runtime.shutdown_background();
    outcome
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(FAILED)
}
