//! Session timers (RFC 4028), UPDATE (RFC 3311) and provisional responses that are acknowledged (RFC 3262).

use super::*;
use crate::phone::Ending;
use crate::phone::Reason;

fn answered_with(fields: &'static [(HeaderName, &'static [u8])]) -> Rig {
    let mut rig = calling();
    rig.answer(Method::Invite, 200, |writer| {
        for (name, value) in fields {
            writer.header(*name, value);
        }
        with_sdp(sdp(4_000, "sendrecv"))(writer);
    });
    rig
}

#[test]
fn a_session_that_is_ours_to_refresh_is_refreshed_by_update_at_half_its_time() {
    let mut rig = answered_with(&[
        (HeaderName::SessionExpires, b"600;refresher=uac"),
        (HeaderName::Allow, b"INVITE, BYE, UPDATE"),
    ]);
    rig.wait(Duration::from_secs(299));
    assert_ne!(rig.last().method(), Some(Method::Update));
    rig.wait(Duration::from_secs(1));
    let update = rig.last();
    assert_eq!((update.method(), update.body().len()), (Some(Method::Update), 0));
    assert!(update.supports("timer"));
    rig.answer(Method::Update, 200, |writer| {
        contact(writer);
        writer.header(HeaderName::SessionExpires, b"600;refresher=uac");
    });
    let events = rig.events.len();
    rig.wait(Duration::from_secs(299));
    assert_eq!(rig.events.len(), events, "the user hears nothing of it");
    rig.wait(Duration::from_secs(1));
    rig.answer(Method::Update, 481, |_| {});
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending: Ending::Failed(Reason::Lost) }));
}

#[test]
fn without_update_it_is_a_re_invite_that_changes_nothing() {
    let mut rig = answered_with(&[(HeaderName::SessionExpires, b"90;refresher=uac")]);
    let invite = rig.sent.iter().find(|sent| sent.method() == Some(Method::Invite)).cloned().unwrap();
    assert!(invite.session_expires().unwrap().is_some() && invite.supports("timer"));
    rig.wait(Duration::from_secs(45));
    let again = rig.last();
    assert_eq!(again.method(), Some(Method::Invite));
    let origin = |message: &Message| {
        let body = String::from_utf8_lossy(message.body()).into_owned();
        body.lines().find(|line| line.starts_with("o=")).map(str::to_owned)
    };
    rig.answer(Method::Invite, 200, |writer| {
        writer.header(HeaderName::SessionExpires, b"90;refresher=uac");
        with_sdp(sdp(4_000, "sendrecv"))(writer);
    });
    assert_eq!(rig.last().method(), Some(Method::Ack));
    rig.wait(Duration::from_secs(45));
    assert_eq!(origin(&rig.last()), origin(&again), "the version is the same (RFC 4028 §7.4)");
    assert!(!rig.events.iter().any(|event| matches!(event, Event::Held { .. })));
}

#[test]
fn a_session_that_the_other_side_does_not_refresh_ends_before_its_time() {
    let mut rig = Rig::new();
    let mut writer = request("INVITE", 7, None, &sdp(4_000, "sendrecv"));
    writer.header(HeaderName::Supported, b"timer");
    writer.header(HeaderName::SessionExpires, b"300");
    rig.receive(writer.finish());
    rig.command(Command::Answer { call: CALL });
    let ok = rig.last();
    assert!(ok.requires("timer"));
    assert_eq!(ok.session_expires().unwrap().unwrap().value(), b"300;refresher=uac");
    let tag = ok.to().unwrap().tag().unwrap().to_vec();
    rig.receive(request("ACK", 7, Some(&tag), b"").finish());
    rig.wait(Duration::from_secs(200));
    let mut update = request("UPDATE", 8, Some(&tag), b"");
    update.header(HeaderName::Supported, b"timer");
    update.header(HeaderName::SessionExpires, b"300;refresher=uac");
    rig.receive(update.finish());
    assert_eq!(status(&rig), 200);
    rig.wait(Duration::from_secs(267));
    assert_ne!(rig.last().method(), Some(Method::Bye));
    rig.wait(Duration::from_secs(2));
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending: Ending::Failed(Reason::Lost) }));
}

#[test]
fn a_422_is_answered_by_another_invite_of_the_same_call() {
    let mut rig = calling();
    let first = rig.last();
    rig.answer(Method::Invite, 422, |writer| _ = writer.number(HeaderName::MinSe, 3_600));
    let second = rig.last();
    assert_eq!(second.method(), Some(Method::Invite));
    assert_eq!(second.min_se(), Ok(Some(3_600)));
    assert_eq!(second.session_expires().unwrap().unwrap().seconds, 3_600);
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(second.cseq().unwrap().number, first.cseq().unwrap().number + 1);
    rig.answer(Method::Invite, 422, |writer| _ = writer.number(HeaderName::MinSe, 3_600));
    assert!(matches!(rig.events.last(), Some(Event::Ended { .. })), "not for ever");
}

