//! How long calls last of which nobody says anything, and how long any call may last.

use crate::stage::{CALLEE, CALLER, Stage, sdp};
use crate::transfers::{OTHER, PCMU, THIRD, THIRD_USER, brings_together, consults, refer};
use media::Report;
use sip_stack::message::Method;
use softswitch::core::Input;

const HELD: &str = "m=audio 4000 RTP/AVP 0\r\na=inactive\r\n";

fn both_are_silent(stage: &mut Stage) {
    for side in 0..2 {
        let leg = stage.media_leg(side);
        stage.input(Input::Media(Report::Silent { leg }));
    }
}

#[test]
fn a_call_of_which_neither_side_sends_anything_ends_for_both() {
    let mut stage = Stage::new(1);
    stage.talk();
    let [caller, callee] = [0, 1].map(|side| stage.media_leg(side));
    stage.input(Input::Media(Report::Silent { leg: caller }));
    assert!(!stage.is_sent_to(CALLEE, Method::Bye), "one of them is heard");
    stage.input(Input::Media(Report::Heard { leg: caller }));
    stage.input(Input::Media(Report::Silent { leg: callee }));
    assert!(!stage.is_sent_to(CALLEE, Method::Bye));
    stage.input(Input::Media(Report::Silent { leg: caller }));
    assert!(stage.is_sent_to(CALLEE, Method::Bye) && stage.is_sent_to(CALLER, Method::Bye));
}

#[test]
fn a_call_on_hold_may_be_silent_and_not_after_it_was_resumed() {
    for hold in [HELD, "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n"] {
        let mut stage = Stage::new(1);
        stage.talk();
        stage.re_invite(&sdp(hold));
        stage.ack("");
        both_are_silent(&mut stage);
        assert!(!stage.is_sent_to(CALLEE, Method::Bye), "{hold}");
        stage.re_invite(&sdp(PCMU));
        stage.ack("");
        assert!(!stage.is_sent_to(CALLEE, Method::Bye));
        // The shard tells so anew, a while after something else was agreed on.
        let leg = stage.media_leg(0);
        stage.input(Input::Media(Report::Silent { leg }));
        assert!(stage.is_sent_to(CALLEE, Method::Bye) && stage.is_sent_to(CALLER, Method::Bye), "{hold}");
    }
}

#[test]
fn a_call_that_the_switch_serves_may_be_silent() {
    let mut stage = Stage::with("[[route]]\npattern = \"700\"\nservice = \"conference\"\n", "700", 0);
    stage.invite(&sdp(PCMU));
    stage.response_to_caller(200);
    stage.ack("");
    let leg = stage.media_leg(0);
    stage.input(Input::Media(Report::Silent { leg }));
    assert!(!stage.is_sent_to(CALLER, Method::Bye));
}

fn limited() -> Stage {
    let more = format!("[features]\nlongest_call_s = 100\n[session_timer]\nask = false\n{THIRD_USER}");
    let mut stage = Stage::with(&more, "1001", 1);
    stage.register("1002", THIRD);
    stage.register("1000", CALLER);
    stage.talk();
    stage.pass(60);
    stage
}

#[test]
fn a_blind_transfer_does_not_begin_the_time_of_a_call_anew() {
    let mut stage = limited();
    refer(&mut stage, "");
    stage.open_media();
    let invite = stage.sent_to(THIRD, Method::Invite);
    stage.reply(&invite, "200 OK", &sdp(OTHER));
    let (_, seconds) = stage.wait_for_sent(THIRD, Method::Bye);
    assert!((38..=41).contains(&seconds), "{seconds}");
    assert!(stage.is_sent_to(CALLEE, Method::Bye));
}

#[test]
fn an_attended_transfer_does_not_begin_the_time_of_a_call_anew() {
    let mut stage = limited();
    let to = stage.to.clone();
    consults(&mut stage);
    brings_together(&mut stage, to);
    let (_, seconds) = stage.wait_for_sent(THIRD, Method::Bye);
    assert!((38..=41).contains(&seconds), "{seconds}");
}
