//! The tones of a swarm, made once: a frame of 20 ms holds whole periods of each, so that one frame is the loop.

use crate::phone::Codec;
use crate::scenario::meter::{FRAME, RATE, TALK_DBM0, TONES};
use media::codec::g711;
use media::source::{Oscillator, amplitude};

/// Frames between the beginnings of two bursts of a tone: two seconds.
pub(super) const CYCLE: u64 = 100;
/// Frames of silence before a burst: 100 ms.
pub(super) const GAP: u64 = 5;

/// Which of the two laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Law {
    Mu,
    A,
}

impl Law {
    /// That of a codec; `None`: it is not G.711.
    pub(super) fn of(codec: Codec) -> Option<Law> {
        match codec {
            Codec::Pcmu => Some(Law::Mu),
            Codec::Pcma => Some(Law::A),
            Codec::Opus | Codec::G722 => None,
        }
    }
}

/// Every tone as samples and in both laws.
#[derive(Debug)]
pub(super) struct Tones {
    linear: Vec<[i16; FRAME]>,
    mu: Vec<[u8; FRAME]>,
    a: Vec<[u8; FRAME]>,
    /// What an octet sounds like.
    mu_samples: [f32; 256],
    a_samples: [f32; 256],
}

impl Tones {
    pub(super) fn new() -> Tones {
        let linear: Vec<[i16; FRAME]> = TONES
            .iter()
            .map(|hertz| {
                let mut oscillator = Oscillator::new(*hertz as f32, RATE);
                core::array::from_fn(|_| (oscillator.sample() * amplitude(TALK_DBM0)) as i16)
            })
            .collect();
        let encoded = |encode: fn(i16) -> u8| linear.iter().map(|frame| frame.map(encode)).collect();
        Tones {
            mu: encoded(g711::encode_ulaw),
            a: encoded(g711::encode_alaw),
            mu_samples: core::array::from_fn(|octet| f32::from(g711::decode_ulaw(octet as u8))),
            a_samples: core::array::from_fn(|octet| f32::from(g711::decode_alaw(octet as u8))),
            linear,
        }
    }

    /// A frame of a tone, or of silence.
    pub(super) fn linear(&self, tone: Option<usize>) -> &[i16; FRAME] {
        tone.and_then(|tone| self.linear.get(tone)).unwrap_or(&[0; FRAME])
    }

    /// The same in G.711.
    pub(super) fn encoded(&self, law: Law, tone: Option<usize>) -> &[u8; FRAME] {
        let (frames, silence) = match law {
            Law::Mu => (&self.mu, &[0xff; FRAME]),
            Law::A => (&self.a, &[0xd5; FRAME]),
        };
        tone.and_then(|tone| frames.get(tone)).unwrap_or(silence)
    }

    /// What octets sound like.
    pub(super) fn samples(&self, law: Law) -> &[f32; 256] {
        match law {
            Law::Mu => &self.mu_samples,
            Law::A => &self.a_samples,
        }
    }
}
