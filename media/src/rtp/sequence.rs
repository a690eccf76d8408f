//! Sequence numbers of one source, extended beyond 16 bits (RFC 3550 §A.1).
//!
//! Left out on purpose: probation of a new source. A relay forwards the first packet at once, and who may be a source is
//! decided by latching.

use serde::{Deserialize, Serialize};

/// How far ahead a sequence number may jump and still belong to the same sequence: a minute at 50 packets a second.
pub const MAX_DROPOUT: u16 = 3000;
/// How far behind it may come: two seconds at 50 packets a second.
pub const MAX_MISORDER: u16 = 100;

/// Numbers in one cycle.
const CYCLE: u64 = 1 << 16;

/// Whether `sequence` continues after `highest`: ahead of it by no more than [`MAX_DROPOUT`].
#[must_use]
pub const fn is_ahead(sequence: u16, highest: u16) -> bool {
    let ahead = sequence.wrapping_sub(highest);
    ahead != 0 && ahead < MAX_DROPOUT
}

/// What a sequence number is to its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequenced {
    /// It belongs to the sequence; its extended number.
    Valid(u64),
    /// The source began a new sequence here; the extended number in the new one.
    Restarted(u64),
    /// It fits no sequence. The next one decides whether it was the first of a new one.
    Invalid,
}

/// Follows the sequence numbers of one source.
///
/// Extended numbers start one cycle up, so that a packet before the first one has a number, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceTracker {
    highest: u64,
    bad: Option<u16>,
}

impl SequenceTracker {
    /// A source whose first packet has this number.
    #[must_use]
    pub const fn new(first: u16) -> Self {
        Self { highest: CYCLE + first as u64, bad: None }
    }

    /// The highest number seen, extended.
    #[must_use]
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// The highest number seen, as it was in the packet.
    #[must_use]
    pub const fn highest_sequence(&self) -> u16 {
        self.highest as u16
    }

    /// Places one more number.
    #[inline]
    pub fn update(&mut self, sequence: u16) -> Sequenced {
        let ahead = sequence.wrapping_sub(self.highest_sequence());
        let behind = ahead.wrapping_neg();
        if ahead < MAX_DROPOUT {
            self.highest += u64::from(ahead);
            self.bad = None;
            Sequenced::Valid(self.highest)
        } else if behind < MAX_MISORDER {
            // Reordered or duplicated. It says nothing about a jump that may be under way.
            Sequenced::Valid(self.highest - u64::from(behind))
        } else if self.bad == Some(sequence) {
            *self = Self::new(sequence);
            Sequenced::Restarted(self.highest)
        } else {
            self.bad = Some(sequence.wrapping_add(1));
            Sequenced::Invalid
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_over_the_wrap() {
        let mut tracker = SequenceTracker::new(65_534);
        assert_eq!(tracker.update(65_535), Sequenced::Valid(CYCLE + 65_535));
        assert_eq!(tracker.update(0), Sequenced::Valid(2 * CYCLE));
        assert_eq!(tracker.update(2), Sequenced::Valid(2 * CYCLE + 2));
        assert_eq!(tracker.highest(), 2 * CYCLE + 2);
    }

    #[test]
    fn a_reordered_packet_keeps_its_own_number() {
        let mut tracker = SequenceTracker::new(5);
        assert_eq!(tracker.update(7), Sequenced::Valid(CYCLE + 7));
        assert_eq!(tracker.update(6), Sequenced::Valid(CYCLE + 6));
        assert_eq!(tracker.update(65_530), Sequenced::Valid(CYCLE - 6));
        assert_eq!(tracker.highest_sequence(), 7);
    }

    #[test]
    fn one_packet_out_of_range_is_invalid_and_two_in_a_row_restart() {
        let mut tracker = SequenceTracker::new(100);
        assert_eq!(tracker.update(40_000), Sequenced::Invalid);
        assert_eq!(tracker.update(101), Sequenced::Valid(CYCLE + 101));
        assert_eq!(tracker.update(40_000), Sequenced::Invalid);
        assert_eq!(tracker.update(40_001), Sequenced::Restarted(CYCLE + 40_001));
        assert_eq!(tracker.update(40_002), Sequenced::Valid(CYCLE + 40_002));
    }

    #[test]
    fn the_dropout_limit_is_max_dropout() {
        let mut tracker = SequenceTracker::new(0);
        assert_eq!(tracker.update(MAX_DROPOUT), Sequenced::Invalid);
        assert_eq!(tracker.update(MAX_DROPOUT - 1), Sequenced::Valid(CYCLE + u64::from(MAX_DROPOUT) - 1));
        assert!(is_ahead(MAX_DROPOUT - 1, 0) && !is_ahead(MAX_DROPOUT, 0) && !is_ahead(0, 0));
    }
}
