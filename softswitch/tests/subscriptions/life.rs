//! The life of a subscription at the switch (RFC 6665 §4.2): who may subscribe, refresh, the end, failures, snapshots.

use crate::world::{Manners, World, body, flow, port_of, text};
use sip_stack::header::HeaderName;
use softswitch::core::{Input, Switch};

fn state(notify: &sip_stack::message::Message) -> String {
    text(notify, HeaderName::SubscriptionState)
}

#[test]
fn an_accepted_subscribe_is_followed_by_a_notify_in_its_dialog() {
    let mut world = World::new("", &["1000", "1001"]);
    let (answer, _) = world.subscribe("1001", "1000", "dialog", 7_200);
    assert_eq!(answer.expires(), Ok(Some(3_600)), "shortened, never lengthened");
    assert!(text(&answer, HeaderName::AllowEvents).contains("presence"));
    let notify = world.notified("1001");
    assert_eq!(state(&notify), "active;expires=3600");
    assert_eq!(text(&notify, HeaderName::Event), "dialog");
    assert_eq!(notify.call_id(), answer.call_id());
    assert_eq!(notify.to().unwrap().tag(), answer.from().unwrap().tag());
    assert_eq!(notify.from().unwrap().tag(), answer.to().unwrap().tag());
    assert_eq!(notify.request_uri(), b"sip:1001@127.0.0.1:7001");
    assert_eq!(text(&notify, HeaderName::ContentType), "application/dialog-info+xml");
    assert!(world.is_quiet());
}

#[test]
fn who_does_not_prove_who_it_is_is_challenged_and_leaves_nothing() {
    let mut world = World::new("", &[]);
    world.feed(
        7_001,
        "SUBSCRIBE sip:1000@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:7001;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n\
         From: <sip:1001@127.0.0.1>;tag=1\r\nTo: <sip:1000@127.0.0.1>\r\nCall-ID: x\r\nCSeq: 1 SUBSCRIBE\r\n\
         Contact: <sip:1001@127.0.0.1:7001>\r\nEvent: dialog\r\nContent-Length: 0\r\n\r\n"
            .to_owned(),
    );
    let holdings = world.switch.holdings();
    assert_eq!((holdings.subscriptions, holdings.dialogs, holdings.transactions), (0, 0, 0));
}

#[test]
fn a_package_that_there_is_not_is_489_with_those_there_are() {
    let mut world = World::new("", &["1001"]);
    let (answer, _) = world.subscribe("1001", "1000", "weather", 600);
    assert_eq!(answer.status().unwrap().code(), 489);
    assert_eq!(text(&answer, HeaderName::AllowEvents), "dialog, presence, message-summary, reg, conference");
}

#[test]
fn refusals_have_their_reasons() {
    let mut world = World::new("[[route]]\npattern = \"30XX\"\nservice = \"conference\"\n", &["1001"]);
    let status = |world: &mut World, whom: &str, fields: &str| {
        let (answer, _) = world.subscribe_with("1001", whom, fields);
        answer.status().unwrap().code()
    };
    assert_eq!(status(&mut world, "1000", "Event: dialog\r\nExpires: 59\r\n"), 423);
    assert_eq!(status(&mut world, "1000", "Event: dialog\r\nAccept: text/plain\r\n"), 406);
    assert_eq!(status(&mut world, "1077", "Event: dialog\r\n"), 404, "no such user");
    assert_eq!(status(&mut world, "1000", "Event: conference\r\n"), 404, "no conference");
    assert_eq!(status(&mut world, "3000", "Event: dialog\r\n"), 404, "no user");
    assert_eq!(status(&mut world, "1000", "Event: message-summary\r\n"), 403, "its own affair");
    assert_eq!(status(&mut world, "1000", "Event: reg\r\n"), 403, "its own affair");
    assert_eq!(world.switch.holdings().subscriptions, 0);
}

#[test]
fn a_refresh_is_answered_and_followed_by_the_whole_state() {
    let mut world = World::new("", &["1000", "1001"]);
    let (dialog, first) = world.watch("1001", "1000", "dialog");
    assert!(body(&first).contains("version=\"0\" state=\"full\""));
    world.pass(3_000_000);
    assert_eq!(world.refresh(&dialog, "dialog", 3_600), 200);
    let notify = world.notified("1001");
    assert_eq!(state(&notify), "active;expires=3600");
    assert!(body(&notify).contains("version=\"1\" state=\"full\""));
    world.pass(3_599_000);
    assert!(world.is_quiet());
}

