//! The sound of a call without a common codec: what the switch tells the shard is told a real one, and two parties speak
//! through it in virtual time, each in its own codec.

use crate::stage::{CALLEE, Stage, sdp};
use core::f32::consts::TAU;
use core::time::Duration;
use media::codec::{Channels, Codec, Decoder, Encoder, opus};
use media::dsp::SampleRate;
use media::rtp::Header;
use media::{Command, LegId, Output, Shard, ShardConfig, Time};
use sip_stack::message::Method;
use std::net::SocketAddr;

/// Where the two listen, as their descriptions say.
const PORTS: [u16; 2] = [4000, 4002];
const HERTZ: f32 = 600.0;
/// A peak of a quarter: far from clipping.
const PEAK: f32 = 8_192.0;

/// How a party speaks.
#[derive(Clone, Copy, Debug)]
struct Voice {
    codec: Codec,
    payload_type: u8,
    ptime_ms: u32,
}

const G722: Voice = Voice { codec: Codec::G722, payload_type: 9, ptime_ms: 20 };
const PCMU: Voice = Voice { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
const PCMA: Voice = Voice { codec: Codec::Pcma, payload_type: 8, ptime_ms: 30 };
const OPUS: Voice =
    Voice { codec: Codec::Opus { rate: SampleRate::Hz48000 }, payload_type: 107, ptime_ms: 20 };
const L16: Voice = Voice {
    codec: Codec::L16 { rate: SampleRate::Hz16000, channels: Channels::Mono },
    payload_type: 98,
    ptime_ms: 10,
};

impl Voice {
    fn media(&self, side: usize) -> String {
        let Voice { codec, payload_type, ptime_ms } = *self;
        let channels = if matches!(codec, Codec::Opus { .. }) { "/2" } else { "" };
        format!(
            "m=audio {} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} {}/{}{channels}\r\na=ptime:{ptime_ms}\r\n",
            PORTS[side],
            codec.encoding_name(),
            codec.clock_rate(),
        )
    }
}

/// A packet as it arrived at a party.
#[derive(Clone, Debug)]
struct Heard {
    at_ms: f32,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    payload_type: u8,
    samples: Vec<i16>,
}

/// One of the two.
struct Party {
    leg: LegId,
    voice: Voice,
    encoder: Encoder,
    decoder: Decoder,
    sent: u32,
    heard: Vec<Heard>,
    address: SocketAddr,
}

impl Party {
    fn new(leg: LegId, voice: Voice, side: usize) -> Party {
        Party {
            leg,
            voice,
            encoder: Encoder::new(voice.codec, opus::Settings::default()).expect("a good codec"),
            decoder: Decoder::new(voice.codec).expect("a good codec"),
            sent: 0,
            heard: Vec::new(),
            address: SocketAddr::from(([127, 0, 0, 1], PORTS[side])),
        }
    }

    /// The next packet, of a tone where `tone` says so by the millisecond.
    fn speak(&mut self, tone: impl Fn(f32) -> bool) -> Vec<u8> {
        let Voice { codec, payload_type, ptime_ms } = self.voice;
        let rate = codec.sample_rate().hertz() as f32;
        let count = codec.sample_rate().samples(ptime_ms);
        let first = self.sent as usize * count;
        let sample = |at: usize| {
            let seconds = (first + at) as f32 / rate;
            if tone(seconds * 1_000.0) { (PEAK * (TAU * HERTZ * seconds).sin()) as i16 } else { 0 }
        };
        let samples: Vec<i16> = (0..count).map(sample).collect();
        let mut payload = vec![0; 4_000];
        let octets = self.encoder.encode(&samples, &mut payload).expect("a whole packet");
        let mut packet = vec![0x80, payload_type];
        packet.extend((self.sent as u16).to_be_bytes());
        packet.extend((self.sent * codec.clock_ticks(count)).to_be_bytes());
        packet.extend((0xabc0_0000 + self.leg.0 as u32).to_be_bytes());
        packet.extend(&payload[..octets]);
        self.sent += 1;
        packet
    }

    fn hear(&mut self, at_ms: f32, packet: &[u8]) {
        let header = Header::parse(packet).expect("what leaves is RTP");
        let mut samples = vec![0; 5_760];
        let count = self.decoder.decode(&packet[header.payload()], &mut samples).unwrap_or(0);
        samples.truncate(count);
        self.heard.push(Heard {
            at_ms,
            ssrc: header.ssrc().0,
            sequence: header.sequence(),
            timestamp: header.timestamp(),
            payload_type: header.payload_type(),
            samples,
        });
    }

    fn samples(&self) -> Vec<i16> {
        self.heard.iter().flat_map(|heard| heard.samples.iter().copied()).collect()
    }

    fn rate(&self) -> f32 {
        self.voice.codec.sample_rate().hertz() as f32
    }

    /// When the tone began to be heard, if a packet is heard from the moment it arrives.
    fn onset_ms(&self) -> f32 {
        for heard in &self.heard {
            if let Some(at) = heard.samples.iter().position(|sample| sample.unsigned_abs() > 2_000) {
                return heard.at_ms + at as f32 * 1_000.0 / self.rate();
            }
        }
        panic!("{:?} heard nothing", self.voice)
    }

    /// The loudness of the tone in the middle of it, in dB above what was said; and how far all the rest is below it.
    fn level_db(&self) -> (f32, f32) {
        let samples = self.samples();
        let begin = samples.iter().position(|sample| sample.unsigned_abs() > 2_000).expect("a tone");
        let part = &samples[begin + (self.rate() * 0.15) as usize..][..(self.rate() * 0.2) as usize];
        let (mut real, mut imaginary, mut power) = (0.0, 0.0, 0.0);
        for (at, sample) in part.iter().enumerate() {
            let (phase, value) = (TAU * HERTZ * at as f32 / self.rate(), f32::from(*sample));
            real += value * phase.cos();
            imaginary += value * phase.sin();
            power += value * value;
        }
        let count = part.len() as f32;
        let peak = 2.0 * real.hypot(imaginary) / count;
        let rest = (power / count - peak * peak / 2.0).max(1.0);
        (20.0 * (peak / PEAK).log10(), 10.0 * (peak * peak / 2.0 / rest).log10())
    }
}

/// A real shard between the two.
struct Wire {
    shard: Shard,
    now_ms: u32,
    obeyed: usize,
    parties: [Party; 2],
}

impl Wire {
    /// What the switch has told so far is done, and the two are there.
    fn lay(stage: &Stage, voices: [Voice; 2]) -> Wire {
        let legs = stage.told.iter().find_map(|command| match command {
            Command::Open { legs } => Some(legs.clone()),
            _ => None,
        });
        let [caller, callee] = &legs.expect("a call opens its legs")[..] else { panic!("two legs") };
        let parties = [Party::new(caller.0, voices[0], 0), Party::new(callee.0, voices[1], 1)];
        let shard = Shard::new(ShardConfig { silence: Duration::from_secs(30) }, [3; 32]);
        let mut wire = Wire { shard, now_ms: 1_000, obeyed: 0, parties };
        wire.obey(stage);
        wire
    }

    fn now(&self) -> Time {
        Time(u64::from(self.now_ms) * 1_000_000)
    }

    /// Does what the switch has told since.
    fn obey(&mut self, stage: &Stage) {
        for command in &stage.told[self.obeyed..] {
            self.shard.handle_command(self.now(), command.clone());
            while let Some(output) = self.shard.poll_output() {
                if let Output::Bind { legs } = output {
                    let bound = legs.iter().zip([40_000, 40_002]).map(|((leg, _), port)| (*leg, port));
                    self.shard.handle_bound(self.now(), bound.collect());
                }
            }
        }
        self.obeyed = stage.told.len();
        assert_eq!(self.shard.ignored_commands(), 0);
    }

    /// Time passes; both speak, `tones` saying by the millisecond of their own speech when there is a tone in it.
    fn pass(&mut self, ms: u32, tones: [&dyn Fn(f32) -> bool; 2]) {
        for _ in 0..ms {
            for (side, tone) in tones.iter().enumerate() {
                let party = &mut self.parties[side];
                if self.now_ms.is_multiple_of(party.voice.ptime_ms) {
                    let (mut packet, from, leg) = (party.speak(tone), party.address, party.leg);
                    let key = self.shard.key(leg).expect("the leg is open");
                    let forward = self.shard.receive(self.now(), key, from, &mut packet);
                    if let Some(forward) = forward {
                        self.deliver(forward.destination, &packet);
                    }
                }
            }
            if self.shard.poll_timeout().is_some_and(|due| due <= self.now()) {
                self.shard.tick(self.now());
                let mut leaving = Vec::new();
                while let Some((forward, octets)) = self.shard.poll_transmit() {
                    leaving.push((forward.destination, octets.to_vec()));
                }
                leaving.iter().for_each(|(to, packet)| self.deliver(*to, packet));
            }
            self.now_ms += 1;
        }
    }

    /// The caller goes on in another codec; what it has heard so far.
    fn replace_caller(&mut self, voice: Voice) -> Vec<Heard> {
        let party = &mut self.parties[0];
        let next = Party { sent: party.sent, ..Party::new(party.leg, voice, 0) };
        core::mem::replace(party, next).heard
    }

    fn deliver(&mut self, to: SocketAddr, packet: &[u8]) {
        let at_ms = self.now_ms as f32 - 1_000.0;
        let party = self.parties.iter_mut().find(|party| party.address == to);
        party.expect("one of the two").hear(at_ms, packet);
    }
}

/// A call between two voices.
fn call(caller: Voice, callee: Voice) -> Stage {
    let mut stage = Stage::new(1);
    talk(&mut stage, caller, callee);
    stage
}

fn talk(stage: &mut Stage, caller: Voice, callee: Voice) {
    stage.invite(&sdp(&caller.media(0)));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(&callee.media(1)));
    stage.response_to_caller(200);
    stage.ack("");
}

