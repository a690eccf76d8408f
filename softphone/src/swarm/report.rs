//! How it went: what was expected, what was seen, and the figures. `Display` for people, `Serialize` for programs.

use super::figures::{Spread, Tally};
use super::plan::{Limits, Plan};
use core::fmt;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How late 99 of 100 packets may be sent, one packet, for the figures to be the server's and not the swarm's.
const PACING: Duration = Duration::from_millis(20);

/// One expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expectation {
    /// Its name.
    pub name: &'static str,
    /// Whether it came true.
    pub passed: bool,
    /// What was expected.
    pub wanted: String,
    /// What was seen.
    pub seen: String,
}

/// A spread in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SpreadMs {
    /// How many were measured.
    pub count: u64,
    /// Half of them are not above it.
    pub p50: f64,
    /// 95 of a hundred.
    pub p95: f64,
    /// 99 of a hundred.
    pub p99: f64,
    /// None is.
    pub max: f64,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Whether every expectation came true.
    pub passed: bool,
    /// The expectations.
    pub expectations: Vec<Expectation>,
    /// Seconds it took, registering and leaving included.
    pub took_s: f64,
    /// Seconds of processor time of the swarm itself, where the system tells.
    pub processor_s: Option<f64>,
    /// Phones, and those that were registered.
    pub phones: u64,
    /// Of these.
    pub registered: u64,
    /// Why registering failed, and how often; it may have worked later.
    pub registration_failures: BTreeMap<Box<str>, u64>,
    /// Calls of two that began, were connected, and ended as planned.
    pub calls: u64,
    /// Of these.
    pub calls_connected: u64,
    /// Of these.
    pub calls_completed: u64,
    /// Phones that went into rooms, came in, and left as planned.
    pub joins: u64,
    /// Of these.
    pub joined: u64,
    /// Of these.
    pub left: u64,
    /// What went wrong, and how often.
    pub failures: BTreeMap<Box<str>, u64>,
    /// Ears that were judged.
    pub ears: u64,
    /// Those that heard whom they should and nobody else.
    pub ears_right: u64,
    /// Some of the others.
    pub ear_faults: Vec<Box<str>>,
    /// Lamps that were looked at during calls.
    pub lamps: u64,
    /// Those that showed the call.
    pub lamps_right: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets that came.
    pub received: u64,
    /// RTP packets that are known not to have come.
    pub lost: u64,
    /// Of a hundred.
    pub lost_percent: f64,
    /// Packets that came with the stamp they were sent with.
    pub stamped: u64,
    /// Packets of calls of two that strangers had sent.
    pub strange: u64,
    /// From dialling to the answer.
    pub setup_ms: SpreadMs,
    /// From a packet's sending to its arrival, where it is relayed as it is.
    pub one_way_ms: SpreadMs,
    /// From a tone's beginning at the mouth to that at the ear.
    pub mouth_to_ear_ms: SpreadMs,
    /// From the answer to the lamp of somebody else.
    pub lamp_ms: SpreadMs,
    /// How late the swarm sent.
    pub late_ms: SpreadMs,
}

impl SpreadMs {
    fn of(spread: &Spread) -> SpreadMs {
        let ms = |us: u64| us as f64 / 1_000.0;
        let percentile = |percent| ms(spread.percentile_us(percent));
        SpreadMs {
            count: spread.count(),
            p50: percentile(50.0),
            p95: percentile(95.0),
            p99: percentile(99.0),
            max: ms(spread.max_us()),
        }
    }
}

impl Report {
    /// Of what was counted.
    pub fn new(plan: &Plan, tally: Tally, took: Duration, processor: Option<Duration>) -> Report {
        let lost_percent = 100.0 * tally.lost as f64 / (tally.received + tally.lost).max(1) as f64;
        let expectations = expectations(plan, &tally, lost_percent);
        Report {
            passed: expectations.iter().all(|expectation| expectation.passed),
            expectations,
            took_s: took.as_secs_f64(),
            processor_s: processor.map(|time| time.as_secs_f64()),
            phones: tally.phones,
            registered: tally.registered,
            registration_failures: tally.not_registered,
            calls: tally.calls,
            calls_connected: tally.connected,
            calls_completed: tally.completed,
            joins: tally.joins,
            joined: tally.joined,
            left: tally.left,
            failures: tally.failures,
            ears: tally.ears,
            ears_right: tally.ears_right,
            ear_faults: tally.ear_faults,
            lamps: tally.lamps,
            lamps_right: tally.lamps_right,
            sent: tally.sent,
            received: tally.received,
            lost: tally.lost,
            lost_percent,
            stamped: tally.stamped,
            strange: tally.strange,
            setup_ms: SpreadMs::of(&tally.setup),
            one_way_ms: SpreadMs::of(&tally.one_way),
            mouth_to_ear_ms: SpreadMs::of(&tally.mouth_to_ear),
            lamp_ms: SpreadMs::of(&tally.lamp),
            late_ms: SpreadMs::of(&tally.late),
        }
    }
}

