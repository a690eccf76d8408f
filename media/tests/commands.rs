//! What a shard does on commands and in time, and that its state can be stored.

mod scene;

use std::time::Duration;

use media::codec::Codec;
use media::mix::Role;
use media::{
    AudioFormat, Command, LegId, Output, PayloadMap, PayloadRule, RefusalReason, Report, RoomId, Shard,
    StreamParams,
};
use proptest::prelude::*;
use scene::{A, A_SDP, B, B_SDP, PTIME, Rtp, Scene, params, plain};
use smallvec::smallvec;

const SECOND: Duration = Duration::from_secs(1);

fn open(legs: &[u64]) -> Command {
    Command::Open { legs: legs.iter().map(|leg| (LegId(*leg), [192, 0, 2, 1].into())).collect() }
}

/// Lets the shard tick once a second and collects what it reports.
fn wait(scene: &mut Scene, seconds: u32) -> Vec<Report> {
    let mut reports = Vec::new();
    for _ in 0..seconds {
        scene.pass(SECOND);
        scene.shard.tick(scene.now);
        reports.extend(scene.reports());
    }
    reports
}

#[test]
fn legs_of_one_command_are_bound_together_and_reported_together() {
    let mut scene = Scene::empty();
    scene.shard.handle_command(scene.now, open(&[1, 2]));
    let Some(Output::Bind { legs }) = scene.shard.poll_output() else { panic!("nothing to bind") };
    assert_eq!(legs.iter().map(|(leg, _)| *leg).collect::<Vec<_>>(), [A, B]);
    assert_eq!(scene.shard.key(A), None);
    scene.shard.handle_bound(scene.now, smallvec![(A, 40_000), (B, 40_002)]);
    assert_eq!(scene.reports(), [Report::Opened { legs: smallvec![(A, 40_000), (B, 40_002)] }]);
    assert!(scene.shard.key(A).is_some() && scene.shard.key(B).is_some());
}

#[test]
fn a_leg_on_ports_that_are_bound_opens_without_a_report() {
    let mut scene = Scene::empty();
    let key = scene.shard.adopt(scene.now, A);
    assert!(key.is_some() && scene.shard.key(A) == key);
    assert_eq!(scene.shard.adopt(scene.now, A), None);
    assert_eq!(scene.shard.ignored_commands(), 1);
    assert_eq!(scene.reports(), []);
}

#[test]
fn a_refusal_opens_nothing_and_the_ids_are_free_again() {
    let mut scene = Scene::empty();
    scene.shard.handle_command(scene.now, open(&[1, 2]));
    let Some(Output::Bind { legs }) = scene.shard.poll_output() else { panic!("nothing to bind") };
    scene.shard.handle_refused(&legs, RefusalReason::NoFreePort);
    let refused = Report::Refused { legs: smallvec![A, B], reason: RefusalReason::NoFreePort };
    assert_eq!(scene.reports(), [refused]);
    assert_eq!(scene.shard.key(A), None);
    scene.open(A);
}

#[test]
fn an_id_that_is_open_being_opened_or_named_twice_is_refused() {
    let mut scene = Scene::empty();
    scene.open(A);
    let refused = |legs| [Report::Refused { legs, reason: RefusalReason::AlreadyOpen }];
    assert_eq!(scene.command(open(&[2, 1])), refused(smallvec![B, A]));
    assert_eq!(scene.command(open(&[2, 2])), refused(smallvec![B, B]));
    assert_eq!(scene.shard.key(B), None);
    scene.shard.handle_command(scene.now, open(&[2]));
    assert!(matches!(scene.shard.poll_output(), Some(Output::Bind { .. })));
    assert_eq!(scene.command(open(&[2])), refused(smallvec![B]));
}

#[test]
fn closing_releases_the_leg_parts_its_partner_and_reports_the_figures() {
    let mut scene = Scene::relayed();
    scene.arrive(A, A_SDP, &Rtp::audio(1, 1)).unwrap();
    scene.reports();
    let key = scene.key(A);
    scene.shard.handle_command(scene.now, Command::Close { leg: A });
    let released = scene.shard.poll_output();
    assert!(
        matches!(released, Some(Output::Release { key: gone, leg: A, .. }) if gone == key),
        "{released:?}"
    );
    let reports = scene.reports();
    let [Report::Closed { leg: A, figures }] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((figures.packets_in, figures.packets_out, figures.dropped.total()), (1, 0, 0));
    assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(2, 1)), None);
    assert_eq!(scene.shard.figures(scene.key(B)).unwrap().dropped.unrelayed, 1);
    scene.open(A);
    assert_ne!(scene.key(A), key);
}

#[test]
fn parting_stops_the_relay_and_leaves_the_legs_open() {
    let mut scene = Scene::relayed();
    scene.command(Command::Part { a: B, b: A });
    assert_eq!(scene.arrive(A, A_SDP, &Rtp::audio(1, 1)), None);
    assert_eq!(scene.arrive(B, B_SDP, &Rtp::audio(1, 1)), None);
    scene.relay(A, B, plain(), plain());
    assert!(scene.arrive(A, A_SDP, &Rtp::audio(1, 2)).is_some());
}

