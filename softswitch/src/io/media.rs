//! The core's way to the media threads: commands that its ring has no room for wait here, bounded.
//!
//! Not every report of the thread wakes the core. What closed legs counted is looked for [`LOOK_AFTER`] the first of them
//! was closed, if nothing else wakes the core before; other news wait for the look once a second at the latest.
//!
//! Overflow: while commands wait, new legs are refused, so that nothing is added but what ends or changes legs that
//! are up. What is beyond [`WAITING`] even so is dropped and counted.
//!
//! How busy the threads are and how late they tick is told in the log once a minute, and at once when they leave out ticks or
//! have no time for new legs.

use crate::config;
use crate::prompts::built_in_sound;
use core::time::Duration;
use media::io::{BuiltIn, MediaConfig, MediaHandle, ThreadLoad, Urgency};
use media::{Average, CodecKind, Command, RefusalReason, Report};
use sip_stack::Time;
use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::thread::available_parallelism;
use tracing::{error, info, warn};

/// Commands that may wait: some for each leg of as many calls as ports allow.
const WAITING: usize = 262_144;

/// When to look for the figures of closed legs.
const LOOK_AFTER: Duration = Duration::from_millis(20);

/// Looks, once a second, between two accounts of the threads in the log.
const LOOKS: u32 = 60;

/// The handle and what waits for it.
pub(super) struct Media {
    handle: MediaHandle,
    /// Ports and silence that the threads have not been told of yet.
    tuning: Option<(RangeInclusive<u16>, Duration)>,
    waiting: VecDeque<Command>,
    dropped: u64,
    unannounced: bool,
    look_at: Option<Time>,
    looks: u32,
    /// Times that calls or rooms were moved to another thread since the last account.
    moved: u32,
    told: Told,
}

/// What of the threads is in the log.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    ticks_left_out: u64,
    legs_refused: u64,
}

impl Media {
    /// Starts the media thread.
    pub(super) fn start(
        config: &config::Media,
        seed: [u8; 32],
        on_report: impl Fn(Urgency) + Clone + Send + 'static,
    ) -> io::Result<Media> {
        let (ports, silence) = tuning(config);
        let built_in = BuiltIn(built_in_sound);
        let config =
            MediaConfig { silence, threads: threads(config.threads), built_in, ..MediaConfig::new(ports) };
        let handle = ::media::io::start(config, seed, on_report)?;
        Ok(Media {
            handle,
            tuning: None,
            waiting: VecDeque::new(),
            dropped: 0,
            unannounced: false,
            look_at: None,
            looks: 0,
            moved: 0,
            told: Told::default(),
        })
    }

    /// Takes over what of a configuration does not need new threads, as soon as they have room for it.
    pub(super) fn tune(&mut self, config: &config::Media) {
        self.tuning = Some(tuning(config));
        self.try_to_tune();
    }

    fn try_to_tune(&mut self) {
        let handle = &mut self.handle;
        self.tuning.take_if(|(ports, silence)| handle.tune(ports, *silence).is_ok());
    }

    /// Takes a command; returns the answer if there is one at once.
    pub(super) fn send(&mut self, now: Time, command: Command) -> Option<Report> {
        if let Command::Close { .. } = command {
            self.look_at.get_or_insert(now + LOOK_AFTER);
        }
        let refused = if self.waiting.is_empty() {
            match self.handle.send(command) {
                Ok(answer) => {
                    self.unannounced |= answer.is_none();
                    return answer;
                }
                Err(full) => *full.0,
            }
        } else {
            command
        };
        if let Command::Open { legs } = refused {
            let legs = legs.iter().map(|(leg, _)| *leg).collect();
            // EAGAIN: come again later.
            return Some(Report::Refused { legs, reason: RefusalReason::Os { errno: 11 } });
        }
        if self.waiting.len() < WAITING {
            self.waiting.push_back(refused);
        } else {
            self.dropped += 1;
            if self.dropped.is_power_of_two() {
                error!(dropped = self.dropped, "media commands dropped: the media thread does not keep up");
            }
        }
        None
    }

    /// Moves on what waits and wakes the thread, once per turn of the loop.
    pub(super) fn wake(&mut self) {
        if self.tuning.is_some() {
            self.try_to_tune();
        }
        while let Some(command) = self.waiting.pop_front() {
            // Only commands without an answer wait.
            if let Err(full) = self.handle.send(command) {
                self.waiting.push_front(*full.0);
                break;
            }
        }
        if core::mem::take(&mut self.unannounced) || !self.waiting.is_empty() {
            self.handle.wake();
        }
    }

