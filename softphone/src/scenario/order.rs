//! What a program tells the switch in a scenario: `switch is told to move the call of alice`. The user and the numbers are those of phones, as
//! the switch knows them; which call is meant follows from the user. Only where the switch is in our hands.

/// What the switch is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ring the phones of a user, and call a number for it.
    Call {
        /// The user.
        user: Box<str>,
        /// The number.
        number: Box<str>,
    },
    /// Hold the partner of a user, or no more.
    Hold {
        /// The user.
        user: Box<str>,
        /// Whether.
        on: bool,
    },
    /// Have the phones of a user ring for what rings at another one.
    PickUp {
        /// The user.
        user: Box<str>,
        /// The other one.
        of: Box<str>,
    },
    /// Have who is parked call a user.
    Retrieve {
        /// The slot.
        slot: Box<str>,
        /// The user.
        user: Box<str>,
    },
    /// Move the call of a user to its other phones.
    Move {
        /// The user.
        user: Box<str>,
    },
    /// Make one call of the two of a user.
    Join {
        /// The user.
        user: Box<str>,
    },
}

/// How they are written.
pub(super) const KNOWN: [&str; 7] = [
    "is told to call 1003 for alice",
    "is told to hold for alice",
    "is told to resume for alice",
    "is told to pick up bob for carol",
    "is told to retrieve 701 for bob",
    "is told to move the call of alice",
    "is told to join the calls of alice",
];
