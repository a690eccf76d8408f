//! Via: the path a request took and its responses take back (RFC 3261 §18.2, §20.42; RFC 3581 `rport`;
//! RFC 5118 §4.5 for IPv6).

use crate::message::equivalence::same_host;
use crate::message::{Offence, Params, grammar, uri};
use core::net::IpAddr;

/// What every branch of an RFC 3261 client begins with (§8.1.1.7).
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// The `rport` parameter (RFC 3581 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rport {
    /// Not there: the response goes to the port of sent-by.
    Absent,
    /// There without a value: the client asks for symmetric responses.
    Requested,
    /// Filled in by a server.
    Port(u16),
}

/// One Via element.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// The transport as it stands: `UDP`, `TCP`, `TLS`, … (without regard to case).
    pub transport: &'a [u8],
    /// The host of sent-by; an IPv6 reference keeps its brackets.
    pub host: &'a [u8],
    /// The port of sent-by, where one is given.
    pub port: Option<u16>,
    /// The branch, where one is given.
    pub branch: Option<&'a [u8]>,
    /// The address a server saw the request come from (§18.2.1).
    pub received: Option<&'a [u8]>,
    /// Where the client wants the response (RFC 3581).
    pub rport: Rport,
    /// All parameters, those above included.
    pub params: Params<'a>,
    /// Everything before the parameters, as it stands.
    pub(crate) head: &'a [u8],
    /// The text of the parameter `rport`, its semicolon included; empty when there is none, or more than one.
    pub(crate) rport_text: &'a [u8],
    /// There is a parameter `oc` (RFC 7339 §4.1).
    pub(crate) has_oc: bool,
}

