//! Media without I/O: the header view, the path of one packet through a shard, G.711 conversion, rooms (the arithmetic alone,
//! and a whole tick of a shard), what RTCP costs per packet and per report, digits in sound.

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use media::codec::{Channels, Codec, g711};
use media::dtmf::{Detector, Digit, EventCode, ToneGenerator, ToneLevels};
use media::mix::{Hearing, MemberId, Role, Room};
use media::rtcp::{Cname, Compound, RtpArrival, Session, SessionConfig};
use media::rtp::{Header, Rewrite, Ssrc};
use media::{
    AudioFormat, Command, DigitParams, Latching, LegId, LegKey, Output, PayloadMap, PayloadRule, RoomId,
    RtcpPort, Shard, ShardConfig, StreamParams, Time,
};
use smallvec::smallvec;

/// Legs of 200 calls.
const LEGS: u64 = 400;
/// 20 ms of G.711 with its header.
const PACKET: usize = 172;

fn peer(leg: u64) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, (leg % 250) as u8], 10_000 + leg as u16))
}

fn packet(ssrc: u32) -> [u8; PACKET] {
    let mut packet = [0x55; PACKET];
    packet[..8].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0]);
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet
}

/// A shard with 200 calls; the rule is the one from the even legs to the odd ones.
fn shard(rule: PayloadRule) -> (Shard, Vec<LegKey>) {
    let mut shard = Shard::new(ShardConfig { silence: Duration::from_secs(30) }, [1; 32]);
    let local: IpAddr = [192, 0, 2, 1].into();
    for leg in 0..LEGS {
        let remote = peer(leg);
        let params = StreamParams {
            remote: Some(remote),
            signalling: remote.ip(),
            latching: Latching::Symmetric,
            clock_rate: 8000,
            send: true,
            receive: true,
            rtcp: RtcpPort::Above,
            digits: DigitParams::default(),
        };
        let leg = LegId(leg);
        shard.handle_command(Time::ZERO, Command::Open { legs: smallvec![(leg, local)] });
        shard.handle_bound(Time::ZERO, smallvec![(leg, 40_000)]);
        shard.handle_command(Time::ZERO, Command::Configure { leg, params });
    }
    let (forward, backward) = (PayloadMap::new(&[(0, rule)]), PayloadMap::new(&[(0, PayloadRule::Pass(0))]));
    for leg in (0..LEGS).step_by(2) {
        let (a, b) = (LegId(leg), LegId(leg + 1));
        let (forward, backward) = (forward.clone(), backward.clone());
        shard.handle_command(Time::ZERO, Command::Relay { a, b, forward, backward });
    }
    while let Some(output) = shard.poll_output() {
        assert!(matches!(output, Output::Bind { .. } | Output::Report(_)));
    }
    let keys = (0..LEGS).map(|leg| shard.key(LegId(leg)).expect("the leg was opened")).collect();
    (shard, keys)
}

/// One packet for each of 200 streams in turn, with the sequence and timestamp of its turn.
fn relay(criterion: &mut Criterion, name: &str, rule: PayloadRule) {
    let (mut shard, keys) = shard(rule);
    let mut packets: Vec<_> = (0..LEGS).map(|leg| packet(leg as u32)).collect();
    let peers: Vec<_> = (0..LEGS).map(peer).collect();
    let (mut turn, mut leg) = (0u32, 0u64);
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            let packet = &mut packets[leg as usize];
            packet[1] = 0;
            packet[2..4].copy_from_slice(&(turn as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&turn.wrapping_mul(160).to_be_bytes());
            packet[8..12].copy_from_slice(&(leg as u32).to_be_bytes());
            let now = Time(u64::from(turn) * 20_000_000);
            let forward =
                shard.receive(now, keys[leg as usize], peers[leg as usize], black_box(&mut packet[..]));
            leg += 2;
            if leg == LEGS {
                (leg, turn) = (0, turn.wrapping_add(1));
            }
            forward.is_some()
        });
    });
    let sent: u64 =
        keys.iter().filter_map(|key| shard.figures(*key)).map(|figures| figures.packets_out).sum();
    assert!(sent > 0, "the legs are relayed");
}

fn relays(criterion: &mut Criterion) {
    relay(criterion, "relay/pass", PayloadRule::Pass(0));
    relay(criterion, "relay/ulaw_to_alaw", PayloadRule::UlawToAlaw(8));
}

fn header(criterion: &mut Criterion) {
    let mut packet = packet(7);
    criterion.bench_function("rtp/header_parse", |bencher| {
        bencher.iter(|| Header::parse(black_box(&packet)).map(|header| header.sequence()));
    });
    let rewrite = Rewrite { marker: false, payload_type: 8, sequence: 9, timestamp: 160, ssrc: Ssrc(3) };
    criterion.bench_function("rtp/header_rewrite", |bencher| {
        bencher.iter(|| rewrite.apply(black_box(&mut packet)));
    });
}

