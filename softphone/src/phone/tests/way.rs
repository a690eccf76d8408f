//! The way to a server that has to be found: what waits for it, what goes on over the next one, what is said when there is none
//! (RFC 3263 §4.3, RFC 5626 §4.5).

use super::*;
use crate::phone::{Ending, Reason, Unreached};
use sip_stack::resolve::Failure;

const ACCOUNT: AccountId = AccountId::FIRST;

fn searching() -> Rig {
    let mut rig = Rig::new();
    rig.phone.find_server(ACCOUNT);
    rig
}

/// A connection; its number is the port of our end.
fn connection(number: u16) -> Flow {
    let (local, peer) = (([192, 0, 2, 1], number).into(), ([192, 0, 2, 9], 5_061).into());
    Flow { transport: Transport::Tls, local, peer, ..flow() }
}

fn tell(rig: &mut Rig, way: Result<Flow, Option<Reason>>) {
    rig.phone.handle_input(rig.now, Input::Way { account: ACCOUNT, way }).unwrap();
    rig.drain();
}

fn lose(rig: &mut Rig) {
    rig.phone.handle_input(rig.now, Input::WayLost { account: ACCOUNT }).unwrap();
    rig.drain();
}

fn contact_of(request: &Message) -> String {
    String::from_utf8(request.header(HeaderName::Contact).unwrap().to_vec()).unwrap()
}

fn granted(writer: &mut Writer) {
    writer.number(HeaderName::Expires, 300);
}

fn call(rig: &mut Rig) {
    rig.command(Command::Call { account: ACCOUNT, target: "1002".into() });
}

#[test]
fn requests_wait_for_a_way_which_is_asked_for_once_and_name_our_end_of_it() {
    let mut rig = searching();
    rig.command(Command::Register);
    call(&mut rig);
    assert_eq!((rig.located.as_slice(), rig.sent.len()), (&[(ACCOUNT, None)][..], 0));
    assert!(rig.media.is_empty(), "our address is not known yet");
    tell(&mut rig, Ok(connection(40_001)));
    let methods: Vec<_> = rig.sent.iter().map(|sent| sent.method().unwrap()).collect();
    assert_eq!(methods, [Method::Register, Method::Invite]);
    for sent in &rig.sent {
        assert_eq!(contact_of(sent), "<sip:1001@192.0.2.1:40001;transport=tls>");
        assert_eq!(sent.via().unwrap().transport, b"TLS");
    }
}

#[test]
fn why_there_is_no_way_is_told_and_the_next_attempt_looks_again() {
    let mut rig = searching();
    rig.command(Command::Register);
    call(&mut rig);
    tell(&mut rig, Err(Some(Reason::Unreached(Unreached::UnknownIssuer))));
    let failed = |event: &Event| match event {
        Event::RegistrationFailed { reason, retry, .. } => Some((reason.clone(), *retry)),
        _ => None,
    };
    let (reason, retry) = rig.events.iter().find_map(failed).unwrap();
    assert_eq!(reason, Reason::Unreached(Unreached::UnknownIssuer));
    let ended =
        Event::Ended { call: CALL, ending: Ending::Failed(Reason::Unreached(Unreached::UnknownIssuer)) };
    assert!(rig.events.contains(&ended), "{:?}", rig.events);
    rig.wait(retry.unwrap());
    assert_eq!(rig.located, [(ACCOUNT, None), (ACCOUNT, None)]);
}

#[test]
fn a_request_that_is_lost_goes_over_the_next_way_and_the_user_hears_of_it_when_there_is_none() {
    let mut rig = searching();
    rig.command(Command::Register);
    tell(&mut rig, Ok(connection(40_001)));
    let first = rig.last();
    rig.wait(Duration::from_secs(32));
    assert_eq!(rig.located.last(), Some(&(ACCOUNT, Some(Failure::Timeout))));
    assert!(rig.events.is_empty());
    tell(&mut rig, Ok(connection(40_002)));
    let second = rig.last();
    assert_eq!(first.call_id().unwrap(), second.call_id().unwrap());
    let branch = |sent: &Message| sent.via().unwrap().params.value(b"branch").map(<[u8]>::to_vec);
    assert_ne!(branch(&first), branch(&second), "another transaction");
    rig.wait(Duration::from_secs(32));
    tell(&mut rig, Err(None));
    let reason = Reason::Unreached(Unreached::NoAnswer);
    assert!(
        matches!(&rig.events[..], [Event::RegistrationFailed { reason: told, retry: Some(_), .. }] if *told == reason)
    );
}

#[test]
fn a_server_that_is_too_busy_leads_to_the_next_one() {
    let mut rig = searching();
    call(&mut rig);
    tell(&mut rig, Ok(connection(40_001)));
    rig.answer(Method::Invite, 503, |writer| {
        writer.number(HeaderName::RetryAfter, 7);
    });
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(rig.located.last(), Some(&(ACCOUNT, Some(Failure::Unavailable { retry_after }))));
    tell(&mut rig, Ok(connection(40_002)));
    rig.answer(Method::Invite, 486, |_| {});
    let ended = Event::Ended { call: CALL, ending: Ending::Failed(Reason::Busy) };
    assert_eq!(rig.events.last(), Some(&ended));
    assert!(rig.is_over());
}

#[test]
fn a_lost_connection_registers_again_at_once_with_our_new_end_of_it() {
    let mut rig = searching();
    rig.command(Command::Register);
    tell(&mut rig, Ok(connection(40_001)));
    rig.answer(Method::Register, 200, granted);
    lose(&mut rig);
    assert_eq!(rig.located.last(), Some(&(ACCOUNT, None)));
    tell(&mut rig, Ok(connection(40_002)));
    assert_eq!(rig.last().method(), Some(Method::Register));
    assert_eq!(contact_of(&rig.last()), "<sip:1001@192.0.2.1:40002;transport=tls>");
    rig.answer(Method::Register, 200, granted);
    assert!(rig.phone.is_registered());
    // What nobody can reach is waited for, longer each time.
    lose(&mut rig);
    tell(&mut rig, Err(Some(Reason::Unreached(Unreached::ConnectionRefused))));
    assert!(!rig.phone.is_registered());
    let Some(Event::RegistrationFailed { retry: Some(retry), .. }) = rig.events.last() else {
        panic!("untold")
    };
    assert!((30..60).contains(&retry.as_secs()));
}

#[test]
fn a_call_that_nobody_has_heard_of_goes_over_the_next_connection_and_one_under_way_is_lost() {
    let mut rig = searching();
    call(&mut rig);
    tell(&mut rig, Ok(connection(40_001)));
    lose(&mut rig);
    tell(&mut rig, Ok(connection(40_002)));
    assert_eq!(contact_of(&rig.last()), "<sip:1001@192.0.2.1:40002;transport=tls>");
    rig.answer(Method::Invite, 180, |_| {});
    lose(&mut rig);
    let ended = Event::Ended { call: CALL, ending: Ending::Failed(Reason::Lost) };
    assert_eq!(rig.events.last(), Some(&ended));
}

#[test]
fn a_call_that_waits_for_a_way_can_be_given_up() {
    let mut rig = searching();
    call(&mut rig);
    rig.command(Command::HangUp { call: CALL });
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending: Ending::Ours }));
    tell(&mut rig, Ok(connection(40_001)));
    assert!(rig.sent.is_empty() && rig.phone.is_idle());
}
