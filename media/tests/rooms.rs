//! Legs in rooms: what leaves on a tick for what has arrived, at the level of packets.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[expect(dead_code, reason = "the relay has helpers of its own")]
mod scene;

use std::f64::consts::TAU;
use std::time::Duration;

use allocation_counter::measure;
use media::codec::{Channels, Codec, Decoder, Encoder, g711, opus};
use media::dsp::{Conditioning, SampleRate};
use media::mix::{Audience, MemberId, Role, Talk};
use media::source::Source;
use media::{
    AudioFormat, Command, DigitOutlet, DigitParams, EventFormat, LegId, Port, Report, RoomId, StreamParams,
};
use scene::{PTIME, Rtp, Scene, params, plain};
use smallvec::smallvec;

const ROOM: RoomId = RoomId(7);
const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
const PCMA: AudioFormat = AudioFormat { codec: Codec::Pcma, payload_type: 8, ptime_ms: 20 };

fn sdp(leg: u64) -> String {
    format!("198.51.100.{leg}:4000")
}

/// A room with legs 1 to n in these formats.
fn conference(formats: &[AudioFormat]) -> Scene {
    let mut scene = Scene::empty();
    scene.command(Command::OpenRoom { room: ROOM });
    for (leg, format) in (1..).zip(formats) {
        scene.open(LegId(leg));
        scene.command(Command::Configure { leg: LegId(leg), params: params(&sdp(leg)) });
        join(&mut scene, leg, *format);
    }
    scene
}

fn join(scene: &mut Scene, leg: u64, format: AudioFormat) {
    let role = Role::Participant;
    let reports = scene.command(Command::Join { room: ROOM, leg: LegId(leg), format, role });
    assert!(!reports.iter().any(|report| matches!(report, Report::NotJoined { .. })), "{reports:?}");
}

fn assign(scene: &mut Scene, roles: &[(u64, Role)]) {
    let roles = roles.iter().map(|(leg, role)| (MemberId(*leg), *role)).collect();
    scene.command(Command::Assign { room: ROOM, roles });
}

/// The `index`th packet of a tone of so many hertz.
fn tone(format: AudioFormat, hertz: u32, index: u16) -> Rtp {
    let at = |sample: usize| f64::from(hertz) * (usize::from(index) * 160 + sample) as f64 / 8_000.0;
    let samples: Vec<i16> = (0..160).map(|sample| (6_000.0 * (at(sample) * TAU).sin()) as i16).collect();
    let mut payload = vec![0; 160];
    match format.codec {
        Codec::Pcma => g711::encode_alaw_into(&samples, &mut payload),
        _ => g711::encode_ulaw_into(&samples, &mut payload),
    }
    Rtp { payload_type: format.payload_type, payload, ..Rtp::audio(hertz, index) }
}

/// The packets of one tick, by leg.
fn tick(scene: &mut Scene) -> Vec<(u64, Rtp)> {
    scene.pass(PTIME);
    let now = scene.now;
    scene.shard.tick(now);
    let keys: Vec<_> = (1..100).filter_map(|leg| Some((leg, scene.shard.key(LegId(leg))?))).collect();
    let mut sent = Vec::new();
    while let Some((forward, octets)) = scene.shard.poll_transmit() {
        if forward.port == Port::Rtcp {
            continue;
        }
        let leg = keys.iter().find(|(_, key)| *key == forward.leg).expect("an open leg sends").0;
        assert_eq!(forward.destination, scene::at(&sdp(leg)));
        sent.push((leg, Rtp::read(octets)));
    }
    sent
}

/// How loud a tone is in the samples, 1 for the amplitude of [`tone`].
fn level(samples: &[i16], hertz: f64) -> f64 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let angle = hertz * at as f64 / 8_000.0 * TAU;
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
    }
    (real * real + imaginary * imaginary).sqrt() / samples.len() as f64 * 2.0 / 6_000.0
}

fn decode(rtp: &Rtp) -> Vec<i16> {
    let decode = if rtp.payload_type == 8 { g711::decode_alaw } else { g711::decode_ulaw };
    rtp.payload.iter().map(|octet| decode(*octet)).collect()
}

