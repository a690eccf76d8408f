//! Two voices in virtual time, with a line between them that delays, loses and reorders by the lots of a seed.

use super::*;
use crate::phone::{Codec, EventFormat, Stream, Tones};
use media::codec::opus;
use media::dsp::SampleRate;
use media::source::{Oscillator, amplitude};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sip_stack::Time;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const FRAME_MS: u32 = 10;
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 4_000);
const THERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), 4_000);

fn stream(codec: Codec, remote: SocketAddr) -> Stream {
    let number = |codec| match codec {
        Codec::Opus => 111,
        Codec::G722 => 9,
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
    };
    let events = EventFormat { payload_type: 101, clock_rate: 8_000 };
    Stream {
        remote: Some(remote),
        remote_rtcp: Some(SocketAddr::new(remote.ip(), remote.port() + 1)),
        codec,
        payload_type: number(codec),
        telephone_event: Some(events),
        receives: Codec::ALL.map(|codec| (number(codec), codec)).to_vec(),
        receives_telephone_events: vec![events],
        ptime_ms: 20,
        send: true,
        receive: true,
        held: false,
    }
}

/// A voice, what it says, and what it heard.
struct Side {
    voice: Voice,
    address: SocketAddr,
    tone: Oscillator,
    peak: f32,
    heard: Vec<i16>,
    keys: String,
    /// Sequence number, timestamp, marker and payload type of what it sent.
    sent: Vec<(u16, u32, bool, u8)>,
}

struct Line {
    now: Time,
    rate: SampleRate,
    sides: [Side; 2],
    loss_percent: u64,
    jitter_ms: u64,
    random: ChaCha20Rng,
    flying: BTreeMap<(Time, u64), (usize, Port, Vec<u8>)>,
    count: u64,
}

impl Line {
    fn new(codec: Codec, rate: SampleRate) -> Line {
        let side = |seed, address, hertz| Side {
            voice: Voice::new(
                Time(0),
                VoiceConfig { rate, opus: opus::Settings::default(), server: HERE.ip(), seed },
            ),
            address,
            tone: Oscillator::new(hertz, rate.hertz()),
            peak: amplitude(-10.0),
            heard: Vec::new(),
            keys: String::new(),
            sent: Vec::new(),
        };
        let mut line = Line {
            now: Time(0),
            rate,
            sides: [side(1, HERE, 440.0), side(2, THERE, 1_000.0)],
            loss_percent: 0,
            jitter_ms: 0,
            random: ChaCha20Rng::from_seed([7; 32]),
            flying: BTreeMap::new(),
            count: 0,
        };
        line.agree(codec);
        line
    }

    fn agree(&mut self, codec: Codec) {
        self.sides[0].voice.configure(&stream(codec, THERE)).unwrap();
        self.sides[1].voice.configure(&stream(codec, HERE)).unwrap();
    }

    fn run(&mut self, ms: u32) {
        for _ in 0..ms / FRAME_MS {
            self.tick();
        }
    }

    fn tick(&mut self) {
        let mut sent = Vec::new();
        for (at, side) in self.sides.iter_mut().enumerate() {
            let mut frame: Vec<i16> =
                (0..self.rate.samples(FRAME_MS)).map(|_| (side.tone.sample() * side.peak) as i16).collect();
            let log = &mut side.sent;
            side.voice.capture(self.now, &mut frame, |_, packet| {
                let header = media::rtp::Header::parse(packet).unwrap();
                log.push((header.sequence(), header.timestamp(), header.marker(), header.payload_type()));
                sent.push((1 - at, Port::Rtp, packet.to_vec()));
            });
            while side.voice.poll_timeout().is_some_and(|due| due <= self.now) {
                side.voice
                    .handle_timeout(self.now, |_, report| sent.push((1 - at, Port::Rtcp, report.to_vec())));
            }
            side.voice.play(self.now, &mut frame);
            side.heard.extend(frame);
            side.keys.extend(std::iter::from_fn(|| side.voice.poll_key()));
        }
        for (to, port, packet) in sent {
            if self.random.next_u64() % 100 >= self.loss_percent {
                let delay = Duration::from_millis(5 + self.random.next_u64() % (self.jitter_ms + 1));
                self.count += 1;
                self.flying.insert((self.now + delay, self.count), (to, port, packet));
            }
        }
        self.now = self.now + Duration::from_millis(FRAME_MS.into());
        while let Some(first) = self.flying.first_entry().filter(|first| first.key().0 <= self.now) {
            let ((at, _), (to, port, packet)) = first.remove_entry();
            let mut from = self.sides[1 - to].address;
            if port == Port::Rtcp {
                from.set_port(from.port() + 1);
            }
            self.sides[to].voice.handle_datagram(at, port, from, &packet);
        }
    }

