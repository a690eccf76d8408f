//! Concealment: what is heard in place of packets that do not come, and how it turns into the sound that follows.
//!
//! A voice goes on as it was: its last pitch period is repeated, later the last two, their ends blended into each other, and
//! fades (ITU-T G.711 Appendix I). Unlike there, nothing is held back for a blend at the beginning: the place to repeat from
//! is the one whose last moments before it are most like the last ones heard, so that the seam is smooth, and the rest of
//! the step is spread over a millisecond. What is heard at the seam counts more than a pitch that is right to the sample:
//! with the window of 20 ms of the Appendix, PESQ is 0.1 lower from 3 % of loss on
//! (`docs/measurements/2026-11-21-concealment.txt`).
//!
//! Left out on purpose: concealment inside a codec, which [`super::Decode::conceal`] offers; a model of the vocal tract.

use serde::{Deserialize, Serialize};

use super::pitch::{self, Match};

/// The last moments that are compared, in microseconds.
const SEAM_US: usize = 3500;
/// The step at the seam is gone after this.
const STEP_US: usize = 1000;
/// What is not alike is no voice: repeating it more often than this would make it one.
const NO_VOICE: f32 = 0.7;
const NO_VOICE_US: usize = 10_000;
/// From here on two periods are repeated, which sounds less mechanical.
const TWO_PERIODS_US: usize = 20_000;
/// It falls silent in a straight line until here.
const SILENT_US: usize = 60_000;
/// The blend into what follows: a quarter of the gap, within these.
const BLEND_US: (usize, usize) = (3000, 8000);

/// Stands in for a stream while packets are missing, at any sample rate. Making it allocates, using it does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Concealer {
    rate: u32,
    /// The sound before the gap, its latest sample last.
    template: Vec<i16>,
    gap: Option<Gap>,
}

/// A gap under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Gap {
    /// Samples that are repeated: one pitch period, or several.
    period: usize,
    /// What is repeated next lies this many samples before the end of the template; one is the last sample.
    from_end: usize,
    /// Samples made so far.
    made: usize,
    /// By how much the last real sample lay above the one before what is repeated first.
    step: i32,
}

impl Concealer {
    /// For sound of `rate` samples per second with a history of `history` samples.
    pub(super) fn new(rate: u32, history: usize) -> Self {
        Self { rate, template: vec![0; history], gap: None }
    }

    /// Whether there is a gap.
    pub(super) const fn is_active(&self) -> bool {
        self.gap.is_some()
    }

    /// Whether the gap is so long that nothing is left to be heard.
    pub(super) fn is_silent(&self) -> bool {
        self.gap.is_some_and(|gap| gap.made >= self.samples(SILENT_US))
    }

    /// The sound breaks off after `sound`, its latest sample last. Within a gap nothing happens.
    pub(super) fn begin(&mut self, sound: &[i16]) {
        if self.is_active() {
            return;
        }
        self.template.fill(0);
        for (kept, sample) in self.template.iter_mut().rev().zip(sound.iter().rev()) {
            *kept = *sample;
        }
        let seam = self.samples(SEAM_US);
        let lags = self.samples(pitch::SHORTEST_US)..=self.samples(pitch::LONGEST_US);
        let found = pitch::search(lags, self.rate, |lag| pitch::likeness(&self.template, seam, lag));
        let Match { lag, likeness } = found.unwrap_or(Match { lag: seam, likeness: 0.0 });
        let least = if likeness < NO_VOICE { self.samples(NO_VOICE_US) } else { 1 };
        let period = lag.max(1) * least.div_ceil(lag.max(1));
        let step = i32::from(self.before_end(1)) - i32::from(self.before_end(1 + period));
        self.gap = Some(Gap { period, from_end: period, made: 0, step });
    }

    /// Fills `out` with what stands in for the next samples. After [`Self::begin`].
    pub(super) fn conceal(&mut self, out: &mut [i16]) {
        let Some(mut gap) = self.gap else { return out.fill(0) };
        for sample in out {
            *sample = self.next(&mut gap) as i16;
        }
        self.gap = Some(gap);
    }

