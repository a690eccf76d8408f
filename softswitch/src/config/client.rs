//! What a `[[peer]]` says of the switch as its client: credentials, registration (RFC 3261 §10.2), whose name it calls in, and how
//! often the peer is asked whether it lives.

use super::addresses::{is_host_name, parse_peer};
use super::error::Fault;
use super::model::parse_ip_literal;
use super::objects::parse_id;
use super::table::{Faults, Key, Section};
use core::fmt;
use serde::{Deserialize, Serialize};
use sip_stack::auth::{Login, Secret};
use sip_stack::resolve::Host;

const USERNAME: Key =
    Key { name: "username", expected: "text without control characters", example: "\"4930123456\"" };
const PASSWORD: Key = Key { name: "password", expected: "text in quotes", example: "\"a-long-random-one\"" };
const REGISTER: Key = Key { name: "register", expected: "true or false", example: "true" };
const EXPIRES: Key = Key { name: "expires_s", expected: "a whole number", example: "3600" };
const CONTACT_USER: Key = Key {
    name: "contact_user",
    expected: "a name of letters, digits and - _ . ! ~ * ' ( ) +, at most 64 of them",
    example: "\"4930123456\"",
};
const FROM_USER: Key = Key {
    name: "from_user",
    expected: "a name of letters, digits and - _ . ! ~ * ' ( ) +, at most 64 of them",
    example: "\"4930123456\"",
};
const FROM_DOMAIN: Key =
    Key { name: "from_domain", expected: "a host name or IP address", example: "\"sip.example.com\"" };
const OUTBOUND_PROXY: Key = Key {
    name: "outbound_proxy",
    expected: "an IP address or a host name, with or without a port",
    example: "\"proxy.example.com\"",
};
const HEALTH: Key = Key { name: "health_s", expected: "a whole number", example: "60" };

/// How long a registration is asked to last when the file does not say.
const DEFAULT_EXPIRES_S: u32 = 3_600;

/// What the switch is to a peer beside its caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// What it proves who it is with.
    pub account: Option<Account>,
    /// It registers there.
    pub registration: Option<Registering>,
    /// The user part of From, whoever calls.
    pub from_user: Option<Box<str>>,
    /// The host of From, and the domain that it registers in.
    pub from_domain: Option<Box<str>>,
    /// Where requests go first (RFC 3261 §8.1.2).
    pub outbound_proxy: Option<(Host, Option<u16>)>,
    /// Seconds between two OPTIONS; 0: it is never asked.
    pub health_s: u32,
}

/// A user name at a peer and its password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The user name.
    pub user: Box<str>,
    password: Box<str>,
}

/// A registration at a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registering {
    /// The user part of our Contact: what calls from there are for.
    pub contact_user: Box<str>,
    /// For how long, as we ask for it.
    pub expires_s: u32,
}

impl Account {
    /// For whatever realm the peer names.
    #[must_use]
    pub fn login(&self) -> Login<'_> {
        Login { realm: None, user: self.user.as_bytes(), secret: Secret::Password(self.password.as_bytes()) }
    }
}

impl fmt::Debug for Account {
    /// Without the password.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Account").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Reads the keys of one `[[peer]]`.
pub(super) fn resolve_client(section: &mut Section<'_>, faults: &Faults) -> Client {
    let user = section.parsed(USERNAME, parse_username);
    let password = section.text(PASSWORD);
    let account = match (&user, &password) {
        (Some(user), Some(password)) if !password.value.is_empty() => {
            Some(Account { user: user.value.clone(), password: password.value.into() })
        }
        (None, None) => None,
        (Some(_), None) => {
            section.note_missing(PASSWORD);
            None
        }
        (None, Some(_)) => {
            section.note_missing(USERNAME);
            None
        }
        (Some(_), Some(password)) => {
            let fault =
                Fault::UnreadableSecret { key: PASSWORD.name, expected: "a text of at least one character" };
            faults.note(password.line, fault);
            None
        }
    };
    let from_user = section.parsed(FROM_USER, parse_id).map(|user| user.value);
    let registers = section.flag(REGISTER).is_some_and(|flag| flag.value);
    let registration =
        if registers { resolve_registration(section, &account, from_user.as_deref()) } else { None };
    Client {
        account,
        registration,
        from_user,
        from_domain: section.parsed(FROM_DOMAIN, parse_host).map(|host| host.value),
        outbound_proxy: section.parsed(OUTBOUND_PROXY, parse_peer).map(|proxy| proxy.value),
        health_s: section.number(HEALTH, 5, 86_400).map_or(0, |health| health.value),
    }
}

fn resolve_registration(
    section: &mut Section<'_>,
    account: &Option<Account>,
    from_user: Option<&str>,
) -> Option<Registering> {
    let contact = section.parsed(CONTACT_USER, parse_id).map(|user| user.value);
    let expires_s = section.number(EXPIRES, 60, 86_400).map_or(DEFAULT_EXPIRES_S, |seconds| seconds.value);
    let Some(account) = account else {
        section.note_missing(USERNAME);
        return None;
    };
    // Names that cannot stand in a URI as they are need a contact_user beside them.
    let usual = || from_user.map(Box::from).or_else(|| parse_id(&account.user));
    let Some(contact_user) = contact.or_else(usual) else {
        section.note_missing(CONTACT_USER);
        return None;
    };
    Some(Registering { contact_user, expires_s })
}

fn parse_username(text: &str) -> Option<Box<str>> {
    let fits = (1..=128).contains(&text.chars().count());
    (fits && !text.chars().any(char::is_control)).then(|| text.into())
}

fn parse_host(text: &str) -> Option<Box<str>> {
    let is_host = parse_ip_literal(text).is_some() || is_host_name(text);
    is_host.then(|| text.into())
}
