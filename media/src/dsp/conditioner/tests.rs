//! Levels, noise in pauses, and steps, with words made of noise and a buzz of harmonics.

use std::f32::consts::TAU;

use proptest::prelude::*;

use super::*;

const RATE: usize = 8_000;
const FRAME: usize = RATE / 50;

const BOTH: Conditioning = Conditioning { gain_control: true, noise_gate: true };
const GAIN: Conditioning = Conditioning { gain_control: true, noise_gate: false };
const GATE: Conditioning = Conditioning { gain_control: false, noise_gate: true };

/// Words of half a second with pauses of as long, of speech at one level over noise at another, in dBov.
struct Talk {
    at: usize,
    speech: f32,
    noise: f32,
    random: u32,
}

impl Talk {
    fn new(speech: f32, noise: f32) -> Self {
        Self { at: 0, speech, noise, random: 1 }
    }

    fn is_word(&self) -> bool {
        self.at / (RATE / 2) % 2 == 1
    }

    fn frame(&mut self) -> [i16; FRAME] {
        std::array::from_fn(|_| {
            let word = self.is_word();
            self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Even between -1 and 1: its power is a third.
            let noise = (self.random >> 8) as f32 / 8_388_608.0 - 1.0;
            let mut sample = noise * 3_f32.sqrt() * amplitude(self.noise);
            if word {
                let time = self.at as f32 / RATE as f32;
                let voice: f32 = (1..6).map(|harmonic| (TAU * 130.0 * harmonic as f32 * time).sin()).sum();
                sample += voice * (2.0_f32 / 5.0).sqrt() * amplitude(self.speech);
            }
            self.at += 1;
            sample.clamp(-32_768.0, 32_767.0) as i16
        })
    }
}

fn amplitude(dbov: f32) -> f32 {
    32_768.0 * 10_f32.powf(dbov / 20.0)
}

/// The levels of words and of pauses in the last of so many seconds, away from their edges.
fn levels(conditioning: Conditioning, speech: f32, noise: f32, seconds: usize) -> (f32, f32) {
    let mut conditioner = Conditioner::new(conditioning).unwrap();
    let mut talk = Talk::new(speech, noise);
    let (mut words, mut pauses) = (Vec::new(), Vec::new());
    for number in 0..50 * seconds {
        let word = talk.is_word();
        let mut frame = talk.frame();
        conditioner.process(&mut frame);
        let within = number % 25;
        if number >= 50 * (seconds - 1) && within >= 22 {
            if word { &mut words } else { &mut pauses }.extend(frame);
        }
    }
    (level_dbov(&words), level_dbov(&pauses))
}

#[test]
fn soft_and_loud_speakers_come_to_the_same_level() {
    for speech in [-40.0, -32.0, -24.0, -16.0, -10.0] {
        let (words, _) = levels(GAIN, speech, -75.0, 20);
        assert!((words - TARGET_DBOV).abs() <= 3.0, "{speech}: {words}");
    }
}

#[test]
fn noise_in_pauses_is_raised_by_no_more_than_speech_and_noise_alone_never() {
    let (words, pauses) = levels(GAIN, -36.0, -66.0, 20);
    assert!(((words - pauses) - 30.0).abs() < 2.0, "{words} {pauses}");
    let mut conditioner = Conditioner::new(GAIN).unwrap();
    let mut talk = Talk::new(f32::NEG_INFINITY, -55.0);
    for number in 0..3_000 {
        let mut frame = talk.frame();
        let before = level_dbov(&frame);
        conditioner.process(&mut frame);
        assert!((level_dbov(&frame) - before).abs() < 0.1, "{number}");
    }
}

#[test]
fn a_long_pause_leaves_the_gain_where_it_was() {
    let mut conditioner = Conditioner::new(GAIN).unwrap();
    let mut talk = Talk::new(-38.0, -70.0);
    (0..1_000).for_each(|_| _ = conditioner.process(&mut talk.frame()));
    let gain = conditioner.gain_db;
    assert!(gain > 8.0, "{gain}");
    let mut noise = Talk::new(f32::NEG_INFINITY, -70.0);
    (0..3_000).for_each(|_| _ = conditioner.process(&mut noise.frame()));
    assert!((conditioner.gain_db - gain).abs() < 0.1);
}

#[test]
fn the_gate_lets_words_pass_whole_and_nothing_else() {
    let mut conditioner = Conditioner::new(GATE).unwrap();
    let mut talk = Talk::new(-26.0, -60.0);
    for number in 0..500 {
        let word = talk.is_word();
        let mut frame = talk.frame();
        let spoken = frame;
        let sounds = conditioner.process(&mut frame);
        // The hold and the closing take 420 ms of a pause of 500.
        if word && number % 25 != 0 {
            assert_eq!(frame, spoken, "{number}");
        } else if !word && number % 25 >= 22 {
            assert_eq!((sounds, frame), (false, [0; FRAME]), "{number}");
        }
    }
}

#[test]
fn the_first_sound_of_a_word_is_heard() {
    let mut conditioner = Conditioner::new(GATE).unwrap();
    let mut talk = Talk::new(-26.0, -70.0);
    (0..25).for_each(|_| _ = conditioner.process(&mut talk.frame()));
    let mut frame = talk.frame();
    let spoken = frame;
    assert!(conditioner.process(&mut frame));
    assert_eq!(frame[FRAME / OPENING..], spoken[FRAME / OPENING..]);
}

#[test]
fn digital_silence_stays_silence() {
    for conditioning in [BOTH, GAIN, GATE] {
        let mut conditioner = Conditioner::new(conditioning).unwrap();
        for _ in 0..100 {
            let mut frame = [0; FRAME];
            conditioner.process(&mut frame);
            assert_eq!(frame, [0; FRAME]);
        }
    }
    assert_eq!(Conditioner::new(Conditioning::default()), None);
}

proptest! {
    /// A constant shows every change of the factor as a step: none is larger than the ramps make it.
    #[test]
    fn no_step_clicks_however_speech_comes_and_goes(
        frames in proptest::collection::vec((any::<bool>(), 1_u8..40), 1..12),
        gain_control in any::<bool>(),
        noise_gate in any::<bool>(),
    ) {
        prop_assume!(gain_control || noise_gate);
        let mut conditioner = Conditioner::new(Conditioning { gain_control, noise_gate }).unwrap();
        let mut before = conditioner.factor;
        for (loud, count) in frames {
            // Soft and loud by turns, so that the gate opens and closes and the gain moves.
            let sample = if loud { 3_000 } else { 4 };
            for _ in 0..count {
                let mut frame = [sample; FRAME];
                conditioner.process(&mut frame);
                let mut last = before;
                for heard in frame {
                    let factor = f32::from(heard) / f32::from(sample);
                    // The whole way in 2.5 ms, the gain of at most 18 dB included, and what rounding makes of a sample.
                    let most = 9.0 / (FRAME / OPENING) as f32 + 1.0 / f32::from(sample);
                    prop_assert!((factor - last).abs() <= most, "{last} {factor}");
                    last = factor;
                }
                before = f32::from(frame[FRAME - 1]) / f32::from(sample);
            }
        }
    }
}
