//! Registration: challenges, lifetimes, failures and their words (RFC 3261 §10.2, §22).

use super::*;
use crate::phone::{Reason, Standing, Unreached};

fn failed(reason: Reason, retry: Option<Duration>) -> Event {
    Event::RegistrationFailed { account: AccountId::FIRST, reason, retry }
}

fn registering() -> Rig {
    let mut rig = Rig::new();
    rig.command(Command::Register);
    rig
}

fn challenge(writer: &mut Writer) {
    writer.header(HeaderName::WwwAuthenticate, CHALLENGE);
}

fn granted(expires_s: u32) -> impl FnOnce(&mut Writer) {
    move |writer| {
        let contact =
            format!("<sip:1001@192.0.2.1:5060>;expires={expires_s}, <sip:other@192.0.2.7>;expires=5");
        writer.header(HeaderName::Contact, contact.as_bytes());
    }
}

#[test]
fn a_challenge_is_answered_with_the_same_call_id_and_tag_and_the_next_cseq() {
    let mut rig = registering();
    let first = rig.last();
    rig.answer(Method::Register, 401, challenge);
    let second = rig.last();
    assert_eq!(first.call_id().unwrap(), second.call_id().unwrap());
    assert_eq!(first.from().unwrap().tag(), second.from().unwrap().tag());
    assert_eq!(second.cseq().unwrap().number, first.cseq().unwrap().number + 1);
    assert!(authorization(&second).contains("nc=00000001"));
    rig.answer(Method::Register, 200, granted(300));
    assert_eq!(rig.events, [Event::Registered { account: AccountId::FIRST, expires_s: 300 }]);
    assert!(rig.phone.is_registered());
}

#[test]
fn an_account_stands_as_its_registrar_has_it() {
    let mut rig = Rig::new();
    let standing = |rig: &Rig| rig.phone.standing(AccountId::FIRST);
    assert_eq!(standing(&rig), Standing::Away);
    rig.command(Command::Register);
    assert_eq!(standing(&rig), Standing::Asking);
    rig.answer(Method::Register, 503, |writer| {
        writer.number(HeaderName::RetryAfter, 30);
    });
    let Standing::Failed { reason: Reason::ServerBusy, retry_at: Some(at) } = standing(&rig) else {
        panic!("{:?}", standing(&rig));
    };
    assert!(at >= rig.now + Duration::from_secs(30));
    rig.wait(at.since(rig.now));
    rig.answer(Method::Register, 200, granted(300));
    assert_eq!(standing(&rig), Standing::Registered);
    rig.command(Command::Unregister);
    rig.answer(Method::Register, 200, |_| {});
    assert_eq!(standing(&rig), Standing::Away);
}

#[test]
fn a_refresh_comes_in_time_and_uses_the_nonce_again() {
    let mut rig = registering();
    rig.answer(Method::Register, 401, challenge);
    rig.answer(Method::Register, 200, granted(300));
    let sent = rig.sent.len();
    rig.wait(Duration::from_secs(229));
    assert_eq!(rig.sent.len(), sent);
    rig.wait(Duration::from_secs(1));
    assert_eq!(rig.sent.len(), sent + 1);
    assert!(authorization(&rig.last()).contains("nc=00000002"));
    rig.answer(Method::Register, 200, granted(300));
    assert_eq!(rig.events.len(), 2);
}

#[test]
fn a_short_lifetime_is_refreshed_at_its_half() {
    let mut rig = registering();
    rig.answer(Method::Register, 200, granted(60));
    let sent = rig.sent.len();
    rig.wait(Duration::from_millis(29_999));
    assert_eq!(rig.sent.len(), sent);
    rig.wait(Duration::from_millis(1));
    assert_eq!(rig.sent.len(), sent + 1);
}

#[test]
fn a_nonce_that_is_too_old_is_replaced_without_asking_anybody() {
    let mut rig = registering();
    rig.answer(Method::Register, 401, challenge);
    rig.answer(Method::Register, 401, |writer| {
        writer.header(HeaderName::WwwAuthenticate, &[CHALLENGE, b", stale=true"].concat());
    });
    assert!(rig.events.is_empty());
    rig.answer(Method::Register, 200, granted(300));
    assert_eq!(rig.events, [Event::Registered { account: AccountId::FIRST, expires_s: 300 }]);
}

#[test]
fn the_same_challenge_again_means_a_wrong_password() {
    let mut rig = registering();
    rig.answer(Method::Register, 401, challenge);
    rig.answer(Method::Register, 401, challenge);
    assert_eq!(rig.events, [failed(Reason::WrongPassword, None)]);
    assert!(rig.is_over());
}

