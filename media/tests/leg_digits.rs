//! Digits on legs of a shard in virtual time: told, dialled, and converted between legs that do them differently.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod scene;

use std::time::Duration;

use allocation_counter::measure;
use media::codec::{Codec, g711};
use media::dtmf::{
    Detector, Digit, Event, EventCode, Heard, QUEUE, Receiver, Sender, ToneGenerator, ToneLevels,
};
use media::mix::Role;
use media::{
    AudioFormat, Command, DigitOutlet, DigitParams, DigitWay, EventFormat, LegId, PayloadMap, PayloadRule,
    Port, Report, RoomId, StreamParams, Time,
};
use scene::{A, A_SDP, B, B_SDP, PTIME, Rtp, Scene, params};
use smallvec::smallvec;

const EVENTS: EventFormat = EventFormat { payload_type: 101, clock_rate: 8_000 };
const WIDE_EVENTS: EventFormat = EventFormat { payload_type: 97, clock_rate: 48_000 };
const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
const SSRC: u32 = 0xaaaa;

fn digit(character: char, ms: u64) -> Digit {
    Digit { code: EventCode::from_char(character).unwrap(), duration: Duration::from_millis(ms) }
}

fn with(sdp: &str, digits: DigitParams) -> StreamParams {
    StreamParams { digits, ..params(sdp) }
}

fn by_events(format: EventFormat) -> DigitParams {
    DigitParams {
        incoming: smallvec![format],
        outlet: DigitOutlet::Events(format),
        listen: None,
        report: true,
    }
}

fn by_tones() -> DigitParams {
    DigitParams { outlet: DigitOutlet::Tones(PCMU), report: true, ..DigitParams::default() }
}

/// Sound alone passes between the two legs.
fn sound() -> PayloadMap {
    PayloadMap::new(&[(0, PayloadRule::Pass(0))])
}

/// A and B, relayed in PCMU, with these ways of digits.
fn relayed(a: DigitParams, b: DigitParams) -> Scene {
    let mut scene = Scene::relayed();
    scene.command(Command::Configure { leg: A, params: with(A_SDP, a) });
    scene.command(Command::Configure { leg: B, params: with(B_SDP, b) });
    scene.relay(A, B, sound(), sound());
    scene
}

/// The packets of a peer that presses keys, one in each tick of 20 ms, and sends sound when it presses none.
fn presses(format: EventFormat, digits: &[Digit], ticks: u16) -> Vec<Rtp> {
    let mut sender = Sender::new(format.clock_rate, 10);
    digits.iter().for_each(|digit| sender.push(*digit).unwrap());
    let step = format.clock_rate / 50;
    (0..ticks)
        .map(|index| match sender.tick(step * u32::from(index), step) {
            Some(event) => Rtp {
                marker: event.marker,
                payload_type: format.payload_type,
                sequence: index,
                timestamp: event.timestamp,
                ssrc: SSRC,
                payload: event.payload.to_vec(),
            },
            None => Rtp { timestamp: step * u32::from(index), ..Rtp::audio(SSRC, index) },
        })
        .collect()
}

/// Everything that leaves on a leg while these packets arrive on A, one in each 20 ms; and the reports.
fn run(scene: &mut Scene, packets: &[Rtp], leg: LegId) -> (Vec<Rtp>, Vec<Report>) {
    let (mut left, mut reports) = (Vec::new(), Vec::new());
    let key = scene.key(leg);
    for packet in packets {
        left.extend(scene.arrive(A, A_SDP, packet).filter(|sent| sent.from == key).map(|sent| sent.rtp));
        scene.pass(Duration::from_millis(2));
        left.extend(tick(scene, leg));
        scene.pass(Duration::from_millis(18));
        reports.extend(scene.reports());
    }
    (left, reports)
}

fn tick(scene: &mut Scene, leg: LegId) -> Vec<Rtp> {
    let (now, key) = (scene.now, scene.key(leg));
    scene.shard.tick(now);
    let mut left = Vec::new();
    while let Some((forward, octets)) = scene.shard.poll_transmit() {
        if forward.leg == key && forward.port == Port::Rtp {
            left.push(Rtp::read(octets));
        }
    }
    left
}

