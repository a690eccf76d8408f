//! RTCP of legs on a shard in virtual time: reports, where they go and whom they believe, feedback through a relay, ends.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod scene;

use std::time::Duration;

use allocation_counter::measure;
use media::rtcp::{Cname, Compound, FeedbackKind, Packet, RtpArrival, Session, SessionConfig, lost_packets};
use media::rtp::Ssrc;
use media::{Command, LegId, Port, Report, RtcpPort, StreamParams};
use scene::{A, A_SDP, B, B_SDP, PTIME, Rtp, Scene, at, params};

const A_RTCP: &str = "198.51.100.1:4001";
const B_RTCP: &str = "198.51.100.2:5001";
const ONE_WAY: Duration = Duration::from_millis(15);

/// RTCP that left: from which leg and port, where to, and what.
type Letter = (LegId, Port, String, Vec<u8>);

/// What the shard made since the last time.
fn letters(scene: &mut Scene) -> Vec<Letter> {
    let now = scene.now;
    scene.shard.tick(now);
    sent(scene)
}

fn sent(scene: &mut Scene) -> Vec<Letter> {
    let keys: Vec<_> = (1..9).filter_map(|leg| Some((LegId(leg), scene.shard.key(LegId(leg))?))).collect();
    let mut letters = Vec::new();
    while let Some((forward, octets)) = scene.shard.poll_transmit() {
        let leg = keys.iter().find(|(_, key)| *key == forward.leg).map_or(LegId(0), |(leg, _)| *leg);
        letters.push((leg, forward.port, forward.destination.to_string(), octets.to_vec()));
    }
    letters
}

fn packets(letter: &Letter) -> Vec<Packet<'_>> {
    Compound::parse(&letter.3).expect("what leaves is RTCP").packets().collect()
}

/// Both peers talk for some packets; RTCP that left meanwhile.
fn talk(scene: &mut Scene, from: u16, count: u16) -> Vec<Letter> {
    let mut all = Vec::new();
    for index in from..from + count {
        scene.arrive(A, A_SDP, &Rtp::audio(0xaaaa, index)).unwrap();
        scene.arrive(B, B_SDP, &Rtp::audio(0xbbbb, index)).unwrap();
        scene.pass(PTIME);
        all.extend(letters(scene));
    }
    all
}

fn rtcp(scene: &mut Scene, leg: LegId, source: &str, datagram: &[u8]) {
    let (now, key) = (scene.now, scene.key(leg));
    scene.shard.receive_rtcp(now, key, at(source), datagram);
}

/// The RTCP of a peer.
fn peer(scene: &Scene, ssrc: u32) -> Session {
    Session::new(scene.now, SessionConfig::audio(Ssrc(ssrc), Cname::random([7; 12]), 8000), 3)
}

/// Feedback of a peer: a receiver report, then this packet.
fn feedback(sender: u32, packet_type: u8, format: u8, media: u32, control: &[u32]) -> Vec<u8> {
    let mut octets = vec![0x80, 201, 0, 1];
    octets.extend(sender.to_be_bytes());
    octets.extend([0x80 | format, packet_type, 0, 2 + control.len() as u8]);
    for word in [sender, media].iter().chain(control) {
        octets.extend(word.to_be_bytes());
    }
    octets
}

#[test]
fn each_leg_reports_to_the_port_above_with_what_it_sent_and_heard() {
    let mut scene = Scene::relayed();
    let all = talk(&mut scene, 0, 750);
    for (leg, to, theirs) in [(A, A_RTCP, 0xaaaa), (B, B_RTCP, 0xbbbb)] {
        let ours: Vec<&Letter> = all.iter().filter(|letter| letter.0 == leg).collect();
        // Fifteen seconds hold a first report after two and others some five apart.
        assert!((2..8).contains(&ours.len()), "{}", ours.len());
        assert!(ours.iter().all(|letter| letter.1 == Port::Rtcp && letter.2 == to));
        let packets = packets(ours.last().unwrap());
        let [Packet::SenderReport(report), Packet::SourceDescription(name), Packet::ExtendedReport(_)] =
            packets[..]
        else {
            panic!("{packets:?}")
        };
        let block = report.blocks().next().unwrap();
        assert_eq!((block.ssrc, block.lost), (Ssrc(theirs), 0));
        assert!(report.info().packets > 300 && report.info().octets == 160 * report.info().packets);
        assert_eq!(name.chunks().next().unwrap().cname().unwrap().len(), 16);
    }
    let figures = scene.shard.figures(scene.key(A)).unwrap().rtcp;
    assert_eq!((figures.packets_in, figures.packets_out, figures.lost), (750, 750, 0));
}

