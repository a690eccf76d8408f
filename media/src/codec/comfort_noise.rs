//! Comfort noise (RFC 3389): the payload, noise made from it, and the payload of a background that is heard.
//!
//! A payload is a level and the reflection coefficients of an all-pole model of the spectrum. [`Generator`] runs white noise
//! through that model; [`Analyser`] fits the model to frames that somebody judged to be background.
//!
//! Left out on purpose: the judgement itself (voice activity) and when to send (§5 leaves both open); models of order above
//! [`MAX_ORDER`], whose higher coefficients a receiver may ignore (§3).

use serde::{Deserialize, Serialize};

/// Reflection coefficients used of a payload, and sent at most.
pub const MAX_ORDER: usize = 12;
/// Octets of the longest payload we make.
pub const MAX_PAYLOAD: usize = 1 + MAX_ORDER;
/// 0 dBov is a square wave at full scale (§3.1).
const OVERLOAD: f32 = 32768.0;

/// The description of a background (§3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Level in −dBov, 0 to 127; greater is quieter.
    level: u8,
    order: usize,
    /// Indices N of the coefficients (§3.2).
    indices: [u8; MAX_ORDER],
}

impl Description {
    /// White noise at `level` −dBov, 0 to 127.
    #[must_use]
    pub fn white(level: u8) -> Description {
        Description { level: level.min(127), order: 0, indices: [0; MAX_ORDER] }
    }

    /// Reads a payload; none if it is empty. Coefficients beyond [`MAX_ORDER`] are ignored, and so is the spectrum from a
    /// reserved index on.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Description> {
        let (level, spectrum) = payload.split_first()?;
        // The first bit is unused (§3.1).
        let mut description = Description::white(level & 0x7f);
        let known = spectrum.iter().take(MAX_ORDER).take_while(|index| **index != 255);
        for (place, index) in description.indices.iter_mut().zip(known) {
            *place = *index;
            description.order += 1;
        }
        Some(description)
    }

    /// Writes the payload and returns its length. Trailing coefficients that have no room are left out.
    pub fn write(&self, out: &mut [u8]) -> usize {
        let Some((level, spectrum)) = out.split_first_mut() else { return 0 };
        *level = self.level;
        let order = self.order.min(spectrum.len());
        spectrum[..order].copy_from_slice(&self.indices[..order]);
        1 + order
    }

    /// Level in −dBov.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Coefficients between −1 and 1, the first one first.
    fn reflections(&self) -> [f32; MAX_ORDER] {
        let mut reflections = [0.0; MAX_ORDER];
        for (reflection, index) in reflections.iter_mut().zip(&self.indices[..self.order]) {
            // §3.2: quantised uniformly, 127 stands for 0.
            *reflection = 258.0 * (f32::from(*index) - 127.0) / 32768.0;
        }
        reflections
    }
}

/// Makes noise after a description, at any sample rate. Plain data of about 130 bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Generator {
    reflections: [f32; MAX_ORDER],
    order: usize,
    /// Backward errors of the lattice, one per stage.
    backward: [f32; MAX_ORDER],
    /// Amplitude of the excitation, now and where it is going.
    amplitude: f32,
    target: f32,
    /// State of the random numbers, never 0.
    random: u64,
}

