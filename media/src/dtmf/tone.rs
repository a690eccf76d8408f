//! Digits as sound: two sines of the groups of ITU-T Q.23, with rounded edges.
//!
//! Levels are −10 dBm0 for the low group and −8 dBm0 for the high one unless told otherwise: the 2 dB make up for lines that
//! weaken high tones. Each tone swells and fades along half a cosine of 5 ms, so that it does not click. Keys keep the
//! shortest durations and pauses of Q.24 and wait in a bounded queue. The flash has no tone: it is a silence of its duration.
//!
//! Left out on purpose: mixing with sound. A key takes the place of what was said during it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::queue::{MIN_PAUSE, Queue, QueueFull, Stroke};
use super::{Digit, Heard};
use crate::source::{Oscillator, amplitude, edge_gain, edge_samples};

/// The low group in hertz, by row.
pub(super) const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// The high group in hertz, by column.
pub(super) const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// The levels of both groups.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToneLevels {
    /// The low group in dBm0.
    pub low: f32,
    /// The high group in dBm0.
    pub high: f32,
}

impl Default for ToneLevels {
    fn default() -> Self {
        Self { low: -10.0, high: -8.0 }
    }
}

/// Plays keys as tones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToneGenerator {
    rate: u32,
    /// Peaks of the low and the high tone.
    peaks: (f32, f32),
    queue: Queue,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Idle,
    /// A key sounds: its tones, the samples played, and where it ends once that is known.
    Sounding {
        tones: Option<(Oscillator, Oscillator)>,
        played: u64,
        end: Option<u64>,
    },
    /// Samples of pause that are left.
    Pausing {
        left: u64,
    },
}

impl ToneGenerator {
    /// A generator for `rate` samples per second, 8000 to 48 000.
    #[must_use]
    pub fn new(rate: u32, levels: ToneLevels) -> Self {
        let peaks = (amplitude(levels.low), amplitude(levels.high));
        Self { rate, peaks, queue: Queue::default(), state: State::Idle }
    }

    /// Goes on at another rate. A key that sounds begins anew.
    pub(crate) fn retune(&mut self, rate: u32) {
        self.state = match self.state {
            State::Idle | State::Sounding { .. } => State::Idle,
            State::Pausing { left } => {
                State::Pausing { left: left * u64::from(rate) / u64::from(self.rate.max(1)) }
            }
        };
        self.rate = rate;
    }

    /// Queues a whole digit.
    ///
    /// # Errors
    /// [`QueueFull`] when too many wait; it was not taken.
    pub fn push(&mut self, digit: Digit) -> Result<(), QueueFull> {
        self.queue.push(digit)
    }

    /// Plays a key that another leg hears, while it hears it.
    ///
    /// # Errors
    /// [`QueueFull`] when too many wait; its end will be ignored.
    pub fn handle(&mut self, heard: Heard) -> Result<(), QueueFull> {
        self.queue.handle(heard)
    }

    /// Whoever holds keys is not heard any more: they go up.
    pub fn release(&mut self) {
        self.queue.release();
    }

    /// Whether nothing sounds and nothing waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle && self.queue.front().is_none()
    }

    /// Writes tones and pauses over `samples`, mono, any number. Where no key is to be heard they stay as they are. Gives
    /// whether anything was written. Allocates nothing; some 10 ns per sample of tone.
    pub fn fill(&mut self, samples: &mut [i16]) -> bool {
        let mut rest = samples;
        let mut wrote = false;
        while !rest.is_empty() {
            let length = rest.len();
            let used = match self.state {
                State::Idle => match self.queue.front() {
                    Some(stroke) => {
                        self.state = State::Sounding { tones: self.tones(stroke), played: 0, end: None };
                        continue;
                    }
                    None => break,
                },
                State::Sounding { .. } => self.sound(rest),
                State::Pausing { left } => {
                    let used = length.min(usize::try_from(left).unwrap_or(length));
                    rest.iter_mut().take(used).for_each(|sample| *sample = 0);
                    let left = left - used as u64;
                    self.state = if left == 0 { State::Idle } else { State::Pausing { left } };
                    used
                }
            };
            wrote = true;
            rest = rest.get_mut(used..).unwrap_or_default();
        }
        wrote
    }

    /// Plays the key in front until it is over or there is no more room; gives the samples written.
    fn sound(&mut self, samples: &mut [i16]) -> usize {
        let (State::Sounding { mut tones, mut played, end }, Some(stroke)) = (self.state, self.queue.front())
        else {
            self.state = State::Idle;
            return 0;
        };
        let length = self.samples(stroke.length());
        // A key that is released only now still needs its fading edge.
        let end =
            end.or_else(|| stroke.duration.map(|_| length.max(played + u64::from(edge_samples(self.rate)))));
        let length = end.unwrap_or(length);
        let mut used = 0;
        for sample in samples {
            if played >= length {
                break;
            }
            let loudness = edge_gain(played, length, self.rate);
            let value = tones
                .as_mut()
                .map_or(0.0, |(low, high)| self.peaks.0 * low.sample() + self.peaks.1 * high.sample());
            *sample = (value * loudness).round() as i16;
            played += 1;
            used += 1;
        }
        self.state = if played >= length {
            self.queue.pop();
            State::Pausing { left: self.samples(MIN_PAUSE).max(1) }
        } else {
            State::Sounding { tones, played, end }
        };
        used
    }

    fn tones(&self, stroke: Stroke) -> Option<(Oscillator, Oscillator)> {
        let (row, column) = stroke.code.key()?;
        let tone =
            |group: &[f32; 4], index: usize| group.get(index).map(|hertz| Oscillator::new(*hertz, self.rate));
        tone(&ROWS, row).zip(tone(&COLUMNS, column))
    }

    fn samples(&self, duration: Duration) -> u64 {
        (duration.as_nanos() * u128::from(self.rate) / 1_000_000_000) as u64
    }
}
