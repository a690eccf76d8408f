//! What leaves on a leg: one RTP stream of our own, whoever feeds it (RFC 3550 §5.1).
//!
//! The leg has one SSRC. The packets of one incoming stream are all shifted by the same amounts, so that loss and
//! reordering stay visible to the peer. When the feeding stream changes, the sequence goes on with the next number and
//! the timestamp advances by the time that passed, at the clock rate; the first packet carries the marker bit.
//!
//! After a collision of SSRCs (RFC 3550 §8.2) it has another one, in the same sequence.
//!
//! Left out on purpose: pacing: a packet leaves when it came.

use serde::{Deserialize, Serialize};

use crate::rtp::{FIXED_HEADER, Rewrite, Ssrc};
use crate::shard::LegKey;
use crate::time::Time;

/// Extended numbers start one cycle up, so that those below the first one are numbers, too.
const FIRST_CYCLE: u64 = 1 << 16;

/// The sending half of a leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Egress {
    ssrc: Ssrc,
    first_sequence: u16,
    first_timestamp: u32,
    sent: Option<Sent>,
}

/// Where our stream stands, and how the feeding stream maps onto it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    feed: Feed,
    /// Added to the extended sequence numbers of the feed, modulo 2^64.
    sequence_shift: u64,
    /// Added to the timestamps of the feed.
    timestamp_shift: u32,
    /// The highest extended number before the feed took over; nothing is sent at or below it any more.
    floor: u64,
    /// The highest extended number sent.
    highest: u64,
    /// The timestamp sent with it, and when that timestamp was sent first: the packets of an event share one.
    timestamp: u32,
    since: Time,
    /// By how much the timestamp last went on from one number to the next: what a packet lasts, as far as is known.
    step: u32,
}

/// Longer than any packet of sound lasts: 120 ms at 48 kHz.
const LONGEST_STEP: u32 = 5_760;

/// Names a stream that feeds a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Feed {
    /// What another leg's peer sends: that leg, and its count of streams.
    Relay { leg: LegKey, stream: u32 },
    /// What is mixed for this leg: its count of stays in rooms.
    Mix { run: u32 },
    /// Digits that are dialled for this leg.
    Digits,
    /// What fed it where it was before; the next packet is of another feed.
    Elsewhere,
}

/// A packet's place in our stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) ssrc: Ssrc,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// The packet is the first of a new feed.
    pub(crate) first: bool,
}

impl Placed {
    /// The same, with the marker bit also where its content asks for it.
    pub(crate) const fn marked(self, marker: bool) -> Self {
        Self { first: self.first || marker, ..self }
    }

    /// The header of a packet in this place.
    #[inline]
    pub(crate) fn header(&self, payload_type: u8) -> [u8; FIXED_HEADER] {
        let Placed { ssrc, sequence, timestamp, first } = *self;
        Rewrite { marker: first, payload_type, sequence, timestamp, ssrc }.header()
    }
}

impl Egress {
    /// A stream that starts at random values (RFC 3550 §5.1). The sequence starts in the lower half of its range, so that a
    /// receiver cannot mistake early loss for a wrap.
    pub(crate) fn new(ssrc: Ssrc, first_sequence: u16, first_timestamp: u32) -> Self {
        Self { ssrc, first_sequence: first_sequence & 0x7fff, first_timestamp, sent: None }
    }

    /// The SSRC under which the leg sends.
    pub(crate) const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Sends under another SSRC from now on.
    pub(crate) const fn set_ssrc(&mut self, ssrc: Ssrc) {
        self.ssrc = ssrc;
    }

    /// What is added to the sequence numbers of what `leg` sends, modulo 2^16; `None` when it does not feed this one.
    pub(crate) fn shift_from(&self, leg: LegKey) -> Option<u16> {
        let sent = self.sent.as_ref()?;
        match sent.feed {
            Feed::Relay { leg: feeding, .. } if feeding == leg => Some(sent.sequence_shift as u16),
            Feed::Relay { .. } | Feed::Mix { .. } | Feed::Digits | Feed::Elsewhere => None,
        }
    }

    /// The timestamp that a packet of this moment has, whatever feeds the leg.
    pub(crate) fn timestamp_at(&self, now: Time, clock_rate: u32) -> u32 {
        self.sent.as_ref().map_or(self.first_timestamp, |sent| sent.timestamp_at(now, clock_rate))
    }

