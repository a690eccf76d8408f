//! Hold and resume by re-INVITE: directions, glare, refusals, and one call at a time (RFC 3261 §14, RFC 3264 §8.4).

use super::*;
use crate::phone::{CallStage, CommandError, Ending, Reason, Stream};
use sip_stack::sdp::{Direction, SessionDescription};
use std::collections::BTreeSet;

fn connected() -> Rig {
    let mut rig = calling();
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
    rig
}

fn offered(rig: &Rig) -> Direction {
    let invite = rig.sent.iter().rev().find(|sent| sent.method() == Some(Method::Invite)).unwrap();
    let offer = SessionDescription::parse(invite.body()).unwrap();
    offer.direction_of(&offer.media[0])
}

fn stream(rig: &Rig) -> &Stream {
    let started = rig.media.iter().rev().find_map(|command| match command {
        MediaCommand::Start { stream, .. } => Some(stream),
        _ => None,
    });
    started.unwrap()
}

/// INVITEs sent, however often each was sent again.
fn invites(rig: &Rig) -> usize {
    let invites = rig.sent.iter().filter(|sent| sent.method() == Some(Method::Invite));
    invites
        .map(|sent| sent.via().unwrap().params.value(b"branch").unwrap().to_vec())
        .collect::<BTreeSet<_>>()
        .len()
}

#[test]
fn a_held_call_neither_sends_nor_receives_until_it_is_resumed() {
    let mut rig = connected();
    rig.command(Command::Hold { call: CALL });
    assert_eq!(offered(&rig), Direction::SendOnly);
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "recvonly")));
    assert_eq!(rig.last().method(), Some(Method::Ack));
    assert_eq!(rig.events.last(), Some(&Event::Held { call: CALL, held: true }));
    assert_eq!((stream(&rig).send, stream(&rig).receive, stream(&rig).held), (false, false, false));
    rig.command(Command::Resume { call: CALL });
    assert_eq!(offered(&rig), Direction::SendRecv);
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
    assert_eq!(rig.events.last(), Some(&Event::Held { call: CALL, held: false }));
    assert!(stream(&rig).send && stream(&rig).receive);
    rig.command(Command::HangUp { call: CALL });
    rig.answer(Method::Bye, 200, |_| {});
    assert!(rig.is_over());
}

#[test]
fn an_overview_says_held_when_the_other_side_has_agreed() {
    let mut rig = connected();
    let held = |rig: &Rig| rig.phone.overview().first().map(|call| (call.stage, call.held, call.muted));
    let stage = CallStage::Connected(rig.now);
    rig.command(Command::Hold { call: CALL });
    assert_eq!(held(&rig), Some((stage, false, false)));
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "recvonly")));
    rig.command(Command::Mute { call: CALL, muted: true });
    assert_eq!(held(&rig), Some((stage, true, true)));
    rig.command(Command::HangUp { call: CALL });
    assert_eq!(held(&rig), None);
}

#[test]
fn what_the_user_wants_while_an_offer_is_open_follows_it() {
    let mut rig = connected();
    rig.command(Command::Hold { call: CALL });
    rig.command(Command::Resume { call: CALL });
    assert_eq!(invites(&rig), 2, "the second waits");
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "recvonly")));
    assert_eq!((invites(&rig), offered(&rig)), (3, Direction::SendRecv));
}

#[test]
fn a_re_offer_keeps_the_payload_types_of_the_first_exchange() {
    let mut rig = Rig::new();
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 101 111\r\na=rtpmap:101 opus/48000/2\r\na=rtpmap:111 telephone-event/48000\r\n";
    rig.receive(request("INVITE", 1, None, offer.as_bytes()).finish());
    rig.command(Command::Answer { call: CALL });
    let tag = rig.last().to().unwrap().tag().unwrap().to_vec();
    rig.receive(request("ACK", 1, Some(&tag), b"").finish());
    rig.command(Command::Hold { call: CALL });
    let invite = rig.last();
    let offer = SessionDescription::parse(invite.body()).unwrap();
    assert_eq!(offer.media[0].payload_types().collect::<Vec<_>>(), [101, 9, 0, 8, 96, 111]);
}

#[test]
fn glare_is_tried_again_after_the_wait_of_the_side_that_called() {
    let mut rig = connected();
    rig.command(Command::Hold { call: CALL });
    rig.answer(Method::Invite, 491, |_| {});
    rig.wait(Duration::from_millis(2_099));
    assert_eq!(invites(&rig), 2);
    rig.wait(Duration::from_millis(1_901));
    assert_eq!((invites(&rig), offered(&rig)), (3, Direction::SendOnly));
    let (mut rig, _) = called();
    rig.command(Command::Hold { call: CALL });
    rig.answer(Method::Invite, 491, |_| {});
    rig.wait(Duration::from_millis(2_000));
    assert_eq!(invites(&rig), 2, "the side that was called waits less");
}

