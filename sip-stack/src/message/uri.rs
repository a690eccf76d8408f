//! URIs (RFC 3261 §19.1.1, §25.1; RFC 5118 for IPv6; RFC 3966 `tel:` as far as number and parameters).
//!
//! Parsed in place. A URI of another scheme is valid text with nothing taken apart: whether the scheme is supported
//! (416) is for the user agent server to say (§8.2.2.1). Comparison (§19.1.4) is in `equivalence.rs`.

use super::Escaped;
use super::equivalence::Units;
use super::error::Offence;
use super::grammar::{self, HOST, OPAQUE, URI_HEADER, USER};
use super::params::Params;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other; its name stands at the head of the URI.
    Other,
}

/// A URI and its parts, each as it stands on the wire (escapes left in place).
///
/// Only what is asked for often is a field: a type of less than 128 bytes is moved without a call of `memcpy`.
#[derive(Clone, Copy)]
pub struct Uri<'a> {
    /// The whole URI.
    pub text: &'a [u8],
    /// Its scheme.
    pub scheme: Scheme,
    /// The user part, escaped as it stands; the number of a `tel:` URI.
    pub user: Option<&'a [u8]>,
    /// The host; an IPv6 reference keeps its brackets. Empty unless the scheme is `sip` or `sips`.
    pub host: &'a [u8],
    /// The port, where one is given.
    pub port: Option<u16>,
    /// The URI parameters.
    pub params: Params<'a>,
}

/// [`NameAddr`](crate::header::NameAddr) holds one.
const _: () = assert!(size_of::<Uri<'_>>() <= 80);

impl<'a> Uri<'a> {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// [`Offence::Uri`] when it does not follow the grammar of its scheme.
    pub fn parse(text: &'a [u8]) -> Result<Uri<'a>, Offence> {
        // Nearly every one.
        if let [b's' | b'S', b'i' | b'I', b'p' | b'P', b':', rest @ ..] = text {
            return Uri::empty(text, Scheme::Sip).with_sip_parts(rest);
        }
        let colon = memchr::memchr(b':', text).ok_or(Offence::Uri)?;
        let (name, rest) = text.split_at(colon);
        let rest = rest.get(1..).unwrap_or_default();
        let scheme = Scheme::parse(name).ok_or(Offence::Uri)?;
        let empty = Uri::empty(text, scheme);
        match scheme {
            Scheme::Sip | Scheme::Sips => empty.with_sip_parts(rest),
            Scheme::Tel => empty.with_number(rest),
            Scheme::Other if !rest.is_empty() && grammar::all(rest, OPAQUE) => Ok(empty),
            Scheme::Other => Err(Offence::Uri),
        }
    }

    fn empty(text: &'a [u8], scheme: Scheme) -> Uri<'a> {
        let end = text.get(text.len()..).unwrap_or_default();
        Uri { text, scheme, user: None, host: &[], port: None, params: Params::checked(end) }
    }

    /// `[userinfo@]hostport[;params][?headers]`.
    fn with_sip_parts(mut self, rest: &'a [u8]) -> Result<Uri<'a>, Offence> {
        let rest = self.take_userinfo(rest)?;
        let (host, rest) = host(rest).ok_or(Offence::Uri)?;
        let (port, rest) = port(rest).ok_or(Offence::Uri)?;
        (self.host, self.port) = (host, port);
        if rest.is_empty() {
            return Ok(self);
        }
        let question = memchr::memchr(b'?', rest).unwrap_or(rest.len());
        let (params, headers) = rest.split_at(question);
        self.params = Params::parse_uri(params).map_err(|_| Offence::Uri)?;
        match headers.split_first() {
            Some((_, headers)) if !are_headers(headers) => Err(Offence::Uri),
            Some(_) | None => Ok(self),
        }
    }

    /// `user [":" password] "@"`, where it is there. An unescaped `@` can only end the userinfo, so the first one does.
    #[inline]
    fn take_userinfo(&mut self, text: &'a [u8]) -> Result<&'a [u8], Offence> {
        let (user, tail) = grammar::run(text, USER);
        let at = match tail.first() {
            // Nearly every one.
            Some(b'@') => 0,
            Some(_) => match memchr::memchr(b'@', tail) {
                Some(at) => at,
                None => return Ok(text),
            },
            None => return Ok(text),
        };
        let (password, host) = tail.split_at(at);
        let password = match password.split_first() {
            None => None,
            Some((b':', password)) if grammar::all(password, USER) => Some(password),
            Some(_) => return Err(Offence::Uri),
        };
        let whole = grammar::escapes_are_whole(user) && password.is_none_or(grammar::escapes_are_whole);
        if user.is_empty() || !whole {
            return Err(Offence::Uri);
        }
        self.user = Some(user);
        Ok(host.get(1..).unwrap_or_default())
    }

    fn with_number(mut self, rest: &'a [u8]) -> Result<Uri<'a>, Offence> {
        let semicolon = memchr::memchr(b';', rest).unwrap_or(rest.len());
        let (number, params) = rest.split_at(semicolon);
        if number.is_empty() || !grammar::all(number, USER) {
            return Err(Offence::Uri);
        }
        self.user = Some(number);
        self.params = Params::parse_uri(params).map_err(|_| Offence::Uri)?;
        Ok(self)
    }

    /// The password, which nobody should use (§19.1.1).
    pub fn password(&self) -> Option<&'a [u8]> {
        let behind = behind(self.text, self.user?).strip_prefix(b":")?;
        behind.get(..memchr::memchr(b'@', behind)?)
    }

    /// The URI headers behind `?`, without it; empty when there are none.
    pub fn headers(&self) -> &'a [u8] {
        behind(self.text, self.params.raw()).strip_prefix(b"?").unwrap_or_default()
    }

    /// The user part with its escapes undone once, never twice: `%2541` is `%41`, not `A`.
    pub fn user_unescaped(&self) -> Option<Cow<'a, [u8]>> {
        self.user.map(unescape)
    }

    /// The host as an address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// Whether the scheme is `sip` or `sips`.
    pub fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.text).fmt(out)
    }
}

impl fmt::Debug for Uri<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Scheme {
    /// `ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`
    fn parse(name: &[u8]) -> Option<Scheme> {
        let first = name.first()?;
        if name.eq_ignore_ascii_case(b"sip") {
            Some(Scheme::Sip)
        } else if name.eq_ignore_ascii_case(b"sips") {
            Some(Scheme::Sips)
        } else if name.eq_ignore_ascii_case(b"tel") {
            Some(Scheme::Tel)
        } else {
            let rest =
                name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
            (first.is_ascii_alphabetic() && rest).then_some(Scheme::Other)
        }
    }
}

/// Cuts a `host` off the front: a name, an IPv4 address or an IPv6 reference in brackets.
#[inline]
pub(crate) fn host(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.first() == Some(&b'[') {
        let end = memchr::memchr(b']', text)?;
        ipv6(text.get(1..end)?)?;
        return text.split_at_checked(end + 1);
    }
    let (host, rest) = grammar::run(text, HOST);
    (!host.is_empty()).then_some((host, rest))
}

/// Cuts `":" port` off the front, if it is there.
#[inline]
pub(crate) fn port(text: &[u8]) -> Option<(Option<u16>, &[u8])> {
    let Some((b':', rest)) = text.split_first() else { return Some((None, text)) };
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(end);
    let number = u16::try_from(grammar::digits(number)?).ok()?;
    Some((Some(number), rest))
}

/// The address that `host` spells, with or without the brackets of an IPv6 reference.
pub(crate) fn host_ip(host: &[u8]) -> Option<IpAddr> {
    let bare = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
    if memchr::memchr(b':', bare).is_some() {
        return ipv6(bare).map(IpAddr::V6);
    }
    if !host.first()?.is_ascii_digit() {
        return None;
    }
    core::str::from_utf8(bare).ok()?.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// `header *( "&" header )`, each with `=`; values may be empty.
fn are_headers(text: &[u8]) -> bool {
    grammar::all(text, URI_HEADER)
        && grammar::escapes_are_whole(text)
        && text
            .split(|&byte| byte == b'&')
            .all(|header| header.iter().position(|&byte| byte == b'=') > Some(0))
}

/// What stands in `text` behind `part`, which is a part of it.
fn behind<'a>(text: &'a [u8], part: &[u8]) -> &'a [u8] {
    let begin = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    text.get(begin.saturating_add(part.len())..).unwrap_or_default()
}

