//! Calls that go by stages: one trunk after the other, groups with numbers behind trunks, calls that come from a trunk, and what is counted.

use crate::stage::{CALLEE, CALLER, Stage, sdp};
use media::Command;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use softswitch::core::{Event, Holdings, Output, Refusal};

const PCMU: &str = "m=audio 4000 RTP/AVP 0\r\n";
/// Where the two trunks are.
const FIRST: u16 = 7101;
const SECOND: u16 = 7102;

fn trunks(first: &str, route: &str) -> String {
    format!(
        "[[peer]]\nid = \"first\"\naddress = \"127.0.0.1:{FIRST}\"\ntransport = \"udp\"\n{first}\n\
         [[peer]]\nid = \"second\"\naddress = \"127.0.0.1:{SECOND}\"\ntransport = \"udp\"\n\
         [[route]]\npattern = \"8XXX\"\n{route}\n"
    )
}

fn header(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

fn nothing_is_left(stage: &mut Stage) {
    stage.close_media();
    stage.pass(64);
    let Holdings { calls, rooms, locations, byes, .. } = stage.switch.holdings();
    assert_eq!((calls, rooms, locations, byes), (0, 0, 0, 0));
}

#[test]
fn the_next_trunk_is_tried_when_one_has_no_room_and_not_when_the_number_is_busy() {
    let both = trunks("", "peers = [\"first\", \"second\"]");
    let mut stage = Stage::with(&both, "8000", 0);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(FIRST, Method::Invite);
    stage.reply(&invite, "503 Service Unavailable", "");
    let invite = stage.sent_to(SECOND, Method::Invite);
    let opened = stage.told.iter().filter(|told| matches!(told, Command::Open { .. })).count();
    assert_eq!(opened, 1, "the ports are there already");
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    stage.response_to_caller(200);
    stage.ack("");
    stage.bye();
    nothing_is_left(&mut stage);

    let mut stage = Stage::with(&both, "8000", 0);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(FIRST, Method::Invite);
    stage.reply(&invite, "486 Busy Here", "");
    assert!(!stage.is_sent_to(SECOND, Method::Invite));
    stage.response_to_caller(486);
}

#[test]
fn a_trunk_that_has_as_many_calls_as_it_may_have_is_passed_over() {
    let both = trunks("max_calls = 1", "peers = [\"first\", \"second\"]");
    let mut stage = Stage::with(&both, "8000", 0);
    stage.invite(&sdp(PCMU));
    stage.sent_to(FIRST, Method::Invite);
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    stage.sent_to(SECOND, Method::Invite);
    let only = trunks("max_calls = 1", "peer = \"first\"");
    let mut stage = Stage::with(&only, "8000", 0);
    stage.invite(&sdp(PCMU));
    stage.dial_again(&sdp(PCMU));
    let refused = stage.response_to_caller(486);
    assert_eq!(header(&refused, HeaderName::Reason), "Q.850;cause=34;text=\"too many calls at once\"");
}

#[test]
fn a_group_rings_phones_and_a_number_behind_a_trunk_together() {
    let group = "[[group]]\nid = \"all\"\nnumbers = [\"600\"]\nmembers = [\"1001\", \"8000\"]\n";
    let mut stage = Stage::with(
        &format!("{}{group}", trunks("caller_id = \"+74950000000\"", "peer = \"first\"")),
        "600",
        1,
    );
    stage.invite(&sdp(PCMU));
    let phone = stage.sent_to(CALLEE, Method::Invite);
    let trunk = stage.sent_to(FIRST, Method::Invite);
    assert!(header(&phone, HeaderName::From).contains("sip:1000@"));
    assert!(header(&phone, HeaderName::To).contains("sip:1001@"));
    assert!(header(&trunk, HeaderName::From).contains("sip:+74950000000@"));
    assert!(header(&trunk, HeaderName::To).contains("sip:8000@"));
    stage.reply(&trunk, "200 OK", &sdp(PCMU));
    assert!(stage.is_sent_to(FIRST, Method::Ack));
    stage.response_to_caller(200);
    stage.ack("");
    stage.bye();
    nothing_is_left(&mut stage);
}

#[test]
fn an_announcement_follows_phones_that_nobody_answers_and_the_caller_is_served_in_what_it_speaks() {
    let more = "[[group]]\nid = \"one\"\nnumbers = [\"600\"]\nmembers = [\"1001\"]\nring_s = 5\notherwise = \"700\"\n\
        [[route]]\npattern = \"700\"\nservice = \"milliwatt\"\n";
    let mut stage = Stage::with(more, "600", 1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "183 Session Progress", &sdp(PCMU));
    stage.response_to_caller(183);
    stage.wait_for_response(200);
    assert!(stage.is_sent_to(CALLEE, Method::Cancel));
    stage.response_to_caller(200);
    stage.ack("");
    stage.bye();
    nothing_is_left(&mut stage);
}

#[test]
fn a_call_from_a_trunk_needs_no_credentials_and_reaches_users_but_no_trunk() {
    // The trunk is where the caller of the stage is.
    let more = format!(
        "[[domain]]\nname = \"default\"\ncountry = \"RU\"\n\
         [[peer]]\nid = \"in\"\naddress = \"127.0.0.1:{CALLER}\"\ntransport = \"udp\"\ninbound = true\n{}",
        trunks("", "peer = \"first\"")
    );
    let mut stage = Stage::with(&more, "1001", 1);
    stage.user = "74951234567".into();
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    assert!(header(&invite, HeaderName::From).contains("sip:+74951234567@"), "in E.164");
    let mut stage = Stage::with(&more, "8000", 1);
    stage.user = "74951234567".into();
    stage.dial(&sdp(PCMU));
    stage.response_to_caller(404);
}

#[test]
fn too_many_calls_in_a_minute_are_refused_with_their_cause_and_told() {
    let more = "[[user]]\nid = \"guest\"\npassword = \"secret\"\ncalls_per_minute = 1\n";
    let mut stage = Stage::with(more, "1001", 1);
    stage.register("guest", CALLER);
    stage.user = "guest".into();
    stage.invite(&sdp(PCMU));
    stage.cancel();
    stage.dial_again(&sdp(PCMU));
    let refused = stage.response_to_caller(486);
    assert_eq!(header(&refused, HeaderName::Reason), "Q.850;cause=42;text=\"too many calls in a minute\"");
    let told = stage
        .outputs
        .iter()
        .any(|output| matches!(output, Output::Event(told) if matches!(told.event, Event::CallRefused { reason: Refusal::TooOften, .. })));
    assert!(told);
}

#[test]
fn who_has_sent_a_call_on_is_named_to_users_and_hidden_from_trunks() {
    let more = trunks("", "peer = \"first\"");
    let mut stage = Stage::with(&more, "*21*8000", 1);
    stage.number = "*21*8000".into();
    stage.invite(&sdp(PCMU));
    stage.response_to_caller(200);
    stage.ack("");
    stage.bye();
    // The caller's own calls go to the trunk now: 1001 calls it.
    stage.number = "1000".into();
    stage.register("1000", CALLER);
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    let invite = stage.sent_to(FIRST, Method::Invite);
    assert!(invite.header(HeaderName::Diversion).is_none());
    assert!(invite.header(HeaderName::HistoryInfo).is_none());
}
