//! The relay of two legs: what leaves for what arrives.

mod scene;

use media::{Command, PayloadMap, PayloadRule, Report};
use proptest::prelude::*;
use scene::{A, A_SDP, B, B_SDP, PTIME, Rtp, Scene, at, params, plain};

#[test]
fn a_packet_leaves_from_the_partner_to_the_partners_peer() {
    let mut scene = Scene::relayed();
    let sent = scene.arrive(A, A_SDP, &Rtp::audio(0xaaaa, 10)).unwrap();
    assert_eq!((sent.from, sent.to), (scene.key(B), at(B_SDP)));
    let sent = scene.arrive(B, B_SDP, &Rtp::audio(0xbbbb, 10)).unwrap();
    assert_eq!((sent.from, sent.to), (scene.key(A), at(A_SDP)));
}

#[test]
fn a_leg_sends_one_ssrc_of_its_own_whoever_feeds_it() {
    let mut scene = Scene::relayed();
    let one = scene.arrive(A, A_SDP, &Rtp::audio(0xaaaa, 10)).unwrap().rtp;
    let two = scene.arrive(A, A_SDP, &Rtp::audio(0xcccc, 900)).unwrap().rtp;
    assert_eq!(one.ssrc, two.ssrc);
    assert!(one.ssrc != 0xaaaa && two.ssrc != 0xcccc);
    let other = scene.arrive(B, B_SDP, &Rtp::audio(0xbbbb, 10)).unwrap().rtp;
    assert_ne!(one.ssrc, other.ssrc);
}

#[test]
fn loss_stays_visible_and_order_stays_as_it_came() {
    let mut scene = Scene::relayed();
    let first = scene.arrive(A, A_SDP, &Rtp::audio(1, 65_530)).unwrap().rtp;
    assert!(first.marker);
    for index in [65_531u16, 65_534, 65_533, 2, 0, 5] {
        let sent = scene.arrive(A, A_SDP, &Rtp::audio(1, index)).unwrap().rtp;
        let step = index.wrapping_sub(65_530);
        assert_eq!(sent.sequence, first.sequence.wrapping_add(step));
        let ticks = (160 * u32::from(index)).wrapping_sub(160 * 65_530);
        assert_eq!(sent.timestamp, first.timestamp.wrapping_add(ticks));
        assert!(!sent.marker);
    }
}

#[test]
fn the_packet_before_the_first_one_may_follow_it() {
    let mut scene = Scene::relayed();
    let second = scene.arrive(A, A_SDP, &Rtp::audio(1, 1)).unwrap().rtp;
    let first = scene.arrive(A, A_SDP, &Rtp::audio(1, 0)).unwrap().rtp;
    assert_eq!(first.sequence, second.sequence.wrapping_sub(1));
}

#[test]
fn a_new_ssrc_goes_on_with_the_next_number_and_the_elapsed_time_and_a_marker() {
    let mut scene = Scene::relayed();
    scene.arrive(A, A_SDP, &Rtp::audio(1, 100)).unwrap();
    scene.pass(PTIME);
    let last = scene.arrive(A, A_SDP, &Rtp::audio(1, 101)).unwrap().rtp;
    scene.pass(PTIME * 3);
    let next = scene.arrive(A, A_SDP, &Rtp::audio(2, 40_000)).unwrap().rtp;
    assert_eq!(next.sequence, last.sequence.wrapping_add(1));
    assert_eq!(next.timestamp, last.timestamp.wrapping_add(480));
    assert!(next.marker);
    scene.pass(PTIME);
    let after = scene.arrive(A, A_SDP, &Rtp::audio(2, 40_001)).unwrap().rtp;
    assert_eq!(after.sequence, next.sequence.wrapping_add(1));
    assert_eq!(after.timestamp, next.timestamp.wrapping_add(160));
    assert!(!after.marker);
}

