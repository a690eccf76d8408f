//! The notifier in virtual time: one NOTIFY out at a time, bursts, refresh, the end, what a failure of a NOTIFY means (RFC 6665 §4.2).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use core::time::Duration;
use proptest::prelude::*;
use sip_stack::Time;
use sip_stack::event::{Action, Asked, Change, Notice, Notifier, Package, Reason};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status, Writer};

const START: Time = Time::from_millis(5_000);
const OK: Change = Change::Answered { status: Status::OK, retry_after: None };

fn asked(package: Package, expires_s: u32) -> Asked {
    Asked { package, id: None, expires_s }
}

/// An active one, whose first NOTIFY was answered.
fn active() -> Notifier {
    let (mut notifier, action) = Notifier::new(START, asked(Package::Dialog, 600), false);
    assert_eq!(action, notify(0, true, true));
    assert_eq!(notifier.handle_change(START, OK), Action::None);
    notifier
}

fn notify(version: u32, is_full: bool, has_state: bool) -> Action {
    Action::Notify(Notice { version, is_full, has_state })
}

fn state_of(notifier: &Notifier, now: Time) -> String {
    let mut writer = Writer::request(Method::Notify, b"sip:a@h");
    writer.header(HeaderName::Via, b"SIP/2.0/UDP h;branch=z9hG4bK1");
    notifier.write(now, &mut writer);
    let message = Message::parse(writer.finish()).unwrap();
    let header = |name| String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned();
    format!("{} {}", header(HeaderName::Event), header(HeaderName::SubscriptionState))
}

fn after(milliseconds: u64) -> Time {
    START + Duration::from_millis(milliseconds)
}

#[test]
fn an_accepted_subscribe_is_followed_by_the_whole_state_at_once() {
    let notifier = active();
    assert_eq!(state_of(&notifier, after(400)), "dialog active;expires=600");
    assert_eq!(notifier.poll_timeout(), Some(after(600_000)));
}

#[test]
fn the_id_of_the_event_comes_back() {
    let asked = Asked { id: Some("7".into()), ..asked(Package::Dialog, 600) };
    let (notifier, _) = Notifier::new(START, asked.clone(), false);
    assert_eq!(state_of(&notifier, START), "dialog;id=7 active;expires=600");
    assert!(notifier.is_meant(&asked) && !notifier.is_meant(&Asked { id: None, ..asked }));
}

#[test]
fn a_burst_is_one_notification_a_second() {
    let mut notifier = active();
    let mut sent = 0;
    for moment in 0..100 {
        // A change every 100 ms, for ten seconds.
        let now = after(moment * 100);
        let actions = [notifier.handle_timeout(now), notifier.handle_change(now, Change::State)];
        for action in actions {
            if let Action::Notify(notice) = action {
                assert!(!notice.is_full);
                sent += 1;
                notifier.handle_change(now, OK);
            }
        }
    }
    assert_eq!(sent, 9);
    // And nothing is lost at the end of it.
    assert_eq!(notifier.poll_timeout(), Some(after(10_000)));
    assert!(matches!(notifier.handle_timeout(after(10_000)), Action::Notify(_)));
}

#[test]
fn one_notify_is_out_at_a_time_and_the_newest_state_waits_behind_it() {
    let mut notifier = active();
    assert_eq!(notifier.handle_change(after(2_000), Change::State), notify(1, false, true));
    for moment in 3..20 {
        assert_eq!(notifier.handle_change(after(moment * 1_000), Change::State), Action::None);
    }
    assert_eq!(notifier.poll_timeout(), Some(after(600_000)), "it waits for the answer, not for a time");
    assert_eq!(notifier.handle_change(after(20_000), OK), notify(2, false, true));
    assert_eq!(notifier.handle_change(after(21_500), OK), Action::None);
}

