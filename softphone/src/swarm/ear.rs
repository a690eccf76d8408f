//! The ear of a phone in a swarm: which tones are in a frame, when they begin, and which packets are missing.

use super::tone::GAP;
use crate::scenario::meter::{FRAME, RATE, TONES};
use media::rtp::{SequenceTracker, Sequenced, Ssrc};
use media::source::amplitude;
use sip_stack::Time;
use std::f32::consts::TAU;
use std::time::Duration;

/// How many tones there are.
pub(super) const COUNT: usize = TONES.len();
/// A tone is there from this level on: 10 dB below that of who talks, and above what the edges of others spill.
const LOUD_DBM0: f32 = -26.0;
/// Below it a tone is certainly not there, which it must be before it can begin.
const QUIET_DBM0: f32 = -36.0;
/// Frames of quiet before a beginning: less than the gap, for a loss may swallow some.
const QUIET_FRAMES: u32 = GAP as u32 - 2;
const FRAME_TIME: Duration = Duration::from_millis(20);

/// Goertzel's filter for every tone at once; the frames of 20 ms make it exact (see the meter of scenarios).
#[derive(Debug)]
pub(super) struct Bank {
    filters: [f32; COUNT],
    loud: f32,
    quiet: f32,
}

impl Bank {
    pub(super) fn new() -> Bank {
        let power = |dbm0: f32| amplitude(dbm0).powi(2) / 2.0;
        Bank {
            filters: TONES.map(|hertz| 2.0 * (TAU * hertz as f32 / RATE as f32).cos()),
            loud: power(LOUD_DBM0),
            quiet: power(QUIET_DBM0),
        }
    }

    /// The mean square of each tone in a frame.
    fn powers(&self, frame: impl Iterator<Item = f32>) -> [f32; COUNT] {
        let (mut one, mut two) = ([0f32; COUNT], [0f32; COUNT]);
        for sample in frame {
            for ((filter, one), two) in self.filters.iter().zip(&mut one).zip(&mut two) {
                let next = sample + filter * *one - *two;
                *two = core::mem::replace(one, next);
            }
        }
        let scale = 2.0 / (FRAME * FRAME) as f32;
        let mut powers = [0f32; COUNT];
        for (((power, filter), one), two) in powers.iter_mut().zip(&self.filters).zip(&one).zip(&two) {
            *power = scale * (one * one + two * two - filter * one * two);
        }
        powers
    }
}

/// What one tone did lately.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// Frames of quiet in a row.
    quiet: u32,
    /// It began in the last frame: when that began, and how strong it was.
    rising: Option<(Time, f32)>,
}

/// What a phone hears in a call.
#[derive(Debug, Default)]
pub(super) struct Ear {
    listening: Option<Time>,
    /// For how long it listened, before it was interrupted.
    listened: Duration,
    frames: u64,
    loud: [u64; COUNT],
    heard: [Heard; COUNT],
    /// What talkers had said when it began to listen.
    base: [u64; COUNT],
    /// Frames of each tone that it should have heard.
    expected: [u64; COUNT],
    /// RTP packets as they came.
    pub(super) packets: Packets,
    /// Packets that came with their stamp, and those of strangers.
    pub(super) stamps: Numbers,
    pub(super) strange: u64,
}

impl Ear {
    /// From now on what comes counts. `spoken`: the frames that whoever has a tone has said so far.
    pub(super) fn listen(&mut self, now: Time, spoken: [u64; COUNT]) {
        self.listening = Some(now);
        self.base = spoken;
    }

    /// What comes counts no more.
    pub(super) fn pause(&mut self, now: Time, spoken: [u64; COUNT]) {
        let Some(since) = self.listening.take() else { return };
        self.listened += now.since(since);
        self.heard = [Heard::default(); COUNT];
        for ((expected, spoken), base) in self.expected.iter_mut().zip(spoken).zip(self.base) {
            *expected += spoken.saturating_sub(base);
        }
    }

