//! Calls that go by stages: one trunk after the other, groups with numbers behind trunks, calls that come from a trunk, and what is counted.

use crate::stage::{CALLEE, CALLER, Stage, sdp};
use crate::transfers::{line, news};
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

/// A caller behind a trunk of this limit, which is also where 8XXX leads.
fn from_full(limit: &str) -> Stage {
    let more = format!(
        "[[peer]]\nid = \"in\"\naddress = \"127.0.0.1:{CALLER}\"\ntransport = \"udp\"\ninbound = true\n{limit}\n\
         [[route]]\npattern = \"8XXX\"\npeer = \"in\"\nfrom = \"in\"\n"
    );
    let mut stage = Stage::with(&more, "8000", 1);
    stage.user = "74951234567".into();
    stage
}

#[test]
fn a_call_that_its_trunk_has_no_room_for_is_refused_and_nothing_of_it_is_left() {
    let only = trunks("calls_per_minute = 1", "peer = \"first\"");
    let mut stage = Stage::with(&only, "8000", 0);
    stage.invite(&sdp(PCMU));
    stage.sent_to(FIRST, Method::Invite);
    stage.cancel();
    stage.close_media();
    stage.dial_again(&sdp(PCMU));
    let refused = stage.response_to_caller(486);
    assert_eq!(header(&refused, HeaderName::Reason), "Q.850;cause=34;text=\"too many calls at once\"");
    nothing_is_left(&mut stage);

    // The call itself has taken the last place before it is sent there.
    let mut stage = from_full("max_calls = 1");
    stage.dial(&sdp(PCMU));
    stage.response_to_caller(486);
    assert_eq!(stage.switch.calls(), 0);
    stage.number = "1001".into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    stage.sent_to(CALLEE, Method::Invite);
}

/// A user that may have so many calls talks with 8000, behind a trunk. The INVITE to the trunk.
fn limited(max_calls: u32) -> (Stage, Message) {
    let user = format!("[[user]]\nid = \"guest\"\npassword = \"secret\"\nmax_calls = {max_calls}\n");
    let more = format!("{user}{}", trunks("", "peer = \"first\""));
    let mut stage = Stage::with(&more, "8000", 1);
    stage.register("guest", CALLER);
    stage.user = "guest".into();
    let invite = answered(&mut stage);
    (stage, invite)
}

/// The caller calls 8000, which answers.
fn answered(stage: &mut Stage) -> Message {
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(FIRST, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(PCMU));
    stage.response_to_caller(200);
    stage.ack("");
    invite
}

fn refer_to(stage: &mut Stage, number: &str) {
    stage.caller_asks("REFER", &format!("Refer-To: <sip:{number}@127.0.0.1:5060>\r\n"), "");
}

#[test]
fn a_user_cannot_have_more_calls_than_it_may_by_transferring() {
    let (mut stage, _) = limited(1);
    refer_to(&mut stage, "8001");
    assert_eq!(news(&stage), line("486 Busy Here", true));
    assert!(!stage.is_sent_to(FIRST, Method::Invite));
    assert_eq!(stage.switch.calls(), 1, "it has its partner still");

    let (mut stage, first) = limited(2);
    refer_to(&mut stage, "8001");
    stage.open_media();
    let second = stage.sent_to(FIRST, Method::Invite);
    stage.reply(&second, "200 OK", &sdp("m=audio 4020 RTP/AVP 0\r\n"));
    stage.sent_to(CALLER, Method::Bye);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 1);
    stage.dial_again(&sdp(PCMU));
    stage.response_to_caller(486);
    stage.third_sends(&first, "BYE");
    stage.close_media();
    assert_eq!(stage.switch.calls(), 0);
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    stage.sent_to(FIRST, Method::Invite);
}

#[test]
fn a_trunk_is_counted_as_long_as_its_party_talks_with_whomever() {
    let only = trunks("max_calls = 1", "peer = \"first\"");
    let mut stage = Stage::with(&only, "8000", 1);
    let outside = answered(&mut stage);
    refer_to(&mut stage, "1001");
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp("m=audio 4020 RTP/AVP 0\r\n"));
    stage.sent_to(CALLER, Method::Bye);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 1);
    stage.dial_again(&sdp(PCMU));
    stage.response_to_caller(486);
    stage.third_sends(&outside, "BYE");
    stage.close_media();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    stage.sent_to(FIRST, Method::Invite);
}

