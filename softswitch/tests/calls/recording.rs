//! Recordings of calls between two parties: when they begin and end, what is in them, and what becomes of the call.

use crate::stage::{self, CALLEE, CALLER, Stage, body, sdp};
use media::codec::Codec;
use media::mix::MemberId;
use media::tap::{Container, RecordingFault, RecordingFigures, RecordingId, Tapped};
use media::{Command, LegId, Report};
use sip_stack::message::Method;
use softswitch::core::{Event, Input, Output, Unrecorded};
use softswitch::store::{CallRecord, StoreOp};
use std::sync::Arc;

const PCMU: &str = "m=audio 4000 RTP/AVP 0\r\n";
const PCMA: &str = "m=audio 4002 RTP/AVP 8\r\n";
const BOTH: &str = "m=audio 4002 RTP/AVP 0 8\r\n";
const G729: &str = "m=audio 4000 RTP/AVP 18\r\n";
const FAX: &str = "m=image 4006 udptl t38\r\n";
const FOLDER: &str = "[recording]\nfolder = \"/calls\"\n";

/// The users of the stage with these keys more.
fn users(keys: &str) -> String {
    format!("{keys}{FOLDER}")
}

/// A call whose users have these keys; what the answer made the shard do.
fn talking(keys: &str, caller: &str, callee: &str) -> (Stage, Vec<Command>) {
    let mut stage = Stage::with(&users(keys), "1001", 1);
    stage.invite(&sdp(caller));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(callee));
    let told = stage.mixing();
    stage.response_to_caller(200);
    stage.ack("");
    (stage, told)
}

/// The recordings that commands begin.
fn begun(commands: &[Command]) -> Vec<(RecordingId, Tapped, Arc<str>)> {
    let begun = |command: &Command| match command {
        Command::Record { recording, what, file, whispers: false, .. } => {
            Some((*recording, *what, file.clone()))
        }
        _ => None,
    };
    commands.iter().filter_map(begun).collect()
}

fn joined(commands: &[Command]) -> Vec<(LegId, Codec)> {
    let joined = |command: &Command| match command {
        Command::Join { leg, format, .. } => Some((*leg, format.codec)),
        _ => None,
    };
    commands.iter().filter_map(joined).collect()
}

fn events(stage: &Stage) -> Vec<&Event> {
    let events = stage.outputs.iter().filter_map(|output| match output {
        Output::Event(told) => Some(&told.event),
        _ => None,
    });
    events.collect()
}

fn record_of(stage: &mut Stage) -> CallRecord {
    stage.bye();
    let mut records = Vec::new();
    let closing: Vec<LegId> = [0, 1].map(|side| stage.media_leg(side)).into();
    for leg in closing {
        stage.input(Input::Media(Report::Closed { leg, figures: Box::default() }));
        records.extend(stage.outputs.iter().filter_map(|output| match output {
            Output::Store(StoreOp::PutCallRecord(record)) => Some(record.clone()),
            _ => None,
        }));
    }
    let [record] = &records[..] else { panic!("one record: {records:?}") };
    CallRecord::clone(record)
}

fn key(stage: &mut Stage, on: &str) -> u16 {
    stage.info(&format!("Record: {on}\r\n"), "").status().map_or(0, |status| status.code())
}

