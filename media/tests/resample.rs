//! The resampler measured with tones: pass band, images, aliases; and its sample counts.

use std::f64::consts::TAU;

use media::dsp::{Resampler, SampleRate};
use proptest::prelude::*;

fn pairs() -> impl Iterator<Item = (SampleRate, SampleRate)> {
    SampleRate::ALL.into_iter().flat_map(|from| SampleRate::ALL.map(|to| (from, to)))
}

/// A tone at 10,000 of full scale.
fn tone(rate: SampleRate, frequency: f64, ms: u32) -> Vec<i16> {
    let step = TAU * frequency / f64::from(rate.hertz());
    (0..rate.samples(ms)).map(|n| ((step * n as f64).sin() * 10_000.0).round() as i16).collect()
}

fn resampled(from: SampleRate, to: SampleRate, samples: &[i16], ptime: u32) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to);
    let mut out = Vec::new();
    for samples in samples.chunks(from.samples(ptime)) {
        let mut frame = vec![0; resampler.output_len(samples.len())];
        assert_eq!(resampler.resample(samples, &mut frame), frame.len());
        out.extend(frame);
    }
    out
}

/// The level of a frequency over that of the tone and the power of all others, in dB, after the filter has filled. The best
/// fitting sine of the frequency is taken out of the signal; what remains is the rest.
fn levels(samples: &[i16], rate: SampleRate, frequency: f64) -> (f64, f64) {
    let samples = &samples[rate.samples(40)..];
    let step = TAU * frequency / f64::from(rate.hertz());
    let (mut ss, mut sc, mut cc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (x, (s, c)) = (f64::from(*sample), (step * n as f64).sin_cos());
        (ss, sc, cc, xs, xc) = (ss + s * s, sc + s * c, cc + c * c, xs + x * s, xc + x * c);
    }
    let determinant = ss * cc - sc * sc;
    let (a, b) = ((xs * cc - xc * sc) / determinant, (xc * ss - xs * sc) / determinant);
    let rest = |(n, sample): (usize, &i16)| {
        let (s, c) = (step * n as f64).sin_cos();
        (f64::from(*sample) - a * s - b * c).powi(2)
    };
    let rest: f64 = samples.iter().enumerate().map(rest).sum::<f64>() / samples.len() as f64;
    let full = 10_000.0f64;
    (20.0 * (a.hypot(b) / full).log10(), 10.0 * (rest / (full * full / 2.0) + 1e-12).log10())
}

#[test]
fn tones_below_nine_tenths_of_nyquist_pass_unchanged_and_without_images() {
    for (from, to) in pairs() {
        let nyquist = f64::from(from.hertz().min(to.hertz())) / 2.0;
        for part in [0.026, 0.37, 0.71, 0.899] {
            let out = resampled(from, to, &tone(from, part * nyquist, 120), 20);
            let (level, rest) = levels(&out, to, part * nyquist);
            assert!(level.abs() < 0.06, "{from:?} to {to:?}: {level:.3} dB at {part}");
            assert!(rest < -70.0, "{from:?} to {to:?}: images of {rest:.1} dB at {part}");
        }
    }
}

#[test]
fn tones_above_eleven_tenths_of_the_lower_nyquist_do_not_fold_back() {
    for (from, to) in pairs().filter(|(from, to)| from > to) {
        let (nyquist, end) = (f64::from(to.hertz()) / 2.0, f64::from(from.hertz()) / 2.0);
        for frequency in [1.11 * nyquist, 1.3 * nyquist, 1.9 * nyquist, 2.3 * nyquist, 0.97 * end] {
            if !(1.1 * nyquist..end).contains(&frequency) {
                continue;
            }
            let out = resampled(from, to, &tone(from, frequency, 120), 20);
            let power = |samples: &[i16]| {
                samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64
            };
            let level = 10.0 * (power(&out[to.samples(40)..]) / 5e7 + 1e-12).log10();
            assert!(level < -69.0, "{from:?} to {to:?}: {level:.1} dB of {frequency:.0} Hz");
        }
    }
}

