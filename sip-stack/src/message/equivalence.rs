//! When two URIs are the same (RFC 3261 §19.1.4; RFC 5118 §4.5 for the spellings of an IPv6 address).

use super::params::Params;
use super::uri::{Uri, host_ip};

impl Uri<'_> {
    /// Whether both name the same resource (§19.1.4). URIs of other schemes than `sip` and `sips` are compared byte
    /// by byte, their scheme without regard to case.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        // Also where the grammar is stretched, as by a parameter that stands twice.
        if self.text == other.text {
            return true;
        }
        if self.scheme != other.scheme {
            return false;
        }
        if !self.is_sip() {
            let (scheme, rest) = split_scheme(self.text);
            let (others_scheme, others_rest) = split_scheme(other.text);
            return scheme.eq_ignore_ascii_case(others_scheme) && rest == others_rest;
        }
        same_option(self.user, other.user)
            && same_option(self.password(), other.password())
            && same_host(self.host, other.host)
            && self.port == other.port
            && same_params(self.params, other.params)
            && same_headers(self.headers(), other.headers())
    }
}

fn split_scheme(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr::memchr(b':', text).unwrap_or(text.len()))
}

/// The characters of a part as the comparison sees them: `%HH` of a character outside `reserved` equals the character
/// itself, `%HH` of a reserved one equals only itself.
pub(super) struct Units<'a>(pub(super) &'a [u8]);

impl Iterator for Units<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<(u8, bool)> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = ((*high as char).to_digit(16), (*low as char).to_digit(16))
        {
            self.0 = rest;
            let byte = (high * 16 + low) as u8;
            let reserved =
                matches!(byte, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',');
            return Some((byte, reserved));
        }
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((*byte, false))
    }
}

fn same(left: &[u8], right: &[u8]) -> bool {
    left == right || Units(left).eq(Units(right))
}

fn same_ignoring_case(left: &[u8], right: &[u8]) -> bool {
    let lower = |(byte, reserved): (u8, bool)| (byte.to_ascii_lowercase(), reserved);
    left.eq_ignore_ascii_case(right) || Units(left).map(lower).eq(Units(right).map(lower))
}

fn same_option(left: Option<&[u8]>, right: Option<&[u8]>) -> bool {
    match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => same(left, right),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Names without regard to case; addresses by value, because one IPv6 address has many spellings (RFC 5118 §4.5).
pub(crate) fn same_host(left: &[u8], right: &[u8]) -> bool {
    left.eq_ignore_ascii_case(right)
        || matches!((host_ip(left), host_ip(right)), (Some(left), Some(right)) if left == right)
}

/// A parameter in both must agree. In one alone it is ignored, unless it is `user`, `ttl`, `method`, `maddr`, or
/// `transport` (which the rules omit and the examples of §19.1.4 settle).
fn same_params(left: Params<'_>, right: Params<'_>) -> bool {
    let agree = |one: Params<'_>, two: Params<'_>| {
        one.iter().all(|param| match two.iter().find(|twin| same_ignoring_case(param.name, twin.name)) {
            Some(twin) => same_ignoring_case(param.value.unwrap_or_default(), twin.value.unwrap_or_default()),
            None => ![&b"user"[..], b"ttl", b"method", b"maddr", b"transport"]
                .iter()
                .any(|name| param.name.eq_ignore_ascii_case(name)),
        })
    };
    agree(left, right) && agree(right, left)
}

/// Headers are never ignored; their order is. Values are compared byte by byte after escapes, which is stricter than
/// the rules of each header.
fn same_headers(left: &[u8], right: &[u8]) -> bool {
    let headers = |text| <[u8]>::split(text, |&byte: &u8| byte == b'&');
    let within = |one, two| {
        headers(one).all(|header: &[u8]| {
            let mine = name_and_value(header);
            headers(two)
                .map(name_and_value)
                .any(|(name, value)| same_ignoring_case(mine.0, name) && same(mine.1, value))
        })
    };
    headers(left).count() == headers(right).count() && within(left, right) && within(right, left)
}

fn name_and_value(header: &[u8]) -> (&[u8], &[u8]) {
    let equals = header.iter().position(|&byte| byte == b'=').unwrap_or(header.len());
    header.split_at(equals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|offence| panic!("{text}: {offence}"))
    }

    #[test]
    fn uris_of_the_rfc_that_are_equivalent() {
        for (left, right) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::1]"),
            ("sip:a@h;n%61me=v%61lue", "sip:a@h;name=value"),
            ("TEL:+358-555", "tel:+358-555"),
        ] {
            assert!(uri(left).equivalent(&uri(right)) && uri(right).equivalent(&uri(left)), "{left} {right}");
        }
    }

    #[test]
    fn uris_of_the_rfc_that_are_not_equivalent() {
        for (left, right) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a@h", "sips:a@h"),
            ("sip:a@h;user=phone", "sip:a@h"),
            ("sip:a%40b@h", "sip:a%2540b@h"),
            ("sip:h", "sip:a@h"),
        ] {
            assert!(
                !uri(left).equivalent(&uri(right)) && !uri(right).equivalent(&uri(left)),
                "{left} {right}"
            );
        }
    }
}
