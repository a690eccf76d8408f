//! A player of call progress tones in their cadence, and of the test tone of a milliwatt (ITU-T E.180, G.711 §5 for
//! the level).
//!
//! Each pulse swells and fades along half a cosine of 5 ms, so that it does not click. A tone goes on until it is dropped.
//!
//! Left out on purpose: announcements after the special information tone.

use serde::{Deserialize, Serialize};

use super::countries::{Country, Pitch, Pulse};
use super::oscillator::{Oscillator, amplitude, edge_gain};

/// How deep a modulated tone goes down: E.180 supplement 2 does not say; most exchanges did not reach zero.
const DEPTH: f32 = 0.9;
/// The test tone is not a divisor of the sampling rate, so that it goes through all values of a codec.
const MILLIWATT: &[Pulse] = &[Pulse { pitch: Pitch::Single(1004), ms: 0 }];

/// Which tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CallTone {
    /// The line is ready for digits.
    Dial,
    /// The called phone rings.
    RingBack,
    /// The called phone is busy.
    Busy,
    /// The network cannot reach it.
    Congestion,
    /// An announcement follows, or would.
    SpecialInformation,
}

impl CallTone {
    /// Its cadence in a country.
    #[must_use]
    pub const fn cadence(self, country: &Country) -> &'static [Pulse] {
        match self {
            Self::Dial => country.dial,
            Self::RingBack => country.ring_back,
            Self::Busy => country.busy,
            Self::Congestion => country.congestion,
            Self::SpecialInformation => country.special_information,
        }
    }
}

/// What a player plays, in words that outlive the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Programme {
    /// A tone of the country with this code.
    Call { country: [u8; 2], tone: CallTone },
    /// The test tone.
    Milliwatt,
}

/// Plays one tone for ever.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TonePlayer {
    programme: Programme,
    rate: u32,
    /// The peak of a single sine at the level of the player.
    peak: f32,
    /// Which pulse of the cadence, and how many samples of it were played.
    pulse: usize,
    played: u64,
    tones: [Oscillator; 2],
}

impl TonePlayer {
    /// A tone of a country at `rate` samples per second; its pulses have `dbm0` altogether. E.180 wants −10, give or take
    /// five.
    #[must_use]
    pub fn new(country: &'static Country, tone: CallTone, rate: u32, dbm0: f32) -> Self {
        // Codes have two letters; a table that had others would play nothing.
        let country = country.code.as_bytes().first_chunk().copied().unwrap_or_default();
        Self::playing(Programme::Call { country, tone }, rate, dbm0)
    }

    /// 1004 Hz at 0 dBm0, one milliwatt where levels are relative to nothing.
    #[must_use]
    pub fn milliwatt(rate: u32) -> Self {
        Self::playing(Programme::Milliwatt, rate, 0.0)
    }

    fn playing(programme: Programme, rate: u32, dbm0: f32) -> Self {
        let mut player = Self {
            programme,
            rate,
            peak: amplitude(dbm0),
            pulse: 0,
            played: 0,
            tones: [Oscillator::default(); 2],
        };
        player.tune();
        player
    }

