//! Devices of virtual time whose clocks drift; files; echo.

use super::*;
use media::source::{Oscillator, amplitude};
use sip_stack::Time;
use std::time::Duration;

const RATE: SampleRate = SampleRate::Hz8000;
/// As long as it takes to learn a drift; ten minutes go the same way.
const LONG_MS: u64 = 90_000;

/// A tone through the device and back into our microphone, for so long; what came back, and the figures.
fn through(period: usize, ppm: i32, ms: u64) -> (Vec<i16>, LinkFigures) {
    let (microphone, speaker, mut audio) = link(RATE);
    let mut device = VirtualDevice::new(Time(3_700_000), (microphone, speaker), RATE, period, ppm);
    let mut tone = Tone::new(RATE, 400.0, -10.0);
    let mut frame = vec![0; RATE.samples(FRAME_MS)];
    let mut heard = Vec::new();
    for tick in 1..=ms / u64::from(FRAME_MS) {
        // Our thread wakes up to two milliseconds late.
        let late = (tick.wrapping_mul(0x9e37_79b9) >> 7) % 2_000_000;
        let now = Time(tick * u64::from(FRAME_MS) * 1_000_000 + late);
        device.handle_timeout(now, |played, microphone| microphone.copy_from_slice(played));
        tone.record(now, &mut frame);
        audio.play(now, &frame);
        audio.record(now, &mut frame);
        heard.extend_from_slice(&frame);
    }
    (heard, audio.figures())
}

/// The largest step between two samples: a sine of that level has a largest one, a click a larger one.
fn largest_step(samples: &[i16]) -> f32 {
    let steps = samples.windows(2).map(|pair| (f32::from(pair[1]) - f32::from(pair[0])).abs());
    steps.fold(0.0, f32::max)
}

#[test]
fn clocks_that_drift_are_followed_without_a_click() {
    let steepest = std::f32::consts::TAU * 400.0 / 8_000.0 * amplitude(-10.0);
    for (period, ppm) in [(80, 200), (128, -200)] {
        let (heard, figures) = through(period, ppm, LONG_MS);
        let settled = &heard[8_000..];
        assert!(largest_step(settled) < 1.02 * steepest, "{period} at {ppm} ppm: {}", largest_step(settled));
        assert!(settled.chunks(400).all(|chunk| chunk.iter().any(|sample| sample.abs() > 3_000)));
        assert_eq!((figures.overrun, figures.starved), (0, 0), "{period} at {ppm} ppm");
        assert!((figures.speaker_drift_ppm - ppm).abs() < 40, "{period} at {ppm} ppm: {figures:?}");
        assert!((figures.microphone_drift_ppm - ppm).abs() < 40, "{period} at {ppm} ppm: {figures:?}");
    }
}

#[test]
fn sound_waits_no_longer_than_it_has_to() {
    // A click goes in at two seconds; when does it come back?
    let (microphone, speaker, mut audio) = link(RATE);
    let mut device = VirtualDevice::new(Time(0), (microphone, speaker), RATE, 80, 0);
    let mut heard = Vec::new();
    let (mut frame, silence) = (vec![0; 80], vec![0; 80]);
    let mut click = silence.clone();
    click[0] = 20_000;
    for tick in 1..=300_u64 {
        let now = Time(tick * 10_000_000 + 1);
        device.handle_timeout(now, |played, microphone| microphone.copy_from_slice(played));
        audio.play(now, if tick == 200 { &click } else { &silence });
        audio.record(now, &mut frame);
        heard.extend_from_slice(&frame);
    }
    let at = heard.iter().position(|sample| *sample > 5_000).unwrap();
    let ms = (at as i64 - 199 * 80) / 8;
    assert!((10..=60).contains(&ms), "{ms} ms through both rings and a device of 10 ms");
}

/// Ticks at which our thread does not run, by what is left of `stops`; clicks at `clicks`; milliseconds from each of them until it
/// comes back.
fn delays(stops: std::ops::Range<u64>, clicks: [u64; 2], end: u64) -> Vec<i64> {
    let (microphone, speaker, mut audio) = link(RATE);
    let mut device = VirtualDevice::new(Time(0), (microphone, speaker), RATE, 80, 0);
    let mut heard = Vec::new();
    let (mut frame, silence) = (vec![0; 80], vec![0; 80]);
    let mut click = silence.clone();
    click[0] = 20_000;
    for tick in 1..=end {
        let now = Time(tick * 10_000_000 + 1);
        let stopped = stops.contains(&tick) && tick % 100 < 6;
        if !stopped {
            device.handle_timeout(now, |played, microphone| microphone.copy_from_slice(played));
            audio.play(now, if clicks.contains(&tick) { &click } else { &silence });
            audio.record(now, &mut frame);
        }
        heard.extend_from_slice(&frame);
    }
    let back = |tick: u64| {
        let from = (tick as usize - 1) * 80;
        let after = heard[from..].iter().position(|sample| *sample > 5_000).expect("the click comes back");
        after as i64 / 8
    };
    clicks.map(back).to_vec()
}