/// Legs talk for a second, each with its own tone; what every leg heard in the last 400 ms.
fn talk(scene: &mut Scene, talkers: &[(u64, AudioFormat, u32)], begin: u16) -> Vec<(u64, Vec<i16>)> {
    let mut heard: Vec<(u64, Vec<i16>)> = Vec::new();
    for index in begin..begin + 50 {
        for (leg, format, hertz) in talkers {
            assert_eq!(scene.arrive(LegId(*leg), &sdp(*leg), &tone(*format, *hertz, index)), None);
        }
        for (leg, rtp) in tick(scene) {
            match heard.iter_mut().find(|(known, _)| *known == leg) {
                Some((_, samples)) => samples.extend(decode(&rtp)),
                None => heard.push((leg, decode(&rtp))),
            }
        }
    }
    heard.into_iter().map(|(leg, samples)| (leg, samples[samples.len() - 3_200..].to_vec())).collect()
}

/// Which of the tones each leg hears.
fn audible(heard: &[(u64, Vec<i16>)], tones: &[u32]) -> Vec<(u64, Vec<u32>)> {
    let hears = |samples: &[i16]| {
        let is_heard = |hertz: &&u32| {
            let level = level(samples, f64::from(**hertz));
            assert!(!(0.01..0.9).contains(&level), "{hertz} Hz: {level}");
            level > 0.5
        };
        tones.iter().filter(is_heard).copied().collect()
    };
    heard.iter().map(|(leg, samples)| (*leg, hears(samples))).collect()
}

#[test]
fn everybody_hears_the_others_and_not_themselves() {
    let mut scene = conference(&[PCMU, PCMA, PCMU]);
    let heard = talk(&mut scene, &[(1, PCMU, 400), (2, PCMA, 700)], 0);
    assert_eq!(audible(&heard, &[400, 700]), [(1, vec![700]), (2, vec![400]), (3, vec![400, 700])]);
}

/// What a member says and hears, in its codec.
struct Phone {
    leg: u64,
    hertz: u32,
    format: AudioFormat,
    encoder: Encoder,
    decoder: Decoder,
    heard: Vec<i16>,
}

impl Phone {
    fn new(leg: u64, hertz: u32, codec: Codec, payload_type: u8) -> Phone {
        let format = AudioFormat { codec, payload_type, ptime_ms: 20 };
        let encoder = Encoder::new(codec, opus::Settings::default()).unwrap();
        Phone { leg, hertz, format, encoder, decoder: Decoder::new(codec).unwrap(), heard: Vec::new() }
    }

    fn rate(&self) -> u32 {
        self.format.codec.sample_rate().hertz()
    }

    fn say(&mut self, index: u16) -> Rtp {
        let length = self.rate() / 50;
        let at = |sample: u32| {
            f64::from((u32::from(index) * length + sample) * self.hertz) / f64::from(self.rate())
        };
        let samples: Vec<i16> =
            (0..length).map(|sample| (6_000.0 * (at(sample) * TAU).sin()) as i16).collect();
        let mut payload = vec![0; 2_000];
        let octets = self.encoder.encode(&samples, &mut payload).unwrap();
        payload.truncate(octets);
        let timestamp = u32::from(index) * self.format.codec.clock_ticks(samples.len());
        Rtp { payload_type: self.format.payload_type, payload, timestamp, ..Rtp::audio(self.hertz, index) }
    }

    fn hear(&mut self, rtp: &Rtp) {
        let mut samples = vec![0; 960];
        let length = self.decoder.decode(&rtp.payload, &mut samples).unwrap();
        self.heard.extend(&samples[..length]);
    }
}

#[test]
fn members_of_any_codec_and_rate_hear_each_other() {
    let opus = Codec::Opus { rate: SampleRate::Hz48000 };
    let mut phones = [
        Phone::new(1, 400, Codec::Pcmu, 0),
        Phone::new(2, 700, Codec::G722, 9),
        Phone::new(3, 1_100, opus, 96),
        Phone::new(4, 1_500, Codec::L16 { rate: SampleRate::Hz16000, channels: Channels::Mono }, 97),
    ];
    let mut scene = conference(&phones.each_ref().map(|phone| phone.format));
    for index in 0..100 {
        for phone in &mut phones {
            let packet = phone.say(index);
            scene.arrive(LegId(phone.leg), &sdp(phone.leg), &packet);
        }
        for (leg, rtp) in tick(&mut scene) {
            phones.iter_mut().find(|phone| phone.leg == leg).unwrap().hear(&rtp);
        }
    }
    let tones = phones.each_ref().map(|phone| phone.hertz);
    for phone in &phones {
        let settled = &phone.heard[phone.heard.len() / 2..];
        let scale = 8_000.0 / f64::from(phone.rate());
        for hertz in tones {
            // The tone is at another place among the samples of another rate.
            let level = level(settled, f64::from(hertz) * scale);
            let own = hertz == phone.hertz;
            assert!(if own { level < 0.1 } else { level > 0.6 }, "{}: {hertz} Hz at {level}", phone.leg);
        }
    }
}