/// The keys that a peer makes of the events it gets.
fn keys(packets: &[Rtp], format: EventFormat) -> Vec<Digit> {
    let (mut receiver, mut keys) = (Receiver::new(format.clock_rate), Vec::new());
    for packet in packets.iter().filter(|packet| packet.payload_type == format.payload_type) {
        let at = (packet.timestamp, packet.marker);
        receiver.handle_packet(Time::ZERO, at, &packet.payload, |heard| keys.extend(over(heard)));
    }
    keys
}

/// The keys that are heard in sound.
fn tones(packets: &[Rtp]) -> Vec<Digit> {
    let (mut detector, mut keys) = (Detector::new(8_000).unwrap(), Vec::new());
    for packet in packets.iter().filter(|packet| packet.payload_type == 0) {
        let sound: Vec<i16> = packet.payload.iter().map(|octet| g711::decode_ulaw(*octet)).collect();
        detector.handle(&sound, |heard| keys.extend(over(heard)));
    }
    keys
}

fn over(heard: Heard) -> Option<Digit> {
    match heard {
        Heard::Started(_) => None,
        Heard::Ended(digit) => Some(digit),
    }
}

fn codes(keys: &[Digit]) -> String {
    keys.iter().map(|key| key.code.to_char().unwrap()).collect()
}

/// One stream: numbers without gaps, timestamps that never go back nor far ahead.
fn assert_continuous(packets: &[Rtp]) {
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "{pair:?}");
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        // The longest that an event tells of itself in one go.
        assert!(step <= 65_535, "{step}: {pair:?}");
    }
}

#[test]
fn keys_are_told_with_their_durations_however_they_pass() {
    let mut scene = relayed(by_events(EVENTS), by_events(EVENTS));
    let map = PayloadMap::new(&[(0, PayloadRule::Pass(0)), (101, PayloadRule::Pass(101))]);
    scene.relay(A, B, map.clone(), map);
    let packets = presses(EVENTS, &[digit('1', 120), digit('#', 400)], 50);
    let (left, reports) = run(&mut scene, &packets, B);
    let told: Vec<_> = reports
        .iter()
        .filter_map(|report| match report {
            Report::Digit { leg: A, heard, way: DigitWay::Event } => Some(*heard),
            _ => None,
        })
        .collect();
    let [one, hash] = [digit('1', 120), digit('#', 400)];
    let both = [Heard::Started(one.code), Heard::Ended(one), Heard::Started(hash.code), Heard::Ended(hash)];
    assert_eq!(told, both);
    // They pass packet by packet, and nothing is dialled besides.
    assert_eq!(left.len(), 50);
    assert_eq!(keys(&left, EVENTS), [one, hash]);
    assert_continuous(&left);
}

#[test]
fn nothing_is_told_that_was_not_asked_for() {
    let quiet = DigitParams { report: false, ..by_events(EVENTS) };
    let mut scene = relayed(quiet.clone(), quiet);
    let (_, reports) = run(&mut scene, &presses(EVENTS, &[digit('1', 120)], 20), B);
    assert!(!reports.iter().any(|report| matches!(report, Report::Digit { .. })), "{reports:?}");
}

#[test]
fn events_become_tones_for_a_peer_without_events() {
    let mut scene = relayed(by_events(EVENTS), by_tones());
    let pressed = [digit('5', 100), digit('5', 200), digit('D', 160)];
    let (left, _) = run(&mut scene, &presses(EVENTS, &pressed, 60), B);
    assert!(left.iter().all(|packet| packet.payload_type == 0 && packet.payload.len() == 160));
    let heard = tones(&left);
    assert_eq!(codes(&heard), "55D");
    for (heard, pressed) in heard.iter().zip(&pressed) {
        let difference = heard.duration.abs_diff(pressed.duration);
        assert!(difference <= Duration::from_millis(45), "{heard:?} for {pressed:?}");
    }
    assert_continuous(&left);
    // Before, between and after them is the sound of the caller.
    assert_eq!(left.last().unwrap().payload, [0x55; 160]);
}

