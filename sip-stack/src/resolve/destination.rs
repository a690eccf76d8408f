//! What has to be located: the parts of a URI, or of a Via, that RFC 3263 looks at (§4, §5).
//!
//! Left out on purpose: SCTP. Whether a peer may send us to an address of our own network is the caller's to judge.

use super::Host;
use crate::header::Via;
use crate::message::{Scheme, Uri};
use crate::transport::Transport;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// Transports that the caller can use for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportSet(u8);

impl TransportSet {
    /// The set without the transport `left_out`, for instance UDP for a request that exceeds the path MTU.
    #[must_use]
    pub const fn without(self, left_out: Transport) -> TransportSet {
        TransportSet(self.0 & !Self::bit(left_out))
    }

    /// The transports of the set that `sips` allows: those over TLS.
    pub(super) const fn secure(self) -> TransportSet {
        TransportSet(self.0 & (Self::bit(Transport::Tls) | Self::bit(Transport::Wss)))
    }

    /// Whether `transport` is in the set.
    pub const fn contains(self, transport: Transport) -> bool {
        self.0 & Self::bit(transport) != 0
    }

    const fn bit(transport: Transport) -> u8 {
        match transport {
            Transport::Udp => 1,
            Transport::Tcp => 2,
            Transport::Tls => 4,
            Transport::Ws => 8,
            Transport::Wss => 16,
        }
    }
}

impl FromIterator<Transport> for TransportSet {
    fn from_iter<I: IntoIterator<Item = Transport>>(transports: I) -> TransportSet {
        TransportSet(transports.into_iter().fold(0, |set, transport| set | Self::bit(transport)))
    }
}

/// What RFC 3263 needs to know of a URI or a Via.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// TARGET of RFC 3263 §4: `maddr` if present, else the host.
    pub target: Host,
    /// The host of the URI, which the certificate of a server must name (RFC 5922 §7.3).
    pub identity: Host,
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The transport, where one is given.
    pub transport: Option<Transport>,
    /// Whether only TLS will do, alone or below WebSocket (`sips`).
    pub secure: bool,
    /// An address that is tried before anything is looked up: `received` of a Via (RFC 3261 §18.2.2).
    pub first: Option<IpAddr>,
}

/// Why nothing can be located for a URI or Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// The scheme is neither `sip` nor `sips`.
    #[error("the URI is neither sip nor sips")]
    Scheme,
    /// The host or `maddr` is no address and no name, or the port is 0.
    #[error("the host or port of the URI cannot exist")]
    Host,
    /// The transport is none of ours, or not secure although `sips` asks for that, or cannot be opened towards a client.
    #[error("the URI asks for a transport that cannot be used")]
    Transport,
}

impl Destination {
    /// The destination of a Request-URI or of the first route (RFC 3261 §8.1.2 says which).
    ///
    /// # Errors
    /// [`DestinationError`] when no server can be meant.
    pub fn of_uri(uri: &Uri<'_>) -> Result<Destination, DestinationError> {
        let secure = match uri.scheme {
            Scheme::Sip => false,
            Scheme::Sips => true,
            Scheme::Tel | Scheme::Other => return Err(DestinationError::Scheme),
        };
        let identity = Host::new(uri.host).ok_or(DestinationError::Host)?;
        let target = match uri.params.value(b"maddr") {
            Some(maddr) => Host::new(maddr).ok_or(DestinationError::Host)?,
            None => identity.clone(),
        };
        let transport = match uri.params.value(b"transport") {
            Some(named) => Some(transport_parameter(named, secure).ok_or(DestinationError::Transport)?),
            None => None,
        };
        Destination { target, identity, port: uri.port, transport, secure, first: None }.checked()
    }

    /// Where to send a response that could not be sent the way its request came (RFC 3261 §18.2.2, RFC 3263 §5): over a
    /// stream first to `received`, then to what sent-by leads to.
    ///
    /// # Errors
    /// [`DestinationError::Transport`] for a transport unknown to us and for WebSocket, whose clients accept no connection
    /// (RFC 7118 §5.3); [`DestinationError::Host`] for a sent-by that cannot exist.
    pub fn of_via(via: &Via<'_>) -> Result<Destination, DestinationError> {
        let named = |name: &str| via.transport.eq_ignore_ascii_case(name.as_bytes());
        let opens = [Transport::Udp, Transport::Tcp, Transport::Tls];
        let transport = opens.into_iter().find(|transport| named(transport.name()));
        let transport = transport.ok_or(DestinationError::Transport)?;
        let target = Host::new(via.host).ok_or(DestinationError::Host)?;
        Destination {
            identity: target.clone(),
            target,
            port: via.port,
            transport: Some(transport),
            secure: transport.is_secure(),
            first: via.received_ip().filter(|_| transport.is_reliable()),
        }
        .checked()
    }

