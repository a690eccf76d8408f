//! The switch is killed twenty times with 200 recorded calls and 500 registrations, and started again: what is left.
//!
//!     cargo build --release -p softswitch && cargo run --release -p benches --example crash
//!
//! `--kills`, `--calls` and `--phones` change the numbers, `--to FILE` writes what is told to a file as well, `--port` is the port of the switch, whose
//! RTP ports follow it. One line for each kill; it
//! ends with 1 if a bar was not kept.

use benches::crash::{Crowd, Plan, Round, Times, beside};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// The bars of times.
const BARS: Times = Times { answered: Duration::from_secs(1), end_off_ms: 5_000, missing_ms: 1_000 };

/// Prints a line, and remembers it.
fn tell(told: &mut String, line: &str) {
    println!("{line}");
    let _infallible = writeln!(told, "{line}");
}

fn main() -> ExitCode {
    let mut told = String::new();
    let number = |name: &str, usual: usize| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
        arguments.next().map_or(usual, |value| value.parse().expect("a number"))
    };
    let (kills, calls, phones) = (number("--kills", 20), number("--calls", 200), number("--phones", 500));
    let port = number("--port", 23_000) as u16;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let here = std::env::current_exe().expect("a program knows where it is");
    let plan = Plan {
        binary: beside(&here).expect("the switch was built in the same profile"),
        folder: folder.path().to_owned(),
        port,
        media: (port + 2, port + 2 + 4 * calls as u16 + 99),
        calls,
        phones: phones.max(2 * calls),
        talk: Duration::from_secs(3),
    };
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let what = format!(
        "{kills} kills with {calls} recorded calls and {} registrations, profile {profile}",
        plan.phones
    );
    tell(&mut told, &what);
    plan.configure();
    let mut running = plan.start();
    tell(&mut told, &format!("first start: answered after {} ms", running.answered.as_millis()));
    let mut crowd = Crowd::new(&plan);
    crowd.register_all();
    let mut rounds: Vec<Round> = Vec::new();
    for kill in 1..=kills {
        let round;
        (running, round) = plan.round(&mut crowd, running);
        tell(&mut told, &format!("{kill:3}  {round}"));
        for fault in round.faults(Some(BARS)) {
            tell(&mut told, &format!("     NOT KEPT  {fault}"));
        }
        rounds.push(round);
    }
    running.stop();
    let slowest = rounds.iter().map(|round| round.answered.as_millis()).max().unwrap_or(0);
    let off = rounds.iter().map(|round| round.end_off_ms).max().unwrap_or(0);
    let missing = rounds.iter().map(|round| round.missing_ms).max().unwrap_or(0);
    let kept = rounds.iter().filter(|round| round.faults(Some(BARS)).is_empty()).count();
    let worst = format!(
        "slowest answer {slowest} ms, end off {off} ms at most, recordings lack {missing} ms at most"
    );
    tell(&mut told, &worst);
    tell(&mut told, &format!("{kept} of {kills} kills kept every bar"));
    if let Some(file) = std::env::args().skip_while(|argument| argument != "--to").nth(1) {
        std::fs::write(file, told).expect("the file can be written");
    }
    if kept == kills { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
