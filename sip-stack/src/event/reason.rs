//! Why a subscription has ended (RFC 6665 §4.1.3), and what a subscriber may do then.

use serde::{Deserialize, Serialize};

/// The reason in Subscription-State.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Subscribe again at once: another notifier has taken over.
    Deactivated,
    /// Subscribe again later.
    Probation,
    /// No longer allowed.
    Rejected,
    /// Not refreshed, or ended by the subscriber.
    Timeout,
    /// Nobody decided in time whether it is allowed.
    GiveUp,
    /// There is nothing any more to hear of.
    NoResource,
    /// It will not change any more.
    Invariant,
    /// None, or one that we do not know.
    Unknown,
}

/// What a subscriber may do after the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resubscribe {
    /// At once.
    Now,
    /// After a while, and not before the `retry-after` of the notifier.
    Later,
    /// Not by itself.
    Never,
}

impl Reason {
    /// Reads the parameter `reason`.
    pub fn of(text: Option<&[u8]>) -> Reason {
        const KNOWN: [Reason; 7] = [
            Reason::Deactivated,
            Reason::Probation,
            Reason::Rejected,
            Reason::Timeout,
            Reason::GiveUp,
            Reason::NoResource,
            Reason::Invariant,
        ];
        let is_it = |reason: &Reason| {
            let word = reason.word().unwrap_or_default().as_bytes();
            text.is_some_and(|text| text.eq_ignore_ascii_case(word))
        };
        KNOWN.into_iter().find(is_it).unwrap_or(Reason::Unknown)
    }

    /// Its word; none for [`Reason::Unknown`].
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Reason::Deactivated => Some("deactivated"),
            Reason::Probation => Some("probation"),
            Reason::Rejected => Some("rejected"),
            Reason::Timeout => Some("timeout"),
            Reason::GiveUp => Some("giveup"),
            Reason::NoResource => Some("noresource"),
            Reason::Invariant => Some("invariant"),
            Reason::Unknown => None,
        }
    }

    /// What may be done then.
    pub const fn resubscribe(self) -> Resubscribe {
        match self {
            Reason::Deactivated | Reason::Timeout => Resubscribe::Now,
            Reason::Probation | Reason::GiveUp | Reason::Unknown => Resubscribe::Later,
            Reason::Rejected | Reason::NoResource | Reason::Invariant => Resubscribe::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_in_any_case_and_an_unknown_one_is_none() {
        assert_eq!(Reason::of(Some(b"NoResource")), Reason::NoResource);
        assert_eq!(Reason::of(Some(b"")), Reason::Unknown);
        assert_eq!(Reason::of(Some(b"weather")), Reason::Unknown);
        assert_eq!(Reason::of(None), Reason::Unknown);
    }
}
