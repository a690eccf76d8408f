//! Methods (RFC 3261 §7.1 and the extensions that registered more). Names are case-sensitive and know no escapes.

use super::Escaped;
use core::fmt;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The method of a request.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Method<'a> {
            $($(#[$doc])* $variant,)*
            /// A method not listed here, as it stands on the wire.
            Other(&'a [u8]),
        }

        impl<'a> Method<'a> {
            /// The method of that name; anything unknown, misspelt or in lower case is [`Method::Other`].
            #[inline]
            pub fn new(name: &'a [u8]) -> Method<'a> {
                match name {
                    $($name => Method::$variant,)*
                    _ => Method::Other(name),
                }
            }

            /// The name as it stands on the wire.
            #[inline]
            pub fn as_bytes(self) -> &'a [u8] {
                match self {
                    $(Method::$variant => $name,)*
                    Method::Other(name) => name,
                }
            }

            /// The known methods, in the order of this list.
            pub const KNOWN: &'static [Method<'static>] = &[$(Method::$variant,)*];
        }
    };
}

methods! {
    /// Opens or changes a session (RFC 3261 §13).
    Invite = b"INVITE",
    /// Confirms a final response to INVITE (§13.2.2.4, §17.1.1.3).
    Ack = b"ACK",
    /// Ends a session (§15).
    Bye = b"BYE",
    /// Gives up a pending request (§9).
    Cancel = b"CANCEL",
    /// Binds an address to a contact (§10).
    Register = b"REGISTER",
    /// Asks for capabilities (§11).
    Options = b"OPTIONS",
    /// Application data inside a dialog (RFC 6086).
    Info = b"INFO",
    /// Changes a session without a new dialog state (RFC 3311).
    Update = b"UPDATE",
    /// Confirms a reliable provisional response (RFC 3262).
    Prack = b"PRACK",
    /// Asks for notifications (RFC 6665).
    Subscribe = b"SUBSCRIBE",
    /// Notifies (RFC 6665).
    Notify = b"NOTIFY",
    /// Asks the peer to send a request elsewhere (RFC 3515).
    Refer = b"REFER",
    /// An instant message (RFC 3428).
    Message = b"MESSAGE",
    /// Publishes event state (RFC 3903).
    Publish = b"PUBLISH",
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.as_bytes()).fmt(out)
    }
}

impl fmt::Debug for Method<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_its_exact_name() {
        for &method in Method::KNOWN {
            assert_eq!(Method::new(method.as_bytes()), method);
        }
        assert_eq!(Method::new(b"invite"), Method::Other(b"invite"));
        assert_eq!(Method::new(b"RE%47IST%45R"), Method::Other(b"RE%47IST%45R"));
    }
}