fn conversion(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("g711");
    group.throughput(Throughput::Bytes(160));
    let mut payload = [0x55; 160];
    group.bench_function("ulaw_to_alaw_20ms", |bencher| {
        bencher.iter(|| g711::convert_ulaw_to_alaw(black_box(&mut payload)));
    });
    let mut samples = [0i16; 160];
    group.bench_function("decode_ulaw_20ms", |bencher| {
        bencher.iter(|| {
            for (sample, octet) in samples.iter_mut().zip(black_box(&payload)) {
                *sample = g711::decode_ulaw(*octet);
            }
        });
    });
    group.bench_function("encode_ulaw_20ms", |bencher| {
        bencher.iter(|| {
            for (octet, sample) in payload.iter_mut().zip(black_box(&samples)) {
                *octet = g711::encode_ulaw(*sample);
            }
        });
    });
    group.finish();
}

/// Who talks in a room.
const TALKERS: usize = 3;
const TICK: Duration = Duration::from_millis(20);

/// The arithmetic of one tick of a room of 100: each member's frame taken in, summed up, and what each hears given out, µ-law or
/// 48 kHz as it is. Those that hear the same share it, as in a shard. Three talk, or everybody.
fn room_tick(criterion: &mut Criterion) {
    const MEMBERS: usize = 100;
    let mut group = criterion.benchmark_group("room_tick");
    group.throughput(Throughput::Elements(MEMBERS as u64));
    for (name, rate, talkers) in [
        ("ulaw_3_talk", 8_000u32, TALKERS),
        ("ulaw_all_talk", 8_000, MEMBERS),
        ("pcm_48000_3_talk", 48_000, TALKERS),
        ("pcm_48000_all_talk", 48_000, MEMBERS),
    ] {
        let frame = rate as usize / 50;
        let mut room = Room::new(rate, TICK);
        for member in 0..MEMBERS as u64 {
            room.join(MemberId(member), Role::Participant).expect("there is room");
        }
        let said: Vec<i16> = (0..frame).map(|sample| (sample as i16).wrapping_mul(331)).collect();
        let payload: Vec<u8> = said.iter().map(|sample| g711::encode_ulaw(*sample)).collect();
        let silence = vec![0xff; frame];
        let (mut heard, mut sent) = (vec![0; frame], vec![0; frame]);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for place in 0..MEMBERS {
                    let talks = place < talkers;
                    room.say(place, |frame| {
                        if rate == 8_000 {
                            g711::decode_ulaw_into(black_box(if talks { &payload } else { &silence }), frame);
                        } else if talks {
                            frame.copy_from_slice(black_box(&said));
                        } else {
                            frame.fill(0);
                        }
                        true
                    });
                }
                room.mix();
                let mut shared = None;
                for place in 0..MEMBERS {
                    let hearing = room.hear(place, &mut heard);
                    let samples = if hearing == Hearing::Common { room.common() } else { &heard };
                    if rate == 8_000 && (hearing == Hearing::Own || shared != Some(hearing)) {
                        g711::encode_ulaw_into(samples, &mut sent);
                        shared = Some(hearing).filter(|hearing| *hearing != Hearing::Own).or(shared);
                    }
                    black_box((&sent, samples));
                }
                room.end_tick(|_| {});
            });
        });
    }
    group.finish();
}

/// Whole ticks of a shard: every member's packet taken in, mixed, and the packets for all made.
fn ticks(criterion: &mut Criterion) {
    let pcmu = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
    let l16 = Codec::L16 { rate: media::dsp::SampleRate::Hz48000, channels: Channels::Mono };
    let l16 = AudioFormat { codec: l16, payload_type: 96, ptime_ms: 10 };
    let mut group = criterion.benchmark_group("tick");
    for (name, format, members) in [
        ("pcmu_4", pcmu, 4),
        ("pcmu_10", pcmu, 10),
        ("pcmu_100", pcmu, 100),
        ("pcmu_1000", pcmu, 1_000),
        ("l16_48000_100", l16, 100),
    ] {
        group.throughput(Throughput::Elements(members));
        let (mut shard, keys) = shard_with_room(members, format);
        let length = if format == pcmu { 172 } else { 972 };
        let silence = if format == pcmu { 0xff } else { 0 };
        let mut tick = 0u32;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let now = Time(u64::from(tick) * 20_000_000 + 1_000_000_000);
                let packets = if format == pcmu { 1 } else { 2 };
                for (leg, key) in keys.iter().enumerate() {
                    for part in 0..packets {
                        let number = tick * packets + part;
                        let octet = if leg < TALKERS { 0x31 } else { silence };
                        let mut packet = [octet; 972];
                        let timestamp = number.wrapping_mul(if packets == 1 { 160 } else { 480 });
                        packet[..2].copy_from_slice(&[0x80, format.payload_type]);
                        packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
                        packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
                        packet[8..12].copy_from_slice(&(leg as u32).to_be_bytes());
                        shard.receive(now, *key, peer(leg as u64), &mut packet[..length]);
                    }
                }
                shard.tick(now + TICK / 2);
                let mut sent = 0;
                while let Some((_, octets)) = shard.poll_transmit() {
                    sent += black_box(octets).len();
                }
                while shard.poll_output().is_some() {}
                tick += 1;
                sent
            });
        });
        let sent: u64 =
            keys.iter().filter_map(|key| shard.figures(*key)).map(|figures| figures.packets_out).sum();
        assert!(sent >= members * u64::from(tick), "everybody is sent a packet in each tick");
    }
    group.finish();
}

