//! From packets to key presses: one digit for each event, whatever packets of it are lost, doubled or late (RFC 4733
//! §2.5.2).
//!
//! An event is known by its timestamp. Any of its packets starts it; the first one with the end bit ends it, and so do the
//! next event and [`SILENCE`]. What is not newer than the newest event was heard before and is ignored. An event that is
//! longer than a report can tell goes on in segments, each of which begins where the one before ended (§2.5.2.3).
//!
//! Left out on purpose: ending an event when sound comes again, because some senders send both at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Event, EventCode, events};
use super::{Digit, Heard};
use crate::time::Time;

/// How long after its last packet an event is over although no end was seen. Senders update every 10 to 50 ms, and no tone
/// is to be carried on for more than three of these (§2.5.2.2).
pub const SILENCE: Duration = Duration::from_millis(200);
/// How far behind the newest event a packet is old; beyond that the sender has begun new timestamps.
const OLD_SECONDS: u32 = 20;

/// Follows the events of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    clock_rate: u32,
    newest: Option<Newest>,
}

/// The newest event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    code: EventCode,
    /// Where the present segment begins, and how long it is so far, in ticks.
    timestamp: u32,
    duration: u16,
    /// Ticks of the segments before.
    earlier: u64,
    /// When its last packet came, while it lasts.
    open: Option<Time>,
    /// Whether its end was seen.
    ended: bool,
}

impl Receiver {
    /// A receiver of events whose timestamps count `clock_rate` ticks per second.
    #[must_use]
    pub const fn new(clock_rate: u32) -> Self {
        Self { clock_rate, newest: None }
    }

    /// Takes a packet of the event payload type: its timestamp, its marker bit and its payload. Calls `hear` for what is new
    /// in it. Allocates nothing.
    pub fn handle_packet(
        &mut self,
        now: Time,
        (timestamp, marker): (u32, bool),
        payload: &[u8],
        mut hear: impl FnMut(Heard),
    ) {
        let mut start = timestamp;
        for (index, event) in events(payload).enumerate() {
            // Events packed behind the first one begin where their predecessor ended (§2.5.1.5).
            self.handle_event(now, start, marker || index > 0, event, &mut hear);
            start = start.wrapping_add(u32::from(event.duration));
        }
    }

    /// The stream gave way to another one with timestamps of its own.
    pub fn handle_new_stream(&mut self, hear: impl FnMut(Heard)) {
        self.close(hear);
        self.newest = None;
    }

    /// When [`Self::handle_timeout`] wants to be called; `None` while no key is down.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.newest.and_then(|newest| newest.open).map(|heard| heard + SILENCE)
    }

    /// Ends an event of which nothing was heard for [`SILENCE`].
    pub fn handle_timeout(&mut self, now: Time, hear: impl FnMut(Heard)) {
        if self.poll_timeout().is_some_and(|due| now >= due) {
            self.close(hear);
        }
    }

    fn handle_event(
        &mut self,
        now: Time,
        timestamp: u32,
        marker: bool,
        event: Event,
        hear: &mut impl FnMut(Heard),
    ) {
        let fresh = match &mut self.newest {
            Some(newest) if newest.timestamp == timestamp => {
                newest.lengthen(event.duration);
                newest.open = newest.open.map(|_| now);
                false
            }
            Some(newest) if !marker && newest.is_continued_by(timestamp, event) => {
                newest.continue_with(timestamp, event.duration);
                newest.open = newest.open.map(|_| now);
                false
            }
            Some(newest) => !newest.is_after(timestamp, self.clock_rate),
            None => true,
        };
        if fresh {
            self.close(&mut *hear);
            self.newest = Some(Newest::new(now, timestamp, event));
            hear(Heard::Started(event.code));
        }
        let ours = |newest: &&mut Newest| newest.timestamp == timestamp;
        if event.end
            && let Some(newest) = self.newest.as_mut().filter(ours)
        {
            newest.ended = true;
            self.close(hear);
        }
    }

    /// Tells the end of the event that lasts, if one does.
    fn close(&mut self, mut hear: impl FnMut(Heard)) {
        if let Some(newest) = &mut self.newest
            && newest.open.take().is_some()
        {
            hear(Heard::Ended(Digit { code: newest.code, duration: newest.total(self.clock_rate) }));
        }
    }
}

impl Newest {
    const fn new(now: Time, timestamp: u32, event: Event) -> Self {
        let Event { code, duration, .. } = event;
        Self { code, timestamp, duration, earlier: 0, open: Some(now), ended: false }
    }

    /// Reports may come out of order, so the longest counts.
    fn lengthen(&mut self, duration: u16) {
        self.duration = self.duration.max(duration);
    }

    /// Whether a report without marker is the next segment: it begins at the end of the one before, or where that must have
    /// ended if its last packets were lost.
    fn is_continued_by(&self, timestamp: u32, event: Event) -> bool {
        let distance = timestamp.wrapping_sub(self.timestamp);
        let at_end = distance == u32::from(self.duration) || distance == u32::from(u16::MAX);
        !self.ended && event.code == self.code && distance != 0 && at_end
    }

    fn continue_with(&mut self, timestamp: u32, duration: u16) {
        self.earlier += u64::from(timestamp.wrapping_sub(self.timestamp));
        (self.timestamp, self.duration) = (timestamp, duration);
    }

    /// Whether the packet with this timestamp is from before this event.
    const fn is_after(&self, timestamp: u32, clock_rate: u32) -> bool {
        self.timestamp.wrapping_sub(timestamp) < clock_rate.saturating_mul(OLD_SECONDS)
    }

    fn total(&self, clock_rate: u32) -> Duration {
        let ticks = self.earlier + u64::from(self.duration);
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(clock_rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
