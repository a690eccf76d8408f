//! The pitch of a voice by normalised correlation, for concealment and for stretching.
//!
//! Left out on purpose: a decision between voice and noise. The correlation that comes with the lag says how alike the two
//! stretches of sound are, which is all that is asked here.

use std::ops::RangeInclusive;

/// The highest pitch that is looked for has this period, in microseconds.
pub(super) const SHORTEST_US: usize = 2500;
/// The lowest.
pub(super) const LONGEST_US: usize = 15_000;

/// How much less alike a lag counts per second of its length: 0.05 for the longest.
const DISCOUNT_PER_SECOND: f32 = 3.2;

/// Two stretches of sound that are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    /// Samples from one to the other.
    pub(super) lag: usize,
    /// How alike they are: normalised correlation, -1 to 1.
    pub(super) likeness: f32,
}

/// The lag for which `likeness` is greatest, coarse at about 8 kHz first, then near the best one. Lags without a likeness
/// are out of the question. Two periods are about as alike as one, so the longer a lag, the less it counts.
pub(super) fn search(
    lags: RangeInclusive<usize>,
    rate: u32,
    likeness: impl Fn(usize) -> Option<f32>,
) -> Option<Match> {
    let best_of = |lags: &mut dyn Iterator<Item = usize>| {
        let score = |found: Match| found.likeness - DISCOUNT_PER_SECOND * found.lag as f32 / rate as f32;
        lags.filter_map(|lag| Some(Match { lag, likeness: likeness(lag)? }))
            .reduce(|best, next| if score(next) > score(best) { next } else { best })
    };
    let coarse = (rate as usize / 8000).max(1);
    let best = best_of(&mut lags.clone().step_by(coarse))?;
    let (from, to) = ((best.lag + 1).saturating_sub(coarse), best.lag + coarse - 1);
    best_of(&mut (from.max(*lags.start())..=to.min(*lags.end())))
}

/// How alike the last `window` samples and those `lag` before them are; `None` when `sound` is too short.
pub(super) fn likeness(sound: &[i16], window: usize, lag: usize) -> Option<f32> {
    let end = sound.len();
    let start = end.checked_sub(window)?;
    let late = sound.get(start..end)?;
    let early = sound.get(start.checked_sub(lag)?..end - lag)?;
    let (mut cross, mut power_late, mut power_early) = ([0f32; 8], [0f32; 8], [0f32; 8]);
    for (late, early) in late.chunks(8).zip(early.chunks(8)) {
        for (index, (late, early)) in late.iter().zip(early).enumerate() {
            let (late, early) = (f32::from(*late), f32::from(*early));
            if let (Some(cross), Some(power_late), Some(power_early)) =
                (cross.get_mut(index), power_late.get_mut(index), power_early.get_mut(index))
            {
                *cross += late * early;
                *power_late += late * late;
                *power_early += early * early;
            }
        }
    }
    let [cross, late, early] = [cross, power_late, power_early].map(|lanes| lanes.iter().sum::<f32>());
    Some(cross / (late * early + 1.0).sqrt())
}
