//! The procedure of RFC 3263 §4 as steps that answers of the DNS turn into further steps: a domain into services
//! (§4.1), services into hosts, hosts into addresses (§4.2). Each leads strictly down, so no records can make a loop.
//!
//! A failed or unanswered NAPTR or SRV question counts like one without records, because some routers at home know
//! nothing but addresses. Left out on purpose: NAPTR records without flag `s`, and with a regular expression, neither
//! of which SIP uses; the order of RFC 6724 among addresses of one family.

use super::record::{Answer, Kind, Query, Records, Srv};
use super::{Destination, Host, Name, TransportSet, select};
use crate::random::Random;
use crate::transport::Transport;
use core::net::{IpAddr, SocketAddr};
use serde::{Deserialize, Serialize};

/// Services of a domain that are asked about.
const MAX_SERVICES: usize = 8;

/// The families of addresses that we have, and which is tried first (RFC 7984).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Families {
    /// IPv4 alone.
    #[default]
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// Both, IPv4 first.
    Ipv4First,
    /// Both, IPv6 first.
    Ipv6First,
}

impl Families {
    const fn kinds(self) -> &'static [Kind] {
        match self {
            Families::Ipv4 => &[Kind::A],
            Families::Ipv6 => &[Kind::Aaaa],
            Families::Ipv4First => &[Kind::A, Kind::Aaaa],
            Families::Ipv6First => &[Kind::Aaaa, Kind::A],
        }
    }

    const fn have(self, ip: IpAddr) -> bool {
        match (self, ip) {
            (Families::Ipv4, IpAddr::V6(_)) | (Families::Ipv6, IpAddr::V4(_)) => false,
            (Families::Ipv4, IpAddr::V4(_))
            | (Families::Ipv6, IpAddr::V6(_))
            | (Families::Ipv4First | Families::Ipv6First, _) => true,
        }
    }
}

/// A name under which SRV records are expected, and the transport they are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Service {
    name: Name,
    transport: Transport,
}

/// One step towards addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// A domain whose services are not known yet.
    Domain { name: Name, transports: TransportSet },
    /// Services of `domain`; if none has records, the domain itself is the host for transport `otherwise`.
    Services { domain: Name, services: Vec<Service>, otherwise: Transport },
    /// A host whose addresses are not known yet.
    Host { name: Name, port: u16, transport: Transport },
    /// An address to try.
    Address { address: SocketAddr, transport: Transport },
}

/// The steps to begin with; none when the destination can be reached by none of `transports`.
pub(super) fn begin(destination: &Destination, transports: TransportSet, families: Families) -> Vec<Step> {
    let transports = if destination.secure { transports.secure() } else { transports };
    let transport = match destination.transport {
        Some(transport) => Some(transport).filter(|transport| transports.contains(*transport)),
        None => default_transport(transports),
    };
    let Some(transport) = transport else { return Vec::new() };
    let port = destination.port.unwrap_or(transport.default_port());
    let mut steps: Vec<Step> =
        destination.first.and_then(|ip| at(ip, port, transport, families)).into_iter().collect();
    match (&destination.target, destination.port, destination.transport) {
        (Host::Ip(ip), _, _) => steps.extend(at(*ip, port, transport, families)),
        (Host::Name(name), Some(_), _) => steps.push(Step::Host { name: name.clone(), port, transport }),
        (Host::Name(name), None, Some(_)) => steps.push(services(name, &[transport], transport)),
        (Host::Name(name), None, None) => steps.push(Step::Domain { name: name.clone(), transports }),
    }
    steps
}

/// The transport where neither URI nor DNS names one: UDP, or TLS over TCP for `sips` (§4.1), else what there is.
fn default_transport(transports: TransportSet) -> Option<Transport> {
    let order = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
    order.into_iter().find(|transport| transports.contains(*transport))
}

fn at(ip: IpAddr, port: u16, transport: Transport, families: Families) -> Option<Step> {
    let ip = ip.to_canonical();
    let address = SocketAddr::new(ip, port);
    (families.have(ip) && !ip.is_unspecified()).then_some(Step::Address { address, transport })
}

