//! Loss in bursts and between them (RFC 3611 §4.7.2).
//!
//! A burst begins and ends with a lost packet and holds no run of [`GMIN`] packets that arrived. A lost packet that stands
//! alone, with such runs on both sides, belongs to the gap. Only losses cost anything here: between them packets are
//! counted by their sequence numbers.
//!
//! Left out on purpose: packets discarded by a jitter buffer. A packet that comes late counts as lost, as it does for most
//! listeners.

use serde::{Deserialize, Serialize};

/// How many packets in a row end a burst: the recommended value.
pub const GMIN: u8 = 16;

/// Follows the losses of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bursts {
    closed: Closed,
    open: Option<Cluster>,
}

/// Bursts that are over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Closed {
    bursts: u64,
    expected: u64,
    lost: u64,
    lost_alone: u64,
}

/// Losses with fewer than [`GMIN`] packets between each two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cluster {
    first: u64,
    last: u64,
    lost: u64,
}

/// Loss in bursts and gaps, as the VoIP metrics block wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BurstFigures {
    /// Loss within bursts, in 256ths.
    pub burst_density: u8,
    /// Loss between bursts, in 256ths.
    pub gap_density: u8,
    /// The mean length of a burst, in 16ths of a packet.
    pub burst_length: u64,
    /// The mean length of a gap, in 16ths of a packet.
    pub gap_length: u64,
}

impl Bursts {
    /// Packets `first` to `last` (extended sequence numbers, in order of the stream) did not come before their successor.
    pub fn handle_loss(&mut self, first: u64, last: u64) {
        let lost = last.saturating_sub(first) + 1;
        match &mut self.open {
            Some(cluster) if first.saturating_sub(cluster.last) <= u64::from(GMIN) => {
                cluster.last = last;
                cluster.lost += lost;
            }
            open => {
                if let Some(cluster) = open.replace(Cluster { first, last, lost }) {
                    self.closed.add(cluster);
                }
            }
        }
    }

    /// The figures of a stream of which `expected` packets should have come.
    #[must_use]
    pub fn figures(&self, expected: u64) -> BurstFigures {
        let mut all = self.closed;
        if let Some(cluster) = self.open {
            all.add(cluster);
        }
        let in_gaps = expected.saturating_sub(all.expected);
        // A stream begins and ends in a gap, however short.
        let gaps = all.bursts + 1;
        BurstFigures {
            burst_density: density(all.lost, all.expected),
            gap_density: density(all.lost_alone, in_gaps),
            burst_length: (16 * all.expected).checked_div(all.bursts).unwrap_or(0),
            gap_length: 16 * in_gaps / gaps,
        }
    }
}

impl Closed {
    fn add(&mut self, cluster: Cluster) {
        if cluster.lost == 1 {
            self.lost_alone += 1;
        } else {
            self.bursts += 1;
            self.expected += cluster.last - cluster.first + 1;
            self.lost += cluster.lost;
        }
    }
}

/// A share in 256ths, at most 255.
pub(super) fn density(part: u64, whole: u64) -> u8 {
    u8::try_from((part << 8).checked_div(whole).unwrap_or(0)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of a pattern in which 1 is a packet that came.
    fn figures(pattern: &str) -> BurstFigures {
        let mut bursts = Bursts::default();
        for (at, _) in pattern.bytes().enumerate().filter(|(_, packet)| *packet != b'1') {
            bursts.handle_loss(at as u64, at as u64);
        }
        bursts.figures(pattern.len() as u64)
    }

    #[test]
    fn the_example_of_section_4_7_2_has_the_densities_it_states() {
        let figures = figures("11110111111111111111111X111X1011110111111111111111111X111111111");
        assert_eq!((figures.burst_density, figures.gap_density), (85, 10));
        assert_eq!(figures.burst_length, 16 * 12);
        assert_eq!(figures.gap_length, 16 * 51 / 2);
    }

    #[test]
    fn losses_with_sixteen_packets_between_them_stand_alone() {
        let alone = format!("1110{}0111", "1".repeat(16));
        assert_eq!(figures(&alone).burst_length, 0);
        let together = format!("1110{}0111", "1".repeat(15));
        assert_eq!(figures(&together).burst_length, 16 * 17);
    }

    #[test]
    fn a_run_of_losses_is_one_burst() {
        let mut bursts = Bursts::default();
        bursts.handle_loss(100, 104);
        let figures = bursts.figures(1000);
        assert_eq!((figures.burst_density, figures.burst_length, figures.gap_density), (255, 80, 0));
    }

    #[test]
    fn nothing_lost_is_one_gap() {
        assert_eq!(figures("1111"), BurstFigures { gap_length: 64, ..BurstFigures::default() });
    }
}