    /// Writes the next samples, mono, any number. Allocates nothing; some 5 to 15 ns per sample.
    pub fn fill(&mut self, samples: &mut [i16]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let Some(pulse) = self.cadence().get(self.pulse).copied() else {
                rest.fill(0);
                return;
            };
            let length = self.samples(pulse.ms);
            let left = usize::try_from(length - self.played).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at_mut(left.min(rest.len()));
            self.sound(pulse, length, now);
            if self.played == length {
                self.pulse = (self.pulse + 1) % self.cadence().len().max(1);
                self.played = 0;
                self.tune();
            }
            rest = later;
        }
    }

    /// A part of one pulse of `length` samples.
    fn sound(&mut self, pulse: Pulse, length: u64, samples: &mut [i16]) {
        for sample in samples {
            let gain = self.peak * edge_gain(self.played, length, self.rate);
            let value = match pulse.pitch {
                Pitch::Silence => 0.0,
                Pitch::Single(_) => self.tones[0].sample(),
                Pitch::Pair(..) => {
                    (self.tones[0].sample() + self.tones[1].sample()) * std::f32::consts::FRAC_1_SQRT_2
                }
                Pitch::Modulated(..) => {
                    let carrier = self.tones[0].sample() * (1.0 + DEPTH * self.tones[1].sample());
                    // A modulated tone has this much more power than its carrier.
                    carrier / (1.0 + DEPTH * DEPTH / 2.0).sqrt()
                }
            };
            *sample = (value * gain).round() as i16;
            self.played += 1;
        }
    }

    /// Sets the oscillators for the pulse that begins.
    fn tune(&mut self) {
        let (first, second) = match self.cadence().get(self.pulse).map(|pulse| pulse.pitch) {
            Some(Pitch::Single(hertz)) => (hertz, 0),
            Some(Pitch::Pair(first, second) | Pitch::Modulated(first, second)) => (first, second),
            Some(Pitch::Silence) | None => (0, 0),
        };
        self.tones = [first, second].map(|hertz| Oscillator::new(f32::from(hertz), self.rate));
    }

    fn cadence(&self) -> &'static [Pulse] {
        match self.programme {
            Programme::Milliwatt => MILLIWATT,
            Programme::Call { country, tone } => {
                let code = core::str::from_utf8(&country).ok();
                code.and_then(Country::of).map_or(&[], |country| tone.cadence(country))
            }
        }
    }

    /// Samples of a pulse; one that is for ever ends after some millennia.
    fn samples(&self, ms: u16) -> u64 {
        if ms == 0 { u64::MAX } else { (u64::from(ms) * u64::from(self.rate) / 1000).max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::COUNTRIES;

    const TONES: [CallTone; 5] = [
        CallTone::Dial,
        CallTone::RingBack,
        CallTone::Busy,
        CallTone::Congestion,
        CallTone::SpecialInformation,
    ];

    fn country(code: &str) -> &'static Country {
        Country::of(code).unwrap()
    }

    fn play(mut player: TonePlayer, ms: u32) -> Vec<i16> {
        let mut samples = vec![1; (player.rate * ms / 1000) as usize];
        samples.chunks_mut(333).for_each(|frame| player.fill(frame));
        samples
    }

    /// The level of a sound in dBm0.
    fn level(samples: &[i16]) -> f32 {
        let power =
            samples.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>() / samples.len() as f32;
        20.0 * ((2.0 * power).sqrt() / amplitude(0.0)).log10()
    }

    /// The power of a sound at one frequency, in parts of the whole.
    fn share(samples: &[i16], hertz: f32, rate: u32) -> f32 {
        let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
        for (at, sample) in samples.iter().enumerate() {
            let (sine, cosine) = (std::f32::consts::TAU * hertz * at as f32 / rate as f32).sin_cos();
            let sample = f32::from(*sample);
            (re, im, power) = (re + sample * cosine, im + sample * sine, power + sample * sample);
        }
        2.0 * (re * re + im * im) / (samples.len() as f32 * power)
    }

    #[test]
    fn the_countries_are_sorted_and_all_that_are_asked_for_are_there() {
        assert!(COUNTRIES.is_sorted_by(|a, b| a.code < b.code));
        for code in
            "us gb de fr ru it es pl nl ch at se no fi dk cz tr in cn jp kr au nz br mx za ua kz".split(' ')
        {
            assert_eq!(country(code).code, code);
        }
        assert_eq!(country("UK").code, "gb");
        assert_eq!(Country::of("xx"), None);
    }

    #[test]
    fn every_cadence_sounds_and_lasts_or_comes_again() {
        for country in COUNTRIES {
            for tone in TONES {
                let cadence = tone.cadence(country);
                assert!(cadence[0].pitch != Pitch::Silence, "{}", country.code);
                assert!(cadence.iter().all(|pulse| pulse.ms != 0) || cadence.len() == 1, "{}", country.code);
            }
        }
    }

    #[test]
    fn a_german_busy_tone_is_425_hertz_for_480_of_960_ms_at_any_rate() {
        for rate in [8000, 16_000, 44_100, 48_000] {
            let samples = play(TonePlayer::new(country("de"), CallTone::Busy, rate, -10.0), 1920);
            let ms =
                |from: u32, to: u32| &samples[(rate * from / 1000) as usize..(rate * to / 1000) as usize];
            for start in [0, 960] {
                assert!((level(ms(start + 10, start + 470)) + 10.0).abs() < 0.1);
                assert!(share(ms(start + 10, start + 470), 425.0, rate) > 0.99);
                assert!(ms(start + 481, start + 959).iter().all(|sample| *sample == 0));
            }
        }
    }

    #[test]
    fn pairs_and_modulated_tones_have_the_level_of_single_ones() {
        for (code, tone) in [("us", CallTone::Dial), ("in", CallTone::Dial), ("za", CallTone::Dial)] {
            let samples = play(TonePlayer::new(country(code), tone, 8000, -10.0), 2000);
            assert!((level(&samples) + 10.0).abs() < 0.2, "{code} {}", level(&samples));
        }
    }

    #[test]
    fn the_special_information_tone_rises_in_three_steps() {
        let samples = play(TonePlayer::new(country("us"), CallTone::SpecialInformation, 8000, -10.0), 1990);
        for (step, hertz) in [950.0, 1400.0, 1800.0].into_iter().enumerate() {
            let part = &samples[step * 2640..(step + 1) * 2640];
            assert!(share(part, hertz, 8000) > 0.95, "{hertz}");
        }
        assert!(samples[7920..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn the_milliwatt_is_1004_hertz_at_0_dbm0() {
        for rate in [8000, 48_000] {
            let samples = play(TonePlayer::milliwatt(rate), 1000);
            let steady = &samples[rate as usize / 100..];
            assert!(level(steady).abs() < 0.05, "{}", level(steady));
            assert!(share(steady, 1004.0, rate) > 0.999);
        }
    }

    #[test]
    fn the_pieces_in_which_a_tone_is_played_do_not_matter() {
        let whole = play(TonePlayer::new(country("gb"), CallTone::RingBack, 8000, -10.0), 4000);
        let mut player = TonePlayer::new(country("gb"), CallTone::RingBack, 8000, -10.0);
        let mut pieces = vec![0; whole.len()];
        pieces.chunks_mut(7).for_each(|piece| player.fill(piece));
        assert_eq!(whole, pieces);
    }

    #[test]
    fn a_restored_player_goes_on_where_it_was() {
        let mut player = TonePlayer::new(country("it"), CallTone::Dial, 8000, -10.0);
        player.fill(&mut [0; 2345]);
        let mut again: TonePlayer = postcard::from_bytes(&postcard::to_allocvec(&player).unwrap()).unwrap();
        let (mut one, mut two) = ([0; 999], [0; 999]);
        player.fill(&mut one);
        again.fill(&mut two);
        assert_eq!(one, two);
    }

    #[test]
    fn playing_allocates_nothing() {
        let mut player = TonePlayer::new(country("jp"), CallTone::RingBack, 48_000, -10.0);
        let mut frame = [0; 960];
        let counted = allocation_counter::measure(|| (0..300).for_each(|_| player.fill(&mut frame)));
        assert_eq!(counted.count_total, 0);
    }
}
