//! Several accounts: each registers by itself, calls under its own name, and is found by the requests that are for it.

use super::*;
use crate::phone::{AccountError, CommandError, MAX_ACCOUNTS, Reason};

fn second() -> Account {
    let server = Flow { peer: ([192, 0, 2, 8], 5060).into(), ..flow() };
    Account { user: "2001".into(), domain: "b.example".into(), server, ..account() }
}

fn rig() -> (Rig, AccountId) {
    let mut rig = Rig::new();
    let second = rig.phone.add_account(second()).unwrap();
    (rig, second)
}

#[test]
fn each_account_registers_with_its_own_server() {
    let (mut rig, second) = rig();
    rig.command(Command::Register);
    let uris: Vec<_> = rig.sent.iter().map(|sent| sent.request_uri().to_vec()).collect();
    assert_eq!(uris, [b"sip:a.example".to_vec(), b"sip:b.example".to_vec()]);
    rig.answer(Method::Register, 403, |_| {});
    let reason = Reason::Forbidden;
    assert!(matches!(rig.events.last(), Some(Event::RegistrationFailed { account, reason: told, .. })
            if *account == second && *told == reason));
    assert!(!rig.phone.is_registered_at(second));
    let first = rig.sent[0].clone();
    let mut ok = response(&first, Status::OK, None, Some(b"peer"), flow().local);
    ok.header(HeaderName::Contact, b"<sip:1001@192.0.2.1:5060>;expires=300");
    rig.receive(ok.finish());
    assert_eq!(rig.events.last(), Some(&Event::Registered { account: AccountId::FIRST, expires_s: 300 }));
    assert!(rig.phone.is_registered_at(AccountId::FIRST) && !rig.phone.is_registered());
    rig.command(Command::Enable { account: AccountId::FIRST, enabled: false });
    assert_eq!(rig.last().request_uri(), b"sip:a.example");
    assert_eq!(rig.last().header(HeaderName::Expires), Some(&b"0"[..]));
}

#[test]
fn a_call_is_made_under_the_name_of_its_account() {
    let (mut rig, second) = rig();
    rig.command(Command::Call { account: second, target: "2002".into() });
    let invite = rig.last();
    assert_eq!(invite.request_uri(), b"sip:2002@b.example");
    assert_eq!(invite.from().unwrap().uri.text, b"sip:2001@b.example");
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
    rig.command(Command::HangUp { call: CALL });
    rig.answer(Method::Bye, 401, |writer| {
        writer.header(HeaderName::WwwAuthenticate, CHALLENGE);
    });
    assert!(authorization(&rig.last()).contains("username=\"2001\""));
    let none = AccountId(7);
    let refused = Command::Call { account: none, target: "1".into() };
    assert_eq!(
        rig.phone.handle_input(rig.now, Input::Command(refused)),
        Err(CommandError::NoSuchAccount(none))
    );
}

#[test]
fn a_call_is_for_the_account_that_it_names() {
    let (mut rig, second) = rig();
    let invite = request("INVITE", 1, None, &sdp(4_000, "sendrecv")).finish();
    let invite = String::from_utf8(invite.to_vec()).unwrap().replace("INVITE sip:1001@", "INVITE sip:2001@");
    rig.receive(invite.into());
    assert!(matches!(rig.events[..], [Event::Incoming { account, .. }] if account == second));
    assert_eq!(rig.last().header(HeaderName::Contact), Some(&b"<sip:2001@192.0.2.1:5060>"[..]));
}

#[test]
fn a_phone_has_a_bounded_number_of_accounts() {
    let mut rig = Rig::new();
    for _ in 1..MAX_ACCOUNTS {
        rig.phone.add_account(second()).unwrap();
    }
    assert_eq!(rig.phone.add_account(second()), Err(AccountError::TooMany));
}
