//! `revaer`: the API of a Revaer server from a terminal.
//!
//! Composition only: reads arguments and environment, runs one command, reports, exits.
//! Results go to stdout, everything else to stderr; secrets go nowhere.
#![forbid(unsafe_code)]

mod args;
mod backoff;
mod client;
mod commands;
mod context;
mod difference;
mod environment;
mod error;
mod json_file;
mod key_file;
mod next_step;
mod reason;
mod resume_file;
mod rotation;
mod screen;
mod secret;
mod sse;
mod stream;
mod table;
mod telemetry;
mod text;
mod values;

use std::{
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    time::Instant,
};

use clap::Parser;
use revaer_api_models::RequestId;

use crate::{
    args::Cli,
    context::Context,
    environment::Environment,
    error::{CliError, EXIT_FAILED},
    screen::{Screen, to_stderr},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    hide_secrets();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            to_stderr(&format!("error: host not usable: no event loop: {error}\n"));
            return ExitCode::from(EXIT_FAILED);
        }
    };
    let code = runtime.block_on(run(&cli, &Environment::read()));
    // A blocking write that hangs, on a dead network mount say, must not keep the process.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Starts over with secrets in the environment instead of the arguments, where every user could read them.
/// When that cannot be done, the command still can.
fn hide_secrets() {
    let Some(concealed) = secret::conceal(std::env::args_os()) else { return };
    let (Ok(program), Some((name, args))) = (std::env::current_exe(), concealed.args.split_first()) else {
        return;
    };
    let error = Command::new(program).arg0(name).args(args).envs(concealed.variables).exec();
    to_stderr(&format!("warning: the secrets in this command line are visible to other users: {error}\n"));
}

async fn run(cli: &Cli, environment: &Environment) -> u8 {
    let started = Instant::now();
    let request_id = RequestId::from(uuid::Uuid::now_v7());
    let global = &cli.global;
    let screen = Screen::new(global.output, global.quiet, global.color, environment.no_color);
    let result = match Context::new(global, environment, screen, request_id.clone(), cli.command.needs_key())
    {
        Ok(context) => cli.command.run(&context).await.map_err(|error| context.explain(error)),
        Err(error) => Err(error),
    };
    // Whoever read stdout has heard enough: `revaer tail | head` is no failure.
    let result = result.or_else(|error| if error.is_broken_pipe() { Ok(()) } else { Err(error) });
    if let Err(error) = &result {
        to_stderr(&error.report());
    }
    telemetry::send(environment, cli.command.name(), request_id.as_str(), &result, started.elapsed()).await;
    result.err().map_or(0, |error: CliError| error.exit_code())
}