/// The services of `domain` under their well-known names (§4.1, §4.2).
fn services(domain: &Name, transports: &[Transport], otherwise: Transport) -> Step {
    let named = |transport: &Transport| {
        let name = domain.service(match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
            // No names are registered for WebSocket; only NAPTR leads to such a service (RFC 7118 §5.5).
            Transport::Ws | Transport::Wss => return None,
        });
        name.map(|name| Service { name, transport: *transport })
    };
    Step::Services {
        domain: domain.clone(),
        services: transports.iter().filter_map(named).collect(),
        otherwise,
    }
}

impl Step {
    /// What has to be asked before the step can be taken.
    pub(super) fn queries(&self, families: Families) -> Vec<Query> {
        let query = |name: &Name, kind| Query { name: name.clone(), kind };
        match self {
            Step::Domain { name, .. } => vec![query(name, Kind::Naptr)],
            Step::Services { services, .. } => {
                services.iter().map(|service| query(&service.name, Kind::Srv)).collect()
            }
            Step::Host { name, .. } => families.kinds().iter().map(|kind| query(name, *kind)).collect(),
            Step::Address { .. } => Vec::new(),
        }
    }

    /// Takes the step with `answers`, one for each of the queries and in their order; returns what follows, in the
    /// order to be tried. An address is followed by nothing.
    pub(super) fn take(self, answers: &[&Answer], families: Families, random: &mut Random) -> Vec<Step> {
        let records: Vec<Option<&Records>> = answers.iter().map(|answer| answer.records()).collect();
        match self {
            Step::Domain { name, transports } => vec![by_naptr(&name, transports, &records)],
            Step::Services { domain, services, otherwise } => {
                let port = otherwise.default_port();
                if records.iter().all(Option::is_none) {
                    return vec![Step::Host { name: domain, port, transport: otherwise }];
                }
                services
                    .iter()
                    .zip(records)
                    .flat_map(|(service, found)| hosts(service, found, random))
                    .collect()
            }
            Step::Host { port, transport, .. } => {
                let addresses = records.into_iter().flatten().flat_map(Records::addresses);
                addresses.filter_map(|ip| at(ip, port, transport, families)).collect()
            }
            Step::Address { .. } => Vec::new(),
        }
    }
}

/// Chooses the services of `domain` (§4.1). Records of no use are discarded; of the others those with the lowest order
/// count alone (RFC 3403 §4.1), by preference. If none is left, the services that we could use are asked for directly.
fn by_naptr(domain: &Name, transports: TransportSet, records: &[Option<&Records>]) -> Step {
    let mut usable = Vec::new();
    for record in records.iter().flatten() {
        let Records::Naptr(records) = record else { continue };
        usable.extend(records.iter().filter_map(|record| {
            let transport = record.transport().filter(|transport| transports.contains(*transport))?;
            let service = Service { name: record.replacement.clone()?, transport };
            Some((record.order, record.preference, service))
        }));
    }
    usable.sort_by_key(|(order, preference, _)| (*order, *preference));
    let Some((lowest, _, first)) = usable.first() else {
        let known = [Transport::Udp, Transport::Tcp, Transport::Tls].into_iter();
        let known: Vec<Transport> = known.filter(|transport| transports.contains(*transport)).collect();
        let otherwise = default_transport(transports).unwrap_or(Transport::Udp);
        return services(domain, &known, otherwise);
    };
    let (lowest, otherwise) = (*lowest, first.transport);
    let services = usable.into_iter().take_while(|(order, ..)| *order == lowest).map(|(.., service)| service);
    Step::Services { domain: domain.clone(), services: services.take(MAX_SERVICES).collect(), otherwise }
}

/// The servers of `service` in the order to try them. A target that is the root says that the service is decidedly not
/// there (RFC 2782).
fn hosts(service: &Service, records: Option<&Records>, random: &mut Random) -> Vec<Step> {
    let Some(Records::Srv(records)) = records else { return Vec::new() };
    let host = |record: Srv| {
        let name = record.target.filter(|_| record.port != 0)?;
        Some(Step::Host { name, port: record.port, transport: service.transport })
    };
    select::in_order(records, random).into_iter().filter_map(host).collect()
}
