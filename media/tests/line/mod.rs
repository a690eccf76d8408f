//! A line into a jitter buffer in virtual time: packets that come when a trace says, and a tick every so often.

#![allow(dead_code, reason = "each test file uses its part of it")]

use media::Time;
use media::codec::g711;
use media::jitter::{
    Decode, Inserted, JitterBuffer, JitterConfig, JitterFigures, Packet, PayloadKind, Played,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// Payload type of comfort noise (RFC 3551 §6).
pub(crate) const CN: u8 = 13;
/// A payload type no decoder here knows.
pub(crate) const UNKNOWN: u8 = 77;

/// µ-law at 8 kHz, with comfort noise of one constant value.
#[derive(Clone, Default)]
pub(crate) struct Ulaw {
    pub(crate) noise: Option<i16>,
}

impl Decode for Ulaw {
    fn kind(&self, payload_type: u8, payload: &[u8]) -> PayloadKind {
        match payload_type {
            0 if !payload.is_empty() => PayloadKind::Audio(payload.len()),
            CN => PayloadKind::Noise,
            _ => PayloadKind::Nothing,
        }
    }

    fn decode(&mut self, _payload_type: u8, payload: &[u8], out: &mut [i16]) -> usize {
        out.iter_mut().zip(payload).map(|(sample, octet)| *sample = g711::decode_ulaw(*octet)).count()
    }

    fn describe_noise(&mut self, _payload_type: u8, payload: &[u8]) {
        self.noise = payload.first().map(|level| i16::from(*level));
    }

    fn noise(&mut self, out: &mut [i16]) -> bool {
        out.fill(self.noise.unwrap_or(0));
        self.noise.is_some()
    }
}

/// 16-bit samples as they are, at any rate.
#[derive(Clone, Default)]
pub(crate) struct Linear;

impl Decode for Linear {
    fn kind(&self, _payload_type: u8, payload: &[u8]) -> PayloadKind {
        if payload.len() < 2 { PayloadKind::Nothing } else { PayloadKind::Audio(payload.len() / 2) }
    }

    fn decode(&mut self, _payload_type: u8, payload: &[u8], out: &mut [i16]) -> usize {
        let samples = payload.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]));
        out.iter_mut().zip(samples).map(|(out, sample)| *out = sample).count()
    }
}

/// A packet and when it comes.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) at_us: u64,
    pub(crate) stream: u32,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) payload: Vec<u8>,
}

impl Arrival {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet {
            stream: self.stream,
            sequence: self.sequence,
            timestamp: self.timestamp,
            marker: self.marker,
            payload_type: self.payload_type,
            payload: &self.payload,
        }
    }
}

/// Packets of 20 ms of µ-law that all come at once, cut from `sound`, one after another from time zero on.
pub(crate) fn regular(sound: &[i16]) -> Vec<Arrival> {
    let packets = sound.chunks_exact(160).enumerate();
    let payload = |samples: &[i16]| samples.iter().map(|sample| g711::encode_ulaw(*sample)).collect();
    packets
        .map(|(index, samples)| Arrival {
            at_us: index as u64 * 20_000,
            stream: 1,
            sequence: 70_000 + index as u64,
            timestamp: (index as u32).wrapping_mul(160).wrapping_add(u32::MAX - 8000),
            marker: index == 0,
            payload_type: 0,
            payload: payload(samples),
        })
        .collect()
}

/// What µ-law leaves of a sound.
pub(crate) fn heard_undisturbed(sound: &[i16]) -> Vec<i16> {
    sound.iter().map(|sample| g711::decode_ulaw(g711::encode_ulaw(*sample))).collect()
}

/// Something like a voice: a hundred and some pulses a second through a resonance, in spurts of 0.7 s with 0.3 s of faint
/// noise between them.
pub(crate) fn voice(seconds: usize, seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let (mut one, mut two, mut phase) = (0.0f64, 0.0f64, 0.0f64);
    (0..seconds * 8000)
        .map(|index| {
            let speaks = index % 8000 < 5600;
            let pitch = 120.0 + 20.0 * (index as f64 / 3000.0).sin();
            phase += pitch / 8000.0;
            let pulse = if phase >= 1.0 && speaks { 3000.0 } else { 0.0 };
            phase %= 1.0;
            let value = pulse + 60.0 * (random.uniform() - 0.5) + 1.6 * one - 0.85 * two;
            (two, one) = (one, value);
            value as i16
        })
        .collect()
}