#[test]
fn parting_those_who_are_not_partners_changes_nothing() {
    let mut scene = Scene::relayed();
    scene.open(LegId(3));
    scene.command(Command::Part { a: A, b: LegId(3) });
    assert!(scene.arrive(A, A_SDP, &Rtp::audio(1, 1)).is_some());
}

#[test]
fn commands_for_legs_that_are_not_open_are_counted_and_change_nothing() {
    let mut scene = Scene::relayed();
    let nobody = LegId(99);
    scene.command(Command::Configure { leg: nobody, params: params(A_SDP) });
    scene.command(Command::Relay { a: A, b: nobody, forward: plain(), backward: plain() });
    scene.command(Command::Relay { a: A, b: A, forward: plain(), backward: plain() });
    scene.command(Command::Part { a: nobody, b: A });
    scene.command(Command::Close { leg: nobody });
    assert_eq!(scene.shard.ignored_commands(), 5);
    assert!(scene.arrive(A, A_SDP, &Rtp::audio(1, 1)).is_some());
}

#[test]
fn a_leg_without_parameters_accepts_nothing() {
    let mut scene = Scene::empty();
    scene.open(A);
    assert_eq!(scene.arrive(A, A_SDP, &Rtp::audio(1, 1)), None);
    assert_eq!(scene.shard.figures(scene.key(A)).unwrap().dropped.foreign, 1);
}

#[test]
fn silence_is_reported_once_and_so_is_the_first_packet_after_it() {
    let mut scene = Scene::relayed();
    scene.arrive(A, A_SDP, &Rtp::audio(1, 1)).unwrap();
    scene.arrive(B, B_SDP, &Rtp::audio(2, 1)).unwrap();
    scene.reports();
    assert_eq!(wait(&mut scene, 29), []);
    scene.arrive(B, B_SDP, &Rtp::audio(2, 2)).unwrap();
    assert_eq!(wait(&mut scene, 20), [Report::Silent { leg: A }]);
    scene.arrive(A, A_SDP, &Rtp::audio(1, 2)).unwrap();
    let news = [Report::Heard { leg: A }, Report::Silent { leg: B }, Report::Silent { leg: A }];
    assert_eq!(wait(&mut scene, 60), news);
}

#[test]
fn silence_is_told_of_once_more_when_something_was_agreed_anew() {
    let mut scene = Scene::relayed();
    scene.reports();
    let of_a = |reports: Vec<Report>| reports.contains(&Report::Silent { leg: A });
    assert!(of_a(wait(&mut scene, 30)));
    assert_eq!(wait(&mut scene, 100), []);
    scene.command(Command::Configure { leg: A, params: params(A_SDP) });
    assert_eq!(wait(&mut scene, 29), [], "it has its time again");
    assert_eq!(wait(&mut scene, 1), [Report::Silent { leg: A }]);
}

#[test]
fn a_payload_type_that_is_not_agreed_on_is_told_of_once_until_something_else_is_agreed() {
    let mut scene = Scene::relayed();
    scene.arrive(A, A_SDP, &Rtp::audio(1, 1)).unwrap();
    scene.reports();
    let other = |index, payload_type| Rtp { payload_type, ..Rtp::audio(1, index) };
    assert_eq!(scene.arrive(A, A_SDP, &other(2, 9)), None);
    assert_eq!(scene.arrive(A, A_SDP, &other(3, 9)), None);
    assert_eq!(scene.arrive(A, A_SDP, &other(4, 111)), None);
    let told = [9, 111].map(|payload_type| Report::Unexpected { leg: A, payload_type });
    assert_eq!(scene.reports(), told);
    scene.relay(A, B, plain(), plain());
    assert_eq!(scene.arrive(A, A_SDP, &other(5, 9)), None);
    assert_eq!(scene.reports(), told[..1]);
    let codec = Codec::Pcmu;
    let format = AudioFormat { codec, payload_type: 0, ptime_ms: 20 };
    scene.command(Command::OpenRoom { room: RoomId(1) });
    scene.command(Command::Join { room: RoomId(1), leg: A, format, role: Role::Participant });
    for (index, payload_type) in [(6, 0), (7, 13), (8, 9), (9, 9)] {
        scene.arrive(A, A_SDP, &other(index, payload_type));
    }
    assert_eq!(scene.reports(), told[..1], "what is heard in the room and its comfort noise are no news");
}

#[test]
fn a_peer_that_may_not_send_or_has_no_partner_is_not_silent() {
    let mut scene = Scene::relayed();
    let held = |sdp| StreamParams { send: false, ..params(sdp) };
    scene.command(Command::Configure { leg: A, params: held(A_SDP) });
    scene.command(Command::Configure { leg: B, params: held(B_SDP) });
    assert_eq!(wait(&mut scene, 100), []);
    // Silence counts from the moment the peer may send again.
    scene.command(Command::Configure { leg: A, params: params(A_SDP) });
    assert_eq!(wait(&mut scene, 29), []);
    assert_eq!(wait(&mut scene, 1), [Report::Silent { leg: A }]);
    scene.command(Command::Part { a: A, b: B });
    assert_eq!(wait(&mut scene, 100), []);
}

