//! The `hookward` command: a table of contents, one file a subcommand.

// They panic when nobody reads: `output.rs` and `Failure::report` do not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

mod aws;
mod bench;
mod check;
mod client;
mod dead;
mod dev;
mod doctor;
mod dynamodb;
mod events;
mod failure;
mod keeper;
mod logging;
mod operator;
mod output;
mod providers;
mod sample;
mod send;
mod serve;
mod settings;
mod signals;
mod table;

use failure::Failure;

/// The webhook gateway that cannot be abused.
///
/// Exit codes: 0 all went well; 1 something failed; 2 the command line is wrong; 78 the configuration is wrong.
#[derive(Debug, Parser)]
#[command(name = "hookward", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: a gateway, a sample application, and a first round of good and abusive webhooks
    Dev(dev::Dev),
    /// Run the gateway
    Serve(serve::Serve),
    /// Find every mistake in a configuration, without starting anything
    Check(check::Check),
    /// Look at what a configuration names: secrets, destinations, the store, the clock
    Doctor(doctor::Doctor),
    /// Sign a sample webhook and post it
    Send(send::Send),
    /// Look at events
    Events(events::Events),
    /// Look at dead letters, replay or drop them
    Dead(dead::Dead),
    /// Look up the senders that are known by name
    Providers(providers::Providers),
    /// Set up the table of the DynamoDB store: cost, permissions, templates
    #[command(name = "dynamodb")]
    DynamoDb(dynamodb::DynamoDb),
    /// Measure a gateway's requests per second and latency
    Bench(bench::Bench),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(Cli { command }) => command,
        Err(said) => return explain(&said),
    };
    let result = match command {
        Command::Dev(dev) => dev.run(),
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Send(send) => send.run(),
        Command::Events(events) => events.run(),
        Command::Dead(dead) => dead.run(),
        Command::Providers(providers) => providers.run(),
        Command::DynamoDb(dynamodb) => dynamodb.run(),
        Command::Bench(bench) => bench.run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hookward", &mut script);
            output::text(&script)
        }
    };
    result.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}

/// Help, the version, or what is wrong with the command line.
fn explain(said: &clap::Error) -> ExitCode {
    match said.print() {
        Err(error) if !said.use_stderr() => output::unsaid(&error).report(),
        _ => u8::try_from(said.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from),
    }
}
