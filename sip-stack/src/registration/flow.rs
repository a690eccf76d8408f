//! One flow of a registration: its Call-ID and CSeq, and where it stands.

use crate::message::Status;
use crate::random::Random;
use crate::time::Time;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// One of the flows of a registration, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FlowId(pub(super) u8);

impl FlowId {
    /// The first flow; the only one of a plain registration.
    pub const FIRST: FlowId = FlowId(0);

    /// Its `reg-id`: the same for the same flow after every restart (RFC 5626 §4.2.1), from 1.
    pub const fn reg_id(self) -> u32 {
        self.0 as u32 + 1
    }

    /// Its place among the flows, from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names one REGISTER that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The flow that it has to be sent over.
    pub flow: FlowId,
    /// Its CSeq number.
    pub cseq: u32,
}

/// Why a REGISTER did not do what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The registrar, or a proxy, answered with this.
    Refused(Status),
    /// It does not accept our credentials.
    WrongCredentials,
    /// It asks for credentials that we do not have.
    UnknownAuthentication,
    /// It asks again and again for something else, or is not the registrar.
    Nonsense,
    /// It did not answer.
    TimedOut,
    /// The network did not take the request.
    TransportFailed,
    /// The flow failed after it had been registered (RFC 5626 §4.4).
    FlowFailed,
}

impl Failure {
    /// Whether the same request may succeed later.
    pub(super) const fn is_passing(self) -> bool {
        match self {
            Failure::Refused(status) => match status.code() {
                408 | 430 | 480 | 491 => true,
                501 | 505 | 513 => false,
                code => code >= 500 && code < 600,
            },
            Failure::TimedOut | Failure::TransportFailed | Failure::FlowFailed => true,
            Failure::WrongCredentials | Failure::UnknownAuthentication | Failure::Nonsense => false,
        }
    }
}

/// What a REGISTER is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// Binds or refreshes.
    Bind,
    /// Removes.
    Remove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// No request is out, and the registrar should know nothing of the flow.
    Absent,
    /// A REGISTER is out, after so many others that were answered with a demand.
    Asking { purpose: Purpose, demands: u8 },
    /// The registrar has it.
    Bound { refresh_at: Time },
    /// It did not work, and will be tried again.
    Waiting { retry_at: Time },
    /// It did not work, and will not be tried again by itself.
    GivenUp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Flow {
    /// The contact URI.
    pub(super) contact: Bytes,
    /// RFC 5626 §4.2.1: every flow has its own.
    pub(super) call_id: Bytes,
    pub(super) cseq: u32,
    /// The lifetime to ask for; grows with a 423.
    pub(super) expires_s: u32,
    /// With `reg-id`.
    pub(super) outbound: bool,
    pub(super) state: State,
    /// Failures in a row.
    pub(super) failures: u32,
    /// The registrar has it, as far as we know.
    pub(super) registered: bool,
    /// It was registered, and a keep-alive was answered since (RFC 5626 §4.5: successful).
    pub(super) proven: bool,
    /// Route values for requests over it (RFC 3608), topmost first.
    pub(super) service_route: SmallVec<[Bytes; 1]>,
}

impl Flow {
    pub(super) fn new(contact: Bytes, expires_s: u32, outbound: bool, random: &mut Random) -> Flow {
        Flow {
            contact,
            call_id: Bytes::copy_from_slice(&random.token::<24>()),
            cseq: 0,
            expires_s,
            outbound,
            state: State::Absent,
            failures: 0,
            registered: false,
            proven: false,
            service_route: SmallVec::new(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Bound { refresh_at } => Some(refresh_at),
            State::Waiting { retry_at } => Some(retry_at),
            State::Absent | State::Asking { .. } | State::GivenUp => None,
        }
    }

    /// Whether the ticket is of the request that is out.
    pub(super) fn is_asking(&self, ticket: Ticket) -> bool {
        matches!(self.state, State::Asking { .. }) && self.cseq == ticket.cseq
    }
}
