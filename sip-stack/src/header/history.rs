//! History-Info and Diversion: where a request was aimed before (RFC 7044 §5, §10; RFC 5806 §3).
//!
//! An entry of History-Info has an index such as `1.2.1`; what forwards a request adds one below that of the last entry.

use super::NameAddr;
use crate::message::{Offence, grammar};

/// One entry of History-Info.
#[derive(Clone, Copy, Debug)]
pub struct HistoryEntry<'a> {
    /// Where the request was aimed.
    pub target: NameAddr<'a>,
    /// Its index: numbers with dots between.
    pub index: &'a [u8],
}

impl<'a> HistoryEntry<'a> {
    /// `name-addr *(SEMI hi-param)`
    ///
    /// # Errors
    /// What is malformed; [`Offence::Missing`] without an index.
    pub fn parse(text: &'a [u8]) -> Result<HistoryEntry<'a>, Offence> {
        let target = NameAddr::parse_bracketed(text)?;
        let index = target.params.value(b"index").ok_or(Offence::Missing)?;
        let mut parts = index.split(|byte| *byte == b'.');
        if !parts.all(|part| grammar::digits(part).is_some()) {
            return Err(Offence::Parameters);
        }
        Ok(HistoryEntry { target, index })
    }
}

/// The index of what follows the entry `index` in the same branch: one level below (RFC 7044 §10.3).
pub fn next_index(index: &[u8]) -> Vec<u8> {
    [index, b".1"].concat()
}

/// The value of an entry: where the request goes now, and how that follows from the entry before. `mp` says that the target is
/// another user, `rc` that it is another address of the same (RFC 7044 §5.2, §10.4).
pub fn history_entry(uri: &[u8], index: &[u8], mapped_from: Option<&[u8]>) -> Vec<u8> {
    let mut value = [b"<", uri, b">;index=", index].concat();
    if let Some(before) = mapped_from {
        value.extend_from_slice(b";mp=");
        value.extend_from_slice(before);
    }
    value
}

/// One diversion: who sent the call on, and why.
#[derive(Clone, Copy, Debug)]
pub struct Diversion<'a> {
    /// Who diverted it.
    pub by: NameAddr<'a>,
    /// Why: `user-busy`, `no-answer`, `unconditional`, `unavailable`, …
    pub reason: Option<&'a [u8]>,
    /// How many diversions it stands for.
    pub counter: Option<u32>,
}

impl<'a> Diversion<'a> {
    /// `name-addr *(SEMI diversion_params)`
    ///
    /// # Errors
    /// What is malformed.
    pub fn parse(text: &'a [u8]) -> Result<Diversion<'a>, Offence> {
        let by = NameAddr::parse(text)?;
        let counter = match by.params.value(b"counter") {
            Some(text) => Some(super::number::delta_seconds(text).ok_or(Offence::Parameters)?),
            None => None,
        };
        Ok(Diversion { by, reason: by.params.value(b"reason"), counter })
    }
}

/// The value of a diversion.
pub fn diversion(uri: &[u8], reason: &str) -> Vec<u8> {
    [b"<", uri, b">;reason=", reason.as_bytes(), b";counter=1"].concat()
}

/// The reason of a diversion for the status that it came of (RFC 5806 §3, RFC 7044 §10.2).
pub fn diversion_reason(status: Option<u16>) -> &'static str {
    match status {
        None => "unconditional",
        Some(486 | 600) => "user-busy",
        Some(408 | 487) => "no-answer",
        Some(480) => "unavailable",
        Some(603) => "do-not-disturb",
        Some(_) => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_needs_an_index_of_numbers() {
        let entry =
            HistoryEntry::parse(b"<sip:bob@192.0.2.4?Reason=SIP%3Bcause%3D302>;index=1.1;rc=1").unwrap();
        assert_eq!(entry.index, b"1.1");
        assert_eq!(HistoryEntry::parse(b"<sip:bob@h>").unwrap_err(), Offence::Missing);
        assert_eq!(HistoryEntry::parse(b"<sip:bob@h>;index=1..1").unwrap_err(), Offence::Parameters);
        assert_eq!(HistoryEntry::parse(b"sip:bob@h;index=1").unwrap_err(), Offence::NeedsAngleBrackets);
        assert_eq!(next_index(b"1.2"), b"1.2.1");
    }

    #[test]
    fn a_diversion_says_who_and_why() {
        let read = Diversion::parse(b"\"Bob\" <sip:bob@h>;reason=no-answer;counter=2;privacy=full").unwrap();
        assert_eq!((read.reason, read.counter), (Some(&b"no-answer"[..]), Some(2)));
        assert_eq!(Diversion::parse(b"<sip:bob@h>;counter=x").unwrap_err(), Offence::Parameters);
        assert_eq!((diversion_reason(None), diversion_reason(Some(486))), ("unconditional", "user-busy"));
    }

    proptest! {
        #[test]
        fn history_and_diversion_read_back_as_they_were_written(
            user in "[a-z0-9]{1,12}", levels in proptest::collection::vec(0..1_000_u32, 1..5), mapped: bool,
        ) {
            let uri = format!("sip:{user}@example.com");
            let index = levels.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
            let value = history_entry(uri.as_bytes(), index.as_bytes(), mapped.then_some(&b"1"[..]));
            let entry = HistoryEntry::parse(&value).unwrap();
            prop_assert_eq!((entry.target.uri.text, entry.index), (uri.as_bytes(), index.as_bytes()));
            prop_assert_eq!(entry.target.params.contains(b"mp"), mapped);
            let value = diversion(uri.as_bytes(), "no-answer");
            let read = Diversion::parse(&value).unwrap();
            prop_assert_eq!((read.by.uri.text, read.reason, read.counter), (uri.as_bytes(), Some(&b"no-answer"[..]), Some(1)));
        }
    }
}