#[test]
fn an_update_with_an_offer_is_answered_and_one_during_ours_is_refused_with_491() {
    let (mut rig, tag) = called();
    rig.receive(request("UPDATE", 2, Some(&tag), &sdp(5_000, "sendonly")).finish());
    assert_eq!(status(&rig), 200);
    assert!(String::from_utf8_lossy(rig.last().body()).contains("a=recvonly"));
    assert_eq!(rig.events.last(), Some(&Event::HeldByPeer { call: CALL, held: true }));
    rig.command(Command::Hold { call: CALL });
    rig.receive(request("UPDATE", 3, Some(&tag), &sdp(5_000, "sendrecv")).finish());
    assert_eq!(status(&rig), 491);
}

#[test]
fn an_offer_in_an_update_before_the_answer_is_refused_for_a_while() {
    let mut rig = rung_with(Settings::default(), &sdp(4_000, "sendrecv"));
    let tag = rig.last().to().unwrap().tag().unwrap().to_vec();
    rig.receive(request("UPDATE", 2, Some(&tag), &sdp(5_000, "sendrecv")).finish());
    assert_eq!(status(&rig), 500);
    assert!(rig.last().retry_after().is_some());
}

#[test]
fn a_reliable_provisional_response_is_acknowledged_and_its_description_is_the_answer() {
    let mut rig = calling();
    assert!(rig.last().supports("100rel"));
    rig.answer(Method::Invite, 183, |writer| {
        writer.header(HeaderName::Require, b"100rel");
        writer.number(HeaderName::RSeq, 41);
        with_sdp(sdp(4_000, "sendrecv"))(writer);
    });
    let prack = rig.last();
    assert_eq!(prack.method(), Some(Method::Prack));
    assert_eq!((prack.rack().unwrap().rseq, prack.rack().unwrap().cseq), (41, 1));
    rig.answer(Method::Prack, 200, |_| {});
    rig.answer(Method::Invite, 200, contact);
    assert!(rig.events.contains(&Event::Connected { call: CALL }));
}

#[test]
fn a_caller_that_insists_gets_180_reliably_and_its_prack_an_answer() {
    let mut rig = Rig::new();
    let mut writer = request("INVITE", 1, None, &sdp(4_000, "sendrecv"));
    writer.header(HeaderName::Require, b"100rel");
    rig.receive(writer.finish());
    let ringing = rig.last();
    let rseq = ringing.rseq().unwrap().unwrap();
    let tag = ringing.to().unwrap().tag().unwrap().to_vec();
    rig.wait(Duration::from_millis(600));
    assert_eq!(rig.sent.iter().filter(|sent| sent.status() == Some(Status::RINGING)).count(), 2);
    let mut prack = request("PRACK", 2, Some(&tag), b"");
    prack.header(HeaderName::RAck, format!("{rseq} 1 INVITE").as_bytes());
    rig.receive(prack.finish());
    assert_eq!(status(&rig), 200);
    rig.command(Command::Answer { call: CALL });
    assert_eq!(rig.last().status(), Some(Status::OK));
}

#[test]
fn a_caller_that_insists_and_acknowledges_nothing_is_refused() {
    let mut rig = Rig::new();
    let mut writer = request("INVITE", 1, None, &sdp(4_000, "sendrecv"));
    writer.header(HeaderName::Require, b"100rel");
    rig.receive(writer.finish());
    rig.wait(Duration::from_secs(33));
    assert!(rig.sent.iter().any(|sent| sent.status() == Some(Status::SERVER_INTERNAL_ERROR)));
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending: Ending::Failed(Reason::Lost) }));
}

#[test]
fn an_update_before_the_answer_changes_what_a_reliable_response_has_answered() {
    let ringing = |rig: &mut Rig, reliable: bool| {
        rig.answer(Method::Invite, 183, |writer| {
            if reliable {
                writer.header(HeaderName::Require, b"100rel");
                writer.header(HeaderName::RSeq, b"5");
            }
            with_sdp(sdp(4_000, "sendrecv"))(writer);
        });
    };
    for (reliable, code) in [(true, 200), (false, 491)] {
        let mut rig = calling();
        let invite = rig.last();
        ringing(&mut rig, reliable);
        let mut update = Writer::request(Method::Update, b"sip:1001@192.0.2.1:5060");
        update.header(HeaderName::Via, b"SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-update");
        update.header(HeaderName::From, b"<sip:1002@a.example>;tag=peer");
        update.header(HeaderName::To, invite.header(HeaderName::From).unwrap());
        update.header(HeaderName::CallId, invite.call_id().unwrap());
        update.cseq(1, Method::Update);
        contact(&mut update);
        update.body(b"application/sdp", &sdp(4_100, "sendrecv"));
        rig.receive(update.finish());
        assert_eq!(status(&rig), code);
        let moved = rig.media.iter().any(|command| {
            matches!(command,
            MediaCommand::Start { stream, .. } if stream.remote == Some(([192, 0, 2, 9], 4_100).into()))
        });
        assert_eq!(moved, reliable);
    }
}
