//! To whom a request goes at once and to whom one after the other (§16.6, RFC 5393 §5, RFC 5626 §7).

use super::stage::{CALLER, Stage, answer_to, hop, invited, only, request, target, to};
use sip_stack::Message;
use sip_stack::header::HeaderName;
use sip_stack::proxy::Target;
use std::time::Duration;

fn breadth(message: &Message) -> &[u8] {
    message.header(HeaderName::MaxBreadth).unwrap()
}

#[test]
fn equals_are_asked_at_once_and_the_next_when_all_of_them_have_failed() {
    let (mut stage, sent) = invited(vec![target(13, 500), target(11, 1000), target(12, 1000)]);
    assert_eq!([11, 12, 13].map(|peer| to(&sent, peer).len()), [1, 1, 0]);
    let (first, second) = (only(&sent, 11, "INVITE"), only(&sent, 12, "INVITE"));
    assert_eq!(to(&stage.answer(first, 486, "x", ""), 13), [""; 0]);
    let sent = stage.answer(second, 480, "y", "");
    assert_eq!(to(&sent, 13), ["INVITE"]);
    assert_eq!(to(&stage.answer(only(&sent, 13, "INVITE"), 404, "z", ""), CALLER), ["486"]);
    stage.rest();
}

#[test]
fn when_the_time_of_one_preference_is_over_it_is_cancelled_and_the_next_is_asked() {
    let (mut stage, sent) = invited(vec![target(11, 1000), target(12, 500)]);
    stage.answer(only(&sent, 11, "INVITE"), 180, "x", "");
    let later = stage.pass_time(Duration::from_secs(20));
    assert_eq!((to(&later, 11), to(&later, 12)), (vec!["CANCEL".to_owned()], vec![]));
    // Its share of Max-Breadth is free when it has ended (RFC 5393 §5.3.2).
    let ended = stage.answer(only(&sent, 11, "INVITE"), 487, "x", "");
    assert_eq!((to(&ended, 11), to(&ended, CALLER)), (vec!["ACK".to_owned()], vec![]));
    let answered = stage.answer(only(&ended, 12, "INVITE"), 200, "y", "");
    assert_eq!(to(&answered, CALLER), ["200"]);
    stage.rest();
}

#[test]
fn the_time_for_all_ends_the_search_with_408() {
    let mut stage = Stage::new(vec![target(11, 1000)]);
    stage.all = Duration::from_secs(60);
    let sent = stage.receive(CALLER, request("INVITE", "1", ""));
    stage.answer(only(&sent, 11, "INVITE"), 180, "x", "");
    let later = stage.pass_time(Duration::from_secs(60));
    assert_eq!(to(&later, 11), ["CANCEL"]);
    let ended = stage.answer(only(&sent, 11, "INVITE"), 487, "x", "");
    assert_eq!(to(&ended, CALLER), ["408"]);
    stage.rest();
}

#[test]
fn max_breadth_is_divided_among_those_who_are_asked_at_once() {
    let (_, sent) = invited(vec![target(11, 1000), target(12, 1000), target(13, 1000)]);
    let shares = [11, 12, 13].map(|peer| breadth(&only(&sent, peer, "INVITE").1).to_vec());
    assert_eq!(shares, [b"20", b"20", b"20"]);
}

#[test]
fn with_a_breadth_of_one_equals_are_asked_one_after_the_other() {
    let mut stage = Stage::new(vec![target(11, 1000), target(12, 1000)]);
    let sent = stage.receive(CALLER, request("INVITE", "1", "Max-Breadth: 1\r\n"));
    assert_eq!((to(&sent, 11).len(), to(&sent, 12).len()), (1, 0));
    let (_, first) = only(&sent, 11, "INVITE");
    assert_eq!((breadth(first), first.headers(HeaderName::MaxBreadth).count()), (&b"1"[..], 1));
    let sent = stage.answer(only(&sent, 11, "INVITE"), 486, "x", "");
    assert_eq!(breadth(&only(&sent, 12, "INVITE").1), b"1");
}

#[test]
fn more_breadth_than_60_is_cut_down() {
    let mut stage = Stage::new(vec![target(11, 1000)]);
    let sent = stage.receive(CALLER, request("INVITE", "1", "Max-Breadth: 4000\r\n"));
    assert_eq!(breadth(&only(&sent, 11, "INVITE").1), b"60");
}

#[test]
fn another_way_to_a_phone_is_tried_when_the_way_has_failed_and_not_when_the_phone_refuses() {
    let phone = || Target { ways: [hop(11), hop(12)].into_iter().collect(), q: 1000 };
    for (code, tried) in [(430, 1), (408, 1), (503, 0), (486, 0)] {
        let (mut stage, sent) = invited(vec![phone()]);
        let sent = stage.answer(only(&sent, 11, "INVITE"), code, "x", "");
        assert_eq!(to(&sent, 12).len(), tried, "{code}");
        stage.rest();
    }
    // No answer at all.
    let (mut stage, _) = invited(vec![phone()]);
    assert!(to(&stage.pass_time(Duration::from_secs(33)), 12).contains(&"INVITE".to_owned()));
    stage.rest();
}

#[test]
fn somebody_without_a_target_is_answered_408() {
    let (stage, sent) = invited(Vec::new());
    assert_eq!(to(&sent, CALLER), ["408"]);
    stage.rest();
}

#[test]
fn a_late_success_of_a_branch_that_was_cancelled_reaches_the_caller_too() {
    let (mut stage, sent) = invited(vec![target(11, 1000), target(12, 1000)]);
    let (first, second) = (only(&sent, 11, "INVITE"), only(&sent, 12, "INVITE"));
    stage.answer(second, 180, "y", "");
    let answered = stage.answer(first, 200, "x", "");
    assert_eq!(
        (to(&answered, CALLER), to(&answered, 12)),
        (vec!["200".to_owned()], vec!["CANCEL".to_owned()])
    );
    let crossed = stage.answer(second, 200, "y", "");
    assert_eq!(to(&crossed, CALLER), ["200"]);
    // Each comes again until its ACK, and passes each time: neither we nor our transactions acknowledge it.
    for (peer, request, tag) in [(11, &first.1, "x"), (12, &second.1, "y")] {
        let again = stage.receive(peer, answer_to(request, 200, tag, ""));
        assert_eq!((to(&again, CALLER), to(&again, peer)), (vec!["200".to_owned()], vec![]));
    }
    stage.rest();
}