#[test]
fn loss_and_jitter_of_what_came_are_reported_and_counted() {
    let mut scene = Scene::relayed();
    for index in (0..500u16).filter(|index| index % 10 != 3) {
        scene.arrive(A, A_SDP, &Rtp::audio(1, index)).unwrap();
        scene.pass(PTIME);
    }
    let figures = scene.shard.figures(scene.key(A)).unwrap().rtcp;
    assert_eq!((figures.expected, figures.lost), (500, 50));
    let quality = figures.quality.unwrap();
    assert!(quality.mos_listening < 40, "{quality:?}");
}

#[test]
fn what_the_peer_reports_of_us_is_known_with_the_round_trip() {
    let mut scene = Scene::relayed();
    let mut peer = peer(&scene, 0xaaaa);
    for index in 0..400u16 {
        if let Some(sent) = scene.arrive(B, B_SDP, &Rtp::audio(0xbbbb, index)) {
            // One in four does not reach it.
            if index % 4 != 1 {
                let Rtp { ssrc, sequence, timestamp, .. } = sent.rtp;
                peer.handle_rtp_in(
                    scene.now,
                    &RtpArrival { ssrc: Ssrc(ssrc), sequence, timestamp, octets: 160 },
                );
            }
        }
        scene.pass(PTIME);
        for letter in letters(&mut scene).iter().filter(|letter| letter.0 == A) {
            peer.handle_packet(scene.now + ONE_WAY, &letter.3).unwrap();
        }
    }
    // The peer reports as it leaves.
    let mut out = [0; 800];
    peer.handle_rtp_out(scene.now, 0, 160);
    let length = peer.write_bye(scene.now, b"", &mut out).unwrap();
    scene.pass(ONE_WAY);
    rtcp(&mut scene, A, A_RTCP, &out[..length]);
    let figures = scene.shard.figures(scene.key(A)).unwrap().rtcp;
    let said = figures.remote.unwrap();
    assert!((90..=110).contains(&said.lost), "{said:?}");
    let round_trip = figures.round_trip.unwrap().as_secs_f64();
    assert!((0.0299..0.0301).contains(&round_trip) && figures.reports_in == 1, "{round_trip}");
}

#[test]
fn a_third_party_is_not_believed() {
    let mut scene = Scene::relayed();
    talk(&mut scene, 0, 10);
    rtcp(&mut scene, A, "203.0.113.66:4001", &feedback(9, 206, 1, 0, &[]));
    rtcp(&mut scene, A, A_RTCP, &[0x80, 201, 0]);
    let figures = scene.shard.figures(scene.key(A)).unwrap();
    assert_eq!((figures.rtcp_in, figures.rtcp.reports_in, figures.rtcp.malformed), (2, 0, 1));
    assert_eq!(figures.dropped.foreign, 1);
    assert_eq!(sent(&mut scene), []);
}

#[test]
fn reports_follow_a_peer_behind_a_translator_once_it_was_heard() {
    let mut scene = Scene::relayed();
    let nat = StreamParams {
        remote: Some(at("192.168.1.5:4000")),
        signalling: at("203.0.113.9:0").ip(),
        ..params(A_SDP)
    };
    scene.command(Command::Configure { leg: A, params: nat });
    rtcp(&mut scene, A, "203.0.113.9:61235", &feedback(0xaaaa, 206, 1, 0, &[]));
    scene.pass(Duration::from_secs(10));
    let all = letters(&mut scene);
    let of_a: Vec<&Letter> = all.iter().filter(|letter| letter.0 == A).collect();
    assert!(!of_a.is_empty() && of_a.iter().all(|letter| letter.2 == "203.0.113.9:61235"), "{of_a:?}");
}

#[test]
fn an_address_of_its_own_is_reported_to() {
    let mut scene = Scene::relayed();
    let elsewhere = StreamParams { rtcp: RtcpPort::At(at("198.51.100.9:777")), ..params(A_SDP) };
    scene.command(Command::Configure { leg: A, params: elsewhere });
    scene.pass(Duration::from_secs(10));
    let all = letters(&mut scene);
    assert!(all.iter().any(|letter| letter.0 == A && letter.2 == "198.51.100.9:777"), "{all:?}");
    rtcp(&mut scene, A, "198.51.100.9:777", &feedback(0xaaaa, 206, 1, 0, &[]));
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().rtcp.reports_in, 1);
}