impl Generator {
    /// A generator that is silent until it is told what to make. Equal seeds make equal noise.
    #[must_use]
    pub fn new(seed: u64) -> Generator {
        Generator {
            reflections: [0.0; MAX_ORDER],
            order: 0,
            backward: [0.0; MAX_ORDER],
            amplitude: 0.0,
            target: 0.0,
            // A multiplication by an odd number and a bit that is set: neighbouring seeds differ everywhere, none is 0.
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// Takes in a description. The level is approached within the next 20 ms or so, without a step.
    pub fn describe(&mut self, description: &Description) {
        self.reflections = description.reflections();
        self.order = description.order;
        // The model amplifies white noise by 1 / Π(1 − k²).
        let shrink: f32 = self.reflections.iter().map(|k| 1.0 - k * k).product();
        let level = OVERLOAD * 10.0f32.powf(-f32::from(description.level) / 20.0);
        // Uniform noise between −1 and 1 has a power of 1/3.
        // Never so small that the processor slows down on it.
        self.target = (level * (3.0 * shrink).sqrt()).max(1e-9);
    }

    /// Fills `out` with noise. Costs about 1 µs for 20 ms at 8 kHz.
    pub fn generate(&mut self, out: &mut [i16]) {
        for sample in out {
            self.amplitude += (self.target - self.amplitude) / 64.0;
            let excitation = self.amplitude * self.excitation();
            let value = self.synthesise(excitation);
            *sample = value.clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16;
        }
    }

    /// White noise between −1 and 1: xorshift64, of which the upper bits are used.
    fn excitation(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32
    }

    /// One sample through the all-pole lattice.
    fn synthesise(&mut self, excitation: f32) -> f32 {
        let mut forward = excitation;
        for stage in (0..self.order.min(MAX_ORDER)).rev() {
            let (reflection, backward) = (self.reflections[stage], self.backward[stage]);
            forward -= reflection * backward;
            if let Some(next) = self.backward.get_mut(stage + 1) {
                *next = backward + reflection * forward;
            }
        }
        self.backward[0] = forward;
        forward
    }
}

/// Describes a background from frames of it. Plain data of about 60 bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Analyser {
    order: usize,
    /// Autocorrelation per sample, smoothed over about eight frames.
    correlation: [f32; MAX_ORDER + 1],
    primed: bool,
}

impl Analyser {
    /// An analyser that will describe the spectrum with `order` coefficients, at most [`MAX_ORDER`]; with none, by level
    /// alone. 10 suits telephone speech.
    #[must_use]
    pub fn new(order: usize) -> Analyser {
        Analyser { order: order.min(MAX_ORDER), correlation: [0.0; MAX_ORDER + 1], primed: false }
    }

    /// Takes in a frame of background. Costs about 0.6 µs for 160 samples and 10 coefficients.
    pub fn observe(&mut self, samples: &[i16]) {
        if samples.len() <= self.order {
            return;
        }
        let weight = if self.primed { 0.125 } else { 1.0 };
        self.primed = true;
        for (lag, smoothed) in self.correlation.iter_mut().enumerate().take(self.order + 1) {
            let products = samples.iter().zip(samples.get(lag..).unwrap_or_default());
            let sum: i64 = products.map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
            *smoothed += weight * (sum as f32 / samples.len() as f32 - *smoothed);
        }
    }

    /// The background so far; silence if there was none.
    #[must_use]
    pub fn describe(&self) -> Description {
        let power = self.correlation[0];
        let level = -10.0 * (power / (OVERLOAD * OVERLOAD)).max(1e-13).log10();
        // A conversion from floating point saturates.
        let mut description = Description::white((level + 0.5) as u8);
        if power >= 1.0 {
            description.order = self.order;
            description.indices = self.indices();
        }
        description
    }