#[test]
fn what_is_not_refreshed_ends_with_a_word() {
    let mut world = World::new("", &["1000", "1001"]);
    let (dialog, _) = world.watch("1001", "1000", "dialog");
    world.pass(3_601_000);
    assert_eq!(state(&world.notified("1001")), "terminated;reason=timeout");
    assert_eq!(world.refresh(&dialog, "dialog", 3_600), 481);
    let holdings = world.switch.holdings();
    assert_eq!((holdings.subscriptions, holdings.subjects, holdings.dialogs), (0, 0, 0));
}

#[test]
fn whoever_unsubscribes_or_fetches_is_told_and_forgotten() {
    let mut world = World::new("", &["1000", "1001"]);
    let (dialog, _) = world.watch("1001", "1000", "presence");
    assert_eq!(world.refresh(&dialog, "presence", 0), 200);
    let last = world.notified("1001");
    assert_eq!(state(&last), "terminated;reason=timeout");
    assert!(body(&last).contains("open"));
    let (answer, _) = world.subscribe("1001", "1000", "presence", 0);
    assert_eq!(answer.expires(), Ok(Some(0)));
    let fetched = world.notified("1001");
    assert_eq!(state(&fetched), "terminated;reason=timeout");
    assert!(body(&fetched).contains("open"));
    assert_eq!((world.switch.holdings().subscriptions, world.switch.holdings().dialogs), (0, 0));
}

#[test]
fn another_package_or_method_in_the_dialog_is_refused() {
    let mut world = World::new("", &["1000", "1001"]);
    let (dialog, _) = world.watch("1001", "1000", "dialog");
    assert_eq!(world.refresh(&dialog, "presence", 600), 403, "no sharing (RFC 6665 §4.5.2)");
    assert_eq!(world.send(&dialog, "OPTIONS", ""), 200);
    assert_eq!(world.send(&dialog, "NOTIFY", "Event: dialog\r\nSubscription-State: active\r\n"), 405);
    assert_eq!(world.switch.holdings().subscriptions, 1);
}

#[test]
fn a_notify_that_is_refused_or_not_answered_ends_the_subscription() {
    for manners in [Manners::Refuses(481), Manners::Silent] {
        let mut world = World::new("", &["1000", "1001", "1002"]);
        world.watch("1001", "1000", "dialog");
        world.manners("1001", manners);
        world.call(port_of("1000"), "1002", "");
        world.pass(40_000);
        assert_eq!(world.switch.holdings().subscriptions, 0);
        assert_eq!(world.switch.holdings().subjects, 0);
    }
}

#[test]
fn a_subscription_ends_with_the_connection_it_was_heard_over_last() {
    let mut world = World::new("", &["1000"]);
    let (answer, mut dialog) = world.subscribe_from(7_803, "1000", "Event: dialog\r\nExpires: 600\r\n");
    assert_eq!(answer.status().unwrap().code(), 200);
    world.input(Input::Disconnected { flow: flow(7_804) });
    dialog.port = 7_903;
    assert_eq!(world.refresh(&dialog, "dialog", 600), 200);
    world.input(Input::Disconnected { flow: flow(7_803) });
    assert_eq!(world.switch.holdings().subscriptions, 1);
    let head = world.switch.snapshot();
    let parts: Vec<_> = core::iter::from_fn(|| world.switch.slice(3)).collect();
    world.switch = Switch::restore(&head.0, parts).unwrap();
    world.input(Input::Disconnected { flow: flow(7_903) });
    let left = world.switch.holdings();
    assert_eq!((left.subscriptions, left.subjects, left.dialogs), (0, 0, 0));
}

#[test]
fn a_notify_that_is_too_large_is_not_sent_and_loses_no_subscriber() {
    let mut world = World::new("", &["1000", "1001", "1002"]);
    let route = "a".repeat(60_000);
    let fields =
        format!("Event: dialog\r\nExpires: 600\r\nRecord-Route: <sip:127.0.0.1:7001;lr;x={route}>\r\n");
    let (answer, _) = world.subscribe_with("1001", "1000", &fields);
    assert_eq!(answer.status().unwrap().code(), 200);
    world.pass(40_000);
    world.call(port_of("1000"), "1002", "");
    world.pass(40_000);
    assert!(world.is_quiet());
    assert_eq!(world.switch.holdings().subscriptions, 1);
    world.pass(600_000);
    assert_eq!(world.switch.holdings().subscriptions, 0);
}

#[test]
fn a_phone_that_comes_from_another_port_is_told_there() {
    let mut world = World::new("", &["1000", "1001"]);
    let (mut dialog, _) = world.watch("1001", "1000", "dialog");
    dialog.port = 7_101;
    assert_eq!(world.refresh(&dialog, "dialog", 600), 200);
    let (port, notify) = world.notifies.pop_front().unwrap();
    assert_eq!((port, notify.request_uri()), (7_101, &b"sip:1001@127.0.0.1:7101"[..]));
}

