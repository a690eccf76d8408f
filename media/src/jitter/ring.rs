//! Packets in the order of their sequence numbers, from the moment they come until they are played.
//!
//! 64 slots, addressed by `sequence & 63`, say what is there; payloads lie one after another, in order of arrival, in a ring
//! of bytes, so that short packets cost little and long ones find room. What comes when the ring is full pushes out what came
//! first: a buffer that full is late anyway.
//!
//! Left out on purpose: extending 16-bit sequence numbers (RFC 3550 §A.1), done at the ingress of the leg.

use serde::{Deserialize, Serialize};

/// Packets that can be held, and how far back duplicates are told from late packets.
pub(super) const RING_SLOTS: u64 = 64;
const SLOTS: u64 = RING_SLOTS;

/// Numbers beyond this have no successors to count with; no ingress comes near.
const LAST: u64 = u64::MAX / 2;

/// An RTP packet as the ingress hands it over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Counts the streams of the leg; a new number begins anew.
    pub stream: u32,
    /// Extended sequence number within the stream.
    pub sequence: u64,
    /// RTP timestamp, in units of the clock rate.
    pub timestamp: u32,
    /// The first packet of a talk spurt (RFC 3551 §4.1).
    pub marker: bool,
    /// RTP payload type.
    pub payload_type: u8,
    /// The payload. Empty: the packet takes its place in the sequence and is not heard (an RFC 4733 event).
    pub payload: &'a [u8],
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It will be played in its turn.
    Kept,
    /// Its turn is over.
    Late,
    /// It is here already, or was.
    Duplicate,
    /// Too long: more than half of the room for payloads.
    Overflow,
}

/// What is known of a packet without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    /// Numbers that are missing before it.
    pub(super) missing: u64,
    /// Its successor is here, too.
    pub(super) followed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    timestamp: u32,
    /// Where the payload begins, counted in bytes since the ring was made, modulo 2^32.
    position: u32,
    length: u16,
    payload_type: u8,
    marker: bool,
}

/// The packets of one stream that wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ring {
    slots: Box<[Slot]>,
    bytes: Box<[u8]>,
    /// The number whose turn it is.
    next: Option<u64>,
    /// Something of this stream has been played, so that nothing can come before it any more.
    begun: bool,
    /// Bit `sequence & 63`: the slot is taken.
    taken: u64,
    /// Bit k: number `next - 1 - k` has come.
    past: u64,
    /// Where the next payload goes, counted like [`Slot::position`].
    written: u32,
    /// No payload that waits lies before this.
    oldest: u32,
    /// Packets pushed out so far.
    pushed_out: u64,
    /// Numbers passed over so far whose packets have not come.
    lost: u64,
}

impl Ring {
    /// A ring for payloads of `bytes` octets together, rounded up to a power of two between 1 KiB and 64 KiB.
    pub(super) fn new(bytes: usize) -> Self {
        let bytes = bytes.clamp(1 << 10, 1 << 16).next_power_of_two();
        Self {
            slots: [Slot::default(); SLOTS as usize].into(),
            bytes: vec![0; bytes].into(),
            next: None,
            begun: false,
            taken: 0,
            past: 0,
            written: 0,
            oldest: 0,
            pushed_out: 0,
            lost: 0,
        }
    }

    /// Forgets the stream; how many packets were thrown away.
    pub(super) fn clear(&mut self) -> u64 {
        let thrown = u64::from(self.taken.count_ones());
        (self.next, self.begun, self.taken, self.past) = (None, false, 0, 0);
        thrown
    }

    /// Packets that had to go for want of room, so far.
    pub(super) const fn pushed_out(&self) -> u64 {
        self.pushed_out
    }

    /// Numbers passed over so far whose packets have not come.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Keeps a packet until its turn. A number that is 64 or more ahead of the next pushes out those 64 before it.
    pub(super) fn insert(&mut self, packet: &Packet<'_>) -> Inserted {
        let sequence = packet.sequence;
        if packet.payload.len() > self.bytes.len() / 2 || sequence > LAST {
            return Inserted::Overflow;
        }
        let next = *self.next.get_or_insert(sequence);
        if sequence < next && !self.reopen(sequence, next) {
            return self.judge_past(next - sequence);
        }
        let next = self.next.unwrap_or(sequence);
        if sequence - next >= SLOTS {
            let thrown = self.taken.count_ones();
            self.skip_to(sequence - (SLOTS - 1));
            self.pushed_out += u64::from(thrown - self.taken.count_ones());
        }
        if self.taken & bit(sequence) != 0 {
            return Inserted::Duplicate;
        }
        self.store(packet);
        Inserted::Kept
    }

