//! An address with a display name and parameters: From, To, Contact, Route, Record-Route and their like
//! (RFC 3261 §20.10, §20.20, §20.39, §25.1 `name-addr`).

use crate::message::{Offence, Params, Uri, grammar};
use std::borrow::Cow;

/// `[display-name] <addr-spec> *( ";" param )` or `addr-spec *( ";" param )`.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    /// The display name as it stands: of a quoted one what is between the quotes, its escapes left in place.
    pub display: Option<&'a [u8]>,
    /// The URI, taken apart; its text is without angle brackets.
    pub uri: Uri<'a>,
    /// The header parameters; those inside the brackets belong to the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one address.
    ///
    /// Without brackets every `;` belongs to the header (§20), and `?` or `,` are an offence.
    ///
    /// # Errors
    /// What is malformed: quotes, brackets, URI or parameters.
    #[inline]
    pub fn parse(text: &'a [u8]) -> Result<NameAddr<'a>, Offence> {
        let text = grammar::trim(text);
        if text.first() == Some(&b'"') {
            let end = grammar::quoted_string(text).ok_or(Offence::UnterminatedQuote)?;
            let display = text.get(1..end - 1);
            let rest = grammar::skip_lws(text.get(end..).unwrap_or_default());
            let Some((b'<', rest)) = rest.split_first() else { return Err(Offence::Malformed) };
            return NameAddr::bracketed(display, rest);
        }
        if let [b'<', rest @ ..] = text {
            return NameAddr::bracketed(None, rest);
        }
        match memchr::memchr3(b'<', b':', b';', text).map(|at| text.split_at(at)) {
            Some((display, [b'<', rest @ ..])) => NameAddr::bracketed(display_tokens(display)?, rest),
            Some(_) | None => NameAddr::bare(text),
        }
    }

    /// Reads one address that must stand in angle brackets (Route, Record-Route).
    ///
    /// # Errors
    /// As [`NameAddr::parse`], and when the brackets are missing.
    pub fn parse_bracketed(text: &'a [u8]) -> Result<NameAddr<'a>, Offence> {
        let address = NameAddr::parse(text)?;
        let text = grammar::trim(text);
        if text.starts_with(address.uri.text) { Err(Offence::NeedsAngleBrackets) } else { Ok(address) }
    }

    #[inline]
    fn bracketed(display: Option<&'a [u8]>, rest: &'a [u8]) -> Result<NameAddr<'a>, Offence> {
        let end = memchr::memchr(b'>', rest).ok_or(Offence::Malformed)?;
        let (uri_text, rest) = rest.split_at(end);
        let params = Params::parse(rest.get(1..).unwrap_or_default())?;
        Ok(NameAddr { display, uri: Uri::parse(uri_text)?, params })
    }

    #[inline]
    fn bare(text: &'a [u8]) -> Result<NameAddr<'a>, Offence> {
        let end = memchr::memchr(b';', text).unwrap_or(text.len());
        let (uri_text, params) = text.split_at(end);
        let uri_text = grammar::trim_end(uri_text);
        if memchr::memchr2(b'?', b',', uri_text).is_some() {
            return Err(Offence::NeedsAngleBrackets);
        }
        Ok(NameAddr { display: None, uri: Uri::parse(uri_text)?, params: Params::parse(params)? })
    }

    /// The `tag` parameter of From or To (§19.3).
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value(b"tag")
    }

    /// The display name with the escapes of a quoted string undone.
    pub fn display_unquoted(&self) -> Option<Cow<'a, [u8]>> {
        self.display.map(unquote)
    }
}

/// `*(token LWS)`. Deviation: bytes above 127 are let through, because phones send names unquoted.
fn display_tokens(text: &[u8]) -> Result<Option<&[u8]>, Offence> {
    let text = grammar::trim(text);
    let valid = text.iter().all(|&byte| byte > 127 || grammar::is(byte, grammar::TOKEN | grammar::LWS));
    match (valid, text.is_empty()) {
        (true, true) => Ok(None),
        (true, false) => Ok(Some(text)),
        (false, _) => Err(Offence::Malformed),
    }
}

/// What a quoted string's inside says, its `quoted-pair`s undone.
pub(crate) fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_display_name_is_unquoted_once() {
        let address =
            NameAddr::parse(br#" "J Rosenberg \\\"" <sip:jdrosen@example.com> ; tag = 98asjd8"#).unwrap();
        assert_eq!(address.display_unquoted().unwrap().as_ref(), br#"J Rosenberg \""#);
        assert_eq!(address.uri.text, b"sip:jdrosen@example.com");
        assert_eq!(address.tag(), Some(&b"98asjd8"[..]));
    }

    #[test]
    fn tokens_are_a_display_name_with_or_without_a_blank_before_the_bracket() {
        let address = NameAddr::parse(b"caller<sip:caller@example.com>;tag=323").unwrap();
        assert_eq!(address.display, Some(&b"caller"[..]));
        let address = NameAddr::parse(b"token1~` token2'+_ token3*%!.- <sip:mundane@example.com>").unwrap();
        assert_eq!(address.display, Some(&b"token1~` token2'+_ token3*%!.-"[..]));
    }

    #[test]
    fn without_brackets_parameters_belong_to_the_header() {
        let address = NameAddr::parse(b"sip:+19725552222@gw1.example.net;unknownparam").unwrap();
        assert!(address.params.contains(b"unknownparam"));
        assert!(!address.uri.params.contains(b"unknownparam"));
        let address = NameAddr::parse(b"<sip:+19725552222@gw1.example.net;unknownparam>").unwrap();
        assert!(!address.params.contains(b"unknownparam"));
        assert!(address.uri.params.contains(b"unknownparam"));
    }

    #[test]
    fn a_question_mark_or_comma_needs_brackets() {
        for text in [&b"sip:user@example.com?Route=%3Csip:x%3E"[..], b"sip:a,b@h"] {
            assert_eq!(NameAddr::parse(text).unwrap_err(), Offence::NeedsAngleBrackets);
        }
    }

    #[test]
    fn a_route_needs_brackets() {
        assert!(NameAddr::parse_bracketed(b"<sip:p1;lr>").is_ok());
        assert_eq!(NameAddr::parse_bracketed(b"sip:p1;lr").unwrap_err(), Offence::NeedsAngleBrackets);
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            &b""[..],
            b"<sip:a@h",
            b"<>",
            b"\"a\"",
            b"\"a <sip:a@h>",
            b"Bell, Alexander <sip:a@h>",
            b"< sip:a@h >",
            b"<sip:a@h>;",
            b"<sip:a@h> x",
            b"sip:a@h x",
            b"a:b <sip:a@h>",
            b"\"a\" b <sip:a@h>",
            b"alice@h",
        ] {
            assert!(NameAddr::parse(text).is_err(), "{:?}", core::str::from_utf8(text));
        }
    }

    #[test]
    fn a_bracket_inside_a_parameter_opens_no_address() {
        let address = NameAddr::parse(br#"sip:a@h;x="<sip:evil@h>""#).unwrap();
        assert_eq!(address.uri.text, b"sip:a@h");
    }
}