#[test]
fn a_server_that_never_stops_asking_is_given_up() {
    let mut rig = registering();
    for _ in 0..4 {
        rig.answer(Method::Register, 401, |writer| {
            writer.header(HeaderName::WwwAuthenticate, &[CHALLENGE, b", stale=true"].concat());
        });
    }
    assert_eq!(rig.events, [failed(Reason::WrongPassword, None)]);
}

#[test]
fn a_challenge_of_an_unknown_kind_is_said_to_be_one() {
    let mut rig = registering();
    rig.answer(Method::Register, 401, |writer| {
        writer.header(HeaderName::WwwAuthenticate, b"Bearer realm=\"x\"");
    });
    let reason = Reason::UnknownAuthentication;
    assert_eq!(rig.events, [failed(reason, None)]);
}

#[test]
fn a_lifetime_that_is_too_short_is_raised_once() {
    let mut rig = registering();
    rig.answer(Method::Register, 423, |writer| {
        writer.number(HeaderName::MinExpires, 1_800);
    });
    assert_eq!(rig.last().expires().unwrap(), Some(1_800));
    rig.answer(Method::Register, 423, |writer| {
        writer.number(HeaderName::MinExpires, 1_800);
    });
    assert!(matches!(rig.events[..], [Event::RegistrationFailed { reason: Reason::Nonsense, .. }]));
}

#[test]
fn silence_is_no_answer_and_is_tried_again_at_growing_intervals() {
    let mut rig = registering();
    for least in [30, 60] {
        rig.wait(Duration::from_secs(32));
        let Some(Event::RegistrationFailed {
            reason: Reason::Unreached(Unreached::NoAnswer),
            retry: Some(retry),
            ..
        }) = rig.events.pop()
        else {
            panic!("no answer is a failure")
        };
        assert!((least..2 * least).contains(&retry.as_secs()), "{retry:?}");
        rig.wait(retry);
    }
    rig.answer(Method::Register, 200, granted(300));
    assert!(rig.phone.is_registered());
}

#[test]
fn the_registrar_may_say_when_to_try_again() {
    let mut rig = registering();
    rig.answer(Method::Register, 503, |writer| {
        writer.header(HeaderName::RetryAfter, b"120 (maintenance);duration=60");
    });
    let retry = Some(Duration::from_secs(120));
    assert_eq!(rig.events, [failed(Reason::ServerBusy, retry)]);
}

#[test]
fn what_nobody_will_change_is_not_tried_again() {
    for (status, reason) in [(403, Reason::Forbidden), (404, Reason::UnknownUser), (301, Reason::Moved)] {
        let mut rig = registering();
        rig.answer(Method::Register, status, |_| {});
        assert_eq!(rig.events, [failed(reason, None)]);
    }
}

#[test]
fn removal_waits_for_the_answer_to_the_registration() {
    let mut rig = registering();
    let sent = rig.sent.len();
    rig.command(Command::Unregister);
    assert_eq!(rig.sent.len(), sent);
    rig.answer(Method::Register, 200, granted(300));
    assert_eq!(rig.last().expires().unwrap(), Some(0));
    rig.answer(Method::Register, 200, |_| {});
    assert_eq!(
        rig.events,
        [
            Event::Registered { account: AccountId::FIRST, expires_s: 300 },
            Event::Unregistered { account: AccountId::FIRST }
        ]
    );
    assert!(rig.is_over());
}

#[test]
fn a_wish_to_register_that_comes_during_a_removal_is_heeded_after_it() {
    let mut rig = registering();
    rig.answer(Method::Register, 200, granted(300));
    rig.command(Command::Unregister);
    rig.command(Command::Register);
    rig.answer(Method::Register, 200, |_| {});
    assert_eq!(rig.last().expires().unwrap(), Some(600));
    rig.answer(Method::Register, 200, granted(300));
    assert!(rig.phone.is_registered());
}

#[test]
fn what_the_network_does_not_take_is_unreachable() {
    let mut phone = Phone::new([3; 32], account(), Settings::default()).unwrap();
    let now = Time::from_millis(0);
    phone.handle_input(now, Input::Command(Command::Register)).unwrap();
    let Some(Output::Transmit(transmit)) = phone.poll_output() else { panic!() };
    phone.handle_input(now, Input::Unsent { transaction: transmit.transaction.unwrap() }).unwrap();
    let Some(Output::Event(Event::RegistrationFailed { reason, retry, .. })) = phone.poll_output() else {
        panic!()
    };
    assert_eq!((reason, retry.is_some()), (Reason::Unreached(Unreached::Unreachable), true));
}

#[test]
fn a_password_is_never_printed() {
    let mut rig = registering();
    rig.answer(Method::Register, 401, challenge);
    assert!(!format!("{:?}", rig.phone.accounts().collect::<Vec<_>>()).contains("secret"));
}
