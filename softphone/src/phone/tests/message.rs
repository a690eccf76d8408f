//! Instant messages (RFC 3428).

use super::*;
use crate::phone::{CommandError, Reason, Unreached};

fn write(rig: &mut Rig, text: &str) {
    rig.command(Command::Write { account: AccountId::FIRST, target: "1002".into(), text: text.into() });
}

#[test]
fn a_text_is_sent_and_what_became_of_it_told() {
    let mut rig = Rig::new();
    write(&mut rig, "hello");
    let message = rig.last();
    assert_eq!((message.method(), message.body()), (Some(Method::Message), &b"hello"[..]));
    assert!(message.content_type().unwrap().unwrap().is("text", "plain"));
    assert!(message.header(HeaderName::Contact).is_none(), "RFC 3428 §4");
    let target = Bytes::from_static(b"sip:1002@a.example");
    rig.answer(Method::Message, 401, |writer| _ = writer.header(HeaderName::WwwAuthenticate, CHALLENGE));
    assert!(authorization(&rig.last()).contains("username=\"1001\""));
    assert_eq!(rig.last().call_id(), message.call_id());
    rig.answer(Method::Message, 200, |_| {});
    let (account, taken) = (AccountId::FIRST, target.clone());
    assert_eq!(rig.events.last(), Some(&Event::MessageTaken { account, target: taken }));
    write(&mut rig, "are you there?");
    rig.answer(Method::Message, 480, |_| {});
    let reason = Reason::Unavailable;
    assert_eq!(rig.events.last(), Some(&Event::MessageFailed { account, target: target.clone(), reason }));
    write(&mut rig, "hello?");
    rig.wait(Duration::from_secs(33));
    let reason = Reason::Unreached(Unreached::NoAnswer);
    assert_eq!(rig.events.last(), Some(&Event::MessageFailed { account, target, reason }));
    assert!(rig.is_over());
}

#[test]
fn a_text_of_somebody_else_is_told_once_and_other_content_refused() {
    let mut rig = Rig::new();
    let mut writer = request("MESSAGE", 1, None, b"");
    writer.body(b"text/plain", "gr\u{fc}\u{df} dich".as_bytes());
    let bytes = writer.finish();
    rig.receive(bytes.clone());
    rig.receive(bytes);
    assert_eq!(status(&rig), 200);
    let told: Vec<_> = rig.events.iter().filter(|event| matches!(event, Event::Message { .. })).collect();
    assert!(matches!(told[..], [Event::Message { text, .. }] if *text == "gr\u{fc}\u{df} dich".as_bytes()));
    let mut writer = request("MESSAGE", 2, None, b"");
    writer.body(b"application/im-iscomposing+xml", b"<x/>");
    rig.receive(writer.finish());
    assert_eq!(status(&rig), 415);
    assert_eq!(rig.last().header(HeaderName::Accept), Some(&b"text/plain"[..]));
}

#[test]
fn a_text_that_no_datagram_carries_and_one_too_many_are_refused() {
    let mut rig = Rig::new();
    let command = |text: String| {
        Input::Command(Command::Write { account: AccountId::FIRST, target: "1002".into(), text: text.into() })
    };
    let long = rig.phone.handle_input(rig.now, command("x".repeat(1_001)));
    assert_eq!(long, Err(CommandError::LongMessage(1_000)));
    for _ in 0..32 {
        write(&mut rig, "x");
    }
    assert_eq!(rig.phone.handle_input(rig.now, command("x".into())), Err(CommandError::TooManyMessages));
}