    /// The gap ends: blends what stood in for it into the beginning of `fresh`, which follows. Without a gap `fresh` stays
    /// as it is.
    pub(super) fn merge(&mut self, fresh: &mut [i16]) {
        let Some(mut gap) = self.gap.take() else { return };
        let (least, most) = (self.samples(BLEND_US.0), self.samples(BLEND_US.1));
        let blend = (gap.made / 4).clamp(least, most).min(fresh.len());
        for (index, sample) in (1..).zip(fresh.iter_mut().take(blend)) {
            let (old, new) = (self.next(&mut gap), f32::from(*sample));
            *sample = (old + (new - old) * index as f32 / (blend + 1) as f32) as i16;
        }
    }

    /// The next sample of a gap, within the range of a sample.
    fn next(&self, gap: &mut Gap) -> f32 {
        let overlap = (gap.period / 4).max(1);
        let next_period = self.next_period(gap);
        let mut value = f32::from(self.before_end(gap.from_end));
        if gap.from_end <= overlap {
            // The end of the period turns into what lies before its beginning, so that it can begin again.
            let share = gap.from_end as f32 / (overlap + 1) as f32;
            let again = f32::from(self.before_end(gap.from_end + next_period));
            value = again + (value - again) * share;
        }
        gap.from_end -= 1;
        if gap.from_end == 0 {
            (gap.period, gap.from_end) = (next_period, next_period);
        }
        let smoothed = self.samples(STEP_US);
        if gap.made < smoothed {
            value += gap.step as f32 * (smoothed - gap.made) as f32 / (smoothed + 1) as f32;
        }
        let silent = self.samples(SILENT_US);
        let gain = silent.saturating_sub(gap.made) as f32 / silent as f32;
        gap.made += 1;
        (value * gain).clamp(f32::from(i16::MIN), f32::from(i16::MAX))
    }

    /// What is repeated after the current repetition.
    fn next_period(&self, gap: &Gap) -> usize {
        let longest = self.samples(pitch::LONGEST_US);
        let double = gap.made >= self.samples(TWO_PERIODS_US) && gap.period <= longest;
        let fits = 2 * gap.period + gap.period / 4 < self.template.len();
        if double && fits { 2 * gap.period } else { gap.period }
    }

    /// The sample `from_end` before the end of the template, one being the last.
    fn before_end(&self, from_end: usize) -> i16 {
        let index = self.template.len().checked_sub(from_end);
        index.and_then(|index| self.template.get(index)).copied().unwrap_or(0)
    }

    const fn samples(&self, us: usize) -> usize {
        us * self.rate as usize / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, range: std::ops::Range<usize>) -> Vec<i16> {
        let wave = |index: usize| (std::f64::consts::TAU * 160.0 * index as f64 / f64::from(rate)).sin();
        range.map(|index| (wave(index) * 10_000.0) as i16).collect()
    }

    #[test]
    fn a_tone_goes_on_through_a_gap_at_any_rate() {
        for rate in [8000u32, 16_000, 48_000] {
            let ms = rate as usize / 1000;
            let mut concealer = Concealer::new(rate, 50 * ms);
            concealer.begin(&tone(rate, 0..50 * ms));
            let mut gap = vec![0; 20 * ms];
            concealer.conceal(&mut gap);
            let original = tone(rate, 50 * ms..90 * ms);
            for (index, (made, real)) in gap.iter().zip(&original).enumerate() {
                let faded = f64::from(*real) * (1.0 - index as f64 / (60 * ms) as f64);
                assert!((f64::from(*made) - faded).abs() < 700.0, "{rate} {index}: {made} {faded}");
            }
            let mut fresh = original[20 * ms..].to_vec();
            concealer.merge(&mut fresh);
            assert_eq!(fresh[8 * ms..], original[28 * ms..]);
            let joined: Vec<i16> = gap.into_iter().chain(fresh).collect();
            let step = joined.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().unwrap();
            assert!(f64::from(step) < 1.3 * 10_000.0 * std::f64::consts::TAU * 160.0 / f64::from(rate) + 5.0);
        }
    }

    #[test]
    fn a_long_gap_falls_silent_after_60_ms() {
        let mut concealer = Concealer::new(8000, 400);
        concealer.begin(&tone(8000, 0..400));
        let mut gap = vec![1; 800];
        concealer.conceal(&mut gap);
        assert!(concealer.is_silent());
        assert!(gap[480..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn without_a_gap_nothing_is_changed() {
        let (mut concealer, mut fresh) = (Concealer::new(8000, 400), tone(8000, 0..160));
        concealer.merge(&mut fresh);
        assert_eq!(fresh, tone(8000, 0..160));
    }
}