    /// Whether commands wait for room.
    pub(super) fn is_crowded(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When to look for reports that wake nobody.
    pub(super) const fn poll_timeout(&self) -> Option<Time> {
        self.look_at
    }

    /// Evens out the threads, and tells how they do, when it is time or something is wrong. Called once a second.
    pub(super) fn watch(&mut self) {
        if self.handle.balance() {
            self.moved += 1;
        }
        let ticks_left_out = self.handle.loads().map(|load| load.ticks_left_out).sum();
        let told = Told { ticks_left_out, legs_refused: self.handle.overflows().legs_refused };
        self.looks += 1;
        if told != self.told {
            warn!(told.ticks_left_out, told.legs_refused, "media threads do not keep up");
            self.told = told;
        } else if self.looks < LOOKS {
            return;
        }
        self.looks = 0;
        for (thread, load) in self.handle.loads().enumerate().filter(|(_, load)| load.load > 0) {
            tell(thread, &load);
        }
        if self.moved > 0 {
            info!(times = self.moved, "media threads were evened out");
            self.moved = 0;
        }
    }

    /// Reports have been looked for.
    pub(super) fn handle_look(&mut self, now: Time) {
        self.look_at = self.look_at.filter(|at| *at > now);
    }

    /// The next report.
    pub(super) fn poll_report(&mut self) -> Option<Report> {
        self.handle.poll_report()
    }

    /// Whether the thread is alive.
    pub(super) fn is_running(&self) -> bool {
        self.handle.is_running()
    }

    /// Stops the thread and closes its ports.
    pub(super) fn stop(self) {
        self.handle.stop();
    }
}

/// Ports and silence as the threads have them.
fn tuning(config: &config::Media) -> (RangeInclusive<u16>, Duration) {
    let silence = config.silence_s.map_or(Duration::MAX, |seconds| Duration::from_secs(seconds.into()));
    (config.ports.first..=config.ports.last, silence)
}

/// As many as configured, or one for each core but the one of the signalling.
fn threads(configured: Option<u32>) -> NonZeroUsize {
    let configured = configured.and_then(|threads| NonZeroUsize::new(threads as usize));
    configured.unwrap_or_else(|| {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        NonZeroUsize::new(cores - 1).unwrap_or(NonZeroUsize::MIN)
    })
}

fn tell(thread: usize, load: &ThreadLoad) {
    let tick_us = load.tick_time.as_micros() / u128::from(load.ticks.max(1));
    let late_us = load.lateness.not_above(999);
    let (busy, left_out) = (format!("{}.{} %", load.load / 10, load.load % 10), load.ticks_left_out);
    let (lost, costs) = (load.lost_frames, costs(load));
    info!(thread, busy, load.ticks, tick_us, late_us, left_out, lost, costs, "media thread");
}

/// What packets and members of rooms were measured to take, in microseconds; of a codec, to decode and to encode.
fn costs(load: &ThreadLoad) -> String {
    let us = |average: Average| format!("{}.{}", average.ns() / 1_000, average.ns() / 100 % 10);
    let single =
        [("relay", load.packet), ("receive", load.received), ("send", load.sent), ("mix", load.costs.mix)];
    let single = single.into_iter().filter(|(_, average)| average.ns() > 0);
    let mut costs: Vec<String> = single.map(|(name, average)| format!("{name} {}", us(average))).collect();
    for kind in CodecKind::ALL {
        let (says, hears) = (load.costs.say[kind.index()], load.costs.hear[kind.index()]);
        if says.ns() > 0 {
            costs.push(format!("{} {}+{}", kind.name(), us(says), us(hears)));
        }
    }
    costs.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_told_in_microseconds_as_far_as_they_are_known() {
        let mut load = ThreadLoad { received: Average::from_ns(2_950), ..ThreadLoad::default() };
        assert_eq!(costs(&ThreadLoad::default()), "");
        load.costs.say[CodecKind::Opus.index()] = Average::from_ns(18_020);
        load.costs.hear[CodecKind::Opus.index()] = Average::from_ns(66_800);
        assert_eq!(costs(&load), "receive 2.9, opus 18.0+66.8");
    }
}