/// A shard with one room of so many.
fn shard_with_room(members: u64, format: AudioFormat) -> (Shard, Vec<LegKey>) {
    let mut shard = Shard::new(ShardConfig { silence: Duration::from_secs(30) }, [1; 32]);
    let (now, room) = (Time(999_000_000), RoomId(1));
    shard.handle_command(now, Command::OpenRoom { room });
    for leg in 0..members {
        let remote = peer(leg);
        let params = StreamParams {
            remote: Some(remote),
            signalling: remote.ip(),
            latching: Latching::Symmetric,
            clock_rate: format.codec.clock_rate(),
            rtcp: RtcpPort::Above,
            digits: DigitParams::default(),
            send: true,
            receive: true,
        };
        let leg = LegId(leg);
        shard.adopt(now, leg);
        shard.handle_command(now, Command::Configure { leg, params });
        shard.handle_command(now, Command::Join { room, leg, format, role: Role::Participant });
    }
    while let Some(output) = shard.poll_output() {
        assert!(matches!(output, Output::Watch { .. }), "{output:?}");
    }
    let keys = (0..members).map(|leg| shard.key(LegId(leg)).expect("the leg was opened")).collect();
    (shard, keys)
}

/// What RTCP adds to every relayed packet, and what a report costs every few seconds.
fn rtcp(criterion: &mut Criterion) {
    let config = SessionConfig::audio(Ssrc(1), Cname::random([1; 12]), 8000);
    let mut session = Session::new(Time::ZERO, config, 1);
    let (mut now, mut index) = (Time::ZERO, 0u32);
    let mut arrival = || {
        index = index.wrapping_add(1);
        now = now + Duration::from_millis(20);
        let timestamp = index.wrapping_mul(160);
        (now, RtpArrival { ssrc: Ssrc(2), sequence: index as u16, timestamp, octets: 160 })
    };
    criterion.bench_function("rtcp/rtp_in", |bencher| {
        bencher.iter(|| {
            let (now, arrival) = arrival();
            session.handle_rtp_in(now, black_box(&arrival))
        });
    });
    criterion.bench_function("rtcp/rtp_out", |bencher| {
        bencher.iter(|| {
            let (now, arrival) = arrival();
            session.handle_rtp_out(now, black_box(arrival.timestamp), 160);
        });
    });
    let (mut report, mut length, mut later) = ([0; 500], 0, now);
    criterion.bench_function("rtcp/report", |bencher| {
        bencher.iter(|| {
            later = later + Duration::from_secs(10);
            length = session.handle_timeout(later, black_box(&mut report)).unwrap_or(length);
        });
    });
    criterion.bench_function("rtcp/parse", |bencher| {
        bencher.iter(|| {
            Compound::parse(black_box(&report[..length])).map(|compound| compound.packets().count())
        });
    });
}

/// Frames of 20 ms through the detector of digits: noise as loud as speech, and digits.
fn detection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dtmf");
    for rate in [8000u32, 48_000] {
        let frame = rate as usize / 50;
        let mut random = 1u64;
        let noise: Vec<i16> = (0..50 * frame)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 50) as i16 - 8192
            })
            .collect();
        let mut digits = vec![0; 50 * frame];
        let mut generator = ToneGenerator::new(rate, ToneLevels::default());
        for code in 0..7 {
            let digit = Digit { code: EventCode(code), duration: Duration::from_millis(100) };
            generator.push(digit).expect("seven digits fit the queue");
        }
        generator.fill(&mut digits);
        for (name, sound) in [("noise", &noise), ("digits", &digits)] {
            let mut detector = Detector::new(rate).expect("the rate is one of those it takes");
            let mut frames = sound.chunks(frame).cycle();
            group.bench_function(format!("detect_{name}_20ms_{rate}"), |bencher| {
                bencher.iter(|| {
                    detector.handle(black_box(frames.next().unwrap_or_default()), |heard| {
                        black_box(heard);
                    });
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, header, relays, conversion, room_tick, ticks, rtcp, detection);
criterion_main!(benches);