/// Whether a setting was changed in the last step.
fn is_set(stage: &Stage) -> bool {
    let is_it = |output: &Output| matches!(output, Output::Event(told) if matches!(told.event, Event::SettingChanged { .. }));
    stage.outputs.iter().any(is_it)
}

#[test]
fn who_sends_calls_on_is_counted_for_them() {
    let user = "[[user]]\nid = \"guest\"\npassword = \"secret\"\nmax_calls = 1\n";
    let more = format!("{user}{}", trunks("", "peer = \"first\""));
    let mut stage = Stage::with(&more, "*21*8000", 1);
    stage.register("guest", CALLER);
    stage.user = "guest".into();
    stage.dial(&sdp(PCMU));
    assert!(is_set(&stage));
    stage.open_media();
    stage.response_to_caller(200);
    stage.ack("");
    stage.bye();
    stage.close_media();
    stage.user = "1000".into();
    stage.number = "guest".into();
    stage.register("1000", CALLER);
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    stage.sent_to(FIRST, Method::Invite);
    stage.dial_again(&sdp(PCMU));
    stage.response_to_caller(486);
}

#[test]
fn a_code_is_not_carried_out_when_its_call_is_refused() {
    let user = "[[user]]\nid = \"guest\"\npassword = \"secret\"\ncalls_per_minute = 1\n";
    let mut stage = Stage::with(&format!("{user}{}", trunks("", "peer = \"first\"")), "1001", 1);
    stage.register("guest", CALLER);
    stage.user = "guest".into();
    stage.invite(&sdp(PCMU));
    stage.cancel();
    stage.number = "*21*8000".into();
    stage.dial_again(&sdp(PCMU));
    stage.response_to_caller(486);
    assert!(!is_set(&stage));
}

#[test]
fn a_number_behind_a_carrier_rings_beside_others_in_the_name_of_the_account_and_by_its_proxy() {
    let carrier = "trusted = true\nusername = \"4930\"\npassword = \"p\"\nfrom_user = \"4930\"\nfrom_domain = \"carrier.example\"\n\
                   outbound_proxy = \"127.0.0.1:7103\"";
    let group = "[[group]]\nid = \"all\"\nnumbers = [\"600\"]\nmembers = [\"1001\", \"8000\"]\n";
    let mut stage = Stage::with(&format!("{}{group}", trunks(carrier, "peer = \"first\"")), "600", 1);
    stage.headers = "Privacy: id\r\n".into();
    stage.invite(&sdp(PCMU));
    let phone = stage.sent_to(CALLEE, Method::Invite);
    let trunk = stage.sent_to(7103, Method::Invite);
    assert!(header(&phone, HeaderName::From).contains("anonymous.invalid"));
    assert!(
        header(&phone, HeaderName::PAssertedIdentity).is_empty()
            && header(&phone, HeaderName::Route).is_empty()
    );
    assert!(header(&trunk, HeaderName::From).contains("sip:4930@carrier.example"));
    assert!(header(&trunk, HeaderName::PAssertedIdentity).contains("sip:1000@carrier.example"));
    assert_eq!(header(&trunk, HeaderName::Route), "<sip:127.0.0.1:7103;lr>");
    stage.reply(&phone, "180 Ringing", "");
    let challenge = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\", algorithm=MD5\r\n";
    stage.reply_with(&trunk, "b", "401 Unauthorized", challenge, "");
    let again = stage.sent_to(7103, Method::Invite);
    assert!(header(&again, HeaderName::Authorization).contains("username=\"4930\""));
    assert!(!stage.is_sent_to(CALLEE, Method::Cancel), "the others ring on");
    stage.reply(&again, "200 OK", &sdp(PCMU));
    assert!(stage.is_sent_to(FIRST, Method::Ack), "to its Contact");
    assert!(stage.is_sent_to(CALLEE, Method::Cancel));
    stage.response_to_caller(200);
}
