//! Events of RFC 4733 from press to packet and back, over lines that lose, double and reorder; and between the three ways.

use std::time::Duration;

use allocation_counter::measure;
use media::Time;
use media::dtmf::{
    Detector, Digit, ENDS, Event, EventCode, Heard, MAX_HELD, MIN_PAUSE, QUEUE, QueueFull, Receiver, SILENCE,
    Sender, ToneGenerator, ToneLevels, events, info,
};
use proptest::prelude::*;

/// Ticks of a frame of 20 ms at 8 kHz.
const STEP: u32 = 160;
const PTIME: Duration = Duration::from_millis(20);

/// A packet with the tick in which it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    tick: u32,
    marker: bool,
    timestamp: u32,
    payload: Vec<u8>,
}

impl Sent {
    fn event(&self) -> Event {
        events(&self.payload).next().expect("a packet has an event")
    }
}

fn digit(code: u8, ms: u64) -> Digit {
    Digit { code: EventCode(code), duration: Duration::from_millis(ms) }
}

/// Runs a sender for some ticks from timestamp `first` on.
fn run(sender: &mut Sender, first: u32, ticks: std::ops::Range<u32>) -> Vec<Sent> {
    ticks
        .filter_map(|tick| {
            let packet = sender.tick(first.wrapping_add(STEP * tick), STEP)?;
            let (marker, timestamp, payload) = (packet.marker, packet.timestamp, packet.payload.to_vec());
            Some(Sent { tick, marker, timestamp, payload })
        })
        .collect()
}

fn sent(digits: &[Digit], ticks: u32) -> Vec<Sent> {
    let mut sender = Sender::new(8000, 10);
    digits.iter().for_each(|digit| sender.push(*digit).expect("there is room"));
    let sent = run(&mut sender, 5000, 0..ticks);
    assert!(sender.is_idle());
    sent
}

/// What a receiver makes of packets, each at the time of its tick, and of the silence after them.
fn heard(packets: &[Sent]) -> Vec<Heard> {
    let (mut receiver, mut heard) = (Receiver::new(8000), Vec::new());
    let mut now = Time::ZERO;
    for packet in packets {
        now = now.max(Time::ZERO + PTIME * packet.tick);
        receiver.handle_timeout(now, |what| heard.push(what));
        receiver
            .handle_packet(now, (packet.timestamp, packet.marker), &packet.payload, |what| heard.push(what));
    }
    receiver.handle_timeout(now + SILENCE, |what| heard.push(what));
    assert_eq!(receiver.poll_timeout(), None);
    heard
}

/// The digits of it; each one begins before it ends, and none overlap.
fn digits(packets: &[Sent]) -> Vec<Digit> {
    let heard = heard(packets);
    let (pairs, rest) = heard.as_chunks::<2>();
    assert_eq!(rest, []);
    let whole = |pair: &[Heard; 2]| match *pair {
        [Heard::Started(code), Heard::Ended(digit)] if code == digit.code => digit,
        _ => panic!("{pair:?}"),
    };
    pairs.iter().map(whole).collect()
}

fn packet(tick: u32, marker: bool, timestamp: u32, event: (u8, bool, u16)) -> Sent {
    let (code, end, duration) = event;
    let event = Event { code: EventCode(code), end, volume: 10, duration };
    Sent { tick, marker, timestamp, payload: event.to_bytes().to_vec() }
}

#[test]
fn an_event_grows_under_one_timestamp_and_ends_three_times() {
    let packets = sent(&[digit(5, 100)], 20);
    let fields: Vec<_> = packets
        .iter()
        .map(|packet| (packet.marker, packet.timestamp, packet.event().end, packet.event().duration))
        .collect();
    assert_eq!(
        fields,
        [
            (true, 5000, false, 160),
            (false, 5000, false, 320),
            (false, 5000, false, 480),
            (false, 5000, false, 640),
            (false, 5000, true, 800),
            (false, 5000, true, 800),
            (false, 5000, true, 800),
        ]
    );
    assert_eq!(packets[0].event().volume, 10);
}

#[test]
fn a_duration_that_is_no_whole_number_of_ticks_is_told_exactly() {
    assert_eq!(sent(&[digit(5, 90)], 20).last().unwrap().event().duration, 720);
    assert_eq!(digits(&sent(&[digit(5, 90)], 20)), [digit(5, 90)]);
}

#[test]
fn keys_are_at_least_forty_milliseconds_and_have_a_pause_between_them() {
    let packets = sent(&[digit(1, 1), digit(1, 1)], 30);
    let starts: Vec<_> =
        packets.iter().filter(|packet| packet.marker).map(|packet| packet.timestamp).collect();
    let first = packets[0].timestamp;
    assert_eq!(packets[1].event().duration, 320);
    let pause = starts[1] - first - 320;
    assert!(pause >= MIN_PAUSE.as_millis() as u32 * 8, "{pause}");
}