#[test]
fn a_refresh_is_followed_by_the_whole_state_whatever_the_rate() {
    let mut notifier = active();
    let refreshed = Change::Refreshed { expires_s: 600 };
    assert_eq!(notifier.handle_change(after(10), refreshed), notify(1, true, true));
    assert_eq!(notifier.handle_change(after(20), refreshed), Action::None);
    assert_eq!(notifier.handle_change(after(30), OK), notify(2, true, true));
    assert_eq!(state_of(&notifier, after(20)), "dialog active;expires=600");
}

#[test]
fn whoever_unsubscribes_hears_the_state_once_more() {
    let mut notifier = active();
    assert_eq!(notifier.handle_change(after(1), Change::Refreshed { expires_s: 0 }), notify(1, true, true));
    assert_eq!(state_of(&notifier, after(1)), "dialog terminated;reason=timeout");
    assert!(!notifier.is_live());
    assert_eq!(notifier.handle_change(after(2), Change::State), Action::None);
    assert_eq!(notifier.handle_change(after(2), Change::Refreshed { expires_s: 600 }), Action::None);
    assert_eq!(notifier.handle_change(after(3), OK), Action::Over);
}

#[test]
fn a_fetch_is_answered_and_over() {
    let (mut notifier, action) = Notifier::new(START, asked(Package::Presence, 0), false);
    assert_eq!(action, notify(0, true, true));
    assert_eq!(state_of(&notifier, START), "presence terminated;reason=timeout");
    assert_eq!(notifier.poll_timeout(), None);
    assert_eq!(notifier.handle_change(START, OK), Action::Over);
}

#[test]
fn a_subscription_that_is_not_refreshed_ends_and_says_so() {
    let mut notifier = active();
    assert_eq!(notifier.handle_timeout(after(599_999)), Action::None);
    assert_eq!(notifier.handle_timeout(after(600_000)), notify(1, true, true));
    assert_eq!(state_of(&notifier, after(600_000)), "dialog terminated;reason=timeout");
    assert_eq!(notifier.handle_change(after(600_100), Change::Lost), Action::Over);
}

#[test]
fn the_end_waits_for_the_notify_that_is_out() {
    let mut notifier = active();
    notifier.handle_change(after(2_000), Change::State);
    let ended = Change::Ended { reason: Reason::NoResource, retry_after_s: None };
    assert_eq!(notifier.handle_change(after(2_001), ended), Action::None);
    assert_eq!(notifier.handle_change(after(2_002), OK), notify(2, true, false));
    assert_eq!(state_of(&notifier, after(2_002)), "dialog terminated;reason=noresource");
}

#[test]
fn a_pending_subscription_is_told_nothing_of_the_state() {
    let (mut notifier, action) = Notifier::new(START, asked(Package::Presence, 600), true);
    assert_eq!(action, notify(0, true, false));
    assert_eq!(state_of(&notifier, START), "presence pending;expires=600");
    notifier.handle_change(START, OK);
    assert_eq!(notifier.handle_change(after(9_000), Change::State), Action::None);
    assert_eq!(notifier.handle_change(after(9_000), Change::Granted), notify(1, true, true));
    let (mut notifier, _) = Notifier::new(START, asked(Package::Presence, 600), true);
    notifier.handle_change(START, OK);
    let rejected = Change::Ended { reason: Reason::Rejected, retry_after_s: None };
    assert_eq!(notifier.handle_change(after(9_000), rejected), notify(1, true, false));
    assert_eq!(state_of(&notifier, after(9_000)), "presence terminated;reason=rejected");
}

#[test]
fn a_notify_that_is_answered_481_or_not_at_all_ends_the_subscription() {
    for code in [404, 405, 410, 416, 480, 481, 485, 489, 501, 604] {
        let mut notifier = active();
        notifier.handle_change(after(2_000), Change::State);
        let status = Status::new(code).unwrap();
        let answered = Change::Answered { status, retry_after: None };
        assert_eq!(notifier.handle_change(after(2_001), answered), Action::Over, "{code}");
    }
    let mut notifier = active();
    notifier.handle_change(after(2_000), Change::State);
    assert_eq!(notifier.handle_change(after(34_000), Change::Lost), Action::Over);
}