    /// The quantised reflection coefficients of the correlation (Levinson-Durbin).
    fn indices(&self) -> [u8; MAX_ORDER] {
        let mut indices = [127; MAX_ORDER];
        let mut predictor = [0.0f32; MAX_ORDER + 1];
        // A little white noise keeps the recursion stable with tones.
        let mut error = self.correlation[0] * 1.0001;
        for stage in 1..=self.order {
            let known: f32 = (1..stage).map(|at| predictor[at] * self.correlation[stage - at]).sum();
            let reflection = (-(self.correlation[stage] + known) / error).clamp(-0.99, 0.99);
            let before = predictor;
            for at in 1..stage {
                predictor[at] += reflection * before[stage - at];
            }
            predictor[stage] = reflection;
            error *= 1.0 - reflection * reflection;
            indices[stage - 1] = (reflection * 32768.0 / 258.0 + 127.5) as u8;
        }
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One second at 8 kHz after the level has settled.
    fn noise(description: &Description) -> Vec<i16> {
        let mut generator = Generator::new(5);
        generator.describe(description);
        let mut out = vec![0; 800];
        generator.generate(&mut out);
        out.resize(8000, 0);
        generator.generate(&mut out);
        out
    }

    fn level(samples: &[i16]) -> f64 {
        let power =
            samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64;
        -10.0 * (power / f64::from(OVERLOAD).powi(2)).log10()
    }

    /// A background with most of its power below 500 Hz.
    fn hum() -> Vec<i16> {
        let white = noise(&Description::white(30));
        let mut state = 0.0;
        let low_pass = |sample: &i16| {
            state += (f64::from(*sample) - state) * 0.25;
            state as i16
        };
        white.iter().map(low_pass).collect()
    }

    #[test]
    fn noise_has_the_level_it_is_asked_for() {
        for asked in [20, 35, 50, 65] {
            let heard = level(&noise(&Description::white(asked)));
            assert!((heard - f64::from(asked)).abs() < 0.5, "{asked}: {heard:.2}");
        }
        assert!(noise(&Description::white(127)).iter().all(|sample| *sample == 0));
    }

    #[test]
    fn a_background_is_made_again_with_its_level_and_its_spectrum() {
        let background = hum();
        let mut analyser = Analyser::new(10);
        background.chunks(160).for_each(|frame| analyser.observe(frame));
        let mut payload = [0; MAX_PAYLOAD];
        assert_eq!(analyser.describe().write(&mut payload), 11);
        let again = noise(&Description::parse(&payload[..11]).unwrap());
        assert!((level(&again) - level(&background)).abs() < 1.5);
        let slope = |samples: &[i16]| {
            let product = |(a, b): (&i16, &i16)| f64::from(*a) * f64::from(*b);
            let neighbours: f64 = samples.iter().zip(&samples[1..]).map(product).sum();
            neighbours / samples.iter().zip(samples).map(product).sum::<f64>()
        };
        assert!(slope(&background) > 0.7, "the background is coloured");
        assert!((slope(&again) - slope(&background)).abs() < 0.05);
    }

    #[test]
    fn a_payload_reads_as_section_3_says() {
        let description = Description::parse(&[0x80 | 40, 127, 254, 0]).unwrap();
        assert_eq!((description.level(), description.order), (40, 3));
        let [zero, high, low, rest, ..] = description.reflections();
        assert_eq!((zero, high, low, rest), (0.0, 32766.0 / 32768.0, -32766.0 / 32768.0, 0.0));
        assert_eq!(Description::parse(&[]), None);
        assert_eq!(Description::parse(&[40, 100, 255, 100]).unwrap().order, 1);
        assert_eq!(Description::parse(&[0; 100]).unwrap().order, MAX_ORDER);
    }

    #[test]
    fn a_change_of_level_is_no_step() {
        let mut generator = Generator::new(1);
        generator.describe(&Description::white(20));
        let mut out = [0; 16];
        generator.generate(&mut out);
        assert!(out.iter().all(|sample| sample.unsigned_abs() < 2000));
        assert!(level(&noise(&Description::white(20))) < 21.0);
    }

    #[test]
    fn equal_seeds_make_equal_noise_also_after_a_restore() {
        let mut generator = Generator::new(9);
        generator.describe(&Description::parse(&[30, 200, 90]).unwrap());
        let (mut out, mut out2) = ([0; 160], [0; 160]);
        generator.generate(&mut out);
        let stored = postcard::to_allocvec(&generator).unwrap();
        let mut restored: Generator = postcard::from_bytes(&stored).unwrap();
        generator.generate(&mut out);
        restored.generate(&mut out2);
        assert_eq!(out, out2);
    }

    #[test]
    fn no_background_is_silence() {
        let mut analyser = Analyser::new(10);
        assert_eq!(analyser.describe().level(), 127);
        analyser.observe(&[0; 160]);
        let mut payload = [0; MAX_PAYLOAD];
        assert_eq!(analyser.describe().write(&mut payload), 1);
    }

    proptest! {
        #[test]
        fn the_extremest_payload_neither_panics_nor_blows_up(payload in prop::collection::vec(any::<u8>(), 1..20)) {
            let description = Description::parse(&payload).unwrap();
            let mut generator = Generator::new(3);
            generator.describe(&description);
            let mut out = vec![0; 4000];
            for _ in 0..4 {
                generator.generate(&mut out);
            }
            prop_assert!(generator.backward.iter().all(|value| value.is_finite()));
        }

        #[test]
        fn any_frame_is_described(samples in prop::collection::vec(any::<i16>(), 0..400), order in 0usize..20) {
            let mut analyser = Analyser::new(order);
            analyser.observe(&samples);
            let mut payload = [0; MAX_PAYLOAD];
            let length = analyser.describe().write(&mut payload);
            prop_assert!(payload[..length].iter().all(|octet| *octet != 255));
        }
    }
}
