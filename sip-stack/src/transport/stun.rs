//! STUN as far as a keep-alive over UDP needs it: Binding requests and their responses (RFC 5626 §4.4.2, §8;
//! RFC 8489 §5, §6, §14.2).
//!
//! Left out on purpose: authentication, which this use has none of (RFC 5626 §8); FINGERPRINT, which may be left
//! unread (RFC 8489 §14.7) and is not sent, because the cookie tells STUN from SIP; MAPPED-ADDRESS and the clients of
//! RFC 3489; indications, which nobody answers.

use crate::Time;
use crate::random::Random;
use crate::transport::stream::Interval;
use bytes::{BufMut, Bytes, BytesMut};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// The magic cookie (RFC 8489 §5).
const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();

/// The length of a STUN header.
const HEADER: usize = 20;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// The attributes of RFC 8489 §18.3.1 that have to be understood; those of authentication and the mapped address may
/// stand in a request without meaning anything to this use.
const UNDERSTOOD: [u16; 11] = [
    0x0001,
    0x0006,
    0x0008,
    ERROR_CODE,
    UNKNOWN_ATTRIBUTES,
    0x0014,
    0x0015,
    0x001c,
    0x001d,
    0x001e,
    XOR_MAPPED_ADDRESS,
];

/// How many attributes a 420 names: a request with more than that is no mistake.
const MAX_UNKNOWN: usize = 8;

/// The first wait for a response (RFC 8489 §6.2.1), doubled for each retransmission.
const RTO: Duration = Duration::from_millis(500);

/// How often a request is sent, and how many RTOs after the last one it has failed (§6.2.1: Rc and Rm).
const SENDINGS: u8 = 7;
const LAST_WAIT: u32 = 16;

/// The number that pairs a response with its request (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionId([u8; 12]);

impl TransactionId {
    /// 96 bits that nobody can guess if the seed of `random` was not known.
    pub fn new(random: &mut Random) -> TransactionId {
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = random.key();
        TransactionId([a, b, c, d, e, f, g, h, i, j, k, l])
    }
}

/// A STUN message of this use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// A Binding request.
    Request {
        /// Its number.
        id: TransactionId,
        /// The attributes that would have to be understood and are not; eight at most.
        unknown: SmallVec<[u16; MAX_UNKNOWN]>,
    },
    /// A Binding success response.
    Success {
        /// The number of its request.
        id: TransactionId,
        /// XOR-MAPPED-ADDRESS: from where the server saw the request come.
        mapped: SocketAddr,
    },
    /// A Binding error response.
    Error {
        /// The number of its request.
        id: TransactionId,
        /// ERROR-CODE, 300–699.
        code: u16,
    },
}

/// Why a datagram is no STUN message of this use: it is discarded (RFC 8489 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StunError {
    /// No STUN header.
    #[error("not STUN")]
    NotStun,
    /// The length does not match, or an attribute does not fit.
    #[error("malformed")]
    Malformed,
    /// Another method or class than those of [`Binding`].
    #[error("neither a Binding request nor a response to one")]
    NotBinding,
    /// A response with an attribute that would have to be understood.
    #[error("unknown attribute {0:#06x}")]
    UnknownAttribute(u16),
    /// A response without the attribute it is for.
    #[error("no mapped address or error code")]
    Missing,
}

/// Whether a datagram is STUN rather than SIP: its first two bits are 0, and the cookie is there (RFC 8489 §5,
/// RFC 5626 §8). No SIP message passes: its bytes are text.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER
        && datagram.first().is_some_and(|first| first & 0xc0 == 0)
        && datagram.get(4..8) == Some(&COOKIE)
}

/// A Binding request without attributes (RFC 5626 §8).
pub fn request(id: TransactionId) -> Bytes {
    header(BINDING_REQUEST, 0, id).freeze()
}

/// The answer to a datagram that came from `source`: its address for a Binding request, 420 for one with attributes
/// that would have to be understood (RFC 8489 §6.3.1). `None` for everything else.
pub fn answer(datagram: &[u8], source: SocketAddr) -> Option<Bytes> {
    match Binding::parse(datagram).ok()? {
        Binding::Request { id, unknown } if unknown.is_empty() => Some(success(id, source)),
        Binding::Request { id, unknown } => Some(unknown_attributes(id, &unknown)),
        Binding::Success { .. } | Binding::Error { .. } => None,
    }
}

impl Binding {
    /// Reads a datagram.
    ///
    /// # Errors
    /// When it is not one of the three messages; it is then discarded.
    pub fn parse(datagram: &[u8]) -> Result<Binding, StunError> {
        if !is_stun(datagram) {
            return Err(StunError::NotStun);
        }
        let (kind, rest) = take_u16(datagram).ok_or(StunError::NotStun)?;
        let (length, rest) = take_u16(rest).ok_or(StunError::NotStun)?;
        let (id, attributes) = rest.get(4..).and_then(<[u8]>::split_first_chunk).ok_or(StunError::NotStun)?;
        if usize::from(length) != attributes.len() || length % 4 != 0 {
            return Err(StunError::Malformed);
        }
        let id = TransactionId(*id);
        match kind {
            BINDING_REQUEST => {
                Ok(Binding::Request { id, unknown: Attributes::read(attributes, id)?.unknown })
            }
            BINDING_SUCCESS => {
                let mapped = Attributes::read(attributes, id)?.understood()?.mapped;
                Ok(Binding::Success { id, mapped: mapped.ok_or(StunError::Missing)? })
            }
            BINDING_ERROR => {
                let code = Attributes::read(attributes, id)?.understood()?.code;
                Ok(Binding::Error { id, code: code.ok_or(StunError::Missing)? })
            }
            _ => Err(StunError::NotBinding),
        }
    }
}