#[test]
fn late_packets_of_the_old_source_are_dropped_and_its_return_is_not() {
    let mut scene = Scene::relayed();
    scene.arrive(A, A_SDP, &Rtp::audio(1, 100)).unwrap();
    scene.arrive(A, A_SDP, &Rtp::audio(2, 7)).unwrap();
    assert_eq!(scene.arrive(A, A_SDP, &Rtp::audio(1, 99)), None);
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().dropped.stale, 1);
    let last = scene.arrive(A, A_SDP, &Rtp::audio(2, 8)).unwrap().rtp;
    scene.pass(PTIME);
    let back = scene.arrive(A, A_SDP, &Rtp::audio(1, 130)).unwrap().rtp;
    assert_eq!(back.sequence, last.sequence.wrapping_add(1));
    assert_eq!(back.timestamp, last.timestamp.wrapping_add(160));
}

#[test]
fn a_packet_from_before_the_change_of_source_is_not_sent_under_a_used_number() {
    let mut scene = Scene::relayed();
    scene.arrive(A, A_SDP, &Rtp::audio(1, 100)).unwrap();
    scene.arrive(A, A_SDP, &Rtp::audio(2, 50)).unwrap();
    assert_eq!(scene.arrive(A, A_SDP, &Rtp::audio(2, 49)), None);
}

#[test]
fn a_source_that_restarts_its_sequence_goes_on_after_two_packets() {
    let mut scene = Scene::relayed();
    let last = scene.arrive(A, A_SDP, &Rtp::audio(1, 100)).unwrap().rtp;
    assert_eq!(scene.arrive(A, A_SDP, &Rtp::audio(1, 30_000)), None);
    let next = scene.arrive(A, A_SDP, &Rtp::audio(1, 30_001)).unwrap().rtp;
    assert_eq!(next.sequence, last.sequence.wrapping_add(1));
    assert!(next.marker);
}

#[test]
fn a_new_partner_goes_on_in_the_same_stream() {
    let mut scene = Scene::relayed();
    let c = media::LegId(3);
    scene.open(c);
    scene.command(Command::Configure { leg: c, params: params("198.51.100.3:6000") });
    let last = scene.arrive(B, B_SDP, &Rtp::audio(1, 100)).unwrap().rtp;
    scene.relay(A, c, plain(), plain());
    assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(1, 101)), None);
    scene.pass(PTIME * 50);
    let sent = scene.arrive(c, "198.51.100.3:6000", &Rtp::audio(9, 5)).unwrap();
    assert_eq!(sent.to, at(A_SDP));
    assert_eq!(sent.rtp.ssrc, last.ssrc);
    assert_eq!(sent.rtp.sequence, last.sequence.wrapping_add(1));
    assert_eq!(sent.rtp.timestamp, last.timestamp.wrapping_add(8000));
    assert!(sent.rtp.marker);
}

#[test]
fn the_same_partner_again_with_other_payload_types_goes_on_without_a_step() {
    let mut scene = Scene::relayed();
    let last = scene.arrive(A, A_SDP, &Rtp::audio(1, 100)).unwrap().rtp;
    scene.relay(A, B, PayloadMap::new(&[(0, PayloadRule::Pass(96))]), plain());
    let next = scene.arrive(A, A_SDP, &Rtp::audio(1, 102)).unwrap().rtp;
    assert_eq!((next.payload_type, next.marker), (96, false));
    assert_eq!(next.sequence, last.sequence.wrapping_add(2));
}

#[test]
fn payload_types_are_mapped_each_way_and_unknown_ones_dropped() {
    let mut scene = Scene::relayed();
    let forward = PayloadMap::new(&[(0, PayloadRule::Pass(0)), (101, PayloadRule::Pass(96))]);
    let backward = PayloadMap::new(&[(0, PayloadRule::Pass(0)), (96, PayloadRule::Pass(101))]);
    scene.relay(A, B, forward, backward);
    let event = |payload_type| Rtp { payload_type, ..Rtp::audio(1, 1) };
    assert_eq!(scene.arrive(A, A_SDP, &event(101)).unwrap().rtp.payload_type, 96);
    assert_eq!(scene.arrive(B, B_SDP, &event(96)).unwrap().rtp.payload_type, 101);
    assert_eq!(scene.arrive(A, A_SDP, &event(13)), None);
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().dropped.payload_type, 1);
}

