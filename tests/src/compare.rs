//! The judge of a recording: is this the sound that was sent?
//!
//! Packets can all arrive and still carry the wrong sound, so the judge listens:
//! - *segments*: every half second of the source that is not silence is looked for in the recording by
//!   normalised cross-correlation; where it is found gives the delay, how well gives loss and distortion;
//! - *level*: the sound that is there, without the silence around it, in dB;
//! - *bands*: the long-term energy in third-octave bands, which shows filtering that correlation forgives.
//!
//! It measures one channel at one rate and does not judge how pleasant it sounds.

use std::fmt;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use crate::audio::Audio;

const SEGMENT_MS: usize = 500;
const FRAME_MS: usize = 20;
/// Frames this far below the loudest frame are silence.
const SILENCE_DB: f64 = 35.0;
/// Third-octave centres of the telephone band, Hz (IEC 61260).
const CENTRES: [f64; 13] =
    [200.0, 250.0, 315.0, 400.0, 500.0, 630.0, 800.0, 1000.0, 1250.0, 1600.0, 2000.0, 2500.0, 3150.0];
/// Bands this far below the strongest are left out of the difference: there the quantisation noise speaks.
const BAND_FLOOR_DB: f64 = 30.0;
/// Written for the level of digital silence.
const NOTHING_DB: f64 = -120.0;

/// One piece of the source and where the recording has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Where it begins in the source, ms.
    pub at_ms: f64,
    /// How much later the recording has it, ms; negative when the recording began later than the source.
    pub delay_ms: f64,
    /// Normalised correlation, 1 for the same sound at any level.
    pub correlation: f64,
}

/// What the comparison of a recording with its source gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The source's segments that are not silence, in order.
    pub segments: Vec<Segment>,
    /// Level of the recording minus level of the source, dB, silence left out on both sides.
    pub level_db: f64,
    /// The largest difference of a third-octave band after the levels are made equal, dB.
    pub band_db: f64,
    /// Correlation of the two spectra in dB over the bands.
    pub band_correlation: f64,
}

/// What a recording has to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Largest deviation of the level, dB either way.
    pub level_db: f64,
    /// Largest deviation of one band, dB.
    pub band_db: f64,
    /// Correlation that each segment has to reach.
    pub correlation: f64,
    /// Share of segments that have to reach it, 0 to 1.
    pub heard: f64,
    /// Largest distance between the earliest and the latest heard segment's delay, ms.
    pub delay_spread_ms: f64,
}

impl Comparison {
    /// Compares two sounds of the same rate.
    ///
    /// # Panics
    /// When the rates differ: neither is resampled.
    #[must_use]
    pub fn of(source: &Audio, recording: &Audio) -> Self {
        assert_eq!(source.rate, recording.rate, "source and recording have the same rate");
        let (source_bands, recording_bands) = (bands(source), bands(recording));
        Self {
            segments: segments(source, recording),
            level_db: active_level_db(recording) - active_level_db(source),
            band_db: band_difference(&source_bands, &recording_bands),
            band_correlation: pearson(&source_bands, &recording_bands),
        }
    }

    /// The share of segments whose correlation is at least `correlation`; 0 when there is none.
    #[must_use]
    pub fn heard(&self, correlation: f64) -> f64 {
        let heard = self.segments.iter().filter(|segment| segment.correlation >= correlation).count();
        heard as f64 / self.segments.len().max(1) as f64
    }

    /// The median delay of the segments that reach `correlation`, ms.
    #[must_use]
    pub fn delay_ms(&self, correlation: f64) -> Option<f64> {
        let delays = self.delays(correlation);
        delays.get(delays.len() / 2).copied()
    }

    /// Latest minus earliest delay of the segments that reach `correlation`, ms: what was lost or inserted.
    #[must_use]
    pub fn delay_spread_ms(&self, correlation: f64) -> Option<f64> {
        let delays = self.delays(correlation);
        Some(delays.last()? - delays.first()?)
    }

    fn delays(&self, correlation: f64) -> Vec<f64> {
        let heard = self.segments.iter().filter(|segment| segment.correlation >= correlation);
        let mut delays: Vec<f64> = heard.map(|segment| segment.delay_ms).collect();
        delays.sort_by(f64::total_cmp);
        delays
    }

