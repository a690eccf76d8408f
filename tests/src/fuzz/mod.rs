//! What a fuzzer feeds bytes to: the bodies of the targets in `tests/fuzz`, callable without a fuzzer too.
//!
//! A body asserts more than the absence of panics; each says what. The same bodies run for a moment in every test
//! run (`tests/fuzz_smoke.rs`), on mutations of the messages of RFC 4475 and on sequences from a seeded generator.

mod endpoint;
mod event_body;
mod message;
mod pieces;
mod script;
mod sdp;
mod side;
mod stream_framing;
mod web_socket;

pub use endpoint::endpoint;
pub use event_body::{DOCUMENTS, event_body};
pub use message::message;
pub use sdp::sdp;
pub use stream_framing::stream_framing;
pub use web_socket::web_socket;

/// A seeded generator for the short runs: splitmix64.
#[derive(Debug, Clone)]
pub struct Generator(pub u64);

impl Generator {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() >> 33).unwrap_or_default().checked_rem(end).unwrap_or_default()
    }

    /// So many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.number().to_le_bytes()[0]).collect()
    }

    /// `text` with a few bytes changed, removed, doubled or moved.
    pub fn mutated(&mut self, text: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        for _ in 0..=self.below(6) {
            let (at, length) = (self.below(bytes.len()), 1 + self.below(12));
            let end = bytes.len().min(at + length);
            let piece = bytes[at..end].to_vec();
            match self.below(5) {
                0 => bytes[at..end].fill(self.number().to_le_bytes()[0]),
                1 => drop(bytes.drain(at..end)),
                2 => drop(bytes.splice(at..at, piece)),
                3 => {
                    let other = self.below(bytes.len() + 1);
                    drop(bytes.splice(other..other, piece));
                }
                _ => {
                    const MARKS: [&[u8]; 10] =
                        [b"\r\n", b"\r\n ", b"\"", b"<", b">", b";", b",", b"%00", b"99999999999", b"\0\xff"];
                    let mark = MARKS[self.below(MARKS.len())];
                    drop(bytes.splice(at..at, mark.iter().copied()));
                }
            }
        }
        bytes
    }
}