#[test]
fn pcmu_on_one_side_and_pcma_on_the_other_convert_in_place() {
    let mut scene = Scene::relayed();
    let forward = PayloadMap::new(&[(0, PayloadRule::UlawToAlaw(8))]);
    let backward = PayloadMap::new(&[(8, PayloadRule::AlawToUlaw(0))]);
    scene.relay(A, B, forward, backward);
    let payload: Vec<u8> = (0..=255).collect();
    let ulaw = Rtp { payload: payload.clone(), ..Rtp::audio(1, 1) };
    let sent = scene.arrive(A, A_SDP, &ulaw).unwrap().rtp;
    assert_eq!(sent.payload_type, 8);
    let expected: Vec<u8> = payload.iter().map(|octet| media::codec::g711::ulaw_to_alaw(*octet)).collect();
    assert_eq!(sent.payload, expected);
    let alaw = Rtp { payload_type: 8, payload: payload.clone(), ..Rtp::audio(2, 1) };
    let sent = scene.arrive(B, B_SDP, &alaw).unwrap().rtp;
    let expected: Vec<u8> = payload.iter().map(|octet| media::codec::g711::alaw_to_ulaw(*octet)).collect();
    assert_eq!((sent.payload_type, sent.payload), (0, expected));
}

#[test]
fn conversion_touches_the_payload_alone() {
    let mut scene = Scene::relayed();
    scene.relay(A, B, PayloadMap::new(&[(0, PayloadRule::UlawToAlaw(8))]), plain());
    // One contributing source, an extension of one word, two octets of payload, three of padding.
    let mut bytes = vec![0xb1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 0xbe, 0xde, 0, 1, 7, 7, 7, 7];
    bytes.extend([0xff, 0xff, 0xee, 0xee, 3]);
    scene.arrive_bytes(A, A_SDP, &mut bytes).unwrap();
    assert_eq!(bytes[12..24], [9, 9, 9, 9, 0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
    assert_eq!(bytes[24..], [0xd5, 0xd5, 0xee, 0xee, 3]);
}

#[test]
fn an_event_keeps_one_timestamp_and_its_marker() {
    let mut scene = Scene::relayed();
    let audio = scene.arrive(A, A_SDP, &Rtp::audio(1, 100)).unwrap().rtp;
    let mut sent = Vec::new();
    for step in 1..=6u16 {
        scene.pass(PTIME);
        let (marker, payload) = (step == 1, vec![5, 0x0a, 0, 160]);
        let event =
            Rtp { marker, payload_type: 101, timestamp: 16_160, payload, ..Rtp::audio(1, 100 + step) };
        sent.push(scene.arrive(A, A_SDP, &event).unwrap().rtp);
    }
    for (step, event) in (1..).zip(&sent) {
        assert_eq!(event.timestamp, audio.timestamp.wrapping_add(160));
        assert_eq!(event.sequence, audio.sequence.wrapping_add(step));
        assert_eq!(event.marker, step == 1);
        assert_eq!(event.payload, [5, 0x0a, 0, 160]);
    }
}

#[test]
fn a_source_that_follows_an_event_starts_after_it() {
    let mut scene = Scene::relayed();
    let event = |sequence| Rtp { payload_type: 101, timestamp: 16_000, ..Rtp::audio(1, sequence) };
    let first = scene.arrive(A, A_SDP, &event(1)).unwrap().rtp;
    for sequence in 2..=5 {
        scene.pass(PTIME);
        scene.arrive(A, A_SDP, &event(sequence)).unwrap();
    }
    scene.pass(PTIME);
    let next = scene.arrive(A, A_SDP, &Rtp::audio(2, 1)).unwrap().rtp;
    assert_eq!(next.timestamp, first.timestamp.wrapping_add(5 * 160));
}

#[test]
fn hold_drops_what_must_not_flow_and_resuming_shows_no_loss() {
    let mut scene = Scene::relayed();
    let last = scene.arrive(A, A_SDP, &Rtp::audio(1, 100)).unwrap().rtp;
    let held = media::StreamParams { receive: false, send: false, ..params(B_SDP) };
    scene.command(Command::Configure { leg: B, params: held });
    for index in 101..200 {
        scene.pass(PTIME);
        assert_eq!(scene.arrive(A, A_SDP, &Rtp::audio(1, index)), None);
        assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(2, index)), None);
    }
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().dropped.not_receiving, 99);
    assert_eq!(scene.shard.figures(scene.key(B)).unwrap().dropped.not_sending, 99);
    scene.command(Command::Configure { leg: B, params: params(B_SDP) });
    scene.pass(PTIME);
    let next = scene.arrive(A, A_SDP, &Rtp::audio(1, 200)).unwrap().rtp;
    assert_eq!(next.sequence, last.sequence.wrapping_add(1));
    assert_eq!(next.timestamp, last.timestamp.wrapping_add(100 * 160));
    assert!(next.marker);
}