    fn checked(self) -> Result<Destination, DestinationError> {
        let nowhere = matches!(&self.target, Host::Ip(ip) if ip.is_unspecified());
        let nowhere = nowhere || self.first.is_some_and(|ip| ip.is_unspecified());
        if nowhere || self.port == Some(0) { Err(DestinationError::Host) } else { Ok(self) }
    }
}

/// The `transport` parameter (RFC 3261 §19.1.1, RFC 7118 §5.2): `sips` puts TLS below it (RFC 3261 §26.2.2). `tls` is
/// deprecated there and widely used.
fn transport_parameter(named: &[u8], secure: bool) -> Option<Transport> {
    const NAMES: [(&[u8], Option<Transport>, Option<Transport>); 4] = [
        (b"udp", Some(Transport::Udp), None),
        (b"tcp", Some(Transport::Tcp), Some(Transport::Tls)),
        (b"tls", Some(Transport::Tls), Some(Transport::Tls)),
        (b"ws", Some(Transport::Ws), Some(Transport::Wss)),
    ];
    let (_, plain, over_tls) = NAMES.iter().find(|(name, ..)| named.eq_ignore_ascii_case(name))?;
    if secure { *over_tls } else { *plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_uri(text: &str) -> Result<Destination, DestinationError> {
        Destination::of_uri(&Uri::parse(text.as_bytes()).unwrap())
    }

    fn of_via(text: &str) -> Result<Destination, DestinationError> {
        Destination::of_via(&Via::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn maddr_is_the_target_and_the_host_the_identity() {
        let found = of_uri("sip:a@example.com;maddr=192.0.2.1").unwrap();
        assert_eq!(
            (found.target.to_string(), found.identity.to_string()),
            ("192.0.2.1".into(), "example.com".into())
        );
        assert_eq!(of_uri("sip:a@example.com;maddr=[::1").unwrap_err(), DestinationError::Host);
    }

    #[test]
    fn sips_puts_tls_below_the_transport() {
        let transport = |text| of_uri(text).map(|found| found.transport);
        assert_eq!(transport("sip:h;transport=TCP"), Ok(Some(Transport::Tcp)));
        assert_eq!(transport("sip:h;transport=tls"), Ok(Some(Transport::Tls)));
        assert_eq!(transport("sip:h;transport=ws"), Ok(Some(Transport::Ws)));
        assert_eq!(transport("sips:h;transport=tcp"), Ok(Some(Transport::Tls)));
        assert_eq!(transport("sips:h;transport=ws"), Ok(Some(Transport::Wss)));
        assert_eq!(transport("sips:h"), Ok(None));
        assert_eq!(transport("sips:h;transport=udp"), Err(DestinationError::Transport));
        assert_eq!(transport("sip:h;transport=sctp"), Err(DestinationError::Transport));
    }

    #[test]
    fn what_cannot_be_a_server_is_refused() {
        assert_eq!(of_uri("tel:+1"), Err(DestinationError::Scheme));
        assert_eq!(of_uri("sip:a@h:0"), Err(DestinationError::Host));
        assert_eq!(of_uri("sip:a@0.0.0.0"), Err(DestinationError::Host));
        assert_eq!(of_uri("sip:a@a..b"), Err(DestinationError::Host));
    }

    #[test]
    fn a_response_over_a_stream_goes_to_received_first() {
        let over_tcp =
            of_via("SIP/2.0/TCP host.example.com:5070;branch=z9hG4bK1;received=192.0.2.9").unwrap();
        assert_eq!(over_tcp.first, Some("192.0.2.9".parse().unwrap()));
        assert_eq!((over_tcp.port, over_tcp.transport), (Some(5070), Some(Transport::Tcp)));
        let over_udp = of_via("SIP/2.0/UDP host.example.com;branch=z9hG4bK1;received=192.0.2.9").unwrap();
        assert_eq!((over_udp.first, over_udp.secure), (None, false));
        assert!(of_via("SIP/2.0/TLS host.example.com;branch=z9hG4bK1").unwrap().secure);
        let over_ws = of_via("SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK1");
        assert_eq!(over_ws, Err(DestinationError::Transport));
    }
}
