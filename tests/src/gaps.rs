//! How long nobody is heard when a call moves: from one phone of a user to another, by a transfer, when it is picked up, and when it is
//! retrieved.
//!
//! A scenario does each of them again and again, and says when a phone answers and when the two who talk then hear each other. Phones answer
//! themselves, so the moment of the answer is the one in which the answer leaves the phone; a phone whose call another one takes over has answered
//! nobody, and what counts for it is the moment at which it calls. Two hear each other when each has heard the other's tone in five frames
//! of 20 ms: the first of those came four frames before, and that is when the gap ended.

use softphone::scenario::{Report, Scenario, read};
use std::time::Duration;

/// Frames with a tone after which it counts as heard.
const HEARD: u32 = 5;
/// How long each is.
const FRAME: Duration = Duration::from_millis(20);
/// The bar, from the answer of the new phone on.
pub const BAR: Duration = Duration::from_millis(150);

/// What makes a call move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A code on another phone of the same user.
    TakeOver,
    /// A blind transfer.
    Transfer,
    /// An attended transfer.
    Attended,
    /// A call that rings elsewhere.
    Pickup,
    /// A parked call.
    Retrieve,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::TakeOver, Kind::Transfer, Kind::Attended, Kind::Pickup, Kind::Retrieve];

    /// Its name in a table.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Kind::TakeOver => "taken over by another phone",
            Kind::Transfer => "blind transfer",
            Kind::Attended => "attended transfer",
            Kind::Pickup => "pickup",
            Kind::Retrieve => "retrieved from a slot",
        }
    }

    /// One of it, from an idle world to an idle world. The line with `!` begins the gap, the one after it ends it.
    const fn steps(self) -> &'static str {
        match self {
            Kind::TakeOver => {
                "alice calls bob\ndesk rings\ndesk answers\nalice and desk hear each other for 400 ms\n!mobile calls *9\n\
                 alice and mobile hear each other\nalice hangs up\nmobile is idle\ndesk is idle\nwait 400 ms\n"
            }
            Kind::Transfer => {
                "alice calls bob\ndesk rings\ndesk answers\nalice and desk hear each other for 400 ms\ndesk transfers alice to carol\n\
                 carol rings\n!carol answers\nalice and carol hear each other\ncarol hangs up\nalice is idle\ndesk is idle\nwait 400 ms\n"
            }
            Kind::Attended => {
                "alice calls bob\ndesk rings\ndesk answers\nalice and desk hear each other for 400 ms\ndesk holds alice\ndesk calls carol\n\
                 carol rings\ncarol answers\ndesk and carol hear each other for 400 ms\n!desk joins alice and carol\n\
                 alice and carol hear each other\ncarol hangs up\nalice is idle\ndesk is idle\nwait 400 ms\n"
            }
            Kind::Pickup => {
                "alice calls bob\ndesk rings\n!carol calls **1002\nalice and carol hear each other\ncarol hangs up\nalice is idle\n\
                 desk is idle\nwait 400 ms\n"
            }
            Kind::Retrieve => {
                "alice calls bob\ndesk rings\ndesk answers\nalice and desk hear each other for 400 ms\ndesk transfers alice to 705\n\
                 desk is idle\nalice hears music for 400 ms\n!carol calls 705\nalice and carol hear each other\ncarol hangs up\n\
                 alice is idle\nwait 400 ms\n"
            }
        }
    }
}

/// A scenario that does it so many times, and the lines where gaps begin and end.
///
/// # Panics
/// Never: it is written here.
#[must_use]
pub fn scenario(kind: Kind, times: usize) -> (Scenario, Vec<(u32, u32)>) {
    let mut text = format!(
        "scenario {}\nphone alice 1001\nphone desk 1002\nphone mobile 1002\nphone carol 1003\nnumber bob 1002\n\n",
        kind.word()
    );
    let mut gaps = Vec::new();
    for _ in 0..times {
        for step in kind.steps().lines() {
            let line = u32::try_from(text.lines().count()).unwrap_or(u32::MAX) + 1;
            if step.starts_with('!') {
                gaps.push((line, line + 1));
            }
            text += step.trim_start_matches('!');
            text.push('\n');
        }
    }
    let read = read("gaps", &text);
    (read.unwrap_or_else(|errors| panic!("{errors}")), gaps)
}

/// The gaps of a run, shortest first.
#[must_use]
pub fn of(report: &Report, gaps: &[(u32, u32)]) -> Vec<Duration> {
    let at = |line: u32| report.moments.iter().find(|(known, _)| *known == line).map(|(_, at)| *at);
    let gap = |(begins, ends): &(u32, u32)| {
        let heard = at(*ends)?.saturating_sub(at(*begins)?);
        Some(heard.saturating_sub(FRAME * (HEARD - 1)))
    };
    let mut found: Vec<Duration> = gaps.iter().filter_map(gap).collect();
    found.sort_unstable();
    found
}

/// The one below which so many of a hundred are.
#[must_use]
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}
