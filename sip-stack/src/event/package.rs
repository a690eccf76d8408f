//! The event packages that are known, and what each decides (RFC 6665 §5.4).

use core::time::Duration;
use serde::{Deserialize, Serialize};

/// An event package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Package {
    /// `dialog`: the calls of a user (RFC 4235).
    Dialog,
    /// `presence`: whether and how a user can be reached (RFC 3856).
    Presence,
    /// `message-summary`: the messages in a mailbox (RFC 3842).
    MessageSummary,
    /// `reg`: the contacts of a user (RFC 3680).
    Registration,
    /// `conference`: who is in a conference (RFC 4575).
    Conference,
}

impl Package {
    /// Every package.
    pub const ALL: [Package; 5] = [
        Package::Dialog,
        Package::Presence,
        Package::MessageSummary,
        Package::Registration,
        Package::Conference,
    ];

    /// The package of that name, which is a case-sensitive token (RFC 6665 §8.2.1).
    pub fn named(name: &[u8]) -> Option<Package> {
        Package::ALL.into_iter().find(|package| package.name().as_bytes() == name)
    }

    /// Its name in Event and Allow-Events.
    pub const fn name(self) -> &'static str {
        match self {
            Package::Dialog => "dialog",
            Package::Presence => "presence",
            Package::MessageSummary => "message-summary",
            Package::Registration => "reg",
            Package::Conference => "conference",
        }
    }

    /// The content type of its state, which a subscriber that sends no Accept understands.
    pub const fn content_type(self) -> &'static str {
        match self {
            Package::Dialog => "application/dialog-info+xml",
            Package::Presence => "application/pidf+xml",
            Package::MessageSummary => "application/simple-message-summary",
            Package::Registration => "application/reginfo+xml",
            Package::Conference => "application/conference-info+xml",
        }
    }

    /// How long a subscription lasts of which nobody says how long, in seconds (RFC 4235 §3.4, RFC 3856 §6.4, RFC 3842 §3.4,
    /// RFC 3680 §4.4, RFC 4575 §3.3).
    pub const fn default_expires_s(self) -> u32 {
        match self {
            Package::Dialog | Package::Presence | Package::MessageSummary | Package::Conference => 3_600,
            Package::Registration => 3_761,
        }
    }

    /// Whether a SUBSCRIBE that forks may lead to several subscriptions (RFC 4235 §3.9, RFC 3842 §3.10: yes; RFC 3856 §6.9,
    /// RFC 3680 §4.9, RFC 4575 §3.8: the first alone).
    pub const fn may_fork(self) -> bool {
        match self {
            Package::Dialog | Package::MessageSummary => true,
            Package::Presence | Package::Registration | Package::Conference => false,
        }
    }

    /// The least time between two notifications of one subscription (RFC 4235 §3.10, RFC 3842 §3.11: one second; RFC 3856 §6.10,
    /// RFC 3680 §4.10, RFC 4575 §3.9: five).
    pub const fn throttle(self) -> Duration {
        match self {
            Package::Dialog | Package::MessageSummary => Duration::from_secs(1),
            Package::Presence | Package::Registration | Package::Conference => Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_found_by_its_name_in_its_own_case() {
        for package in Package::ALL {
            assert_eq!(Package::named(package.name().as_bytes()), Some(package));
        }
        assert_eq!(Package::named(b"Dialog"), None);
        assert_eq!(Package::named(b"presence.winfo"), None);
    }
}
