//! One subscription as its notifier keeps it (RFC 6665 §4.2): pending, active or terminated, until when, and when the next
//! NOTIFY is due.
//!
//! | what | rule |
//! |---|---|
//! | accepted or refreshed | a NOTIFY at once, with the whole state (§4.2.1.2, §4.2.1.4) |
//! | the state has changed | a NOTIFY, no sooner than the package allows after the last one; what changes meanwhile is in it |
//! | a NOTIFY is not answered | none other is sent: the newest state waits behind it |
//! | ended by either side, or by time | a last NOTIFY, `terminated` with the reason (§4.2.1.4) |
//! | a NOTIFY is not answered in time, or with 481 and its like | the subscription is gone (§4.2.2) |
//! | it is answered with another failure | the state is told anew after Retry-After, or whole with the next change |
//! | with 500 or 503 without Retry-After | besides, it is told anew after ten seconds, once |
//!
//! There may be a hundred thousand, so there is no queue: each input returns the one [`Action`] it leads to. Bodies, dialogs and
//! transactions are the user's. Left out on purpose: who may subscribe.

use super::subscription::ends_subscription;
use super::{Asked, Package, Reason};
use crate::header::{EventType, HeaderName, SubscriptionState};
use crate::message::{Status, Writer};
use crate::time::Time;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// What enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A SUBSCRIBE in the dialog; zero seconds end the subscription.
    Refreshed {
        /// Seconds from now.
        expires_s: u32,
    },
    /// The state has changed.
    State,
    /// A pending subscription is allowed.
    Granted,
    /// We end it.
    Ended {
        /// Why.
        reason: Reason,
        /// When the subscriber may try again, in seconds.
        retry_after_s: Option<u32>,
    },
    /// The NOTIFY that was out was answered.
    Answered {
        /// With what.
        status: Status,
        /// And when to try again.
        retry_after: Option<Duration>,
    },
    /// It was not answered, or could not be sent.
    Lost,
}

/// What has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Send a NOTIFY in the dialog: [`Notifier::write`] says what it says of the subscription.
    Notify(Notice),
    /// The subscription is over: forget it and its dialog.
    Over,
}

/// What a NOTIFY is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Counted from 0 within the subscription: the version of a document.
    pub version: u32,
    /// The whole state is to be told, not only what has changed since the last NOTIFY.
    pub is_full: bool,
    /// It has the state at all: not when the subscription is pending or has been forbidden.
    pub has_state: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Owed {
    Nothing,
    Changes,
    Everything,
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Pending,
    Active,
    Terminated { reason: Reason, retry_after_s: Option<u32>, told: bool, has_state: bool },
}

/// How long after a failure that may pass a NOTIFY is sent again.
const AGAIN: Duration = Duration::from_secs(10);

/// One subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Notifier {
    package: Package,
    id: Option<Bytes>,
    state: State,
    expires_at: Time,
    version: u32,
    /// A NOTIFY is out.
    waiting: bool,
    owed: Owed,
    /// The last NOTIFY was refused: whatever comes next is told in full.
    missed: bool,
    /// And it was sent again, though nobody had asked for that.
    repeated: bool,
    not_before: Time,
}

impl Notifier {
    /// Of a SUBSCRIBE that was accepted, with the NOTIFY that follows at once. `pending`: nobody has decided yet whether it is
    /// allowed. With no lifetime it is a fetch.
    pub fn new(now: Time, asked: Asked, pending: bool) -> (Notifier, Action) {
        let Asked { package, id, expires_s } = asked;
        let mut notifier = Notifier {
            package,
            id,
            state: if pending { State::Pending } else { State::Active },
            expires_at: now,
            version: 0,
            waiting: false,
            owed: Owed::Nothing,
            missed: false,
            repeated: false,
            not_before: now,
        };
        let action = notifier.handle_change(now, Change::Refreshed { expires_s });
        (notifier, action)
    }

    /// What it is about.
    pub const fn package(&self) -> Package {
        self.package
    }

    /// `id` of its Event.
    pub fn id(&self) -> Option<&Bytes> {
        self.id.as_ref()
    }

    /// Whether it is neither over nor about to be.
    pub const fn is_live(&self) -> bool {
        match self.state {
            State::Pending | State::Active => true,
            State::Terminated { .. } => false,
        }
    }

