//! Phones at which another user has logged in, and callers who do not say who they are.

use crate::commands::give;
use crate::stage::{CALLEE, CALLER, Stage, sdp};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use softswitch::core::command::{Actor, Command, UserRef};
use softswitch::core::{Event, Output, Refusal};
use softswitch::routing::Setting;
use softswitch::store::StoreOp;

const PCMU: &str = "m=audio 4000 RTP/AVP 0\r\n";
const GUEST: &str = "[[user]]\nid = \"guest\"\npassword = \"another\"\npin = \"4711\"\nnumbers = [\"205\"]\ncaller_id = \"+74951234567\"\n";

fn from(message: &Message) -> String {
    String::from_utf8_lossy(message.header(HeaderName::From).unwrap_or_default()).into_owned()
}

/// The guest logs in at the phone of the caller.
fn logs_in(stage: &mut Stage) {
    stage.invite(&sdp(PCMU));
    stage.response_to_caller(200);
    stage.ack("");
    stage.bye();
    stage.close_media();
}

fn dials(stage: &mut Stage, number: &str) {
    stage.number = number.into();
    stage.dial_again(&sdp(PCMU));
}

fn refusals(stage: &Stage) -> Vec<Refusal> {
    let refused = stage.outputs.iter().filter_map(|output| match output {
        Output::Event(told) => match told.event {
            Event::CallRefused { reason, .. } => Some(reason),
            _ => None,
        },
        _ => None,
    });
    refused.collect()
}

fn operator_sets(stage: &mut Stage, user: &str, setting: Setting) {
    let user = UserRef { name: user.into(), domain: "".into() };
    let _answer = give(stage, &Actor::Operator, Command::ChangeSetting { user, setting });
}

#[test]
fn the_phone_of_a_guest_calls_in_its_name_and_rings_for_it_alone() {
    let mut stage = Stage::with(GUEST, "*11*205*4711#", 1);
    logs_in(&mut stage);
    dials(&mut stage, "1001");
    stage.open_media();
    assert!(from(&stage.sent_to(CALLEE, Method::Invite)).contains("sip:guest@"));
    stage.cancel_invite();
    stage.close_media();
    // The phone of 1000 is called for the guest, and not for 1000.
    dials(&mut stage, "guest");
    stage.open_media();
    stage.sent_to(CALLER, Method::Invite);
    stage.cancel_invite();
    stage.close_media();
    dials(&mut stage, "1000");
    stage.response_to_caller(480);
    dials(&mut stage, "#11#");
    stage.open_media();
    stage.response_to_caller(200);
    stage.ack("");
    stage.bye();
    stage.close_media();
    dials(&mut stage, "1001");
    stage.open_media();
    assert!(from(&stage.sent_to(CALLEE, Method::Invite)).contains("sip:1000@"));
}

#[test]
fn a_number_of_emergency_is_called_by_whom_the_phone_belongs_to() {
    let more = format!(
        "{GUEST}[[peer]]\nid = \"trunk\"\naddress = \"127.0.0.1:7101\"\ntransport = \"udp\"\n[[route]]\npattern = \"9.\"\npeer = \"trunk\"\n"
    );
    let mut stage = Stage::with(&more, "*11*guest*4711", 0);
    logs_in(&mut stage);
    dials(&mut stage, "112");
    stage.open_media();
    assert!(from(&stage.sent_to(7101, Method::Invite)).contains("sip:1000@"));
    stage.cancel_invite();
    stage.close_media();
    dials(&mut stage, "9123");
    stage.open_media();
    assert!(from(&stage.sent_to(7101, Method::Invite)).contains("sip:+74951234567@"));
}

#[test]
fn wrong_pins_are_told_and_after_five_the_right_one_is_not_looked_at_for_a_while() {
    let mut stage = Stage::with(GUEST, "*11*205*4712#", 1);
    for _ in 0..5 {
        stage.dial_again(&sdp(PCMU));
        stage.response_to_caller(403);
        assert_eq!(refusals(&stage), [Refusal::WrongPin]);
    }
    dials(&mut stage, "*11*205*4711#");
    stage.response_to_caller(403);
    assert_eq!(refusals(&stage), [Refusal::NotAllowed]);
    stage.pass(299);
    dials(&mut stage, "*11*205*4711#");
    stage.response_to_caller(403);
    stage.pass(2);
    dials(&mut stage, "*11*205*4711#");
    stage.open_media();
    stage.response_to_caller(200);
}