#[test]
fn one_port_for_both_serves_where_it_was_agreed_and_only_there() {
    let mut scene = Scene::relayed();
    scene.command(Command::Configure {
        leg: A,
        params: StreamParams { rtcp: RtcpPort::Muxed, ..params(A_SDP) },
    });
    let all = talk(&mut scene, 0, 400);
    let of_a: Vec<&Letter> = all.iter().filter(|letter| letter.0 == A).collect();
    assert!(!of_a.is_empty() && of_a.iter().all(|letter| letter.1 == Port::Rtp && letter.2 == A_SDP));
    let mut report = feedback(0xaaaa, 206, 1, 0, &[]);
    rtcp(&mut scene, A, A_RTCP, &report);
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().rtcp.reports_in, 0);
    for leg in [A, B] {
        let source = if leg == A { A_SDP } else { B_SDP };
        assert_eq!(scene.arrive_bytes(leg, source, &mut report), None);
        let reports = scene.shard.figures(scene.key(leg)).unwrap().rtcp.reports_in;
        assert_eq!(reports, u64::from(leg == A));
    }
}

#[test]
fn a_picture_that_one_peer_asks_for_is_asked_of_the_other() {
    let mut scene = Scene::relayed();
    talk(&mut scene, 0, 5);
    let [to_a, to_b] = [(B, B_SDP, 0xbbbb), (A, A_SDP, 0xaaaa)]
        .map(|(leg, source, ssrc)| scene.arrive(leg, source, &Rtp::audio(ssrc, 6)).unwrap().rtp);
    for (format, control) in [(1, vec![]), (4, vec![to_a.ssrc, 0x0700_0000])] {
        let media = if format == 1 { to_a.ssrc } else { 0 };
        rtcp(&mut scene, A, A_RTCP, &feedback(0xaaaa, 206, format, media, &control));
        let all = sent(&mut scene);
        let [letter] = &all[..] else { panic!("{all:?}") };
        assert_eq!((letter.0, letter.1, letter.2.as_str()), (B, Port::Rtcp, B_RTCP));
        let Some(Packet::Feedback(passed)) = packets(letter).into_iter().last() else { panic!("{all:?}") };
        assert_eq!(passed.sender(), Ssrc(to_b.ssrc));
        match passed.kind() {
            FeedbackKind::Pli => assert_eq!(passed.media(), Ssrc(0xbbbb)),
            FeedbackKind::Fir => assert_eq!(passed.control()[..4], 0xbbbb_u32.to_be_bytes()),
            other => panic!("{other:?}"),
        }
    }
    let [here, there] = [A, B].map(|leg| scene.shard.figures(scene.key(leg)).unwrap().rtcp);
    assert_eq!((here.feedback_in, there.feedback_out), (2, 2));
}

#[test]
fn a_missing_packet_is_asked_for_under_the_number_it_came_with() {
    let mut scene = Scene::relayed();
    talk(&mut scene, 0, 5);
    let to_a = scene.arrive(B, B_SDP, &Rtp::audio(0xbbbb, 5)).unwrap().rtp;
    let nack = u32::from(to_a.sequence) << 16 | 0x8001;
    rtcp(&mut scene, A, A_RTCP, &feedback(0xaaaa, 205, 1, to_a.ssrc, &[nack]));
    let all = sent(&mut scene);
    let Some(Packet::Feedback(passed)) = packets(&all[0]).into_iter().last() else { panic!("{all:?}") };
    let lost = lost_packets(passed.control()).next().unwrap();
    assert_eq!((lost.first, lost.following), (5, 0x8001));
}

#[test]
fn feedback_about_a_stream_that_is_not_ours_and_without_a_partner_goes_nowhere() {
    let mut scene = Scene::relayed();
    let to_a = scene.arrive(B, B_SDP, &Rtp::audio(0xbbbb, 5)).unwrap().rtp;
    rtcp(&mut scene, A, A_RTCP, &feedback(0xaaaa, 206, 1, to_a.ssrc ^ 1, &[]));
    assert_eq!(sent(&mut scene), []);
    scene.command(Command::Part { a: A, b: B });
    rtcp(&mut scene, A, A_RTCP, &feedback(0xaaaa, 206, 1, to_a.ssrc, &[]));
    assert_eq!(sent(&mut scene), []);
}

#[test]
fn a_peer_that_takes_our_ssrc_makes_us_take_another_after_a_farewell() {
    let mut scene = Scene::relayed();
    let before = scene.arrive(B, B_SDP, &Rtp::audio(0xbbbb, 1)).unwrap().rtp;
    // It is heard all the same: many a test program plays back what it gets.
    assert!(scene.arrive(A, A_SDP, &Rtp::audio(before.ssrc, 7)).is_some());
    let all = sent(&mut scene);
    let packets = packets(&all[0]);
    let Some(Packet::Goodbye(goodbye)) = packets.last() else { panic!("{packets:?}") };
    assert_eq!((all[0].0, goodbye.sources().collect::<Vec<_>>()), (A, vec![Ssrc(before.ssrc)]));
    let after = scene.arrive(B, B_SDP, &Rtp::audio(0xbbbb, 2)).unwrap().rtp;
    assert_ne!(after.ssrc, before.ssrc);
    assert_eq!(after.sequence, before.sequence.wrapping_add(1));
    // It follows: a loop, and there is no use in running away.
    assert!(scene.arrive(A, A_SDP, &Rtp::audio(after.ssrc, 8)).is_some());
    assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(0xbbbb, 3)).unwrap().rtp.ssrc, after.ssrc);
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().rtcp.conflicts, 2);
}