#[test]
fn the_queue_is_bounded() {
    let mut sender = Sender::new(8000, 10);
    for _ in 0..QUEUE {
        sender.push(digit(1, 40)).unwrap();
    }
    assert_eq!(sender.push(digit(1, 40)), Err(QueueFull));
}

#[test]
fn clearing_ends_the_key_that_is_down_and_forgets_the_rest() {
    let mut sender = Sender::new(8000, 10);
    for code in 1..4 {
        sender.push(digit(code, 1000)).unwrap();
    }
    let mut packets = run(&mut sender, 0, 0..5);
    sender.clear();
    packets.extend(run(&mut sender, 0, 5..30));
    assert!(sender.is_idle());
    assert_eq!(digits(&packets).len(), 1);
    assert!(packets.last().unwrap().event().end);
}

#[test]
fn an_event_longer_than_a_report_can_tell_goes_on_in_segments() {
    let packets = sent(&[digit(7, 20_000)], 1100);
    let first_segment: Vec<_> = packets.iter().filter(|packet| packet.timestamp == 5000).collect();
    let last = first_segment.last().unwrap().event();
    assert_eq!((last.duration, last.end), (0xffff, false));
    let segments = packets.iter().filter(|packet| packet.timestamp == 5000 + 0xffff);
    assert!(segments.clone().count() > 100 && segments.clone().all(|packet| !packet.marker));
    assert_eq!(packets.iter().filter(|packet| packet.event().end).count(), usize::from(ENDS));
    assert_eq!(digits(&packets), [digit(7, 20_000)]);
}

#[test]
fn a_segment_whose_last_packets_are_lost_is_no_new_digit() {
    let mut packets = sent(&[digit(7, 20_000)], 1100);
    packets.retain(|packet| packet.event().duration < 0xfd00);
    assert_eq!(digits(&packets), [digit(7, 20_000)]);
}

#[test]
fn a_key_held_on_one_leg_is_sent_while_it_is_held() {
    let mut sender = Sender::new(8000, 10);
    sender.handle(Heard::Started(EventCode(4))).unwrap();
    let mut packets = run(&mut sender, 0, 0..10);
    assert_eq!(packets.len(), 10);
    sender.handle(Heard::Ended(digit(4, 205))).unwrap();
    packets.extend(run(&mut sender, 0, 10..30));
    assert_eq!(digits(&packets), [digit(4, 205)]);
}

#[test]
fn a_key_released_in_the_past_never_gets_shorter_than_was_told() {
    let mut sender = Sender::new(8000, 10);
    sender.handle(Heard::Started(EventCode(4))).unwrap();
    let mut packets = run(&mut sender, 0, 0..10);
    sender.handle(Heard::Ended(digit(4, 60))).unwrap();
    packets.extend(run(&mut sender, 0, 10..30));
    assert_eq!(digits(&packets), [digit(4, 200)]);
    let durations: Vec<_> = packets.iter().map(|packet| packet.event().duration).collect();
    assert!(durations.is_sorted());
}

#[test]
fn a_key_that_nobody_releases_goes_up_by_itself() {
    let mut sender = Sender::new(8000, 10);
    sender.handle(Heard::Started(EventCode(4))).unwrap();
    let packets = run(&mut sender, 0, 0..4000);
    assert!(sender.is_idle());
    assert_eq!(digits(&packets), [Digit { code: EventCode(4), duration: MAX_HELD }]);
}

#[test]
fn the_end_is_told_once_with_the_first_of_its_packets() {
    let packets = [
        packet(0, true, 100, (3, false, 160)),
        packet(1, false, 100, (3, true, 320)),
        packet(2, false, 100, (3, true, 320)),
        packet(3, false, 100, (3, true, 320)),
    ];
    assert_eq!(heard(&packets[..2]), [Heard::Started(EventCode(3)), Heard::Ended(digit(3, 40))]);
    assert_eq!(digits(&packets), [digit(3, 40)]);
    assert_eq!(digits(&packets[3..]), [digit(3, 40)]);
}

#[test]
fn the_next_event_ends_one_whose_end_was_lost() {
    let packets = [packet(0, true, 100, (3, false, 160)), packet(6, true, 1060, (3, false, 160))];
    assert_eq!(digits(&packets), [digit(3, 20), digit(3, 20)]);
}

