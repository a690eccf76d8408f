//! Who we are to a server: address of record, credentials, and where the server is (RFC 3261 §10.2, §22).

use core::fmt;
use serde::{Deserialize, Serialize};
use sip_stack::auth::{Login, Secret};
use sip_stack::message::{Uri, quoted};
use sip_stack::transport::{Flow, Transport};

/// Names an account of the phone, in the order they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId(pub u16);

impl AccountId {
    /// The account a phone was made with.
    pub const FIRST: AccountId = AccountId(0);
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A password: never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password(pub Box<str>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// Accounts of one phone.
pub const MAX_ACCOUNTS: usize = 64;

/// An address of record and its server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The user name, as one types it.
    pub user: Box<str>,
    /// The SIP domain: a name or an address.
    pub domain: Box<str>,
    /// Shown to those we call.
    pub display_name: Option<Box<str>>,
    /// Its password.
    pub password: Password,
    /// Our address and that of the server; what stands here until the way is found, where it has to be
    /// ([`super::Phone::find_server`]).
    pub server: Flow,
    /// The lifetime to ask the registrar for, in seconds.
    pub expires_s: u32,
}

/// An account that cannot be written into a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The user name is empty.
    #[error("the user name is empty")]
    NoUser,
    /// The domain is no host name or address.
    #[error("\"{}\" is no host name or address", .0.escape_default())]
    BadDomain(Box<str>),
    /// There are as many accounts as a phone can have.
    #[error("a phone has no more than {MAX_ACCOUNTS} accounts")]
    TooMany,
}

impl Account {
    /// Checks that the address of record can be written.
    ///
    /// # Errors
    /// [`AccountError`]
    pub fn check(&self) -> Result<(), AccountError> {
        if self.user.is_empty() {
            return Err(AccountError::NoUser);
        }
        let host = Uri::parse(&self.registrar()).is_ok_and(|uri| {
            uri.user.is_none()
                && uri.port.is_none()
                && uri.params.iter().next().is_none()
                && uri.headers().is_empty()
        });
        if host { Ok(()) } else { Err(AccountError::BadDomain(self.domain.clone())) }
    }

    /// What we answer challenges with, whatever the realm is called.
    pub(super) fn login(&self) -> Login<'_> {
        let secret = Secret::Password(self.password.0.as_bytes());
        Login { realm: None, user: self.user.as_bytes(), secret }
    }

    /// The Request-URI of a REGISTER (§10.2).
    pub(super) fn registrar(&self) -> Vec<u8> {
        [b"sip:", self.domain.as_bytes()].concat()
    }

    /// The address of record.
    pub(super) fn address_of_record(&self) -> Vec<u8> {
        [b"sip:", escaped_user(&self.user).as_bytes(), b"@", self.domain.as_bytes()].concat()
    }

    /// From of our requests, without a tag.
    pub(super) fn from(&self) -> Vec<u8> {
        let display = self.display_name.as_deref().map(|name| quoted(name.as_bytes())).unwrap_or_default();
        [&display[..], b"<", &self.address_of_record(), b">"].concat()
    }

    /// Our contact URI (RFC 3261 §19.1.1). `transport=tls` is deprecated there, and what servers understand; `sips` would ask for
    /// TLS on every hop.
    pub(super) fn contact_uri(&self) -> Vec<u8> {
        let transport = match self.server.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            Transport::Ws | Transport::Wss => ";transport=ws",
        };
        format!("sip:{}@{}{transport}", escaped_user(&self.user), self.server.local).into_bytes()
    }

    /// Our Contact value.
    pub(super) fn contact(&self) -> Vec<u8> {
        [b"<", &self.contact_uri()[..], b">"].concat()
    }

    /// The sent-by of our Vias.
    pub(super) fn sent_by(&self) -> Vec<u8> {
        self.server.local.to_string().into_bytes()
    }

    /// The URI that a user means by `target`: a URI as it is, anything else a user of a domain, ours unless it is named.
    pub(super) fn resolve(&self, target: &str) -> Option<Vec<u8>> {
        let target = target.trim();
        let has_scheme = ["sip:", "sips:"]
            .iter()
            .any(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        let uri = match (has_scheme, target.rsplit_once('@')) {
            (true, _) => target.to_owned(),
            (false, Some((user, domain))) => format!("sip:{}@{domain}", escaped_user(user)),
            (false, None) => format!("sip:{}@{}", escaped_user(target), self.domain),
        };
        // Characters that a URI has no room for would be let through by the tolerant parser.
        let clean = uri.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"'));
        let known = Uri::parse(uri.as_bytes()).is_ok_and(|uri| uri.is_sip() && uri.headers().is_empty());
        (clean && known).then(|| uri.into_bytes())
    }
}

/// `user` of §25.1: what may not stand there is escaped.
fn escaped_user(user: &str) -> String {
    let mut escaped = String::with_capacity(user.len());
    for byte in user.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte);
        if plain {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::tests::account;

    #[test]
    fn a_target_is_a_number_of_our_domain_or_an_address() {
        let account = account();
        for (target, uri) in [
            ("1002", Some("sip:1002@a.example")),
            (" *21# ", Some("sip:*21%23@a.example")),
            ("bob@b.example", Some("sip:bob@b.example")),
            ("SIP:bob@b.example:5070;transport=udp", Some("SIP:bob@b.example:5070;transport=udp")),
            ("", None),
            ("bob@", None),
            ("sip:bob@b.example?Subject=x", None),
            ("sip:<x>@b.example", None),
            ("sip:ö@b.example", None),
            ("bob@b.example\r\nEvil: x", None),
        ] {
            let resolved = account.resolve(target).map(|uri| String::from_utf8(uri).unwrap());
            assert_eq!(resolved.as_deref(), uri, "{target}");
        }
    }

    #[test]
    fn a_domain_is_a_host_alone() {
        for domain in ["", "a.example:5060", "u@a.example", "a.example;x", "a b", "a.example?x=y"] {
            let account = Account { domain: domain.into(), ..account() };
            assert_eq!(account.check(), Err(AccountError::BadDomain(domain.into())));
        }
        assert_eq!(Account { user: "".into(), ..account() }.check(), Err(AccountError::NoUser));
        assert_eq!(Account { domain: "[2001:db8::1]".into(), ..account() }.check(), Ok(()));
    }
}
