//! Content-Type: what a body is (RFC 3261 §20.15).

use crate::message::{Offence, Params, grammar};

/// `type "/" subtype *( ";" param )`
#[derive(Clone, Copy, Debug)]
pub struct MediaType<'a> {
    /// The type, such as `application`.
    pub kind: &'a [u8],
    /// The subtype, such as `sdp`.
    pub subtype: &'a [u8],
    /// The parameters, such as `boundary`.
    pub params: Params<'a>,
}

impl<'a> MediaType<'a> {
    /// Reads a media type.
    ///
    /// # Errors
    /// What is malformed.
    pub fn parse(text: &'a [u8]) -> Result<MediaType<'a>, Offence> {
        let (kind, rest) = grammar::run(grammar::skip_lws(text), grammar::TOKEN);
        let Some((b'/', rest)) = grammar::skip_lws(rest).split_first() else {
            return Err(Offence::Malformed);
        };
        let (subtype, rest) = grammar::run(grammar::skip_lws(rest), grammar::TOKEN);
        if kind.is_empty() || subtype.is_empty() {
            return Err(Offence::Malformed);
        }
        Ok(MediaType { kind, subtype, params: Params::parse(rest)? })
    }

    /// Whether it is `kind/subtype`, without regard to case and parameters.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
            && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_compared_without_regard_to_case() {
        let media_type = MediaType::parse(b"Application / SDP ; charset=\"utf-8\"").unwrap();
        assert!(media_type.is("application", "sdp"));
        assert_eq!(media_type.params.value(b"charset"), Some(&b"\"utf-8\""[..]));
        assert!(MediaType::parse(b"application").is_err());
        assert!(MediaType::parse(b"/sdp").is_err());
    }
}
