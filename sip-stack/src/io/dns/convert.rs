//! Between the types of the DNS library and those of [`crate::resolve`].

use crate::resolve::{Answer, Kind, Name, Naptr, Records, Srv};
use core::time::Duration;
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
use hickory_resolver::proto::rr::{self, RData, RecordType};

/// `name` for the DNS: absolute, unless it is of one label.
pub(super) fn name(name: &Name) -> Option<rr::Name> {
    let mut absolute = rr::Name::from_ascii(name.as_str()).ok()?;
    absolute.set_fqdn(name.as_str().contains('.'));
    Some(absolute)
}

pub(super) const fn kind(kind: Kind) -> RecordType {
    match kind {
        Kind::Naptr => RecordType::NAPTR,
        Kind::Srv => RecordType::SRV,
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
    }
}

pub(super) fn answer(kind: Kind, looked_up: Result<Lookup, NetError>) -> Answer {
    let lookup = match looked_up {
        Ok(lookup) => lookup,
        Err(NetError::Timeout) => return Answer::TimedOut,
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            return match none.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => Answer::NoSuchName,
                _ => Answer::Failed,
            };
        }
        Err(_) => return Answer::Failed,
    };
    let data = || lookup.answers().iter().map(|record| &record.data);
    let records = match kind {
        Kind::Naptr => Records::Naptr(data().filter_map(naptr).collect()),
        Kind::Srv => Records::Srv(data().filter_map(srv).collect()),
        Kind::A => Records::A(
            data().filter_map(|data| if let RData::A(a) = data { Some(a.0) } else { None }).collect(),
        ),
        Kind::Aaaa => Records::Aaaa(
            data()
                .filter_map(|data| if let RData::AAAA(aaaa) = data { Some(aaaa.0) } else { None })
                .collect(),
        ),
    };
    let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
    Answer::Records { records, ttl: Duration::from_secs(ttl.into()) }
}

fn naptr(data: &RData) -> Option<Naptr> {
    let RData::NAPTR(NAPTR { order, preference, flags, services, regexp, replacement, .. }) = data else {
        return None;
    };
    let text = |bytes: &[u8]| core::str::from_utf8(bytes).ok().map(Box::from);
    Some(Naptr {
        order: *order,
        preference: *preference,
        flags: text(flags)?,
        services: text(services)?,
        has_regexp: !regexp.is_empty(),
        replacement: self::name_of(replacement),
    })
}

/// A record whose target is neither a host nor the root is as good as none.
fn srv(data: &RData) -> Option<Srv> {
    let RData::SRV(SRV { priority, weight, port, target, .. }) = data else { return None };
    let host = name_of(target);
    if host.is_none() && !target.is_root() {
        return None;
    }
    Some(Srv { priority: *priority, weight: *weight, port: *port, target: host })
}

fn name_of(name: &rr::Name) -> Option<Name> {
    Name::new(name.to_ascii().as_bytes())
}