#[test]
fn a_whisper_never_reaches_the_customer() {
    let mut scene = conference(&[PCMU, PCMU, PCMU]);
    assign(&mut scene, &[(3, Role::Whisper { to: MemberId(2) })]);
    let talkers = [(1, PCMU, 400), (2, PCMU, 700), (3, PCMU, 1_100)];
    let heard = talk(&mut scene, &talkers, 0);
    let tones = [400, 700, 1_100];
    assert_eq!(audible(&heard, &tones), [(1, vec![700]), (2, vec![400, 1_100]), (3, vec![400, 700])]);
    assign(&mut scene, &[(3, Role::Barge)]);
    let heard = talk(&mut scene, &talkers, 50);
    let barged = [(1, vec![700, 1_100]), (2, vec![400, 1_100]), (3, vec![400, 700])];
    assert_eq!(audible(&heard, &tones), barged);
}

#[test]
fn a_source_plays_to_its_audience() {
    let mut scene = conference(&[PCMU, PCMU]);
    let (member, role) = (MemberId(1_000), Role::Announce { to: Audience::Held });
    scene.command(Command::Play { room: ROOM, member, source: Source::Milliwatt, role });
    assign(&mut scene, &[(1, Role::Held { source: Some(member) })]);
    let heard = talk(&mut scene, &[(2, PCMU, 400)], 0);
    assert!(level(&heard[0].1, 1_004.0) > 0.5 && level(&heard[0].1, 400.0) < 0.01);
    assert!(
        heard[1].1.iter().all(|sample| *sample == 0),
        "the other hears neither the music nor the held one"
    );
}

#[test]
fn a_leg_that_is_in_a_room_and_back_sends_one_continuous_stream() {
    let mut scene = conference(&[PCMU, PCMU]);
    scene.relay(LegId(1), LegId(2), plain(), plain());
    let mut sent = Vec::new();
    for index in 0..5 {
        assert_eq!(tick(&mut scene), [], "nobody is in the room");
        sent.extend(scene.arrive(LegId(1), &sdp(1), &tone(PCMU, 400, index)).map(|sent| sent.rtp));
    }
    join(&mut scene, 1, PCMU);
    join(&mut scene, 2, PCMU);
    for index in 5..30 {
        scene.arrive(LegId(1), &sdp(1), &tone(PCMU, 400, index));
        sent.extend(tick(&mut scene).into_iter().filter(|(leg, _)| *leg == 2).map(|(_, rtp)| rtp));
    }
    scene.relay(LegId(1), LegId(2), plain(), plain());
    for index in 30..35 {
        scene.pass(PTIME);
        sent.extend(scene.arrive(LegId(1), &sdp(1), &tone(PCMU, 400, index)).map(|sent| sent.rtp));
    }
    assert!(sent.len() >= 34, "{}", sent.len());
    for pair in sent.windows(2) {
        assert_eq!(pair[0].ssrc, pair[1].ssrc);
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        let gap = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((160..=320).contains(&gap), "{gap}: a gap of at most 40 ms");
    }
}

#[test]
fn packets_have_the_duration_that_was_negotiated() {
    for (ptime_ms, lengths) in [(10, vec![80, 80]), (30, vec![240]), (40, vec![320]), (60, vec![480])] {
        let format = AudioFormat { ptime_ms, ..PCMU };
        let mut scene = conference(&[PCMU, format]);
        let mut packets = Vec::new();
        for index in 0..12 {
            scene.arrive(LegId(1), &sdp(1), &tone(PCMU, 400, index));
            packets.extend(tick(&mut scene).into_iter().filter(|(leg, _)| *leg == 2).map(|(_, rtp)| rtp));
        }
        assert!(packets.iter().all(|rtp| rtp.payload.len() == lengths[0]), "{ptime_ms}");
        assert_eq!(packets.len(), 240 / usize::from(ptime_ms));
        let steps = packets.windows(2).map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp));
        assert!(steps.into_iter().all(|step| step == u32::from(ptime_ms) * 8), "{ptime_ms}");
    }
}

