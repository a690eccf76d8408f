//! Senders of calls that are over: a phone that has missed the end of its call, or crashed, goes on sending to a port that another
//! call has by now. Where many phones are behind one address, the latch takes it for a candidate, and the new call would
//! hear it until its own party speaks.
//!
//! So a port remembers the streams of its last calls, each as a mark made of its source and SSRC, and the next leg refuses
//! them. The SDP address itself is never refused: it is the party of the call, though some phones draw the same SSRC every
//! time. Of a ghost that was refused the mark is kept for the leg after that. Bounds: [`MARKS`] for each port, the latest first.
//! A mark counts for [`LIFETIME_S`] from the end of its own call: a phone behind a translator that always sends from one port under one
//! SSRC cannot be told from its own ghost, and must not be silenced for ever.
//!
//! Left out on purpose: what is not RTP has no SSRC to be told by, and reports of ghosts to a port of RTCP alone are believed as those
//! of any candidate.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::rtp::Ssrc;
use crate::time::Time;

/// Streams that a port remembers.
pub(crate) const MARKS: usize = 4;
/// For so many seconds after its call a stream is taken for a ghost: twice the time for which a BYE is repeated.
const LIFETIME_S: u32 = 64;

/// The marks of streams that are over; zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ghosts {
    marks: [u64; MARKS],
    /// One bit for each that has come again.
    seen: u8,
}

impl Ghosts {
    /// Those of these marks.
    #[must_use]
    pub const fn of(marks: [u64; MARKS]) -> Self {
        Self { marks, seen: 0 }
    }

    /// The marks.
    #[must_use]
    pub const fn marks(&self) -> [u64; MARKS] {
        self.marks
    }

    /// Whether there are any.
    pub(crate) const fn are_any(&self) -> bool {
        self.marks[0] != 0
    }

    /// Whether a packet is of one of them, which is noticed.
    pub(crate) fn recognise(&mut self, now: Time, source: SocketAddr, ssrc: Ssrc) -> bool {
        let stream = stream(source, ssrc);
        let place = self.marks.iter().position(|mark| is_of(*mark, stream) && is_alive(*mark, now));
        if let Some(place) = place {
            self.seen |= 1 << place;
        }
        place.is_some()
    }

    /// Those for the next leg of the port: the stream that was heard here last, then those that came again, then the others.
    pub(crate) fn handed_on(&self, now: Time, last: Option<(SocketAddr, Ssrc)>) -> Self {
        let last = last.map(|(source, ssrc)| stream(source, ssrc));
        let known = |seen: bool| {
            let places =
                self.marks.iter().zip(0..).filter(move |(_, place)| (self.seen >> place & 1 == 1) == seen);
            places.map(|(mark, _)| *mark)
        };
        let others = known(true).chain(known(false));
        let others =
            others.filter(|mark| is_alive(*mark, now) && last.is_none_or(|last| !is_of(*mark, last)));
        let mut marks = [0; MARKS];
        let last = last.map(|last| u64::from(last) << 32 | u64::from(second(now)));
        for (place, mark) in marks.iter_mut().zip(last.into_iter().chain(others)) {
            *place = mark;
        }
        Self::of(marks)
    }
}

/// The second of a moment, as it stands in a mark, below the stream.
const fn second(now: Time) -> u32 {
    (now.0 / 1_000_000_000) as u32
}

const fn is_of(mark: u64, stream: u32) -> bool {
    mark >> 32 == stream as u64
}

/// Whether there is a mark, and its call ended not too long ago.
const fn is_alive(mark: u64, now: Time) -> bool {
    mark != 0 && second(now).saturating_sub(mark as u32) <= LIFETIME_S
}

/// 32 bits of a source and its SSRC, mixed as SplitMix64 does; never zero.
fn stream(source: SocketAddr, ssrc: Ssrc) -> u32 {
    let address = match source.ip().to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let rest = u64::from(source.port()) << 32 | u64::from(ssrc.0);
    let parts = [address as u64, (address >> 64) as u64, rest];
    let mixed = parts.into_iter().fold(0, |mixed: u64, part| mix(mixed ^ part));
    ((mixed >> 32) as u32).max(1)
}

const fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const NOW: Time = Time(5_000_000_000);

    fn after(seconds: u64) -> Time {
        Time(NOW.0 + seconds * 1_000_000_000)
    }

    #[test]
    fn a_ghost_is_known_by_its_source_and_ssrc_together() {
        let mut ghosts = Ghosts::default().handed_on(NOW, Some((at("192.0.2.1:4000"), Ssrc(7))));
        assert!(ghosts.are_any() && ghosts.recognise(NOW, at("192.0.2.1:4000"), Ssrc(7)));
        assert!(ghosts.recognise(NOW, at("[::ffff:192.0.2.1]:4000"), Ssrc(7)), "it is the same address");
        for (source, ssrc) in [("192.0.2.1:4000", 8), ("192.0.2.1:4002", 7), ("192.0.2.2:4000", 7)] {
            assert!(!ghosts.recognise(NOW, at(source), Ssrc(ssrc)), "{source} {ssrc}");
        }
        assert!(!Ghosts::default().are_any());
    }

    #[test]
    fn a_stream_is_a_ghost_for_a_while_after_its_own_call_however_often_it_was_refused() {
        let phone = (at("192.0.2.1:4000"), Ssrc(7));
        let mut ghosts = Ghosts::default().handed_on(NOW, Some(phone));
        for seconds in [1, 30, 64] {
            assert!(ghosts.recognise(after(seconds), phone.0, phone.1), "{seconds}");
            ghosts = ghosts.handed_on(after(seconds), None);
        }
        assert!(!ghosts.recognise(after(65), phone.0, phone.1), "it may be somebody's phone");
        assert!(!ghosts.handed_on(after(65), None).are_any());
        let mut again = ghosts.handed_on(after(70), Some(phone));
        assert!(again.recognise(after(71), phone.0, phone.1), "another call of it has ended");
    }

    #[test]
    fn those_that_come_again_are_remembered_longest() {
        let source = |number: u16| (at(&format!("192.0.2.1:{number}")), Ssrc(1));
        let mut ghosts = Ghosts::default();
        for number in 1..=20 {
            ghosts = ghosts.handed_on(NOW, Some(source(number)));
            assert!(ghosts.recognise(NOW, source(1).0, Ssrc(1)), "it never falls silent ({number})");
        }
        assert!(ghosts.recognise(NOW, source(20).0, Ssrc(1)) && ghosts.recognise(NOW, source(19).0, Ssrc(1)));
        assert!(!ghosts.recognise(NOW, source(2).0, Ssrc(1)));
        assert_eq!(ghosts.handed_on(NOW, None).marks().iter().filter(|mark| **mark != 0).count(), MARKS);
    }
}
