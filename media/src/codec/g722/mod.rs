//! G.722: 7 kHz audio at 64 kbit/s, sub-band ADPCM (ITU-T G.722, 11/88). 16-bit samples at 16 kHz, one octet for two of them;
//! in RTP its clock runs at 8000 Hz all the same (RFC 3551 §4.5.2).
//!
//! The encoder is that of the Recommendation, always at 64 kbit/s. The decoder knows the three modes, which differ in how
//! many bits of an octet are audio. Bit exact with the ITU's arithmetic, including saturation.
//!
//! Left out on purpose: appendices III and IV (concealment), which belong to the jitter buffer; the data channel that modes
//! 2 and 3 carry in the bits they free; the stereo and superwideband annexes.

mod band;
mod qmf;
mod tables;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use band::{Band, saturate};
use qmf::{BLOCK, HISTORY, Line, analyse, limit, synthesise};
use tables::{
    HIGH_CODE, HIGH_DECISION, HIGH_OUTPUT, LOW_CODE, LOW_DECISION, LOW_OUTPUT_4, LOW_OUTPUT_5, LOW_OUTPUT_6,
};

/// How many bits of each octet are audio (table 1 of the Recommendation). RTP carries mode 1; the other two are heard right
/// by a mode 1 decoder but for some noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Mode {
    /// Mode 1, 64 kbit/s: all eight.
    #[default]
    Rate64,
    /// Mode 2, 56 kbit/s: the last bit is data.
    Rate56,
    /// Mode 3, 48 kbit/s: the last two bits are data.
    Rate48,
}

/// An encoder at 64 kbit/s. Plain data of about 200 bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Encoder {
    /// Samples before the next pair, oldest first.
    history: [i16; HISTORY],
    low: Band,
    high: Band,
}

impl Encoder {
    /// An encoder after a reset.
    #[must_use]
    pub fn new() -> Encoder {
        Encoder { history: [0; HISTORY], low: Band::low(), high: Band::high() }
    }

    /// Encodes pairs of 16 kHz samples into one octet each, as many as both slices have room for, and returns the number of
    /// octets. A last odd sample is not taken. Costs about 9 µs for 20 ms.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        let pairs = (samples.len() / 2).min(out.len());
        let mut line: Line = [0; HISTORY + 2 * BLOCK];
        let mut bands = [(0, 0); BLOCK];
        for (samples, out) in samples.chunks(2 * BLOCK).zip(out[..pairs].chunks_mut(BLOCK)) {
            line[..HISTORY].copy_from_slice(&self.history);
            line[HISTORY..HISTORY + samples.len()].copy_from_slice(samples);
            for (bands, window) in bands.iter_mut().zip(line.windows(HISTORY + 2).step_by(2)) {
                // Each window has the length asked for, so the conversion holds.
                let Ok(window) = window.try_into() else { break };
                *bands = analyse(window);
            }
            for (octet, &(low, high)) in out.iter_mut().zip(&bands) {
                *octet = self.encode_bands(low, high);
            }
            let end = 2 * out.len();
            self.history.copy_from_slice(&line[end..end + HISTORY]);
        }
        pairs
    }

    /// The octet for one sample of each band, 15 bits each.
    #[inline]
    fn encode_bands(&mut self, low: i32, high: i32) -> u8 {
        let low_code = quantise_low(saturate(low - self.low.estimate()), self.low.step());
        let index = usize::from(low_code >> 2);
        // The adaptation ignores the last two bits, so that all modes adapt alike.
        self.low.adapt_low(index, self.low.difference(LOW_OUTPUT_4[index & 15]));
        let high_code = quantise_high(saturate(high - self.high.estimate()), self.high.step());
        let index = usize::from(high_code);
        self.high.adapt_high(index, self.high.difference(HIGH_OUTPUT[index & 3]));
        high_code << 6 | low_code
    }
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::new()
    }
}

