//! What the switch costs beside Asterisk and Kamailio with rtpengine, on the same work, in one sitting.
//!
//!     ./dev capacity
//!
//! Each piece of work is done by each server that can do it, one server at a time, each on a fresh process with the same users; the load
//! comes from `softphone swarm`, SIPp and [`benches::registrations`]. CPU is user and system time of all processes of a server. Before and
//! after everything a relay that does nothing but receive and send shows what the machine itself costs ([`floor`]).
//!
//! The table goes to `docs/performance.md`, all figures and commands to `docs/measurements/DATE-capacity.json`, a plot beside them.

mod asterisk;
mod floor;
mod kamailio;
mod load;
mod report;
mod server;
mod softswitch;
mod work;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use floor::Floor;
use report::{Measurement, Sitting};
use server::{Kind, Programs};
use std::path::PathBuf;
use std::process::ExitCode;
use work::Work;

/// What the switch costs beside Asterisk and Kamailio with rtpengine, on the same work.
#[derive(Debug, Parser)]
struct Options {
    /// Only this work; may be given more than once.
    #[arg(long, value_enum)]
    only: Vec<Work>,
    /// Only these servers.
    #[arg(long, value_enum)]
    server: Vec<Kind>,
    /// Rounds of each measurement; the middle one counts.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Of a hundred: less work, to see whether everything runs.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
    size: u32,
    /// The folder with Asterisk, as tests/asterisk/install makes it.
    #[arg(long, default_value = "target/asterisk")]
    asterisk: PathBuf,
    /// The root of the repository, whose docs are written; without it, the figures are told and not kept.
    #[arg(long)]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("capacity: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let programs = Programs::find(&options.asterisk)?;
    let all =
        |given: &[Work]| if given.is_empty() { Work::value_variants().to_vec() } else { given.to_vec() };
    let servers = if options.server.is_empty() { Kind::value_variants() } else { &options.server };
    let mut sitting = Sitting::begin(&programs, servers, options.size)?;
    println!("floor: a packet received and sent");
    sitting.floors.push(Floor::measure()?);
    println!("  {}", sitting.floors.last().context("it was measured")?);
    for work in all(&options.only) {
        println!("{}: {}", work.name(), work.title());
        for kind in servers {
            if let Some(reason) = programs.cannot(*kind, work) {
                println!("  {:<12} not measured: {reason}", kind.name());
                sitting.left_out.push(report::LeftOut { work, server: *kind, reason: reason.to_owned() });
                continue;
            }
            let mut rounds = Vec::new();
            for round in 1..=options.rounds {
                match work::measure(work, *kind, &programs, options.size) {
                    Ok(done) => {
                        println!("  {:<12} {done}", kind.name());
                        rounds.push(done);
                    }
                    // The others are worth knowing all the same.
                    Err(error) => {
                        println!("  {:<12} FAILED in round {round}: {error:#}", kind.name());
                        let reason = format!("{error:#}");
                        sitting.left_out.push(report::LeftOut { work, server: *kind, reason });
                    }
                }
            }
            sitting.measurements.push(Measurement { work, server: *kind, rounds });
        }
    }
    sitting.floors.push(Floor::measure()?);
    println!("floor: {}", sitting.floors.last().context("it was measured")?);
    println!("\n{}", report::table(&sitting));
    let Some(root) = &options.write else { return Ok(()) };
    if !root.join("docs/performance.md").exists() {
        bail!("--write {}: there is no docs/performance.md", root.display());
    }
    report::write(&sitting, root)
}
