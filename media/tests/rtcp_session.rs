//! Two RTCP sessions that talk to each other in virtual time, and feedback that passes between them.

use std::time::Duration;

use allocation_counter::measure;
use media::Time;
use media::rtcp::{
    Cname, Compound, Conflict, FeedbackMap, NtpTime, Packet, ParseError, RtpArrival, Session, SessionConfig,
    WallClock,
};
use media::rtp::Ssrc;
use proptest::prelude::*;

const A: Ssrc = Ssrc(0xaaaa_0001);
const B: Ssrc = Ssrc(0xbbbb_0002);
const PTIME: Duration = Duration::from_millis(20);
/// 2026-11-21 00:00:00 UTC.
const TODAY: u64 = 1_795_219_200_000_000_000;

fn config(ssrc: Ssrc) -> SessionConfig {
    SessionConfig::audio(ssrc, Cname::random([ssrc.0 as u8; 12]), 8000)
}

fn session(ssrc: Ssrc) -> Session {
    let mut session = Session::new(Time::ZERO, config(ssrc), u64::from(ssrc.0));
    session.set_wall_clock(WallClock { at: Time::ZERO, unix_nanos: TODAY });
    session
}

fn arrival(ssrc: Ssrc, index: u32) -> RtpArrival {
    RtpArrival { ssrc, sequence: index as u16, timestamp: 160 * index, octets: 160 }
}

/// Two sessions that exchange G.711 over a line with a delay each way.
struct Line {
    a: Session,
    b: Session,
    delay: Duration,
    /// RTCP on its way: arrival, whether it is for A, bytes.
    underway: Vec<(Time, bool, Vec<u8>)>,
    packets: u32,
    sent_by_a: Vec<Vec<u8>>,
}

impl Line {
    fn new(delay: Duration) -> Self {
        let (a, b) = (session(A), session(B));
        Self { a, b, delay, underway: Vec::new(), packets: 0, sent_by_a: Vec::new() }
    }

    fn now(&self) -> Time {
        Time::ZERO + PTIME * self.packets
    }

    /// Sends `count` packets each way; `lost` says which of A's do not arrive.
    fn talk(&mut self, count: u32, lost: impl Fn(u32) -> bool) {
        for _ in 0..count {
            let (index, now) = (self.packets, self.now());
            self.a.handle_rtp_out(now, 160 * index, 160);
            self.b.handle_rtp_out(now, 160 * index, 160);
            if !lost(index) {
                self.b.handle_rtp_in(now + self.delay, &arrival(A, index));
            }
            self.a.handle_rtp_in(now + self.delay, &arrival(B, index));
            self.exchange(now);
            self.packets += 1;
        }
    }

    fn exchange(&mut self, now: Time) {
        let mut out = [0; 500];
        if let Some(length) = self.a.handle_timeout(now, &mut out) {
            self.sent_by_a.push(out[..length].to_vec());
            self.underway.push((now + self.delay, false, out[..length].to_vec()));
        }
        if let Some(length) = self.b.handle_timeout(now, &mut out) {
            self.underway.push((now + self.delay, true, out[..length].to_vec()));
        }
        for (at, to_a, bytes) in self.underway.extract_if(.., |(at, ..)| *at <= now) {
            let to = if to_a { &mut self.a } else { &mut self.b };
            to.handle_packet(at, &bytes).expect("sessions write RTCP");
        }
    }
}

#[test]
fn the_round_trip_is_twice_the_way_whatever_the_reports_waited() {
    let mut line = Line::new(Duration::from_millis(40));
    line.talk(1500, |_| false);
    for session in [&line.a, &line.b] {
        let round_trip = session.figures().round_trip.unwrap();
        assert!(round_trip.abs_diff(Duration::from_millis(80)) < Duration::from_millis(1), "{round_trip:?}");
    }
}

