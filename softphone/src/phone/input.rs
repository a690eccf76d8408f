//! What enters the phone: messages, the user's commands, and answers of the audio side.

use super::{AccountId, CallId, Reason};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::transport::Flow;
use std::net::SocketAddr;
use std::time::Duration;

/// One thing that happened outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A SIP message arrived.
    Received {
        /// From where, and at which of our addresses.
        flow: Flow,
        /// The message as it came.
        bytes: Bytes,
    },
    /// A message could not be handed to the network.
    Unsent {
        /// The transaction that the [`sip_stack::transport::Transmit`] named.
        transaction: u64,
    },
    /// The user wants something.
    Command(Command),
    /// News of the audio side.
    Media(MediaReport),
    /// The search for a way to the server of an account has ended: its messages go there from now on, or there is none.
    Way {
        /// Which account.
        account: AccountId,
        /// The way, or why there is none; `None`: whatever was tried has failed.
        way: Result<Flow, Option<Reason>>,
    },
    /// The way that was found is no more: its connection has ended, or nobody listens at its other end.
    WayLost {
        /// Which account's.
        account: AccountId,
    },
}

/// What the user can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Register every account, and stay registered.
    Register,
    /// Remove the registrations of all accounts, and stay away.
    Unregister,
    /// Register one account, or remove its registration.
    Enable {
        /// Which.
        account: AccountId,
        /// Whether it is to be registered.
        enabled: bool,
    },
    /// Call a number of the account's own domain, or a SIP URI.
    Call {
        /// The account that calls.
        account: AccountId,
        /// `1002`, `bob@example.com` or `sip:bob@example.com`.
        target: Box<str>,
    },
    /// Call once more what was called last, from the same account.
    Redial,
    /// Take a call that rings.
    Answer {
        /// Which.
        call: CallId,
    },
    /// Refuse a call that rings.
    Reject {
        /// Which.
        call: CallId,
        /// What the caller is told.
        rejection: Rejection,
    },
    /// End a call in whatever state it is: cancel, decline or say goodbye.
    HangUp {
        /// Which.
        call: CallId,
    },
    /// Hold the other side: neither hears the other.
    Hold {
        /// Which.
        call: CallId,
    },
    /// Talk again in a call that was held.
    Resume {
        /// Which.
        call: CallId,
    },
    /// Send what the microphone hears, or silence.
    Mute {
        /// Which.
        call: CallId,
        /// Whether it is muted.
        muted: bool,
    },
    /// Send the other side to somebody else; the call ends when that has worked.
    Transfer {
        /// Which call.
        call: CallId,
        /// As in [`Command::Call`].
        target: Box<str>,
    },
    /// Bring the other sides of two calls together; both end when that has worked.
    TransferTo {
        /// The call whose other side is sent.
        call: CallId,
        /// The call whose other side gets it.
        other: CallId,
    },
    /// Make one call of two: the other side of the second comes into the first, and the second ends. The server has to be able
    /// to do it.
    Merge {
        /// The call that goes on.
        call: CallId,
        /// The call whose other side comes into it.
        other: CallId,
    },
    /// Send a text.
    Write {
        /// The account that sends it.
        account: AccountId,
        /// As in [`Command::Call`].
        target: Box<str>,
        /// Plain text, a thousand octets at most.
        text: Box<str>,
    },
    /// Press keys.
    Dial {
        /// The call.
        call: CallId,
        /// `0`–`9`, `*`, `#`, `A`–`D`, and `!` for the flash.
        digits: Box<str>,
        /// How they are sent.
        way: DigitWay,
    },
    /// What to do with calls that come in from now on.
    AutoAnswer(AutoAnswer),
    /// Whether callers are told that we are busy.
    DoNotDisturb(bool),
    /// Whether those who watch us see that nobody is there.
    Away(bool),
    /// Watch the calls and the presence of somebody, or no longer.
    Watch {
        /// The account that watches.
        account: AccountId,
        /// As in [`Command::Call`].
        target: Box<str>,
        /// Whether it is to be watched.
        wanted: bool,
    },
    /// Watch the mailbox of an account, or no longer.
    WatchMailbox {
        /// Which account's.
        account: AccountId,
        /// Whether it is to be watched.
        wanted: bool,
    },
    /// Let others see whether the user is there and talks, or no longer.
    PublishPresence {
        /// Of which account.
        account: AccountId,
        /// Whether they are to see it.
        wanted: bool,
    },
}

/// What a caller is told who is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// 486 Busy Here: another phone of ours may still take it.
    Busy,
    /// 603 Decline: we do not want this call, on no phone.
    Decline,
}

/// How keys are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigitWay {
    /// As events where the other side takes them, else by INFO where it takes that, else as tones.
    #[default]
    Best,
    /// Events in RTP (RFC 4733).
    Events,
    /// INFO with `application/dtmf-relay`.
    Info,
    /// Tones in the sound.
    Tones,
}

/// Whether calls that come in are taken without the user. One that comes in during another call never is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AutoAnswer {
    /// The user answers.
    #[default]
    Never,
    /// At once.
    Always,
    /// After it has rung for so long.
    After(Duration),
    /// Those of some callers, after a while.
    Numbers {
        /// Users, or users at a domain.
        numbers: Box<[Box<str>]>,
        /// How long it rings before.
        delay: Duration,
    },
}

/// A command that cannot be obeyed as things are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such call, or no longer.
    #[error("there is no call {0}")]
    NoSuchCall(CallId),
    /// The call does not ring here.
    #[error("call {0} is not ringing")]
    NotRinging(CallId),
    /// The target of a call is neither a number nor a SIP address.
    #[error("\"{}\" is neither a number nor a SIP address", .0.escape_default())]
    BadTarget(Box<str>),
    /// There is no such account.
    #[error("there is no account {0}")]
    NoSuchAccount(AccountId),
    /// Nothing was called yet.
    #[error("nothing was called yet")]
    NothingDialled,
    /// The call is not connected.
    #[error("call {0} is not connected")]
    NotConnected(CallId),
    /// The other side of the call is being transferred already.
    #[error("call {0} is being transferred already")]
    Transferring(CallId),
    /// There is no such key.
    #[error("there is no key \"{}\"", .0.escape_default())]
    BadDigit(char),
    /// The other side takes no events.
    #[error("the other side of call {0} takes no telephone events")]
    NoEvents(CallId),
    /// More digits than may wait.
    #[error("too many digits wait in call {0} already")]
    TooManyDigits(CallId),
    /// The text of a message is too long.
    #[error("a message has {0} octets at most")]
    LongMessage(usize),
    /// Too many messages wait for their answers.
    #[error("too many messages wait for their answers")]
    TooManyMessages,
    /// An account watches as many numbers as it may.
    #[error("an account watches {0} numbers at most")]
    TooManyWatched(usize),
    /// All lines are in use.
    #[error("all {0} lines are in use")]
    NoFreeLine(u16),
}

/// What the audio side tells: answers to [`super::MediaCommand::Open`], and keys that it hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaReport {
    /// RTP of the call is received here.
    Opened {
        /// The call.
        call: CallId,
        /// Address and port as the peer can reach them.
        address: SocketAddr,
    },
    /// The other side pressed a key.
    Digit {
        /// The call.
        call: CallId,
        /// The key, as in [`Command::Dial`].
        digit: char,
    },
    /// No port could be had.
    Refused {
        /// The call.
        call: CallId,
    },
}