#[test]
fn a_hold_shows_in_the_time_of_the_stream_and_not_in_its_numbers() {
    let mut scene = conference(&[PCMU, PCMU]);
    let direction = |scene: &mut Scene, receive| {
        let params = StreamParams { receive, ..params(&sdp(2)) };
        scene.command(Command::Configure { leg: LegId(2), params });
    };
    let heard = |scene: &mut Scene, ticks: u32| -> Vec<Rtp> {
        (0..ticks).flat_map(|_| tick(scene)).filter(|(leg, _)| *leg == 2).map(|(_, rtp)| rtp).collect()
    };
    let before = heard(&mut scene, 5);
    direction(&mut scene, false);
    assert_eq!(heard(&mut scene, 50), []);
    direction(&mut scene, true);
    let after = heard(&mut scene, 1);
    let (last, next) = (before.last().unwrap(), &after[0]);
    assert_eq!(next.sequence, last.sequence.wrapping_add(1));
    assert_eq!(next.timestamp, last.timestamp.wrapping_add(51 * 160));
}

#[test]
fn ticks_that_are_far_too_late_are_left_out_and_their_time_passes() {
    let mut scene = conference(&[PCMU]);
    let last = tick(&mut scene).pop().unwrap().1;
    scene.pass(Duration::from_secs(3_600) - PTIME);
    let late = tick(&mut scene);
    assert!(late.len() <= 3, "{}", late.len());
    assert!(scene.shard.ticks_left_out() >= 179_990);
    let next = tick(&mut scene).pop().unwrap().1;
    assert_eq!(next.sequence, last.sequence.wrapping_add(late.len() as u16 + 1));
    assert_eq!(next.timestamp, last.timestamp.wrapping_add(3_600 * 8_000 + 160));
}

#[test]
fn a_room_is_as_good_as_its_best_member_and_no_better() {
    let wide = AudioFormat { codec: Codec::G722, payload_type: 9, ptime_ms: 20 };
    let stereo = Codec::L16 { rate: SampleRate::Hz44100, channels: Channels::Stereo };
    let best = AudioFormat { codec: stereo, payload_type: 10, ptime_ms: 10 };
    let mut scene = conference(&[PCMU, wide, best]);
    let heard = talk(&mut scene, &[(1, PCMU, 400)], 0);
    assert!(heard.iter().any(|(leg, _)| *leg == 3), "ten milliseconds of the best member find room");
    scene.command(Command::Leave { room: ROOM, member: MemberId(3) });
    scene.command(Command::Close { leg: LegId(2) });
    let heard = talk(&mut scene, &[(1, PCMU, 400)], 50);
    assert_eq!(heard.iter().map(|(leg, _)| *leg).collect::<Vec<_>>(), [1]);
}

#[test]
fn who_talks_is_reported() {
    let mut scene = conference(&[PCMU, PCMU]);
    talk(&mut scene, &[(1, PCMU, 400)], 0);
    let (room, member) = (ROOM, MemberId(1));
    let reports = scene.reports();
    let about_talk: Vec<_> =
        reports.into_iter().filter(|report| !matches!(report, Report::Latched { .. })).collect();
    assert_eq!(
        about_talk,
        [Report::Talk { room, member, talk: Talk::Started }, Report::Speaker { room, member: Some(member) },]
    );
}

#[test]
fn a_leg_that_cannot_be_seated_is_reported_and_in_no_room() {
    let mut scene = conference(&[PCMU]);
    let (leg, role) = (LegId(1), Role::Participant);
    let no_room = RoomId(8);
    let reports = scene.command(Command::Join { room: no_room, leg, format: PCMU, role });
    assert_eq!(reports, [Report::NotJoined { room: no_room, leg }]);
    assert_eq!(tick(&mut scene), []);
}

#[test]
fn an_echo_goes_back_to_its_peer() {
    let mut scene = conference(&[PCMU]);
    scene.command(Command::Echo { leg: LegId(1), map: plain() });
    let sent = scene.arrive(LegId(1), &sdp(1), &tone(PCMU, 400, 0)).expect("it is sent back");
    assert_eq!((sent.to, sent.rtp.payload), (scene::at(&sdp(1)), tone(PCMU, 400, 0).payload));
    assert_eq!(tick(&mut scene), [], "it has left the room");
}

