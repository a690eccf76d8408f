//! `swarm`: load that listens.

use super::account::seed;
use super::scenario::ports;
use super::{DONE, NO_ANSWER, REFUSED};
use crate::config::host_and_port;
use crate::io::{SwarmError, SwarmTarget, run_swarm};
use crate::phone::{Codec, Password};
use crate::swarm::{Bye, Limits, Plan, Progress, users};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use std::io::{IsTerminal, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// The password of every phone.
const PASSWORD: &str = "SOFTPHONE_PASSWORD";

/// Who hangs up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Hangup {
    /// Who called.
    Caller,
    /// Who was called.
    Callee,
    /// The two in turn.
    Mixed,
}

/// What the swarm does. Times are in seconds.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The server: a name or an address, with a port if it is not 5060.
    #[arg(long, value_name = "HOST[:PORT]")]
    server: String,
    /// The SIP domain, if it is not the server.
    #[arg(long)]
    domain: Option<String>,
    /// The users: 1000..1999,2005. All have the password in SOFTPHONE_PASSWORD.
    #[arg(long)]
    users: String,
    /// Calls of two in all; without it, as many as begin within --duration.
    #[arg(long)]
    calls: Option<u64>,
    /// Calls and joins that begin in a second.
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// Calls of two at a time; without it, as many as there are pairs.
    #[arg(long)]
    concurrency: Option<usize>,
    /// How long two talk.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    talk: Duration,
    /// For how long the caller holds the other in the middle of it.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    hold: Duration,
    /// How long it rings.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    ring: Duration,
    /// Everybody in a pair is watched by somebody of another one, whose lamp has to show each call.
    #[arg(long)]
    lamps: bool,
    /// Who hangs up.
    #[arg(long, value_enum, default_value_t = Hangup::Mixed)]
    bye: Hangup,
    /// Rooms that the first of the users go into.
    #[arg(long, default_value_t = 0)]
    rooms: u32,
    /// The number of the first room; the others follow.
    #[arg(long, value_name = "NUMBER", default_value_t = 3_000)]
    first_room: u64,
    /// Phones in each room.
    #[arg(long, default_value_t = 10)]
    participants: usize,
    /// How many of them talk.
    #[arg(long, default_value_t = 3)]
    talkers: usize,
    /// How long calls go on to begin, and rooms stay once everybody is in.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    duration: Duration,
    /// What is offered and taken; opus and g722 need --whole.
    #[arg(long, default_value = "pcmu", value_parser = codec)]
    codec: Codec,
    /// What the second of each two offers and takes instead, so that the server has to transcode.
    #[arg(long, value_parser = codec)]
    other_codec: Option<Codec>,
    /// The whole voice for each call: jitter buffer, RTCP, any codec. It costs many times as much.
    #[arg(long)]
    whole: bool,
    /// Registrations that begin in a second.
    #[arg(long, default_value_t = 200.0)]
    register_rate: f64,
    /// The most that may be lost.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.1)]
    max_loss: f64,
    /// Within what 95 of 100 calls must be connected.
    #[arg(long, value_name = "MS")]
    max_setup: Option<u64>,
    /// Within what 99 of 100 packets must arrive, in calls of two that are relayed.
    #[arg(long, value_name = "MS")]
    max_one_way: Option<u64>,
    /// Within what 95 of 100 beginnings of a tone must be heard.
    #[arg(long, value_name = "MS")]
    max_mouth_to_ear: Option<u64>,
    /// Threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// UDP ports for sound.
    #[arg(long, value_name = "FIRST-LAST", default_value = "16384-32767", value_parser = ports)]
    rtp_ports: RangeInclusive<u16>,
    /// Write the report there, as JSON; it is written to standard output, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Lets a swarm loose.
pub(super) fn run(options: &Options) -> Result<u8> {
    let (host, port) = host_and_port(&options.server).with_context(|| {
        format!("--server {}: give a name or an address, and a port up to 65535", options.server)
    })?;
    let plan = plan(options)?;
    plan.check()?;
    let password =
        std::env::var(PASSWORD).with_context(|| format!("no password of the users: set {PASSWORD}"))?;
    let target = SwarmTarget {
        host,
        port,
        domain: options.domain.clone(),
        password: Password(password.into()),
        rtp_ports: options.rtp_ports.clone(),
        threads: usize::from(options.threads),
        seed: seed()?,
    };
    let report = match run_swarm(&plan, &target, tell) {
        Ok(report) => report,
        Err(error @ SwarmError::Udp(_)) => {
            eprintln!("softphone: {error}");
            return Ok(NO_ANSWER);
        }
        Err(error @ (SwarmError::Account(_) | SwarmError::System(_))) => return Err(error.into()),
        Err(error @ (SwarmError::Ports { .. } | SwarmError::Files { .. })) => return Err(error.into()),
    };
    eprint!("{}{report}", if std::io::stderr().is_terminal() { "\r" } else { "" });
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(file) = &options.json {
        std::fs::write(file, format!("{json}\n"))
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    // Whoever reads it may have gone.
    let _closed = writeln!(std::io::stdout(), "{json}");
    Ok(match (report.passed, report.registered) {
        (true, _) => DONE,
        (false, 0) => NO_ANSWER,
        (false, _) => REFUSED,
    })
}

fn plan(options: &Options) -> Result<Plan> {
    let ms = |ms: Option<u64>| ms.map(Duration::from_millis);
    let users = users(&options.users)?;
    let plan = Plan {
        rooms: (options.first_room..).take(options.rooms as usize).collect(),
        participants: options.participants,
        talkers: options.talkers.min(options.participants),
        calls: options.calls,
        rate: options.rate,
        concurrency: options.concurrency.unwrap_or(users.len() / 2),
        talk: options.talk,
        hold: options.hold,
        ring: options.ring,
        lamps: options.lamps,
        bye: match options.bye {
            Hangup::Caller => Bye::Caller,
            Hangup::Callee => Bye::Callee,
            Hangup::Mixed => Bye::Mixed,
        },
        duration: options.duration,
        codec: options.codec,
        other_codec: options.other_codec,
        whole: options.whole,
        register_rate: options.register_rate,
        limits: Limits {
            loss_percent: options.max_loss,
            setup: ms(options.max_setup),
            one_way: ms(options.max_one_way),
            mouth_to_ear: ms(options.max_mouth_to_ear),
        },
        users,
    };
    Ok(plan)
}

/// One line, written over where it is a terminal.
fn tell(since: Duration, progress: Progress) {
    let Progress { registered, talking, calls, failed, received, lost } = progress;
    let line = format!(
        "{:>4} s  {registered} registered, {talking} in calls, {calls} calls, {failed} failed, {received} packets, {lost} lost",
        since.as_secs()
    );
    let mut stderr = std::io::stderr();
    let end = if stderr.is_terminal() { "\r" } else { "\n" };
    // Nobody may be looking.
    let _closed = write!(stderr, "{line}{end}").and_then(|()| stderr.flush());
}

fn codec(text: &str) -> Result<Codec, String> {
    Codec::from_name(text).ok_or_else(|| format!("give one of {}", Codec::ALL.map(Codec::name).join(", ")))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "give a number of seconds from 0 on".to_owned())
}