#[test]
fn what_gaps_added_to_the_delay_is_given_back_when_there_are_none() {
    let undisturbed = delays(0..0, [200, 9_000], 9_200);
    // Our thread is stopped for 60 ms in each of five seconds; then three minutes pass.
    let disturbed = delays(300..800, [900, 40_000], 40_200);
    assert!(disturbed[0] > undisturbed[0] + 5, "{disturbed:?} against {undisturbed:?}");
    assert!((disturbed[1] - undisturbed[1]).abs() <= 2, "{disturbed:?} against {undisturbed:?}");
}

#[test]
fn a_thread_that_was_stopped_catches_up() {
    let (microphone, speaker, mut audio) = link(RATE);
    let mut device = VirtualDevice::new(Time(0), (microphone, speaker), RATE, 80, 0);
    let mut frame = vec![0; 80];
    let mut ring = Oscillator::new(400.0, 8_000);
    let mut run = |from: u64, to: u64, audio: &mut LinkedAudio| {
        for tick in from..to {
            let now = Time(tick * 10_000_000);
            device.handle_timeout(now, |_, microphone| {
                microphone.iter_mut().for_each(|sample| *sample = (ring.sample() * 9_000.0) as i16);
            });
            audio.play(now, &frame);
            audio.record(now, &mut frame);
        }
    };
    run(1, 200, &mut audio);
    let before = audio.figures();
    // 150 ms without us.
    run(215, 400, &mut audio);
    let after = audio.figures();
    assert!(after.overrun > before.overrun && after.underrun > before.underrun);
    run(400, 900, &mut audio);
    let end = audio.figures();
    assert_eq!((end.overrun, end.underrun, end.starved), (after.overrun, after.underrun, after.starved));
}

#[test]
fn a_device_that_is_replaced_in_one_direction_leaves_the_other_alone() {
    let (mut microphone, mut speaker, mut audio) = link(RATE);
    let (mut frame, mut played) = (vec![0; 80], vec![0; 80]);
    let (mut heard, mut rendered) = (Vec::new(), Vec::new());
    for tick in 1..=300_u64 {
        let now = Time(tick * 10_000_000);
        match tick {
            100 => microphone = audio.replace_microphone(),
            200 => speaker = audio.replace_speaker(),
            _ => {}
        }
        microphone.capture(now, &[700; 80]);
        speaker.render(now, &mut played);
        rendered.push(played.iter().all(|sample| *sample == 900));
        audio.play(now, &[900; 80]);
        audio.record(now, &mut frame);
        heard.push(frame.iter().all(|sample| *sample == 700));
    }
    let whole = |ticks: &[bool]| ticks.iter().all(|whole| *whole);
    assert!(whole(&rendered[50..199]) && whole(&rendered[240..]), "{rendered:?}");
    assert!(whole(&heard[50..99]) && whole(&heard[140..]), "{heard:?}");
    assert!(!heard[99] && !rendered[199], "another device begins with its reserve");
    assert_eq!((audio.figures().overrun, audio.figures().starved), (0, 0));
}

#[test]
fn a_file_is_said_once_or_again_and_what_is_heard_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heard.wav");
    let recording = Recording::create(&path, RATE).unwrap();
    let mut audio = FileAudio::new(RATE, vec![7; 100], false, Some(recording));
    let mut frame = [0; 80];
    audio.record(Time(0), &mut frame);
    assert!(frame == [7; 80] && !audio.is_finished());
    audio.record(Time(0), &mut frame);
    assert!(frame[..20] == [7; 20] && frame[20..] == [0; 60] && audio.is_finished());
    audio.play(Time(0), &[4; 80]);
    audio.set_talking(true);
    audio.play(Time(0), &[5; 80]);
    audio.finish().unwrap();
    assert_eq!(read_sound(&path, RATE).unwrap(), [5; 80]);
    let recording = Recording::create(&path, RATE).unwrap().with_early(true);
    let mut early = FileAudio::new(RATE, vec![0], true, Some(recording));
    early.play(Time(0), &[4; 80]);
    early.finish().unwrap();
    assert_eq!(read_sound(&path, RATE).unwrap(), [4; 80]);
    let mut again = FileAudio::new(RATE, vec![1, 2, 3], true, None);
    again.record(Time(0), &mut frame[..5]);
    assert_eq!(frame[..5], [1, 2, 3, 1, 2]);
    assert!(!again.is_finished());
}