#[test]
fn a_step_of_the_wall_clock_does_not_change_the_round_trip() {
    let mut line = Line::new(Duration::from_millis(40));
    line.talk(1000, |_| false);
    line.a.set_wall_clock(WallClock { at: line.now(), unix_nanos: TODAY / 2 });
    line.talk(1000, |_| false);
    let longest = line.a.figures().round_trip_max.unwrap();
    assert!(longest < Duration::from_millis(81), "{longest:?}");
}

#[test]
fn each_side_learns_what_the_other_lost() {
    let mut line = Line::new(Duration::from_millis(10));
    line.talk(2000, |index| index % 10 == 3);
    let (a, b) = (line.a.figures(), line.b.figures());
    assert_eq!((b.lost, b.expected), (200, 2000));
    assert_eq!((a.lost, a.packets_in, a.octets_in), (0, 2000, 320_000));
    let remote = a.remote.unwrap();
    assert!((24..=27).contains(&remote.fraction_lost), "{}", remote.fraction_lost);
    assert!(remote.lost > 100);
    assert!(remote.r_factor.unwrap() < 80, "{:?}", remote.r_factor);
    assert_eq!(b.remote.unwrap().lost, 0);
    assert_eq!(b.remote.unwrap().mos_conversational, Some(44));
    assert!(b.quality.unwrap().r_factor < a.quality.unwrap().r_factor);
}

#[test]
fn a_sender_report_tells_both_clocks_at_its_moment() {
    let mut line = Line::new(Duration::from_millis(10));
    line.talk(1000, |_| false);
    let Some(Packet::SenderReport(report)) = Compound::parse(&line.sent_by_a[1]).unwrap().packets().next()
    else {
        panic!("A sends")
    };
    let info = report.info();
    let seconds = (info.ntp.0 - NtpTime::from_unix_nanos(TODAY).0) as f64 / 4_294_967_296.0;
    assert!((f64::from(info.rtp_timestamp) / 8000.0 - seconds).abs() < 0.001);
    assert_eq!(info.octets, 160 * info.packets);
    assert_eq!(report.blocks().next().unwrap().ssrc, B);
}

#[test]
fn reports_are_compound_packets_with_a_name_and_metrics() {
    let mut line = Line::new(Duration::from_millis(10));
    line.talk(1000, |_| false);
    for bytes in &line.sent_by_a {
        let packets: Vec<_> = Compound::parse(bytes).unwrap().packets().collect();
        let [Packet::SenderReport(_), Packet::SourceDescription(name), Packet::ExtendedReport(metrics)] =
            packets[..]
        else {
            panic!("{packets:?}")
        };
        assert_eq!(name.chunks().next().unwrap().cname(), Some(Cname::random([A.0 as u8; 12]).as_bytes()));
        assert_eq!(metrics.voip_metrics().next().unwrap().ssrc, B);
    }
    assert!((2..=9).contains(&line.sent_by_a.len()), "{}", line.sent_by_a.len());
}

#[test]
fn who_sends_nothing_reports_as_a_receiver_and_who_hears_nothing_without_blocks() {
    let mut quiet = session(A);
    let mut out = [0; 500];
    let length = loop {
        let due = quiet.poll_timeout().unwrap();
        if let Some(length) = quiet.handle_timeout(due, &mut out) {
            break length;
        }
    };
    let Some(Packet::ReceiverReport(report)) = Compound::parse(&out[..length]).unwrap().packets().next()
    else {
        panic!("nothing was sent")
    };
    assert_eq!((report.ssrc(), report.blocks().count()), (A, 0));
}

#[test]
fn bye_ends_the_session_with_a_last_report() {
    let mut line = Line::new(Duration::from_millis(10));
    line.talk(500, |_| false);
    let mut out = [0; 800];
    let length = line.a.write_bye(line.now(), b"", &mut out).unwrap();
    assert_eq!(line.a.poll_timeout(), None);
    assert_eq!(line.a.write_bye(line.now(), b"", &mut out), None);
    let handled = line.b.handle_packet(line.now(), &out[..length]).unwrap();
    assert!(handled.goodbye);
}

