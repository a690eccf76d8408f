//! What the phone does to speech, in virtual time: raw samples in, raw samples out, to be judged by PESQ.
//!
//!     phone_quality call CODEC RATE PPM PARTS [JITTER_MS LOSS_PERCENT] < said.raw > heard.raw
//!     phone_quality echo RATE PARTS ROOM.raw FAR.raw NEAR.raw > sent.raw
//!     phone_quality decode < in.g722 > out.raw
//!
//! `call` is two whole phones but for signalling: a sound card with periods of 10 ms whose clock is PPM parts per million fast,
//! its rings and resampler, processing, codec (Opus with 32 kbit/s), RTP, jitter buffer, and a sound card again; no switch is in
//! between, because a relayed call passes it octet by octet. `echo` is one of them in a room: the loudspeaker plays FAR, the
//! microphone hears it through the impulse response ROOM, and NEAR besides; what comes out is what would be encoded.
//! PARTS are those of the processing: any of `echo`, `noise`, `gain` with `+` between, or `off`. Samples are of 16 bits,
//! little-endian, mono, at RATE; those of ROOM are floats of 32 bits at RATE.

use media::codec::opus;
use media::dsp::SampleRate;
use sip_stack::Time;
use softphone::audio::{Audio, LinkedAudio, Processed, Processing, VirtualDevice, link};
use softphone::phone::{Codec, Stream};
use softphone::voice::{Port, Voice, VoiceConfig};
use std::collections::{BTreeMap, VecDeque};
use std::io::{Error, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const FRAME_NS: u64 = 10_000_000;
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4_000);
const THERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 4_000);
/// The way of a packet that nothing delays.
const WAY_NS: u64 = 3_000_000;
/// Said and heard on after the speech: more than any delay.
const AFTER_MS: usize = 500;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let heard = match words.as_slice() {
        ["call", codec, rate, ppm, parts, network @ ..] => {
            let jitter = network.first().map_or(Ok(0), |text| number(text))?;
            let loss = network.get(1).map_or(Ok(0), |text| number(text))?;
            let network = Network { jitter_ns: jitter * 1_000_000, loss_percent: loss, lot: 1 };
            let ppm = ppm.parse().map_err(Error::other)?;
            call(&samples(&said()?), codec_of(codec)?, rate_of(rate)?, ppm, parts_of(parts)?, network)
        }
        ["echo", rate, parts, room, far, near] => {
            let room = std::fs::read(room)?;
            let room =
                room.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]));
            let (far, near) = (samples(&std::fs::read(far)?), samples(&std::fs::read(near)?));
            echo(rate_of(rate)?, parts_of(parts)?, &room.collect::<Vec<_>>(), &far, &near)
        }
        ["decode"] => decode(&said()?)?,
        _ => return Err(Error::other("phone_quality call|echo|decode: see its first lines")),
    };
    let bytes: Vec<u8> = heard.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::io::stdout().write_all(&bytes)
}

fn said() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn number(text: &str) -> Result<u64, Error> {
    text.parse().map_err(Error::other)
}

fn codec_of(name: &str) -> Result<Codec, Error> {
    Codec::from_name(name).ok_or_else(|| Error::other("CODEC: opus, g722, pcmu or pcma"))
}

fn rate_of(hertz: &str) -> Result<SampleRate, Error> {
    let hertz: u32 = hertz.parse().map_err(Error::other)?;
    SampleRate::from_hertz(hertz).ok_or_else(|| Error::other("RATE: 8000, 16000 or 48000"))
}

fn parts_of(names: &str) -> Result<Processing, Error> {
    let mut parts = Processing::OFF;
    for name in names.split('+') {
        match name {
            "off" => {}
            "echo" => parts.echo = true,
            "noise" => parts.noise = true,
            "gain" => parts.gain = true,
            _ => return Err(Error::other("PARTS: off, or echo+noise+gain")),
        }
    }
    Ok(parts)
}

fn decode(octets: &[u8]) -> Result<Vec<i16>, Error> {
    let mut decoder = media::codec::Decoder::new(media::codec::Codec::G722).map_err(Error::other)?;
    let (mut heard, mut samples) = (Vec::new(), [0; 320]);
    for packet in octets.chunks(160) {
        let count = decoder.decode(packet, &mut samples).map_err(Error::other)?;
        heard.extend_from_slice(samples.get(..count).unwrap_or_default());
    }
    Ok(heard)
}

/// What the network does to packets.
struct Network {
    jitter_ns: u64,
    loss_percent: u64,
    lot: u64,
}

impl Network {
    /// How long the next packet takes, unless it is lost.
    fn draw(&mut self) -> Option<u64> {
        let mut lot = || {
            self.lot =
                self.lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.lot >> 33
        };
        let (late, lost) = (lot() % (self.jitter_ns + 1), lot() % 100);
        (lost >= self.loss_percent).then_some(WAY_NS + late)
    }
}

/// A phone: its card, and what is between card and network.
struct Party {
    device: VirtualDevice,
    audio: Processed<LinkedAudio>,
    voice: Voice,
    /// What the microphone hears, and what the speaker has played.
    mouth: VecDeque<i16>,
    ear: Vec<i16>,
    frame: Vec<i16>,
}