/// Of the tone in what is said.
const ONSET_MS: f32 = 400.0;

fn burst(ms: f32) -> bool {
    (ONSET_MS..ONSET_MS + 450.0).contains(&ms)
}

fn quiet(_: f32) -> bool {
    false
}

#[test]
fn a_tone_comes_through_in_level_purity_and_time_between_any_two_codecs_each_way() {
    let voices = [PCMU, PCMA, G722, OPUS, L16];
    for (caller, callee) in voices.iter().flat_map(|caller| voices.map(|callee| (*caller, callee))) {
        let laws = |voice: Voice| matches!(voice.codec, Codec::Pcmu | Codec::Pcma);
        if caller.codec == callee.codec || (laws(caller) && laws(callee)) {
            continue;
        }
        for speaker in 0..2 {
            let stage = call(caller, callee);
            let mut wire = Wire::lay(&stage, [caller, callee]);
            let said: [&dyn Fn(f32) -> bool; 2] =
                if speaker == 0 { [&burst, &quiet] } else { [&quiet, &burst] };
            wire.pass(1_000, said);
            let listener = &wire.parties[1 - speaker];
            let (level, purity) = listener.level_db();
            let delay = listener.onset_ms() - ONSET_MS;
            let case =
                format!("{caller:?} to {callee:?}, {speaker} speaks: {level} dB, {purity} dB, {delay} ms");
            assert!(level.abs() < 1.0, "{case}");
            assert!(purity > 20.0, "{case}");
            assert!((0.0..80.0).contains(&delay), "{case}");
            if std::env::var("SHOW").is_ok() {
                eprintln!("{case}");
            }
            let numbers: Vec<u16> = listener.heard.iter().map(|heard| heard.sequence).collect();
            assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{case}");
            assert!(
                listener.heard.iter().all(|heard| heard.payload_type == listener.voice.payload_type),
                "{case}"
            );
            let ticks = listener.voice.codec.clock_rate() / 1_000 * listener.voice.ptime_ms;
            let steps =
                listener.heard.windows(2).map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp));
            assert!(steps.into_iter().all(|step| step == ticks), "{case}");
        }
    }
}

