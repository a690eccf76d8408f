//! Who is answered without the user and who is turned away; the call log.

use super::*;
use crate::phone::machine::TRANSACTIONS;
use crate::phone::{AutoAnswer, CallDirection, Ending};

fn asked(settings: Settings, add: &[(HeaderName, &[u8])]) -> Rig {
    let mut rig = Rig::with(settings);
    let mut invite = request("INVITE", 1, None, &sdp(4_000, "sendrecv"));
    for (name, value) in add {
        invite.header(*name, value);
    }
    rig.receive(invite.finish());
    rig
}

fn is_taken(rig: &Rig) -> bool {
    rig.events.contains(&Event::Connected { call: CALL })
}

#[test]
fn a_caller_may_ask_to_be_answered_if_the_user_lets_callers() {
    let willing = || Settings { answer_when_asked: true, ..Settings::default() };
    for (name, value) in [
        (HeaderName::CallInfo, &b"<sip:a.example>;answer-after=0"[..]),
        (HeaderName::CallInfo, b"<http://x.example/?a=1;b>; purpose=icon, <sip:x>;Answer-After=0"),
        (HeaderName::AlertInfo, b"<http://www.notused.com>;info=alert-autoanswer;delay=0"),
        (HeaderName::AlertInfo, b"<http://127.0.0.1>;info=\"Auto Answer\""),
        (HeaderName::AlertInfo, b"<x:y>;info=intercom"),
        (HeaderName::AnswerMode, b"Auto"),
        (HeaderName::AnswerMode, b"auto ;x=y"),
    ] {
        assert!(is_taken(&asked(willing(), &[(name, value)])), "{}", value.escape_ascii());
        assert!(!is_taken(&asked(Settings::default(), &[(name, value)])), "off unless wanted");
    }
    for (name, value) in [
        (HeaderName::AlertInfo, &b"<http://x/?info=intercom>"[..]),
        (HeaderName::AlertInfo, b"<http://x>;info=external"),
        (HeaderName::CallInfo, b"<sip:x>;answer-after=soon"),
        (HeaderName::AnswerMode, b"Manual"),
    ] {
        assert!(!is_taken(&asked(willing(), &[(name, value)])), "{}", value.escape_ascii());
    }
    let mut rig = asked(willing(), &[(HeaderName::CallInfo, b"<sip:x>;answer-after=2")]);
    rig.wait(Duration::from_millis(1_999));
    assert!(!is_taken(&rig));
    rig.wait(Duration::from_millis(1));
    assert!(is_taken(&rig));
}

#[test]
fn some_numbers_are_answered_and_no_others() {
    let of = |numbers: &[&str]| Settings {
        auto_answer: AutoAnswer::Numbers {
            numbers: numbers.iter().map(|number| Box::from(*number)).collect(),
            delay: Duration::ZERO,
        },
        ..Settings::default()
    };
    for (numbers, taken) in [
        (&["1002"][..], true),
        (&["1003", "1002@A.example"], true),
        (&["1002@b.example"], false),
        (&["100"], false),
        (&[], false),
    ] {
        assert_eq!(is_taken(&asked(of(numbers), &[])), taken, "{numbers:?}");
    }
}

#[test]
fn no_call_is_taken_by_itself_during_another_one() {
    let mut rig = Rig::with(Settings { auto_answer: AutoAnswer::Always, ..Settings::default() });
    rig.command(Command::Call { account: AccountId::FIRST, target: "1003".into() });
    rig.receive(request("INVITE", 1, None, &sdp(4_000, "sendrecv")).finish());
    assert!(matches!(rig.events.last(), Some(Event::Incoming { waiting: true, .. })));
    let mut rig =
        Rig::with(Settings { auto_answer: AutoAnswer::After(Duration::from_secs(1)), ..Settings::default() });
    rig.receive(request("INVITE", 1, None, &sdp(4_000, "sendrecv")).finish());
    rig.command(Command::Call { account: AccountId::FIRST, target: "1003".into() });
    rig.wait(Duration::from_secs(2));
    assert!(!is_taken(&rig));
}

