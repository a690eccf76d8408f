//! Call back: who found somebody busy is called when that one's line is free.

use crate::commands::give;
use crate::stage::{CALLEE, CALLER, Stage, sdp};
use crate::transfers::{OTHER, PCMU, THIRD, code};
use media::Report;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use softswitch::core::command::{Actor, Command, Done, Originate, Refused};
use softswitch::core::{CallingBack, Event, Input, Output};

const OPERATOR: Actor = Actor::Operator;
const USERS: &str = "[[users]]\nfrom = 1002\nto = 1020\npassword = \"secret\"\n";

fn wishes(stage: &Stage) -> Vec<CallingBack> {
    let told = stage.outputs.iter().filter_map(|output| match output {
        Output::Event(told) => Some(&told.event),
        _ => None,
    });
    told.filter_map(|event| if let Event::CallBack { how, .. } = event { Some(*how) } else { None }).collect()
}

fn wish(of: &str, on: bool) -> Command {
    Command::CallBack { user: "1000".parse().expect("a user"), of: of.into(), on }
}

/// 1002 talks with 1001, whose phone has one line. The INVITE to 1001.
fn occupied() -> (Stage, Message) {
    let mut stage = Stage::with(USERS, "1001", 1);
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    let invite = occupy(&mut stage);
    (stage, invite)
}

fn occupy(stage: &mut Stage) -> Message {
    let originate = Originate {
        user: "1002".parse().expect("a user"),
        number: "1001".into(),
        from: None,
        device: None,
        caller_id: None,
        timeout_s: None,
        auto_answer: false,
        variables: Default::default(),
    };
    give(stage, &OPERATOR, Command::Originate(Box::new(originate))).expect("accepted");
    stage.open_media();
    let first = stage.sent_to(THIRD, Method::Invite);
    stage.reply_as(&first, "t", "200 OK", &sdp(OTHER));
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    invite
}

/// 1000 calls 1001 and hears this.
fn fails(stage: &mut Stage, status: &str) {
    stage.number = "1001".into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply_as(&invite, "x", status, "");
    stage.close_media();
}

/// 1000 dials a code, hears that it is so, and hangs up.
fn dials(stage: &mut Stage, number: &str) {
    stage.number = number.into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    stage.response_to_caller(200);
    stage.ack("");
    stage.bye();
    stage.close_media();
}

/// The line of 1001 becomes free.
fn hangs_up(stage: &mut Stage, invite: &Message) {
    stage.callee_sends(invite, "BYE", "");
    stage.close_media();
}

/// Whether 1000 is called within so many seconds; time stops then.
fn is_called(stage: &mut Stage, seconds: u64) -> bool {
    (0..seconds).any(|_| stage.pass_until(1, |stage| stage.is_sent_to(CALLER, Method::Invite)))
}

#[test]
fn who_found_somebody_busy_is_called_back_once_when_the_line_is_free() {
    let (mut stage, invite) = occupied();
    fails(&mut stage, "486 Busy Here");
    dials(&mut stage, "*37");
    assert!(!is_called(&mut stage, 60), "the line is not free");
    hangs_up(&mut stage, &invite);
    assert!(is_called(&mut stage, 5));
    let back = stage.sent_to(CALLER, Method::Invite);
    let text = |name| String::from_utf8_lossy(back.header(name).unwrap_or_default()).into_owned();
    assert!(text(HeaderName::From).contains("sip:1001@"), "{}", text(HeaderName::From));
    assert_eq!(text(HeaderName::AlertInfo), "<urn:alert:service:recall:callback>");
    assert!(!stage.is_sent_to(CALLEE, Method::Invite), "before anybody has answered nobody else rings");
    stage.reply_as(&back, "y", "200 OK", &sdp(PCMU));
    assert_eq!(wishes(&stage), [CallingBack::Taken]);
    stage.open_media();
    let called = stage.sent_to(CALLEE, Method::Invite);
    stage.reply_as(&called, "z", "200 OK", &sdp(OTHER));
    stage.third_sends(&back, "BYE");
    stage.close_media();
    assert!(!is_called(&mut stage, 60), "it was once");
}

#[test]
fn who_does_not_answer_is_called_again_when_the_line_becomes_free_again() {
    let (mut stage, invite) = occupied();
    give(&mut stage, &OPERATOR, wish("1001", true)).expect("accepted");
    hangs_up(&mut stage, &invite);
    assert!(is_called(&mut stage, 5));
    let back = stage.sent_to(CALLER, Method::Invite);
    stage.reply_as(&back, "y", "486 Busy Here", "");
    stage.close_media();
    assert!(!is_called(&mut stage, 60), "not twice for one time");
    let invite = occupy(&mut stage);
    hangs_up(&mut stage, &invite);
    assert!(is_called(&mut stage, 5));
}