#[test]
fn a_pin_stands_in_no_record_and_no_event() {
    for number in ["*11*205*4711#", "*11*205*47119"] {
        let mut stage = Stage::with(GUEST, number, 1);
        let mut shown = String::new();
        stage.dial_again(&sdp(PCMU));
        let tell = |stage: &Stage, shown: &mut String| {
            for output in &stage.outputs {
                match output {
                    Output::Event(told) => *shown += &format!("{told:?}\n"),
                    // With the dialog, whose To is as it was dialled; it is removed when the call ends.
                    Output::Store(StoreOp::PutOpenCall(_)) => {}
                    Output::Store(op) => *shown += &format!("{op:?}\n"),
                    _ => {}
                }
            }
        };
        tell(&stage, &mut shown);
        if number.ends_with('#') {
            stage.open_media();
            tell(&stage, &mut shown);
            stage.ack("");
            tell(&stage, &mut shown);
            stage.bye();
            tell(&stage, &mut shown);
            stage.close_media();
            tell(&stage, &mut shown);
        }
        assert!(shown.contains("*11*205") && !shown.contains("4711"), "{shown}");
    }
}

#[test]
fn a_phone_has_one_guest_and_a_user_one_desk() {
    let mut stage = Stage::with(GUEST, "1001", 1);
    let at = |host: &str| Setting::Desk(Some(host.into()));
    operator_sets(&mut stage, "guest", at("1000"));
    operator_sets(&mut stage, "1001", at("1000"));
    let stored: Vec<_> = stage
        .outputs
        .iter()
        .filter_map(|output| match output {
            Output::Store(StoreOp::PutProfile(kept)) => Some((kept.user.clone(), kept.profile.desk.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(stored, [("guest".into(), None), ("1001".into(), Some("1000".into()))]);
    // 1001 has its own phone and that of 1000.
    dials(&mut stage, "1001");
    stage.open_media();
    assert!(stage.is_sent_to(CALLEE, Method::Invite) && stage.is_sent_to(CALLER, Method::Invite));
    assert!(from(&stage.sent_to(CALLEE, Method::Invite)).contains("sip:1001@"));
    stage.cancel_invite();
    stage.close_media();
    operator_sets(&mut stage, "1001", at("1001"));
    assert!(matches!(&stage.outputs[..], [Output::Answer(answer)] if answer.result.is_err()), "its own");
    operator_sets(&mut stage, "1001", Setting::Desk(None));
    dials(&mut stage, "guest");
    stage.response_to_caller(480);
}

#[test]
fn who_refuses_anonymous_calls_is_called_by_nobody_without_a_name() {
    let peer = format!(
        "[[peer]]\nid = \"in\"\naddress = \"127.0.0.1:{CALLER}\"\ntransport = \"udp\"\ninbound = true\n"
    );
    for (user, headers, more) in [
        ("1000", "Privacy: id\r\n", ""),
        ("anonymous", "", &*peer),
        ("74951234567", "Privacy: id\r\n", &*peer),
    ] {
        let mut stage = Stage::with(more, "1001", 1);
        (stage.user, stage.headers) = (user.into(), headers.into());
        stage.dial(&sdp(PCMU));
        stage.open_media();
        stage.sent_to(CALLEE, Method::Invite);

        let mut stage = Stage::with(more, "1001", 1);
        operator_sets(&mut stage, "1001", Setting::RefuseAnonymous(true));
        (stage.user, stage.headers) = (user.into(), headers.into());
        stage.dial(&sdp(PCMU));
        stage.response_to_caller(433);
        assert_eq!(refusals(&stage), [Refusal::Anonymous]);
    }
    // Who shows its number is no such caller, whatever its phone says.
    let mut stage = Stage::with("", "*31#1001", 1);
    operator_sets(&mut stage, "1001", Setting::RefuseAnonymous(true));
    stage.headers = "Privacy: id\r\n".into();
    stage.invite(&sdp(PCMU));
    assert!(from(&stage.sent_to(CALLEE, Method::Invite)).contains("sip:1000@"));
}

#[test]
fn whoever_logs_in_at_its_own_phone_has_it_back() {
    let owner = "[[user]]\nid = \"2000\"\npassword = \"secret\"\npin = \"4711\"\n";
    let mut stage = Stage::with(owner, "*11*2000*4711#", 1);
    stage.user = "2000".into();
    operator_sets(&mut stage, "1000", Setting::Desk(Some("2000".into())));
    logs_in(&mut stage);
    dials(&mut stage, "1001");
    stage.open_media();
    assert!(from(&stage.sent_to(CALLEE, Method::Invite)).contains("sip:2000@"));
}