    /// Whether the recording is the source, within `limits`.
    #[must_use]
    pub fn within(&self, limits: &Limits) -> bool {
        self.heard(limits.correlation) >= limits.heard
            && self.level_db.abs() <= limits.level_db
            && self.band_db <= limits.band_db
            && self.delay_spread_ms(limits.correlation).is_some_and(|spread| spread <= limits.delay_spread_ms)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worst = self.segments.iter().map(|segment| segment.correlation).fold(1.0, f64::min);
        writeln!(
            f,
            "{} segments, worst correlation {worst:.3}; level {:+.2} dB; bands within {:.2} dB (correlation {:.3})",
            self.segments.len(),
            self.level_db,
            self.band_db,
            self.band_correlation
        )?;
        for segment in &self.segments {
            let Segment { at_ms, delay_ms, correlation } = segment;
            writeln!(f, "  at {at_ms:6.0} ms: correlation {correlation:.3}, delay {delay_ms:+.1} ms")?;
        }
        Ok(())
    }
}

/// Root mean square in dB of full scale; -120 for digital silence.
#[must_use]
pub fn level_db(samples: &[f32]) -> f64 {
    let energy: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    power_db(energy / samples.len().max(1) as f64)
}

/// The level of the frames that are not silence, dB of full scale.
#[must_use]
pub fn active_level_db(audio: &Audio) -> f64 {
    let active: Vec<f32> = active_frames(audio).flatten().copied().collect();
    level_db(&active)
}

fn power_db(power: f64) -> f64 {
    if power > 0.0 { (10.0 * power.log10()).max(NOTHING_DB) } else { NOTHING_DB }
}

/// The 20 ms frames within 35 dB of the loudest one.
fn active_frames(audio: &Audio) -> impl Iterator<Item = &[f32]> {
    let frame = audio.samples_in(FRAME_MS).max(1);
    let loudest = audio.samples.chunks(frame).map(level_db).fold(NOTHING_DB, f64::max);
    let threshold = (loudest - SILENCE_DB).max(NOTHING_DB + 1.0);
    audio.samples.chunks(frame).filter(move |samples| level_db(samples) >= threshold)
}

/// Every segment of the source that is mostly sound, looked for in the whole recording.
fn segments(source: &Audio, recording: &Audio) -> Vec<Segment> {
    let length = source.samples_in(SEGMENT_MS);
    let frame = source.samples_in(FRAME_MS);
    if length == 0 || recording.samples.len() < length {
        return source.samples.chunks_exact(length.max(1)).map(|_| Segment::absent(0.0)).collect();
    }
    let threshold = active_level_db(source) - SILENCE_DB / 2.0;
    let mut search = Search::new(&recording.samples, length);
    let starts =
        (0..source.samples.len()).step_by(length).filter(|start| start + length <= source.samples.len());
    starts
        .map(|start| (start, &source.samples[start..start + length]))
        .filter(|(_, piece)| {
            let loud = piece.chunks(frame).filter(|samples| level_db(samples) >= threshold).count();
            loud * 2 >= SEGMENT_MS / FRAME_MS
        })
        .map(|(start, piece)| {
            let ms = 1000.0 / f64::from(source.rate);
            let at_ms = start as f64 * ms;
            search.find(piece).map_or(Segment::absent(at_ms), |(position, correlation)| Segment {
                at_ms,
                delay_ms: position as f64 * ms - at_ms,
                correlation,
            })
        })
        .collect()
}

impl Segment {
    fn absent(at_ms: f64) -> Self {
        Self { at_ms, delay_ms: 0.0, correlation: 0.0 }
    }
}

/// Finds pieces of one length in a recording by cross-correlation in the frequency domain.
struct Search {
    planner: FftPlanner<f64>,
    size: usize,
    spectrum: Vec<Complex<f64>>,
    /// Euclidean norm of the recording from each position on, for one piece's length.
    norms: Vec<f64>,
}

impl Search {
    fn new(recording: &[f32], piece: usize) -> Self {
        let size = (recording.len() + piece).next_power_of_two();
        let mut planner = FftPlanner::new();
        let spectrum = spectrum(&mut planner, recording, size);
        let mut sums = vec![0.0];
        sums.extend(recording.iter().scan(0.0, |sum, &sample| {
            *sum += f64::from(sample).powi(2);
            Some(*sum)
        }));
        let norms =
            sums.iter().zip(sums.iter().skip(piece)).map(|(from, to)| (to - from).max(0.0).sqrt()).collect();
        Self { planner, size, spectrum, norms }
    }

