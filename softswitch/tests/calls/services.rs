//! Calls that the switch answers itself: conferences and their recordings, echo, test tone, files.

use crate::stage::{self, CALLER, Stage, sdp};
use media::codec::Codec;
use media::mix::{Audience, MemberId, Role};
use media::source::{SoundFault, Source};
use media::tap::{Container, RecordingFault, RecordingFigures, Tapped};
use media::{AudioFormat, Command, LegId, PayloadRule, Report, RoomId};
use sip_stack::message::Method;
use softswitch::core::{Alarm, Event, Holdings, Input, Output};
use softswitch::store::StoreOp;
use std::sync::Arc;

const SERVICES: &str = "[[route]]\npattern = \"30XX\"\nservice = \"conference\"\n\
    [[route]]\npattern = \"9000\"\nservice = \"echo\"\n[[route]]\npattern = \"9001\"\nservice = \"milliwatt\"\n";
const PCMU: &str = "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

/// The caller has called this number with this description, and has been answered.
fn served(number: &str, media: &str) -> (Stage, Vec<Command>) {
    let mut stage = Stage::with(SERVICES, number, 0);
    stage.dial(&sdp(media));
    let mut told = stage.mixing();
    stage.open_media();
    told.extend(stage.mixing());
    stage.response_to_caller(200);
    stage.ack("");
    told.extend(stage.mixing());
    (stage, told)
}

fn join(command: &Command) -> (RoomId, LegId, AudioFormat) {
    let Command::Join { room, leg, format, role: Role::Participant } = command else {
        panic!("a participant joins, not {command:?}")
    };
    (*room, *leg, *format)
}

#[test]
fn whoever_dials_a_conference_is_answered_in_its_first_codec_and_joins() {
    let media = "m=audio 4000 RTP/AVP 18 9 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n";
    let mut stage = Stage::with(SERVICES, "3001", 0);
    stage.dial(&sdp(media));
    let [Command::OpenRoom { room }] = &stage.mixing()[..] else { panic!("{:?}", stage.mixing()) };
    let room = *room;
    stage.open_media();
    let answer = stage.response_to_caller(200);
    assert!(stage::body(&answer).contains("RTP/AVP 9 101\r\n"), "{}", stage::body(&answer));
    let told = stage.mixing();
    let [joined] = &told[..] else { panic!("{told:?}") };
    let format = AudioFormat { codec: Codec::G722, payload_type: 9, ptime_ms: 30 };
    assert_eq!((join(joined).0, join(joined).2), (room, format));
}

#[test]
fn the_last_to_leave_closes_the_room() {
    let (mut stage, told) = served("3001", PCMU);
    let [Command::OpenRoom { room }, _] = &told[..] else { panic!("{told:?}") };
    stage.bye();
    assert_eq!(stage.mixing(), [], "its figures are to come");
    stage.close_media();
    assert_eq!(stage.mixing(), [Command::CloseRoom { room: *room }]);
    stage.pass(40);
    let holdings = stage.switch.holdings();
    assert_eq!((holdings.calls, holdings.rooms, holdings.dialogs), (0, 0, 0));
}