    /// The first packet in order, if any waits.
    pub(super) fn front(&self) -> Option<Front> {
        let next = self.next?;
        let in_order = self.taken.rotate_right((next % SLOTS) as u32);
        if in_order == 0 {
            return None;
        }
        let missing = u64::from(in_order.trailing_zeros());
        let sequence = next + missing;
        let slot = self.slots.get((sequence % SLOTS) as usize)?;
        Some(Front {
            sequence,
            timestamp: slot.timestamp,
            payload_type: slot.payload_type,
            marker: slot.marker,
            missing,
            followed: in_order.wrapping_shr(missing as u32) & 2 != 0,
        })
    }

    /// The payload of a packet that waits.
    pub(super) fn payload(&self, sequence: u64) -> &[u8] {
        let Some(slot) = self.slots.get((sequence % SLOTS) as usize) else { return &[] };
        let start = self.index(slot.position);
        self.bytes.get(start..start + usize::from(slot.length)).unwrap_or(&[])
    }

    /// Makes it the turn of `sequence`. What waits before it is gone, and what has not come yet is lost.
    pub(super) fn skip_to(&mut self, sequence: u64) {
        let Some(next) = self.next else { return };
        self.begun = true;
        let steps = sequence.saturating_sub(next);
        let mut missing = steps.saturating_sub(SLOTS);
        if steps >= SLOTS {
            missing += SLOTS - u64::from(self.taken.count_ones());
            (self.past, self.taken) = (self.taken.rotate_right((next % SLOTS) as u32).reverse_bits(), 0);
            // Of the 64 numbers just before `sequence` only the last ones may have been here.
            self.past = self.past.checked_shl((steps - SLOTS) as u32).unwrap_or(0);
        } else {
            for number in next..next + steps {
                let came = self.taken & bit(number) != 0;
                self.past = self.past << 1 | u64::from(came);
                self.taken &= !bit(number);
                missing += u64::from(!came);
            }
        }
        self.next = Some(next + steps);
        self.lost = self.lost.saturating_add(missing);
    }

    /// Before anything was played, a packet may turn out not to be the first.
    fn reopen(&mut self, sequence: u64, next: u64) -> bool {
        // All that waits must still fit behind the new first number.
        let in_order = self.taken.rotate_right((next % SLOTS) as u32);
        let span = u64::from(u64::BITS - in_order.leading_zeros());
        let fits = !self.begun && next - sequence + span <= SLOTS;
        if fits {
            self.next = Some(sequence);
        }
        fits
    }

    /// A packet `behind` numbers before the next one.
    fn judge_past(&mut self, behind: u64) -> Inserted {
        let Some(mask) = 1u64.checked_shl(u32::try_from(behind - 1).unwrap_or(u32::MAX)) else {
            return Inserted::Late;
        };
        let came = self.past & mask != 0;
        self.past |= mask;
        if came {
            return Inserted::Duplicate;
        }
        self.lost = self.lost.saturating_sub(1);
        Inserted::Late
    }

    fn store(&mut self, packet: &Packet<'_>) {
        let (length, size) = (packet.payload.len(), self.bytes.len());
        // A payload lies in one piece: what is left at the end of the ring stays unused.
        let start = self.index(self.written);
        if start + length > size {
            self.written = self.written.wrapping_add((size - start) as u32);
        }
        let (position, start) = (self.written, self.index(self.written));
        self.written = self.written.wrapping_add(length as u32);
        self.push_out_overwritten(length as u32);
        if let Some(room) = self.bytes.get_mut(start..start + length) {
            room.copy_from_slice(packet.payload);
        }
        if let Some(slot) = self.slots.get_mut((packet.sequence % SLOTS) as usize) {
            *slot = Slot {
                timestamp: packet.timestamp,
                position,
                length: length as u16,
                payload_type: packet.payload_type,
                marker: packet.marker,
            };
            self.taken |= bit(packet.sequence);
        }
    }

    /// Empties packets whose payload is about to be written over by the newest, of `length`. They keep their place: they
    /// are not lost, there is just nothing to be heard of them. The slots are looked at once per turn of the ring.
    fn push_out_overwritten(&mut self, length: u32) {
        let size = self.bytes.len() as u32;
        if self.written.wrapping_sub(self.oldest) <= size {
            return;
        }
        let mut oldest_age = length;
        for (slot, number) in self.slots.iter_mut().zip(0..) {
            if self.taken & bit(number) == 0 || slot.length == 0 {
                continue;
            }
            let age = self.written.wrapping_sub(slot.position);
            if age > size {
                slot.length = 0;
                self.pushed_out += 1;
            } else {
                oldest_age = oldest_age.max(age);
            }
        }
        self.oldest = self.written.wrapping_sub(oldest_age);
    }