#[test]
fn who_never_sent_anything_says_no_bye() {
    assert_eq!(session(A).write_bye(Time::ZERO, b"gone", &mut [0; 800]), None);
}

#[test]
fn a_session_without_bandwidth_sends_nothing() {
    let config = SessionConfig { bandwidth: 0, ..config(A) };
    let mut mute = Session::new(Time::ZERO, config, 1);
    mute.handle_rtp_out(Time::ZERO, 0, 160);
    assert_eq!(mute.poll_timeout(), None);
    assert_eq!(mute.handle_timeout(Time(1 << 60), &mut [0; 500]), None);
    assert_eq!(mute.write_bye(Time::ZERO, b"", &mut [0; 800]), None);
}

#[test]
fn a_peer_under_our_ssrc_is_a_collision_until_we_change_and_a_loop_when_it_follows() {
    let mut us = session(A);
    us.handle_rtp_out(Time::ZERO, 0, 160);
    assert_eq!(us.handle_rtp_in(Time::ZERO, &arrival(A, 1)), Some(Conflict::Collision));
    assert_eq!(us.handle_rtp_in(Time::ZERO, &arrival(A, 2)), Some(Conflict::Collision));
    let mut out = [0; 800];
    let length = us.change_ssrc(Time::ZERO, Ssrc(77), &mut out).unwrap();
    let goodbye = Compound::parse(&out[..length]).unwrap().packets().find_map(|packet| match packet {
        Packet::Goodbye(goodbye) => goodbye.sources().next(),
        _ => None,
    });
    assert_eq!(goodbye, Some(A));
    assert_eq!(us.handle_rtp_in(Time::ZERO, &arrival(A, 3)), None);
    assert_eq!(us.handle_rtp_in(Time::ZERO, &arrival(Ssrc(77), 4)), Some(Conflict::Loop));
    // Ten intervals later it would be chance again.
    let later = Time::ZERO + Duration::from_secs(60);
    assert_eq!(us.handle_rtp_in(later, &arrival(Ssrc(77), 5)), Some(Conflict::Collision));
    assert_eq!(us.figures().packets_in, 1);
}

#[test]
fn our_own_reports_that_come_back_are_a_loop_and_count_nowhere() {
    let mut line = Line::new(Duration::from_millis(10));
    line.talk(1000, |_| false);
    let (bytes, before) = (line.sent_by_a[0].clone(), line.a.figures());
    let handled = line.a.handle_packet(line.now(), &bytes).unwrap();
    assert_eq!(handled.conflict, Some(Conflict::Loop));
    assert_eq!(line.a.figures().reports_in, before.reports_in);
    let mut other =
        Session::new(Time::ZERO, SessionConfig { cname: Cname::given("x").unwrap(), ..config(A) }, 1);
    assert_eq!(other.handle_packet(Time::ZERO, &bytes).unwrap().conflict, Some(Conflict::Collision));
}

#[test]
fn a_new_ssrc_of_the_peer_is_no_loss() {
    let mut us = session(A);
    for index in 0..100 {
        us.handle_rtp_in(Time::ZERO + PTIME * index, &arrival(B, index));
    }
    for index in 0..100 {
        let new = RtpArrival { ssrc: Ssrc(9), sequence: 40_000 + index as u16, timestamp: 7, octets: 160 };
        us.handle_rtp_in(Time::ZERO + PTIME * (100 + index), &new);
    }
    let figures = us.figures();
    assert_eq!((figures.expected, figures.lost, figures.packets_in), (200, 0, 200));
}

const MAP: FeedbackMap = FeedbackMap {
    ours_here: Ssrc(0x1111_1111),
    theirs_there: Ssrc(0x2222_2222),
    theirs_here: Ssrc(0x3333_3333),
    ours_there: A,
    sequence_shift: 1000,
};