#[test]
fn a_call_of_a_user_is_recorded_from_the_answer_on_though_it_could_be_relayed() {
    let (mut stage, told) = talking("record = true\n", PCMU, BOTH);
    let [Command::OpenRoom { .. }, _, _, Command::Record { .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(joined(&told).len(), 2);
    let [(recording, Tapped::Mix, file)] = &begun(&told)[..] else { panic!("{told:?}") };
    assert!(file.starts_with("/calls/2027-01-15T08-00-") && file.ends_with("Z-call-1.wav"), "{file}");
    stage.input(Input::Media(Report::RecordingBegan { recording: *recording, file: file.clone() }));
    assert_eq!(
        events(&stage),
        [&Event::RecordingBegan {
            call: stage.call(1),
            recording: stage.recording(*recording),
            file: file.clone()
        }]
    );
    // A WAV file that is full is followed by another.
    let second: Arc<str> = "/calls/second.wav".into();
    stage.input(Input::Media(Report::RecordingBegan { recording: *recording, file: second.clone() }));
    assert_eq!(record_of(&mut stage).recordings, [file.clone(), second]);
    let figures = RecordingFigures::default();
    stage.input(Input::Media(Report::RecordingEnded { recording: *recording, figures }));
    assert_eq!(
        events(&stage),
        [&Event::RecordingEnded { call: stage.call(1), recording: stage.recording(*recording), figures }]
    );
    stage.pass(40);
    assert_eq!(stage.switch.holdings().calls, 0);
}

#[test]
fn each_layout_takes_what_it_says() {
    let (stage, told) = talking("record = true\nlayout = \"stereo\"\nformat = \"opus\"\n", PCMU, BOTH);
    let [caller, callee] = [0, 1].map(|side| MemberId(stage.media_leg(side).0));
    let Some(Command::Record { what, file, format, .. }) = told.last() else { panic!("{told:?}") };
    assert_eq!(*what, Tapped::Parties { left: caller });
    assert!(file.ends_with("-call-1.opus"), "{file}");
    assert_eq!(format.container, Container::OggOpus);
    let (_, told) = talking("record = true\nlayout = \"members\"\n", PCMU, BOTH);
    let [(_, first, own), (_, second, other)] = &begun(&told)[..] else { panic!("{told:?}") };
    assert_eq!([*first, *second], [Tapped::Member(caller), Tapped::Member(callee)]);
    assert!(own.ends_with("-call-1-caller.wav") && other.ends_with("-call-1-callee.wav"), "{own} {other}");
}

#[test]
fn a_call_to_a_peer_is_recorded_when_its_route_says_so() {
    let peer = "[[peer]]\nid = \"p\"\naddress = \"127.0.0.1:7001\"\ntransport = \"udp\"\n\
                [[route]]\npattern = \"8.\"\npeer = \"p\"\nrecord = true\n";
    let mut stage = Stage::with(peer, "81", 0);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "183 Session Progress", &sdp(PCMU));
    assert!(begun(&stage.mixing()).is_empty(), "what is heard before the answer is not recorded");
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    assert_eq!(begun(&stage.mixing()).len(), 1);
}

#[test]
fn a_phone_begins_and_ends_the_recording_with_its_key_and_the_relay_comes_back() {
    let (mut stage, told) = talking("record_on_request = true\n", PCMU, BOTH);
    assert!(matches!(told[..], [Command::Relay { .. }]), "{told:?}");
    let relay = told[0].clone();
    assert_eq!(key(&mut stage, "on"), 200);
    let told = stage.mixing();
    let [(recording, Tapped::Mix, _)] = begun(&told)[..] else { panic!("{told:?}") };
    assert_eq!(key(&mut stage, "on"), 200);
    assert_eq!(stage.mixing(), [], "it is recorded already");
    assert_eq!(key(&mut stage, "off"), 200);
    let told = stage.mixing();
    let [Command::StopRecording { recording: stopped, .. }, again, Command::CloseRoom { .. }] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert_eq!((*stopped, again), (recording, &relay));
    assert_eq!(key(&mut stage, "on"), 200);
    let [(_, _, file)] = &begun(&stage.mixing())[..] else { panic!("a second take") };
    assert!(file.ends_with("-call-1-take-2.wav"), "{file}");
    assert_eq!(record_of(&mut stage).recordings.len(), 2);
}

#[test]
fn a_phone_that_begins_a_recording_again_and_again_is_refused_at_last() {
    let (mut stage, _) = talking("record_on_request = true\nlayout = \"members\"\n", PCMU, BOTH);
    for _ in 0..32 {
        assert_eq!((key(&mut stage, "on"), begun(&stage.mixing()).len()), (200, 2));
        assert_eq!(key(&mut stage, "off"), 200);
    }
    assert_eq!((key(&mut stage, "on"), stage.mixing()), (488, vec![]));
    assert_eq!(events(&stage), [&Event::NotRecorded { call: stage.call(1), reason: Unrecorded::TooOften }]);
    assert_eq!(key(&mut stage, "on"), 488);
    assert!(events(&stage).is_empty(), "it is told once");
    assert_eq!(record_of(&mut stage).recordings.len(), 64);
}

#[test]
fn a_phone_that_may_not_record_is_refused() {
    let (mut stage, _) = talking("", PCMU, BOTH);
    assert_eq!(key(&mut stage, "on"), 403);
    assert_eq!(stage.mixing(), []);
    // Of anything else in the header we know nothing; such an INFO asks whether we are there.
    assert_eq!(key(&mut stage, "maybe"), 200);
}

#[test]
fn a_recording_goes_on_over_hold_and_a_change_of_codec() {
    let (mut stage, _) = talking("record = true\n", BOTH, BOTH);
    stage.re_invite(&sdp(&format!("{PCMU}a=sendonly\r\n")));
    let told = stage.mixing();
    assert!(
        matches!(told[..], [Command::Play { .. }, Command::Assign { .. }]),
        "music, and the room stays: {told:?}"
    );
    stage.ack("");
    stage.re_invite(&sdp(PCMA));
    let told = stage.mixing();
    assert!(matches!(joined(&told)[..], [(_, Codec::Pcma)]), "{told:?}");
    assert!(matches!(told[1..], [Command::Leave { .. }, Command::Assign { .. }]), "{told:?}");
    stage.ack("");
    stage.re_invite(&sdp("m=audio 4000 RTP/AVP 9\r\n"));
    assert!(matches!(joined(&stage.mixing())[..], [(_, Codec::G722)]), "transcoded it is in the same room");
    assert_eq!(record_of(&mut stage).recordings.len(), 1);
}

#[test]
fn a_recorded_party_that_sends_another_of_its_codecs_is_heard_in_that_one() {
    let (mut stage, _) = talking("record = true\n", BOTH, BOTH);
    let leg = stage.media_leg(1);
    stage.input(Input::Media(Report::Unexpected { leg, payload_type: 8 }));
    assert_eq!(joined(&stage.mixing()), [(leg, Codec::Pcma)]);
    stage.input(Input::Media(Report::Unexpected { leg, payload_type: 77 }));
    assert_eq!(stage.mixing(), [], "nobody has spoken of it");
}

#[test]
fn a_recorded_call_speaks_what_is_decoded_where_there_is_a_choice() {
    let mut stage = Stage::with(&users("record = true\n"), "1001", 1);
    stage.invite(&sdp("m=audio 4000 RTP/AVP 18 0\r\n"));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    assert!(stage::body(&invite).contains("RTP/AVP 0 "), "{}", stage::body(&invite));
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    assert_eq!(begun(&stage.mixing()).len(), 1);
}

#[test]
fn what_cannot_be_decoded_is_passed_on_unrecorded_and_told_once() {
    let (mut stage, told) = talking("record = true\nrecord_on_request = true\n", G729, G729);
    assert!(matches!(told[..], [Command::Relay { .. }]), "{told:?}");
    stage.re_invite(&sdp(&format!("{G729}a=sendonly\r\n")));
    assert!(events(&stage).is_empty());
}

#[test]
fn a_recording_is_given_up_when_a_party_sends_what_is_not_decoded() {
    let lines = "m=audio 4000 RTP/AVP 0 18\r\n";
    let (mut stage, _) = talking("record_on_request = true\n", lines, lines);
    assert_eq!(key(&mut stage, "on"), 200);
    let leg = stage.media_leg(0);
    stage.input(Input::Media(Report::Unexpected { leg, payload_type: 18 }));
    assert_eq!(events(&stage), [&Event::NotRecorded { call: stage.call(1), reason: Unrecorded::NotDecoded }]);
    let told = stage.mixing();
    assert!(matches!(told[..], [Command::StopRecording { .. }, Command::Relay { .. }, _]), "{told:?}");
}

#[test]
fn a_full_disk_ends_the_recording_and_the_call_is_relayed_again() {
    let (mut stage, told) = talking("record = true\n", PCMU, BOTH);
    let [(recording, ..)] = begun(&told)[..] else { panic!("{told:?}") };
    let (fault, figures) = (RecordingFault::DiskFull, RecordingFigures::default());
    stage.input(Input::Media(Report::RecordingFailed { recording, fault, figures }));
    let told = stage.mixing();
    assert!(matches!(told[..], [Command::Relay { .. }, Command::CloseRoom { .. }]), "{told:?}");
    assert!(record_of(&mut stage).recordings.is_empty(), "a file that was never begun is not named");
}

#[test]
fn sound_that_comes_back_after_fax_is_a_further_take() {
    let (mut stage, _) = talking("record = true\n", PCMU, BOTH);
    let legs = [0, 1].map(|side| stage.media_leg(side));
    stage.ask(&sdp(FAX));
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp("m=audio 0 RTP/AVP 0\r\nm=image 4010 udptl t38\r\n"));
    assert!(stage.mixing().iter().any(|command| matches!(command, Command::CloseRoom { .. })));
    stage.ack("");
    stage.ask(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(&format!("{PCMU}m=image 0 udptl t38\r\n")));
    let [(_, _, file)] = &begun(&stage.mixing())[..] else { panic!("{:?}", stage.mixing()) };
    assert!(file.ends_with("-take-2.wav"), "{file}");
    assert_eq!(joined(&stage.mixing()).iter().map(|(leg, _)| *leg).collect::<Vec<_>>(), legs);
}