    /// A frame that begins to be heard now. `begun` is told the place of every tone that began, and when.
    pub(super) fn handle_frame(
        &mut self,
        now: Time,
        bank: &Bank,
        frame: impl Iterator<Item = f32>,
        mut begun: impl FnMut(usize, Time),
    ) {
        if self.listening.is_none() {
            return;
        }
        self.frames += 1;
        let powers = bank.powers(frame);
        for (place, (power, heard)) in powers.into_iter().zip(&mut self.heard).enumerate() {
            if power >= bank.loud
                && let Some(loud) = self.loud.get_mut(place)
            {
                *loud += 1;
            }
            if let Some((at, first)) = heard.rising.take()
                && power >= bank.loud
            {
                // The part of the frame that was silent has no share in the amplitude.
                let share = (first / power).sqrt().min(1.0);
                begun(place, at + FRAME_TIME.mul_f32(1.0 - share));
            }
            if power < bank.quiet {
                heard.quiet += 1;
                continue;
            }
            if heard.quiet >= QUIET_FRAMES {
                heard.rising = Some((now, power));
            }
            heard.quiet = 0;
        }
    }

    /// For how long it listened.
    pub(super) fn listened(&self) -> Duration {
        self.listened
    }

    /// What is wrong with what was heard, when only `wanted` of the tones should have been; the last frames may still be under
    /// way.
    pub(super) fn fault(&self, wanted: impl Fn(usize) -> bool) -> Option<Fault> {
        /// Frames that may be under way, or lost in the first moments.
        const SLACK: u64 = 12;
        /// A talker that says less in a second says nothing.
        const LITTLE: u64 = 25;
        let tones = self.loud.iter().zip(self.expected).enumerate();
        for (place, (loud, expected)) in tones {
            if wanted(place) && expected < LITTLE {
                return Some(Fault::Mute(place));
            }
            if wanted(place) && (loud + SLACK) * 10 < expected * 8 {
                return Some(Fault::Deaf { place, heard: *loud, of: expected });
            }
            if !wanted(place) && *loud > self.frames / 10 + 2 {
                return Some(Fault::Stray { place, heard: *loud, of: self.frames });
            }
        }
        None
    }
}

/// What an ear heard that it should not, or the other way round. Places are those of tones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The talker says nothing.
    Mute(usize),
    /// It is not heard enough.
    Deaf { place: usize, heard: u64, of: u64 },
    /// Somebody is heard who should not be.
    Stray { place: usize, heard: u64, of: u64 },
}

/// Packets of one source after the other.
#[derive(Debug, Default)]
pub(super) struct Packets {
    source: Option<Ssrc>,
    numbers: Numbers,
}

impl Packets {
    pub(super) fn add(&mut self, source: Ssrc, sequence: u16) {
        if self.source != Some(source) {
            self.source = Some(source);
            self.numbers.begin_anew();
        }
        self.numbers.add(sequence);
    }

    pub(super) fn numbers(&self) -> &Numbers {
        &self.numbers
    }
}

/// Numbers that came, and how many between them did not.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    run: Option<Run>,
    /// Of earlier runs.
    received: u64,
    lost: u64,
}

#[derive(Debug)]
struct Run {
    tracker: SequenceTracker,
    first: u64,
    received: u64,
}

impl Run {
    fn new(sequence: u16) -> Run {
        let tracker = SequenceTracker::new(sequence);
        Run { first: tracker.highest(), tracker, received: 1 }
    }

    fn lost(&self) -> u64 {
        (self.tracker.highest() - self.first + 1).saturating_sub(self.received)
    }
}

impl Numbers {
    pub(super) fn add(&mut self, sequence: u16) {
        let Some(run) = &mut self.run else {
            self.run = Some(Run::new(sequence));
            return;
        };
        match run.tracker.update(sequence) {
            Sequenced::Valid(number) if number >= run.first => run.received += 1,
            Sequenced::Valid(_) | Sequenced::Invalid => {}
            Sequenced::Restarted(_) => {
                self.begin_anew();
                self.run = Some(Run::new(sequence));
            }
        }
    }

