//! How late packets have come of late: a window over the last arrivals, counted in bins of two milliseconds.
//!
//! The window forgets exactly: an arrival counts fully until 512 others have followed it, then not at all. A second, short
//! window lets the target rise at once when lateness sets in.

use serde::{Deserialize, Serialize};

/// Microseconds in one bin.
pub(super) const BIN_US: i64 = 2000;
/// Bins; the last one takes all that is later, half a second and more.
const BINS: usize = 256;
/// Arrivals in the window: ten seconds of packets of 20 ms.
const WINDOW: usize = 512;
/// Arrivals in the short window.
const RECENT: usize = 25;

/// The lateness of the last arrivals, in bins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Histogram {
    /// The bin of each arrival, a ring.
    arrivals: Vec<u8>,
    at: u16,
    filled: u16,
    counts: Vec<u16>,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { arrivals: vec![0; WINDOW], at: 0, filled: 0, counts: vec![0; BINS] }
    }

    pub(super) fn clear(&mut self) {
        (self.at, self.filled) = (0, 0);
        self.counts.fill(0);
    }

    /// Arrivals in the window.
    pub(super) const fn len(&self) -> u16 {
        self.filled
    }

    /// Counts one more arrival, `lateness_us` after the origin.
    pub(super) fn push(&mut self, lateness_us: i64) {
        let bin = (lateness_us / BIN_US).clamp(0, BINS as i64 - 1) as u8;
        let Some(entry) = self.arrivals.get_mut(usize::from(self.at)) else { return };
        let forgotten = std::mem::replace(entry, bin);
        if usize::from(self.filled) == WINDOW {
            change(&mut self.counts, forgotten, |count| count.saturating_sub(1));
        } else {
            self.filled += 1;
        }
        change(&mut self.counts, bin, |count| count + 1);
        self.at = (self.at + 1) % WINDOW as u16;
    }

    /// Moves the origin by `bins` to later times: every arrival becomes less late by as much.
    pub(super) fn shift(&mut self, bins: i64) {
        self.counts.fill(0);
        for (index, bin) in self.arrivals.iter_mut().enumerate() {
            *bin = (i64::from(*bin) - bins).clamp(0, BINS as i64 - 1) as u8;
            // Until the ring is full once, its entries from `filled` on mean nothing.
            if index < usize::from(self.filled) {
                change(&mut self.counts, *bin, |count| count + 1);
            }
        }
    }

    /// The lateness that all but one in a hundred stay within, and all but one of the last 25, in microseconds: to half a bin.
    pub(super) fn bound_us(&self) -> i64 {
        let mut allowed = self.filled / 100;
        let mut bin = BINS;
        for (index, count) in self.counts.iter().enumerate().rev() {
            if *count > allowed {
                break;
            }
            allowed -= count;
            bin = index;
        }
        (bin as i64).max(self.second_latest_recent() + 1) * BIN_US - BIN_US / 2
    }

    /// The bin of the second latest among the last arrivals.
    fn second_latest_recent(&self) -> i64 {
        let newest = usize::from(self.at) + WINDOW - 1;
        let recent = (0..RECENT.min(usize::from(self.filled))).map(|back| (newest - back) % WINDOW);
        let bins = recent.filter_map(|index| self.arrivals.get(index));
        let (_, second) =
            bins.fold(
                (0, 0),
                |(first, second): (u8, u8), &bin| {
                    if bin > first { (bin, first) } else { (first, second.max(bin)) }
                },
            );
        i64::from(second)
    }
}

fn change(counts: &mut [u16], bin: u8, how: impl FnOnce(u16) -> u16) {
    if let Some(count) = counts.get_mut(usize::from(bin)) {
        *count = how(*count);
    }
}
