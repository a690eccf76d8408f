//! The commands of the program, and what their exit codes mean.
//!
//! `call` and `listen` are one-shot: their exit code tells the outcome. `run` is the headless phone, `tui` the one on a terminal. All of them take the
//! account from options or from the configuration file.

mod account;
mod events;
mod headless;
mod key_ring;
mod lines;
mod oneshot;
mod output;
mod register;
mod scenario;
mod session;
mod setup;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod socket;
mod sound;
mod start;
mod swarm;
#[cfg(feature = "tui")]
mod tui;
mod watched;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// It worked: registered, or talked and ended as wanted.
pub const DONE: u8 = 0;
/// The server or the other side does not want it.
pub const REFUSED: u8 = 1;
/// Wrong usage, or a configuration that cannot be used.
pub const USAGE: u8 = 2;
/// The server does not answer or cannot be reached.
pub const NO_ANSWER: u8 = 3;
/// The other side is busy.
pub const BUSY: u8 = 4;
/// It rang and nobody answered, or nobody called.
pub const NOT_ANSWERED: u8 = 5;
/// Nobody has this number.
pub const UNKNOWN_NUMBER: u8 = 6;
/// It worked at first, and then no longer: the call was lost, or a file could not be written.
pub const FAILED: u8 = 7;

/// A SIP phone.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Registers with a server and says how that went.
    ///
    /// Exit codes: 0 registered and removed again, 1 refused, 2 wrong usage, 3 no answer.
    Register(register::Register),
    /// Calls a number, says a file or a tone, writes what it hears.
    ///
    /// Exit codes: 0 talked, 1 declined or refused, 2 wrong usage, 3 no server, 4 busy, 5 not answered, 6 unknown number,
    /// 7 lost in the middle.
    Call(oneshot::Call),
    /// Registers and waits for calls.
    ///
    /// Exit codes: 0 talked, 1 registration refused, 2 wrong usage, 3 no server, 5 nobody called, 7 lost in the middle.
    Listen(oneshot::Listen),
    /// Asks three questions, tries the answers, and writes the configuration.
    ///
    /// Exit codes: 0 it works, 1 refused, 2 wrong usage, 3 no answer.
    Setup {
        /// The configuration file to write.
        #[arg(long, value_name = "FILE")]
        config: Option<std::path::PathBuf>,
    },
    /// Shows the names of microphones and speakers.
    #[cfg(feature = "sound-card")]
    Devices,
    /// The phone without a window: commands are lines on standard input, events lines on standard output.
    Run(headless::Run),
    /// The phone on a terminal: accounts, lines, levels, quality, past calls. The keys are at the bottom.
    #[cfg(feature = "tui")]
    Tui(tui::Tui),
    /// Plays scenario files against a server with phones that listen.
    ///
    /// Exit codes: 0 all went as they say, 1 one did not, 2 wrong usage or a faulty file, 3 no server.
    Scenario(scenario::Play),
    /// Thousands of phones that register, call each other, meet in rooms, listen, and are judged.
    ///
    /// Exit codes: 0 every expectation came true, 1 one did not, 2 wrong usage, 3 no server.
    Swarm(swarm::Options),
}

#[cfg(feature = "sound-card")]
fn devices() -> anyhow::Result<u8> {
    let (microphones, speakers) = crate::audio::device_names()?;
    for (what, names) in [("microphone", microphones), ("speaker", speakers)] {
        names.iter().for_each(|name| println!("{what} \"{}\"", name.escape_default()));
    }
    Ok(DONE)
}

/// Runs the program.
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Register(arguments) => register::run(&arguments),
        Command::Call(arguments) => oneshot::call(&arguments),
        Command::Listen(arguments) => oneshot::listen(&arguments),
        Command::Setup { config } => account::place(config).and_then(|path| setup::run(&path)),
        #[cfg(feature = "sound-card")]
        Command::Devices => devices(),
        Command::Run(arguments) => headless::run(&arguments),
        #[cfg(feature = "tui")]
        Command::Tui(arguments) => tui::run(&arguments),
        Command::Scenario(arguments) => scenario::run(&arguments),
        Command::Swarm(arguments) => swarm::run(&arguments),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("softphone: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}
