//! `revaer-app`: the server. Everything is composed in `serve`; what else it can do is in `commands`.

use std::{path::Path, process::ExitCode};

use clap::Parser as _;
use revaer_app::{
    Logging, commands, datadir, healthcheck, identity,
    options::{Command, Environment, LogFormat, Options},
};
use revaer_telemetry::logging;
use std::io::IsTerminal as _;

/// The request of the operator cannot be met; stderr says why.
const FAILED: u8 = 3;
const UNHEALTHY: u8 = 1;

fn main() -> ExitCode {
    let mut options = Options::parse();
    let environment = match Environment::read() {
        Ok(environment) => environment,
        Err(error) => return fail(&error.into()),
    };
    // By who has started it: becoming another user does not move the data.
    let data_dir = datadir::resolve(options.data_dir.as_deref(), &environment);
    match options.command.take() {
        Some(Command::Healthcheck) => match healthcheck::check(&data_dir) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {:#}", anyhow::Error::from(error));
                ExitCode::from(UNHEALTHY)
            }
        },
        Some(command) => run(command, &data_dir, &options, environment).unwrap_or_else(|error| fail(&error)),
        None => {
            options.data_dir = Some(data_dir);
            serve(options, environment).map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS)
        }
    }
}

fn serve(options: Options, environment: Environment) -> anyhow::Result<()> {
    let unused = identity::assume(&environment.identity, options.data_dir.as_deref())?;
    let filter = environment.rust_log.as_deref().unwrap_or("info,sqlx=warn");
    let logger = logging::install(filter, format(&options))?;
    if let Some(reason) = unused {
        tracing::warn!(reason, "started as another user than asked for");
    }
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

fn run(
    command: Command,
    data_dir: &Path,
    options: &Options,
    environment: Environment,
) -> anyhow::Result<ExitCode> {
    let makes_it = matches!(command, Command::Restore { .. });
    if let Some(reason) = identity::assume(&environment.identity, makes_it.then_some(data_dir))? {
        eprintln!("warning: {reason}");
    }
    identity::assume_owner_of(data_dir)?;
    logging::install(environment.rust_log.as_deref().unwrap_or("warn"), format(options))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(commands::run(command, data_dir, environment));
    runtime.shutdown_background();
    outcome.map(ExitCode::from)
}

fn format(options: &Options) -> logging::LogFormat {
    let pretty = options
        .log_format
        .map_or_else(|| std::io::stderr().is_terminal(), |format| format == LogFormat::Pretty);
    if pretty { logging::LogFormat::Pretty } else { logging::LogFormat::Json }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(FAILED)
}
