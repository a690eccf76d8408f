//! Calls of ours: progress, answers, failures, challenges, giving up (RFC 3261 §13.2, §9.1; RFC 3264).

use super::*;
use crate::phone::{Codec, CommandError, Ending, EventFormat, Reason, TELEPHONE_EVENT};
use sip_stack::sdp::SessionDescription;

fn connected() -> Rig {
    let mut rig = calling();
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
    rig
}

fn ended(ending: Ending) -> Event {
    Event::Ended { call: CALL, ending }
}

fn methods(rig: &Rig) -> Vec<String> {
    let sent = rig.sent.iter();
    sent.filter_map(|sent| sent.method().map(|method| method.to_string())).collect()
}

#[test]
fn an_invite_leaves_when_rtp_has_its_port_and_offers_it() {
    let rig = calling();
    assert_eq!(rig.media, [MediaCommand::Open { call: CALL }]);
    let invite = rig.last();
    assert_eq!(invite.request_uri(), b"sip:1002@a.example");
    let offer = SessionDescription::parse(invite.body()).unwrap();
    assert_eq!(offer.media[0].port, ear(CALL).port());
    assert_eq!(offer.media[0].payload_types().collect::<Vec<_>>(), [111, 9, 0, 8, TELEPHONE_EVENT, 110]);
}

#[test]
fn a_call_takes_the_service_route_of_the_registration() {
    let mut rig = Rig::new();
    rig.command(Command::Register);
    rig.answer(Method::Register, 200, |writer| {
        writer.header(HeaderName::ServiceRoute, b"<sip:p1.a.example;lr>, <sip:p2.a.example;lr>");
    });
    rig.command(Command::Call { account: AccountId::FIRST, target: "1002".into() });
    let invite = rig.last();
    let routes: Vec<_> = invite.list(HeaderName::Route).collect();
    assert_eq!(routes, [&b"<sip:p1.a.example;lr>"[..], b"<sip:p2.a.example;lr>"]);
}

#[test]
fn ringing_is_told_once_and_an_answer_connects() {
    let mut rig = calling();
    rig.answer(Method::Invite, 100, |_| {});
    rig.answer(Method::Invite, 180, contact);
    rig.answer(Method::Invite, 180, contact);
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
    let told = &rig.events[1..];
    assert_eq!(told, [Event::Ringing { call: CALL }, Event::Connected { call: CALL }]);
    assert_eq!(rig.last().method(), Some(Method::Ack));
    let [_, MediaCommand::Start { stream, .. }] = &rig.media[..] else { panic!("{:?}", rig.media) };
    assert_eq!(stream.remote, Some(([192, 0, 2, 9], 4_000).into()));
    assert_eq!((stream.codec, stream.payload_type, stream.ptime_ms), (Codec::Pcmu, 0, 20));
    assert_eq!(stream.telephone_event, Some(EventFormat { payload_type: 96, clock_rate: 8_000 }));
    assert_eq!(stream.receives, [(111, Codec::Opus), (9, Codec::G722), (0, Codec::Pcmu), (8, Codec::Pcma)]);
    assert!(stream.send && stream.receive);
    rig.command(Command::HangUp { call: CALL });
    rig.answer(Method::Bye, 200, |_| {});
    assert_eq!(rig.events.last(), Some(&ended(Ending::Ours)));
    assert!(rig.is_over());
}

#[test]
fn early_media_start_with_the_progress_and_go_on_with_the_answer() {
    let mut rig = calling();
    rig.answer(Method::Invite, 183, with_sdp(sdp(4_000, "sendrecv")));
    assert_eq!(rig.media.len(), 2);
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
    assert_eq!(rig.media.len(), 2, "nothing has changed");
}

#[test]
fn an_answer_that_comes_again_is_acknowledged_again_and_told_once() {
    let mut rig = calling();
    let ok = with_sdp(sdp(4_000, "sendrecv"));
    rig.answer(Method::Invite, 200, ok);
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
    assert_eq!(methods(&rig), ["INVITE", "ACK", "ACK"]);
    assert_eq!(rig.events.iter().filter(|event| **event == Event::Connected { call: CALL }).count(), 1);
}