/// What the attributes say; of repeated ones the first counts (RFC 8489 §14).
#[derive(Default)]
struct Attributes {
    mapped: Option<SocketAddr>,
    code: Option<u16>,
    unknown: SmallVec<[u16; MAX_UNKNOWN]>,
}

impl Attributes {
    fn read(mut rest: &[u8], id: TransactionId) -> Result<Attributes, StunError> {
        let mut attributes = Attributes::default();
        while !rest.is_empty() {
            let (kind, value, after) = attribute(rest).ok_or(StunError::Malformed)?;
            rest = after;
            match kind {
                XOR_MAPPED_ADDRESS if attributes.mapped.is_none() => {
                    attributes.mapped = Some(xor_address(value, id).ok_or(StunError::Malformed)?);
                }
                ERROR_CODE if attributes.code.is_none() => {
                    attributes.code = Some(error_code(value).ok_or(StunError::Malformed)?);
                }
                // §14: from 0x8000 on an attribute may be ignored.
                0x8000.. => {}
                _ if UNDERSTOOD.contains(&kind) => {}
                _ if attributes.unknown.len() < MAX_UNKNOWN => attributes.unknown.push(kind),
                _ => {}
            }
        }
        Ok(attributes)
    }

    /// §6.3.3, §6.3.4: a response with an unknown attribute is of no use.
    fn understood(self) -> Result<Attributes, StunError> {
        match self.unknown.first() {
            Some(&kind) => Err(StunError::UnknownAttribute(kind)),
            None => Ok(self),
        }
    }
}

/// Type, value and what follows; a value is padded to a multiple of four bytes (§14).
fn attribute(text: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (kind, rest) = take_u16(text)?;
    let (length, rest) = take_u16(rest)?;
    let length = usize::from(length);
    Some((kind, rest.get(..length)?, rest.get(length.next_multiple_of(4)..)?))
}

fn take_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*number), rest))
}

/// XOR-MAPPED-ADDRESS (§14.2).
fn xor_address(value: &[u8], id: TransactionId) -> Option<SocketAddr> {
    let (&[_, family], rest) = value.split_first_chunk()?;
    let (port, ip) = take_u16(rest)?;
    let ip = match family {
        1 => IpAddr::from(xored(*ip.as_array::<4>()?, id)),
        2 => IpAddr::from(xored(*ip.as_array::<16>()?, id)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(xored(port.to_be_bytes(), id))))
}

/// `bytes` combined with the cookie and the number of the transaction; twice gives them back.
fn xored<const N: usize>(mut bytes: [u8; N], id: TransactionId) -> [u8; N] {
    for (byte, key) in bytes.iter_mut().zip(COOKIE.into_iter().chain(id.0)) {
        *byte ^= key;
    }
    bytes
}

/// ERROR-CODE (§14.8): the hundreds and the rest.
fn error_code(value: &[u8]) -> Option<u16> {
    let &[_, _, class, number] = value.first_chunk()?;
    let (class, number) = (u16::from(class & 7), u16::from(number));
    ((3..=6).contains(&class) && number < 100).then_some(class * 100 + number)
}

fn header(kind: u16, length: u16, id: TransactionId) -> BytesMut {
    let mut message = BytesMut::with_capacity(HEADER + usize::from(length));
    message.put_u16(kind);
    message.put_u16(length);
    message.put_slice(&COOKIE);
    message.put_slice(&id.0);
    message
}

fn success(id: TransactionId, source: SocketAddr) -> Bytes {
    let address: SmallVec<[u8; 16]> = match source.ip().to_canonical() {
        IpAddr::V4(ip) => SmallVec::from_slice(&xored(ip.octets(), id)),
        IpAddr::V6(ip) => SmallVec::from_slice(&xored(ip.octets(), id)),
    };
    let (family, length) = if address.len() == 4 { (1, 8) } else { (2, 20) };
    let mut message = header(BINDING_SUCCESS, 4 + length, id);
    message.put_u16(XOR_MAPPED_ADDRESS);
    message.put_u16(length);
    message.put_u16(family);
    message.put_slice(&xored(source.port().to_be_bytes(), id));
    message.put_slice(&address);
    message.freeze()
}

