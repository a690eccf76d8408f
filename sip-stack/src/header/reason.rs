//! Reason: why a request is sent, or what a provisional response knows (RFC 3326 §2).

use super::HeaderName;
use super::name_addr::unquote;
use crate::message::{Message, Offence, Params, grammar, quoted};
use std::borrow::Cow;

/// One reason.
#[derive(Clone, Copy, Debug)]
pub struct Reason<'a> {
    /// `SIP`, `Q.850`, or another one.
    pub protocol: &'a [u8],
    /// All parameters.
    pub params: Params<'a>,
}

impl<'a> Reason<'a> {
    /// `protocol *(SEMI reason-params)`
    ///
    /// # Errors
    /// What is malformed.
    pub fn parse(text: &'a [u8]) -> Result<Reason<'a>, Offence> {
        let (protocol, params) = grammar::run(grammar::trim(text), grammar::TOKEN);
        if protocol.is_empty() {
            return Err(Offence::Malformed);
        }
        Ok(Reason { protocol, params: Params::parse(params)? })
    }

    /// The cause in terms of the protocol: a status of SIP, a cause of Q.850.
    pub fn cause(&self) -> Option<u16> {
        grammar::digits(self.params.value(b"cause")?).and_then(|cause| u16::try_from(cause).ok())
    }

    /// The text, without its quotes.
    pub fn text(&self) -> Option<Cow<'a, [u8]>> {
        let text = self.params.value(b"text")?;
        Some(match text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")) {
            Some(inside) => unquote(inside),
            None => Cow::Borrowed(text),
        })
    }

    /// Whether it is a cause of SIP, such as 200 in the CANCEL of a call that another phone took (§3.1).
    pub fn is_sip(&self, cause: u16) -> bool {
        self.protocol.eq_ignore_ascii_case(b"SIP") && self.cause() == Some(cause)
    }
}

/// The value of a reason with a status of SIP as its cause.
pub fn sip_reason(cause: u16, text: &str) -> Vec<u8> {
    let mut value = format!("SIP;cause={cause};text=").into_bytes();
    value.extend(quoted(text.as_bytes()));
    value
}

/// All that a message gives, as one value to be passed on; empty when it gives none, or more than 512 octets.
pub fn all_of(message: &Message) -> Vec<u8> {
    const LONGEST: usize = 512;
    let reasons: Vec<&[u8]> = message.list(HeaderName::Reason).collect();
    let value = reasons.join(&b", "[..]);
    if value.len() > LONGEST { Vec::new() } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn protocol_cause_and_text_are_read() {
        let reason = Reason::parse(b" Q.850 ;cause=16;text=\"Terminated; \\\"so\\\"\"").unwrap();
        assert_eq!((reason.protocol, reason.cause()), (&b"Q.850"[..], Some(16)));
        assert_eq!(reason.text().unwrap().as_ref(), b"Terminated; \"so\"");
        assert!(!reason.is_sip(16));
        assert_eq!(Reason::parse(b"SIP ;cause=x").unwrap().cause(), None);
        assert!(Reason::parse(b"").is_err() && Reason::parse(b";cause=1").is_err());
    }

    proptest! {
        #[test]
        fn a_reason_reads_back_as_it_was_written(cause: u16, text in "[ -~]{0,40}") {
            let value = sip_reason(cause, &text);
            let reason = Reason::parse(&value).unwrap();
            prop_assert!(reason.is_sip(cause));
            prop_assert_eq!(reason.text().unwrap().into_owned(), text.into_bytes());
        }
    }
}