    fn begin_anew(&mut self) {
        if let Some(run) = self.run.take() {
            self.received += run.received;
            self.lost += run.lost();
        }
    }

    pub(super) fn received(&self) -> u64 {
        self.received + self.run.as_ref().map_or(0, |run| run.received)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost + self.run.as_ref().map_or(0, Run::lost)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tone::{Law, Tones};
    use super::*;

    /// Frames of tones together, as G.711 carries them, the first so many samples of the whole being silence.
    fn hear(ear: &mut Ear, tones: &[usize], silent: usize, frames: u64) -> Vec<(usize, Time)> {
        let (made, bank, mut begun) = (Tones::new(), Bank::new(), Vec::new());
        for at in 0..frames {
            let from = at as usize * FRAME;
            let frame = (0..FRAME).map(|sample| {
                let sum = |tone: &usize| {
                    made.samples(Law::A)[usize::from(made.encoded(Law::A, Some(*tone))[sample])]
                };
                if from + sample < silent { 0.0 } else { tones.iter().map(sum).sum::<f32>() }
            });
            let now = Time::from_millis(20 * at);
            ear.handle_frame(now, &bank, frame, |tone, at| begun.push((tone, at)));
        }
        begun
    }

    fn listening() -> Ear {
        let mut ear = Ear::default();
        ear.listen(Time::default(), [0; COUNT]);
        ear
    }

    #[test]
    fn every_tone_is_told_from_the_others() {
        for tone in 0..COUNT {
            let mut ear = listening();
            let other = (tone + 5) % COUNT;
            hear(&mut ear, &[tone, other], 0, 50);
            let mut spoken = [0; COUNT];
            (spoken[tone], spoken[other]) = (50, 50);
            ear.pause(Time::from_millis(1_000), spoken);
            assert_eq!(ear.fault(|place| place == tone || place == other), None, "{tone}");
            let stray = Fault::Stray { place: other, heard: 50, of: 50 };
            assert_eq!(ear.fault(|place| place == tone), Some(stray));
            let missing = (tone + 1) % COUNT;
            assert_eq!(ear.fault(|place| place == missing || place == tone).map(|_| ()), Some(()));
        }
    }

    #[test]
    fn the_beginning_of_a_tone_is_found_within_the_frame() {
        for silent in [1_600, 1_640, 1_680, 1_720] {
            let begun = hear(&mut listening(), &[3], silent, 20);
            assert_eq!(begun.len(), 1, "{begun:?}");
            let expected = silent as f64 / 8.0;
            let found = begun[0].1.0 as f64 / 1e6;
            assert!((found - expected).abs() <= 1.5, "{found} ms, and it began at {expected} ms");
        }
    }

    #[test]
    fn a_talker_that_is_not_heard_enough_is_missed() {
        let mut ear = listening();
        hear(&mut ear, &[0], 0, 100);
        let mut spoken = [0; COUNT];
        spoken[0] = 140;
        ear.pause(Time::from_millis(2_000), spoken);
        assert_eq!(ear.fault(|place| place == 0), None);
        ear.listen(Time::from_millis(2_000), [0; COUNT]);
        ear.pause(Time::from_millis(2_000), spoken);
        assert_eq!(ear.fault(|place| place == 0), Some(Fault::Deaf { place: 0, heard: 100, of: 280 }));
    }

    #[test]
    fn packets_are_missed_between_those_that_came_over_wraps_and_new_sources() {
        let mut packets = Packets::default();
        [65_534u16, 65_535, 1, 2].iter().for_each(|number| packets.add(Ssrc(1), *number));
        [7u16, 9, 8, 12].iter().for_each(|number| packets.add(Ssrc(2), *number));
        assert_eq!((packets.numbers().received(), packets.numbers().lost()), (8, 3));
    }
}
