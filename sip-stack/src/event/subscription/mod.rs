//! A subscription as the subscriber keeps it (RFC 6665 §4.1): made, refreshed, made anew when it is lost, ended, or a fetch (§4.4.3).
//!
//! [`Subscription`] says when a SUBSCRIBE has to be sent and what is in it, and judges answers and NOTIFYs. It is a NOTIFY that
//! creates the dialog (§4.4.1), before or after the 2xx; each branch of a fork makes its own, at most [`MAX_FORKS`], where the
//! package allows more than one (§4.1.4). Timer N (§4.1.2.4) ends what no NOTIFY came for. Transactions, dialogs, the route and
//! passwords are its user's. One SUBSCRIBE goes so:
//!
//! 1. [`Output::Subscribe`]. Without a dialog in the ticket: draft a request with [`Subscription::from_tag`] in From and
//!    [`Subscription::sequence`] as its Call-ID and CSeq, tell the endpoint by
//!    [`Endpoint::expect_notify`](crate::Endpoint::expect_notify), and send it. With one: draft it in that dialog.
//!    [`Subscription::write`] adds the rest.
//! 2. Its answer comes in as [`Input`], a 401 or 407 as [`Input::Challenged`].
//! 3. A NOTIFY in a dialog of ours goes to [`Subscription::handle_notify`], which tells what to answer. After a 200 its body counts.
//! 4. [`Output::Forget`] and [`Output::ExpectNoMore`] give dialogs and expectations back to the endpoint.
//!
//! Left out on purpose: challenging a NOTIFY (its dialog cannot be guessed), Contact in a 2xx to a refresh.

mod loss;
mod machine;
mod usage;

pub use machine::Subscription;
pub(super) use usage::ends_subscription;

use super::Reason;
use crate::auth::Verdict;
use crate::dialog::DialogId;
use crate::message::{Message, Status};
use crate::registration::Loss;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Dialogs that one SUBSCRIBE may lead to. A NOTIFY of one more is answered 481.
pub const MAX_FORKS: usize = 8;

/// Names one SUBSCRIBE that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The dialog that it has to be sent in; without one it is to begin a subscription.
    pub dialog: Option<DialogId>,
    /// Counted by the subscription; outside a dialog it is the CSeq number.
    pub number: u32,
}

/// What enters.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Whether the user wants to hear. Saying it again refreshes what there is and tries anew what was given up.
    Wanted(bool),
    /// The state of a dialog is to be told anew in full: something was missed (RFC 6665 §5.3.2).
    Refetch(DialogId),
    /// A response to a SUBSCRIBE that is no challenge; a 401 or 407 that comes in here counts as a refusal.
    Response {
        /// The request.
        ticket: Ticket,
        /// The response; a provisional one changes nothing.
        response: &'a Message,
    },
    /// A 401 or 407 to a SUBSCRIBE.
    Challenged {
        /// The request.
        ticket: Ticket,
        /// What the [`DigestClient`](crate::auth::DigestClient) says.
        verdict: Verdict,
    },
    /// There will be no response to a SUBSCRIBE that counts.
    Lost {
        /// The request.
        ticket: Ticket,
        /// Why.
        loss: Loss,
    },
}

/// What leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Send a SUBSCRIBE.
    Subscribe(Ticket),
    /// The dialog is over ([`Endpoint::end_dialog`](crate::Endpoint::end_dialog)).
    Forget(DialogId),
    /// No NOTIFY makes a dialog any more ([`Endpoint::expect_no_notify`](crate::Endpoint::expect_no_notify)).
    ExpectNoMore {
        /// Of the SUBSCRIBE.
        call_id: Bytes,
        /// The tag in its From.
        tag: Bytes,
    },
    /// Tell the user.
    Event(Event),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A subscription is there, or is still there: told at the first NOTIFY of a dialog and whenever the notifier changes its mind.
    Subscribed {
        /// Whose NOTIFYs they are.
        dialog: DialogId,
        /// Nobody has decided yet whether it is allowed (§4.1.3); until then the state is a neutral one.
        pending: bool,
        /// Seconds left.
        expires_s: u32,
    },
    /// The subscription of one dialog is over: what it has told counts no more. A fetch ends so.
    Terminated {
        /// Which.
        dialog: DialogId,
        /// Why, as the notifier says; [`Reason::Timeout`] where it says nothing any more.
        reason: Reason,
    },
    /// There is no subscription, and it is not for us to have one.
    Failed {
        /// Why.
        failure: Failure,
        /// When it will be tried again; `None`: not by itself.
        retry: Option<Duration>,
    },
    /// There is nothing any more, as was wanted.
    Ended,
}

/// Why there is no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The notifier, or a proxy, answered with this.
    Refused(Status),
    /// It does not accept our credentials.
    WrongCredentials,
    /// It asks for credentials that we do not have.
    UnknownAuthentication,
    /// It asks again and again for something else, or is not who it should be.
    Nonsense,
    /// It did not answer.
    TimedOut,
    /// The network did not take the request.
    TransportFailed,
    /// It has accepted and told nothing (Timer N, §4.1.2.4).
    NoNotify,
    /// It has ended the subscription.
    Terminated(Reason),
}

impl Failure {
    /// Whether the same request may succeed later.
    pub(super) const fn is_passing(self) -> bool {
        match self {
            Failure::Refused(status) => match status.code() {
                408 | 430 | 480 | 481 | 486 | 491 => true,
                501 | 505 | 513 => false,
                code => code >= 500 && code < 600,
            },
            Failure::TimedOut | Failure::TransportFailed | Failure::NoNotify => true,
            Failure::Terminated(_)
            | Failure::WrongCredentials
            | Failure::UnknownAuthentication
            | Failure::Nonsense => false,
        }
    }
}
