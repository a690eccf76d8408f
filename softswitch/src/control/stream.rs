//! The last events, found by number.
//!
//! Bound: [`EVENTS`]; the oldest makes room. Numbers have no gaps, so a place is a subtraction.

use super::EVENTS;
use crate::core::Told;
use std::collections::VecDeque;

/// Events that are copied at a time.
const PORTION: usize = 128;

/// Some events, taken out of the stream so that it is not held while they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// The number of the first that is kept.
    pub oldest: u64,
    /// The events.
    pub events: Vec<Told>,
}

/// The events that are kept.
#[derive(Debug, Default)]
pub struct Stream {
    kept: VecDeque<Told>,
    next: u64,
}

impl Stream {
    /// Takes the next event.
    pub fn push(&mut self, told: Told) {
        if self.kept.len() >= EVENTS {
            self.kept.pop_front();
        }
        self.next = told.number + 1;
        self.kept.push_back(told);
    }

    /// The number that the next one will have.
    #[must_use]
    pub const fn next(&self) -> u64 {
        if self.next == 0 { 1 } else { self.next }
    }

    /// The number of the first that is kept; that of the next one when none is.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.kept.front().map_or(self.next(), |told| told.number)
    }

    /// Some events from that number on.
    #[must_use]
    pub fn portion(&self, from: u64) -> Portion {
        let oldest = self.oldest();
        let place = from.checked_sub(oldest).and_then(|place| usize::try_from(place).ok());
        let events = place.map(|place| self.kept.iter().skip(place).take(PORTION).cloned().collect());
        Portion { oldest, events: events.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Event;

    fn told(number: u64) -> Told {
        Told { number, unix_ms: 0, command: None, event: Event::Stopping }
    }

    #[test]
    fn the_newest_are_kept_and_found_by_number() {
        let mut stream = Stream::default();
        assert_eq!((stream.oldest(), stream.next(), stream.portion(1).events.len()), (1, 1, 0));
        let last = EVENTS as u64 + 10;
        (1..=last).for_each(|number| stream.push(told(number)));
        assert_eq!((stream.oldest(), stream.next()), (11, last + 1));
        assert_eq!(stream.portion(10), Portion { oldest: 11, events: vec![] });
        assert_eq!(stream.portion(12).events.first(), Some(&told(12)));
        assert_eq!(stream.portion(12).events.len(), PORTION);
        assert_eq!(stream.portion(last).events, [told(last)]);
        assert_eq!(stream.portion(last + 1).events, []);
    }
}