#[test]
fn events_of_another_clock_rate_have_the_durations_they_had() {
    for (from, to) in [(WIDE_EVENTS, EVENTS), (EVENTS, WIDE_EVENTS)] {
        let mut scene = relayed(by_events(from), by_events(to));
        let clock = StreamParams { clock_rate: to.clock_rate, ..with(B_SDP, by_events(to)) };
        scene.command(Command::Configure { leg: B, params: clock });
        let pressed = [digit('9', 140), digit('0', 1_500)];
        let (left, _) = run(&mut scene, &presses(from, &pressed, 120), B);
        let heard = keys(&left, to);
        assert_eq!(codes(&heard), "90");
        for (heard, pressed) in heard.iter().zip(&pressed) {
            assert!(heard.duration.abs_diff(pressed.duration) <= PTIME * 2, "{heard:?} for {pressed:?}");
        }
        assert_continuous(&left);
    }
}

#[test]
fn an_event_whose_end_is_lost_ends_on_the_other_side_too() {
    let mut scene = relayed(by_events(WIDE_EVENTS), by_events(EVENTS));
    let mut packets = presses(WIDE_EVENTS, &[digit('3', 4_000)], 10);
    packets.truncate(8);
    run(&mut scene, &packets, B);
    let mut left = Vec::new();
    for _ in 0..30 {
        left.extend(tick(&mut scene, B));
        scene.pass(PTIME);
    }
    let ends = left.iter().filter(|packet| Event::read(packet.payload[..4].try_into().unwrap()).end).count();
    assert_eq!(ends, 3, "{left:?}");
    let reports = scene.reports();
    let ended = |report: &Report| matches!(report, Report::Digit { leg: A, heard: Heard::Ended(_), .. });
    assert_eq!(reports.iter().filter(|report| ended(report)).count(), 1, "{reports:?}");
}

#[test]
fn digits_are_dialled_as_events_or_tones_in_the_stream_of_the_leg() {
    for (digits, by_tone) in [(by_events(EVENTS), false), (by_tones(), true)] {
        let mut scene = relayed(DigitParams::default(), digits);
        let sound: Vec<Rtp> = (0..100).map(|index| Rtp::audio(SSRC, index)).collect();
        let (mut left, _) = run(&mut scene, &sound[..10], B);
        let dialled = smallvec![digit('4', 90), digit('2', 110)];
        assert_eq!(scene.command(Command::Dial { leg: B, digits: dialled.clone() }), []);
        left.extend(run(&mut scene, &sound[10..60], B).0);
        let heard = if by_tone { tones(&left) } else { keys(&left, EVENTS) };
        assert_eq!(codes(&heard), "42");
        if !by_tone {
            assert_eq!(heard[..], dialled[..]);
        }
        assert_continuous(&left);
        let displaced = scene.shard.figures(scene.key(A)).unwrap().dropped.displaced;
        assert!((10..30).contains(&displaced), "{displaced}");
        assert_eq!(left.last().unwrap().payload, [0x55; 160], "sound goes on");
    }
}

#[test]
fn digits_that_cannot_be_sent_in_the_media_come_back() {
    let mut scene = relayed(DigitParams::default(), DigitParams::default());
    let dialled = smallvec![digit('4', 90), digit('2', 110)];
    let reports = scene.command(Command::Dial { leg: B, digits: dialled.clone() });
    assert_eq!(reports, [Report::NotDialled { leg: B, digits: dialled }]);
    // More than wait at most.
    scene.command(Command::Configure { leg: B, params: with(B_SDP, by_events(EVENTS)) });
    let many = (0..QUEUE + 2).map(|_| digit('1', 100)).collect();
    let reports = scene.command(Command::Dial { leg: B, digits: many });
    assert_eq!(reports, [Report::NotDialled { leg: B, digits: smallvec![digit('1', 100); 2] }]);
}