    /// Whether a SUBSCRIBE in the dialog is for it (§8.2.1): the same package and `id`.
    pub fn is_meant(&self, asked: &Asked) -> bool {
        self.package == asked.package && self.id == asked.id
    }

    /// Takes one input.
    pub fn handle_change(&mut self, now: Time, change: Change) -> Action {
        match change {
            Change::Refreshed { expires_s: 0 } => self.end(Reason::Timeout, None),
            Change::Refreshed { expires_s } if self.is_live() => {
                self.expires_at = now + Duration::from_secs(u64::from(expires_s));
                self.owe_at_once(now);
            }
            Change::State if self.state == State::Active => self.owed = self.owed.max(Owed::Changes),
            Change::Granted if self.state == State::Pending => {
                self.state = State::Active;
                self.owe_at_once(now);
            }
            Change::Ended { reason, retry_after_s } => self.end(reason, retry_after_s),
            Change::Refreshed { .. } | Change::State | Change::Granted => {}
            Change::Lost => return Action::Over,
            Change::Answered { status, retry_after } => {
                self.waiting = false;
                let told = matches!(self.state, State::Terminated { told: true, .. });
                if told || ends_subscription(status) {
                    return Action::Over;
                }
                let may_pass = matches!(status, Status::SERVER_INTERNAL_ERROR | Status::SERVICE_UNAVAILABLE);
                let repeats = may_pass && !self.repeated && retry_after.is_none();
                self.missed = !status.is_success();
                self.repeated = repeats;
                if let Some(pause) = retry_after.or(repeats.then_some(AGAIN)).filter(|_| self.missed) {
                    self.owed = Owed::Everything;
                    self.not_before = self.not_before.max(now + pause);
                }
            }
        }
        self.next(now)
    }

    /// Ends it when its time is up, and sends what has had to wait.
    pub fn handle_timeout(&mut self, now: Time) -> Action {
        if self.is_live() && self.expires_at <= now {
            self.end(Reason::Timeout, None);
        }
        self.next(now)
    }

    /// When [`Notifier::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        let expires = self.is_live().then_some(self.expires_at);
        let sends = (self.owed != Owed::Nothing && !self.waiting).then_some(self.not_before);
        expires.into_iter().chain(sends).min()
    }

    /// Adds Event and Subscription-State to a NOTIFY (§4.2.2).
    pub fn write(&self, now: Time, writer: &mut Writer) {
        let event = EventType { name: self.package.name().as_bytes(), id: self.id.as_deref() };
        writer.header(HeaderName::Event, &event.value());
        let left_s = self.expires_at.since(now).as_millis().div_ceil(1_000);
        let expires = Some(u32::try_from(left_s).unwrap_or(u32::MAX));
        let state = match self.state {
            State::Pending => SubscriptionState::Pending { expires },
            State::Active => SubscriptionState::Active { expires },
            State::Terminated { reason, retry_after_s, .. } => SubscriptionState::Terminated {
                reason: reason.word().map(str::as_bytes),
                retry_after: retry_after_s,
            },
        };
        writer.header(HeaderName::SubscriptionState, &state.value());
    }

    fn owe_at_once(&mut self, now: Time) {
        self.owed = Owed::Everything;
        self.not_before = now;
    }

    fn end(&mut self, reason: Reason, retry_after_s: Option<u32>) {
        let has_state = match self.state {
            State::Active => !matches!(reason, Reason::Rejected | Reason::NoResource),
            State::Pending => false,
            State::Terminated { .. } => return,
        };
        self.state = State::Terminated { reason, retry_after_s, told: false, has_state };
        self.owed = Owed::Everything;
    }

    /// The NOTIFY that is due, if none is out.
    fn next(&mut self, now: Time) -> Action {
        let ends = !self.is_live();
        if self.waiting || self.owed == Owed::Nothing || (self.not_before > now && !ends) {
            return Action::None;
        }
        let has_state = match &mut self.state {
            State::Pending => false,
            State::Active => true,
            State::Terminated { told, has_state, .. } => {
                *told = true;
                *has_state
            }
        };
        let is_full = self.owed == Owed::Everything || self.missed;
        let version = self.version;
        self.version = self.version.wrapping_add(1);
        (self.owed, self.waiting, self.missed) = (Owed::Nothing, true, false);
        self.not_before = now + self.package.throttle();
        Action::Notify(Notice { version, is_full, has_state })
    }
}