/// Less than 128 bytes are moved without a call of `memcpy`.
const _: () = assert!(size_of::<Via<'_>>() <= 128);

impl<'a> Via<'a> {
    /// Reads one element: `protocol "/" version "/" transport LWS host [":" port] *( ";" param )`.
    ///
    /// # Errors
    /// What is malformed. A protocol other than `SIP/2.0` counts as malformed.
    #[inline]
    pub fn parse(text: &'a [u8]) -> Result<Via<'a>, Offence> {
        let text = grammar::trim(text);
        let rest = match text.split_at_checked(8) {
            Some((protocol, rest)) if protocol.eq_ignore_ascii_case(b"SIP/2.0/") => rest,
            Some(_) | None => spaced_protocol(text).ok_or(Offence::Malformed)?,
        };
        let (transport, rest) = grammar::run(grammar::skip_lws(rest), grammar::TOKEN);
        let sent_by = grammar::skip_lws(rest);
        if transport.is_empty() || sent_by.len() == rest.len() {
            return Err(Offence::Malformed);
        }
        let (host, rest) = uri::host(sent_by).ok_or(Offence::Malformed)?;
        let (port, rest) = sent_by_port(rest).ok_or(Offence::Malformed)?;
        let head = text.get(..text.len() - rest.len()).unwrap_or_default();
        let params = Params::checked(rest);
        let via = Via {
            transport,
            host,
            port,
            branch: None,
            received: None,
            rport: Rport::Absent,
            params,
            head: grammar::trim_end(head),
            rport_text: &[],
            has_oc: false,
        };
        via.with_params(rest)
    }

    /// Checks the parameters and picks out the known ones in one go; of a repeated one the first counts.
    #[inline]
    fn with_params(mut self, text: &'a [u8]) -> Result<Via<'a>, Offence> {
        let mut rest = text;
        while let Some((param, next)) = crate::message::params::split_first(rest, grammar::TOKEN)? {
            let text = rest.get(..rest.len() - next.len()).unwrap_or_default();
            rest = next;
            let name = param.name;
            if name.eq_ignore_ascii_case(b"branch") {
                self.branch = self.branch.or(param.value);
            } else if name.eq_ignore_ascii_case(b"rport") {
                if self.rport == Rport::Absent {
                    self.rport = rport(param.value)?;
                    self.rport_text = text;
                } else {
                    self.rport_text = &[];
                }
            } else if name.eq_ignore_ascii_case(b"received") {
                self.received = self.received.or(param.value);
            } else if name.eq_ignore_ascii_case(b"ttl") {
                let ttl = param.value.and_then(grammar::digits).and_then(|ttl| u8::try_from(ttl).ok());
                ttl.ok_or(Offence::Parameters)?;
            } else if name.eq_ignore_ascii_case(b"oc") {
                self.has_oc = true;
            }
        }
        Ok(self)
    }

    /// Whether the branch identifies the transaction by itself (§17.2.3): it has the cookie and something behind it.
    pub fn is_rfc3261_branch(&self) -> bool {
        self.branch
            .is_some_and(|branch| branch.starts_with(MAGIC_COOKIE) && branch.len() > MAGIC_COOKIE.len())
    }

    /// The host of sent-by as an address, if it is one.
    pub fn sent_by_ip(&self) -> Option<IpAddr> {
        uri::host_ip(self.host)
    }

    /// `received` as an address; an IPv6 one may stand in brackets or not (RFC 5118 §4.5).
    pub fn received_ip(&self) -> Option<IpAddr> {
        uri::host_ip(self.received?)
    }

    /// Whether sent-by names the same host and port (§17.2.3, §18.1.2); ports are compared as written.
    pub fn same_sent_by(&self, other: &Via<'_>) -> bool {
        same_host(self.host, other.host) && self.port == other.port
    }
}

/// `"SIP" SLASH "2.0" SLASH` with white space round the slashes.
fn spaced_protocol(text: &[u8]) -> Option<&[u8]> {
    let (name, rest) = grammar::run(text, grammar::TOKEN);
    let rest = grammar::skip_lws(rest).strip_prefix(b"/")?;
    let (version, rest) = grammar::run(grammar::skip_lws(rest), grammar::TOKEN);
    let rest = grammar::skip_lws(rest).strip_prefix(b"/")?;
    (name.eq_ignore_ascii_case(b"SIP") && version == b"2.0").then_some(rest)
}

/// `[ COLON port ]` with white space round the colon.
#[inline]
fn sent_by_port(text: &[u8]) -> Option<(Option<u16>, &[u8])> {
    let Some((b':', rest)) = grammar::skip_lws(text).split_first() else { return Some((None, text)) };
    let rest = grammar::skip_lws(rest);
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    Some((Some(u16::try_from(grammar::digits(number)?).ok()?), rest))
}

fn rport(value: Option<&[u8]>) -> Result<Rport, Offence> {
    let Some(value) = value else { return Ok(Rport::Requested) };
    let port = grammar::digits(value).and_then(|port| u16::try_from(port).ok());
    port.map(Rport::Port).ok_or(Offence::Parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_folding_may_stand_between_all_parts() {
        let via = Via::parse(b"SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5070;branch=390skdjuw").unwrap();
        assert_eq!((via.transport, via.host, via.port), (&b"UDP"[..], &b"192.0.2.2"[..], Some(5070)));
        assert!(!via.is_rfc3261_branch());
    }

    #[test]
    fn the_cookie_alone_is_no_branch() {
        assert!(!Via::parse(b"SIP/2.0/UDP h;branch=z9hG4bK").unwrap().is_rfc3261_branch());
        assert!(Via::parse(b"SIP/2.0/UDP h;branch=z9hG4bKx").unwrap().is_rfc3261_branch());
    }

    #[test]
    fn rport_is_absent_requested_or_filled_in() {
        assert_eq!(Via::parse(b"SIP/2.0/UDP h").unwrap().rport, Rport::Absent);
        assert_eq!(Via::parse(b"SIP/2.0/UDP h;rport").unwrap().rport, Rport::Requested);
        assert_eq!(Via::parse(b"SIP/2.0/UDP h;rport=9988").unwrap().rport, Rport::Port(9988));
        assert!(Via::parse(b"SIP/2.0/UDP h;rport=99999").is_err());
    }

    #[test]
    fn received_may_have_brackets_or_not() {
        for text in [
            &b"SIP/2.0/UDP [::1];received=2001:db8::9:255"[..],
            b"SIP/2.0/UDP [::1];received=[2001:db8::9:255]",
        ] {
            let via = Via::parse(text).unwrap();
            assert_eq!(via.received_ip(), "2001:db8::9:255".parse().ok());
            assert_eq!(via.sent_by_ip(), "::1".parse().ok());
        }
    }

    #[test]
    fn malformed_elements_are_refused() {
        for text in [
            &b""[..],
            b"SIP/2.0/UDP",
            b"SIP/2.0/UDP ",
            b"SIP/2.0 h",
            b"SIP/3.0/UDP h",
            b"HTTP/2.0/UDP h",
            b"SIP/2.0/UDP h:",
            b"SIP/2.0/UDP h:70000",
            b"SIP/2.0/UDP 192.0.2.15;;,;,,",
            b"SIP/2.0/UDP h;ttl=256",
            b"SIP/2.0/UDP 2001:db8::1",
            b"SIP/2.0/UDP h h",
            b"SIP/2.0/UDP h;branch=",
        ] {
            assert!(Via::parse(text).is_err(), "{:?}", core::str::from_utf8(text));
        }
    }
}
