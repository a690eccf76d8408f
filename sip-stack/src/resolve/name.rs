//! Domain names as SIP uses them (RFC 1035 §2.3, RFC 3261 §25.1 `hostname`, RFC 2782 `_service._proto`).
//!
//! Left out on purpose: escapes and bytes that no host name has, internationalised names (they arrive as A-labels),
//! and the root.

use core::fmt;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes of a name in text, without the dot of the root (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;
/// Bytes of a label (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// An absolute domain name in lower case, without the dot of the root; letters, digits, `-`, `_` and dots alone, so
/// that it may stand in a log as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name(Arc<str>);

impl Name {
    /// Reads a name, with or without the dot of the root. `None` for anything that no host or service is called.
    pub fn new(text: &[u8]) -> Option<Name> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        let sound = |label: &[u8]| {
            (1..=MAX_LABEL).contains(&label.len())
                && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if text.len() > MAX_NAME || !text.split(|&byte| byte == b'.').all(sound) {
            return None;
        }
        Some(Name(core::str::from_utf8(text).ok()?.to_ascii_lowercase().into()))
    }

    /// The name in text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name below this one under which a service is announced; `None` when that would be too long.
    pub(super) fn service(&self, prefix: &str) -> Option<Name> {
        Name::new(format!("{prefix}.{self}").as_bytes())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host: an address, or a name that has to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Host {
    /// A numeric address.
    Ip(IpAddr),
    /// A domain name.
    Name(Name),
}

impl Host {
    /// Reads the host of a URI or Via; an IPv6 address stands in brackets or not. `None` for what is neither.
    pub fn new(text: &[u8]) -> Option<Host> {
        match crate::message::uri::host_ip(text) {
            Some(ip) => Some(Host::Ip(ip)),
            None => Name::new(text).map(Host::Name),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(ip) => ip.fmt(f),
            Host::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_or_the_dot_of_the_root() {
        assert_eq!(Name::new(b"Example.COM."), Name::new(b"example.com"));
        assert_eq!(Name::new(b"_SIP._udp.example.com").unwrap().as_str(), "_sip._udp.example.com");
    }

    #[test]
    fn what_no_host_is_called_is_no_name() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert!(Name::new(longest.as_bytes()).is_some());
        assert!(Name::new(format!("{longest}a").as_bytes()).is_none());
        assert!(Name::new("a".repeat(64).as_bytes()).is_none());
        for text in ["", ".", "a..b", ".a", "a b", "a\n", "a\0b", "ex\u{e4}mple", "a%41", "*"] {
            assert_eq!(Name::new(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Name::new(longest.as_bytes()).unwrap().service("_sip._udp"), None);
    }

    #[test]
    fn a_host_is_an_address_in_brackets_or_not_or_a_name() {
        assert_eq!(Host::new(b"[2001:db8::1]"), Some(Host::Ip("2001:db8::1".parse().unwrap())));
        assert_eq!(Host::new(b"192.0.2.1"), Some(Host::Ip("192.0.2.1".parse().unwrap())));
        assert_eq!(Host::new(b"h"), Name::new(b"h").map(Host::Name));
        assert_eq!(Host::new(b"[2001:db8::1"), None);
    }
}