#[test]
fn failures_are_told_in_words() {
    for (status, reason) in [
        (486, Reason::Busy),
        (600, Reason::Busy),
        (603, Reason::Declined),
        (480, Reason::Unavailable),
        (408, Reason::NotAnswered),
        (404, Reason::UnknownNumber),
        (488, Reason::NoCommonFormat),
        (302, Reason::Moved),
        (503, Reason::ServerBusy),
        (500, Reason::ServerFailed(500)),
        (402, Reason::Other { status: 402, phrase: "Payment Required".into() }),
    ] {
        let mut rig = calling();
        rig.answer(Method::Invite, 180, contact);
        rig.answer(Method::Invite, status, |_| {});
        assert_eq!(rig.events.last(), Some(&ended(Ending::Failed(reason))));
        assert_eq!(rig.media.last(), Some(&MediaCommand::Close { call: CALL }));
        assert!(rig.is_over(), "{status}");
    }
}

#[test]
fn a_challenge_is_answered_with_the_same_from_and_call_id() {
    let mut rig = calling();
    let first = rig.last();
    rig.answer(Method::Invite, 401, |writer| {
        writer.header(HeaderName::WwwAuthenticate, CHALLENGE);
    });
    let second = rig.last();
    assert_eq!(second.header(HeaderName::From), first.header(HeaderName::From));
    assert_eq!(second.call_id().unwrap(), first.call_id().unwrap());
    assert_eq!(second.cseq().unwrap().number, 2);
    assert_eq!(second.body(), first.body());
    assert!(authorization(&second).contains("uri=\"sip:1002@a.example\""));
    rig.answer(Method::Invite, 401, |writer| {
        writer.header(HeaderName::WwwAuthenticate, CHALLENGE);
    });
    assert_eq!(rig.events.last(), Some(&ended(Ending::Failed(Reason::WrongPassword))));
    assert!(rig.is_over());
}

#[test]
fn a_proxy_and_a_server_may_both_ask_for_credentials() {
    let mut rig = calling();
    rig.answer(Method::Invite, 407, |writer| {
        writer.header(HeaderName::ProxyAuthenticate, CHALLENGE);
    });
    rig.answer(Method::Invite, 401, |writer| {
        writer.header(HeaderName::WwwAuthenticate, CHALLENGE);
    });
    let last = rig.last();
    assert!(last.proxy_authorization().next().is_some() && last.authorization().next().is_some());
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
    assert_eq!(rig.events.last(), Some(&Event::Connected { call: CALL }));
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut rig = calling();
    rig.command(Command::HangUp { call: CALL });
    assert_eq!(rig.events.last(), Some(&ended(Ending::Ours)), "the user does not wait");
    assert_eq!(methods(&rig), ["INVITE"]);
    rig.answer(Method::Invite, 180, contact);
    assert_eq!(methods(&rig), ["INVITE", "CANCEL"]);
    rig.answer(Method::Cancel, 200, |_| {});
    rig.answer(Method::Invite, 487, |_| {});
    assert_eq!(rig.events.len(), 2);
    assert!(rig.is_over());
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut rig = calling();
    rig.answer(Method::Invite, 180, contact);
    rig.command(Command::HangUp { call: CALL });
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
    assert_eq!(methods(&rig), ["INVITE", "CANCEL", "ACK", "BYE"]);
    rig.answer(Method::Bye, 200, |_| {});
    assert!(rig.is_over());
    assert!(!rig.events.contains(&Event::Connected { call: CALL }));
}