#[test]
fn silence_ends_an_event_and_what_comes_of_it_later_is_ignored() {
    let mut receiver = Receiver::new(8000);
    let mut heard = Vec::new();
    let report = Event { code: EventCode(3), end: false, volume: 0, duration: 160 }.to_bytes();
    receiver.handle_packet(Time::ZERO, (100, true), &report, |what| heard.push(what));
    let due = receiver.poll_timeout().unwrap();
    assert_eq!(due, Time::ZERO + SILENCE);
    receiver.handle_timeout(Time(due.0 - 1), |what| heard.push(what));
    assert_eq!(heard.len(), 1);
    receiver.handle_timeout(due, |what| heard.push(what));
    assert_eq!(heard.len(), 2);
    let late = Event { code: EventCode(3), end: true, volume: 0, duration: 8000 }.to_bytes();
    receiver.handle_packet(due + PTIME, (100, false), &late, |what| heard.push(what));
    assert_eq!(heard.len(), 2);
}

#[test]
fn late_packets_of_an_event_before_this_one_are_ignored() {
    let packets = [
        packet(0, true, 100, (3, true, 320)),
        packet(6, true, 1060, (4, false, 160)),
        packet(6, false, 100, (3, true, 320)),
        packet(7, false, 1060, (4, true, 320)),
        packet(7, false, 100, (3, true, 320)),
    ];
    assert_eq!(digits(&packets), [digit(3, 40), digit(4, 40)]);
}

#[test]
fn timestamps_that_begin_anew_are_events_again() {
    let packets = [packet(0, true, 4_000_000, (3, true, 320)), packet(9, true, 50, (3, true, 320))];
    assert_eq!(digits(&packets).len(), 2);
    let wrapped = [packet(0, true, u32::MAX - 99, (3, true, 320)), packet(9, true, 1340, (3, true, 320))];
    assert_eq!(digits(&wrapped).len(), 2);
    let mut receiver = Receiver::new(8000);
    let (report, mut count) = (wrapped[0].payload.clone(), 0);
    receiver.handle_packet(Time::ZERO, (100, true), &report, |_| count += 1);
    receiver.handle_new_stream(|_| count += 1);
    receiver.handle_packet(Time::ZERO, (90, true), &report, |_| count += 1);
    assert_eq!(count, 4);
}

#[test]
fn events_packed_into_one_packet_are_all_heard_once() {
    let mut packed = packet(0, true, 100, (1, true, 400));
    packed.payload.extend(packet(0, true, 0, (2, true, 480)).payload);
    let again = Sent { tick: 1, marker: false, ..packed.clone() };
    assert_eq!(digits(&[packed, again]), [digit(1, 50), digit(2, 60)]);
}

#[test]
fn the_flash_travels_like_a_digit() {
    assert_eq!(digits(&sent(&[digit(16, 300)], 40)), [digit(16, 300)]);
}

#[test]
fn from_events_to_sound_to_events_the_digits_stay_the_same() {
    let dialled: Vec<Digit> = (0..16).map(|code| digit(code, 60 + 10 * u64::from(code))).collect();
    let (mut receiver, mut generator) =
        (Receiver::new(8000), ToneGenerator::new(8000, ToneLevels::default()));
    let (mut detector, mut sender) = (Detector::new(8000).unwrap(), Sender::new(8000, 10));
    let (mut packets, mut out) = (sent(&dialled, 400).into_iter().peekable(), Vec::new());
    for tick in 0..500 {
        let now = Time::ZERO + PTIME * tick;
        while let Some(packet) = packets.next_if(|packet| packet.tick == tick) {
            let timing = (packet.timestamp, packet.marker);
            receiver.handle_packet(now, timing, &packet.payload, |heard| generator.handle(heard).unwrap());
        }
        let mut frame = [0; 160];
        generator.fill(&mut frame);
        detector.handle(&frame, |heard| sender.handle(heard).unwrap());
        out.extend(run(&mut sender, 7777, tick..tick + 1));
    }
    let arrived = digits(&out);
    assert_eq!(arrived.len(), 16);
    for (arrived, dialled) in arrived.iter().zip(&dialled) {
        assert_eq!(arrived.code, dialled.code);
        let off = arrived.duration.abs_diff(dialled.duration);
        assert!(off <= Duration::from_millis(30), "{arrived:?} {dialled:?}");
    }
}

#[test]
fn from_info_to_events_to_info_the_body_stays_the_same() {
    let body = b"Signal=#\r\nDuration=160\r\n";
    let arrived = digits(&sent(&[info::parse(body).unwrap()], 30));
    let mut out = [0; info::BODY];
    let length = info::write(&arrived[0], &mut out).unwrap();
    assert_eq!(&out[..length], body);
}

#[test]
fn sending_and_hearing_events_allocates_nothing() {
    let (mut sender, mut receiver, mut count) = (Sender::new(8000, 10), Receiver::new(8000), 0);
    let counted = measure(|| {
        for code in 0..40 {
            let _ = sender.push(digit(code % 17, 80));
        }
        for tick in 0..500 {
            if let Some(packet) = sender.tick(160 * tick, 160) {
                let timing = (packet.timestamp, packet.marker);
                receiver.handle_packet(Time::ZERO + PTIME * tick, timing, &packet.payload, |_| count += 1);
            }
        }
    });
    assert_eq!((counted.count_total, count), (0, 64));
}