#[test]
fn an_echo_sends_every_codec_of_the_caller_back() {
    let (_, told) = served("9000", "m=audio 4000 RTP/AVP 0 18 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    let [Command::Echo { map, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!([0, 18, 101].map(|number| map.rule(number)), [0, 18, 101].map(PayloadRule::Pass));
}

#[test]
fn the_test_tone_plays_in_a_room_of_its_own() {
    let (mut stage, told) = served("9001", PCMU);
    let [Command::OpenRoom { room }, joined, Command::Play { source, role, member, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((source, *role), (&Source::Milliwatt, Role::Announce { to: Audience::All }));
    assert_eq!(join(joined).0, *room);
    assert_ne!(*member, MemberId(join(joined).1.0));
    stage.bye();
    stage.close_media();
    assert_eq!(stage.mixing(), [Command::CloseRoom { room: *room }]);
}

/// Conferences that are recorded together and apart, and a file.
const RECORDED: &str = "[[route]]\npattern = \"3100\"\nservice = \"conference\"\nrecord = true\n\
    [[route]]\npattern = \"3200\"\nservice = \"conference\"\nrecord = true\nformat = \"opus\"\nlayout = \"members\"\n\
    [[route]]\npattern = \"9100\"\nservice = \"play\"\nsound = \"a.wav\"\n[recording]\nfolder = \"/calls\"\n";

/// As [`served`], with the routes of [`RECORDED`].
fn recorded(number: &str) -> (Stage, Vec<Command>) {
    let mut stage = Stage::with(RECORDED, number, 0);
    stage.dial(&sdp(PCMU));
    let mut told = stage.mixing();
    stage.open_media();
    told.extend(stage.mixing());
    stage.response_to_caller(200);
    stage.ack("");
    told.extend(stage.mixing());
    (stage, told)
}

fn told_of(stage: &Stage) -> Vec<&Event> {
    let events = stage.outputs.iter().filter_map(|output| match output {
        Output::Event(told) => Some(&told.event),
        _ => None,
    });
    events.collect()
}

#[test]
fn a_conference_is_recorded_from_the_first_who_joins_under_the_time_and_its_number() {
    let (mut stage, told) = recorded("3100");
    let [_, _, Command::Record { recording, what: Tapped::Mix, whispers: false, file, format, .. }] =
        &told[..]
    else {
        panic!("{told:?}")
    };
    assert!(file.starts_with("/calls/2027-01-15T08-00-") && file.ends_with("Z-call-1.wav"), "{file}");
    assert_eq!(format.container, Container::Wav);
    let (recording, figures) = (*recording, RecordingFigures { lost_ms: 7, ..RecordingFigures::default() });
    let (call, named) = (stage.call(1), stage.recording(recording));
    stage.input(Input::Media(Report::RecordingBegan { recording, file: file.clone() }));
    assert_eq!(told_of(&stage), [&Event::RecordingBegan { call, recording: named, file: file.clone() }]);
    stage.input(Input::Media(Report::RecordingLost { recording, lost_ms: 7 }));
    assert_eq!(told_of(&stage), [&Event::RecordingLost { call, recording: named, lost_ms: 7 }]);
    stage.bye();
    stage.close_media();
    assert!(matches!(stage.mixing()[..], [Command::CloseRoom { .. }]), "it ends with its room");
    stage.input(Input::Media(Report::RecordingEnded { recording, figures }));
    assert_eq!(told_of(&stage), [&Event::RecordingEnded { call, recording: named, figures }]);
    // What is over is not known any more.
    stage.input(Input::Media(Report::RecordingEnded { recording, figures }));
    assert!(told_of(&stage).is_empty());
}

#[test]
fn a_member_is_recorded_until_it_leaves_and_a_full_disk_ends_no_call() {
    let (mut stage, told) = recorded("3200");
    let [_, joined, Command::Record { recording, what, file, format, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*what, Tapped::Member(MemberId(join(joined).1.0)));
    assert!(file.ends_with("-call-1.opus"), "{file}");
    assert_eq!(format.container, Container::OggOpus);
    let recording = *recording;
    let (call, named) = (stage.call(1), stage.recording(recording));
    let (fault, figures) = (RecordingFault::DiskFull, RecordingFigures::default());
    stage.input(Input::Media(Report::RecordingFailed { recording, fault, figures }));
    let alarm = Alarm::Recordings { reason: fault };
    let told =
        [&Event::RecordingFailed { call, recording: named, fault, figures }, &Event::AlarmRaised { alarm }];
    assert_eq!(told_of(&stage), told);
    assert_eq!(stage.switch.holdings().calls, 1, "the call goes on");
    stage.bye();
    stage.close_media();
    assert!(matches!(stage.mixing()[..], [Command::CloseRoom { .. }]), "it has ended already");
    let (mut stage, _) = recorded("3200");
    stage.bye();
    stage.close_media();
    assert!(matches!(stage.mixing()[..], [Command::StopRecording { .. }, Command::CloseRoom { .. }]));
}

#[test]
fn a_conference_whose_recording_failed_is_recorded_again_when_the_next_one_enters() {
    let enter = |stage: &mut Stage| {
        stage.dial_again(&sdp(PCMU));
        stage.open_media();
        stage.response_to_caller(200);
        stage.ack("");
        let mut begun = Vec::new();
        for command in stage.mixing() {
            if let Command::Record { recording, file, .. } = command {
                begun.push((recording, file));
            }
        }
        begun
    };
    let (mut stage, told) = recorded("3100");
    let [_, _, Command::Record { recording, file: first, .. }] = &told[..] else { panic!("{told:?}") };
    let recording = *recording;
    assert_eq!(enter(&mut stage), [], "it is recorded already");
    let (fault, figures) = (RecordingFault::DiskFull, RecordingFigures::default());
    stage.input(Input::Media(Report::RecordingFailed { recording, fault, figures }));
    let begun = enter(&mut stage);
    let [(_, second)] = &begun[..] else { panic!("{begun:?}") };
    assert_ne!(second, first);
    // The second who came had the first file, which was never begun, and the third has the second.
    stage.input(Input::Shutdown);
    let closed = |output: &Output| match output.media() {
        Some(Command::Close { leg }) => Some(*leg),
        _ => None,
    };
    let closing: Vec<LegId> = stage.outputs.iter().filter_map(closed).collect();
    let mut named = Vec::new();
    for leg in closing {
        stage.input(Input::Media(Report::Closed { leg, figures: Box::default() }));
        named.extend(stage.outputs.iter().filter_map(|output| match output {
            Output::Store(StoreOp::PutCallRecord(record)) => Some(record.recordings.clone()),
            _ => None,
        }));
    }
    named.sort();
    assert_eq!(named, [vec![], vec![], vec![second.clone()]]);
}

#[test]
fn a_file_is_played_when_the_caller_has_joined_and_its_end_ends_the_call() {
    let (mut stage, told) = recorded("9100");
    let [_, joined, Command::Play { room, member, source: Source::Files { loops: false, .. }, .. }] =
        &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!(join(joined).0, *room);
    let (room, member) = (*room, *member);
    let file: Arc<str> = "a.wav".into();
    let fault = SoundFault::NotFound;
    stage.input(Input::Media(Report::NotPlayed { room, member, file: file.clone(), fault }));
    assert_eq!(told_of(&stage), [&Event::NotPlayed { file, fault }]);
    stage.input(Input::Media(Report::Played { room, member }));
    assert_eq!(stage.mixing(), [], "what was played last is still on its way");
    stage.wait_for_request(Method::Bye);
    stage.close_media();
    stage.pass(40);
    assert_eq!(stage.switch.holdings().rooms, 0);
}

#[test]
fn nothing_is_played_before_the_caller_has_acknowledged_the_answer() {
    let mut stage = Stage::with(SERVICES, "9001", 0);
    stage.dial(&sdp(PCMU));
    stage.open_media();
    assert!(matches!(stage.mixing()[..], [Command::Join { .. }]), "{:?}", stage.mixing());
    stage.response_to_caller(200);
    stage.ack("");
    assert!(matches!(stage.mixing()[..], [Command::Play { .. }]), "{:?}", stage.mixing());
}

#[test]
fn a_caller_without_a_codec_that_is_decoded_is_refused_and_the_room_closed() {
    let mut stage = Stage::with(SERVICES, "3001", 0);
    stage.dial(&sdp("m=audio 4000 RTP/AVP 18\r\n"));
    stage.open_media();
    stage.response_to_caller(488);
    stage.close_media();
    assert!(matches!(stage.mixing()[..], [Command::CloseRoom { .. }]));
}

#[test]
fn a_caller_without_an_offer_is_served_after_its_ack() {
    let mut stage = Stage::with(SERVICES, "3001", 0);
    stage.dial("");
    stage.open_media();
    let offer = stage.response_to_caller(200);
    assert!(stage::body(&offer).contains("RTP/AVP 0 8 9 96 101"));
    assert_eq!(stage.mixing(), []);
    stage.ack(&sdp("m=audio 4000 RTP/AVP 8\r\n"));
    let told = stage.mixing();
    let [joined] = &told[..] else { panic!("{told:?}") };
    assert_eq!(join(joined).2.codec, Codec::Pcma);
}

#[test]
fn hold_keeps_the_seat_and_another_codec_takes_it_anew() {
    let (mut stage, _) = served("3001", PCMU);
    let answer = stage.re_invite(&sdp(&format!("{PCMU}a=sendonly\r\n")));
    assert!(stage::body(&answer).contains("a=recvonly"));
    assert!(!stage.configured_caller().receive, "a caller on hold is sent nothing");
    assert_eq!(stage.mixing(), []);
    stage.ack("");
    let answer = stage.re_invite(&sdp("m=audio 4000 RTP/AVP 8\r\n"));
    assert!(stage::body(&answer).contains("RTP/AVP 8\r\n"));
    let told = stage.mixing();
    let [joined] = &told[..] else { panic!("{told:?}") };
    assert_eq!(join(joined).2.codec, Codec::Pcma);
    stage.ack("");
    let refused = stage.re_invite(&sdp("m=audio 4000 RTP/AVP 18\r\n"));
    assert_eq!(refused.status().map(|status| status.code()), Some(488));
}

#[test]
fn an_offerless_re_invite_is_offered_what_is_spoken() {
    let (mut stage, _) =
        served("3001", "m=audio 4000 RTP/AVP 18 9 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    let offer = stage.re_invite("");
    assert!(stage::body(&offer).contains("RTP/AVP 9 101\r\n"), "{}", stage::body(&offer));
    stage.ack(&sdp("m=audio 4000 RTP/AVP 9 101\r\na=rtpmap:101 telephone-event/8000\r\n"));
    assert_eq!(stage.mixing(), []);
}

#[test]
fn a_caller_that_finds_no_seat_is_hung_up_on() {
    let (mut stage, told) = served("3001", PCMU);
    let (room, leg, _) = join(told.last().expect("it joins"));
    stage.input(Input::Media(Report::NotJoined { room, leg }));
    stage.sent_to(CALLER, Method::Bye);
}

#[test]
fn a_caller_that_gives_up_while_its_port_is_bound_leaves_nothing() {
    let mut stage = Stage::with(SERVICES, "3001", 0);
    stage.dial(&sdp(PCMU));
    stage.cancel();
    stage.open_media();
    stage.close_media();
    stage.pass(40);
    let Holdings { calls, rooms, .. } = stage.switch.holdings();
    assert_eq!((calls, rooms), (0, 0));
}
