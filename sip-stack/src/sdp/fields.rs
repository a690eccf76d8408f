//! The fields of `o=` (RFC 8866 §5.2) and `c=` (§5.7).

use std::net::IpAddr;

/// Who made the session, and which version this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The user's name; RFC 8866 forbids spaces, some gateways write them all the same.
    pub username: &'a [u8],
    /// `sess-id`: digits; see [`Origin::session_id`].
    pub session_id_text: &'a [u8],
    /// `sess-version`: digits; see [`Origin::version`].
    pub version_text: &'a [u8],
    /// `nettype`: `IN`.
    pub network: &'a [u8],
    /// `addrtype`: `IP4` or `IP6`.
    pub address_type: &'a [u8],
    /// An address or a host name.
    pub address: &'a [u8],
}

impl<'a> Origin<'a> {
    pub(super) fn read(value: &'a [u8]) -> Option<Origin<'a>> {
        // From the right, so that spaces in the name do no harm.
        let (rest, address) = split_last_word(value)?;
        let (rest, address_type) = split_last_word(rest)?;
        let (rest, network) = split_last_word(rest)?;
        let (rest, version_text) = split_last_word(rest)?;
        let (rest, session_id_text) = split_last_word(rest)?;
        let username = rest.trim_ascii();
        if username.is_empty() {
            return None;
        }
        Some(Origin { username, session_id_text, version_text, network, address_type, address })
    }

    /// The session id as a number; `None` when it is none, or has more than 64 bits.
    pub fn session_id(&self) -> Option<u64> {
        number(self.session_id_text)
    }

    /// The version as a number; `None` when it is none, or has more than 64 bits.
    pub fn version(&self) -> Option<u64> {
        number(self.version_text)
    }
}

/// Where media are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// `nettype`: `IN`.
    pub network: &'a [u8],
    /// `addrtype`: `IP4` or `IP6`.
    pub address_type: &'a [u8],
    /// An address or a host name, without the `/ttl` of multicast.
    pub address: &'a [u8],
}

impl<'a> Connection<'a> {
    pub(super) fn read(value: &'a [u8]) -> Option<Connection<'a>> {
        let mut words = words(value);
        let (network, address_type, address) = (words.next()?, words.next()?, words.next()?);
        let address = address.split(|byte| *byte == b'/').next().filter(|address| !address.is_empty())?;
        Some(Connection { network, address_type, address })
    }

    /// The address as a number; `None` for a host name. What the text says counts, whatever the address type.
    pub fn ip(&self) -> Option<IpAddr> {
        std::str::from_utf8(self.address).ok()?.parse().ok()
    }
}

/// The words of a value, however many spaces lie between them.
pub(super) fn words<'a>(value: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
    value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A decimal number without sign.
pub(super) fn number<N: TryFrom<u64>>(text: &[u8]) -> Option<N> {
    if text.is_empty() {
        return None;
    }
    let number = text.iter().try_fold(0u64, |number, octet| {
        let digit = octet.is_ascii_digit().then(|| octet - b'0')?;
        number.checked_mul(10)?.checked_add(digit.into())
    })?;
    N::try_from(number).ok()
}

fn split_last_word(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let value = value.trim_ascii_end();
    let start = value.iter().rposition(u8::is_ascii_whitespace)?;
    Some((value.get(..start)?, value.get(start + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_may_have_a_name_with_spaces_and_a_host_name() {
        let origin =
            Origin::read(b"Cisco SIP  UA 18446744073709551615 99999999999999999999 IN IP4 pbx.example.com ")
                .unwrap();
        assert_eq!(origin.username, b"Cisco SIP  UA");
        assert_eq!(origin.session_id(), Some(u64::MAX));
        assert_eq!((origin.version(), origin.version_text), (None, &b"99999999999999999999"[..]));
        assert_eq!(origin.address, b"pbx.example.com");
    }

    #[test]
    fn an_origin_has_six_fields() {
        assert_eq!(Origin::read(b"- 1 2 IN IP4"), None);
        assert_eq!(Origin::read(b""), None);
    }

    #[test]
    fn a_connection_leaves_the_ttl_off_and_may_be_a_host_name() {
        let multicast = Connection::read(b"IN IP4 233.252.0.1/127/3").unwrap();
        assert_eq!(multicast.address, b"233.252.0.1");
        assert!(multicast.ip().unwrap().is_multicast());
        assert_eq!(Connection::read(b"IN  IP4 media.example.com").unwrap().ip(), None);
        assert_eq!(
            Connection::read(b"IN IP6 2001:db8::1").unwrap().ip(),
            Some("2001:db8::1".parse().unwrap())
        );
        assert_eq!(Connection::read(b"IN IP4"), None);
        assert_eq!(Connection::read(b"IN IP4 /3"), None);
    }

    #[test]
    fn a_number_has_digits_alone_and_fits() {
        assert_eq!(number::<u16>(b"65535"), Some(65_535));
        for wrong in [&b"65536"[..], b"+1", b"-1", b"", b"1x"] {
            assert_eq!(number::<u16>(wrong), None);
        }
    }
}
