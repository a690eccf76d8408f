//! The subscriber in virtual time: refresh, NOTIFYs early, forked and final, 423, 481, reasons, Timer N, fetch (RFC 6665 §4.1,
//! §4.4.3).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use core::time::Duration;
use proptest::prelude::*;
use sip_stack::Time;
use sip_stack::auth::Verdict;
use sip_stack::dialog::DialogId;
use sip_stack::event::{Event, Failure, Input, MAX_FORKS, Output, Package, Reason, Subscription, Ticket};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status, Writer};
use sip_stack::random::Random;
use sip_stack::registration::Loss;
use std::collections::BTreeSet;

const CONTACT: &[u8] = b"<sip:alice@192.0.2.7>";

struct Watcher {
    subscription: Subscription,
    random: Random,
    now: Time,
    events: Vec<Event>,
    sent: Vec<Ticket>,
    forgotten: Vec<DialogId>,
    expectations_ended: usize,
}

impl Watcher {
    fn new(subscription: Subscription) -> Watcher {
        let mut watcher = Watcher {
            subscription,
            random: Random::new([3; 32]),
            now: Time::from_millis(1_000_000),
            events: Vec::new(),
            sent: Vec::new(),
            forgotten: Vec::new(),
            expectations_ended: 0,
        };
        watcher.input(Input::Wanted(true));
        watcher
    }

    fn of(package: Package) -> Watcher {
        Watcher::new(Subscription::new(package, Bytes::from_static(CONTACT), 3_600))
    }

    /// Subscribed, the answer and the first NOTIFY have come.
    fn subscribed() -> Watcher {
        let mut watcher = Watcher::of(Package::Dialog);
        let ticket = watcher.ticket();
        watcher.answer(ticket, Status::OK, "Expires: 3600\r\n");
        assert_eq!(watcher.notify(1, "active;expires=3600"), Status::OK);
        watcher.events.clear();
        watcher
    }