#[test]
fn a_call_that_moves_between_relay_and_room_keeps_its_streams_and_pauses_for_40_ms_at_most() {
    let mut stage = call(PCMU, PCMU);
    let mut wire = Wire::lay(&stage, [PCMU, PCMU]);
    let always = |_: f32| true;
    wire.pass(500, [&always, &always]);
    stage.re_invite(&sdp(&G722.media(0)));
    stage.ack("");
    wire.obey(&stage);
    let before = wire.replace_caller(G722);
    wire.pass(500, [&always, &always]);
    stage.re_invite(&sdp(&PCMU.media(0)));
    stage.ack("");
    wire.obey(&stage);
    let between = wire.replace_caller(PCMU);
    wire.pass(500, [&always, &always]);
    let caller: Vec<Heard> = before.into_iter().chain(between).chain(wire.parties[0].heard.clone()).collect();
    for heard in [&caller, &wire.parties[1].heard] {
        assert!(heard.windows(2).all(|pair| pair[0].ssrc == pair[1].ssrc));
        for pair in heard.windows(2) {
            let [first, second] = pair else { unreachable!("windows of two") };
            assert_eq!(second.sequence, first.sequence.wrapping_add(1), "{first:?} {second:?}");
            let gap_ms = second.at_ms - first.at_ms;
            assert!(gap_ms <= 60.0, "40 ms beyond the 20 of a packet: {gap_ms}");
            let elapsed = second.timestamp.wrapping_sub(first.timestamp);
            assert!((1..=480).contains(&elapsed), "{elapsed}");
        }
    }
    let changes = |heard: &[Heard]| {
        let mut types: Vec<u8> = heard.iter().map(|heard| heard.payload_type).collect();
        types.dedup();
        types
    };
    assert_eq!((changes(&caller), changes(&wire.parties[1].heard)), (vec![0, 9, 0], vec![0]));
}

