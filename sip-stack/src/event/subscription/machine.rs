//! The machine of a subscriber.

use super::super::{Package, Reason};
use super::usage::{Asking, Stage, Usage};
use super::{Event, Failure, Input, MAX_FORKS, Output, Ticket};
use crate::auth::Verdict;
use crate::dialog::DialogId;
use crate::header::{EventType, HeaderName, SubscriptionState};
use crate::message::{Message, Status, Writer};
use crate::random::Random;
use crate::registration::Loss;
use crate::time::Time;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Timer N: 64·T1.
const TIMER_N: Duration = Duration::from_secs(32);
/// How many challenges and longer lifetimes one attempt goes along with.
const MAX_DEMANDS: u8 = 6;
/// A subscription that ended before is not made anew at once: two would chase each other.
pub(super) const SETTLED: Duration = Duration::from_secs(10);

/// The SUBSCRIBE outside of dialogs, and the time in which NOTIFYs for it make dialogs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) call_id: Bytes,
    pub(super) tag: Bytes,
    pub(super) number: u32,
    pub(super) demands: u8,
    pub(super) answered: bool,
    /// Expires of its 2xx.
    pub(super) granted_s: Option<u32>,
    /// It has led to a dialog.
    pub(super) heard: bool,
    /// Timer N.
    pub(super) notify_by: Time,
}

/// The subscription to one resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    pub(super) package: Package,
    /// What to ask for; grows with a 423. Zero is a fetch.
    pub(super) expires_s: u32,
    pub(super) contact: Bytes,
    pub(super) wanted: bool,
    pub(super) numbers: u32,
    pub(super) attempt: Option<Attempt>,
    pub(super) usages: SmallVec<[Usage; 1]>,
    pub(super) retry_at: Option<Time>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// When the last subscription was made.
    pub(super) since: Time,
    #[serde(skip)]
    pub(super) outputs: VecDeque<Output>,
}

impl Subscription {
    /// To `package` of a resource, for `expires_s` seconds at a time. `contact` is the value of our Contact.
    pub fn new(package: Package, contact: Bytes, expires_s: u32) -> Subscription {
        Subscription {
            package,
            expires_s,
            contact,
            wanted: false,
            numbers: 0,
            attempt: None,
            usages: SmallVec::new(),
            retry_at: None,
            failures: 0,
            since: Time::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Asks for the state once (§4.4.3). It begins with [`Input::Wanted`] and is over with [`Event::Terminated`].
    pub fn fetch(package: Package, contact: Bytes) -> Subscription {
        Subscription::new(package, contact, 0)
    }

    /// What it is about.
    pub const fn package(&self) -> Package {
        self.package
    }

    /// From the next SUBSCRIBE outside a dialog on our Contact is another one.
    pub fn set_contact(&mut self, contact: Bytes) {
        self.contact = contact;
    }

    /// Whether there is a subscription, decided upon or not.
    pub fn is_subscribed(&self) -> bool {
        !self.usages.is_empty()
    }

    /// Whether a NOTIFY in this dialog is for us. Ask also when [`Subscription::expects`] its Call-ID.
    pub fn has_dialog(&self, dialog: DialogId) -> bool {
        self.usages.iter().any(|usage| usage.dialog == dialog)
    }

    /// Whether a NOTIFY with this Call-ID and tag of ours may begin a dialog of this subscription.
    pub fn expects(&self, call_id: &[u8], tag: &[u8]) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.call_id == call_id && attempt.tag == tag)
    }

    /// Call-ID and CSeq number of a SUBSCRIBE outside a dialog.
    pub fn sequence(&self, ticket: Ticket) -> (&[u8], u32) {
        (self.attempt.as_ref().map_or(&[][..], |attempt| &attempt.call_id), ticket.number)
    }

    /// The tag in From of a SUBSCRIBE outside a dialog.
    pub fn from_tag(&self) -> &[u8] {
        self.attempt.as_ref().map_or(&[][..], |attempt| &attempt.tag)
    }

    /// Our Contact, for [`Endpoint::expect_notify`](crate::Endpoint::expect_notify).
    pub fn contact(&self) -> &Bytes {
        &self.contact
    }

