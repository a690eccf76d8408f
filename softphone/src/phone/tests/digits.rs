//! Keys: which way they leave, INFO in their order, and INFO that comes in (RFC 3261 §20.5, RFC 6086 §4.2.2).

use super::*;
use crate::phone::{CommandError, DigitWay, Tones};

const NO_EVENTS: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

fn connected(sdp: Vec<u8>, allow: &'static [u8]) -> Rig {
    let mut rig = calling();
    rig.answer(Method::Invite, 200, |writer| {
        writer.header(HeaderName::Allow, allow);
        with_sdp(sdp)(writer);
    });
    rig
}

fn dial(rig: &mut Rig, digits: &str, way: DigitWay) -> Result<(), CommandError> {
    let command = Command::Dial { call: CALL, digits: digits.into(), way };
    let done = rig.phone.handle_input(rig.now, Input::Command(command));
    rig.drain();
    done
}

fn dialled(rig: &Rig) -> Option<(&str, Tones)> {
    match rig.media.last() {
        Some(MediaCommand::Dial { digits, tones, .. }) => Some((digits, *tones)),
        _ => None,
    }
}

#[test]
fn the_best_way_is_events_then_info_then_tones() {
    let mut rig = connected(sdp(4_000, "sendrecv"), b"INVITE, INFO");
    dial(&mut rig, "12a#", DigitWay::Best).unwrap();
    assert_eq!(dialled(&rig), Some(("12A#", Tones::Events)));
    let mut rig = connected(NO_EVENTS.to_vec(), b"INVITE, INFO");
    dial(&mut rig, "5", DigitWay::Best).unwrap();
    assert_eq!((rig.last().method(), dialled(&rig)), (Some(Method::Info), None));
    let mut rig = connected(NO_EVENTS.to_vec(), b"INVITE");
    dial(&mut rig, "5", DigitWay::Best).unwrap();
    assert_eq!(dialled(&rig), Some(("5", Tones::InBand)));
}

#[test]
fn the_user_may_choose_the_way() {
    let mut rig = connected(sdp(4_000, "sendrecv"), b"INVITE");
    dial(&mut rig, "1", DigitWay::Tones).unwrap();
    assert_eq!(dialled(&rig), Some(("1", Tones::InBand)));
    let mut rig = connected(NO_EVENTS.to_vec(), b"INVITE");
    assert_eq!(dial(&mut rig, "1", DigitWay::Events), Err(CommandError::NoEvents(CALL)));
    dial(&mut rig, "1", DigitWay::Info).unwrap();
    assert_eq!(rig.last().method(), Some(Method::Info));
}

#[test]
fn each_info_waits_for_the_answer_to_the_one_before_whatever_it_is() {
    let mut rig = connected(NO_EVENTS.to_vec(), b"INFO");
    dial(&mut rig, "1*2", DigitWay::Best).unwrap();
    let mut bodies = Vec::new();
    for status in [200, 415, 200] {
        let info = rig.last();
        assert_eq!(info.header(HeaderName::ContentType), Some(&b"application/dtmf-relay"[..]));
        bodies.push(String::from_utf8(info.body().to_vec()).unwrap());
        rig.answer(Method::Info, status, |_| {});
    }
    let signals: Vec<_> = bodies.iter().map(|body| body.lines().next().unwrap()).collect();
    assert_eq!(signals, ["Signal=1", "Signal=*", "Signal=2"]);
    assert_eq!(rig.sent.iter().filter(|sent| sent.method() == Some(Method::Info)).count(), 3);
    rig.command(Command::HangUp { call: CALL });
    rig.answer(Method::Bye, 200, |_| {});
    assert!(rig.is_over());
}

#[test]
fn an_info_whose_call_ended_meanwhile_ends_nothing_else() {
    let mut rig = connected(NO_EVENTS.to_vec(), b"INFO");
    dial(&mut rig, "1", DigitWay::Best).unwrap();
    rig.command(Command::HangUp { call: CALL });
    rig.answer(Method::Info, 200, |_| {});
    assert_eq!(rig.sent.iter().filter(|sent| sent.method() == Some(Method::Bye)).count(), 1);
    rig.answer(Method::Bye, 200, |_| {});
    assert!(rig.is_over());
}

#[test]
fn keys_that_there_are_not_and_too_many_of_them_are_refused() {
    let mut rig = connected(NO_EVENTS.to_vec(), b"INFO");
    assert_eq!(dial(&mut rig, "1x", DigitWay::Best), Err(CommandError::BadDigit('x')));
    assert_eq!(dial(&mut rig, &"1".repeat(33), DigitWay::Best), Err(CommandError::TooManyDigits(CALL)));
    let mut rig = calling();
    assert_eq!(dial(&mut rig, "1", DigitWay::Best), Err(CommandError::NotConnected(CALL)));
}

#[test]
fn keys_of_the_other_side_are_told_whichever_way_they_come() {
    let (mut rig, tag) = called();
    let mut info = request("INFO", 2, Some(&tag), b"");
    info.body(b"application/dtmf-relay", b"Signal=#\r\nDuration=160\r\n");
    rig.receive(info.finish());
    assert_eq!((status(&rig), rig.events.last()), (200, Some(&Event::Digit { call: CALL, digit: '#' })));
    rig.phone.handle_input(rig.now, Input::Media(MediaReport::Digit { call: CALL, digit: '4' })).unwrap();
    rig.drain();
    assert_eq!(rig.events.last(), Some(&Event::Digit { call: CALL, digit: '4' }));
    let mut info = request("INFO", 3, Some(&tag), b"");
    info.body(b"application/media_control+xml", b"<x/>");
    rig.receive(info.finish());
    assert_eq!(status(&rig), 415);
    rig.receive(request("INFO", 4, Some(&tag), b"").finish());
    assert_eq!(status(&rig), 200, "a sign of life");
}
