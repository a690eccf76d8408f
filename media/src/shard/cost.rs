//! What the work of rooms costs, measured where it is done: a few members in each tick, so that measuring costs next to nothing.
//!
//! The shard has no clock; whoever drives it hands one in ([`Stopwatch`]).

use serde::{Deserialize, Serialize};

use crate::codec::Codec;
use crate::time::Time;

/// One of so many members is measured in a tick, another one in the next.
const SAMPLED: u64 = 16;
/// Weight of what was measured before, against one for what is measured now.
const WEIGHT: u32 = 15;
/// What takes so many times as long as usual was interrupted, and counts for no more than that.
const INTERRUPTED: u32 = 4;

/// Tells the time while a tick runs.
pub trait Stopwatch {
    /// The time of now.
    fn read(&mut self) -> Time;
}

/// Tells no time: nothing is measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatch;

impl Stopwatch for NoWatch {
    fn read(&mut self) -> Time {
        Time::ZERO
    }
}

/// Codecs that cost alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CodecKind {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722,
    /// Opus, at whatever rate.
    Opus,
    /// Linear samples, at whatever rate.
    L16,
}

impl CodecKind {
    /// All, in order.
    pub const ALL: [Self; 5] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus, Self::L16];

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its encoding name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::L16 => "L16",
        }
    }
}

impl From<Codec> for CodecKind {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::Pcmu,
            Codec::Pcma => Self::Pcma,
            Codec::G722 => Self::G722,
            Codec::Opus { .. } => Self::Opus,
            Codec::L16 { .. } => Self::L16,
        }
    }
}

/// A running average, in nanoseconds; zero before anything is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Average(u32);

impl Average {
    /// Takes what `parts` pieces of the work took together.
    pub fn note(&mut self, from: Time, to: Time, parts: usize) {
        let each = to.since(from).as_nanos() / parts.max(1) as u128;
        // Without a clock no time passes.
        let Some(each) = u32::try_from(each).ok().filter(|each| *each > 0) else { return };
        let before = if self.0 == 0 { each } else { self.0 };
        let each = u64::from(each.min(before.saturating_mul(INTERRUPTED)));
        self.0 = ((u64::from(before) * u64::from(WEIGHT) + each) / u64::from(WEIGHT + 1)) as u32;
    }

    /// Nanoseconds of one piece; zero before anything is measured.
    #[must_use]
    pub const fn ns(self) -> u32 {
        self.0
    }

    /// As it was read before.
    #[must_use]
    pub const fn from_ns(ns: u32) -> Self {
        Self(ns)
    }
}

/// What a member of a room costs in a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Costs {
    /// By codec: taking its frame from the jitter buffer, decoding it, and bringing it to the rate of the room.
    pub say: [Average; 5],
    /// By codec: what it hears, brought to its rate, encoded and put into a packet.
    pub hear: [Average; 5],
    /// Its part of the mix.
    pub mix: Average,
}

/// Whether the member at `place` is measured in this tick.
pub(super) const fn is_sampled(place: usize, tick: u64) -> bool {
    (place as u64).wrapping_add(tick).is_multiple_of(SAMPLED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_follows_and_an_interruption_hardly_moves_it() {
        let mut average = Average::default();
        average.note(Time(5), Time(5), 1);
        assert_eq!(average.ns(), 0, "no time has passed");
        average.note(Time(0), Time(8_000), 8);
        assert_eq!(average.ns(), 1_000);
        average.note(Time(0), Time(20_000_000), 1);
        assert!((1_000..1_200).contains(&average.ns()), "{average:?}");
        for _ in 0..200 {
            average.note(Time(0), Time(3_000), 1);
        }
        assert!((2_900..=3_000).contains(&average.ns()), "{average:?}");
    }

    #[test]
    fn every_member_is_measured_in_turn() {
        for place in 0..100 {
            assert_eq!((0..32).filter(|tick| is_sampled(place, *tick)).count(), 2);
        }
    }

    #[test]
    fn kinds_stand_at_their_index() {
        for (at, kind) in CodecKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), at);
        }
    }
}
