//! CSeq: the order of requests in a dialog (RFC 3261 §8.1.1.5, §20.16).

use crate::message::{Method, Offence, grammar};

/// A sequence number and the method of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Below 2³¹.
    pub number: u32,
    /// The method, which must be that of the request line.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// The first number that is too large (§8.1.1.5).
    pub const LIMIT: u32 = 1 << 31;

    /// `1*DIGIT LWS Method`
    ///
    /// # Errors
    /// [`Offence::OutOfRange`] from [`CSeq::LIMIT`] on, [`Offence::Malformed`] otherwise.
    #[inline]
    pub fn parse(text: &'a [u8]) -> Result<CSeq<'a>, Offence> {
        let text = grammar::trim(text);
        let end = text.iter().position(|byte| !byte.is_ascii_digit()).ok_or(Offence::Malformed)?;
        let (number, rest) = text.split_at(end);
        let method = grammar::skip_lws(rest);
        if method.len() == rest.len() || method.is_empty() || !grammar::all(method, grammar::TOKEN) {
            return Err(Offence::Malformed);
        }
        let number = grammar::digits(number).ok_or(Offence::Malformed)?;
        match u32::try_from(number) {
            Ok(number) if number < CSeq::LIMIT => Ok(CSeq { number, method: Method::new(method) }),
            Ok(_) | Err(_) => Err(Offence::OutOfRange),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_and_folding_are_allowed() {
        assert_eq!(CSeq::parse(b"0009\r\n  INVITE"), Ok(CSeq { number: 9, method: Method::Invite }));
    }

    #[test]
    fn the_number_is_below_two_to_the_31() {
        assert_eq!(CSeq::parse(b"2147483647 BYE"), Ok(CSeq { number: 0x7fff_ffff, method: Method::Bye }));
        assert_eq!(CSeq::parse(b"2147483648 BYE"), Err(Offence::OutOfRange));
        assert_eq!(CSeq::parse(b"36893488147419103232 BYE"), Err(Offence::OutOfRange));
    }

    #[test]
    fn malformed_values_are_refused() {
        for text in [&b""[..], b"1", b"1 ", b"INVITE", b"1INVITE", b"-1 INVITE", b"1 INVITE x", b"1 IN\"V"] {
            assert_eq!(CSeq::parse(text), Err(Offence::Malformed));
        }
    }
}