#[test]
fn after_no_answer_the_line_has_to_be_used_first() {
    let mut stage = Stage::with(USERS, "1001", 1);
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    fails(&mut stage, "480 Temporarily Unavailable");
    dials(&mut stage, "*37");
    assert!(!is_called(&mut stage, 60));
    let invite = occupy(&mut stage);
    hangs_up(&mut stage, &invite);
    assert!(is_called(&mut stage, 5));
}

#[test]
fn a_wish_waits_for_its_own_user_too() {
    let (mut stage, invite) = occupied();
    give(&mut stage, &OPERATOR, wish("1001", true)).expect("accepted");
    // 1000 listens to something meanwhile.
    stage.number = "1003".into();
    stage.dial_again(&sdp(PCMU));
    assert_eq!(code(&stage.response_to_caller(480)), 480, "nobody is there");
    stage.number = "1001".into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    let second = stage.sent_to(CALLEE, Method::Invite);
    stage.reply_as(&second, "x", "180 Ringing", "");
    hangs_up(&mut stage, &invite);
    assert!(!is_called(&mut stage, 20), "it is in a call");
}

#[test]
fn a_wish_ends_when_it_is_taken_back_and_after_forty_five_minutes() {
    let (mut stage, invite) = occupied();
    fails(&mut stage, "486 Busy Here");
    dials(&mut stage, "*37");
    dials(&mut stage, "*037");
    hangs_up(&mut stage, &invite);
    assert!(!is_called(&mut stage, 30));
    assert_eq!(give(&mut stage, &OPERATOR, wish("1001", false)), Err(Refused::WrongState));
    let mut stage = Stage::with(USERS, "1001", 1);
    give(&mut stage, &OPERATOR, wish("1005", true)).expect("accepted");
    assert_eq!(wishes(&stage), [CallingBack::Wanted]);
    stage.pass(44 * 60);
    assert_eq!(give(&mut stage, &OPERATOR, wish("1005", false)), Ok(Done::Accepted));
    assert_eq!(wishes(&stage), [CallingBack::Cancelled]);
    give(&mut stage, &OPERATOR, wish("1005", true)).expect("accepted");
    stage.pass(46 * 60);
    assert_eq!(give(&mut stage, &OPERATOR, wish("1005", false)), Err(Refused::WrongState));
}

#[test]
fn a_user_has_so_many_wishes_and_no_more() {
    let mut stage = Stage::with(USERS, "1001", 1);
    for number in 1003..1008 {
        give(&mut stage, &OPERATOR, wish(&number.to_string(), true)).expect("accepted");
    }
    assert_eq!(give(&mut stage, &OPERATOR, wish("1009", true)), Err(Refused::TooMany));
    assert_eq!(give(&mut stage, &OPERATOR, wish("4711", true)), Err(Refused::UnknownNumber));
    assert_eq!(give(&mut stage, &OPERATOR, wish("1000", true)), Err(Refused::WrongState), "oneself");
    let other = Actor::User("1001@default".parse().expect("a user"));
    assert_eq!(give(&mut stage, &other, wish("1009", true)), Err(Refused::UnknownUser));
}

#[test]
fn a_call_that_came_to_nothing_is_for_one_wish_also_when_its_ports_are_closed_after_that() {
    let (mut stage, _) = occupied();
    stage.number = "1001".into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    let legs = stage.opening();
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply_as(&invite, "x", "486 Busy Here", "");
    dials(&mut stage, "*37");
    for leg in legs {
        stage.input(Input::Media(Report::Closed { leg, figures: Box::default() }));
    }
    dials(&mut stage, "*037");
    stage.number = "*37".into();
    stage.dial_again(&sdp(PCMU));
    assert_eq!(code(&stage.response_to_caller(404)), 404);
}

#[test]
fn nobody_is_told_when_who_is_hidden_is_free() {
    let chief = "[[user]]\nid = \"1030\"\npassword = \"secret\"\nhidden = true\n";
    let mut stage = Stage::with(&format!("{USERS}{chief}"), "1001", 1);
    stage.register("1030", THIRD);
    stage.register("1000", CALLER);
    assert_eq!(give(&mut stage, &OPERATOR, wish("1030", true)), Err(Refused::UnknownNumber));
    stage.number = "1030".into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply_as(&invite, "x", "486 Busy Here", "");
    stage.number = "*37".into();
    stage.dial_again(&sdp(PCMU));
    assert_eq!(code(&stage.response_to_caller(404)), 404);
}

#[test]
fn without_a_call_that_came_to_nothing_the_code_is_no_number() {
    let mut stage = Stage::with(USERS, "1001", 1);
    for number in ["*37", "*037"] {
        stage.number = number.into();
        stage.dial_again(&sdp(PCMU));
        assert_eq!(code(&stage.response_to_caller(404)), 404, "{number}");
    }
}