    /// Where in the recording `piece` fits best, and how well (0 to 1); `None` when all of it is silence.
    fn find(&mut self, piece: &[f32]) -> Option<(usize, f64)> {
        let norm = piece.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>().sqrt();
        let mut product = spectrum(&mut self.planner, piece, self.size);
        for (value, recorded) in product.iter_mut().zip(&self.spectrum) {
            *value = recorded * value.conj();
        }
        self.planner.plan_fft_inverse(self.size).process(&mut product);
        // a stretch of near silence must not win by dividing by nothing
        let loudest = self.norms.iter().copied().fold(0.0, f64::max);
        let scale = self.size as f64 * norm;
        product
            .iter()
            .zip(&self.norms)
            .enumerate()
            .filter(|(_, (_, recorded))| **recorded > loudest * 1e-3 && scale > 0.0)
            .map(|(position, (value, recorded))| (position, value.re / (scale * recorded)))
            .max_by(|(_, one), (_, other)| one.total_cmp(other))
    }
}

fn spectrum(planner: &mut FftPlanner<f64>, samples: &[f32], size: usize) -> Vec<Complex<f64>> {
    let mut values: Vec<_> = samples.iter().map(|&sample| Complex::new(f64::from(sample), 0.0)).collect();
    values.resize(size, Complex::new(0.0, 0.0));
    planner.plan_fft_forward(size).process(&mut values);
    values
}

/// Long-term energy of the active frames in each third-octave band, dB.
fn bands(audio: &Audio) -> Vec<f64> {
    let frame = audio.samples_in(FRAME_MS);
    let size = (frame * 2).next_power_of_two();
    let mut planner = FftPlanner::new();
    let mut energy = vec![0.0; CENTRES.len()];
    for samples in active_frames(audio) {
        let window: Vec<f32> = samples
            .iter()
            .enumerate()
            .map(|(i, sample)| {
                let phase = std::f64::consts::TAU * i as f64 / frame as f64;
                sample * (0.5 - 0.5 * phase.cos()) as f32
            })
            .collect();
        let spectrum = spectrum(&mut planner, &window, size);
        let width = f64::from(audio.rate) / size as f64;
        for (bin, value) in spectrum.iter().enumerate().take(size / 2) {
            let edge = 2f64.powf(1.0 / 6.0);
            let hz = bin as f64 * width;
            if let Some(band) = CENTRES.iter().position(|centre| (centre / edge..centre * edge).contains(&hz))
            {
                energy[band] += value.norm_sqr();
            }
        }
    }
    energy.into_iter().map(power_db).collect()
}

/// The largest difference between two spectra in dB after their means are made equal.
fn band_difference(source: &[f64], recording: &[f64]) -> f64 {
    let strongest = source.iter().copied().fold(NOTHING_DB, f64::max);
    let differences: Vec<f64> = source
        .iter()
        .zip(recording)
        .filter(|(band, _)| **band >= strongest - BAND_FLOOR_DB)
        .map(|(source, recording)| recording - source)
        .collect();
    let mean = differences.iter().sum::<f64>() / differences.len().max(1) as f64;
    differences.iter().map(|difference| (difference - mean).abs()).fold(0.0, f64::max)
}