    /// Adds Event, Expires, Accept and, outside of dialogs, Contact to a SUBSCRIBE.
    pub fn write(&self, ticket: Ticket, writer: &mut Writer) {
        if ticket.dialog.is_none() {
            writer.header(HeaderName::Contact, &self.contact);
        }
        writer
            .header(HeaderName::Event, &EventType { name: self.package.name().as_bytes(), id: None }.value());
        writer.header(HeaderName::Accept, self.package.content_type().as_bytes());
        let ends = ticket.dialog.and_then(|dialog| self.usage(dialog)?.asking(ticket.number));
        let expires_s = if ends.is_some_and(|asking| asking.ends) { 0 } else { self.expires_s };
        writer.number(HeaderName::Expires, u64::from(expires_s));
    }

    /// Takes one input. Outputs follow from [`Subscription::poll_output`] until it is `None`. An input about a request or a dialog
    /// that no longer counts changes nothing.
    pub fn handle_input(&mut self, now: Time, input: Input<'_>, random: &mut Random) {
        match input {
            Input::Wanted(true) => self.on_wanted(now, random),
            Input::Wanted(false) => self.on_unwanted(now),
            Input::Refetch(dialog) => {
                if let Some(Stage::Resting { .. }) = self.usage(dialog).map(|usage| usage.stage) {
                    self.ask(now, dialog, 0, false);
                }
            }
            Input::Response { ticket, response } => {
                if let Some(status) = response.status().filter(|status| status.is_final()) {
                    self.on_response(now, ticket, status, response, random);
                }
            }
            Input::Challenged { ticket, verdict } => match verdict {
                Verdict::Again => self.ask_again(now, ticket, random),
                Verdict::Refused => self.fail(now, ticket, Failure::WrongCredentials, None, random),
                Verdict::Unanswerable => {
                    self.fail(now, ticket, Failure::UnknownAuthentication, None, random);
                }
            },
            Input::Lost { ticket, loss } => {
                let failure = match loss {
                    Loss::TimedOut => Failure::TimedOut,
                    Loss::TransportFailed => Failure::TransportFailed,
                    Loss::Unproven => Failure::Nonsense,
                };
                self.fail(now, ticket, failure, None, random);
            }
        }
    }

    /// Takes a NOTIFY in a dialog of ours or one that has just made it; the status to answer it with. Its body counts when that is
    /// a success and the state is not a pending one.
    pub fn handle_notify(
        &mut self,
        now: Time,
        dialog: DialogId,
        notify: &Message,
        random: &mut Random,
    ) -> Status {
        let read = self.judge(notify);
        let known = self.has_dialog(dialog);
        let is_open = self.attempt.as_ref().is_some_and(|attempt| attempt.notify_by > now);
        let bound = if self.package.may_fork() { MAX_FORKS } else { 1 };
        let state = match read {
            Ok(state) if known || (is_open && self.usages.len() < bound) => state,
            Ok(_) | Err(_) if known => return read.err().unwrap_or(Status::BAD_REQUEST),
            Ok(_) | Err(_) => {
                // §4.1.2.4, §4.1.4: it makes no dialog.
                self.outputs.push_back(Output::Forget(dialog));
                return read.err().unwrap_or(Status::CALL_DOES_NOT_EXIST);
            }
        };
        if let Some(attempt) = self.attempt.as_mut().filter(|_| !known) {
            attempt.heard = true;
        }
        match state {
            SubscriptionState::Terminated { reason, retry_after } => {
                let retry_after = retry_after.map(|seconds| Duration::from_secs(u64::from(seconds)));
                self.on_terminated(now, dialog, Reason::of(reason), retry_after, random);
            }
            SubscriptionState::Active { expires } => self.on_notified(now, dialog, false, expires),
            SubscriptionState::Pending { expires } => self.on_notified(now, dialog, true, expires),
            SubscriptionState::Other(_) => self.on_notified(now, dialog, false, None),
        }
        Status::OK
    }

