//! Versions of documents (RFC 4235 §4.3, RFC 3680 §5.2, RFC 4575 §4.6): which one is the next, which one is missing.

use super::word::words;
use serde::{Deserialize, Serialize};

words! {
    /// How much a document says.
    DocumentState {
        /// Everything.
        Full = "full",
        /// What has changed since the document before.
        Partial = "partial",
    }
}

/// How a document follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What is known now is complete.
    Next,
    /// Documents are missing, and this one does not make up for them: the subscriber asks for everything by a refresh.
    Gap,
    /// It is older than what is known, and was passed over.
    Stale,
}

/// The version of the last document of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version(Option<u32>);

impl Version {
    /// How a document follows. One with everything that has the number of the last is taken as well, for there are notifiers that do
    /// not count.
    pub const fn order(self, version: u32, state: DocumentState) -> Order {
        match (self.0, state) {
            (Some(last), _) if version < last => Order::Stale,
            (_, DocumentState::Full) => Order::Next,
            (Some(last), DocumentState::Partial) if version == last => Order::Stale,
            (Some(last), DocumentState::Partial) if version - last == 1 => Order::Next,
            (Some(_) | None, DocumentState::Partial) => Order::Gap,
        }
    }

    /// A document was taken.
    pub const fn set(&mut self, version: u32) {
        self.0 = Some(version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_is_passed_over_and_a_gap_is_told_unless_everything_is_said() {
        use DocumentState::{Full, Partial};
        let mut version = Version::default();
        assert_eq!(version.order(7, Partial), Order::Gap);
        assert_eq!(version.order(7, Full), Order::Next);
        version.set(7);
        for (number, state, order) in [
            (6, Full, Order::Stale),
            (6, Partial, Order::Stale),
            (7, Full, Order::Next),
            (7, Partial, Order::Stale),
            (8, Partial, Order::Next),
            (9, Partial, Order::Gap),
            (9, Full, Order::Next),
            (u32::MAX, Partial, Order::Gap),
        ] {
            assert_eq!(version.order(number, state), order, "{number} {state:?}");
        }
    }
}
