//! Ten minutes beside a sound card whose clock is 200 parts per million off, in virtual time: what goes out through the speaker's
//! ring and comes back through the microphone's is a sine all along, without a click.
//!
//! Two samples of a sine tell the next one, whatever its phase and its level: what a sample is off from that is no sine. A sample
//! that is left out or said twice is off by −20 dB of the sine's level, or more; the rounding to 16 bits, and the correction while it is being
//! found, are together off by less than −55 dB.

use media::dsp::SampleRate;
use media::source::amplitude;
use sip_stack::Time;
use softphone::audio::{Audio, FRAME_MS, Tone, VirtualDevice, link};
use std::f64::consts::TAU;

const RATE: SampleRate = SampleRate::Hz8000;
const HERTZ: f64 = 400.0;
const MINUTES: u64 = 10;
/// Where the loop has filled and the tone is there.
const SETTLED: usize = 8_000;

/// What came back, the drift that was learnt, and the samples that were missing once it ran.
fn through(period: usize, ppm: i32) -> (Vec<i16>, [i32; 2], u64) {
    let (microphone, speaker, mut audio) = link(RATE);
    let mut device = VirtualDevice::new(Time(3_700_000), (microphone, speaker), RATE, period, ppm);
    let mut tone = Tone::new(RATE, HERTZ as f32, -10.0);
    let mut frame = vec![0; RATE.samples(FRAME_MS)];
    let ticks = MINUTES * 60_000 / u64::from(FRAME_MS);
    let mut heard = Vec::with_capacity(ticks as usize * frame.len());
    let (mut begun, mut missing) = (None, 0);
    for tick in 1..=ticks {
        // Our thread wakes up to two milliseconds late.
        let late = (tick.wrapping_mul(0x9e37_79b9) >> 7) % 2_000_000;
        let now = Time(tick * u64::from(FRAME_MS) * 1_000_000 + late);
        device.handle_timeout(now, |played, microphone| microphone.copy_from_slice(played));
        tone.record(now, &mut frame);
        audio.play(now, &frame);
        audio.record(now, &mut frame);
        heard.extend_from_slice(&frame);
        if heard.len() >= SETTLED {
            let figures = audio.figures();
            let all = figures.underrun + figures.overrun + figures.starved;
            missing = all - *begun.get_or_insert(all);
        }
    }
    let figures = audio.figures();
    (heard, [figures.speaker_drift_ppm, figures.microphone_drift_ppm], missing)
}

/// The most that any sample is off from where the two before it say that the sine goes on, in dB below the level of the sine.
fn worst(heard: &[i16]) -> f64 {
    let turn = 2.0 * (TAU * HERTZ / f64::from(RATE.hertz())).cos();
    let settled = heard.get(SETTLED..).unwrap_or_default();
    let off = settled.windows(3).map(|three| {
        let [before, last, now] = [three[0], three[1], three[2]].map(f64::from);
        (now - turn * last + before).abs()
    });
    let peak = f64::from(amplitude(-10.0));
    20.0 * (off.fold(0.0, f64::max) / peak).log10()
}

fn no_click(period: usize, ppm: i32) {
    let (heard, drift, missing) = through(period, ppm);
    let worst = worst(&heard);
    assert!(worst < -55.0, "periods of {period} at {ppm} ppm: {worst:.1} dB");
    assert_eq!(missing, 0, "samples missing in periods of {period} at {ppm} ppm");
    for learnt in drift {
        assert!((learnt - ppm).abs() <= 10, "{learnt} ppm learnt of {ppm}");
    }
}

#[test]
fn a_card_that_is_200_ppm_fast_for_ten_minutes_makes_no_click() {
    no_click(80, 200);
}

#[test]
fn a_card_that_is_200_ppm_slow_for_ten_minutes_makes_no_click() {
    no_click(128, -200);
}

#[test]
fn a_sample_left_out_or_said_twice_is_a_click() {
    let mut tone = Tone::new(RATE, HERTZ as f32, -10.0);
    let mut heard = vec![0; 2 * SETTLED];
    tone.record(Time(0), &mut heard);
    assert!(worst(&heard) < -60.0, "{:.1} dB", worst(&heard));
    let mut shorter = heard.clone();
    shorter.remove(SETTLED + 4_003);
    heard.insert(SETTLED + 4_003, heard[SETTLED + 4_003]);
    assert!(worst(&shorter) > -30.0 && worst(&heard) > -30.0);
}