#[test]
fn tones_that_are_listened_for_are_told_and_become_events() {
    let listening = DigitParams {
        listen: Some(PCMU),
        outlet: DigitOutlet::Tones(PCMU),
        report: true,
        ..DigitParams::default()
    };
    let mut scene = relayed(listening, by_events(EVENTS));
    let mut generator = ToneGenerator::new(8_000, ToneLevels::default());
    for pressed in [digit('7', 120), digit('*', 200)] {
        generator.push(pressed).unwrap();
    }
    let packets: Vec<Rtp> = (0..50)
        .map(|index| {
            let mut samples = [0i16; 160];
            generator.fill(&mut samples);
            let mut payload = vec![0; 160];
            g711::encode_ulaw_into(&samples, &mut payload);
            Rtp { payload, ..Rtp::audio(SSRC, index) }
        })
        .collect();
    let (left, reports) = run(&mut scene, &packets, B);
    assert_eq!(codes(&keys(&left, EVENTS)), "7*");
    assert_continuous(&left);
    let told: Vec<Digit> = reports
        .iter()
        .filter_map(|report| match report {
            Report::Digit { leg: A, heard, way: DigitWay::Tone } => over(*heard),
            _ => None,
        })
        .collect();
    assert_eq!(codes(&told), "7*");
    for (told, pressed) in told.iter().zip([120u64, 200]) {
        assert!(
            told.duration.abs_diff(Duration::from_millis(pressed)) <= Duration::from_millis(12),
            "{told:?}"
        );
    }
}

/// Legs in one room, each in PCMU with its way of digits.
fn room(ways: &[DigitParams]) -> Scene {
    let mut scene = Scene::empty();
    let room = RoomId(5);
    scene.command(Command::OpenRoom { room });
    for (leg, digits) in (1..).map(LegId).zip(ways) {
        let sdp = if leg == A { A_SDP } else { B_SDP };
        scene.open(leg);
        scene.command(Command::Configure { leg, params: with(sdp, digits.clone()) });
        scene.command(Command::Join { room, leg, format: PCMU, role: Role::Participant });
    }
    scene
}

#[test]
fn a_key_in_a_room_of_two_reaches_the_other_in_its_own_way() {
    let pressed = [digit('8', 140), digit('6', 220)];
    for (b, by_tone) in [(by_events(EVENTS), false), (by_events(WIDE_EVENTS), false), (by_tones(), true)] {
        let mut scene = room(&[by_events(EVENTS), b.clone()]);
        let (left, reports) = run(&mut scene, &presses(EVENTS, &pressed, 60), B);
        let heard = match b.outlet {
            DigitOutlet::Events(format) => keys(&left, format),
            DigitOutlet::Tones(_) | DigitOutlet::Nowhere => tones(&left),
        };
        assert_eq!(codes(&heard), "86", "{by_tone}");
        for (heard, pressed) in heard.iter().zip(&pressed) {
            assert!(heard.duration.abs_diff(pressed.duration) <= Duration::from_millis(45), "{heard:?}");
        }
        assert_continuous(&left);
        assert_eq!(reports.iter().filter(|report| matches!(report, Report::Digit { leg: A, .. })).count(), 4);
    }
}

#[test]
fn a_key_in_a_conference_of_three_is_told_and_heard_by_nobody() {
    let mut scene = room(&[by_events(EVENTS), by_events(EVENTS), by_events(EVENTS)]);
    let (left, reports) = run(&mut scene, &presses(EVENTS, &[digit('8', 140)], 30), B);
    assert!(left.iter().all(|packet| packet.payload_type == 0));
    assert_eq!(reports.iter().filter(|report| matches!(report, Report::Digit { .. })).count(), 2);
}

#[test]
fn digits_that_a_room_had_not_sent_yet_go_on_in_the_relay() {
    let mut scene = room(&[by_events(EVENTS), by_events(EVENTS)]);
    let sound_of_a: Vec<Rtp> = (0..200).map(|index| Rtp::audio(SSRC, index)).collect();
    let (mut left, _) = run(&mut scene, &sound_of_a[..20], B);
    scene.command(Command::Dial { leg: B, digits: smallvec![digit('1', 400), digit('2', 100)] });
    left.extend(run(&mut scene, &sound_of_a[20..30], B).0);
    scene.relay(A, B, sound(), sound());
    left.extend(run(&mut scene, &sound_of_a[30..100], B).0);
    assert_eq!(codes(&keys(&left, EVENTS)), "12");
    assert_continuous(&left);
    assert_eq!(left.last().unwrap().payload, [0x55; 160]);
}

#[test]
fn a_key_that_is_down_when_its_peer_leaves_goes_up() {
    let mut scene = room(&[by_events(EVENTS), by_tones()]);
    let (mut left, _) = run(&mut scene, &presses(EVENTS, &[digit('8', 5_000)], 20), B);
    scene.command(Command::Close { leg: A });
    for _ in 0..50 {
        left.extend(tick(&mut scene, B));
        scene.pass(PTIME);
    }
    let heard = tones(&left);
    assert_eq!(codes(&heard), "8");
    assert!(heard.iter().all(|digit| digit.duration < Duration::from_millis(600)), "{heard:?}");
}

