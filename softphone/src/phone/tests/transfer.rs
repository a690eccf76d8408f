//! REFER and Replaces in both directions (RFC 3515, RFC 3891).

use super::*;
use crate::phone::{CommandError, Ending, Reason, Transfers};
use sip_stack::header::{Replaces, SubscriptionState};

/// News of a REFER of ours, which was the second request of the dialog.
fn notify(cseq: u32, tag: &[u8], state: &SubscriptionState<'_>, line: &str) -> Bytes {
    let mut writer = request("NOTIFY", cseq, Some(tag), b"");
    writer.header(HeaderName::Event, b"refer");
    writer.header(HeaderName::SubscriptionState, &state.value());
    writer.body(b"message/sipfrag", line.as_bytes());
    writer.finish()
}

const ACTIVE: SubscriptionState<'static> = SubscriptionState::Active { expires: Some(60) };
const OVER: SubscriptionState<'static> = SubscriptionState::Terminated { reason: None, retry_after: None };

#[test]
fn a_blind_transfer_is_one_refer_and_the_call_ends_when_it_has_worked() {
    let (mut rig, tag) = called();
    rig.command(Command::Transfer { call: CALL, target: "1003".into() });
    let refer = rig.last();
    assert_eq!(refer.method(), Some(Method::Refer));
    assert_eq!(refer.refer_to().unwrap().request_uri(), b"sip:1003@a.example");
    assert_eq!(refer.referred_by().unwrap().unwrap().uri.user, Some(&b"1001"[..]));
    rig.answer(Method::Refer, 202, contact);
    rig.receive(notify(2, &tag, &ACTIVE, "SIP/2.0 100 Trying\r\n"));
    assert_eq!(status(&rig), 200);
    rig.receive(notify(3, &tag, &OVER, "SIP/2.0 200 OK\r\n"));
    assert!(rig.events.contains(&Event::Transferred { call: CALL }));
    assert_eq!(rig.last().method(), Some(Method::Bye));
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending: Ending::Ours }));
}

#[test]
fn a_transfer_that_fails_is_told_with_its_reason_and_the_call_goes_on() {
    let (mut rig, tag) = called();
    rig.command(Command::Transfer { call: CALL, target: "1003".into() });
    rig.answer(Method::Refer, 202, contact);
    rig.receive(notify(2, &tag, &OVER, "SIP/2.0 486 Busy Here\r\n"));
    assert_eq!(rig.events.last(), Some(&Event::TransferFailed { call: CALL, reason: Reason::Busy }));
    rig.command(Command::Transfer { call: CALL, target: "1004".into() });
    rig.answer(Method::Refer, 403, |_| {});
    assert_eq!(rig.events.last(), Some(&Event::TransferFailed { call: CALL, reason: Reason::Forbidden }));
    assert_eq!(rig.phone.calls(), 1);
    rig.receive(notify(3, &tag, &OVER, "SIP/2.0 200 OK\r\n"));
    assert_eq!(status(&rig), 481, "nobody waits for it any more");
}

#[test]
fn a_refer_that_is_challenged_is_sent_again_with_credentials() {
    let (mut rig, _) = called();
    rig.command(Command::Transfer { call: CALL, target: "1003".into() });
    rig.answer(Method::Refer, 401, |writer| _ = writer.header(HeaderName::WwwAuthenticate, CHALLENGE));
    assert_eq!(rig.last().method(), Some(Method::Refer));
    assert!(authorization(&rig.last()).contains("username=\"1001\""));
}

