//! Music on hold (RFC 3264 §8.4): who is held hears it, and the call is a relay again when it is resumed.

use crate::stage::{Stage, sdp};
use crate::transfers::{PCMU, related, talking};
use media::Command;
use media::mix::{Audience, MemberId, Role};
use media::source::Source;

const HELD: &str = "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";

#[test]
fn who_is_held_hears_music_and_a_relay_comes_back_when_it_is_resumed() {
    for spelling in
        [HELD, "m=audio 4000 RTP/AVP 0\r\na=inactive\r\n", "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"]
    {
        let (mut stage, _, legs) = talking();
        stage.re_invite(&sdp(spelling));
        let told = stage.mixing();
        let played = told.iter().find_map(|command| match command {
            Command::Play { room, member, source: Source::Files { files, loops: true }, role } => {
                Some((*room, *member, files.clone(), *role))
            }
            _ => None,
        });
        let Some((room, player, files, Role::Announce { to: Audience::Held })) = played else {
            panic!("{spelling}: {told:?}")
        };
        assert_eq!(files.len(), 1);
        let held = (MemberId(legs[1].0), Role::Held { source: Some(player) });
        let assigned = told.iter().any(|command| {
            matches!(command, Command::Assign { room: there, roles } if *there == room && roles.contains(&held))
        });
        assert!(assigned, "{spelling}: {told:?}");
        stage.ack("");
        stage.re_invite(&sdp(PCMU));
        assert_eq!(related(&stage), [legs]);
        assert!(stage.mixing().contains(&Command::CloseRoom { room }));
        stage.ack("");
        stage.bye();
        stage.close_media();
        stage.pass(70);
        assert_eq!((stage.switch.holdings().calls, stage.switch.holdings().rooms), (0, 0));
    }
}

#[test]
fn without_music_hold_is_a_relay_that_is_silent() {
    let mut stage = Stage::with("[features]\nhold_music = false\n", "1001", 1);
    stage.invite(&sdp(PCMU));
    let invite = stage.sent_to(crate::stage::CALLEE, sip_stack::message::Method::Invite);
    stage.reply(&invite, "200 OK", &sdp("m=audio 4002 RTP/AVP 0\r\n"));
    stage.response_to_caller(200);
    stage.ack("");
    stage.re_invite(&sdp(HELD));
    assert!(matches!(stage.mixing()[..], [Command::Relay { .. }]), "{:?}", stage.mixing());
}