#[test]
fn rtcp_and_noise_on_the_rtp_port_are_counted_and_not_relayed() {
    let mut scene = Scene::relayed();
    assert_eq!(scene.arrive_bytes(A, A_SDP, &mut [0x80, 200, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    assert_eq!(scene.arrive_bytes(A, A_SDP, &mut [0x80, 0, 0]), None);
    assert_eq!(scene.arrive_bytes(A, A_SDP, &mut [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]), None);
    assert_eq!(scene.arrive_bytes(A, A_SDP, &mut []), None);
    let figures = scene.shard.figures(scene.key(A)).unwrap();
    assert_eq!((figures.rtcp_in, figures.dropped.malformed, figures.packets_in), (1, 3, 0));
}

#[test]
fn a_third_party_is_heard_by_nobody_and_hears_nothing() {
    let mut scene = Scene::relayed();
    for index in 0..10 {
        assert_eq!(scene.arrive(A, "203.0.113.66:4000", &Rtp::audio(1, index)), None);
        assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(2, index)).unwrap().to, at(A_SDP));
    }
    scene.arrive(A, A_SDP, &Rtp::audio(1, 10)).unwrap();
    assert_eq!(scene.arrive(A, "203.0.113.66:4000", &Rtp::audio(1, 11)), None);
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().dropped.foreign, 11);
}

#[test]
fn a_phone_with_a_private_address_is_heard_and_answered_at_its_nat() {
    let mut scene = Scene::relayed();
    let mut nat = params("192.168.1.5:4000");
    nat.signalling = at("203.0.113.9:0").ip();
    scene.command(Command::Configure { leg: A, params: nat });
    assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(2, 1)).unwrap().to, at("192.168.1.5:4000"));
    scene.arrive(A, "203.0.113.9:61234", &Rtp::audio(1, 1)).unwrap();
    let latched = Report::Latched { leg: A, source: at("203.0.113.9:61234") };
    assert!(scene.reports().contains(&latched));
    assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(2, 2)).unwrap().to, at("203.0.113.9:61234"));
}

#[test]
fn a_nat_that_changes_its_mapping_is_followed_within_the_stream() {
    let mut scene = Scene::relayed();
    let last = scene.arrive(A, A_SDP, &Rtp::audio(1, 100)).unwrap().rtp;
    scene.pass(PTIME * 11);
    let next = scene.arrive(A, "198.51.100.1:4999", &Rtp::audio(1, 111)).unwrap().rtp;
    assert_eq!(next.sequence, last.sequence.wrapping_add(11));
    assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(2, 1)).unwrap().to, at("198.51.100.1:4999"));
    // A stranger on the same host with another stream is not.
    scene.pass(PTIME * 11);
    assert_eq!(scene.arrive(A, "198.51.100.1:5999", &Rtp::audio(3, 112)), None);
}

#[test]
fn new_sdp_is_learnt_and_the_same_sdp_changes_nothing() {
    let mut scene = Scene::relayed();
    let mut nat = params("192.168.1.5:4000");
    nat.signalling = at("203.0.113.9:0").ip();
    scene.command(Command::Configure { leg: A, params: nat.clone() });
    scene.arrive(A, "203.0.113.9:61234", &Rtp::audio(1, 1)).unwrap();
    scene.command(Command::Configure { leg: A, params: nat.clone() });
    assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(2, 1)).unwrap().to, at("203.0.113.9:61234"));
    nat.remote = Some(at("198.51.100.77:7000"));
    scene.command(Command::Configure { leg: A, params: nat });
    assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(2, 2)).unwrap().to, at("198.51.100.77:7000"));
    scene.arrive(A, "198.51.100.77:7000", &Rtp::audio(1, 2)).unwrap();
}