#[test]
fn an_attended_transfer_names_the_other_call_as_its_peer_knows_it() {
    let (mut rig, _) = called();
    rig.command(Command::Call { account: AccountId::FIRST, target: "1003".into() });
    let invite = rig
        .sent
        .iter()
        .rev()
        .find(|sent| sent.method() == Some(Method::Invite) && sent.uri().unwrap().user == Some(b"1003"));
    let invite = invite.cloned().unwrap();
    let mut ok = response(&invite, Status::OK, None, Some(b"other"), flow().local);
    with_sdp(sdp(4_002, "sendrecv"))(&mut ok);
    rig.receive(ok.finish());
    let other = CallId(2);
    rig.command(Command::TransferTo { call: CALL, other });
    let refer = rig.sent.iter().rev().find(|sent| sent.method() == Some(Method::Refer)).cloned().unwrap();
    let target = refer.refer_to().unwrap();
    let named = target.replaces().unwrap();
    let named = Replaces::parse(&named).unwrap();
    assert_eq!(named.call_id, invite.call_id().unwrap());
    assert_eq!(named.to_tag, b"other", "the tag of whoever gets it");
    assert_eq!(Some(named.from_tag), invite.from().unwrap().tag());
}

/// In a call of the peer's, with one of ours to 1003 that rings: its INVITE.
fn calling_beside() -> (Rig, Message) {
    let (mut rig, _) = called();
    rig.command(Command::Call { account: AccountId::FIRST, target: "1003".into() });
    let is_it =
        |sent: &&Message| sent.method() == Some(Method::Invite) && sent.uri().unwrap().user == Some(b"1003");
    let invite = rig.sent.iter().rev().find(is_it).cloned().unwrap();
    (rig, invite)
}

/// What the peer answers the INVITE to 1003.
fn respond(rig: &mut Rig, invite: &Message, status: Status) {
    let mut writer = response(invite, status, None, Some(b"other"), flow().local);
    contact(&mut writer);
    rig.receive(writer.finish());
}

#[test]
fn a_call_that_rings_is_given_to_the_other_side_of_another_one_and_is_over_here() {
    let (mut rig, invite) = calling_beside();
    let other = CallId(2);
    let command = Command::TransferTo { call: CALL, other };
    assert!(rig.phone.handle_input(rig.now, Input::Command(command.clone())).is_err(), "nobody rings yet");
    respond(&mut rig, &invite, Status::RINGING);
    rig.command(command);
    let refer = rig.sent.iter().rev().find(|sent| sent.method() == Some(Method::Refer)).cloned().unwrap();
    let target = refer.refer_to().unwrap();
    let named = target.replaces().unwrap();
    let named = Replaces::parse(&named).unwrap();
    assert_eq!((named.call_id, named.to_tag), (invite.call_id().unwrap(), &b"other"[..]));
    respond(&mut rig, &invite, Status::REQUEST_TERMINATED);
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: other, ending: Ending::Ours }));
    assert_eq!(rig.phone.calls(), 1);
}

#[test]
fn two_calls_become_one_by_a_refer_with_join() {
    let (mut rig, invite) = calling_beside();
    let other = CallId(2);
    let mut ok = response(&invite, Status::OK, None, Some(b"other"), flow().local);
    with_sdp(sdp(4_002, "sendrecv"))(&mut ok);
    rig.receive(ok.finish());
    rig.command(Command::Merge { call: CALL, other });
    let refer = rig.sent.iter().rev().find(|sent| sent.method() == Some(Method::Refer)).cloned().unwrap();
    assert_eq!(refer.call_id().unwrap(), invite.call_id().unwrap(), "in the second call");
    let target = refer.refer_to().unwrap();
    let named = target.join().unwrap();
    let named = Replaces::parse(&named).unwrap();
    assert_eq!((named.call_id, named.to_tag), (&b"theirs"[..], &b"peer"[..]), "the first one");
    let command = Command::Merge { call: CALL, other: CALL };
    assert!(rig.phone.handle_input(rig.now, Input::Command(command)).is_err());
}

#[test]
fn an_invite_that_replaces_a_call_of_ours_that_rings_cancels_it() {
    let (mut rig, invite) = calling_beside();
    respond(&mut rig, &invite, Status::RINGING);
    let tag = invite.from().unwrap().tag().unwrap().to_vec();
    let mut writer = request("INVITE", 70, None, &sdp(4_010, "sendrecv"));
    let call_id = invite.call_id().unwrap();
    let named = Replaces { call_id, to_tag: &tag, from_tag: b"other", early_only: true };
    writer.header(HeaderName::Replaces, &named.value());
    rig.receive(writer.finish());
    assert!(rig.events.contains(&Event::Connected { call: CallId(3) }));
    assert!(rig.events.contains(&Event::Ended { call: CallId(2), ending: Ending::Theirs }));
    assert_eq!(rig.last().method(), Some(Method::Cancel));
}