#[test]
fn a_peer_on_hold_that_reports_is_not_silent() {
    let mut scene = Scene::relayed();
    talk(&mut scene, 0, 5);
    let mut reports = Vec::new();
    for second in 0..60 {
        scene.pass(Duration::from_secs(1));
        if second % 5 == 0 {
            rtcp(&mut scene, A, A_RTCP, &feedback(0xaaaa, 206, 1, 0, &[]));
        }
        letters(&mut scene);
        reports.extend(scene.reports());
    }
    assert_eq!(
        reports.iter().filter(|report| **report == Report::Silent { leg: A }).count(),
        0,
        "{reports:?}"
    );
    assert!(reports.contains(&Report::Silent { leg: B }));
    rtcp(&mut scene, B, B_RTCP, &feedback(0xbbbb, 206, 1, 0, &[]));
    assert_eq!(scene.reports(), [Report::Heard { leg: B }]);
}

#[test]
fn the_end_of_a_leg_that_sent_is_told_before_its_ports_go() {
    let mut scene = Scene::relayed();
    talk(&mut scene, 0, 5);
    let key = scene.key(A);
    let reports = scene.command(Command::Close { leg: A });
    let (forward, octets) =
        scene.shard.poll_transmit().map(|(forward, octets)| (forward, octets.to_vec())).unwrap();
    assert_eq!((forward.leg, forward.port, forward.destination), (key, Port::Rtcp, at(A_RTCP)));
    let compound = Compound::parse(&octets).unwrap();
    assert!(matches!(compound.packets().last(), Some(Packet::Goodbye(_))));
    let [.., Report::Closed { figures, .. }] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((figures.rtcp.packets_in, figures.rtcp.packets_out), (5, 5));
    // Nothing was ever sent to this one.
    scene.open(LegId(3));
    scene.command(Command::Configure { leg: LegId(3), params: params(A_SDP) });
    scene.command(Command::Close { leg: LegId(3) });
    assert!(scene.shard.poll_transmit().is_none());
}

#[test]
fn another_clock_rate_keeps_the_totals_and_the_jitter() {
    let mut scene = Scene::relayed();
    talk(&mut scene, 0, 50);
    let wide = StreamParams { clock_rate: 48_000, ..params(A_SDP) };
    scene.command(Command::Configure { leg: A, params: wide });
    for index in 50..100u16 {
        let packet = Rtp { timestamp: 960 * u32::from(index), ..Rtp::audio(0xaaaa, index) };
        scene.arrive(A, A_SDP, &packet).unwrap();
        scene.pass(PTIME);
    }
    let figures = scene.shard.figures(scene.key(A)).unwrap().rtcp;
    assert_eq!((figures.packets_in, figures.expected, figures.lost), (100, 100, 0));
    assert!(figures.jitter_us < 100, "{}", figures.jitter_us);
}

#[test]
fn reports_feedback_and_collisions_allocate_nothing() {
    let mut scene = Scene::relayed();
    talk(&mut scene, 0, 50);
    let to_a = scene.arrive(B, B_SDP, &Rtp::audio(0xbbbb, 60)).unwrap().rtp;
    let (pli, key, mut now) = (feedback(0xaaaa, 206, 1, to_a.ssrc, &[]), scene.key(A), scene.now);
    let mut echo = Rtp::audio(to_a.ssrc, 9).bytes();
    let shard = &mut scene.shard;
    let info = measure(|| {
        for _ in 0..2000 {
            now = now + PTIME;
            shard.receive_rtcp(now, key, at(A_RTCP), &pli);
            shard.receive(now, key, at(A_SDP), &mut echo);
            shard.tick(now);
            while shard.poll_transmit().is_some() {}
        }
    });
    assert_eq!(info.count_total, 0);
    assert!(scene.shard.figures(key).unwrap().rtcp.reports_out > 5);
}

#[test]
fn a_restored_shard_goes_on_reporting() {
    let mut scene = Scene::relayed();
    talk(&mut scene, 0, 50);
    let stored = postcard::to_allocvec(&scene.shard).unwrap();
    scene.shard = postcard::from_bytes(&stored).unwrap();
    let all = talk(&mut scene, 50, 500);
    assert!(all.iter().any(|letter| letter.0 == A) && all.iter().any(|letter| letter.0 == B));
    assert!(scene.shard.figures(scene.key(A)).unwrap().rtcp.packets_in == 550);
}
