//! Refer-To, Refer-Sub and Referred-By: where a REFER sends its receiver, whether news of it is wanted, and who sent it
//! (RFC 3515 §2.1, RFC 4488 §4, RFC 3892 §3).

use super::{Join, NameAddr, Replaces};
use crate::message::{Offence, Params, Uri, grammar, uri};
use std::borrow::Cow;

/// `Refer-To`
#[derive(Clone, Copy, Debug)]
pub struct ReferTo<'a> {
    /// Whom to contact, and how.
    pub address: NameAddr<'a>,
}

impl<'a> ReferTo<'a> {
    /// `(name-addr / addr-spec) *(SEMI generic-param)`
    ///
    /// # Errors
    /// As [`NameAddr::parse`].
    pub fn parse(text: &'a [u8]) -> Result<ReferTo<'a>, Offence> {
        Ok(ReferTo { address: NameAddr::parse(text)? })
    }

    /// The request that is to be sent: the `method` parameter of the URI, INVITE without one (RFC 3261 §19.1.1).
    pub fn method(&self) -> &'a [u8] {
        self.address.uri.params.value(b"method").unwrap_or(b"INVITE")
    }

    /// The Request-URI of that request: without what is not part of one, method and headers (RFC 3261 §19.1.5).
    pub fn request_uri(&self) -> Vec<u8> {
        let Uri { text, params, .. } = self.address.uri;
        let behind = params.raw().len() + self.address.uri.headers().len();
        let question = usize::from(!self.address.uri.headers().is_empty());
        let mut bare = text.get(..text.len().saturating_sub(behind + question)).unwrap_or_default().to_vec();
        for param in params.iter().filter(|param| !param.name.eq_ignore_ascii_case(b"method")) {
            bare.push(b';');
            bare.extend_from_slice(param.name);
            if let Some(value) = param.value {
                bare.push(b'=');
                bare.extend_from_slice(value);
            }
        }
        bare
    }

    /// A header that the request is to have, its escapes undone (RFC 3261 §19.1.1).
    pub fn header(&self, name: &[u8]) -> Option<Cow<'a, [u8]>> {
        let headers = self.address.uri.headers().split(|byte| *byte == b'&');
        headers
            .map(split_header)
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| uri::unescape(value))
    }

    /// The Replaces header in the URI, if there is one; its text has to outlive what is read from it.
    pub fn replaces(&self) -> Option<Cow<'a, [u8]>> {
        self.header(b"Replaces")
    }

    /// The Join header in the URI, if there is one (RFC 3911); as [`ReferTo::replaces`].
    pub fn join(&self) -> Option<Cow<'a, [u8]>> {
        self.header(b"Join")
    }
}

/// The value of a Refer-To that has its receiver call `uri`, in the place of a dialog where one is named.
pub fn refer_to(uri: &[u8], replaces: Option<&Replaces<'_>>) -> Vec<u8> {
    match replaces {
        None => [b"<", uri, b">"].concat(),
        Some(replaces) => [b"<", uri, b"?Replaces=", &escaped(&replaces.value()), b">"].concat(),
    }
}

/// The value of a Refer-To that has its receiver call `uri` so as to join a dialog (RFC 3911).
pub fn refer_to_join(uri: &[u8], join: &Join<'_>) -> Vec<u8> {
    [b"<", uri, b"?Join=", &escaped(&join.value()), b">"].concat()
}

/// `text` as a `hvalue` of a URI (RFC 3261 §25.1).
fn escaped(text: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = Vec::with_capacity(text.len() + 16);
    for byte in text {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' => {
                escaped.push(*byte)
            }
            _ => escaped.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    escaped
}

fn split_header(header: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'=', header).unwrap_or(header.len());
    let (name, value) = header.split_at(end);
    (name, value.get(1..).unwrap_or_default())
}

/// `Refer-Sub`: whether the sender of a REFER wants to hear what becomes of it (RFC 4488 §4).
///
/// # Errors
/// When it is neither `true` nor `false`.
pub fn parse_refer_sub(text: &[u8]) -> Result<bool, Offence> {
    let text = grammar::trim(text);
    let end = memchr::memchr(b';', text).unwrap_or(text.len());
    let (value, params) = text.split_at(end);
    Params::parse(params)?;
    match grammar::trim_end(value) {
        value if value.eq_ignore_ascii_case(b"true") => Ok(true),
        value if value.eq_ignore_ascii_case(b"false") => Ok(false),
        _ => Err(Offence::Malformed),
    }
}

/// `Referred-By`: who sent the REFER (RFC 3892 §3).
///
/// # Errors
/// As [`NameAddr::parse`].
pub fn parse_referred_by(text: &[u8]) -> Result<NameAddr<'_>, Offence> {
    NameAddr::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn method_and_headers_do_not_belong_to_the_request_uri() {
        let text = b"<sips:bob;x@[::1]:5061;transport=tcp;METHOD=INVITE;lr?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=hi>";
        let target = ReferTo::parse(text).unwrap();
        assert_eq!(target.request_uri(), b"sips:bob;x@[::1]:5061;transport=tcp;lr");
        assert_eq!(target.method(), b"INVITE");
        assert_eq!(target.replaces().unwrap().as_ref(), b"a@b;to-tag=1;from-tag=2");
        assert_eq!(target.header(b"subject").unwrap().as_ref(), b"hi");
        assert_eq!(target.header(b"From"), None);
        let plain = ReferTo::parse(b"sip:bob@h;method=BYE").unwrap();
        assert_eq!(
            (plain.request_uri(), plain.method()),
            (b"sip:bob@h".to_vec(), &b"INVITE"[..]),
            "it belongs to the header"
        );
        assert_eq!(ReferTo::parse(b"<sip:bob@h;method=BYE>").unwrap().method(), b"BYE");
    }

    #[test]
    fn whether_news_are_wanted_is_true_or_false() {
        assert_eq!(parse_refer_sub(b" False ; x=y"), Ok(false));
        assert_eq!(parse_refer_sub(b"true"), Ok(true));
        assert_eq!(parse_refer_sub(b"no"), Err(Offence::Malformed));
    }

    proptest! {
        #[test]
        fn a_dialog_in_a_refer_to_reads_back_as_it_was_written(
            call_id in "[!-:<-~]{1,30}", to in "[a-zA-Z0-9.!%*_+~-]{1,20}", from in "[a-zA-Z0-9.!%*_+~-]{1,20}",
        ) {
            let replaces = Replaces {
                call_id: call_id.as_bytes(), to_tag: to.as_bytes(), from_tag: from.as_bytes(), early_only: false,
            };
            let value = refer_to(b"sip:carol@example.com;transport=tcp", Some(&replaces));
            let read = ReferTo::parse(&value).unwrap();
            prop_assert_eq!(read.request_uri(), b"sip:carol@example.com;transport=tcp".to_vec());
            let text = read.replaces().unwrap();
            prop_assert_eq!(Replaces::parse(&text), Ok(replaces));
        }
    }
}