#[test]
fn a_call_that_is_not_up_is_not_transferred() {
    let mut rig = calling();
    let command = Command::Transfer { call: CALL, target: "1003".into() };
    assert!(rig.phone.handle_input(rig.now, Input::Command(command)).is_err());
    let command = Command::TransferTo { call: CALL, other: CALL };
    assert!(rig.phone.handle_input(rig.now, Input::Command(command)).is_err());
}

#[test]
fn who_is_sent_calls_and_tells_what_comes_of_it() {
    let (mut rig, tag) = called();
    let mut refer = request("REFER", 2, Some(&tag), b"");
    refer.header(HeaderName::ReferTo, b"<sip:1003@a.example?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>");
    refer.header(HeaderName::ReferredBy, b"<sip:1002@a.example>");
    rig.receive(refer.finish());
    assert!(rig.sent.iter().any(|sent| sent.status() == Some(Status::ACCEPTED)));
    let news = |rig: &Rig| {
        let notify =
            rig.sent.iter().rev().find(|sent| sent.method() == Some(Method::Notify)).cloned().unwrap();
        String::from_utf8(notify.body().to_vec()).unwrap()
    };
    assert_eq!(news(&rig), "SIP/2.0 100 Trying\r\n");
    let is_it =
        |sent: &&Message| sent.method() == Some(Method::Invite) && sent.uri().unwrap().user == Some(b"1003");
    let invite = rig.sent.iter().rev().find(is_it).cloned().unwrap();
    assert_eq!(invite.replaces().unwrap().unwrap().call_id, b"x");
    assert_eq!(invite.referred_by().unwrap().unwrap().uri.user, Some(&b"1002"[..]));
    let mut ok = response(&invite, Status::OK, None, Some(b"other"), flow().local);
    with_sdp(sdp(4_002, "sendrecv"))(&mut ok);
    rig.receive(ok.finish());
    assert_eq!(news(&rig), "SIP/2.0 200 OK\r\n");
    rig.receive(request("BYE", 4, Some(&tag), b"").finish());
    assert_eq!(rig.phone.calls(), 1, "the new call is left");
}

#[test]
fn who_is_sent_in_vain_tells_the_status() {
    let (mut rig, tag) = called();
    let mut refer = request("REFER", 2, Some(&tag), b"");
    refer.header(HeaderName::ReferTo, b"<sip:1003@a.example>");
    rig.receive(refer.finish());
    let is_it =
        |sent: &&Message| sent.method() == Some(Method::Invite) && sent.uri().unwrap().user == Some(b"1003");
    let invite = rig.sent.iter().rev().find(is_it).cloned().unwrap();
    let busy = response(&invite, Status::BUSY_HERE, None, Some(b"other"), flow().local);
    rig.receive(busy.finish());
    let notify = rig.sent.iter().rev().find(|sent| sent.method() == Some(Method::Notify)).cloned().unwrap();
    assert_eq!(notify.body(), b"SIP/2.0 486 Busy Here\r\n");
    assert!(notify.subscription_state().unwrap().is_terminated());
    let all = rig.sent.iter().filter(|sent| sent.method() == Some(Method::Notify)).count();
    assert_eq!(all, 2, "100 and 486");
}

