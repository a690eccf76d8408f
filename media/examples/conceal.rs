//! Sends a voice through a lossy network in virtual time and writes what is heard, to be judged by PESQ.
//!
//!     conceal MODE LOSS_PERCENT JITTER_MS SEED < in.raw > out.raw
//!
//! Sound is 16-bit little-endian mono at 8 kHz, carried as µ-law in packets of 20 ms. The same seed loses the same packets
//! in every mode: `ours` is the jitter buffer of this crate; `repeat` repeats the last 20 ms, fading to silence within 60 ms;
//! `silence` leaves gaps silent. The last two play every packet that is not lost at its place, whatever its jitter.
//!
//! Figures are printed on standard error.

use std::io::{Read, Write};

use media::Time;
use media::codec::g711;
use media::jitter::{Decode, JitterBuffer, JitterConfig, Packet, PayloadKind};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

const PACKET: usize = 160;
const PACKET_US: u64 = 20_000;
/// Packets come this long before the tick that could play them.
const PHASE_US: u64 = 12_000;
/// The first packets are never lost, so that there is something to go on from.
const SPARED: usize = 5;

struct Ulaw;

impl Decode for Ulaw {
    fn kind(&self, _payload_type: u8, payload: &[u8]) -> PayloadKind {
        PayloadKind::Audio(payload.len())
    }

    fn decode(&mut self, _payload_type: u8, payload: &[u8], out: &mut [i16]) -> usize {
        out.iter_mut().zip(payload).map(|(sample, octet)| *sample = g711::decode_ulaw(*octet)).count()
    }
}

/// What the network does to each packet: `None` loses it, else it comes so much later.
struct Network {
    rng: ChaCha20Rng,
    loss: f64,
    jitter_us: f64,
}

impl Network {
    fn uniform(&mut self) -> f64 {
        f64::from(self.rng.next_u32()) / f64::from(u32::MAX)
    }

    fn next(&mut self, index: usize) -> Option<u64> {
        let (lost, late) = (self.uniform() < self.loss, self.uniform() * self.jitter_us);
        (index < SPARED || !lost).then_some(late as u64)
    }
}

fn main() -> std::io::Result<()> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let sound: Vec<i16> = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let packets: Vec<Vec<u8>> = sound
        .chunks_exact(PACKET)
        .map(|packet| packet.iter().map(|s| g711::encode_ulaw(*s)).collect())
        .collect();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let seed = number(3) as u64;
    let mut network = Network {
        rng: ChaCha20Rng::seed_from_u64(seed),
        loss: number(1) / 100.0,
        jitter_us: number(2) * 1000.0,
    };
    let arrivals: Vec<Option<u64>> = (0..packets.len()).map(|index| network.next(index)).collect();
    let heard = match arguments.first().map(String::as_str) {
        Some("ours") => ours(&packets, &arrivals),
        Some("repeat") => in_place(&packets, &arrivals, true),
        Some("silence") => in_place(&packets, &arrivals, false),
        _ => return Err(std::io::Error::other("conceal ours|repeat|silence LOSS_PERCENT JITTER_MS SEED")),
    };
    let bytes: Vec<u8> = heard.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::io::stdout().write_all(&bytes)
}

/// The jitter buffer under test, ticks of 20 ms.
fn ours(packets: &[Vec<u8>], arrivals: &[Option<u64>]) -> Vec<i16> {
    let mut buffer = JitterBuffer::new(JitterConfig::narrow(8000, 8000));
    let mut on_the_way: Vec<(u64, usize)> = arrivals
        .iter()
        .enumerate()
        .filter_map(|(index, late)| Some((index as u64 * PACKET_US + (*late)?, index)))
        .collect();
    on_the_way.sort_unstable();
    let (mut heard, mut next) = (Vec::new(), 0);
    for tick in 0..packets.len() as u64 {
        let now = tick * PACKET_US + PHASE_US;
        while let Some(&(at, index)) = on_the_way.get(next).filter(|(at, _)| *at <= now) {
            next += 1;
            let packet = Packet {
                stream: 1,
                sequence: 70_000 + index as u64,
                timestamp: (index * PACKET) as u32,
                marker: index == 0,
                payload_type: 0,
                payload: &packets[index],
            };
            buffer.insert(Time(at * 1000), &packet);
        }
        let mut out = [0; PACKET];
        buffer.play(Time(now * 1000), &mut Ulaw, &mut out);
        heard.extend_from_slice(&out);
    }
    eprintln!("{:?}", buffer.figures());
    heard
}

/// Every packet in its place, and in the gaps silence, or the last packet again, fading linearly to silence in 60 ms.
fn in_place(packets: &[Vec<u8>], arrivals: &[Option<u64>], repeat: bool) -> Vec<i16> {
    const FADE: usize = 3 * PACKET;
    let (mut heard, mut last, mut missing) = (Vec::new(), vec![0; PACKET], 0);
    for (packet, arrival) in packets.iter().zip(arrivals) {
        if arrival.is_some() {
            last = packet.iter().map(|octet| g711::decode_ulaw(*octet)).collect();
            missing = 0;
            heard.extend_from_slice(&last);
            continue;
        }
        for sample in &last {
            let gain = if repeat { FADE.saturating_sub(missing) } else { 0 };
            heard.push((i32::from(*sample) * gain as i32 / FADE as i32) as i16);
            missing += 1;
        }
    }
    heard
}