#[test]
fn nobody_rings_for_more_than_three_minutes() {
    let mut rig = calling();
    rig.answer(Method::Invite, 180, contact);
    rig.wait(Duration::from_secs(180));
    assert_eq!(rig.events.last(), Some(&ended(Ending::Failed(Reason::NotAnswered))));
    assert_eq!(methods(&rig), ["INVITE", "CANCEL"]);
    rig.answer(Method::Cancel, 200, |_| {});
    rig.answer(Method::Invite, 487, |_| {});
    assert!(rig.is_over());
}

#[test]
fn an_answer_with_nothing_in_common_is_acknowledged_and_ended() {
    let mut rig = calling();
    let strange = String::from_utf8(sdp(4_000, "sendrecv")).unwrap().replace("RTP/AVP 0", "RTP/AVP 18");
    rig.answer(Method::Invite, 200, with_sdp(strange.into_bytes()));
    assert_eq!(methods(&rig), ["INVITE", "ACK", "BYE"]);
    assert_eq!(rig.events.last(), Some(&ended(Ending::Failed(Reason::NoCommonFormat))));
}

#[test]
fn a_bye_that_is_challenged_is_sent_again_with_credentials() {
    let mut rig = connected();
    rig.command(Command::HangUp { call: CALL });
    rig.answer(Method::Bye, 401, |writer| {
        writer.header(HeaderName::WwwAuthenticate, CHALLENGE);
    });
    assert!(authorization(&rig.last()).starts_with("Digest"));
    rig.answer(Method::Bye, 200, |_| {});
    assert!(rig.is_over());
}

#[test]
fn a_bye_that_nobody_answers_ends_the_dialog_all_the_same() {
    let mut rig = connected();
    rig.command(Command::HangUp { call: CALL });
    assert!(rig.is_over());
}

#[test]
fn commands_that_cannot_be_obeyed_say_why() {
    let mut rig = Rig::with(Settings { lines: 1, ..Settings::default() });
    let now = rig.now;
    let mut refused = |command| rig.phone.handle_input(now, Input::Command(command)).unwrap_err();
    assert_eq!(refused(Command::HangUp { call: CALL }), CommandError::NoSuchCall(CALL));
    assert_eq!(refused(Command::Answer { call: CALL }), CommandError::NoSuchCall(CALL));
    assert_eq!(
        refused(Command::Call { account: AccountId::FIRST, target: "".into() }),
        CommandError::BadTarget("".into())
    );
    rig.command(Command::Call { account: AccountId::FIRST, target: "1002".into() });
    let mut refused = |command| rig.phone.handle_input(now, Input::Command(command)).unwrap_err();
    assert_eq!(
        refused(Command::Call { account: AccountId::FIRST, target: "1003".into() }),
        CommandError::NoFreeLine(1)
    );
    assert_eq!(refused(Command::Answer { call: CALL }), CommandError::NotRinging(CALL));
}

#[test]
fn a_call_without_a_port_for_its_sound_does_not_begin() {
    let mut phone = Phone::new([3; 32], account(), Settings::default()).unwrap();
    let now = Time::from_millis(0);
    phone
        .handle_input(now, Input::Command(Command::Call { account: AccountId::FIRST, target: "1002".into() }))
        .unwrap();
    phone.handle_input(now, Input::Media(MediaReport::Refused { call: CALL })).unwrap();
    let outputs: Vec<Output> = std::iter::from_fn(|| phone.poll_output()).collect();
    assert!(outputs.contains(&Output::Event(ended(Ending::Failed(Reason::NoMediaPort)))));
    assert!(!outputs.iter().any(|output| matches!(output, Output::Transmit(_))));
    assert!(phone.is_idle());
}

#[test]
fn a_snapshot_in_the_middle_of_a_call_goes_on_where_it_was() {
    let mut rig = calling();
    rig.answer(Method::Invite, 180, contact);
    let snapshot = rig.phone.snapshot();
    rig.phone = Phone::restore(&snapshot).unwrap();
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
    assert_eq!(rig.events.last(), Some(&Event::Connected { call: CALL }));
    assert!(Phone::restore(&snapshot[1..]).is_err());
}
