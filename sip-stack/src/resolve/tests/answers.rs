//! What becomes of answers: kept for their time, shared by those who ask the same, odd ones, and none at all.

use super::*;

fn answer(world: &mut World, text: &str, kind: Kind, answer: Answer) {
    world.input(Input::Answer { query: query(text, kind), answer });
}

fn lived(ttl: Duration) -> Answer {
    Answer::Records { records: Records::A(vec!["192.0.2.1".parse().unwrap()]), ttl }
}

#[test]
fn equal_questions_under_way_are_asked_once() {
    let mut world = World::new();
    world.locate(1, "sip:h:5060");
    world.locate(2, "sip:a@H:5070");
    assert_eq!(world.resolver.poll_output(), Some(Output::Query(query("h", Kind::A))));
    assert_eq!(world.resolver.poll_output(), None);
    answer(&mut world, "h", Kind::A, lived(Duration::from_secs(60)));
    assert_eq!([world.told(), world.told()], ["UDP 192.0.2.1:5060", "UDP 192.0.2.1:5070"]);
    let figures = world.resolver.figures();
    assert_eq!((figures.queries, figures.spared), (1, 1));
}

/// Whether `h` is asked about anew, `time` after an answer.
fn is_asked_again(first: Answer, time: Duration) -> bool {
    let mut world = World::new();
    world.locate(1, "sip:h:5060");
    world.resolver.poll_output();
    answer(&mut world, "h", Kind::A, first);
    world.told();
    world.wait(time);
    world.locate(2, "sip:h:5060");
    matches!(world.resolver.poll_output(), Some(Output::Query(_)))
}

#[test]
fn answers_are_kept_for_their_time_to_live_within_bounds() {
    let seconds = Duration::from_secs;
    for (ttl, kept) in [(60, 60), (0, 5), (5, 5), (86_400, 3_600)] {
        assert!(!is_asked_again(lived(seconds(ttl)), seconds(kept) - Duration::from_nanos(1)), "{ttl}");
        assert!(is_asked_again(lived(seconds(ttl)), seconds(kept)), "{ttl}");
    }
}

#[test]
fn that_there_is_nothing_is_kept_for_a_short_time() {
    let seconds = Duration::from_secs;
    for (none, kept) in [(Answer::NoSuchName, 30), (Answer::Failed, 5), (Answer::TimedOut, 5)] {
        assert!(!is_asked_again(none.clone(), seconds(kept) - Duration::from_nanos(1)), "{none:?}");
        assert!(is_asked_again(none.clone(), seconds(kept)), "{none:?}");
    }
}

#[test]
fn a_question_without_answer_times_out_and_a_late_answer_changes_nothing() {
    let mut world = World::new();
    world.locate(1, "sip:h:5060");
    world.resolver.poll_output();
    assert_eq!(world.resolver.poll_timeout(), Some(world.now + Duration::from_secs(4)));
    world.wait(Duration::from_secs(4));
    assert_eq!(world.told(), "Unresolved");
    answer(&mut world, "h", Kind::A, lived(Duration::from_secs(60)));
    world.locate(2, "sip:h:5060");
    assert_eq!(world.told(), "Unresolved");
    assert_eq!(world.resolver.figures().timed_out, 1);
}

#[test]
fn an_answer_that_nobody_asked_for_is_not_believed() {
    let mut world = World::new().a("h", &["192.0.2.1"]);
    answer(&mut world, "h", Kind::A, records(Records::A(vec!["203.0.113.66".parse().unwrap()])));
    assert_eq!(world.all("sip:h:5060")[0], "UDP 192.0.2.1:5060");
}

#[test]
fn failed_questions_about_services_fall_back_to_the_host() {
    let mut world = World::new().a("h", &["192.0.2.1"]);
    world.zone.insert(query("h", Kind::Naptr), Answer::Failed);
    world.zone.insert(query("_sip._udp.h", Kind::Srv), Answer::TimedOut);
    assert_eq!(world.all("sip:h"), ["UDP 192.0.2.1:5060", "Unreachable"]);
}