/// A feedback packet from the partner's peer about our stream there, or about `media`.
fn feedback(first: u8, kind: u8, media: u32, control: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0x80 | first, kind, 0, 2 + control.len() as u8];
    let words = [0x3333_3333, media];
    bytes.extend(words.iter().chain(control).flat_map(|word| word.to_be_bytes()));
    bytes
}

/// What our peer gets of it, without the report before it.
fn passed(datagram: &[u8]) -> Option<Vec<u8>> {
    let mut to = session(A);
    let mut out = [0; 500];
    let length = to.forward_feedback(datagram, &MAP, &mut out)?;
    assert_eq!(to.figures().feedback_out, 1);
    let compound = Compound::parse(&out[..length]).expect("sessions write RTCP");
    assert!(!compound.is_reduced_size());
    compound.packets().find_map(|packet| match packet {
        Packet::Feedback(feedback) => Some(feedback.packet().to_vec()),
        _ => None,
    })
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word)).skip(1).collect()
}

#[test]
fn pli_and_unknown_feedback_pass_with_both_ssrcs_rewritten() {
    for (format, kind) in [(1, 206), (2, 206), (3, 206), (9, 206), (15, 205), (20, 205)] {
        let rewritten = passed(&feedback(format, kind, 0x1111_1111, &[])).unwrap();
        assert_eq!(words(&rewritten), [A.0, 0x2222_2222]);
    }
}

#[test]
fn nack_numbers_are_shifted_back_to_those_the_sender_used() {
    let rewritten = passed(&feedback(1, 205, 0x1111_1111, &[0x03e9_8001, 0x0001_0000])).unwrap();
    assert_eq!(words(&rewritten), [A.0, 0x2222_2222, 0x0001_8001, 0xfc19_0000]);
}

#[test]
fn the_entries_of_fir_tmmbr_tmmbn_tstr_and_tstn_name_the_other_leg() {
    for (format, kind) in [(4, 206), (3, 205), (4, 205), (5, 206), (6, 206)] {
        let entries = [0x1111_1111, 0x0700_0000, 0x3333_3333, 0x1111_1111, 0x5555_5555, 1];
        let rewritten = passed(&feedback(format, kind, 0, &entries)).unwrap();
        let expected = [A.0, 0, 0x2222_2222, 0x0700_0000, A.0, 0x1111_1111, 0x5555_5555, 1];
        assert_eq!(words(&rewritten), expected);
    }
}

#[test]
fn the_sources_of_remb_are_renamed_and_its_rate_is_not() {
    let remb = u32::from_be_bytes(*b"REMB");
    let rewritten = passed(&feedback(15, 206, 0, &[remb, 0x0111_1111, 0x1111_1111])).unwrap();
    assert_eq!(words(&rewritten), [A.0, 0, remb, 0x0111_1111, 0x2222_2222]);
}

#[test]
fn feedback_about_a_stream_that_is_not_ours_stays() {
    assert_eq!(passed(&feedback(1, 206, 0x4444_4444, &[])), None);
    assert_eq!(passed(&[0x80, 201, 0, 1, 0, 0, 0, 1]), None);
}

#[test]
fn feedback_leaves_alone_when_the_peer_takes_reduced_sizes() {
    let mut to = Session::new(Time::ZERO, SessionConfig { reduced_size: true, ..config(A) }, 1);
    let mut both = feedback(1, 206, 0x1111_1111, &[]);
    both.extend(feedback(1, 206, 0x4444_4444, &[]));
    both.extend(feedback(4, 206, 0, &[0x1111_1111, 0]));
    let mut out = [0; 500];
    let length = to.forward_feedback(&both, &MAP, &mut out).unwrap();
    let compound = Compound::parse(&out[..length]).unwrap();
    assert!(compound.is_reduced_size());
    assert_eq!((compound.packets().count(), to.figures().feedback_out), (2, 2));
}

