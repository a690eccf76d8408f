//! The quadrature mirror filters of G.722: 16 kHz audio to two sub-bands of 8 kHz and back (ITU-T G.722 clauses 3.1, 4.4 and
//! 6.2.1.1). Each direction keeps the last 22 values before the present pair.

use super::tables::QMF;

/// Values kept from one block to the next.
pub(super) const HISTORY: usize = 22;
/// Filter length: the history and one pair.
const LENGTH: usize = HISTORY + 2;
/// Pairs filtered in one go, so that the history is copied seldom.
pub(super) const BLOCK: usize = 40;
/// A block with its history in front.
pub(super) type Line = [i16; HISTORY + 2 * BLOCK];

/// The analysis filter of the higher band: that of the lower one with every other sign turned.
const DIFFERENCE: [i16; LENGTH] = {
    let mut taps = QMF;
    let mut at = 0;
    while at < LENGTH {
        taps[at] = -taps[at];
        at += 2;
    }
    taps
};
/// Synthesis: the first sample of a pair from the differences of the bands, the second from their sums. Oldest first.
const FIRST: [i16; LENGTH / 2] = every_other(1);
const SECOND: [i16; LENGTH / 2] = every_other(0);

const fn every_other(start: usize) -> [i16; LENGTH / 2] {
    let mut taps = [0; LENGTH / 2];
    let mut at = 0;
    while at < LENGTH / 2 {
        taps[at] = QMF[2 * at + start];
        at += 1;
    }
    taps
}

/// The two sub-band samples, 15 bits each, of the pair that ends the window (oldest sample first).
#[inline]
pub(super) fn analyse(window: &[i16; LENGTH]) -> (i32, i32) {
    (limit(dot(window, &QMF) >> 14), limit(dot(window, &DIFFERENCE) >> 14))
}

/// Two output samples from twelve differences and twelve sums of the sub-bands (oldest first).
#[inline]
pub(super) fn synthesise(differences: &[i16; LENGTH / 2], sums: &[i16; LENGTH / 2]) -> [i16; 2] {
    [output(dot(differences, &FIRST)), output(dot(sums, &SECOND))]
}

/// Holds a sub-band signal to 15 bits (LIMIT).
#[inline]
pub(super) fn limit(value: i32) -> i32 {
    value.clamp(-16384, 16383)
}

#[inline]
fn output(sum: i32) -> i16 {
    (sum >> 11).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

#[inline]
fn dot<const N: usize>(samples: &[i16; N], taps: &[i16; N]) -> i32 {
    samples.iter().zip(taps).map(|(sample, tap)| i32::from(*sample) * i32::from(*tap)).sum()
}
