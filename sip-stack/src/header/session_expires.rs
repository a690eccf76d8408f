//! Session-Expires and Min-SE: how long a session lasts without a refresh, and who refreshes (RFC 4028 §4, §5).

use super::number::delta_seconds;
use crate::decimal::Decimal;
use crate::message::{Offence, Params, grammar};
use serde::{Deserialize, Serialize};

/// Who refreshes, by the transaction that says so (§4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refresher {
    /// Who sent the request.
    Uac,
    /// Who answers it.
    Uas,
}

/// `Session-Expires`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// The session interval in seconds.
    pub seconds: u32,
    /// Who refreshes; a request may leave it open.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// `delta-seconds *(SEMI se-params)`
    ///
    /// # Errors
    /// What is malformed; a refresher that is neither `uac` nor `uas` is.
    pub fn parse(text: &[u8]) -> Result<SessionExpires, Offence> {
        let (seconds, params) = numbered(text)?;
        let refresher = match params.get(b"refresher").map(|param| param.value.unwrap_or_default()) {
            None => None,
            Some(value) if value.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
            Some(value) if value.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
            Some(_) => return Err(Offence::Parameters),
        };
        Ok(SessionExpires { seconds, refresher })
    }

    /// The field value.
    pub fn value(&self) -> Vec<u8> {
        let refresher: &[u8] = match self.refresher {
            None => b"",
            Some(Refresher::Uac) => b";refresher=uac",
            Some(Refresher::Uas) => b";refresher=uas",
        };
        [Decimal::of(self.seconds.into()).as_bytes(), refresher].concat()
    }
}

/// `Min-SE`: the shortest session interval that somebody takes, in seconds; parameters mean nothing (§5).
///
/// # Errors
/// What is malformed.
pub fn parse_min_se(text: &[u8]) -> Result<u32, Offence> {
    numbered(text).map(|(seconds, _)| seconds)
}

fn numbered(text: &[u8]) -> Result<(u32, Params<'_>), Offence> {
    let text = grammar::trim(text);
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, params) = text.split_at(end);
    Ok((delta_seconds(number).ok_or(Offence::Malformed)?, Params::parse(params)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_refresher_is_read_in_any_case_and_nothing_else_is_one() {
        let read = |text: &[u8]| SessionExpires::parse(text).map(|read| (read.seconds, read.refresher));
        assert_eq!(read(b"4000 ; Refresher = UAC;x"), Ok((4_000, Some(Refresher::Uac))));
        assert_eq!(read(b"90"), Ok((90, None)));
        assert_eq!(read(b"90;refresher=me"), Err(Offence::Parameters));
        assert_eq!(read(b"90;refresher"), Err(Offence::Parameters));
        assert_eq!(read(b";refresher=uac"), Err(Offence::Malformed));
        assert_eq!(read(b"90 s"), Err(Offence::Parameters));
    }

    #[test]
    fn a_min_se_may_have_parameters() {
        assert_eq!(parse_min_se(b" 120;lr"), Ok(120));
        assert_eq!(parse_min_se(b"x"), Err(Offence::Malformed));
    }

    proptest! {
        #[test]
        fn a_session_interval_reads_back_as_it_was_written(seconds: u32, who in 0..3_usize) {
            let refresher = [None, Some(Refresher::Uac), Some(Refresher::Uas)][who];
            let written = SessionExpires { seconds, refresher };
            prop_assert_eq!(SessionExpires::parse(&written.value()), Ok(written));
        }
    }
}