#[test]
fn one_family_is_enough_when_the_other_fails() {
    let mut world = World::with(Families::Ipv6First).a("h", &["192.0.2.1"]);
    world.zone.insert(query("h", Kind::Aaaa), Answer::TimedOut);
    assert_eq!(world.all("sip:h:5060"), ["UDP 192.0.2.1:5060", "Unreachable"]);
}

#[test]
fn that_nothing_is_there_is_told_from_that_the_dns_failed() {
    assert_eq!(World::new().all("sip:h"), ["NotFound"]);
    let mut world = World::new();
    world.zone.insert(query("h", Kind::A), Answer::Failed);
    assert_eq!(world.all("sip:h"), ["Unresolved"]);
}

#[test]
fn records_of_another_kind_are_a_failure_and_none_at_all_no_such_name() {
    let mut world = World::new();
    world.zone.insert(query("h", Kind::A), records(Records::Srv(vec![srv(0, 0, 5060, "h")])));
    assert_eq!(world.all("sip:h:5060"), ["Unresolved"]);
    world.zone.insert(query("i", Kind::A), records(Records::A(Vec::new())));
    assert_eq!(world.all("sip:i:5060"), ["NotFound"]);
}

#[test]
fn addresses_that_cannot_be_a_servers_are_left_out() {
    let mut world = World::with(Families::Ipv4First)
        .a("h", &["0.0.0.0", "192.0.2.1"])
        .aaaa("h", &["::", "::ffff:192.0.2.1", "2001:db8::1"]);
    assert_eq!(world.all("sip:h:5060"), ["UDP 192.0.2.1:5060", "UDP [2001:db8::1]:5060", "Unreachable"]);
    let mut ported = World::new().srv("_sip._udp.h", &[srv(0, 0, 0, "h")]).a("h", &["192.0.2.1"]);
    assert_eq!(ported.all("sip:h;transport=udp"), ["NotFound"]);
}

#[test]
fn names_that_lead_back_to_themselves_end() {
    let mut world = World::new()
        .naptr("h", &[naptr(1, 1, "SIP+D2U", "h")])
        .srv("h", &[srv(0, 0, 5060, "h"), srv(0, 0, 5061, "h")])
        .naptr("i", &vec![naptr(1, 1, "SIP+D2U", "i"); 20])
        .srv("i", &[srv(0, 0, 5060, "_sip._udp.i")]);
    assert_eq!(world.all("sip:h"), ["NotFound"]);
    assert_eq!(world.all("sip:i"), ["NotFound"]);
}

#[test]
fn no_domain_makes_one_location_ask_without_end() {
    let servers: Vec<Srv> = (0..200).map(|number| srv(number, 0, 5060, &format!("a{number}.h"))).collect();
    let mut world = World::with(Families::Ipv6First).srv("_sip._udp.h", &servers);
    assert_eq!(world.all("sip:h;transport=udp"), ["NotFound"]);
    assert!(world.asked.len() <= MAX_QUESTIONS, "{}", world.asked.len());
    let many: Vec<Naptr> =
        (0..100).map(|number| naptr(1, number, "SIP+D2U", &format!("u{number}.h"))).collect();
    let mut world = World::new().naptr("h", &many);
    assert_eq!(world.all("sip:h"), ["NotFound"]);
    assert!(world.asked.len() < 12, "{}", world.asked.len());
}

#[test]
fn naptr_of_other_ends_do_not_crowd_out_those_of_sip() {
    let mut many = vec![naptr(1, 1, "E2U+mailto", "x.h"); 100];
    many.push(naptr(1, 1, "SIP+D2T", "t.h"));
    let mut world =
        World::new().naptr("h", &many).srv("t.h", &[srv(0, 0, 7, "a.h")]).a("a.h", &["192.0.2.1"]);
    assert_eq!(world.all("sip:h")[0], "TCP 192.0.2.1:7");
}

#[test]
fn a_name_too_long_to_have_services_is_its_own_host() {
    let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
    let mut world = World::new().a(&long, &["192.0.2.1"]);
    assert_eq!(world.all(&format!("sip:{long}"))[0], "UDP 192.0.2.1:5060");
}
