//! What leaves the phone: messages, orders to the audio side, and news for the user.
//!
//! Text in an event is what the peer sent; whoever prints it escapes it ([`sip_stack::message::Escaped`]).

use super::{CallId, Reason, Stream};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::transport::Transmit;
use std::time::Duration;

/// One thing to do outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Send a SIP message.
    Transmit(Transmit),
    /// Tell the audio side.
    Media(MediaCommand),
    /// Tell the user.
    Event(Event),
}

/// What the audio side has to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaCommand {
    /// Reserve a port for the RTP of a call; answered with [`super::MediaReport`].
    Open {
        /// The call.
        call: CallId,
    },
    /// Send and play as agreed; comes again when the agreement changes (hold, another address, another codec).
    Start {
        /// The call.
        call: CallId,
        /// What was agreed.
        stream: Stream,
    },
    /// The call is over: give the port back.
    Close {
        /// The call.
        call: CallId,
    },
}

/// One thing worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// We are registered, or still are.
    Registered {
        /// For how long the registrar keeps it; it is refreshed before that.
        expires_s: u32,
    },
    /// We are no longer registered, as asked for.
    Unregistered,
    /// Registering, or removing the registration, did not work.
    RegistrationFailed {
        /// Why.
        reason: Reason,
        /// When it is tried again; `None`: not before the user asks for it.
        retry: Option<Duration>,
    },
    /// We are calling.
    Calling {
        /// The number of the call, unique for the life of the phone.
        call: CallId,
        /// The URI.
        target: Bytes,
    },
    /// The other side rings.
    Ringing {
        /// The call.
        call: CallId,
    },
    /// Somebody calls us.
    Incoming {
        /// The call.
        call: CallId,
        /// The display name, or else the URI, of who calls.
        from: Bytes,
    },
    /// The two sides are connected.
    Connected {
        /// The call.
        call: CallId,
    },
    /// The call is over.
    Ended {
        /// The call.
        call: CallId,
        /// How it came to its end.
        ending: Ending,
    },
}

/// How a call came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// We hung up, gave up or refused.
    Ours,
    /// The other side hung up or gave up.
    Theirs,
    /// It did not work, or no longer.
    Failed(Reason),
}
