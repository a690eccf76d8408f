//! How long nobody is heard when a call moves, on loopback: `cargo run --release -p tests --example gaps -- [--times 50] [--kind NAME]`, with the
//! switch built in the same profile before.
//!
//! A line for each kind with the gap from the answer of the new phone on; it ends with 1 if a bar was not kept.

use softphone::io::{LiveConfig, play_live};
use softphone::scenario::network::Faults;
use std::process::ExitCode;
use tests::gaps::{BAR, Kind, of, percentile, scenario};
use tests::sim::stage;
use tests::switch::Switch;

/// RTP ports of our phones.
const RTP_PORTS: u16 = 40;

fn main() -> ExitCode {
    let argument = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let times = argument("--times").map_or(50, |times| times.parse().expect("a number"));
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    println!(
        "profile {profile}, loopback, {times} of each; milliseconds from the answer of the new phone on"
    );
    let mut kept = true;
    for kind in Kind::ALL {
        if argument("--kind").is_some_and(|name| !kind.word().contains(&*name)) {
            continue;
        }
        let (scenario, gaps) = scenario(kind, times);
        let mut switch = Switch::start_with(&stage::domains(&scenario));
        let first = switch.ports.udp(RTP_PORTS);
        let draw = u64::from(std::process::id()) << 8 | kind as u64;
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&draw.to_be_bytes());
        let config = LiveConfig {
            host: switch.address().ip().to_string(),
            port: switch.address().port(),
            domain: Some(stage::DOMAIN.to_owned()),
            password: None,
            rtp_ports: first..=first + RTP_PORTS - 1,
            faults: Faults::NONE,
            stretch: 5,
            seed,
            lots: [7; 32],
        };
        let report = play_live(&scenario, &config).expect("the phones have sockets");
        switch.stop();
        if report.failure.is_some() {
            println!("{:28} {report}", kind.word());
            kept = false;
            continue;
        }
        let found = of(&report, &gaps);
        let ms = |percent| percentile(&found, percent).as_secs_f64() * 1e3;
        let is_kept = percentile(&found, 99) <= BAR;
        kept &= is_kept;
        let verdict = if is_kept { "" } else { "  NOT KEPT" };
        println!(
            "{:28} p50 {:5.0}  p99 {:5.0}  longest {:5.0}{verdict}",
            kind.word(),
            ms(50),
            ms(99),
            ms(100)
        );
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
