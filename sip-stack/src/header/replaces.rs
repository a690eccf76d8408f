//! Replaces and Join: the dialog that an INVITE takes over or joins (RFC 3891 §6.1, RFC 3911 §7.1).
//!
//! Of two tags that the RFCs ask for none may be missing or doubled. Left out on purpose: that a tag of zero stands for a peer
//! of RFC 2543 without one.

use crate::message::{Offence, Params, grammar};

/// A dialog as the one names it who is to find it: `to_tag` is the tag of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaces<'a> {
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The tag of who receives the header.
    pub to_tag: &'a [u8],
    /// The tag of its peer in that dialog.
    pub from_tag: &'a [u8],
    /// Only an early dialog is to be replaced (RFC 3891 §3). Means nothing in Join.
    pub early_only: bool,
}

/// The same in a Join header.
pub type Join<'a> = Replaces<'a>;

impl<'a> Replaces<'a> {
    /// `callid *(SEMI replaces-param)`
    ///
    /// # Errors
    /// What is malformed; a tag that is missing or stands twice.
    pub fn parse(text: &'a [u8]) -> Result<Replaces<'a>, Offence> {
        let text = grammar::trim(text);
        let end = memchr::memchr(b';', text).unwrap_or(text.len());
        let (call_id, params) = text.split_at(end);
        let call_id = grammar::trim_end(call_id);
        if call_id.is_empty() || call_id.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(Offence::Malformed);
        }
        let params = Params::parse(params)?;
        let tag = |name: &[u8]| {
            let mut found = params.iter().filter(|param| param.name.eq_ignore_ascii_case(name));
            let tag = found.next().ok_or(Offence::Missing)?.value.unwrap_or_default();
            match found.next() {
                Some(_) => Err(Offence::Repeated),
                None if grammar::all(tag, grammar::TOKEN) && !tag.is_empty() => Ok(tag),
                None => Err(Offence::Parameters),
            }
        };
        let (to_tag, from_tag) = (tag(b"to-tag")?, tag(b"from-tag")?);
        Ok(Replaces { call_id, to_tag, from_tag, early_only: params.contains(b"early-only") })
    }

    /// The field value.
    pub fn value(&self) -> Vec<u8> {
        let flag: &[u8] = if self.early_only { b";early-only" } else { b"" };
        [self.call_id, b";to-tag=", self.to_tag, b";from-tag=", self.from_tag, flag].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_tags_are_needed_once() {
        let read = |text: &'static [u8]| Replaces::parse(text);
        let found = read(b"12adf2f34456gs5;to-tag=12345;from-tag=54321").unwrap();
        assert_eq!(
            (found.call_id, found.to_tag, found.from_tag),
            (&b"12adf2f34456gs5"[..], &b"12345"[..], &b"54321"[..])
        );
        assert!(!found.early_only);
        assert!(read(b"a@b ; Early-Only ; from-tag=1;to-tag = 2;x=y").unwrap().early_only);
        assert_eq!(read(b"a;to-tag=1"), Err(Offence::Missing));
        assert_eq!(read(b"a;to-tag=1;from-tag=2;to-tag=3"), Err(Offence::Repeated));
        assert_eq!(read(b"a;to-tag=;from-tag=2"), Err(Offence::Parameters));
        assert_eq!(read(b";to-tag=1;from-tag=2"), Err(Offence::Malformed));
        assert_eq!(read(b"a b;to-tag=1;from-tag=2"), Err(Offence::Malformed));
    }

    proptest! {
        #[test]
        fn what_is_replaced_reads_back_as_it_was_written(
            call_id in "[!-:<-~]{1,30}", to in "[a-zA-Z0-9.!%*_+~-]{1,20}", from in "[a-zA-Z0-9.!%*_+~-]{1,20}", early_only: bool,
        ) {
            let written = Replaces {
                call_id: call_id.as_bytes(), to_tag: to.as_bytes(), from_tag: from.as_bytes(), early_only,
            };
            let value = written.value();
            prop_assert_eq!(Replaces::parse(&value), Ok(written));
        }
    }
}