#[test]
fn without_legs_there_is_nothing_to_wait_for() {
    let mut scene = Scene::relayed();
    assert!(scene.shard.poll_timeout().is_some());
    scene.command(Command::Close { leg: A });
    scene.command(Command::Close { leg: B });
    wait(&mut scene, 2);
    assert_eq!(scene.shard.poll_timeout(), None);
    assert_eq!(Scene::empty().shard.poll_timeout(), None);
}

#[test]
fn news_that_finds_the_outbox_full_waits_and_is_counted() {
    let mut scene = Scene::empty();
    for leg in 0..1100 {
        scene.open(LegId(leg));
        scene.command(Command::Configure { leg: LegId(leg), params: params(A_SDP) });
    }
    for leg in 0..1100 {
        assert_eq!(scene.arrive(LegId(leg), A_SDP, &Rtp::audio(1, 1)), None);
    }
    assert_eq!(scene.shard.deferred_reports(), 1100 - 1024);
    let mut latched = scene.reports().len();
    latched += wait(&mut scene, 1).len();
    assert_eq!(latched, 1100);
}

#[test]
fn commands_and_reports_survive_serialisation() {
    let map = PayloadMap::new(&[(0, PayloadRule::UlawToAlaw(8)), (101, PayloadRule::Pass(96))]);
    let commands = [
        open(&[1, 2]),
        Command::Configure { leg: A, params: params(A_SDP) },
        Command::Relay { a: A, b: B, forward: map, backward: plain() },
        Command::Part { a: A, b: B },
        Command::Close { leg: A },
    ];
    for command in commands {
        let bytes = postcard::to_allocvec(&command).unwrap();
        assert_eq!(postcard::from_bytes::<Command>(&bytes).unwrap(), command);
    }
    let report = Report::Refused { legs: smallvec![A, B], reason: RefusalReason::Os { errno: 24 } };
    let bytes = postcard::to_allocvec(&report).unwrap();
    assert_eq!(postcard::from_bytes::<Report>(&bytes).unwrap(), report);
}

proptest! {
    /// A shard that was stored and restored in the middle goes on byte for byte like one that was not.
    #[test]
    fn a_restored_shard_goes_on_like_the_original(
        steps in prop::collection::vec((any::<bool>(), 1u32..3, 0u16..4, 0u64..400), 2..80),
        at in any::<prop::sample::Index>(),
    ) {
        let mut scene = Scene::relayed();
        let cut = at.index(steps.len());
        let mut twin: Option<Shard> = None;
        for (index, (from_a, ssrc, jump, pause_ms)) in steps.into_iter().enumerate() {
            if index == cut {
                let stored = postcard::to_allocvec(&scene.shard).unwrap();
                twin = Some(postcard::from_bytes(&stored).unwrap());
            }
            scene.pass(PTIME + Duration::from_millis(pause_ms));
            let (leg, source) = if from_a { (A, A_SDP) } else { (B, B_SDP) };
            let sequence = index as u16 * 4 + jump;
            let (mut ours, mut theirs) = (Rtp::audio(ssrc, sequence).bytes(), Rtp::audio(ssrc, sequence).bytes());
            let (key, source) = (scene.key(leg), scene::at(source));
            let forward = scene.shard.receive(scene.now, key, source, &mut ours);
            scene.shard.tick(scene.now);
            if let Some(twin) = &mut twin {
                prop_assert_eq!(twin.receive(scene.now, key, source, &mut theirs), forward);
                prop_assert_eq!(&theirs, &ours);
                twin.tick(scene.now);
                prop_assert_eq!(twin.figures(key), scene.shard.figures(key));
                // What is not drained is stored, too.
                prop_assert_eq!(twin.poll_output(), scene.shard.poll_output());
            }
        }
    }
}

#[test]
fn whom_a_leg_has_heard_is_refused_by_the_next_one_on_its_port_unless_it_is_its_party() {
    const OLD: &str = "198.51.100.1:9000";
    let mut scene = Scene::relayed();
    scene.arrive(A, OLD, &Rtp::audio(7, 1)).unwrap();
    scene.reports();
    scene.shard.handle_command(scene.now, Command::Close { leg: A });
    let Some(Output::Release { ghosts, .. }) = scene.shard.poll_output() else { panic!("it is released") };
    for (sdp, is_party) in [(A_SDP, false), (OLD, true)] {
        let mut scene = Scene::relayed();
        scene.command(Command::Configure { leg: A, params: params(sdp) });
        scene.shard.beware(scene.key(A), ghosts);
        assert_eq!(scene.arrive(A, OLD, &Rtp::audio(7, 2)).is_some(), is_party, "{sdp}");
        assert!(scene.arrive(A, OLD, &Rtp::audio(8, 2)).is_some(), "a new stream of the same phone");
    }
}
