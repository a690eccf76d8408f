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
    arrivals: Box<[u8]>,
    at: u16,
    filled: u16,
    counts: Box<[u16]>,
    /// The latest bin that is not empty.
    latest: u8,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { arrivals: [0; WINDOW].into(), at: 0, filled: 0, counts: [0; BINS].into(), latest: 0 }
    }

    pub(super) fn clear(&mut self) {
        (self.at, self.filled, self.latest) = (0, 0, 0);
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
        self.latest = self.latest.max(bin);
        while self.latest > 0 && self.counts.get(usize::from(self.latest)) == Some(&0) {
            self.latest -= 1;
        }
    }

    /// Moves the origin by `bins` to later times: every arrival becomes less late by as much.
    pub(super) fn shift(&mut self, bins: i64) {
        self.counts.fill(0);
        self.latest = 0;
        for (index, bin) in self.arrivals.iter_mut().enumerate() {
            *bin = (i64::from(*bin) - bins).clamp(0, BINS as i64 - 1) as u8;
            // Until the ring is full once, its entries from `filled` on mean nothing.
            if index < usize::from(self.filled) {
                self.latest = self.latest.max(*bin);
                change(&mut self.counts, *bin, |count| count + 1);
            }
        }
    }

    /// The lateness that all but one in a hundred stay within, and all but one of the last 25, in microseconds: to half a bin.
    pub(super) fn bound_us(&self) -> i64 {
        // One alone is an accident, also when there are few.
        let mut allowed = (self.filled / 100).max(u16::from(usize::from(self.filled) >= RECENT));
        let mut bin = i64::from(self.latest) + 1;
        for count in self.counts.iter().take(usize::from(self.latest) + 1).rev() {
            if *count > allowed {
                break;
            }
            allowed -= count;
            bin -= 1;
        }
        bin.max(self.second_latest_recent() + 1) * BIN_US - BIN_US / 2
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_may_be_later_than_the_bound() {
        let mut histogram = Histogram::new();
        for index in 0..500 {
            histogram.push(if index % 125 == 0 { 80_000 } else { 21_000 });
        }
        assert_eq!(histogram.bound_us(), 21_000);
        // Now they are eight in 500.
        for index in 0..100 {
            histogram.push(if index % 26 == 0 { 80_000 } else { 21_000 });
        }
        assert_eq!(histogram.bound_us(), 81_000);
    }

    #[test]
    fn two_late_arrivals_in_a_row_raise_the_bound_and_it_forgets_them() {
        let mut histogram = Histogram::new();
        for _ in 0..400 {
            histogram.push(0);
        }
        assert_eq!(histogram.bound_us(), 1000);
        histogram.push(50_500);
        assert_eq!(histogram.bound_us(), 1000);
        histogram.push(50_500);
        assert_eq!(histogram.bound_us(), 51_000);
        for _ in 0..24 {
            histogram.push(0);
        }
        assert_eq!(histogram.bound_us(), 1000);
    }

    #[test]
    fn moving_the_origin_keeps_the_moments() {
        let mut histogram = Histogram::new();
        for lateness in [0, 10_000, 30_000] {
            histogram.push(lateness);
        }
        histogram.shift(-3);
        assert_eq!(histogram.bound_us(), 37_000);
        histogram.shift(5);
        assert_eq!(histogram.bound_us(), 27_000);
    }
}