    /// The level of a tone in what a side heard last, in dB below all of it together, and that of all in dBm0.
    fn heard(&self, side: usize, hertz: f64, ms: u32) -> (f64, f64) {
        let heard = &self.sides[side].heard;
        let samples = &heard[heard.len() - self.rate.samples(ms)..];
        let step = std::f64::consts::TAU * hertz / f64::from(self.rate.hertz());
        let (mut sine, mut cosine, mut power) = (0.0, 0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let sample = f64::from(*sample);
            sine += sample * (step * n as f64).sin();
            cosine += sample * (step * n as f64).cos();
            power += sample * sample;
        }
        let count = samples.len() as f64;
        let tone = 2.0 * (sine * sine + cosine * cosine) / (count * count);
        let all = power / count;
        let reference = f64::from(amplitude(0.0)).powi(2) / 2.0;
        (10.0 * (tone / all).log10(), 10.0 * (all / reference).log10())
    }
}

#[test]
fn each_side_hears_the_other_in_every_codec_at_every_rate() {
    for codec in Codec::ALL {
        for rate in [SampleRate::Hz8000, SampleRate::Hz16000, SampleRate::Hz48000] {
            let mut line = Line::new(codec, rate);
            line.run(1_500);
            for (side, hertz) in [(0, 1_000.0), (1, 440.0)] {
                let (tone, level) = line.heard(side, hertz, 1_000);
                assert!(tone > -0.3, "{codec:?} at {rate:?}: the tone is {tone:.2} dB of it");
                assert!((level + 10.0).abs() < 1.0, "{codec:?} at {rate:?}: {level:.2} dBm0");
            }
        }
    }
}

#[test]
fn loss_and_jitter_are_bridged() {
    for codec in Codec::ALL {
        let mut line = Line::new(codec, SampleRate::Hz16000);
        (line.loss_percent, line.jitter_ms) = (3, 30);
        line.run(5_000);
        let (tone, level) = line.heard(0, 1_000.0, 3_000);
        assert!(tone > -3.0 && (level + 10.0).abs() < 2.0, "{codec:?}: {tone:.2} dB, {level:.2} dBm0");
        let figures = line.sides[0].voice.figures();
        assert!(figures.jitter.concealed > 0 && figures.dropped == 0, "{codec:?}: {figures:?}");
    }
}

#[test]
fn the_peer_may_change_to_another_codec_of_the_agreement() {
    let mut line = Line::new(Codec::Opus, SampleRate::Hz16000);
    line.run(500);
    assert_eq!(line.sides[0].voice.figures().hearing, Some(Codec::Opus));
    line.sides[1].voice.configure(&stream(Codec::Pcma, HERE)).unwrap();
    line.run(1_500);
    assert_eq!(line.sides[0].voice.figures().hearing, Some(Codec::Pcma));
    assert!(line.heard(0, 1_000.0, 1_000).0 > -0.3);
}

