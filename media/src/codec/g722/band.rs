//! One sub-band of G.722: the adaptive predictor (blocks 4L and 4H) and the adaptation of the step (blocks 3L and 3H), ITU-T
//! G.722 clauses 3.3 to 3.6 and 6.2.1.3 to 6.2.1.4. Both directions and both bands run the same arithmetic.
//!
//! Numbers are 16-bit values held in `i32`; every addition that can leave that range saturates, in the Recommendation's order.

use serde::{Deserialize, Serialize};

use super::tables::{HIGH_LOG, INVERSE_LOG, LOW_LOG};

/// State of a sub-band, the same in encoder and decoder as long as no octet is lost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Band {
    /// Logarithm of the step, NB.
    log_step: i32,
    /// Step of the quantiser, DET.
    step: i32,
    /// Signal estimate, S.
    estimate: i32,
    /// The zero section's share of the estimate, SZ.
    zero_estimate: i32,
    /// Reconstructed signal of the step before, R1.
    reconstructed: i32,
    /// Partially reconstructed signal, P1 and P2; only the signs matter.
    partial: [i32; 2],
    /// Coefficients of the pole section, A1 and A2.
    poles: [i32; 2],
    /// Coefficients of the zero section, B1 to B6.
    zeros: [i32; 6],
    /// Quantised differences, D1 to D6.
    differences: [i32; 6],
}

impl Band {
    /// The lower sub-band after a reset.
    pub(super) fn low() -> Band {
        Band::with_step(32)
    }

    /// The higher sub-band after a reset.
    pub(super) fn high() -> Band {
        Band::with_step(8)
    }

    fn with_step(step: i32) -> Band {
        Band {
            log_step: 0,
            step,
            estimate: 0,
            zero_estimate: 0,
            reconstructed: 0,
            partial: [0; 2],
            poles: [0; 2],
            zeros: [0; 6],
            differences: [0; 6],
        }
    }

    /// The estimate of the sample to come, 16 bits.
    #[inline]
    pub(super) fn estimate(&self) -> i32 {
        self.estimate
    }

    /// The step of the quantiser, 16 bits.
    #[inline]
    pub(super) fn step(&self) -> i32 {
        self.step
    }

    /// An output level at the present step: the quantised difference.
    #[inline]
    pub(super) fn difference(&self, level: i16) -> i32 {
        (self.step * i32::from(level)) >> 15
    }

    /// Takes in one quantised difference of the lower band, `index` being the first 4 bits of its codeword.
    #[inline]
    pub(super) fn adapt_low(&mut self, index: usize, difference: i32) {
        self.predict(difference);
        self.log_step = (self.leaked_log() + LOW_LOG[index & 15]).clamp(0, 18432);
        self.step = linear(self.log_step, 8);
    }

    /// Takes in one quantised difference of the higher band, `index` being the 2 bits of its codeword.
    #[inline]
    pub(super) fn adapt_high(&mut self, index: usize, difference: i32) {
        self.predict(difference);
        self.log_step = (self.leaked_log() + HIGH_LOG[index & 3]).clamp(0, 22528);
        self.step = linear(self.log_step, 10);
    }

    #[inline]
    fn leaked_log(&self) -> i32 {
        (self.log_step * 127) >> 7
    }

    /// RECONS, PARREC, UPPOL2, UPPOL1, UPZERO, FILTEP, FILTEZ and PREDIC.
    #[inline]
    fn predict(&mut self, difference: i32) {
        let reconstructed = saturate(self.estimate + difference);
        let partial = saturate(self.zero_estimate + difference);
        let [past1, past2] = self.partial;
        let alike1 = (partial ^ past1) >= 0;
        let alike2 = (partial ^ past2) >= 0;
        self.poles = moved_poles(self.poles, alike1, alike2);
        self.partial = [partial, past1];
        self.zero_estimate = self.filter_zeros(difference);
        let [pole1, pole2] = self.poles;
        let newer = (saturate(2 * reconstructed) * pole1) >> 15;
        let older = (saturate(2 * self.reconstructed) * pole2) >> 15;
        self.reconstructed = reconstructed;
        self.estimate = saturate(saturate(newer + older) + self.zero_estimate);
    }

    /// UPZERO and FILTEZ. The estimate is summed from the oldest difference to the newest.
    #[inline]
    fn filter_zeros(&mut self, difference: i32) -> i32 {
        let gain = if difference == 0 { 0 } else { 128 };
        let past = self.differences;
        for (zero, &older) in self.zeros.iter_mut().zip(&past) {
            let change = if (older ^ difference) >= 0 { gain } else { -gain };
            *zero = saturate(((*zero * 32640) >> 15) + change);
        }
        self.differences = [difference, past[0], past[1], past[2], past[3], past[4]];
        let products = self.zeros.iter().zip(&self.differences);
        products.rev().fold(0, |sum, (zero, delayed)| saturate(sum + ((zero * saturate(2 * delayed)) >> 15)))
    }
}

/// UPPOL2 and UPPOL1: the pole coefficients after a step, and the stability constraint on them.
#[inline]
fn moved_poles([pole1, pole2]: [i32; 2], alike1: bool, alike2: bool) -> [i32; 2] {
    let quadrupled = saturate(4 * pole1);
    let turned = if alike1 { saturate(-quadrupled) } else { quadrupled } >> 7;
    let change = if alike2 { 128 } else { -128 };
    let second = (turned + change + ((pole2 * 32512) >> 15)).clamp(-12288, 12288);
    let change = if alike1 { 192 } else { -192 };
    let limit = 15360 - second;
    let first = (change + ((pole1 * 32640) >> 15)).clamp(-limit, limit);
    [first, second]
}

/// SCALEL and SCALEH: the step of a logarithm. `octaves` is how far the largest one shifts.
#[inline]
fn linear(log_step: i32, octaves: i32) -> i32 {
    let mantissa = INVERSE_LOG[(log_step >> 6) as usize & 31];
    // One bit to the left first: the lower band reaches one octave above the table.
    ((mantissa << 1) >> (octaves + 1 - (log_step >> 11))) << 2
}

#[inline]
pub(super) fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}