#[test]
fn a_re_invite_of_the_peer_is_refused_while_ours_is_out() {
    let (mut rig, tag) = called();
    rig.command(Command::Hold { call: CALL });
    rig.receive(request("INVITE", 2, Some(&tag), &sdp(4_000, "sendonly")).finish());
    assert_eq!(status(&rig), 491);
}

#[test]
fn an_ack_that_comes_after_our_re_invite_is_not_taken_for_its_answer() {
    let mut rig = Rig::new();
    rig.receive(request("INVITE", 1, None, &sdp(4_000, "sendrecv")).finish());
    rig.command(Command::Answer { call: CALL });
    let tag = rig.last().to().unwrap().tag().unwrap().to_vec();
    rig.command(Command::Hold { call: CALL });
    rig.receive(request("ACK", 1, Some(&tag), b"").finish());
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "recvonly")));
    assert_eq!(rig.events.last(), Some(&Event::Held { call: CALL, held: true }));
}

#[test]
fn a_refusal_leaves_the_call_as_it_was() {
    let mut rig = connected();
    let before = stream(&rig).clone();
    rig.command(Command::Hold { call: CALL });
    rig.answer(Method::Invite, 488, |_| {});
    let reason = Reason::NoCommonFormat;
    assert_eq!(rig.events.last(), Some(&Event::HoldFailed { call: CALL, reason }));
    assert_eq!((stream(&rig), rig.phone.calls()), (&before, 1));
    rig.command(Command::Hold { call: CALL });
    assert_eq!(invites(&rig), 3, "it may be asked for again");
}

#[test]
fn a_dialog_that_the_peer_does_not_know_is_over() {
    for status in [481, 408] {
        let mut rig = connected();
        rig.command(Command::Hold { call: CALL });
        rig.answer(Method::Invite, status, |_| {});
        let ending = Ending::Failed(Reason::Lost);
        assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending }));
        assert!(rig.is_over());
    }
    let mut rig = connected();
    rig.command(Command::Hold { call: CALL });
    rig.wait(Duration::from_secs(32));
    let ending = Ending::Failed(Reason::Lost);
    assert_eq!(rig.events.last(), Some(&Event::Ended { call: CALL, ending }));
    assert!(rig.is_over());
}

#[test]
fn a_challenged_re_invite_is_sent_again_with_credentials() {
    let mut rig = connected();
    rig.command(Command::Hold { call: CALL });
    rig.answer(Method::Invite, 401, |writer| {
        writer.header(HeaderName::WwwAuthenticate, CHALLENGE);
    });
    assert!(authorization(&rig.last()).contains("username=\"1001\""));
    assert_eq!(offered(&rig), Direction::SendOnly);
    rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "recvonly")));
    assert_eq!(rig.events.last(), Some(&Event::Held { call: CALL, held: true }));
}

#[test]
fn the_user_is_told_when_the_peer_holds_us_and_when_no_longer() {
    let (mut rig, tag) = called();
    for (cseq, direction, held) in [(2, "sendonly", true), (3, "sendrecv", false), (4, "inactive", true)] {
        rig.receive(request("INVITE", cseq, Some(&tag), &sdp(4_000, direction)).finish());
        rig.receive(request("ACK", cseq, Some(&tag), b"").finish());
        assert_eq!(rig.events.last(), Some(&Event::HeldByPeer { call: CALL, held }));
    }
}

#[test]
fn a_second_call_holds_the_first_unless_the_user_does_not_want_that() {
    for hold_others in [true, false] {
        let mut rig = Rig::with(Settings { hold_others, ..Settings::default() });
        rig.command(Command::Call { account: AccountId::FIRST, target: "1002".into() });
        rig.answer(Method::Invite, 200, with_sdp(sdp(4_000, "sendrecv")));
        rig.command(Command::Call { account: AccountId::FIRST, target: "1003".into() });
        assert_eq!(invites(&rig), if hold_others { 3 } else { 2 });
    }
}

#[test]
fn only_a_call_that_is_up_can_be_held() {
    let mut rig = calling();
    let refused = rig.phone.handle_input(rig.now, Input::Command(Command::Hold { call: CALL }));
    assert_eq!(refused, Err(CommandError::NotConnected(CALL)));
    let none = CallId(9);
    let refused = rig.phone.handle_input(rig.now, Input::Command(Command::Resume { call: none }));
    assert_eq!(refused, Err(CommandError::NoSuchCall(none)));
}

#[test]
fn muting_is_told_to_the_audio_side_once() {
    let mut rig = connected();
    rig.command(Command::Mute { call: CALL, muted: true });
    rig.command(Command::Mute { call: CALL, muted: true });
    let mutes = rig.media.iter().filter(|command| matches!(command, MediaCommand::Mute { .. })).count();
    assert_eq!((mutes, rig.events.last()), (1, Some(&Event::Muted { call: CALL, muted: true })));
}
