//! Keys that wait to be sent, and the times they must keep: a bounded queue for senders of events and of tones.
//!
//! A key is queued whole, with its duration, or goes down now and up later. Bounds: [`QUEUE`] keys wait; one more is refused,
//! and the caller is told. A key whose release never comes goes up after [`MAX_HELD`].
//!
//! Left out on purpose: clocks. The senders count ticks or samples.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use thiserror::Error;

use super::event::EventCode;
use super::{Digit, Heard};

/// How many keys may wait.
pub const QUEUE: usize = 32;
/// The shortest key that every receiver must hear (ITU-T Q.24, table 1).
pub const MIN_DURATION: Duration = Duration::from_millis(40);
/// The shortest pause between two keys (ITU-T Q.24, table 1).
pub const MIN_PAUSE: Duration = Duration::from_millis(40);
/// After how long a key that nobody releases goes up.
pub const MAX_HELD: Duration = Duration::from_secs(60);

/// [`QUEUE`] keys wait already; this one was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("32 digits wait already")]
pub struct QueueFull;

/// A key on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stroke {
    pub(super) code: EventCode,
    /// `None` while it is held.
    pub(super) duration: Option<Duration>,
}

impl Stroke {
    /// How long it lasts, as far as is known now.
    pub(super) fn length(&self) -> Duration {
        self.duration.unwrap_or(MAX_HELD).clamp(MIN_DURATION, MAX_HELD)
    }
}

/// The keys that wait, the one that is being sent in front.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Queue {
    strokes: SmallVec<[Stroke; QUEUE]>,
    /// The release of the last key belongs to one that was refused.
    refused: bool,
}

impl Queue {
    pub(super) fn push(&mut self, digit: Digit) -> Result<(), QueueFull> {
        self.add(Stroke { code: digit.code, duration: Some(digit.duration) })
    }

    pub(super) fn handle(&mut self, heard: Heard) -> Result<(), QueueFull> {
        match heard {
            Heard::Started(code) => {
                let added = self.add(Stroke { code, duration: None });
                self.refused = added.is_err();
                added
            }
            Heard::Ended(_) if core::mem::take(&mut self.refused) => Ok(()),
            Heard::Ended(digit) => {
                let held = |stroke: &&mut Stroke| stroke.code == digit.code && stroke.duration.is_none();
                if let Some(stroke) = self.strokes.iter_mut().find(held) {
                    stroke.duration = Some(digit.duration);
                }
                Ok(())
            }
        }
    }

    /// The key to send now.
    pub(super) fn front(&self) -> Option<Stroke> {
        self.strokes.first().copied()
    }

    /// The key in front was sent.
    pub(super) fn pop(&mut self) {
        if !self.strokes.is_empty() {
            self.strokes.remove(0);
        }
    }

    /// Whoever holds keys is not heard any more: they go up.
    pub(super) fn release(&mut self) {
        for stroke in self.strokes.iter_mut().filter(|stroke| stroke.duration.is_none()) {
            stroke.duration = Some(Duration::ZERO);
        }
    }

    pub(super) fn clear(&mut self) {
        self.strokes.clear();
    }

    fn add(&mut self, stroke: Stroke) -> Result<(), QueueFull> {
        if self.strokes.len() == QUEUE {
            return Err(QueueFull);
        }
        self.strokes.push(stroke);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: EventCode = EventCode(5);

    #[test]
    fn one_key_more_than_the_queue_holds_is_refused_with_its_release() {
        let mut queue = Queue::default();
        let digit = Digit { code: FIVE, duration: Duration::from_millis(100) };
        for _ in 0..QUEUE {
            queue.push(digit).unwrap();
        }
        assert_eq!(queue.handle(Heard::Started(FIVE)), Err(QueueFull));
        assert_eq!(queue.handle(Heard::Ended(digit)), Ok(()));
        assert_eq!(queue.front().unwrap().length(), digit.duration);
    }

    #[test]
    fn a_release_ends_the_first_key_of_its_code_that_is_held() {
        let mut queue = Queue::default();
        queue.handle(Heard::Started(FIVE)).unwrap();
        assert_eq!(queue.front().unwrap().length(), MAX_HELD);
        queue.handle(Heard::Ended(Digit { code: FIVE, duration: Duration::from_millis(90) })).unwrap();
        assert_eq!(queue.front().unwrap().length(), Duration::from_millis(90));
    }

    #[test]
    fn no_key_is_shorter_than_q_24_lets_it_be() {
        let short = Stroke { code: FIVE, duration: Some(Duration::from_millis(1)) };
        assert_eq!(short.length(), MIN_DURATION);
    }
}