/// QUANTL: the 6-bit codeword of a difference. Which way a comparison goes is noise, so there is no branch on any.
#[inline]
fn quantise_low(difference: i32, step: i32) -> u8 {
    let negative = difference >> 31;
    let magnitude = difference ^ negative;
    // The decision levels ascend and the first is 0: the last one that is reached, by halving.
    let mut reached = 0;
    for half in [16, 8, 4, 2, 1] {
        let level = (LOW_DECISION[(reached + half) & 31] * step) >> 12;
        reached += half & ((level - magnitude - 1) >> 31) as usize;
    }
    LOW_CODE[(negative & 1) as usize][(reached + 1).min(30)]
}

/// QUANTH: the 2-bit codeword of a difference.
#[inline]
fn quantise_high(difference: i32, step: i32) -> u8 {
    let negative = difference >> 31;
    let outer = (difference ^ negative) >= (HIGH_DECISION * step) >> 12;
    HIGH_CODE[(negative & 1) as usize][usize::from(outer)]
}

/// A decoder. Plain data of about 250 bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decoder {
    mode: Mode,
    /// The last eleven differences and sums of the sub-bands, oldest first.
    differences: [i16; HISTORY / 2],
    sums: [i16; HISTORY / 2],
    low: Band,
    high: Band,
}

impl Decoder {
    /// A decoder after a reset.
    #[must_use]
    pub fn new(mode: Mode) -> Decoder {
        let past = [0; HISTORY / 2];
        Decoder { mode, differences: past, sums: past, low: Band::low(), high: Band::high() }
    }

    /// Decodes each octet into two 16 kHz samples, as many octets as both slices have room for, and returns the number of
    /// samples. Costs about 6 µs for 20 ms.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        const PAST: usize = HISTORY / 2;
        let octets = payload.len().min(out.len() / 2);
        let (mut differences, mut sums) = ([0; PAST + BLOCK], [0; PAST + BLOCK]);
        for (payload, out) in payload[..octets].chunks(BLOCK).zip(out.chunks_mut(2 * BLOCK)) {
            differences[..PAST].copy_from_slice(&self.differences);
            sums[..PAST].copy_from_slice(&self.sums);
            let lines = differences[PAST..].iter_mut().zip(&mut sums[PAST..]);
            for (&octet, (difference, sum)) in payload.iter().zip(lines) {
                let (low, high) = self.decode_bands(octet);
                // Two values of 15 bits: neither leaves 16.
                (*difference, *sum) = ((low - high) as i16, (low + high) as i16);
            }
            let windows = differences.windows(PAST + 1).zip(sums.windows(PAST + 1));
            for (pair, (differences, sums)) in out.chunks_exact_mut(2).zip(windows) {
                let (Ok(differences), Ok(sums)) = (differences.try_into(), sums.try_into()) else { break };
                pair.copy_from_slice(&synthesise(differences, sums));
            }
            let end = payload.len();
            self.differences.copy_from_slice(&differences[end..end + PAST]);
            self.sums.copy_from_slice(&sums[end..end + PAST]);
        }
        2 * octets
    }

    /// One sample of each band, 15 bits each.
    #[inline]
    fn decode_bands(&mut self, octet: u8) -> (i32, i32) {
        let (low_code, high_code) = (usize::from(octet & 63), usize::from(octet >> 6));
        let level = match self.mode {
            Mode::Rate64 => LOW_OUTPUT_6[low_code],
            Mode::Rate56 => LOW_OUTPUT_5[low_code >> 1],
            Mode::Rate48 => LOW_OUTPUT_4[low_code >> 2],
        };
        let low = limit(self.low.estimate() + self.low.difference(level));
        let index = low_code >> 2;
        self.low.adapt_low(index, self.low.difference(LOW_OUTPUT_4[index & 15]));
        let difference = self.high.difference(HIGH_OUTPUT[high_code & 3]);
        let high = limit(self.high.estimate() + difference);
        self.high.adapt_high(high_code, difference);
        (low, high)
    }
}