#[test]
fn an_invite_that_replaces_a_call_takes_its_place_without_ringing() {
    let (mut rig, tag) = called();
    let mut writer = Writer::request(Method::Invite, b"sip:1001@192.0.2.1:5060");
    writer.header(HeaderName::Via, b"SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-replacing");
    writer.header(HeaderName::From, b"<sip:1003@a.example>;tag=carol");
    writer.header(HeaderName::To, b"<sip:1001@a.example>");
    writer.header(HeaderName::CallId, b"new");
    writer.cseq(1, Method::Invite);
    contact(&mut writer);
    let named = Replaces { call_id: b"theirs", to_tag: &tag, from_tag: b"peer", early_only: false };
    writer.header(HeaderName::Replaces, &named.value());
    writer.body(b"application/sdp", &sdp(4_010, "sendrecv"));
    rig.receive(writer.finish());
    assert!(rig.events.contains(&Event::Connected { call: CallId(2) }));
    assert!(rig.events.contains(&Event::Ended { call: CALL, ending: Ending::Theirs }));
    assert_eq!(rig.last().method(), Some(Method::Bye));
    assert_eq!(rig.phone.calls(), 1);
}

#[test]
fn a_dialog_that_there_is_not_is_not_replaced() {
    let (mut rig, tag) = called();
    for (value, code) in [
        (b"theirs;to-tag=no;from-tag=peer".to_vec(), 481),
        ([b"theirs;from-tag=peer;early-only;to-tag=", &tag[..]].concat(), 486),
        (b"theirs".to_vec(), 400),
    ] {
        let mut writer = request("INVITE", 50 + code, None, &sdp(4_010, "sendrecv"));
        writer.header(HeaderName::Replaces, &value);
        rig.receive(writer.finish());
        assert_eq!(u32::from(status(&rig)), code);
    }
}

#[test]
fn nobody_sends_us_out_of_the_domain_unless_the_user_lets_them() {
    let accepted = |transfers, refer_to: &str| {
        let settings = Settings { transfers, ..Settings::default() };
        let mut rig = rung_with(settings, &sdp(4_000, "sendrecv"));
        rig.command(Command::Answer { call: CALL });
        let tag = rig.last().to().unwrap().tag().unwrap().to_vec();
        rig.receive(request("ACK", 1, Some(&tag), b"").finish());
        let mut refer = request("REFER", 2, Some(&tag), b"");
        refer.header(HeaderName::ReferTo, refer_to.as_bytes());
        rig.receive(refer.finish());
        let refused = rig.sent.iter().any(|sent| sent.status() == Some(Status::DECLINE));
        assert_eq!(refused, rig.phone.calls() == 1, "{refer_to}");
        !refused
    };
    for (target, domain) in [
        ("<sip:1003@a.example>", true),
        ("<sip:1003@A.Example:5070>", true),
        ("<sip:1003@192.0.2.9>", true),
        ("<sip:1003@192.0.2.7>", false),
        ("<sip:1003@b.example>", false),
        ("<sip:1003@a.example.evil>", false),
    ] {
        assert_eq!(accepted(Transfers::Domain, target), domain, "{target}");
        assert!(accepted(Transfers::Anywhere, target));
        assert!(!accepted(Transfers::Never, target));
    }
}

#[test]
fn a_second_transfer_waits_until_it_is_known_what_became_of_the_first() {
    let (mut rig, tag) = called();
    let transfer = |target: &str| Command::Transfer { call: CALL, target: target.into() };
    rig.command(transfer("1003"));
    rig.answer(Method::Refer, 202, contact);
    let refused = rig.phone.handle_input(rig.now, Input::Command(transfer("1004")));
    assert!(matches!(refused, Err(CommandError::Transferring(CALL))), "{refused:?}");
    rig.receive(notify(2, &tag, &OVER, "SIP/2.0 200 OK\r\n"));
    assert!(rig.events.contains(&Event::Transferred { call: CALL }));
    let failed = |event: &Event| matches!(event, Event::TransferFailed { .. });
    assert!(!rig.events.iter().any(failed));
}

#[test]
fn another_transfer_may_be_asked_for_when_nothing_is_heard_of_the_first() {
    let (mut rig, _) = called();
    rig.command(Command::Transfer { call: CALL, target: "1003".into() });
    rig.answer(Method::Refer, 202, contact);
    rig.now.0 += 200_000_000_000;
    rig.command(Command::Transfer { call: CALL, target: "1004".into() });
    assert_eq!(rig.last().refer_to().unwrap().request_uri(), b"sip:1004@a.example");
}