impl Party {
    fn new(codec: Codec, rate: SampleRate, ppm: i32, parts: Processing, seed: u64) -> Party {
        let (microphone, speaker, audio) = link(rate);
        let frame = rate.samples(10);
        let begun = Time(seed * 1_700_000);
        let settings = opus::Settings { bitrate: 32_000, ..opus::Settings::default() };
        let config = VoiceConfig { rate, opus: settings, server: HERE.ip(), seed };
        let mut voice = Voice::new(Time(0), config);
        let remote = if seed == 1 { THERE } else { HERE };
        voice.configure(&stream(codec, remote)).expect("settings that the codecs take");
        Party {
            device: VirtualDevice::new(begun, (microphone, speaker), rate, frame, ppm),
            audio: Processed::new(audio, parts),
            voice,
            mouth: VecDeque::new(),
            ear: Vec::new(),
            frame: vec![0; frame],
        }
    }

    /// The tick of the engine; gives what is to be sent.
    fn tick(&mut self, now: Time) -> Option<Vec<u8>> {
        let Party { device, audio, voice, mouth, ear, frame } = self;
        device.handle_timeout(now, |played, heard| {
            ear.extend_from_slice(played);
            heard.iter_mut().for_each(|sample| *sample = mouth.pop_front().unwrap_or(0));
        });
        let mut packet = None;
        audio.record(now, frame);
        voice.capture(now, frame, |_, bytes| packet = Some(bytes.to_vec()));
        voice.play(now, frame);
        audio.play(now, frame);
        packet
    }
}

fn stream(codec: Codec, remote: SocketAddr) -> Stream {
    let payload_type = match codec {
        Codec::Opus => 111,
        Codec::G722 => 9,
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
    };
    Stream {
        remote: Some(remote),
        remote_rtcp: None,
        codec,
        payload_type,
        telephone_event: None,
        receives: vec![(payload_type, codec)],
        receives_telephone_events: Vec::new(),
        ptime_ms: 20,
        send: true,
        receive: true,
        held: false,
    }
}

/// One phone says `said`; what the speaker of the other plays.
fn call(
    said: &[i16],
    codec: Codec,
    rate: SampleRate,
    ppm: i32,
    parts: Processing,
    network: Network,
) -> Vec<i16> {
    let mut network = network;
    let mut parties = [Party::new(codec, rate, ppm, parts, 1), Party::new(codec, rate, -ppm, parts, 2)];
    parties[0].mouth.extend(said);
    let ticks = (said.len() + rate.samples(1) * AFTER_MS) / rate.samples(10);
    let mut flying: BTreeMap<(u64, usize), (usize, Vec<u8>)> = BTreeMap::new();
    for tick in 1..=ticks {
        let now = tick as u64 * FRAME_NS;
        while let Some(first) = flying.first_entry().filter(|first| first.key().0 <= now) {
            let ((at, _), (to, packet)) = first.remove_entry();
            let from = if to == 0 { THERE } else { HERE };
            parties[to].voice.handle_datagram(Time(at), Port::Rtp, from, &packet);
        }
        for (at, party) in parties.iter_mut().enumerate() {
            if let (Some(packet), Some(way)) = (party.tick(Time(now)), network.draw()) {
                flying.insert((now + way, 2 * tick + at), (1 - at, packet));
            }
        }
    }
    for (name, party) in ["speaks", "hears"].iter().zip(&parties) {
        let jitter = party.voice.figures().jitter;
        eprintln!("{name}: lost {} concealed {} delay {} us", jitter.lost, jitter.concealed, jitter.delay_us);
    }
    std::mem::take(&mut parties[1].ear)
}

/// What a microphone in a room hears, as it would be encoded.
fn echo(rate: SampleRate, parts: Processing, room: &[f32], far: &[i16], near: &[i16]) -> Vec<i16> {
    let (microphone, speaker, linked) = link(rate);
    let mut device = VirtualDevice::new(Time(1_700_000), (microphone, speaker), rate, rate.samples(10), 0);
    let mut audio = Processed::new(linked, parts);
    let mut frame = vec![0; rate.samples(10)];
    let mut played = VecDeque::from(vec![0_f32; room.len()]);
    let (mut spoken, mut said) = (near.iter(), far.iter());
    let mut sent = Vec::new();
    for tick in 1..=far.len().max(near.len()).div_ceil(frame.len()) {
        let now = Time(tick as u64 * FRAME_NS);
        device.handle_timeout(now, |speaker, microphone| {
            for (out, heard) in speaker.iter().zip(microphone) {
                played.pop_back();
                played.push_front(f32::from(*out));
                let echo: f32 = played.iter().zip(room).map(|(sample, tap)| sample * tap).sum();
                let near = f32::from(spoken.next().copied().unwrap_or(0));
                *heard = (echo + near).clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16;
            }
        });
        frame.iter_mut().for_each(|sample| *sample = said.next().copied().unwrap_or(0));
        audio.play(now, &frame);
        audio.record(now, &mut frame);
        sent.extend_from_slice(&frame);
    }
    sent
}