#[test]
fn a_peer_on_hold_is_sent_no_digits_and_their_time_passes() {
    let mut scene = relayed(by_events(WIDE_EVENTS), by_events(EVENTS));
    scene.command(Command::Configure {
        leg: B,
        params: StreamParams { receive: false, ..with(B_SDP, by_events(EVENTS)) },
    });
    let (left, _) = run(&mut scene, &presses(WIDE_EVENTS, &[digit('8', 140)], 30), B);
    assert_eq!(left, []);
    scene.command(Command::Configure { leg: B, params: with(B_SDP, by_events(EVENTS)) });
    let sound: Vec<Rtp> = (30..50).map(|index| Rtp::audio(SSRC, index)).collect();
    let (left, _) = run(&mut scene, &sound, B);
    assert!(left.len() == 20 && left.iter().all(|packet| packet.payload_type == 0));
}

#[test]
fn a_flood_of_keys_is_cut_to_what_a_hand_can_press_and_a_burst_is_not() {
    let mut scene = relayed(by_events(WIDE_EVENTS), by_events(EVENTS));
    let mut press = |count: u16, first: u16| {
        let mut starts = 0;
        for index in first..first + count {
            let event = Event { code: EventCode((index % 10) as u8), end: true, volume: 10, duration: 4_800 };
            let packet = Rtp {
                marker: true,
                payload_type: WIDE_EVENTS.payload_type,
                timestamp: 9_600 * u32::from(index),
                payload: event.to_bytes().to_vec(),
                ..Rtp::audio(SSRC, index)
            };
            assert_eq!(scene.arrive(A, A_SDP, &packet), None);
            let started = |report: &Report| matches!(report, Report::Digit { heard: Heard::Started(_), .. });
            starts += scene.reports().iter().filter(|report| started(report)).count();
        }
        scene.pass(Duration::from_secs(2));
        starts
    };
    assert_eq!(press(15, 0), 15);
    assert_eq!(press(1_000, 100), 21);
    assert_eq!(press(10, 2_000), 10);
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().keys_skipped, 979);
}

#[test]
fn converting_and_listening_allocate_nothing() {
    let listening = DigitParams { listen: Some(PCMU), ..by_events(WIDE_EVENTS) };
    for (b, in_room) in
        [(by_events(EVENTS), false), (by_tones(), false), (by_events(EVENTS), true), (by_tones(), true)]
    {
        let mut scene = if in_room { room(&[listening.clone(), b]) } else { relayed(listening.clone(), b) };
        let pressed = [digit('8', 140), digit('6', 220), digit('1', 80)];
        let mut packets: Vec<Vec<u8>> = presses(WIDE_EVENTS, &pressed, 100).iter().map(Rtp::bytes).collect();
        let (key, source, mut now) = (scene.key(A), scene::at(A_SDP), scene.now);
        let shard = &mut scene.shard;
        let info = measure(|| {
            for packet in &mut packets {
                shard.receive(now, key, source, packet);
                now = now + PTIME;
                shard.tick(now);
                while shard.poll_transmit().is_some() {}
            }
        });
        assert_eq!(info.count_total, 0);
    }
}

#[test]
fn a_restored_shard_goes_on_dialling() {
    let mut scene = relayed(DigitParams::default(), by_events(EVENTS));
    let sound_of_a: Vec<Rtp> = (0..60).map(|index| Rtp::audio(SSRC, index)).collect();
    let (mut left, _) = run(&mut scene, &sound_of_a[..5], B);
    scene.command(Command::Dial { leg: B, digits: smallvec![digit('1', 200)] });
    left.extend(run(&mut scene, &sound_of_a[5..10], B).0);
    let stored = postcard::to_allocvec(&scene.shard).unwrap();
    scene.shard = postcard::from_bytes(&stored).unwrap();
    left.extend(run(&mut scene, &sound_of_a[10..], B).0);
    assert_eq!(keys(&left, EVENTS), [digit('1', 200)]);
    assert_continuous(&left);
}