    fn input(&mut self, input: Input<'_>) {
        self.subscription.handle_input(self.now, input, &mut self.random);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.subscription.poll_output() {
            match output {
                Output::Subscribe(ticket) => self.sent.push(ticket),
                Output::Forget(dialog) => self.forgotten.push(dialog),
                Output::ExpectNoMore { .. } => self.expectations_ended += 1,
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// The one SUBSCRIBE that is to be sent.
    fn ticket(&mut self) -> Ticket {
        let sent = core::mem::take(&mut self.sent);
        let [ticket] = sent[..] else { panic!("one SUBSCRIBE, not {sent:?}") };
        ticket
    }

    fn subscribe(&self, ticket: Ticket) -> Message {
        let mut writer = Writer::request(Method::Subscribe, b"sip:bob@example.com");
        let (call_id, cseq) = self.subscription.sequence(ticket);
        writer.header(HeaderName::Via, b"SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1");
        writer.header(HeaderName::CallId, call_id).cseq(cseq, Method::Subscribe);
        self.subscription.write(ticket, &mut writer);
        Message::parse(writer.finish()).unwrap()
    }

    fn answer(&mut self, ticket: Ticket, status: Status, fields: &str) {
        let text =
            format!("SIP/2.0 {} x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n{fields}\r\n", status.code());
        let response = Message::parse(Bytes::from(text)).unwrap();
        self.input(Input::Response { ticket, response: &response });
    }

    fn notify_of(&mut self, dialog: u64, event: &str, state: &str) -> Status {
        let text = format!(
            "NOTIFY sip:alice@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nEvent: {event}\r\n\
             Subscription-State: {state}\r\n\r\n"
        );
        let notify = Message::parse(Bytes::from(text)).unwrap();
        let dialog = DialogId::from_u64(dialog);
        let status = self.subscription.handle_notify(self.now, dialog, &notify, &mut self.random);
        self.drain();
        status
    }

    fn notify(&mut self, dialog: u64, state: &str) -> Status {
        self.notify_of(dialog, self.subscription.package().name(), state)
    }

    /// Lets time run, with every timer in it.
    fn wait(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.subscription.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.subscription.handle_timeout(self.now, &mut self.random);
            self.drain();
        }
        self.now = until;
    }

    fn retry(&self) -> Option<Duration> {
        match self.events.last() {
            Some(Event::Failed { retry, .. }) => *retry,
            other => panic!("{other:?}"),
        }
    }
}

fn dialog(number: u64) -> DialogId {
    DialogId::from_u64(number)
}

#[test]
fn a_subscribe_says_what_it_is_for_and_where_we_are() {
    let mut watcher = Watcher::of(Package::Presence);
    let ticket = watcher.ticket();
    let subscribe = watcher.subscribe(ticket);
    assert!(subscribe.event().unwrap().is("presence"));
    assert_eq!(subscribe.expires(), Ok(Some(3_600)));
    assert_eq!(subscribe.header(HeaderName::Accept), Some(&b"application/pidf+xml"[..]));
    assert_eq!(subscribe.header(HeaderName::Contact), Some(CONTACT));
    assert_eq!(subscribe.cseq().unwrap().number, 1);
    assert!(!watcher.subscription.from_tag().is_empty());
}

#[test]
fn a_notify_before_the_200_makes_the_subscription() {
    let mut watcher = Watcher::of(Package::Dialog);
    let ticket = watcher.ticket();
    assert_eq!(watcher.notify(1, "active;expires=1800"), Status::OK);
    let subscribed = Event::Subscribed { dialog: dialog(1), pending: false, expires_s: 1_800 };
    assert_eq!(watcher.events, [subscribed]);
    watcher.answer(ticket, Status::OK, "Expires: 3600\r\n");
    // What the NOTIFY said is the authority (§4.1.3).
    watcher.wait(1_729);
    assert_eq!(watcher.sent, []);
    watcher.wait(1);
    assert_eq!(watcher.ticket().dialog, Some(dialog(1)));
}

#[test]
fn a_pending_subscription_becomes_active() {
    let mut watcher = Watcher::of(Package::Presence);
    watcher.notify(1, "pending;expires=600");
    watcher.notify(1, "active;expires=500");
    watcher.notify(1, "active;expires=400");
    let told = |pending, expires_s| Event::Subscribed { dialog: dialog(1), pending, expires_s };
    assert_eq!(watcher.events, [told(true, 600), told(false, 500)]);
}

#[test]
fn without_a_notify_timer_n_ends_the_attempt() {
    let mut watcher = Watcher::of(Package::Dialog);
    let ticket = watcher.ticket();
    watcher.answer(ticket, Status::OK, "Expires: 3600\r\n");
    watcher.wait(31);
    assert_eq!(watcher.events, []);
    watcher.wait(1);
    assert!(matches!(watcher.events[..], [Event::Failed { failure: Failure::NoNotify, retry: Some(_) }]));
    assert_eq!(watcher.expectations_ended, 1);
    assert_eq!(watcher.notify(1, "active;expires=60"), Status::CALL_DOES_NOT_EXIST, "§4.1.2.4: too late");
    assert_eq!(watcher.forgotten, [dialog(1)]);
}

#[test]
fn branches_of_a_fork_are_subscriptions_of_their_own_where_the_package_allows_it() {
    let mut watcher = Watcher::of(Package::Dialog);
    for number in 0..MAX_FORKS as u64 {
        assert_eq!(watcher.notify(number, "active;expires=600"), Status::OK);
    }
    assert_eq!(watcher.notify(99, "active;expires=600"), Status::CALL_DOES_NOT_EXIST);
    assert_eq!(watcher.forgotten, [dialog(99)]);
    // The end of one is not the end of all.
    watcher.events.clear();
    watcher.notify(3, "terminated;reason=rejected");
    assert_eq!(watcher.events, [Event::Terminated { dialog: dialog(3), reason: Reason::Rejected }]);
    assert!(watcher.subscription.is_subscribed());

    let mut watcher = Watcher::of(Package::Presence);
    assert_eq!(watcher.notify(1, "active;expires=600"), Status::OK);
    assert_eq!(watcher.notify(2, "active;expires=600"), Status::CALL_DOES_NOT_EXIST, "RFC 3856 §6.9");
}

#[test]
fn a_refresh_stays_in_its_dialog_and_needs_answer_and_notify() {
    let mut watcher = Watcher::subscribed();
    watcher.sent.clear();
    watcher.wait(3_530);
    let ticket = watcher.ticket();
    assert_eq!(ticket.dialog, Some(dialog(1)));
    assert_eq!(watcher.subscribe(ticket).header(HeaderName::Contact), None, "the dialog writes it");
    watcher.answer(ticket, Status::OK, "Expires: 3600\r\n");
    watcher.notify(1, "active;expires=3600");
    assert_eq!(watcher.events, []);
    watcher.wait(3_529);
    assert_eq!(watcher.sent, []);
    watcher.wait(1);
    let ticket = watcher.ticket();
    watcher.answer(ticket, Status::OK, "Expires: 3600\r\n");
    watcher.wait(32);
    assert!(
        matches!(
            watcher.events[..],
            [Event::Terminated { .. }, Event::Failed { failure: Failure::NoNotify, retry: Some(_) }]
        ),
        "Timer N of a refresh (§4.1.2.2)"
    );
}

#[test]
fn a_lifetime_that_is_too_brief_is_asked_for_again_as_long_as_is_wanted() {
    let mut watcher = Watcher::new(Subscription::new(Package::Dialog, Bytes::from_static(CONTACT), 60));
    let ticket = watcher.ticket();
    watcher.answer(ticket, Status::INTERVAL_TOO_BRIEF, "Min-Expires: 300\r\n");
    let ticket = watcher.ticket();
    let subscribe = watcher.subscribe(ticket);
    assert_eq!((subscribe.expires(), subscribe.cseq().unwrap().number), (Ok(Some(300)), 2));
    // Once more without reason is nonsense.
    watcher.answer(ticket, Status::INTERVAL_TOO_BRIEF, "Min-Expires: 300\r\n");
    assert_eq!(watcher.events, [Event::Failed { failure: Failure::Nonsense, retry: None }]);
}

#[test]
fn a_challenge_is_answered_a_few_times_with_the_same_call_id() {
    let mut watcher = Watcher::of(Package::Dialog);
    let mut ticket = watcher.ticket();
    let call_id = watcher.subscription.sequence(ticket).0.to_vec();
    for _ in 0..6 {
        watcher.input(Input::Challenged { ticket, verdict: Verdict::Again });
        ticket = watcher.ticket();
        assert_eq!(watcher.subscription.sequence(ticket).0, call_id);
    }
    watcher.input(Input::Challenged { ticket, verdict: Verdict::Again });
    assert_eq!(watcher.events, [Event::Failed { failure: Failure::Nonsense, retry: None }]);
}

#[test]
fn a_481_to_a_refresh_is_the_end_and_a_new_subscription_is_made_at_once() {
    let mut watcher = Watcher::subscribed();
    let first = watcher.subscription.from_tag().to_vec();
    watcher.wait(3_530);
    let ticket = watcher.ticket();
    watcher.answer(ticket, Status::CALL_DOES_NOT_EXIST, "");
    assert_eq!(watcher.events, [Event::Terminated { dialog: dialog(1), reason: Reason::Timeout }]);
    assert_eq!(watcher.forgotten, [dialog(1)]);
    assert_eq!(watcher.ticket().dialog, None);
    assert_ne!(watcher.subscription.from_tag(), first, "§4.1.2.2: a new Call-ID and tag");
}

#[test]
fn another_failure_of_a_refresh_leaves_the_subscription_until_its_end() {
    let mut watcher = Watcher::subscribed();
    watcher.wait(3_530);
    let ticket = watcher.ticket();
    watcher.answer(ticket, Status::SERVER_INTERNAL_ERROR, "Retry-After: 20\r\n");
    assert!(watcher.subscription.is_subscribed());
    watcher.wait(20);
    let ticket = watcher.ticket();
    assert_eq!(ticket.dialog, Some(dialog(1)));
    watcher.answer(ticket, Status::SERVER_INTERNAL_ERROR, "Retry-After: 600\r\n");
    watcher.wait(60);
    assert_eq!(watcher.events, [Event::Terminated { dialog: dialog(1), reason: Reason::Timeout }]);
    assert_eq!(watcher.ticket().dialog, None);
}

#[test]
fn every_reason_of_the_notifier_is_obeyed() {
    let ended = |state: &str| {
        let mut watcher = Watcher::subscribed();
        watcher.wait(100);
        watcher.sent.clear();
        watcher.notify(1, state);
        watcher
    };
    for state in ["terminated;reason=deactivated;retry-after=500", "terminated;reason=timeout"] {
        assert_eq!(ended(state).sent.len(), 1, "{state}");
    }
    for state in ["terminated;reason=probation;retry-after=500", "terminated;reason=giveup;retry-after=500"] {
        assert_eq!(ended(state).retry(), Some(Duration::from_secs(500)), "{state}");
    }
    assert!(ended("terminated").retry().is_some());
    for reason in ["rejected;retry-after=5", "noresource", "invariant;retry-after=31536000"] {
        let watcher = ended(&format!("terminated;reason={reason}"));
        assert_eq!(watcher.retry(), None, "{reason}");
        assert_eq!(watcher.subscription.poll_timeout(), None, "{reason}");
    }
}

#[test]
fn a_notifier_that_ends_every_subscription_at_once_is_not_asked_without_end() {
    let mut watcher = Watcher::of(Package::Dialog);
    let mut asked = 0;
    for number in 0..20 {
        asked += core::mem::take(&mut watcher.sent).len();
        watcher.notify(number, "active;expires=60");
        watcher.notify(number, "terminated;reason=deactivated");
    }
    asked += watcher.sent.len();
    assert_eq!(asked, 1);
    assert!(watcher.retry() >= Some(Duration::from_secs(30)));
}

#[test]
fn a_refusal_is_tried_again_only_where_it_may_pass() {
    for (status, again) in [
        (Status::FORBIDDEN, false),
        (Status::BAD_EVENT, false),
        (Status::NOT_FOUND, false),
        (Status::DECLINE, false),
        (Status::TEMPORARILY_UNAVAILABLE, true),
        (Status::SERVER_INTERNAL_ERROR, true),
    ] {
        let mut watcher = Watcher::of(Package::Dialog);
        let ticket = watcher.ticket();
        watcher.answer(ticket, status, "");
        assert_eq!(watcher.retry().is_some(), again, "{status}");
    }
    let mut watcher = Watcher::of(Package::Dialog);
    let ticket = watcher.ticket();
    watcher.input(Input::Lost { ticket, loss: Loss::TimedOut });
    let retry = watcher.retry().unwrap();
    watcher.wait(retry.as_secs() + 1);
    assert_eq!(watcher.ticket().dialog, None);
}

#[test]
fn the_end_is_a_subscribe_with_no_lifetime_and_the_last_notify() {
    let mut watcher = Watcher::subscribed();
    watcher.sent.clear();
    watcher.input(Input::Wanted(false));
    let ticket = watcher.ticket();
    assert_eq!(watcher.subscribe(ticket).expires(), Ok(Some(0)));
    watcher.answer(ticket, Status::OK, "Expires: 0\r\n");
    assert_eq!(watcher.events, []);
    watcher.notify(1, "terminated;reason=timeout");
    assert_eq!(
        watcher.events,
        [Event::Terminated { dialog: dialog(1), reason: Reason::Timeout }, Event::Ended]
    );
    assert_eq!((watcher.forgotten.len(), watcher.subscription.poll_timeout()), (1, None));
}

#[test]
fn what_is_no_longer_wanted_when_its_notify_comes_is_ended() {
    let mut watcher = Watcher::of(Package::Dialog);
    watcher.ticket();
    watcher.input(Input::Wanted(false));
    assert_eq!(watcher.events, []);
    watcher.notify(1, "active;expires=3600");
    let ticket = watcher.ticket();
    assert_eq!((ticket.dialog, watcher.subscribe(ticket).expires()), (Some(dialog(1)), Ok(Some(0))));
    watcher.input(Input::Lost { ticket, loss: Loss::TimedOut });
    assert_eq!(watcher.events.last(), Some(&Event::Ended));
    assert_eq!(watcher.subscription.poll_timeout(), None);
}

#[test]
fn a_fetch_is_over_with_its_notify() {
    let mut watcher = Watcher::new(Subscription::fetch(Package::Presence, Bytes::from_static(CONTACT)));
    let ticket = watcher.ticket();
    assert_eq!(watcher.subscribe(ticket).expires(), Ok(Some(0)));
    watcher.answer(ticket, Status::OK, "Expires: 0\r\n");
    assert_eq!(watcher.notify(1, "terminated;reason=timeout"), Status::OK);
    assert_eq!(
        watcher.events,
        [Event::Terminated { dialog: dialog(1), reason: Reason::Timeout }, Event::Ended]
    );
    watcher.wait(10_000);
    assert_eq!(watcher.sent, []);
}

#[test]
fn a_notify_of_another_package_or_without_a_state_is_refused() {
    let mut watcher = Watcher::subscribed();
    assert_eq!(watcher.notify_of(1, "presence", "active"), Status::BAD_EVENT);
    assert_eq!(watcher.notify_of(1, "dialog", ";"), Status::BAD_REQUEST);
    assert!(watcher.subscription.is_subscribed());
    assert_eq!(watcher.notify(1, "dormant"), Status::OK, "an unknown state is not the end");
}

#[test]
fn something_missed_is_asked_for_anew_and_wanting_it_again_refreshes() {
    let mut watcher = Watcher::subscribed();
    watcher.sent.clear();
    watcher.input(Input::Refetch(dialog(1)));
    assert_eq!(watcher.ticket().dialog, Some(dialog(1)));
    watcher.input(Input::Refetch(dialog(1)));
    assert_eq!(watcher.sent, [], "one at a time");
    let mut watcher = Watcher::subscribed();
    watcher.sent.clear();
    watcher.input(Input::Wanted(true));
    assert_eq!(watcher.ticket().dialog, Some(dialog(1)));
}

#[test]
fn a_subscription_survives_as_a_value() {
    let watcher = Watcher::subscribed();
    let bytes = postcard::to_allocvec(&watcher.subscription).unwrap();
    let restored: Subscription = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(restored.poll_timeout(), watcher.subscription.poll_timeout());
    assert!(restored.has_dialog(dialog(1)));
}

/// What a notifier and the network may do, and what the user may want.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Want(bool),
    Answer(usize, u16),
    Challenge(usize, bool),
    Lose(usize),
    Notify(u64, usize),
    Refetch(u64),
    Wait(u64),
}

const STATES: [&str; 9] = [
    "active;expires=600",
    "active;expires=5",
    "active",
    "pending;expires=60",
    "terminated;reason=timeout",
    "terminated;reason=deactivated",
    "terminated;reason=probation;retry-after=7",
    "terminated;reason=rejected",
    "terminated",
];

fn deed() -> impl Strategy<Value = Deed> {
    let codes =
        prop::sample::select(vec![200_u16, 200, 200, 401, 403, 404, 423, 480, 481, 489, 500, 503, 603]);
    prop_oneof![
        2 => any::<bool>().prop_map(Deed::Want),
        6 => (0..4_usize, codes).prop_map(|(which, code)| Deed::Answer(which, code)),
        1 => (0..4_usize, any::<bool>()).prop_map(|(which, again)| Deed::Challenge(which, again)),
        1 => (0..4_usize).prop_map(Deed::Lose),
        6 => (0..12_u64, 0..STATES.len()).prop_map(|(dialog, state)| Deed::Notify(dialog, state)),
        1 => (0..12_u64).prop_map(Deed::Refetch),
        4 => prop::sample::select(vec![0_u64, 1, 9, 33, 60, 700, 4_000]).prop_map(Deed::Wait),
    ]
}

proptest! {
    /// Whatever happens: one SUBSCRIBE is out in a dialog, a dialog is forgotten once, and when nothing is wanted any more nothing is
    /// left.
    #[test]
    fn nothing_is_left_of_a_subscription_that_is_not_wanted(deeds in prop::collection::vec(deed(), 0..80)) {
        let mut watcher = Watcher::of(Package::Dialog);
        let mut attempts = BTreeSet::new();
        let mut known = BTreeSet::new();
        let mut out: Vec<Ticket> = Vec::new();
        for deed in deeds {
            match deed {
                Deed::Want(wanted) => watcher.input(Input::Wanted(wanted)),
                Deed::Answer(which, code) if which < out.len() => {
                    let ticket = out.remove(which);
                    watcher.answer(ticket, Status::new(code).unwrap(), "Expires: 300\r\nMin-Expires: 4000\r\n");
                }
                Deed::Challenge(which, again) if which < out.len() => {
                    let verdict = if again { Verdict::Again } else { Verdict::Refused };
                    let ticket = out.remove(which);
                    watcher.input(Input::Challenged { ticket, verdict });
                }
                Deed::Lose(which) if which < out.len() => {
                    let ticket = out.remove(which);
                    watcher.input(Input::Lost { ticket, loss: Loss::TimedOut });
                }
                Deed::Notify(dialog, state) => {
                    // Each is of another fork or of one that is there.
                    let is_new = known.insert(DialogId::from_u64(dialog));
                    let status = watcher.notify(dialog, STATES[state]);
                    prop_assert!(status == Status::OK || is_new || !watcher.subscription.has_dialog(DialogId::from_u64(dialog)));
                }
                Deed::Refetch(dialog) => watcher.input(Input::Refetch(DialogId::from_u64(dialog))),
                Deed::Wait(seconds) => watcher.wait(seconds),
                Deed::Answer(..) | Deed::Challenge(..) | Deed::Lose(_) => {}
            }
            for dialog in watcher.forgotten.drain(..) {
                prop_assert!(known.remove(&dialog), "{dialog:?} was forgotten before");
            }
            for ticket in watcher.sent.drain(..) {
                prop_assert!(!out.contains(&ticket));
                if ticket.dialog.is_none() && !watcher.subscription.sequence(ticket).0.is_empty() {
                    attempts.insert(watcher.subscription.sequence(ticket).0.to_vec());
                }
                out.push(ticket);
            }
        }
        watcher.input(Input::Wanted(false));
        watcher.wait(100_000);
        prop_assert_eq!(watcher.subscription.poll_timeout(), None);
        prop_assert!(!watcher.subscription.is_subscribed());
        for dialog in watcher.forgotten.drain(..) {
            prop_assert!(known.remove(&dialog));
        }
        prop_assert!(known.is_empty(), "{known:?} are not forgotten");
        prop_assert!(watcher.expectations_ended >= attempts.len());
        prop_assert_eq!(watcher.events.last(), Some(&Event::Ended));
    }
}