    /// Places a packet of digits behind all that was sent, under a timestamp of [`Self::timestamp_at`] or some ticks after
    /// it.
    pub(crate) fn append(&mut self, now: Time, timestamp: u32) -> Placed {
        let before = self.sent;
        let first_sequence = FIRST_CYCLE + u64::from(self.first_sequence);
        let highest = before.map_or(first_sequence, |sent| sent.highest.wrapping_add(1));
        let same = before.filter(|sent| sent.timestamp == timestamp);
        self.sent = Some(Sent {
            feed: Feed::Digits,
            sequence_shift: 0,
            timestamp_shift: 0,
            floor: highest,
            highest,
            timestamp,
            since: same.map_or(now, |sent| sent.since),
            step: before.map_or(1, |sent| sent.step),
        });
        let first = before.is_none_or(|sent| sent.feed != Feed::Digits);
        Placed { ssrc: self.ssrc, sequence: highest as u16, timestamp, first }
    }

    /// The leg is in another shard now, where the legs that feed it have other keys, or are not.
    pub(crate) fn rename(&mut self, renamed: impl Fn(LegKey) -> Option<LegKey>) {
        if let Some(sent) = &mut self.sent {
            sent.feed = match sent.feed {
                Feed::Relay { leg, stream } => {
                    renamed(leg).map_or(Feed::Elsewhere, |leg| Feed::Relay { leg, stream })
                }
                feed @ (Feed::Mix { .. } | Feed::Digits | Feed::Elsewhere) => feed,
            };
        }
    }

    /// Places a packet of `feed` with its extended sequence number and timestamp; `None` when it is from before the feed
    /// took over. `clock_rate` in ticks per second.
    #[inline]
    pub(crate) fn place(
        &mut self,
        now: Time,
        feed: Feed,
        sequence: u64,
        timestamp: u32,
        clock_rate: u32,
    ) -> Option<Placed> {
        match &mut self.sent {
            Some(sent) if sent.feed == feed => {
                let placed = sent.advance(now, sequence, timestamp)?;
                Some(Placed { ssrc: self.ssrc, sequence: placed.0 as u16, timestamp: placed.1, first: false })
            }
            sent => {
                let next = match sent {
                    Some(sent) => {
                        let start = (sent.highest.wrapping_add(1), sent.timestamp_at(now, clock_rate));
                        Sent {
                            step: sent.step,
                            ..Sent::start(now, feed, sent.highest, (sequence, timestamp), start)
                        }
                    }
                    // Nothing was sent before, so packets that came before the first one may follow it.
                    None => {
                        let start = (FIRST_CYCLE + u64::from(self.first_sequence), self.first_timestamp);
                        Sent::start(now, feed, 0, (sequence, timestamp), start)
                    }
                };
                *sent = Some(next);
                Some(Placed {
                    ssrc: self.ssrc,
                    sequence: next.highest as u16,
                    timestamp: next.timestamp,
                    first: true,
                })
            }
        }
    }
}

impl Sent {
    /// A new feed whose first packet, `incoming`, goes out as `start`, each a sequence number and a timestamp.
    fn start(now: Time, feed: Feed, floor: u64, incoming: (u64, u32), start: (u64, u32)) -> Self {
        Self {
            feed,
            sequence_shift: start.0.wrapping_sub(incoming.0),
            timestamp_shift: start.1.wrapping_sub(incoming.1),
            floor,
            highest: start.0,
            timestamp: start.1,
            since: now,
            step: 1,
        }
    }

    /// Shifts one more packet of the feed.
    #[inline]
    fn advance(&mut self, now: Time, sequence: u64, timestamp: u32) -> Option<(u64, u32)> {
        let sequence = sequence.wrapping_add(self.sequence_shift);
        let timestamp = timestamp.wrapping_add(self.timestamp_shift);
        // Modulo 2^64 a packet from before the feed's first lies far above every real number.
        if sequence <= self.floor || sequence.wrapping_sub(self.floor) > u64::MAX / 2 {
            return None;
        }
        if sequence > self.highest {
            let step = timestamp.wrapping_sub(self.timestamp);
            if sequence == self.highest + 1 && (1..=LONGEST_STEP).contains(&step) {
                self.step = step;
            }
            self.highest = sequence;
            if timestamp != self.timestamp {
                self.timestamp = timestamp;
                self.since = now;
            }
        }
        Some((sequence, timestamp))
    }

    /// The timestamp of this moment: the last one advanced by the time since it was sent, by what a packet lasts at
    /// least, so that a feed that begins early does not overlap the one before it.
    fn timestamp_at(&self, now: Time, clock_rate: u32) -> u32 {
        let ticks = now.since(self.since).as_nanos() * u128::from(clock_rate) / 1_000_000_000;
        self.timestamp.wrapping_add((ticks as u32).max(self.step))
    }
}
