//! Joining a call (RFC 3911): by INVITE and by a REFER that makes one call of two.

use crate::stage::{CALLEE, CALLER, Stage, body, sdp};
use crate::transfers::{OTHER, PCMU, THIRD, THIRD_USER, code, line, news, talking};
use media::{Command, LegId};
use sip_stack::message::{Message, Method};

const G729: &str = "m=audio 4000 RTP/AVP 18\r\n";

/// The legs that the commands of the last step put into rooms.
fn seated(stage: &Stage) -> Vec<LegId> {
    let seat = |command: &Command| match command {
        Command::Join { leg, .. } => Some(*leg),
        _ => None,
    };
    stage.mixing().iter().filter_map(seat).collect()
}

/// The header that names the caller's dialog.
fn join(stage: &Stage) -> String {
    format!("Join: call;to-tag={};from-tag=a\r\n", stage.our_tag())
}

/// 1000 talks with 1001 and joins that call once more, from another line. The INVITE to 1001, and the legs of the two.
fn joined() -> (Stage, Message, [LegId; 2]) {
    let (mut stage, first, legs) = talking();
    stage.headers = join(&stage);
    stage.dial_again(&sdp(OTHER));
    assert_eq!(stage.opening().len(), 1, "the guest alone needs a port");
    stage.open_media();
    (stage, first, legs)
}

#[test]
fn who_joins_a_call_of_its_own_is_heard_by_both_and_hears_both() {
    let (mut stage, first, legs) = joined();
    let guest = stage.media_leg(0);
    let mut seats = seated(&stage);
    seats.sort();
    let mut all = [legs[0], legs[1], guest];
    all.sort();
    assert_eq!(seats, all);
    assert!(body(&stage.response_to_caller(200)).contains("RTP/AVP 0"));
    assert!(!stage.is_sent_to(CALLEE, Method::Invite), "the others hear nothing of it by signalling");
    stage.ack("");
    assert_eq!(stage.switch.calls(), 2);
    // The guest leaves, and the call is relayed again.
    stage.bye();
    stage.close_media();
    assert_eq!(stage.relays().len(), 1);
    assert_eq!(stage.switch.calls(), 1);
    stage.callee_sends(&first, "BYE", "");
    stage.sent_to(CALLER, Method::Bye);
    leaves_nothing(stage);
}

fn leaves_nothing(mut stage: Stage) {
    stage.close_media();
    stage.pass(100);
    let held = stage.switch.holdings();
    assert_eq!((held.calls, held.dialogs, held.byes, held.transactions, held.rooms), (0, 0, 0, 0, 0));
}

#[test]
fn the_place_of_a_party_that_hangs_up_is_the_guests() {
    let (mut stage, first, legs) = joined();
    let guest = stage.media_leg(0);
    stage.response_to_caller(200);
    stage.ack("");
    stage.callee_sends(&first, "BYE", "");
    assert!(!stage.is_sent_to(CALLER, Method::Bye));
    let relays = stage.relays();
    let [Command::Relay { a, b, .. }] = &relays[..] else { panic!("{relays:?}") };
    assert_eq!([*a, *b], [legs[0], guest]);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 1);
    stage.bye();
    stage.sent_to(CALLER, Method::Bye);
    leaves_nothing(stage);
}

#[test]
fn a_call_that_the_switch_ends_ends_for_its_guests() {
    let (mut stage, _, legs) = joined();
    let guest = stage.media_leg(0);
    stage.response_to_caller(200);
    stage.ack("");
    for leg in legs {
        stage.input(softswitch::core::Input::Media(media::Report::Silent { leg }));
    }
    assert_eq!(stage.all_sent_to(CALLER, Method::Bye).len(), 2, "the caller's two lines");
    stage.sent_to(CALLEE, Method::Bye);
    assert!(stage.told.iter().any(|command| *command == Command::Close { leg: guest }));
    leaves_nothing(stage);
}

