//! From key presses to packets of events (RFC 4733 §2.5.1).
//!
//! The sender is clocked by the tick of the leg: one packet per tick in the place of sound while a key is down, the first
//! with the marker, all with the timestamp of the beginning and a growing duration, the last one [`ENDS`] times with the end
//! bit. Keys keep the shortest durations and pauses of Q.24 and wait in a bounded queue.
//!
//! Deviation: the last packet of a segment that is not the last one is sent once, where §2.5.1.4 wants three. The next tick
//! tells the same by beginning the next segment.
//!
//! Left out on purpose: sequence numbers and SSRC, which are the stream's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::queue::{MIN_PAUSE, Queue, QueueFull, Stroke};
use super::{Digit, Heard};

/// How often the end of an event is sent.
pub const ENDS: u8 = 3;

/// What is to be sent in this tick in the place of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// The marker bit.
    pub marker: bool,
    /// The timestamp.
    pub timestamp: u32,
    /// The payload.
    pub payload: [u8; 4],
}

/// Sends keys as events on one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    clock_rate: u32,
    /// The level that is told, in −dBm0.
    volume: u8,
    queue: Queue,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// Nothing is being sent.
    Idle,
    /// The key in front of the queue is down.
    Down {
        /// Where the present segment begins, and the ticks since.
        segment: u32,
        elapsed: u32,
        /// Ticks of the segments before.
        earlier: u64,
    },
    /// The end is being repeated.
    Ending { stroke: Stroke, segment: u32, duration: u16, left: u8, pause: u32 },
    /// The pause before the next key, in ticks.
    Pausing { left: u32 },
}

impl Sender {
    /// A sender for timestamps of `clock_rate` ticks per second that tells a level of `volume` −dBm0, 0 to 63.
    #[must_use]
    pub fn new(clock_rate: u32, volume: u8) -> Self {
        Self { clock_rate, volume, queue: Queue::default(), state: State::Idle }
    }

    /// Queues a whole digit.
    ///
    /// # Errors
    /// [`QueueFull`] when too many wait; it was not taken.
    pub fn push(&mut self, digit: Digit) -> Result<(), QueueFull> {
        self.queue.push(digit)
    }

    /// Sends a key that another leg hears, while it hears it.
    ///
    /// # Errors
    /// [`QueueFull`] when too many wait; its end will be ignored.
    pub fn handle(&mut self, heard: Heard) -> Result<(), QueueFull> {
        self.queue.handle(heard)
    }

    /// Whoever holds keys is not heard any more: they go up.
    pub fn release(&mut self) {
        self.queue.release();
    }

    /// Forgets the keys that wait. One that is down ends with the next tick.
    pub fn clear(&mut self) {
        let front = self.queue.front();
        self.queue.clear();
        if let (State::Down { .. }, Some(stroke)) = (self.state, front) {
            // The queue is empty, so there is room.
            let _ = self.queue.push(Digit { code: stroke.code, duration: Duration::ZERO });
        }
    }

    /// Whether nothing is being sent and nothing waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle && self.queue.front().is_none()
    }

    /// One tick of the leg: `timestamp` is the one that sound of this tick would have, `step` how many ticks of the clock
    /// rate it lasts. `None` when sound may be sent.
    pub fn tick(&mut self, timestamp: u32, step: u32) -> Option<EventPacket> {
        match self.state {
            State::Pausing { left } if left > step => {
                self.state = State::Pausing { left: left - step };
                None
            }
            State::Idle | State::Pausing { .. } => {
                self.state = State::Idle;
                let stroke = self.queue.front()?;
                self.state = State::Down { segment: timestamp, elapsed: 0, earlier: 0 };
                Some(self.press(stroke, step, true))
            }
            State::Down { .. } => {
                let stroke = self.queue.front()?;
                Some(self.press(stroke, step, false))
            }
            State::Ending { stroke, segment, duration, left, pause } => {
                let pause = pause.saturating_sub(step);
                self.state = match left - 1 {
                    0 => State::Pausing { left: pause },
                    left => State::Ending { stroke, segment, duration, left, pause },
                };
                Some(self.packet(stroke, (segment, false), duration, true))
            }
        }
    }

    /// One more tick of the key that is down.
    fn press(&mut self, stroke: Stroke, step: u32, marker: bool) -> EventPacket {
        let State::Down { segment, elapsed, earlier } = self.state else {
            return self.packet(stroke, (0, marker), 0, true);
        };
        let length = self.ticks(stroke.length());
        let elapsed = elapsed.saturating_add(step);
        let limit = u32::from(u16::MAX);
        if earlier + u64::from(elapsed) >= length && length.saturating_sub(earlier) <= u64::from(limit) {
            let duration = length.saturating_sub(earlier) as u16;
            // A held key may be released in the past, but never before what was already told.
            let duration = duration.max(u16::try_from(elapsed - step).unwrap_or(u16::MAX));
            let pause = self.ticks(MIN_PAUSE) as u32;
            self.queue.pop();
            self.state = State::Ending { stroke, segment, duration, left: ENDS - 1, pause };
            return self.packet(stroke, (segment, marker), duration, true);
        }
        if elapsed > limit {
            // §2.5.1.3: the segment is full; the next one begins where it ends.
            let segment_next = segment.wrapping_add(limit);
            let earlier = earlier + u64::from(limit);
            self.state = State::Down { segment: segment_next, elapsed: elapsed - limit, earlier };
            return self.packet(stroke, (segment, marker), u16::MAX, false);
        }
        self.state = State::Down { segment, elapsed, earlier };
        self.packet(stroke, (segment, marker), elapsed as u16, false)
    }

    fn packet(
        &self,
        stroke: Stroke,
        (timestamp, marker): (u32, bool),
        duration: u16,
        end: bool,
    ) -> EventPacket {
        let event = Event { code: stroke.code, end, volume: self.volume, duration };
        EventPacket { marker, timestamp, payload: event.to_bytes() }
    }

    fn ticks(&self, duration: Duration) -> u64 {
        (duration.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000) as u64
    }
}