    /// Refreshes what is due, and ends what Timer N says is not there.
    pub fn handle_timeout(&mut self, now: Time, random: &mut Random) {
        for Usage { dialog, stage, expires_at, .. } in self.usages.clone() {
            match stage {
                Stage::Resting { .. } if expires_at <= now => {
                    self.on_terminated(now, dialog, Reason::Timeout, None, random);
                }
                Stage::Resting { refresh_at } if refresh_at <= now => self.ask(now, dialog, 0, !self.wanted),
                Stage::Asking(asking) if asking.notify_by <= now => {
                    self.drop_usage(dialog, Reason::Timeout);
                    self.mend(now, Failure::NoNotify, None, random);
                }
                Stage::Resting { .. } | Stage::Asking(_) => {}
            }
        }
        if let Some(attempt) = self.attempt.take_if(|attempt| attempt.notify_by <= now) {
            let heard = attempt.heard;
            self.close(attempt);
            if !heard {
                self.mend(now, Failure::NoNotify, None, random);
            }
        }
        if self.retry_at.take_if(|at| *at <= now).is_some() {
            self.begin(now, random);
        }
    }

    /// The next thing to do, in the order it came about.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Subscription::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        let usages = self.usages.iter().map(Usage::poll_timeout);
        let attempt = self.attempt.as_ref().map(|attempt| attempt.notify_by);
        usages.chain(attempt).chain(self.retry_at).min()
    }

    fn usage(&self, dialog: DialogId) -> Option<&Usage> {
        self.usages.iter().find(|usage| usage.dialog == dialog)
    }

    pub(super) fn usage_mut(&mut self, dialog: DialogId) -> Option<&mut Usage> {
        self.usages.iter_mut().find(|usage| usage.dialog == dialog)
    }

    /// What a NOTIFY says, if it is about our package.
    fn judge<'a>(&self, notify: &'a Message) -> Result<SubscriptionState<'a>, Status> {
        let event = notify.event().map_err(|_| Status::BAD_EVENT)?;
        if !event.is(self.package.name()) {
            return Err(Status::BAD_EVENT);
        }
        notify.subscription_state().map_err(|_| Status::BAD_REQUEST)
    }

    fn on_wanted(&mut self, now: Time, random: &mut Random) {
        self.wanted = true;
        self.failures = 0;
        let dialogs: SmallVec<[DialogId; 2]> = self.usages.iter().map(|usage| usage.dialog).collect();
        for dialog in &dialogs {
            if let Some(Stage::Resting { .. }) = self.usage(*dialog).map(|usage| usage.stage) {
                self.ask(now, *dialog, 0, false);
            }
        }
        if dialogs.is_empty() && self.attempt.as_ref().is_none_or(|attempt| attempt.heard) {
            self.begin(now, random);
        }
    }

    fn on_unwanted(&mut self, now: Time) {
        self.wanted = false;
        self.retry_at = None;
        let dialogs: SmallVec<[DialogId; 2]> = self.usages.iter().map(|usage| usage.dialog).collect();
        for dialog in dialogs {
            if let Some(Stage::Resting { .. }) = self.usage(dialog).map(|usage| usage.stage) {
                self.ask(now, dialog, 0, true);
            }
        }
        self.tell_if_over();
    }

    fn number(&mut self) -> u32 {
        self.numbers = self.numbers.wrapping_add(1) & 0x7fff_ffff;
        self.numbers
    }

    /// Subscribes anew, with a Call-ID and a tag of its own (§4.1.2.2).
    pub(super) fn begin(&mut self, now: Time, random: &mut Random) {
        if let Some(old) = self.attempt.take() {
            self.close(old);
        }
        self.retry_at = None;
        let number = self.number();
        self.attempt = Some(Attempt {
            call_id: Bytes::copy_from_slice(&random.token::<24>()),
            tag: random.tag(),
            number,
            demands: 0,
            answered: false,
            granted_s: None,
            heard: false,
            notify_by: now + TIMER_N,
        });
        self.outputs.push_back(Output::Subscribe(Ticket { dialog: None, number }));
    }

    /// Refreshes or ends in a dialog.
    fn ask(&mut self, now: Time, dialog: DialogId, demands: u8, ends: bool) {
        let number = self.number();
        let Some(usage) = self.usage_mut(dialog) else { return };
        let (answered, notified) = (false, false);
        let notify_by = now + TIMER_N;
        usage.stage = Stage::Asking(Asking { number, demands, notify_by, answered, notified, ends });
        self.outputs.push_back(Output::Subscribe(Ticket { dialog: Some(dialog), number }));
    }

    /// The same with what was demanded, within bounds.
    fn ask_again(&mut self, now: Time, ticket: Ticket, random: &mut Random) {
        match ticket.dialog {
            Some(dialog) => match self.usage(dialog).and_then(|usage| usage.asking(ticket.number)) {
                Some(asking) if asking.demands < MAX_DEMANDS => {
                    self.ask(now, dialog, asking.demands + 1, asking.ends);
                }
                Some(_) => self.fail(now, ticket, Failure::Nonsense, None, random),
                None => {}
            },
            None => {
                let Some(demands) = self.asked(ticket).map(|attempt| attempt.demands) else { return };
                if demands >= MAX_DEMANDS {
                    return self.fail(now, ticket, Failure::Nonsense, None, random);
                }
                let number = self.number();
                if let Some(attempt) = &mut self.attempt {
                    attempt.number = number;
                    attempt.demands += 1;
                    attempt.notify_by = now + TIMER_N;
                }
                self.outputs.push_back(Output::Subscribe(Ticket { dialog: None, number }));
            }
        }
    }

    /// The attempt of a ticket, if it waits for an answer to that.
    pub(super) fn asked(&self, ticket: Ticket) -> Option<&Attempt> {
        self.attempt.as_ref().filter(|attempt| attempt.number == ticket.number && !attempt.answered)
    }

    fn on_response(
        &mut self,
        now: Time,
        ticket: Ticket,
        status: Status,
        response: &Message,
        random: &mut Random,
    ) {
        let granted = response.expires().ok().flatten();
        match (status, ticket.dialog) {
            (status, None) if status.is_success() => {
                if self.asked(ticket).is_none() {
                    return;
                }
                if let Some(attempt) = &mut self.attempt {
                    attempt.answered = true;
                    attempt.granted_s = granted;
                }
                if let Some(granted) = granted.filter(|granted| *granted > 0) {
                    let untold = self.usages.iter_mut().filter(|usage| !usage.is_told);
                    untold.for_each(|usage| usage.last(now, granted));
                }
            }
            (status, Some(dialog)) if status.is_success() => {
                let Some(usage) = self.usage_mut(dialog) else { return };
                let Stage::Asking(asking) = &mut usage.stage else { return };
                if asking.number != ticket.number {
                    return;
                }
                asking.answered = true;
                let told = asking.notified;
                // What a NOTIFY says is the authority (§4.1.3).
                if let Some(granted) = granted.filter(|_| !told && !asking.ends) {
                    usage.last(now, granted);
                }
                usage.rest_if_done(now);
            }
            // RFC 3261 §10.2.8
            (Status::INTERVAL_TOO_BRIEF, _) => match response.min_expires() {
                Ok(Some(longer)) if longer > self.expires_s && self.expires_s > 0 => {
                    self.expires_s = longer;
                    self.ask_again(now, ticket, random);
                }
                Ok(Some(_) | None) | Err(_) => self.fail(now, ticket, Failure::Nonsense, None, random),
            },
            (status, _) => {
                self.fail(now, ticket, Failure::Refused(status), response.retry_after(), random);
            }
        }
    }

    /// An active or pending NOTIFY.
    fn on_notified(&mut self, now: Time, dialog: DialogId, pending: bool, expires: Option<u32>) {
        let granted = self.attempt.as_ref().and_then(|attempt| attempt.granted_s);
        let expires_s = expires.or(granted).unwrap_or(self.expires_s);
        let changed = match self.usage_mut(dialog) {
            Some(usage) => {
                let changed = usage.pending != pending;
                usage.pending = pending;
                if expires.is_some() {
                    usage.is_told = true;
                    usage.last(now, expires_s);
                }
                if let Stage::Asking(asking) = &mut usage.stage {
                    asking.notified = true;
                }
                usage.rest_if_done(now);
                changed
            }
            None => {
                self.usages.push(Usage::new(now, dialog, pending, expires_s, expires.is_some()));
                self.since = now;
                true
            }
        };
        if now.since(self.since) >= SETTLED {
            self.failures = 0;
        }
        if changed {
            self.outputs.push_back(Output::Event(Event::Subscribed { dialog, pending, expires_s }));
        }
        let is_idle = matches!(self.usage(dialog).map(|usage| usage.stage), Some(Stage::Resting { .. }));
        if !self.wanted && is_idle {
            self.ask(now, dialog, 0, true);
        }
    }
}