#[test]
fn another_failure_of_a_notify_is_made_good() {
    let refused = |retry_after| Change::Answered { status: Status::SERVER_INTERNAL_ERROR, retry_after };
    let mut notifier = active();
    notifier.handle_change(after(2_000), Change::State);
    let forbidden = Change::Answered { status: Status::FORBIDDEN, retry_after: None };
    assert_eq!(notifier.handle_change(after(2_001), forbidden), Action::None);
    assert_eq!(notifier.poll_timeout(), Some(after(600_000)), "it would be refused again");
    assert_eq!(
        notifier.handle_change(after(9_000), Change::State),
        notify(2, true, true),
        "nothing is missed"
    );
    let retry_after = Some(Duration::from_secs(10));
    assert_eq!(notifier.handle_change(after(9_001), refused(retry_after)), Action::None);
    assert_eq!(notifier.poll_timeout(), Some(after(19_001)));
    assert_eq!(notifier.handle_timeout(after(19_001)), notify(3, true, true));
}

#[test]
fn what_a_subscriber_could_not_take_is_told_once_more_after_ten_seconds() {
    for status in [Status::SERVER_INTERNAL_ERROR, Status::SERVICE_UNAVAILABLE] {
        let refused = Change::Answered { status, retry_after: None };
        let mut notifier = active();
        for (version, start) in [(1, 2_000), (3, 100_000)] {
            assert_eq!(
                notifier.handle_change(after(start), Change::State),
                notify(version, version > 1, true)
            );
            assert_eq!(notifier.handle_change(after(start + 1), refused), Action::None);
            assert_eq!(notifier.poll_timeout(), Some(after(start + 10_001)));
            assert_eq!(notifier.handle_timeout(after(start + 10_001)), notify(version + 1, true, true));
            assert_eq!(notifier.handle_change(after(start + 10_002), refused), Action::None);
            assert_eq!(notifier.poll_timeout(), Some(after(600_000)), "once");
        }
    }
}

proptest! {
    #[test]
    fn versions_have_no_gap_and_no_two_notifies_are_out(
        deeds in proptest::collection::vec((0..8_u8, 0..3_000_u64), 1..200),
    ) {
        let (mut notifier, action) = Notifier::new(START, asked(Package::Dialog, 60), false);
        let mut expected = 0;
        let mut is_out = false;
        let mut now = START;
        let mut actions = vec![action];
        'deeds: for (deed, pause) in deeds {
            for action in actions.drain(..) {
                match action {
                    Action::None => {}
                    Action::Notify(notice) => {
                        prop_assert!(!is_out);
                        prop_assert_eq!(notice.version, expected);
                        expected += 1;
                        is_out = true;
                    }
                    Action::Over => break 'deeds,
                }
            }
            now = now + Duration::from_millis(pause);
            actions.push(notifier.handle_timeout(now));
            let answer = |status, seconds: u64| {
                Change::Answered { status, retry_after: (seconds > 0).then(|| Duration::from_secs(seconds)) }
            };
            let is_waiting = is_out || matches!(actions[..], [Action::Notify(_)]);
            let change = match deed {
                0..=2 => Change::State,
                3 => Change::Refreshed { expires_s: 60 },
                4 => Change::Ended { reason: Reason::Deactivated, retry_after_s: Some(1) },
                5 | 6 if is_waiting => answer(Status::OK, 0),
                7 if is_waiting => answer(Status::SERVER_INTERNAL_ERROR, pause % 3),
                _ => continue,
            };
            if let Change::Answered { .. } = change {
                if let [Action::Notify(notice)] = actions[..] {
                    prop_assert_eq!(notice.version, expected);
                    expected += 1;
                    actions.clear();
                }
                is_out = false;
            }
            actions.push(notifier.handle_change(now, change));
        }
    }
}