/// A room in which the speaker is heard by the microphone, 40 ms later and 12 dB softer.
#[cfg(feature = "processing")]
#[test]
fn echo_is_taken_away_and_our_own_voice_is_not() {
    struct Room {
        echo: std::collections::VecDeque<i16>,
        own: Option<Tone>,
    }
    impl Audio for Room {
        fn rate(&self) -> SampleRate {
            SampleRate::Hz16000
        }
        fn record(&mut self, now: Time, frame: &mut [i16]) {
            match &mut self.own {
                Some(own) => own.record(now, frame),
                None => frame.fill(0),
            }
            for sample in frame {
                *sample = sample.saturating_add(self.echo.pop_front().unwrap_or(0) / 4);
            }
        }
        fn play(&mut self, _now: Time, frame: &[i16]) {
            self.echo.extend(frame);
        }
    }
    // Noise that comes and goes like speech: an echo of it cannot be guessed.
    let mut seed = 1_u32;
    let mut noise = |tick: u64, frame: &mut [i16]| {
        for sample in frame {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = if tick % 50 < 35 { ((seed >> 16) as u16).cast_signed() / 4 } else { 0 };
        }
    };
    let mut power = [0.0_f64; 2];
    for (at, processing) in
        [Processing::OFF, Processing { echo: true, ..Processing::OFF }].into_iter().enumerate()
    {
        let room = Room { echo: std::collections::VecDeque::from(vec![0; 640]), own: None };
        let mut audio = Processed::new(room, processing);
        let mut frame = vec![0; 160];
        for tick in 0..1_000 {
            let now = Time(0) + Duration::from_millis(10 * tick);
            noise(tick, &mut frame);
            audio.play(now, &frame);
            audio.record(now, &mut frame);
            if tick >= 500 {
                power[at] += frame.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
            }
        }
    }
    let loss = 10.0 * (power[0] / power[1].max(1.0)).log10();
    assert!(loss > 25.0, "{loss:.1} dB of echo return loss enhancement");
    let own = Some(Tone::new(SampleRate::Hz16000, 500.0, -20.0));
    let room = Room { echo: std::collections::VecDeque::from(vec![0; 640]), own };
    let mut audio = Processed::new(room, Processing { echo: true, ..Processing::OFF });
    let (mut frame, mut own) = (vec![0; 160], 0.0);
    for tick in 0..300 {
        let now = Time(0) + Duration::from_millis(10 * tick);
        audio.play(now, &[0; 160]);
        audio.record(now, &mut frame);
        if tick >= 200 {
            own += frame.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 16_000.0;
        }
    }
    let level = 10.0 * (own * 2.0 / f64::from(amplitude(0.0)).powi(2)).log10();
    assert!((level + 20.0).abs() < 3.0, "{level:.1} dBm0");
}

/// The level of the last second of so many, of what is heard in a room without echo.
#[cfg(feature = "processing")]
fn sent(heard: impl Audio, processing: Processing, seconds: usize) -> f64 {
    let rate = heard.rate();
    let mut audio = Processed::new(heard, processing);
    let mut frame = vec![0; rate.samples(FRAME_MS)];
    let mut power = 0.0;
    for tick in 0..100 * seconds {
        audio.record(Time(0), &mut frame);
        if tick >= 100 * (seconds - 1) {
            power += frame.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 16_000.0;
        }
    }
    10.0 * (power * 2.0 / f64::from(amplitude(0.0)).powi(2)).log10()
}

#[cfg(feature = "processing")]
#[test]
fn what_never_pauses_is_made_softer_as_noise_after_a_while_and_not_before() {
    let processing = Processing { noise: true, ..Processing::OFF };
    let steady = Tone::new(SampleRate::Hz16000, 300.0, -40.0);
    let before = sent(steady, processing, 1);
    assert!((before + 40.0).abs() < 0.1, "{before:.1} dBm0");
    let after = sent(steady, processing, 8);
    assert!(after < -46.0, "{after:.1} dBm0");
}