#[test]
fn nothing_is_sent_to_a_peer_whose_address_is_unknown() {
    let mut scene = Scene::relayed();
    scene.command(Command::Configure {
        leg: B,
        params: media::StreamParams { remote: None, ..params(B_SDP) },
    });
    assert_eq!(scene.arrive(A, A_SDP, &Rtp::audio(1, 1)), None);
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().dropped.no_destination, 1);
}

#[test]
fn octets_count_payload_without_header_and_padding() {
    let mut scene = Scene::relayed();
    scene.arrive(A, A_SDP, &Rtp::audio(1, 1)).unwrap();
    scene.arrive_bytes(A, A_SDP, &mut [0xa0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 5, 5, 5, 0, 2]).unwrap();
    let (a, b) = (scene.shard.figures(scene.key(A)).unwrap(), scene.shard.figures(scene.key(B)).unwrap());
    assert_eq!((a.packets_in, a.octets_in), (2, 163));
    assert_eq!((b.packets_out, b.octets_out), (2, 163));
}

/// What may happen to a leg and its partner.
#[derive(Clone, Debug)]
enum Step {
    /// The source sends its next packet but `lost`, `late` packets behind.
    Packet { lost: u16, late: u16 },
    /// The source takes another SSRC and starts anywhere.
    NewSource { ssrc: u32, sequence: u16, timestamp: u32 },
    /// The partner may not receive for a while.
    Hold(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        20 => (0u16..5, 0u16..3).prop_map(|(lost, late)| Step::Packet { lost, late }),
        1 => any::<(u32, u16, u32)>()
            .prop_map(|(ssrc, sequence, timestamp)| Step::NewSource { ssrc, sequence, timestamp }),
        1 => any::<bool>().prop_map(Step::Hold),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    /// Whatever feeds it, the outgoing stream has one SSRC, never jumps forward by more than was lost, never uses a
    /// number for two different packets, and its timestamps follow its sequence.
    #[test]
    fn the_outgoing_stream_is_continuous_whatever_feeds_it(steps in steps()) {
        let mut scene = Scene::relayed();
        let mut rtp = Rtp::audio(1, 60_000);
        let mut seen = std::collections::BTreeMap::new();
        let mut highest: Option<(u16, u32)> = None;
        let mut gap = 0u16;
        for step in steps {
            scene.pass(PTIME);
            let late = match step {
                Step::NewSource { ssrc, sequence, timestamp } => {
                    // What was lost just before a change of source cannot be known.
                    gap = 0;
                    rtp = Rtp { ssrc, sequence, timestamp, ..rtp };
                    0
                }
                Step::Hold(held) => {
                    let held = media::StreamParams { receive: !held, ..params(B_SDP) };
                    scene.command(Command::Configure { leg: B, params: held });
                    continue;
                }
                Step::Packet { lost, late } => {
                    gap += lost;
                    let step = 1 + lost;
                    rtp.sequence = rtp.sequence.wrapping_add(step);
                    rtp.timestamp = rtp.timestamp.wrapping_add(160 * u32::from(step));
                    late
                }
            };
            let mut packet = rtp.clone();
            packet.sequence = packet.sequence.wrapping_sub(late);
            packet.timestamp = packet.timestamp.wrapping_sub(160 * u32::from(late));
            let Some(sent) = scene.arrive(A, A_SDP, &packet) else { continue };
            let identity = (packet.ssrc, packet.sequence, packet.timestamp);
            let before = seen.insert(sent.rtp.sequence, identity);
            prop_assert!(before.is_none_or(|before| before == identity), "one number, two packets");
            if let Some((sequence, timestamp)) = highest {
                let ahead = sent.rtp.sequence.wrapping_sub(sequence);
                if ahead != 0 && ahead < 0x8000 {
                    prop_assert!(ahead <= gap + 4, "a jump of {ahead} for {gap} lost");
                    let ticks = sent.rtp.timestamp.wrapping_sub(timestamp);
                    prop_assert!(ticks > 0 && ticks < 0x8000_0000, "the timestamp went back");
                    highest = Some((sent.rtp.sequence, sent.rtp.timestamp));
                    gap = 0;
                }
            } else {
                highest = Some((sent.rtp.sequence, sent.rtp.timestamp));
                gap = 0;
            }
        }
    }
}