/// Whether each of `events` still has a packet among `left`.
fn survivors(dialled: &[Digit], all: &[Sent], left: &[Sent]) -> Vec<EventCode> {
    let starts: Vec<u32> = all.iter().filter(|packet| packet.marker).map(|packet| packet.timestamp).collect();
    let alive = |start: &u32| left.iter().any(|packet| packet.timestamp == *start);
    dialled.iter().zip(&starts).filter(|(_, start)| alive(start)).map(|(digit, _)| digit.code).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn loss_never_doubles_a_digit_and_loses_one_only_with_all_its_packets(
        codes in prop::collection::vec(0..16u8, 1..20),
        ms in 40..300u64,
        loss in prop::sample::select(&[0.1, 0.3, 0.7][..]),
        chance in prop::collection::vec(0.0..1.0f64, 600),
    ) {
        let dialled: Vec<Digit> = codes.iter().map(|code| digit(*code, ms)).collect();
        let all = sent(&dialled, 600);
        let left: Vec<Sent> =
            all.iter().zip(&chance).filter(|(_, chance)| **chance >= loss).map(|(packet, _)| packet.clone()).collect();
        let arrived: Vec<EventCode> = digits(&left).iter().map(|digit| digit.code).collect();
        prop_assert_eq!(arrived, survivors(&dialled, &all, &left));
    }

    #[test]
    fn doubled_and_slightly_late_packets_change_nothing(
        codes in prop::collection::vec(0..16u8, 1..20),
        late in prop::collection::vec(0..3usize, 600),
    ) {
        let dialled: Vec<Digit> = codes.iter().map(|code| digit(*code, 80)).collect();
        let mut packets: Vec<(usize, Sent)> = Vec::new();
        for (at, packet) in sent(&dialled, 600).into_iter().enumerate() {
            packets.push((at + late[at], packet.clone()));
            packets.push((at + 2 * late[599 - at], packet));
        }
        packets.sort_by_key(|(at, _)| *at);
        let packets: Vec<Sent> = packets.into_iter().map(|(_, packet)| packet).collect();
        let arrived: Vec<EventCode> = digits(&packets).iter().map(|digit| digit.code).collect();
        prop_assert_eq!(arrived, dialled.iter().map(|digit| digit.code).collect::<Vec<_>>());
    }

    #[test]
    fn no_packet_and_no_order_of_them_panics(
        packets in prop::collection::vec(
            (any::<u64>(), any::<u32>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..13)), 0..50),
        rate in prop::sample::select(&[0, 1, 8000, u32::MAX][..]),
    ) {
        let mut receiver = Receiver::new(rate);
        let mut down = 0;
        let mut hear = |heard| match heard {
            Heard::Started(_) => down += 1,
            Heard::Ended(_) => down -= 1,
        };
        for (now, timestamp, marker, payload) in packets {
            receiver.handle_packet(Time(now), (timestamp, marker), &payload, &mut hear);
            receiver.handle_timeout(Time(now / 2), &mut hear);
        }
        receiver.handle_new_stream(&mut hear);
        prop_assert_eq!(down, 0);
    }

    #[test]
    fn no_press_and_no_tick_breaks_a_sender(
        acts in prop::collection::vec((0..5u8, any::<u8>(), any::<u32>(), any::<u64>()), 0..200),
        rate in prop::sample::select(&[0, 1, 8000, 48_000, u32::MAX][..]),
    ) {
        let mut sender = Sender::new(rate, 255);
        let mut generator = ToneGenerator::new(rate.clamp(8000, 48_000), ToneLevels { low: 3.0, high: 3.0 });
        let mut frame = [0; 160];
        for (act, code, step, nanos) in acts {
            let digit = Digit { code: EventCode(code), duration: Duration::from_nanos(nanos) };
            match act {
                0 => { let _ = (sender.push(digit), generator.push(digit)); }
                1 => { let _ = (sender.handle(Heard::Started(digit.code)), generator.handle(Heard::Started(digit.code))); }
                2 => { let _ = (sender.handle(Heard::Ended(digit)), generator.handle(Heard::Ended(digit))); }
                3 if code == 0 => sender.clear(),
                _ => { let _ = (sender.tick(step, step % 9000), generator.fill(&mut frame)); }
            }
        }
    }

    #[test]
    fn no_body_of_info_panics(body in prop::collection::vec(any::<u8>(), 0..60), text in "[sS]ignal ?= ?.{0,6}\r\n[dD]uration=.{0,9}") {
        let _ = (info::parse(&body), info::parse(text.as_bytes()));
    }
}
