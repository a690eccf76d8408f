//! What leaves the phone: messages, orders to the audio side, and news for the user.
//!
//! Text in an event is what the peer sent; whoever prints it escapes it ([`sip_stack::message::Escaped`]).

use super::{AccountId, CallId, Reason, Stream, WatchEvent};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::resolve::Failure;
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
    /// Find a way to the server of an account (RFC 3263), and answer with [`super::Input::Way`]. Comes for accounts of
    /// [`super::Phone::find_server`] alone, and not again before the answer.
    Locate {
        /// Which.
        account: AccountId,
        /// How the last way failed; `None`: there is none.
        failed: Option<Failure>,
    },
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
    /// Send silence instead of what the microphone hears, or no longer.
    Mute {
        /// The call.
        call: CallId,
        /// Whether it is muted.
        muted: bool,
    },
    /// Send keys.
    Dial {
        /// The call.
        call: CallId,
        /// `0`–`9`, `*`, `#`, `A`–`D`, and `!` for the flash.
        digits: Box<str>,
        /// How.
        tones: Tones,
    },
    /// The call is over: give the port back.
    Close {
        /// The call.
        call: CallId,
    },
}

/// How the audio side sends keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tones {
    /// As events in RTP (RFC 4733).
    Events,
    /// As tones in the sound.
    InBand,
}

/// One thing worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// An account is registered, or still is.
    Registered {
        /// Which.
        account: AccountId,
        /// For how long the registrar keeps it; it is refreshed before that.
        expires_s: u32,
    },
    /// An account is no longer registered, as asked for.
    Unregistered {
        /// Which.
        account: AccountId,
    },
    /// Registering, or removing the registration, did not work.
    RegistrationFailed {
        /// Which account.
        account: AccountId,
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
        /// The account that is called.
        account: AccountId,
        /// The display name, or else the URI, of who calls.
        from: Bytes,
        /// The URI of who calls.
        uri: Bytes,
        /// Whether it comes in while there is another call.
        waiting: bool,
    },
    /// Somebody called, and was told that we are busy: all lines are in use, or the user is not to be disturbed.
    TurnedAway {
        /// The account that was called.
        account: AccountId,
        /// The display name, or else the URI, of who called.
        from: Bytes,
        /// The URI of who called.
        uri: Bytes,
    },
    /// The two sides are connected.
    Connected {
        /// The call.
        call: CallId,
    },
    /// The user's wish to hold the other side, or to talk again, came true.
    Held {
        /// The call.
        call: CallId,
        /// Whether the other side is on hold.
        held: bool,
    },
    /// The other side does not want the call to be held, or not to be resumed; the call goes on as it was.
    HoldFailed {
        /// The call.
        call: CallId,
        /// Why.
        reason: Reason,
    },
    /// The other side has us on hold, or no longer.
    HeldByPeer {
        /// The call.
        call: CallId,
        /// Whether we are on hold.
        held: bool,
    },
    /// The other side was sent to somebody else, who has answered; the call ends.
    Transferred {
        /// The call.
        call: CallId,
    },
    /// Sending the other side to somebody else came to nothing; the call goes on.
    TransferFailed {
        /// The call.
        call: CallId,
        /// Why.
        reason: Reason,
    },
    /// Somebody sent a text.
    Message {
        /// The account that it is for.
        account: AccountId,
        /// The display name, or else the URI, of who sent it.
        from: Bytes,
        /// The URI of who sent it.
        uri: Bytes,
        /// The text, as it came.
        text: Bytes,
    },
    /// A text of ours was taken.
    MessageTaken {
        /// The account that sent it.
        account: AccountId,
        /// The URI it went to.
        target: Bytes,
    },
    /// A text of ours was not taken.
    MessageFailed {
        /// The account that sent it.
        account: AccountId,
        /// The URI it was for.
        target: Bytes,
        /// Why.
        reason: Reason,
    },
    /// News of what an account watches, and of what it publishes.
    Watch {
        /// The account.
        account: AccountId,
        /// The news.
        news: WatchEvent,
    },
    /// The microphone was muted, or no longer is.
    Muted {
        /// The call.
        call: CallId,
        /// Whether it is.
        muted: bool,
    },
    /// The other side pressed a key.
    Digit {
        /// The call.
        call: CallId,
        /// The key.
        digit: char,
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
    /// Another phone of ours, or of whoever is called with us, took the call (RFC 3326 §3.1).
    Elsewhere,
    /// It did not work, or no longer.
    Failed(Reason),
}
