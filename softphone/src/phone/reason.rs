//! Why something did not work, in words a person understands (RFC 3261 §21 for the meaning of a status).

use core::fmt;
use serde::{Deserialize, Serialize};
use sip_stack::event::{Failure, Reason as Why};
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
    /// The server was not reached, or did not answer.
    Unreached(Unreached),
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
    /// The server does not offer this (405, 406, 415, 489, 501).
    NotOffered,
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

/// Why a server was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unreached {
    /// Nothing came back in time.
    NoAnswer,
    /// The network did not take our message.
    Unreachable,
    /// The name of the server is in no directory.
    ServerNotFound,
    /// The directory of names did not answer.
    NoNames,
    /// The server is there, and nothing listens at that port.
    ConnectionRefused,
    /// The server offers no transport that was allowed.
    NoTransport,
    /// The certificate of the server was issued by nobody who is trusted.
    UnknownIssuer,
    /// The certificate is that of another server.
    WrongCertificate,
    /// The certificate is not valid now.
    ExpiredCertificate,
    /// The server does not speak TLS as it should.
    TlsFailed,
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

    /// Why there is no subscription, or nothing is published; `response` is there when it is one.
    pub(super) fn of_subscription(failure: Failure, response: Option<&Message>) -> Reason {
        let refused = |status: Status| match (status.code(), response) {
            (404 | 410 | 604, _) => Reason::UnknownNumber,
            (405 | 406 | 415 | 489 | 501, _) => Reason::NotOffered,
            (480, _) => Reason::Unavailable,
            (603, _) => Reason::Forbidden,
            (_, Some(response)) => Reason::of(status, response),
            (_, None) => Reason::Nonsense,
        };
        match failure {
            Failure::Refused(status) => refused(status),
            Failure::WrongCredentials => Reason::WrongPassword,
            Failure::UnknownAuthentication => Reason::UnknownAuthentication,
            Failure::Nonsense => Reason::Nonsense,
            Failure::TimedOut | Failure::NoNotify => Reason::Unreached(Unreached::NoAnswer),
            Failure::TransportFailed => Reason::Unreached(Unreached::Unreachable),
            Failure::Terminated(why) => match why {
                Why::Rejected => Reason::Forbidden,
                Why::NoResource => Reason::UnknownNumber,
                Why::Deactivated
                | Why::Probation
                | Why::Timeout
                | Why::GiveUp
                | Why::Invariant
                | Why::Unknown => Reason::Unavailable,
            },
        }
    }

    /// Whether the server was not reached, or did not answer.
    pub const fn is_of_the_way(&self) -> bool {
        matches!(self, Reason::Unreached(_))
    }

    fn of(status: Status, response: &Message) -> Reason {
        match status.code() {
            300..=399 => Reason::Moved,
            401 | 407 => Reason::WrongPassword,
            403 => Reason::Forbidden,
            408 => Reason::Unreached(Unreached::NoAnswer),
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
            Reason::Unreached(why) => return fmt::Display::fmt(why, f),
            Reason::Busy => "The other side is busy.",
            Reason::Declined => "The other side declined the call.",
            Reason::Unavailable => "The other side cannot be reached at the moment.",
            Reason::NotAnswered => "Nobody answered.",
            Reason::UnknownNumber => "Nobody has this number.",
            Reason::NoCommonFormat => "The two sides have no audio format in common.",
            Reason::Terminated => "The call was ended before it was answered.",
            Reason::Moved => "The other side is to be called under another address.",
            Reason::ServerBusy => "The server is overloaded or being serviced.",
            Reason::NotOffered => "The server does not offer this.",
            Reason::ServerFailed(status) => return write!(f, "The server failed (error {status})."),
            Reason::Nonsense => "The other side did not do what SIP asks for.",
            Reason::Lost => "The connection to the other side was lost.",
            Reason::NoMediaPort => "No network port for the sound could be had on this machine.",
            Reason::Other { status, phrase } => return write!(f, "The server said \"{phrase}\" ({status})."),
        };
        f.write_str(sentence)
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unreached::NoAnswer => "The server did not answer. Check its address and the network.",
            Unreached::Unreachable => {
                "The message could not be delivered: nothing listens there, or the network is down."
            }
            Unreached::ServerNotFound => "The server cannot be found: nothing is known of its name.",
            Unreached::NoNames => "The server cannot be found: the directory of names (DNS) does not answer.",
            Unreached::ConnectionRefused => {
                "The server refuses the connection: nothing listens at this port. Check port and transport."
            }
            Unreached::NoTransport => "The server offers no transport (UDP, TCP, TLS) that is allowed here.",
            Unreached::UnknownIssuer => {
                "The server's certificate was issued by nobody who is trusted here. Name the file of its authority if you trust it."
            }
            Unreached::WrongCertificate => "The server's certificate is for another name.",
            Unreached::ExpiredCertificate => "The server's certificate is not valid at this time.",
            Unreached::TlsFailed => "The server does not speak TLS as it should. Check port and transport.",
        })
    }
}