#[test]
fn a_relay_that_is_recorded_for_a_while_keeps_its_streams_and_pauses_for_40_ms_at_most() {
    let mut stage = Stage::with("record_on_request = true\n", "1001", 1);
    talk(&mut stage, PCMU, PCMU);
    let mut wire = Wire::lay(&stage, [PCMU, PCMU]);
    let always = |_: f32| true;
    // Not in step with the room.
    wire.pass(507, [&always, &always]);
    for on in ["on", "off", "on"] {
        stage.info(&format!("Record: {on}\r\n"), "");
        wire.obey(&stage);
        wire.pass(333, [&always, &always]);
    }
    // Held and resumed it is recorded on.
    stage.re_invite(&sdp(&format!("{}a=inactive\r\n", PCMU.media(0))));
    stage.ack("");
    wire.obey(&stage);
    let heard_before = wire.parties.each_ref().map(|party| party.heard.len());
    wire.pass(500, [&quiet, &always]);
    stage.re_invite(&sdp(&PCMU.media(0)));
    stage.ack("");
    wire.obey(&stage);
    wire.pass(500, [&always, &always]);
    stage.info("Record: off\r\n", "");
    wire.obey(&stage);
    wire.pass(500, [&always, &always]);
    assert!(stage.told.iter().filter(|command| matches!(command, Command::Record { .. })).count() == 2);
    for (party, held) in wire.parties.iter().zip(heard_before) {
        assert!(party.heard.windows(2).all(|pair| pair[0].ssrc == pair[1].ssrc));
        for (index, pair) in party.heard.windows(2).enumerate() {
            let [first, second] = pair else { unreachable!("windows of two") };
            assert_eq!(second.sequence, first.sequence.wrapping_add(1), "{first:?} {second:?}");
            let gap_ms = second.at_ms - first.at_ms;
            let elapsed = second.timestamp.wrapping_sub(first.timestamp);
            // Who is on hold is sent nothing, and what is relayed then of a side that says nothing is nothing.
            if index + 1 == held {
                assert!((480.0..580.0).contains(&gap_ms) || gap_ms <= 60.0, "{gap_ms}");
            } else {
                assert!(gap_ms <= 60.0, "40 ms beyond the 20 of a packet: {gap_ms} at {index}");
                assert!((1..=480).contains(&elapsed), "{elapsed}");
            }
        }
        // What is heard is the tone that is said, in the room as in the relay.
        let loud = |heard: &Heard| heard.samples.iter().any(|sample| sample.unsigned_abs() > 6_000);
        let silent = party.heard.iter().filter(|heard| !loud(heard)).count();
        assert!(silent <= 60, "{silent} of {}", party.heard.len());
    }
}