/// Pearson's correlation; 0 when one side does not vary.
fn pearson(one: &[f64], other: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (mean_one, mean_other) = (mean(one), mean(other));
    let (mut product, mut square_one, mut square_other) = (0.0, 0.0, 0.0);
    for (a, b) in one.iter().zip(other) {
        product += (a - mean_one) * (b - mean_other);
        square_one += (a - mean_one).powi(2);
        square_other += (b - mean_other).powi(2);
    }
    let norm = f64::sqrt(square_one * square_other);
    if norm > 0.0 { product / norm } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 8000;
    const LIMITS: Limits =
        Limits { level_db: 1.0, band_db: 3.0, correlation: 0.9, heard: 1.0, delay_spread_ms: 50.0 };

    /// White noise from a linear congruential generator, full scale ±1.
    fn noise(seed: u64, samples: usize) -> Vec<f32> {
        let mut state = seed;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .take(samples)
        .collect()
    }

    fn low_pass(samples: &[f32], share: f32) -> Vec<f32> {
        samples
            .iter()
            .scan(0.0, |state, sample| {
                *state += share * (sample - *state);
                Some(*state)
            })
            .collect()
    }

    /// Four seconds of something like speech: coloured noise in syllables, with a pause in the middle.
    fn babble(seed: u64) -> Audio {
        let samples = low_pass(&noise(seed, 4 * RATE as usize), 0.3)
            .iter()
            .enumerate()
            .map(|(i, sample)| {
                let seconds = i as f32 / RATE as f32;
                let pause = if (1.8..2.2).contains(&seconds) { 0.0 } else { 1.0 };
                sample * 0.4 * pause * (0.6 + 0.4 * (seconds * 25.0).sin())
            })
            .collect();
        Audio { rate: RATE, samples }
    }

    fn changed(audio: &Audio, change: impl FnOnce(&[f32]) -> Vec<f32>) -> Audio {
        Audio { rate: audio.rate, samples: change(&audio.samples) }
    }

    #[test]
    fn a_signal_is_itself() {
        let source = babble(1);
        let same = Comparison::of(&source, &source);
        assert!(same.within(&LIMITS), "{same}");
        assert!(same.segments.len() >= 6, "{same}");
        assert!(same.segments.iter().all(|segment| segment.correlation > 0.999), "{same}");
        assert!(same.delay_ms(0.9).unwrap().abs() < 0.01, "{same}");
        assert!(same.band_db < 0.01 && same.band_correlation > 0.999, "{same}");
    }

    #[test]
    fn noise_is_not_the_source() {
        let source = babble(1);
        let noise = Audio { rate: RATE, samples: noise(9, source.samples.len()) };
        let judged = Comparison::of(&source, &noise);
        assert!(!judged.within(&LIMITS), "{judged}");
        assert!(judged.heard(0.5) < 0.1, "{judged}");
        assert!(judged.band_db > 3.0, "{judged}");
    }

    #[test]
    fn another_voice_of_the_same_spectrum_is_not_the_source() {
        let judged = Comparison::of(&babble(1), &babble(2));
        assert!(judged.band_correlation > 0.9, "{judged}");
        assert!(judged.heard(0.5) < 0.1, "{judged}");
        assert!(!judged.within(&LIMITS), "{judged}");
    }

    #[test]
    fn silence_is_not_the_source() {
        let source = babble(1);
        let silence = Audio { rate: RATE, samples: vec![0.0; source.samples.len()] };
        assert!(!Comparison::of(&source, &silence).within(&LIMITS));
        assert!(!Comparison::of(&source, &Audio { rate: RATE, samples: Vec::new() }).within(&LIMITS));
    }

    #[test]
    fn attenuation_is_measured() {
        let source = babble(1);
        let quiet = changed(&source, |samples| samples.iter().map(|sample| sample / 2.0).collect());
        let judged = Comparison::of(&source, &quiet);
        assert!((judged.level_db + 6.02).abs() < 0.05, "{judged}");
        assert!(judged.heard(0.999) > 0.99, "correlation does not depend on the level: {judged}");
        assert!(!judged.within(&LIMITS), "{judged}");
    }

    #[test]
    fn delay_is_measured_to_the_sample() {
        let source = babble(1);
        let late = changed(&source, |samples| [vec![0.0; 1234], samples.to_vec()].concat());
        let judged = Comparison::of(&source, &late);
        assert!((judged.delay_ms(0.9).unwrap() - 154.25).abs() < 0.01, "{judged}");
        assert!(judged.within(&LIMITS), "silence around it does not count: {judged}");
        let early = changed(&source, |samples| samples[80..].to_vec());
        assert!((Comparison::of(&source, &early).delay_ms(0.9).unwrap() + 10.0).abs() < 0.01);
    }

    #[test]
    fn a_lost_second_is_heard() {
        let source = babble(1);
        let torn = changed(&source, |samples| [&samples[..20_000], &samples[28_000..]].concat());
        let judged = Comparison::of(&source, &torn);
        assert!(judged.heard(0.9) < 0.9, "{judged}");
        assert!((judged.delay_spread_ms(0.9).unwrap() - 1000.0).abs() < 0.1, "{judged}");
        assert!(!judged.within(&LIMITS), "{judged}");
    }

    #[test]
    fn every_tenth_packet_missing_is_heard() {
        let source = babble(1);
        let holes = changed(&source, |samples| {
            let silenced = |i: usize| (i / 160).is_multiple_of(10);
            samples.iter().enumerate().map(|(i, sample)| if silenced(i) { 0.0 } else { *sample }).collect()
        });
        let judged = Comparison::of(&source, &holes);
        assert!(judged.segments.iter().all(|segment| segment.correlation < 0.99), "{judged}");
    }

    #[test]
    fn a_muffled_sound_shows_in_the_bands() {
        let source = babble(1);
        let muffled = changed(&source, |samples| low_pass(samples, 0.3));
        let judged = Comparison::of(&source, &muffled);
        assert!(judged.band_db > 3.0, "{judged}");
        assert!(!judged.within(&LIMITS), "{judged}");
    }

    #[test]
    fn noise_in_the_background_lowers_the_correlation() {
        let source = babble(1);
        let hiss = noise(5, source.samples.len());
        let noisy = changed(&source, |samples| {
            samples.iter().zip(&hiss).map(|(s, h)| s + h * 0.1).collect::<Vec<_>>()
        });
        let judged = Comparison::of(&source, &noisy);
        assert!(!judged.within(&LIMITS), "{judged}");
    }
}