/// What a phone knows that speaks G.729 in the call.
const MANY: &str = "m=audio 4000 RTP/AVP 18 8 0\r\n";

/// A call in a codec that is not decoded, in which the record key was pressed: our INVITE to the caller.
fn asked_to_renew() -> (Stage, sip_stack::message::Message) {
    let (mut stage, _) = talking("record_on_request = true\n", G729, "m=audio 4002 RTP/AVP 18\r\n");
    assert_eq!(key(&mut stage, "on"), 200);
    let invite = stage.sent_to(CALLER, Method::Invite);
    assert!(invite.body().is_empty(), "it is to say what it knows");
    assert!(stage.mixing().is_empty(), "the call goes on meanwhile");
    (stage, invite)
}

#[test]
fn a_call_in_a_codec_that_is_not_decoded_is_recorded_when_both_phones_take_to_another_one() {
    let (mut stage, invite) = asked_to_renew();
    stage.caller_replies(&invite, "200 OK", &sdp(MANY));
    let offered = stage.sent_to(CALLEE, Method::Invite);
    assert!(body(&offered).contains("RTP/AVP 8 0"), "{}", body(&offered));
    assert!(!body(&offered).contains("RTP/AVP 8 0 18") && stage.mixing().is_empty());
    stage.reply(&offered, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    let told = stage.mixing();
    assert_eq!(joined(&told).iter().map(|(_, codec)| *codec).collect::<Vec<_>>(), [Codec::Pcmu; 2]);
    assert_eq!(begun(&told).len(), 1, "{told:?}");
    let ack = stage.sent_to(CALLER, Method::Ack);
    assert!(body(&ack).contains("RTP/AVP 0\r\n"), "{}", body(&ack));
    assert!(stage.sent_to(CALLEE, Method::Ack).body().is_empty());
    assert_eq!(key(&mut stage, "off"), 200);
    assert!(matches!(stage.mixing()[..], [Command::StopRecording { .. }, Command::Relay { .. }, ..]));
}

#[test]
fn a_call_goes_on_as_it_was_when_a_phone_keeps_to_a_codec_that_is_not_decoded() {
    let refused = |stage: &Stage| {
        assert_eq!(events(stage), [&Event::NotRecorded { call: stage.call(1), reason: Unrecorded::Refused }]);
        assert!(begun(&stage.mixing()).is_empty() && joined(&stage.mixing()).is_empty());
    };
    let (mut stage, invite) = asked_to_renew();
    stage.caller_replies(&invite, "488 Not Acceptable Here", "");
    refused(&stage);
    // It describes itself, and knows nothing else.
    let (mut stage, invite) = asked_to_renew();
    stage.caller_replies(&invite, "200 OK", &sdp(G729));
    assert!(body(&stage.sent_to(CALLER, Method::Ack)).contains("RTP/AVP 18"));
    refused(&stage);
    // The other one refuses: the first keeps what it spoke.
    let (mut stage, invite) = asked_to_renew();
    stage.caller_replies(&invite, "200 OK", &sdp(MANY));
    let offered = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&offered, "488 Not Acceptable Here", "");
    let answered = body(&stage.sent_to(CALLER, Method::Ack));
    assert!(answered.contains("RTP/AVP 18\r\n"), "{answered}");
    refused(&stage);
    assert!(stage.re_invite(&sdp(G729)).status().is_some_and(|status| status.code() == 200));
}

#[test]
fn nothing_is_changed_beside_while_phones_are_asked_and_who_hangs_up_leaves_nothing() {
    let (mut stage, invite) = asked_to_renew();
    assert_eq!(stage.re_invite(&sdp(G729)).status().map(|status| status.code()), Some(491));
    stage.caller_replies(&invite, "200 OK", &sdp(MANY));
    let offered = stage.sent_to(CALLEE, Method::Invite);
    stage.callee_hangs_up(&offered);
    assert!(body(&stage.sent_to(CALLER, Method::Ack)).contains("RTP/AVP 18"), "it waits no longer");
    stage.close_media();
    stage.reply(&offered, "487 Request Terminated", "");
    stage.pass(70);
    assert_eq!(stage.switch.holdings().calls, 0);
    // A phone that never answers is given up.
    let (mut stage, invite) = asked_to_renew();
    stage.caller_replies(&invite, "100 Trying", "");
    stage.wait_for_request(Method::Cancel);
    stage.caller_replies(&invite, "487 Request Terminated", "");
    assert_eq!(events(&stage), [&Event::NotRecorded { call: stage.call(1), reason: Unrecorded::Refused }]);
}