/// 420 Unknown Attribute, and which (RFC 8489 §6.3.1, §14.9).
fn unknown_attributes(id: TransactionId, unknown: &SmallVec<[u16; MAX_UNKNOWN]>) -> Bytes {
    let mut list = BytesMut::new();
    unknown.iter().for_each(|&kind| list.put_u16(kind));
    let listed = u16::try_from(list.len()).unwrap_or(0);
    list.resize(list.len().next_multiple_of(4), 0);
    let mut message = header(BINDING_ERROR, 8 + 4 + u16::try_from(list.len()).unwrap_or(0), id);
    message.put_u16(ERROR_CODE);
    message.put_u16(4);
    message.put_slice(&[0, 0, 4, 20]);
    message.put_u16(UNKNOWN_ATTRIBUTES);
    message.put_u16(listed);
    message.put_slice(&list);
    message.freeze()
}

/// The client's side of the keep-alive of one UDP flow (RFC 5626 §4.4.2).
///
/// To be used only where the next hop is known to take part (§8): STUN to a server that knows nothing of it may be
/// taken for an attack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeepAlive {
    interval: Interval,
    state: State,
    mapped: Option<SocketAddr>,
    outputs: VecDeque<KeepAliveOutput>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum State {
    /// The next request leaves at that time.
    Waiting { until: Time },
    /// A request was sent so many times; at that time it is sent again, or has failed.
    Asking { id: TransactionId, sent: u8, wait: Duration, until: Time },
    /// The flow is given up.
    Failed,
}

/// What a [`KeepAlive`] wants done or known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeepAliveOutput {
    /// A datagram for the flow.
    Transmit(Bytes),
    /// The first answer: the server sees us at this address.
    Mapped(SocketAddr),
    /// The flow has failed and is to be replaced (RFC 5626 §4.5). Nothing follows.
    Failed(FlowFailure),
}

/// Why a flow is given up (RFC 5626 §4.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum FlowFailure {
    /// None of seven requests was answered, in 39.5 s.
    #[error("no answer")]
    NoAnswer,
    /// The server answered with this error.
    #[error("error {0}")]
    Refused(u16),
    /// The server sees us at another address: the binding of a NAT was lost.
    #[error("mapped address changed from {from} to {to}")]
    AddressChanged {
        /// The address of the answers before.
        from: SocketAddr,
        /// The address now.
        to: SocketAddr,
    },
}

impl KeepAlive {
    /// The keep-alive of a flow over which the server has just answered.
    pub fn new(now: Time, interval: Interval, random: &mut Random) -> KeepAlive {
        let state = State::Waiting { until: now + interval.draw(random) };
        KeepAlive { interval, state, mapped: None, outputs: VecDeque::new() }
    }

    /// Takes a datagram of the flow for which [`is_stun`] holds.
    pub fn handle_datagram(&mut self, now: Time, datagram: &[u8], random: &mut Random) {
        let State::Asking { id: asked, .. } = self.state else { return };
        match Binding::parse(datagram) {
            Ok(Binding::Success { id, mapped }) if id == asked => self.on_mapped(now, mapped, random),
            Ok(Binding::Error { id, code }) if id == asked => self.fail(FlowFailure::Refused(code)),
            Ok(Binding::Success { .. } | Binding::Error { .. } | Binding::Request { .. }) | Err(_) => {}
        }
    }

    /// Sends what is due by `now`.
    pub fn handle_timeout(&mut self, now: Time, random: &mut Random) {
        match self.state {
            State::Waiting { until } if until <= now => {
                let id = TransactionId::new(random);
                self.state = State::Asking { id, sent: 1, wait: RTO, until: now + RTO };
                self.outputs.push_back(KeepAliveOutput::Transmit(request(id)));
            }
            State::Asking { sent: SENDINGS.., until, .. } if until <= now => {
                self.fail(FlowFailure::NoAnswer);
            }
            State::Asking { id, sent, wait, until } if until <= now => {
                let sent = sent + 1;
                let (wait, next) = (wait * 2, if sent == SENDINGS { RTO * LAST_WAIT } else { wait * 2 });
                self.state = State::Asking { id, sent, wait, until: now + next };
                self.outputs.push_back(KeepAliveOutput::Transmit(request(id)));
            }
            State::Waiting { .. } | State::Asking { .. } | State::Failed => {}
        }
    }

    /// The next thing to do or to know.
    pub fn poll_output(&mut self) -> Option<KeepAliveOutput> {
        self.outputs.pop_front()
    }

    /// When [`KeepAlive::handle_timeout`] is due; `None` once the flow has failed.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.state {
            State::Waiting { until } | State::Asking { until, .. } => Some(until),
            State::Failed => None,
        }
    }

    fn on_mapped(&mut self, now: Time, mapped: SocketAddr, random: &mut Random) {
        match self.mapped {
            Some(before) if before != mapped => {
                self.fail(FlowFailure::AddressChanged { from: before, to: mapped });
                return;
            }
            Some(_) => {}
            None => self.outputs.push_back(KeepAliveOutput::Mapped(mapped)),
        }
        self.mapped = Some(mapped);
        self.state = State::Waiting { until: now + self.interval.draw(random) };
    }

    fn fail(&mut self, failure: FlowFailure) {
        self.state = State::Failed;
        self.outputs.push_back(KeepAliveOutput::Failed(failure));
    }
}