#[test]
fn a_broken_packet_anywhere_discredits_the_whole_datagram() {
    let mut line = Line::new(Duration::from_millis(10));
    line.talk(500, |_| false);
    let mut bytes = line.sent_by_a[0].clone();
    bytes.extend([0x80, 203, 0, 9]);
    let error = line.b.handle_packet(line.now(), &bytes).unwrap_err();
    assert_eq!(error, ParseError::Length { announced: 40, left: 4 });
    assert_eq!(line.b.figures().malformed, 1);
}

#[test]
fn padding_is_for_the_last_packet_alone() {
    let padded = [0xa0, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4];
    let compound = Compound::parse(&padded).unwrap();
    assert!(matches!(compound.packets().next(), Some(Packet::Feedback(pli)) if pli.control().is_empty()));
    let twice = [padded, padded].concat();
    assert_eq!(Compound::parse(&twice), Err(ParseError::Padding));
    let mut odd = padded;
    odd[15] = 0;
    assert_eq!(Compound::parse(&odd), Err(ParseError::Padding));
    odd[15] = 16;
    assert_eq!(Compound::parse(&odd), Err(ParseError::Padding));
}

#[test]
fn a_restored_session_goes_on_as_the_first_one_does() {
    let mut line = Line::new(Duration::from_millis(10));
    line.talk(700, |index| index % 9 == 0);
    let stored = postcard::to_allocvec(&line.a).unwrap();
    let mut again: Session = postcard::from_bytes(&stored).unwrap();
    assert_eq!(again, line.a);
    let (due, mut one, mut other) = (Time::ZERO + Duration::from_secs(60), [0; 500], [0; 500]);
    assert_eq!(line.a.handle_timeout(due, &mut one), again.handle_timeout(due, &mut other));
    assert_eq!(one, other);
}

#[test]
fn a_session_allocates_nothing_once_it_is_there() {
    let mut line = Line::new(Duration::from_millis(10));
    line.talk(500, |_| false);
    let (mut us, report, now) = (line.b, line.sent_by_a[0].clone(), Time::ZERO + Duration::from_secs(10));
    let nack = feedback(1, 205, 0x1111_1111, &[0x03e9_8001]);
    let mut out = [0; 800];
    let counted = measure(|| {
        for index in 0..100 {
            us.handle_rtp_in(now, &arrival(A, 500 + 3 * index));
            us.handle_rtp_out(now, 160 * index, 160);
        }
        us.handle_packet(now, &report).unwrap();
        us.handle_packet(now, &[0x80, 7]).unwrap_err();
        us.forward_feedback(&nack, &MAP, &mut out).unwrap();
        us.handle_timeout(now + Duration::from_secs(20), &mut out).unwrap();
        let _ = us.figures();
        us.change_ssrc(now, Ssrc(5), &mut out).unwrap();
        us.write_bye(now, b"bye", &mut out).unwrap();
    });
    assert_eq!(counted.count_total, 0);
}

proptest! {
    #[test]
    fn no_datagram_and_no_order_of_them_panics(
        datagrams in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..90)), 0..20),
        packets in prop::collection::vec((0..3u32, any::<u16>(), any::<u32>(), any::<u64>()), 0..60),
    ) {
        let mut us = session(A);
        let mut out = [0; 800];
        for (now, mut bytes) in datagrams {
            if let Some(start) = bytes.first_chunk_mut::<4>() {
                *start = [0x80 | (start[0] & 0x3f), 200 + start[1] % 8, 0, start[3] % 22];
            }
            let _ = us.handle_packet(Time(now), &bytes);
            us.forward_feedback(&bytes, &MAP, &mut out);
        }
        for (ssrc, sequence, timestamp, now) in packets {
            us.handle_rtp_in(Time(now), &RtpArrival { ssrc: Ssrc(ssrc), sequence, timestamp, octets: u32::MAX });
            us.handle_rtp_out(Time(now), timestamp, 160);
            us.handle_timeout(Time(now), &mut out[..now as usize % 200]);
            let _ = us.figures();
        }
    }
}
