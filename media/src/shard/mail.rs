//! RTCP that waits to be sent: reports that were due, feedback that passes through, farewells.
//!
//! Bounds: [`LETTERS`] packets in [`OCTETS`] octets, made once. Reports that find it full stay due until the driver has sent
//! what is there; feedback is dropped and counted, as its sender repeats it.
//!
//! Left out on purpose: what is written (`rtcp`), and sockets.

use std::net::SocketAddr;

use super::arena::LegKey;
use super::shard::{Forward, Port};

/// Packets that may wait.
const LETTERS: usize = 256;
/// Octets that may wait.
const OCTETS: usize = 64 * 1024;
/// The longest of them: feedback in the largest datagram that is received, and a report before it.
const LONGEST: usize = 2_560;

/// Packets between their writing and their sending.
#[derive(Debug)]
pub(super) struct Mail {
    octets: Vec<u8>,
    written: usize,
    letters: Vec<Letter>,
    sent: usize,
    /// Feedback for which there was no room.
    pub(super) dropped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Letter {
    forward: Forward,
    begin: usize,
    end: usize,
}

impl Default for Mail {
    fn default() -> Self {
        let letters = Vec::with_capacity(LETTERS);
        Self { octets: vec![0; OCTETS], written: 0, letters, sent: 0, dropped: 0 }
    }
}

impl Mail {
    /// Whether any packet fits.
    pub(super) const fn has_room(&self) -> bool {
        self.letters.len() < LETTERS && self.written + LONGEST <= OCTETS
    }

    /// Puts in what `write` writes and gives the length of. Without room nothing is written.
    pub(super) fn write(
        &mut self,
        leg: LegKey,
        (port, destination): (Port, SocketAddr),
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) {
        if !self.has_room() {
            return;
        }
        let begin = self.written;
        let Some(place) = self.octets.get_mut(begin..begin + LONGEST) else { return };
        if let Some(length) = write(place) {
            self.written = begin + length.min(LONGEST);
            let forward = Forward { leg, port, destination };
            self.letters.push(Letter { forward, begin, end: self.written });
        }
    }

    /// The next packet to be sent.
    pub(super) fn poll(&mut self) -> Option<(Forward, &mut [u8])> {
        let Some(letter) = self.letters.get(self.sent).copied() else {
            (self.sent, self.written) = (0, 0);
            self.letters.clear();
            return None;
        };
        self.sent += 1;
        let octets = self.octets.get_mut(letter.begin..letter.end)?;
        Some((letter.forward, octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::arena::Arena;

    #[test]
    fn a_full_box_takes_nothing_until_it_was_emptied() {
        let (mut mail, leg) = (Mail::default(), Arena::new().insert(()));
        let to = (Port::Rtcp, SocketAddr::from(([192, 0, 2, 1], 9)));
        let mut count = 0;
        while mail.has_room() {
            mail.write(leg, to, |place| Some(place.len().min(120)));
            count += 1;
        }
        assert_eq!(count, LETTERS);
        mail.write(leg, to, |_| panic!("there is no room"));
        assert_eq!(
            std::iter::from_fn(|| mail.poll().map(|(_, octets)| octets.len())).sum::<usize>(),
            120 * LETTERS
        );
        assert!(mail.has_room());
        for _ in 0..OCTETS / LONGEST {
            mail.write(leg, to, |place| Some(place.len()));
        }
        assert!(!mail.has_room());
    }

    #[test]
    fn what_is_not_written_takes_no_room() {
        let (mut mail, leg) = (Mail::default(), Arena::new().insert(()));
        for _ in 0..2 * LETTERS {
            mail.write(leg, (Port::Rtp, SocketAddr::from(([192, 0, 2, 1], 9))), |_| None);
        }
        assert!(mail.poll().is_none() && mail.has_room());
    }
}
