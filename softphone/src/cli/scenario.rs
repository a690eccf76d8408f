//! `scenario`: plays scenario files with real sockets against a server.

use super::account::seed;
use super::{DONE, NO_ANSWER, REFUSED};
use crate::config::host_and_port;
use crate::io::{LiveConfig, LiveError, play_live};
use crate::phone::Password;
use crate::scenario::network::Faults;
use crate::scenario::{Scenario, read_with};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// The password of every phone, where it is not that of the file.
const PASSWORD: &str = "SOFTPHONE_PASSWORD";

/// What is played, and against whom.
#[derive(Debug, Args)]
pub(super) struct Play {
    /// The files; scenarios/README.md tells what stands in them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The server: a name or an address, with a port if it is not 5060. Without it the files are only read.
    #[arg(long, value_name = "HOST[:PORT]")]
    server: Option<String>,
    /// The SIP domain, if it is not the server.
    #[arg(long)]
    domain: Option<String>,
    /// A number for a name of the file: --number alice=2001.
    #[arg(long = "number", value_name = "NAME=NUMBER")]
    numbers: Vec<String>,
    /// Packets of a hundred that the phones lose, and some that they double, delay and reorder.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    loss: Option<u32>,
    /// How many times as long as it says a claim may take to come true.
    #[arg(long, default_value_t = 1)]
    stretch: u32,
    /// The same number loses the same packets again.
    #[arg(long)]
    seed: Option<u64>,
    /// UDP ports for sound.
    #[arg(long, value_name = "FIRST-LAST", default_value = "16384-32767", value_parser = ports)]
    rtp_ports: RangeInclusive<u16>,
}

/// Plays the files one after the other.
pub(super) fn run(arguments: &Play) -> Result<u8> {
    let scenarios =
        arguments.files.iter().map(|file| scenario(file, &arguments.numbers)).collect::<Result<Vec<_>>>()?;
    let Some(server) = &arguments.server else {
        scenarios.iter().for_each(|scenario| println!("{}: in order", scenario.file.escape_debug()));
        return Ok(DONE);
    };
    let (host, port) = host_and_port(server)
        .with_context(|| format!("--server {server}: give a name or an address, and a port up to 65535"))?;
    let config = LiveConfig {
        host,
        port,
        domain: arguments.domain.clone(),
        password: std::env::var(PASSWORD).ok().map(|password| Password(password.into())),
        rtp_ports: arguments.rtp_ports.clone(),
        faults: arguments.loss.filter(|loss| *loss > 0).map_or(Faults::NONE, Faults::lossy),
        stretch: arguments.stretch,
        seed: seed()?,
        lots: match arguments.seed {
            Some(number) => seed_of(number),
            None => seed()?,
        },
    };
    let mut outcome = DONE;
    for scenario in &scenarios {
        outcome = outcome.max(play(scenario, &LiveConfig { seed: seed()?, ..config.clone() })?);
    }
    Ok(outcome)
}

fn play(scenario: &Scenario, config: &LiveConfig) -> Result<u8> {
    let file = scenario.file.escape_debug();
    if scenario.needs_the_switch() {
        println!("skipped {file}: {} (it restarts the switch)", scenario.title.escape_debug());
        return Ok(DONE);
    }
    match play_live(scenario, config) {
        Ok(report) => {
            println!("{report}");
            Ok(if report.failure.is_some() { REFUSED } else { DONE })
        }
        Err(error @ (LiveError::Udp(_) | LiveError::Io(_))) => {
            eprintln!("softphone: {file}: {error}");
            Ok(NO_ANSWER)
        }
        Err(LiveError::Account(error)) => bail!("{file}: {error}"),
    }
}

fn scenario(file: &Path, numbers: &[String]) -> Result<Scenario> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    let numbers = numbers.iter().map(|number| {
        let Some((name, number)) = number.split_once('=') else {
            bail!("--number {number}: give a name of the file and a number, as in alice=2001");
        };
        Ok((name, number))
    });
    let numbers = numbers.collect::<Result<Vec<_>>>()?;
    Ok(read_with(&name, &text, &numbers)?)
}

/// The ports of a text such as 16384-32767.
pub(super) fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let parsed =
        text.split_once('-').and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
    parsed
        .filter(|ports: &RangeInclusive<u16>| ports.end().saturating_sub(*ports.start()) >= 1)
        .ok_or_else(|| "give the first and the last port, as in 16384-32767".to_owned())
}

/// The 32 bytes that a number stands for.
fn seed_of(number: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    seed
}