#[test]
fn a_tick_gives_exactly_its_samples_at_every_pair_of_rates() {
    for (from, to) in pairs() {
        for ms in [10, 20, 30, 60] {
            let mut resampler = Resampler::new(from, to);
            let (samples, mut out) = (vec![1; from.samples(ms)], vec![0; to.samples(ms)]);
            for _ in 0..50 {
                assert_eq!(resampler.output_len(samples.len()), out.len());
                assert_eq!(resampler.resample(&samples, &mut out), out.len(), "{from:?} to {to:?}");
            }
        }
    }
}

#[test]
fn delay_is_24_samples_of_the_lower_rate() {
    for (from, to) in pairs().filter(|(from, to)| from != to) {
        let mut impulse = vec![0; from.samples(40)];
        impulse[0] = 20_000;
        let out = resampled(from, to, &impulse, 10);
        let (at, _) = out.iter().enumerate().max_by_key(|(_, sample)| sample.unsigned_abs()).unwrap();
        let delay = at as f64 / f64::from(to.hertz()) * f64::from(from.hertz().min(to.hertz()));
        assert!((22.5..27.5).contains(&delay), "{from:?} to {to:?}: {delay:.1}");
    }
}

#[test]
fn full_scale_saturates_and_does_not_wrap() {
    for (from, to) in pairs() {
        let square: Vec<i16> =
            (0..from.samples(100)).map(|n| if n / 20 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let out = resampled(from, to, &square, 20);
        // A sample that wraps would jump over half of the range between two that are near one end.
        let jumps = out.windows(3).filter(|w| {
            let [a, b, c] = [w[0], w[1], w[2]].map(i32::from);
            (a - b).abs() > 50_000 && (b - c).abs() > 50_000 && (a - c).abs() < 10_000
        });
        assert_eq!(jumps.count(), 0, "{from:?} to {to:?}");
    }
}

#[test]
fn what_has_no_room_is_lost_and_the_signal_goes_on() {
    let (from, to) = (SampleRate::Hz8000, SampleRate::Hz16000);
    let samples = tone(from, 440.0, 60);
    let whole = resampled(from, to, &samples, 20);
    let mut resampler = Resampler::new(from, to);
    let mut out = vec![0; 320];
    assert_eq!(resampler.resample(&samples[..160], &mut out[..100]), 100);
    assert_eq!(out[..100], whole[..100]);
    assert_eq!(resampler.resample(&samples[160..320], &mut out), 320);
    assert_eq!(out, whole[320..640]);
}

#[test]
fn a_restored_resampler_goes_on_as_the_first_one_does() {
    for (from, to) in pairs() {
        let samples = tone(from, 997.0, 40);
        let (first, second) = samples.split_at(from.samples(7));
        let mut resampler = Resampler::new(from, to);
        let mut out = vec![0; to.samples(40)];
        resampler.resample(first, &mut out);
        let stored = postcard::to_allocvec(&resampler).unwrap();
        let mut restored: Resampler = postcard::from_bytes(&stored).unwrap();
        let mut out2 = out.clone();
        assert_eq!(resampler.resample(second, &mut out), restored.resample(second, &mut out2));
        assert_eq!(out, out2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lengths_change_no_sample(lengths in prop::collection::vec(1usize..700, 1..20), pair in 0usize..49) {
        let (from, to) = pairs().nth(pair).unwrap();
        let total: usize = lengths.iter().sum();
        let samples: Vec<i16> = (0..total).map(|n| (n * 7919 % 20_011) as i16 - 10_000).collect();
        let mut whole = Resampler::new(from, to);
        let mut expected = vec![0; whole.output_len(total)];
        whole.resample(&samples, &mut expected);
        let (mut resampler, mut rest, mut out) = (Resampler::new(from, to), &samples[..], Vec::new());
        for length in lengths {
            let (frame, after) = rest.split_at(length);
            let mut room = vec![0; resampler.output_len(length)];
            prop_assert_eq!(resampler.resample(frame, &mut room), room.len());
            out.extend(room);
            rest = after;
        }
        prop_assert_eq!(out, expected);
    }
}