#[test]
fn who_may_watch_whom_is_the_users_to_say() {
    let more = "[[user]]\nid = \"2000\"\npassword = \"x\"\nwatched_by = \"nobody\"\n\
                [[user]]\nid = \"2001\"\npassword = \"x\"\nwatched_by = [\"1001\", \"1003\"]\n\
                [[user]]\nid = \"2002\"\npassword = \"x\"\nhidden = true\n";
    let mut world = World::new(more, &["1001", "1002"]);
    let mut status =
        |user: &str, whom: &str| world.subscribe(user, whom, "presence", 600).0.status().unwrap().code();
    let refused = [status("1001", "2000"), status("1002", "2001"), status("1001", "2002")];
    assert_eq!(refused, [403; 3], "the last one is hidden");
    assert_eq!([status("1001", "2001"), status("1001", "1002"), status("1002", "1002")], [200; 3]);
}

#[test]
fn a_reload_ends_what_is_no_longer_allowed_or_there() {
    let user = |by: &str| format!("[[user]]\nid = \"2001\"\npassword = \"x\"\nwatched_by = {by}\n");
    let mut world = World::new(&user("\"domain\""), &["1001", "1002"]);
    world.watch("1001", "2001", "presence");
    world.watch("1002", "2001", "presence");
    world.reload(&user("[\"1002\"]"));
    assert_eq!(state(&world.notified("1001")), "terminated;reason=rejected");
    assert!(world.is_quiet());
    world.reload("");
    let last = world.notified("1002");
    assert_eq!((state(&last).as_str(), body(&last).as_str()), ("terminated;reason=noresource", ""));
    assert_eq!((world.switch.holdings().subscriptions, world.switch.holdings().subjects), (0, 0));
}

#[test]
fn subscriptions_are_part_of_a_snapshot() {
    let mut world = World::new("", &["1000", "1001", "1002", "1003"]);
    let (dialog, _) = world.watch("1001", "1000", "dialog");
    world.watch("1002", "1000", "presence");
    world.pass(6_000);
    let published = world.publish("1000", "", &crate::presence::pidf("closed", "1"));
    assert_eq!(published.status().unwrap().code(), 200);
    world.notified("1002");
    let caller = world.call(port_of("1000"), "1003", "");
    world.notified("1001");

    let head = world.switch.snapshot();
    let parts: Vec<_> = core::iter::from_fn(|| world.switch.slice(3)).collect();
    let restored = Switch::restore(&head.0, parts).unwrap();
    assert_eq!(restored.holdings(), world.switch.holdings());
    world.switch = restored;
    // It goes on as if nothing had been.
    world.send(&caller, "OPTIONS", "");
    assert_eq!(world.refresh(&dialog, "dialog", 600), 200);
    let notify = world.notified("1001");
    assert!(body(&notify).contains("version=\"2\""), "{}", body(&notify));
    world.pass(4_000_000);
    assert_eq!(world.switch.holdings().subscriptions, 0);
    assert_eq!(world.switch.holdings().subjects, 0);
}

#[test]
fn every_dialog_and_option_says_which_events_there_are() {
    let mut world = World::new("", &["1000", "1001"]);
    let options = world.ask(port_of("1000"), "OPTIONS", "sip:127.0.0.1:5060", None, "", "");
    assert!(text(&options, HeaderName::AllowEvents).contains("dialog"));
    assert!(text(&options, HeaderName::Allow).contains("SUBSCRIBE"));
    world.call(port_of("1000"), "1001", "");
    assert!(text(&world.ringing[0].1, HeaderName::AllowEvents).contains("dialog"));
}

#[test]
fn refreshes_leave_no_timers_behind() {
    let mut world = World::new("", &[]);
    let (dialog, _) = world.watch("1002", "1001", "dialog");
    for _ in 0..40 {
        world.pass(1_000);
        assert_eq!(world.refresh(&dialog, "dialog", 3_600), 200);
    }
    // The transactions of all that are over.
    world.pass(60_000);
    let mut wakes = 0;
    while let Some(due) = world.switch.poll_timeout().filter(|due| due.0 < 3_500_000_000_000) {
        world.now = due;
        world.switch.handle_timeout(due);
        while world.switch.poll_output().is_some() {}
        wakes += 1;
    }
    assert!(wakes < 5, "{wakes}");
    world.pass(3_700_000);
    assert_eq!(world.switch.holdings().subscriptions, 0, "it has ended by its time");
}