#[test]
fn on_hold_time_passes_and_no_number_is_used() {
    let mut line = Line::new(Codec::Pcmu, SampleRate::Hz8000);
    line.run(200);
    let held = Stream { send: false, receive: false, ..stream(Codec::Pcmu, THERE) };
    line.sides[0].voice.configure(&held).unwrap();
    line.run(1_000);
    assert!(line.sides[0].heard[line.sides[0].heard.len() - 800..].iter().all(|sample| *sample == 0));
    line.agree(Codec::Pcmu);
    line.run(200);
    let sent = &line.sides[0].sent;
    let after = sent.iter().skip(1).position(|(_, _, marker, _)| *marker).unwrap() + 1;
    assert_eq!(sent[after].0, sent[after - 1].0.wrapping_add(1));
    assert_eq!(sent[after].1.wrapping_sub(sent[after - 1].1), 8 * 1_020, "a second and a packet");
    line.run(1_000);
    assert_eq!(line.sides[1].voice.figures().jitter.lost, 0, "a pause is not loss");
}

#[test]
fn a_muted_side_sends_silence() {
    let mut line = Line::new(Codec::Pcmu, SampleRate::Hz8000);
    line.sides[0].voice.mute(true);
    line.run(1_000);
    assert!(line.sides[0].sent.len() >= 49);
    assert!(line.sides[1].heard.iter().all(|sample| sample.abs() < 16));
    assert!(line.heard(0, 1_000.0, 500).0 > -0.3, "it hears all the same");
}

#[test]
fn keys_are_heard_as_events_and_as_tones() {
    for codec in [Codec::Pcmu, Codec::Opus] {
        let mut line = Line::new(codec, SampleRate::Hz8000);
        line.run(200);
        line.sides[0].voice.dial("159#A", Tones::Events).unwrap();
        line.run(3_000);
        assert_eq!(line.sides[1].keys, "159#A", "{codec:?}");
        let plain = |remote| Stream {
            telephone_event: None,
            receives_telephone_events: Vec::new(),
            ..stream(codec, remote)
        };
        line.sides[0].voice.configure(&plain(THERE)).unwrap();
        line.sides[1].voice.configure(&plain(HERE)).unwrap();
        line.run(200);
        line.sides[0].voice.dial("0*7", Tones::InBand).unwrap();
        line.run(2_000);
        assert_eq!(line.sides[1].keys, "159#A0*7", "{codec:?}");
    }
}

#[test]
fn events_that_get_lost_in_part_are_heard_once() {
    let mut line = Line::new(Codec::Pcma, SampleRate::Hz8000);
    (line.loss_percent, line.jitter_ms) = (20, 40);
    line.run(200);
    line.sides[0].voice.dial("1123", Tones::Events).unwrap();
    line.run(3_000);
    assert_eq!(line.sides[1].keys, "1123");
}

#[test]
fn more_keys_than_may_wait_are_refused() {
    let mut line = Line::new(Codec::Pcma, SampleRate::Hz8000);
    assert!(line.sides[0].voice.dial(&"1".repeat(33), Tones::Events).is_err());
}

#[test]
fn strangers_are_not_heard() {
    let mut line = Line::new(Codec::Pcmu, SampleRate::Hz8000);
    line.run(100);
    let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9];
    packet.extend([0x10; 160]);
    let before = line.sides[0].voice.figures();
    line.sides[0].voice.handle_datagram(line.now, Port::Rtp, ([203, 0, 113, 1], 9).into(), &packet);
    let after = line.sides[0].voice.figures();
    assert_eq!((after.packets_in, after.dropped), (before.packets_in, before.dropped + 1));
}

#[test]
fn reports_go_both_ways_and_tell_the_round_trip() {
    let mut line = Line::new(Codec::Opus, SampleRate::Hz16000);
    line.run(30_000);
    let rtcp = line.sides[0].voice.figures().rtcp.unwrap();
    assert!(rtcp.reports_in >= 3 && rtcp.reports_out >= 3, "{rtcp:?}");
    let round_trip = rtcp.round_trip.unwrap();
    assert!(
        round_trip >= Duration::from_millis(10) && round_trip <= Duration::from_millis(40),
        "{round_trip:?}"
    );
    assert_eq!(rtcp.remote.unwrap().fraction_lost, 0);
    let mut goodbyes = 0;
    line.sides[0].voice.close(line.now, |to, _| {
        assert_eq!(to.port(), THERE.port() + 1);
        goodbyes += 1;
    });
    assert_eq!(goodbyes, 1);
}
