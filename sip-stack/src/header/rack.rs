//! RSeq and RAck: the number of a reliable provisional response, and its acknowledgement (RFC 3262 §7.1, §7.2).

use super::CSeq;
use crate::message::{Method, Offence, grammar};

/// `RSeq`: 1 to 2³²−1, though a server begins below 2³¹ (§3).
///
/// # Errors
/// [`Offence::Malformed`] when it is no number, [`Offence::OutOfRange`] when it is 0 or too large.
pub fn parse_rseq(text: &[u8]) -> Result<u32, Offence> {
    let number = grammar::digits(grammar::trim(text)).ok_or(Offence::Malformed)?;
    u32::try_from(number).ok().filter(|number| *number > 0).ok_or(Offence::OutOfRange)
}

/// `RAck`: which provisional response a PRACK is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck<'a> {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The number in its CSeq.
    pub cseq: u32,
    /// The method in its CSeq.
    pub method: Method<'a>,
}

impl<'a> RAck<'a> {
    /// `response-num LWS CSeq-num LWS Method`
    ///
    /// # Errors
    /// As [`parse_rseq`] and [`CSeq::parse`].
    pub fn parse(text: &'a [u8]) -> Result<RAck<'a>, Offence> {
        let text = grammar::trim(text);
        let end = text.iter().position(|byte| !byte.is_ascii_digit()).ok_or(Offence::Malformed)?;
        let (rseq, rest) = text.split_at(end);
        if !rest.first().is_some_and(|byte| grammar::is(*byte, grammar::LWS)) {
            return Err(Offence::Malformed);
        }
        let CSeq { number, method } = CSeq::parse(rest)?;
        Ok(RAck { rseq: parse_rseq(rseq)?, cseq: number, method })
    }

    /// The field value.
    pub fn value(&self) -> Vec<u8> {
        let mut value = format!("{} {} ", self.rseq, self.cseq).into_bytes();
        value.extend_from_slice(self.method.as_bytes());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rack_has_three_parts() {
        let rack = RAck { rseq: 776_656, cseq: 1, method: Method::Invite };
        assert_eq!(RAck::parse(b" 776656 1  INVITE "), Ok(rack));
        for text in [&b""[..], b"1", b"1 2", b"1 2 ", b"x 1 INVITE", b"1INVITE 1 INVITE", b"1 1 INVITE x"] {
            assert_eq!(RAck::parse(text), Err(Offence::Malformed), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn an_rseq_is_never_zero_and_has_32_bits() {
        assert_eq!(parse_rseq(b"4294967295"), Ok(u32::MAX));
        assert_eq!(parse_rseq(b"4294967296"), Err(Offence::OutOfRange));
        assert_eq!(parse_rseq(b"0"), Err(Offence::OutOfRange));
        assert_eq!(parse_rseq(b"-1"), Err(Offence::Malformed));
    }

    proptest! {
        #[test]
        fn a_rack_reads_back_as_it_was_written(rseq in 1..=u32::MAX, cseq in 0..1_u32 << 31, method in 0..14_usize) {
            let rack = RAck { rseq, cseq, method: Method::KNOWN[method] };
            let value = rack.value();
            prop_assert_eq!(RAck::parse(&value), Ok(rack));
        }
    }
}
