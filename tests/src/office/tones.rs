//! What phones say and hear: each says a tone of its own, of which a packet of 20 ms holds whole periods. So who is heard can be told from
//! the octets on the wire, relayed, converted or mixed.

use super::act::PHONES;
use crate::sim::handset::{Heard, PAYLOAD};
use core::ops::Range;
use media::codec::g711;
use std::f64::consts::TAU;

/// What a packet holds whole periods of.
const STEP: f64 = 50.0;
/// The concert pitch, of which notes of music are a twelfth root of two apart, and how far from them the tones of phones are.
const PITCH: f64 = 440.0;
const APART: f64 = 6.0;
const RATE: f64 = 8_000.0;
/// Of 32,767: twenty phones can be summed up.
const LOUDNESS: f64 = 1_600.0;
/// What is heard of a phone is so much of what it says.
const LOUD: Range<f64> = 0.6..1.6;

/// The tones of the office.
#[derive(Debug)]
pub(super) struct Tones {
    mu: Vec<Vec<u8>>,
    a: Vec<Vec<u8>>,
    waves: Vec<Vec<(f32, f32)>>,
}

impl Default for Tones {
    fn default() -> Tones {
        let hertz: Vec<f64> = hertz();
        let wave = |tone: usize| {
            let hertz = hertz[tone];
            (0..PAYLOAD).map(move |at| TAU * hertz * at as f64 / RATE)
        };
        let encoded = |encode: fn(i16) -> u8| {
            let frame = |tone| wave(tone).map(|angle| encode((angle.sin() * LOUDNESS) as i16)).collect();
            (0..PHONES).map(frame).collect()
        };
        Tones {
            mu: encoded(g711::encode_ulaw),
            a: encoded(g711::encode_alaw),
            waves: (0..PHONES)
                .map(|tone| wave(tone).map(|angle| (angle.cos() as f32, angle.sin() as f32)).collect())
                .collect(),
        }
    }
}

/// The tones, none of which music has: a call on hold is full of it.
fn hertz() -> Vec<f64> {
    let is_no_note = |hertz: &f64| {
        let steps = (12.0 * (hertz / PITCH).log2()).round();
        (hertz - PITCH * (steps / 12.0).exp2()).abs() > APART
    };
    (5..).map(|periods| STEP * f64::from(periods)).filter(is_no_note).take(PHONES).collect()
}

impl Tones {
    /// What a phone says in a packet of this payload type.
    #[must_use]
    pub(super) fn said(&self, phone: usize, payload_type: u8) -> &[u8] {
        if payload_type == 8 { &self.a[phone] } else { &self.mu[phone] }
    }

    /// Which phones are heard in these packets: their tones, as loud as they are said and in step from packet to packet, which music is not.
    pub(super) fn heard(&self, packets: &[Heard]) -> Vec<usize> {
        let frames: Vec<Vec<f32>> = packets.iter().filter_map(samples).collect();
        let is_heard = |tone: &usize| LOUD.contains(&(self.loudness(*tone, &frames) / LOUDNESS));
        (0..PHONES).filter(|tone| !frames.is_empty() && is_heard(tone)).collect()
    }

    /// The amplitude of a tone in all frames together.
    fn loudness(&self, tone: usize, frames: &[Vec<f32>]) -> f64 {
        let (mut real, mut imaginary) = (0.0_f32, 0.0_f32);
        for frame in frames {
            for (sample, (cos, sin)) in frame.iter().zip(&self.waves[tone]) {
                real += sample * cos;
                imaginary += sample * sin;
            }
        }
        f64::from(real.hypot(imaginary)) * 2.0 / (PAYLOAD * frames.len().max(1)) as f64
    }
}

fn samples(packet: &Heard) -> Option<Vec<f32>> {
    let decode: fn(u8) -> i16 = match packet.payload_type {
        0 => g711::decode_ulaw,
        8 => g711::decode_alaw,
        _ => return None,
    };
    (packet.payload.len() == PAYLOAD)
        .then(|| packet.payload.iter().map(|octet| f32::from(decode(*octet))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn each_phone_is_told_from_the_others_alone_and_in_a_sum() {
        let tones = Tones::default();
        let from = SocketAddr::from(([10, 0, 0, 1], 40_000));
        let packet =
            |payload: Vec<u8>| vec![Heard { from, payload_type: 0, sequence: 0, payload: payload.into() }; 3];
        for phone in 0..PHONES {
            assert_eq!(tones.heard(&packet(tones.said(phone, 0).to_vec())), [phone]);
        }
        let sum = (0..PAYLOAD).map(|at| {
            let both = [3, 40].map(|phone| g711::decode_ulaw(tones.said(phone, 0)[at]));
            g711::encode_ulaw(both[0] + both[1])
        });
        assert_eq!(tones.heard(&packet(sum.collect())), [3, 40]);
        assert!(tones.heard(&packet(vec![0xff; PAYLOAD])).is_empty());
        assert!(tones.heard(&[]).is_empty());
    }
}