    const fn index(&self, position: u32) -> usize {
        position as usize & (self.bytes.len() - 1)
    }
}

const fn bit(sequence: u64) -> u64 {
    1 << (sequence % SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u64, payload: &[u8]) -> Packet<'_> {
        Packet {
            stream: 1,
            sequence,
            timestamp: sequence as u32 * 160,
            marker: false,
            payload_type: 0,
            payload,
        }
    }

    /// Takes the packet in front; its number and payload.
    fn take(ring: &mut Ring) -> Option<(u64, Vec<u8>)> {
        let front = ring.front()?;
        let payload = ring.payload(front.sequence).to_vec();
        ring.skip_to(front.sequence + 1);
        Some((front.sequence, payload))
    }

    #[test]
    fn packets_come_out_in_order_whatever_order_they_came_in() {
        let mut ring = Ring::new(4096);
        for sequence in [103, 101, 100, 104, 102] {
            assert_eq!(ring.insert(&packet(sequence, &[sequence as u8; 20])), Inserted::Kept);
        }
        for sequence in 100..105 {
            assert_eq!(take(&mut ring), Some((sequence, vec![sequence as u8; 20])));
        }
        assert_eq!((take(&mut ring), ring.lost()), (None, 0));
    }

    #[test]
    fn what_is_past_is_late_once_and_then_a_duplicate() {
        let mut ring = Ring::new(4096);
        for sequence in [100, 102] {
            ring.insert(&packet(sequence, &[1]));
        }
        assert_eq!(ring.front().map(|front| (front.missing, front.followed)), Some((0, false)));
        ring.skip_to(103);
        assert_eq!(ring.lost(), 1);
        assert_eq!(ring.insert(&packet(102, &[1])), Inserted::Duplicate);
        assert_eq!(ring.insert(&packet(101, &[1])), Inserted::Late);
        assert_eq!(ring.insert(&packet(101, &[1])), Inserted::Duplicate);
        assert_eq!(ring.lost(), 0);
        assert_eq!(ring.insert(&packet(30, &[1])), Inserted::Late);
    }

    #[test]
    fn a_number_64_ahead_pushes_out_those_before_it() {
        let mut ring = Ring::new(4096);
        for sequence in [100, 101, 110] {
            ring.insert(&packet(sequence, &[1]));
        }
        assert_eq!(ring.insert(&packet(168, &[2])), Inserted::Kept);
        assert_eq!(ring.front().map(|front| (front.sequence, front.missing)), Some((110, 5)));
        assert_eq!((ring.pushed_out(), ring.lost()), (2, 3));
        assert_eq!(ring.insert(&packet(1_000_000, &[3])), Inserted::Kept);
        assert_eq!(take(&mut ring), Some((1_000_000, vec![3])));
        assert_eq!(ring.pushed_out(), 4);
        assert_eq!(ring.lost(), 1_000_000 - 100 - 4);
    }

    #[test]
    fn payloads_that_do_not_fit_push_out_the_oldest_which_keep_their_turn() {
        let mut ring = Ring::new(1024);
        for sequence in 0..10 {
            assert_eq!(ring.insert(&packet(sequence, &[sequence as u8; 150])), Inserted::Kept);
        }
        let lengths: Vec<usize> =
            std::iter::from_fn(|| take(&mut ring)).map(|(_, payload)| payload.len()).collect();
        assert_eq!(lengths, [0, 0, 0, 0, 150, 150, 150, 150, 150, 150]);
        assert_eq!((ring.pushed_out(), ring.lost()), (4, 0));
        assert_eq!(ring.insert(&packet(11, &[0; 513])), Inserted::Overflow);
    }

    #[test]
    fn payloads_survive_any_number_of_turns_of_the_ring() {
        let mut ring = Ring::new(1024);
        for sequence in 0..5000u64 {
            let payload = vec![sequence as u8; (sequence * 7 % 160) as usize];
            ring.insert(&packet(sequence, &payload));
            if sequence >= 3 {
                let oldest = sequence - 3;
                assert_eq!(take(&mut ring), Some((oldest, vec![oldest as u8; (oldest * 7 % 160) as usize])));
            }
        }
        assert_eq!(ring.pushed_out(), 0);
    }
}
