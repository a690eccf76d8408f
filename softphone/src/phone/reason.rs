//! Why something did not work, in words a person understands (RFC 3261 §21 for the meaning of a status).

use core::fmt;
use serde::{Deserialize, Serialize};
use sip_stack::message::{Escaped, Message, Status};

/// Why a registration or a call failed. Its `Display` is a sentence for the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The server did not accept user name and password.
    WrongPassword,
    /// The server asks for a proof that this phone does not know.
    UnknownAuthentication,
    /// The registrar does not know the user (404, 604).
    UnknownUser,
    /// The server knows us and does not want this (403).
    Forbidden,
    /// Nothing came back in time.
    NoAnswer,
    /// The network did not take our message.
    Unreachable,
    /// The other side is busy (486, 600).
    Busy,
    /// The other side does not want the call (603).
    Declined,
    /// The other side cannot be reached now (480).
    Unavailable,
    /// Nobody answered in time (408).
    NotAnswered,
    /// Nobody has this number (404, 410, 484, 604).
    UnknownNumber,
    /// The two sides have no audio format in common (488, 606, 415).
    NoCommonFormat,
    /// The call was ended before it was answered (487).
    Terminated,
    /// The other side can be reached elsewhere (3xx), which is not followed.
    Moved,
    /// The server has too much to do, or is being serviced (503).
    ServerBusy,
    /// The server failed (5xx).
    ServerFailed(u16),
    /// The other side did not do what SIP asks for.
    Nonsense,
    /// The other side went silent in the middle of a call's beginning: no ACK came.
    Lost,
    /// No port for the sound could be had on this machine.
    NoMediaPort,
    /// Anything else.
    Other {
        /// The status.
        status: u16,
        /// What the peer said to it, escaped.
        phrase: Box<str>,
    },
}

impl Reason {
    /// Of a final response to a REGISTER.
    pub(super) fn of_registration(status: Status, response: &Message) -> Reason {
        match status.code() {
            404 | 604 => Reason::UnknownUser,
            _ => Reason::of(status, response),
        }
    }

    /// Of a final response to an INVITE.
    pub(super) fn of_call(status: Status, response: &Message) -> Reason {
        match status.code() {
            404 | 410 | 484 | 604 => Reason::UnknownNumber,
            408 => Reason::NotAnswered,
            415 | 488 | 606 => Reason::NoCommonFormat,
            480 => Reason::Unavailable,
            486 | 600 => Reason::Busy,
            487 => Reason::Terminated,
            603 => Reason::Declined,
            _ => Reason::of(status, response),
        }
    }

    fn of(status: Status, response: &Message) -> Reason {
        match status.code() {
            300..=399 => Reason::Moved,
            401 | 407 => Reason::WrongPassword,
            403 => Reason::Forbidden,
            408 => Reason::NoAnswer,
            503 => Reason::ServerBusy,
            code @ 500..=599 => Reason::ServerFailed(code),
            code => Reason::Other { status: code, phrase: Escaped(response.reason()).to_string().into() },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Reason::WrongPassword => "The server did not accept the user name and password.",
            Reason::UnknownAuthentication => {
                "The server asks for a kind of proof that this phone does not know."
            }
            Reason::UnknownUser => "The server does not know this user.",
            Reason::Forbidden => "The server does not allow this.",
            Reason::NoAnswer => "The server did not answer. Check its address and the network.",
            Reason::Unreachable => {
                "The message could not be delivered: nothing listens there, or the network is down."
            }
            Reason::Busy => "The other side is busy.",
            Reason::Declined => "The other side declined the call.",
            Reason::Unavailable => "The other side cannot be reached at the moment.",
            Reason::NotAnswered => "Nobody answered.",
            Reason::UnknownNumber => "Nobody has this number.",
            Reason::NoCommonFormat => "The two sides have no audio format in common.",
            Reason::Terminated => "The call was ended before it was answered.",
            Reason::Moved => "The other side is to be called under another address.",
            Reason::ServerBusy => "The server is overloaded or being serviced.",
            Reason::ServerFailed(status) => return write!(f, "The server failed (error {status})."),
            Reason::Nonsense => "The other side did not do what SIP asks for.",
            Reason::Lost => "The connection to the other side was lost.",
            Reason::NoMediaPort => "No network port for the sound could be had on this machine.",
            Reason::Other { status, phrase } => return write!(f, "The server said \"{phrase}\" ({status})."),
        };
        f.write_str(sentence)
    }
}