/// A sine of 200 Hz, amplitude 8000.
pub(crate) fn tone(seconds: usize) -> Vec<i16> {
    let wave = |index: usize| (std::f64::consts::TAU * 200.0 * index as f64 / 8000.0).sin() * 8000.0;
    (0..seconds * 8000).map(|index| wave(index) as i16).collect()
}

/// Seeded randomness.
pub(crate) struct Random(ChaCha20Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// Zero to one.
    pub(crate) fn uniform(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }
}

/// A jitter buffer, its decoder and its ticks.
pub(crate) struct Line<D> {
    pub(crate) buffer: JitterBuffer,
    pub(crate) decoder: D,
    /// Samples per tick.
    pub(crate) tick: usize,
    pub(crate) rate: usize,
    pub(crate) now_us: u64,
    pub(crate) out: Vec<i16>,
    pub(crate) played: Vec<Played>,
    pub(crate) inserted: Vec<Inserted>,
    /// `delay_us` and `target_us` after each tick.
    pub(crate) delays: Vec<(u32, u32)>,
}

impl Line<Ulaw> {
    /// Ticks of 20 ms, the first at `phase_us`.
    pub(crate) fn narrow(phase_us: u64) -> Self {
        Self::new(JitterConfig::narrow(8000, 8000), Ulaw::default(), 160, phase_us)
    }
}

impl<D: Decode> Line<D> {
    pub(crate) fn new(config: JitterConfig, decoder: D, tick: usize, phase_us: u64) -> Self {
        Self {
            buffer: JitterBuffer::new(config),
            decoder,
            tick,
            rate: config.sample_rate as usize,
            now_us: phase_us,
            out: Vec::new(),
            played: Vec::new(),
            inserted: Vec::new(),
            delays: Vec::new(),
        }
    }

    /// Lets the packets come, ordered by time here, and ticks until `until_us`, on time.
    pub(crate) fn run(&mut self, arrivals: &[Arrival], until_us: u64) -> &mut Self {
        self.run_unsteadily(arrivals, until_us, || 0)
    }

    /// The same with each tick later than it should be by so many microseconds.
    pub(crate) fn run_unsteadily(
        &mut self,
        arrivals: &[Arrival],
        until_us: u64,
        mut lateness_us: impl FnMut() -> u64,
    ) -> &mut Self {
        let mut order: Vec<&Arrival> = arrivals.iter().collect();
        order.sort_by_key(|arrival| arrival.at_us);
        let mut order = order.into_iter().peekable();
        while self.now_us < until_us {
            let late_us = lateness_us();
            let now_us = self.now_us + late_us;
            while let Some(arrival) = order.next_if(|arrival| arrival.at_us <= now_us) {
                self.inserted.push(self.buffer.insert(Time(arrival.at_us * 1000), &arrival.packet()));
            }
            self.tick_late(late_us);
        }
        self
    }

    pub(crate) fn tick(&mut self) {
        self.tick_late(0);
    }

    fn tick_late(&mut self, late_us: u64) {
        let mut out = vec![0; self.tick];
        let played = self.buffer.play(Time((self.now_us + late_us) * 1000), &mut self.decoder, &mut out);
        self.out.extend(out);
        self.played.push(played);
        let figures = self.buffer.figures();
        self.delays.push((figures.delay_us, figures.target_us));
        self.now_us += (self.tick * 1_000_000 / self.rate) as u64;
    }

    pub(crate) fn figures(&self) -> JitterFigures {
        self.buffer.figures()
    }

    /// Samples that ticks made up, whatever they turned out to be.
    pub(crate) fn made_up(&self) -> u32 {
        self.played.iter().map(|played| played.concealed).sum()
    }

    /// The largest step from one sample to the next, from `skip` samples on.
    pub(crate) fn largest_step(&self, skip: usize) -> i32 {
        let steps = self.out[skip..].windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
        steps.max().unwrap_or(0)
    }
}