/// Undoes `%HH` once.
pub(crate) fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(Units(text).map(|(byte, _)| byte).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|offence| panic!("{text}: {offence}"))
    }

    #[test]
    fn every_part_is_found() {
        let parsed = uri("sips:alice:secret@[2001:db8::9:1]:5071;transport=tcp;lr?subject=a%20b&x=");
        assert_eq!(parsed.scheme, Scheme::Sips);
        assert_eq!(parsed.user, Some(&b"alice"[..]));
        assert_eq!(parsed.password(), Some(&b"secret"[..]));
        assert_eq!(parsed.host, b"[2001:db8::9:1]");
        assert_eq!(parsed.port, Some(5071));
        assert_eq!(parsed.params.value(b"transport"), Some(&b"tcp"[..]));
        assert_eq!(parsed.headers(), b"subject=a%20b&x=");
    }

    #[test]
    fn the_user_part_may_hold_semicolons_and_question_marks() {
        let parsed = uri("sip:user;par=u%40example.net@example.com");
        assert_eq!(parsed.user_unescaped().unwrap().as_ref(), b"user;par=u@example.net");
        assert_eq!(parsed.host, b"example.com");
    }

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(uri("sip:%25%34%31@h").user_unescaped().unwrap().as_ref(), b"%41");
        assert_eq!(uri("sip:null-%00-null@h").user_unescaped().unwrap().as_ref(), b"null-\0-null");
    }

    #[test]
    fn malformed_uris_are_refused() {
        for text in [
            "",
            "sip",
            "sip:",
            ":a",
            "sip:@h",
            "sip:a@",
            "sip:a@h:",
            "sip:a@h:65536",
            "sip:a@h:5060x",
            "sip:a b@h",
            "sip:a@h;",
            "sip:a@h;;lr",
            "sip:a@h;x=",
            "sip:a@h; lr",
            "sip:a@h?",
            "sip:a@h?x",
            "sip:a@h?x=%3",
            "sip:a%4@h",
            "sip:2001:db8::10",
            "sip:[2001:db8::10",
            "sip:[2001:db8::zz]",
            "sip:[]",
            "sip:a@b@c",
            "<sip:a@h>",
            " sip:a@h",
            "1sip:a@h",
            "tel:",
            "http:",
            "http:// x",
            "sip:a@h\r\n",
        ] {
            assert!(Uri::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