#[test]
fn a_room_of_many_allocates_nothing() {
    let mut scene = conference(&[PCMU; 40]);
    let keys: Vec<_> = (1..=40).map(|leg| scene.key(LegId(leg))).collect();
    let packets: Vec<Vec<Vec<u8>>> =
        (0..100).map(|index| (1..=40).map(|leg| tone(PCMU, 400 + leg, index).bytes()).collect()).collect();
    let sources: Vec<_> = (1..=40).map(|leg| scene::at(&sdp(leg))).collect();
    let (shard, start) = (&mut scene.shard, scene.now);
    let mut sent = 0;
    let info = measure(|| {
        let mut now = start;
        for mut packets in packets {
            now = now + Duration::from_millis(20);
            for ((packet, key), source) in packets.iter_mut().zip(&keys).zip(&sources) {
                shard.receive(now, *key, *source, packet);
            }
            shard.tick(now);
            while let Some((forward, _)) = shard.poll_transmit() {
                sent += u32::from(forward.port == Port::Rtp);
            }
        }
    });
    assert_eq!((info.count_total, sent), (0, 40 * 100));
}

#[test]
fn a_soft_voice_is_raised_and_noise_gated_where_that_is_asked_for_without_allocating() {
    let mut scene = conference(&[PCMU, PCMU]);
    let condition = |conditioning| Command::Condition { leg: LegId(1), conditioning };
    scene.command(condition(Conditioning { gain_control: true, noise_gate: true }));
    let listener = scene.key(LegId(2));
    let mut heard = Vec::new();
    for index in 0..750 {
        // Two thirds of the time a soft tone, then noise that is far softer.
        let amplitude = if index % 75 < 50 { 500.0 } else { 20.0 };
        let samples: Vec<i16> =
            (0..160).map(|at| (amplitude * (f64::from(at) * TAU / 20.0).sin()) as i16).collect();
        let mut payload = vec![0; 160];
        g711::encode_ulaw_into(&samples, &mut payload);
        scene.arrive(LegId(1), &sdp(1), &Rtp { payload, ..Rtp::audio(1, index) });
        scene.pass(PTIME);
        let now = scene.now;
        let info = measure(|| scene.shard.tick(now));
        assert_eq!(info.count_total, 0);
        while let Some((forward, octets)) = scene.shard.poll_transmit() {
            if forward.port == Port::Rtp && forward.leg == listener {
                heard.push(decode(&Rtp::read(octets)).iter().map(|sample| i32::from(*sample).abs()).max());
            }
        }
        while scene.shard.poll_output().is_some() {}
    }
    let last = &heard[heard.len() - 150..];
    assert!(last.iter().filter(|peak| **peak > Some(1_500)).count() > 80, "it is raised: {last:?}");
    assert!(last.iter().filter(|peak| **peak == Some(0)).count() > 4, "and gated: {last:?}");
}

#[test]
fn a_leg_in_a_room_takes_no_more_than_16_kib_with_g711_g722_and_l16_at_8_khz() {
    const LEGS: u64 = 64;
    let events = EventFormat { payload_type: 101, clock_rate: 8_000 };
    let outlet = DigitOutlet::Events(events);
    let digits = DigitParams { incoming: smallvec![events], outlet, ..DigitParams::default() };
    let wide = AudioFormat { codec: Codec::G722, payload_type: 9, ptime_ms: 20 };
    let l16 = |rate| Codec::L16 { rate, channels: Channels::Mono };
    let linear = |rate, ptime_ms| AudioFormat { codec: l16(rate), payload_type: 96, ptime_ms };
    // Linear samples at high rates take their room in the jitter buffer.
    let (l8, l16, l48) =
        (linear(SampleRate::Hz8000, 20), linear(SampleRate::Hz16000, 20), linear(SampleRate::Hz48000, 10));
    for (format, kib) in [(PCMU, 16), (PCMA, 16), (wide, 16), (l8, 16), (l16, 24), (l48, 65)] {
        let mut scene = Scene::empty();
        scene.command(Command::OpenRoom { room: ROOM });
        let info = measure(|| {
            for leg in 1..=LEGS {
                scene.open(LegId(leg));
                let params = StreamParams { digits: digits.clone(), ..params(&sdp(leg)) };
                scene.command(Command::Configure { leg: LegId(leg), params });
                join(&mut scene, leg, format);
            }
        });
        // What the shard keeps for it, its place in the room and room for its packets included.
        let each = info.bytes_current as u64 / LEGS;
        assert!(each <= kib * 1024, "{format:?}: {each}");
    }
}
