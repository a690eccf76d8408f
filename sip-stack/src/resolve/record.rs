//! Questions to the DNS and its answers, as data (RFC 1035, RFC 2782 SRV, RFC 3403 NAPTR, RFC 3596 AAAA).
//!
//! Left out on purpose: aliases (CNAME, DNAME), truncation and retries, which are the business of whoever asks the DNS
//! for us, and every field of a record that the location of SIP servers has no use for.

use super::Name;
use crate::transport::Transport;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Records of one answer that count; the rest is dropped.
pub const MAX_RECORDS: usize = 32;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Services of a domain (RFC 3403).
    Naptr,
    /// Servers of a service (RFC 2782).
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

/// A question to the DNS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Query {
    /// The name asked about, absolute.
    pub name: Name,
    /// The records wanted.
    pub kind: Kind,
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Naptr => "NAPTR",
            Kind::Srv => "SRV",
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
        };
        write!(f, "{} {kind}", self.name)
    }
}

/// A NAPTR record (RFC 3403 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naptr {
    /// Records of the lowest order count alone.
    pub order: u16,
    /// Among equal orders the lowest is tried first.
    pub preference: u16,
    /// `s` when an SRV record follows.
    pub flags: Box<str>,
    /// The service, such as `SIP+D2U`.
    pub services: Box<str>,
    /// Whether there is a regular expression; SIP uses none (RFC 3263 §4.1).
    pub has_regexp: bool,
    /// The name to go on with; `None` for the root or for what is no [`Name`].
    pub replacement: Option<Name>,
}

impl Naptr {
    /// The transport of the service that the record leads to (RFC 3263 §4.1, RFC 7118 §10.2); `None` when the record is
    /// of no use to SIP.
    pub(super) fn transport(&self) -> Option<Transport> {
        const SERVICES: [(&str, Transport); 5] = [
            ("SIP+D2U", Transport::Udp),
            ("SIP+D2T", Transport::Tcp),
            ("SIPS+D2T", Transport::Tls),
            ("SIP+D2W", Transport::Ws),
            ("SIPS+D2W", Transport::Wss),
        ];
        if self.has_regexp || self.replacement.is_none() || !self.flags.eq_ignore_ascii_case("s") {
            return None;
        }
        let known = SERVICES.iter().find(|(service, _)| self.services.eq_ignore_ascii_case(service));
        known.map(|(_, transport)| *transport)
    }
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Srv {
    /// Lower ones are tried first.
    pub priority: u16,
    /// The share of the load among equal priorities.
    pub weight: u16,
    /// The port of the service.
    pub port: u16,
    /// The host; `None` for the root: the service is decidedly not there.
    pub target: Option<Name>,
}

/// Records of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Records {
    /// NAPTR records.
    Naptr(Vec<Naptr>),
    /// SRV records.
    Srv(Vec<Srv>),
    /// IPv4 addresses.
    A(Vec<Ipv4Addr>),
    /// IPv6 addresses.
    Aaaa(Vec<Ipv6Addr>),
}

impl Records {
    /// The records that count, or `None` if there are none. A domain may have any number of NAPTR records for other ends
    /// than SIP; they go first.
    fn bounded(mut self) -> Option<Records> {
        let empty = match &mut self {
            Records::Naptr(records) => {
                records.retain(|record| record.transport().is_some());
                cut(records)
            }
            Records::Srv(records) => cut(records),
            Records::A(records) => cut(records),
            Records::Aaaa(records) => cut(records),
        };
        (!empty).then_some(self)
    }

    const fn kind(&self) -> Kind {
        match self {
            Records::Naptr(_) => Kind::Naptr,
            Records::Srv(_) => Kind::Srv,
            Records::A(_) => Kind::A,
            Records::Aaaa(_) => Kind::Aaaa,
        }
    }

    /// The addresses among the records.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Records::A(addresses) => addresses.iter().copied().map(IpAddr::V4).collect(),
            Records::Aaaa(addresses) => addresses.iter().copied().map(IpAddr::V6).collect(),
            Records::Naptr(_) | Records::Srv(_) => Vec::new(),
        }
    }
}

/// Keeps the first [`MAX_RECORDS`] and returns whether there are none.
fn cut<T>(records: &mut Vec<T>) -> bool {
    records.truncate(MAX_RECORDS);
    records.shrink_to_fit();
    records.is_empty()
}

/// What the DNS said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Records, and how long they may be kept.
    Records {
        /// In the order they came.
        records: Records,
        /// The least time to live of the records and of the aliases that led to them.
        ttl: Duration,
    },
    /// There is no such name, or it has no records of the kind.
    NoSuchName,
    /// The servers of the DNS failed or refused.
    Failed,
    /// The servers of the DNS were silent.
    TimedOut,
}

impl Answer {
    /// The answer as it counts for a question about `kind`: no more than [`MAX_RECORDS`], and records of another kind
    /// are a failure.
    pub(super) fn checked(self, kind: Kind) -> Answer {
        match self {
            Answer::Records { records, .. } if records.kind() != kind => Answer::Failed,
            Answer::Records { records, ttl } => match records.bounded() {
                Some(records) => Answer::Records { records, ttl },
                None => Answer::NoSuchName,
            },
            Answer::NoSuchName | Answer::Failed | Answer::TimedOut => self,
        }
    }

    /// The records, if there are any.
    pub(super) fn records(&self) -> Option<&Records> {
        match self {
            Answer::Records { records, .. } => Some(records),
            Answer::NoSuchName | Answer::Failed | Answer::TimedOut => None,
        }
    }

    /// Whether the DNS said nothing, so that another answer may come later.
    pub(super) const fn is_failure(&self) -> bool {
        match self {
            Answer::Records { .. } | Answer::NoSuchName => false,
            Answer::Failed | Answer::TimedOut => true,
        }
    }
}