fn expectations(plan: &Plan, tally: &Tally, lost_percent: f64) -> Vec<Expectation> {
    let all = |name, wanted: u64, seen: u64| Expectation {
        name,
        passed: seen == wanted,
        wanted: format!("all of {wanted}"),
        seen: seen.to_string(),
    };
    let Limits { loss_percent, setup, one_way, mouth_to_ear } = plan.limits;
    let mut expectations = vec![all("registered", tally.phones, tally.registered)];
    let calls = plan.calls.unwrap_or(tally.calls.max(1));
    if plan.pairs() > 0 && calls > 0 {
        expectations.push(all("calls connected", calls, tally.connected));
        expectations.push(all("calls ended as planned", calls, tally.completed));
    }
    if !plan.rooms.is_empty() {
        let members = plan.in_rooms() as u64;
        expectations.push(all("rooms joined", members, tally.joined));
        expectations.push(all("rooms left as planned", members, tally.left));
    }
    if plan.lamps {
        let lamps = all("lamps show who talks", tally.lamps, tally.lamps_right);
        expectations.push(Expectation { passed: lamps.passed && tally.lamps > 0, ..lamps });
    }
    let failures: u64 = tally.failures.values().sum();
    expectations.push(Expectation {
        name: "nothing else failed",
        passed: failures == 0,
        wanted: "0 failures".to_owned(),
        seen: failures.to_string(),
    });
    let ears = Expectation {
        passed: tally.ears > 0 && tally.ears_right == tally.ears,
        ..all("everybody hears whom they should and nobody else", tally.ears, tally.ears_right)
    };
    expectations.push(ears);
    expectations.push(Expectation {
        name: "loss",
        passed: tally.received > 0 && lost_percent <= loss_percent,
        wanted: format!("at most {loss_percent} % of the packets"),
        seen: format!("{lost_percent:.3} % of {}", tally.received + tally.lost),
    });
    let within = |name, percent: f64, limit: Duration, spread: &Spread| {
        let seen = Duration::from_micros(spread.percentile_us(percent));
        Expectation {
            name,
            passed: spread.count() > 0 && seen <= limit,
            wanted: format!("{percent} of 100 within {:.1} ms", limit.as_secs_f64() * 1e3),
            seen: format!("{:.1} ms, of {} measured", seen.as_secs_f64() * 1e3, spread.count()),
        }
    };
    let limits = [
        ("set-up", 95.0, setup, &tally.setup),
        ("one-way delay", 99.0, one_way, &tally.one_way),
        ("mouth to ear", 95.0, mouth_to_ear, &tally.mouth_to_ear),
        ("the swarm kept its own pace", 99.0, Some(PACING), &tally.late),
    ];
    expectations.extend(
        limits
            .into_iter()
            .filter_map(|(name, percent, limit, spread)| Some(within(name, percent, limit?, spread))),
    );
    expectations
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Expectation { name, passed, wanted, seen } in &self.expectations {
            let outcome = if *passed { "passed" } else { "FAILED" };
            writeln!(f, "{outcome}  {name}: {seen} (wanted: {wanted})")?;
        }
        for (what, spread) in [
            ("set-up", self.setup_ms),
            ("one-way delay", self.one_way_ms),
            ("mouth to ear", self.mouth_to_ear_ms),
            ("lamp", self.lamp_ms),
            ("sent late", self.late_ms),
        ] {
            let SpreadMs { count, p50, p95, p99, max } = spread;
            writeln!(
                f,
                "{what:<14} p50 {p50:>9.3}  p95 {p95:>9.3}  p99 {p99:>9.3}  max {max:>9.3} ms  of {count}"
            )?;
        }
        writeln!(f, "packets: {} sent, {} came, {} lost", self.sent, self.received, self.lost)?;
        if let Some(processor) = self.processor_s {
            writeln!(f, "took {:.1} s, {processor:.1} s of a processor", self.took_s)?;
        }
        for (what, reasons) in [("registering", &self.registration_failures), ("calling", &self.failures)] {
            for (why, times) in reasons {
                writeln!(f, "{what} failed {times} times: {why}")?;
            }
        }
        self.ear_faults.iter().try_for_each(|fault| writeln!(f, "heard: {}", fault.escape_debug()))
    }
}