#[test]
fn what_cannot_be_joined_is_refused_and_goes_on() {
    let (mut stage, _, _) = talking();
    let tag = stage.our_tag();
    for (headers, status) in [
        ("Join: call;to-tag=x;from-tag=a\r\n".to_owned(), 481),
        ("Join: call\r\n".to_owned(), 400),
        (format!("{}Replaces: call;to-tag={tag};from-tag=a\r\n", join(&stage)), 400),
    ] {
        stage.headers = headers;
        stage.dial_again(&sdp(OTHER));
        stage.response_to_caller(status);
    }
    assert_eq!(stage.switch.calls(), 1);
    // A codec of the guest that is not decoded.
    stage.to = format!("<sip:1001@127.0.0.1:5060>;tag={tag}");
    stage.headers = join(&stage);
    stage.dial_again(&sdp(G729));
    stage.open_media();
    stage.response_to_caller(488);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 1);
    assert_eq!(stage.relays().len(), 1, "and is relayed again");
}

#[test]
fn a_call_in_a_codec_that_is_not_decoded_is_not_joined() {
    let mut stage = Stage::new(1);
    stage.invite(&sdp(G729));
    let invite = stage.sent_to(CALLEE, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 18\r\n"));
    stage.response_to_caller(200);
    stage.ack("");
    stage.headers = join(&stage);
    stage.dial_again(&sdp(OTHER));
    stage.open_media();
    stage.response_to_caller(488);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 1);
}

#[test]
fn calls_of_others_are_joined_only_where_the_configuration_says_so() {
    for allowed in [false, true] {
        let domain = format!("[[domain]]\nname = \"127.0.0.1\"\ndefault = true\njoin = {allowed}\n");
        let mut stage = Stage::with(&format!("{THIRD_USER}{domain}"), "1001", 1);
        stage.register("1002", THIRD);
        stage.register("1000", CALLER);
        stage.talk();
        let named = join(&stage);
        stage.register("1002", THIRD);
        stage.user = "1002".into();
        stage.headers = named;
        stage.dial_again(&sdp(OTHER));
        if allowed {
            stage.open_media();
            stage.response_to_caller(200);
        } else {
            stage.response_to_caller(403);
        }
    }
}

/// 1000 talks with 1001 and with 1002, and the first REFER of the second call with this Refer-To is sent.
fn merged() -> (Stage, [Message; 2], [LegId; 3]) {
    let (mut stage, first, legs) = talking();
    let tag = stage.our_tag();
    stage.number = "1002".into();
    stage.dial_again(&sdp(PCMU));
    stage.open_media();
    let second = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&second, "200 OK", &sdp(OTHER));
    stage.response_to_caller(200);
    stage.ack("");
    let legs = [legs[0], legs[1], stage.media_leg(1)];
    let named = format!("call%3Bto-tag%3D{tag}%3Bfrom-tag%3Da");
    let target = format!("Refer-To: <sip:1001@127.0.0.1:5060?Join={named}>\r\n");
    assert_eq!(code(&stage.caller_asks("REFER", &target, "")), 202);
    (stage, [first, second], legs)
}

#[test]
fn a_refer_with_join_makes_one_call_of_two() {
    let (mut stage, [first, _], legs) = merged();
    let told: Vec<_> = news(&stage);
    assert_eq!(told.last(), line("200 OK", true).first());
    let mut seats = seated(&stage);
    seats.sort();
    let mut all = legs;
    all.sort();
    assert_eq!(seats, all, "each keeps its port");
    assert_eq!(stage.all_sent_to(CALLER, Method::Bye).len(), 1, "its second call is over");
    assert!(!stage.is_sent_to(THIRD, Method::Bye));
    stage.close_media();
    assert_eq!(stage.switch.calls(), 2, "the call, and its guest");
    stage.callee_sends(&first, "BYE", "");
    let relays = stage.relays();
    let [Command::Relay { a, b, .. }] = &relays[..] else { panic!("{relays:?}") };
    assert_eq!([*a, *b], [legs[0], legs[2]]);
    stage.close_media();
    assert_eq!(stage.switch.calls(), 1);
}

#[test]
fn a_guest_that_hangs_up_leaves_the_two_as_they_were() {
    let (mut stage, [_, second], legs) = merged();
    stage.close_media();
    stage.third_sends(&second, "BYE");
    stage.close_media();
    let relays = stage.relays();
    let [Command::Relay { a, b, .. }] = &relays[..] else { panic!("{relays:?}") };
    assert_eq!([*a, *b], [legs[0], legs[1]]);
    assert_eq!(stage.switch.calls(), 1);
}