#[test]
fn whoever_is_not_to_be_disturbed_is_busy_and_sees_who_called() {
    let mut rig = Rig::new();
    rig.command(Command::DoNotDisturb(true));
    rig.receive(request("INVITE", 1, None, &sdp(4_000, "sendrecv")).finish());
    assert_eq!(status(&rig), 486);
    assert!(matches!(rig.events[..], [Event::TurnedAway { .. }]));
    let log: Vec<_> = rig.phone.call_log().collect();
    assert_eq!((log.len(), &log[0].peer[..], log[0].is_missed()), (1, &b"sip:1002@a.example"[..], true));
    assert!(rig.is_over());
}

#[test]
fn the_log_has_every_call_with_its_times_and_end() {
    let (mut rig, _) = called();
    rig.wait(Duration::from_secs(7));
    rig.command(Command::HangUp { call: CALL });
    rig.answer(Method::Bye, 200, |_| {});
    rig.command(Command::Call { account: AccountId::FIRST, target: "1003".into() });
    rig.answer(Method::Invite, 486, |_| {});
    let log: Vec<_> = rig.phone.call_log().cloned().collect();
    assert_eq!(log.len(), 2);
    assert_eq!((log[0].direction, log[0].connected), (CallDirection::Incoming, Some(Time::from_millis(0))));
    assert_eq!(log[0].ended, Some((Time::from_millis(7_000), Ending::Ours)));
    assert_eq!((log[1].direction, &log[1].peer[..]), (CallDirection::Outgoing, &b"sip:1003@a.example"[..]));
    assert!(log[1].connected.is_none() && !log[0].is_missed() && !log[1].is_missed());
}

#[test]
fn redial_calls_the_last_number_again() {
    let mut rig = Rig::new();
    assert!(rig.phone.handle_input(rig.now, Input::Command(Command::Redial)).is_err());
    rig.command(Command::Call { account: AccountId::FIRST, target: "1002".into() });
    rig.answer(Method::Invite, 486, |_| {});
    rig.command(Command::Redial);
    assert_eq!(rig.last().request_uri(), b"sip:1002@a.example");
}

#[test]
fn a_call_from_elsewhere_than_our_servers_is_refused_unless_the_user_wants_strangers() {
    for accept_strangers in [false, true] {
        let mut rig =
            Rig::with(Settings { accept_strangers, auto_answer: AutoAnswer::Always, ..Settings::default() });
        let invite = request("INVITE", 1, None, &sdp(4_000, "sendrecv")).finish();
        let stranger = Flow { peer: ([198, 51, 100, 7], 5060).into(), ..flow() };
        rig.phone.handle_input(rig.now, Input::Received { flow: stranger, bytes: invite }).unwrap();
        rig.drain();
        assert_eq!(is_taken(&rig), accept_strangers);
        assert_eq!(status(&rig), if accept_strangers { 200 } else { 403 });
    }
}

/// The n-th of many calls that are none of each other's.
fn another(method: &str, number: usize) -> Bytes {
    let request = String::from_utf8(request(method, 1, None, b"").finish().to_vec()).unwrap();
    let request = request.replace("Call-ID: theirs", &format!("Call-ID: {number}"));
    request.replace(&format!("-{method}-1"), &format!("-{number}")).into()
}

#[test]
fn strangers_are_refused_without_a_trace() {
    let mut rig = Rig::new();
    let stranger = Flow { peer: ([198, 51, 100, 7], 5060).into(), ..flow() };
    for number in 0..100 {
        for (method, code) in [("INVITE", 403), ("BYE", 481)] {
            let received = Input::Received { flow: stranger, bytes: another(method, number) };
            rig.phone.handle_input(rig.now, received).unwrap();
            rig.drain();
            assert_eq!(status(&rig), code);
        }
    }
    assert!(rig.phone.is_idle(), "no transaction is kept");
}

#[test]
fn more_transactions_than_there_may_be_are_turned_down_until_others_end() {
    let mut rig = Rig::with(Settings { do_not_disturb: true, ..Settings::default() });
    for number in 0..TRANSACTIONS {
        rig.receive(another("INVITE", number));
        assert_eq!(status(&rig), 486);
    }
    rig.receive(another("INVITE", TRANSACTIONS));
    assert_eq!(status(&rig), 503);
    assert_eq!(rig.last().header(HeaderName::RetryAfter), Some(&b"32"[..]));
    assert_eq!((rig.phone.transactions(), rig.phone.turned_down()), (TRANSACTIONS, 1));
    rig.wait(Duration::from_secs(33));
    rig.receive(another("INVITE", TRANSACTIONS + 1));
    assert_eq!(status(&rig), 486);
}
