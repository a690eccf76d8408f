//! `[[domain]]`: the tenants, the hosts that mean them, and which one is the default.

use super::addresses::is_host_name;
use super::error::{Fault, Quoted};
use super::model::{
    ContactPolicy, Domain, DomainId, Listener, Mode, Nat, Numbering, Registration, canonical_host,
    parse_ip_literal,
};
use super::nearest::nearest;
use super::numbers::{Emergencies, resolve_of_domain};
use super::table::{Faults, Key, Located, Section};
use sip_stack::auth::Algorithm;
use std::collections::BTreeMap;

const NAME: Key = Key { name: "name", expected: "a host name or IP address", example: "\"pbx.example.com\"" };
const ALIASES: Key =
    Key { name: "aliases", expected: "a host name or IP address", example: "[\"10.0.0.5\"]" };
const DEFAULT: Key = Key { name: "default", expected: "true or false", example: "true" };
const DIGEST: Key = Key { name: "digest", expected: "a digest algorithm", example: "[\"SHA-256\", \"MD5\"]" };
const NONCE_LIFETIME: Key = Key { name: "nonce_lifetime_s", expected: "a whole number", example: "3600" };
const NAT: Key = Key { name: "nat", expected: "\"auto\" or \"off\"", example: "\"auto\"" };
const CONTACT: Key =
    Key { name: "contact", expected: "\"auto\", \"as-sent\" or \"source\"", example: "\"auto\"" };
const JOIN: Key = Key { name: "join", expected: "true or false", example: "true" };
pub(super) const MODE: Key =
    Key { name: "mode", expected: "\"anchored\" or \"proxy\"", example: "\"proxy\"" };
const MIN_EXPIRES: Key = Key { name: "min_expires_s", expected: "a whole number", example: "60" };
const DEFAULT_EXPIRES: Key = Key { name: "default_expires_s", expected: "a whole number", example: "3600" };
const MAX_EXPIRES: Key = Key { name: "max_expires_s", expected: "a whole number", example: "7200" };
const MAX_CONTACTS: Key = Key { name: "max_contacts", expected: "a whole number", example: "10" };
const DOMAIN: Key = Key { name: "domain", expected: "the name of a domain", example: "\"pbx.example.com\"" };

/// The longest expiry that can be asked for or granted: a year.
const LONGEST_EXPIRY_S: u32 = 31_536_000;

/// The domains as they fill with users, peers and routes.
pub(super) struct Tenants {
    pub(super) domains: BTreeMap<DomainId, Domain>,
    /// Canonical hosts and the lines that claim them.
    pub(super) hosts: BTreeMap<Box<str>, Located<DomainId>>,
    pub(super) default: Option<Located<DomainId>>,
    /// What the domains say of emergencies.
    pub(super) emergencies: BTreeMap<DomainId, Emergencies>,
}

impl Tenants {
    pub(super) fn resolve(root: &mut Section<'_>, faults: &Faults) -> Tenants {
        let (domains, hosts, emergencies) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut tenants = Tenants { domains, hosts, default: None, emergencies };
        let sections = root.tables("domain", "[[domain]]");
        if sections.is_empty() {
            let id = tenants.add(empty_domain("default"), 0, faults);
            tenants.default = id.map(|value| Located { value, line: 0 });
            return tenants;
        }
        let alone = sections.len() == 1;
        for mut section in sections {
            let is_default = section.flag(DEFAULT);
            let line = is_default.map_or(section.line, |flag| flag.line);
            let mut emergencies = Emergencies::default();
            let resolved = resolve_domain(section, &mut emergencies, faults);
            let Some(Located { value: domain, line: name_line }) = resolved else { continue };
            let Some(id) = tenants.add(domain, name_line, faults) else { continue };
            tenants.emergencies.insert(id, emergencies);
            if is_default.map_or(alone, |flag| flag.value) {
                match tenants.default {
                    Some(Located { line: first, .. }) => faults.note(line, Fault::DuplicateDefault { first }),
                    None => tenants.default = Some(Located { value: id, line }),
                }
            }
        }
        tenants
    }

    /// Takes a domain up under the next number; its hosts must be free. `None` when all numbers are in use.
    fn add(&mut self, domain: Domain, line: u32, faults: &Faults) -> Option<DomainId> {
        let id = DomainId(u16::try_from(self.domains.len()).ok()?);
        for host in core::iter::once(&*domain.name).chain(domain.aliases.iter().map(|alias| &**alias)) {
            let host = canonical_host(host);
            match self.hosts.get(host.as_str()) {
                Some(Located { line: first, .. }) => {
                    faults.note(line, Fault::DuplicateHost { host: Quoted::new(&host), first: *first });
                }
                None => {
                    self.hosts.insert(host.into(), Located { value: id, line });
                }
            }
        }
        self.domains.insert(id, domain);
        Some(id)
    }

    /// Host names the listeners advertise mean the default domain where no domain claims them.
    pub(super) fn claim_advertised<'a>(&mut self, listeners: impl Iterator<Item = &'a Listener>) {
        let Some(default) = self.default else { return };
        for advertise in listeners.filter_map(|listener| listener.advertise.as_ref()) {
            self.hosts.entry(canonical_host(&advertise.host).into()).or_insert(default);
        }
    }

    /// The domain an object belongs to by its key `domain`, or the default one.
    pub(super) fn domain_of(&self, section: &mut Section<'_>, faults: &Faults) -> Option<DomainId> {
        let Some(name) = section.text(DOMAIN) else {
            if self.default.is_none() {
                faults.note(section.line, Fault::NoDefaultDomain { place: section.place });
            }
            return self.default.map(|default| default.value);
        };
        let host = canonical_host(name.value);
        let found = self.hosts.get(host.as_str());
        if found.is_none() {
            let nearest = nearest(&host, self.hosts.keys().map(|host| &**host)).map(Quoted::new);
            faults.note(name.line, Fault::UnknownDomain { name: Quoted::new(name.value), nearest });
        }
        found.map(|id| id.value)
    }
}

fn empty_domain(name: &str) -> Domain {
    Domain {
        name: name.into(),
        aliases: Vec::new(),
        digest: vec![Algorithm::Md5],
        nonce_lifetime_s: 3_600,
        registration: Registration::default(),
        nat: Nat::default(),
        contact: ContactPolicy::default(),
        join: false,
        mode: Mode::default(),
        users: BTreeMap::new(),
        peers: BTreeMap::new(),
        routes: Vec::new(),
        numbering: Numbering::default(),
        mailboxes: BTreeMap::new(),
    }
}

fn resolve_domain(
    mut section: Section<'_>,
    emergencies: &mut Emergencies,
    faults: &Faults,
) -> Option<Located<Domain>> {
    let name = section.required(NAME, parse_host);
    let mut domain = empty_domain(name.as_ref().map_or("", |name| &*name.value));
    if let Some(aliases) = section.list(ALIASES, parse_host) {
        domain.aliases = aliases.value.into_iter().map(|alias| canonical_host(&alias.value).into()).collect();
    }
    if let Some(digest) = section.filled_list(DIGEST, |text| Algorithm::from_token(text.as_bytes())) {
        domain.digest.clear();
        for algorithm in digest.value {
            // RFC 8760 §2.3: no algorithm is offered twice.
            if !domain.digest.contains(&algorithm.value) {
                domain.digest.push(algorithm.value);
            }
        }
    }
    if let Some(lifetime) = section.number(NONCE_LIFETIME, 1, 86_400) {
        domain.nonce_lifetime_s = lifetime.value;
    }
    if let Some(nat) = section.parsed(NAT, parse_nat) {
        domain.nat = nat.value;
    }
    if let Some(contact) = section.parsed(CONTACT, parse_contact) {
        domain.contact = contact.value;
    }
    if let Some(join) = section.flag(JOIN) {
        domain.join = join.value;
    }
    if let Some(mode) = section.parsed(MODE, parse_mode) {
        domain.mode = mode.value;
    }
    *emergencies = resolve_of_domain(&mut section, &mut domain);
    if let Some(registration) = section.table("registration", "[domain.registration]") {
        domain.registration = resolve_registration(registration, faults);
    }
    section.finish();
    let line = name?.line;
    Some(Located { value: domain, line })
}

fn resolve_registration(mut section: Section<'_>, faults: &Faults) -> Registration {
    let default = Registration::default();
    let min = section.number(MIN_EXPIRES, 1, LONGEST_EXPIRY_S);
    let usual = section.number(DEFAULT_EXPIRES, 1, LONGEST_EXPIRY_S);
    let max = section.number(MAX_EXPIRES, 1, LONGEST_EXPIRY_S);
    let contacts = section.number(MAX_CONTACTS, 1, 1_000);
    let value = |found: Option<Located<u32>>, default| found.map_or(default, |found| found.value);
    let registration = Registration {
        min_expires_s: value(min, default.min_expires_s),
        default_expires_s: value(usual, default.default_expires_s),
        max_expires_s: value(max, default.max_expires_s),
        max_contacts: value(contacts, default.max_contacts),
    };
    let line = |low: Option<Located<u32>>, high: Option<Located<u32>>| {
        low.or(high).map_or(section.line, |found| found.line)
    };
    if registration.min_expires_s > registration.default_expires_s {
        let fault = Fault::Reversed { low: MIN_EXPIRES.name, high: DEFAULT_EXPIRES.name };
        faults.note(line(min, usual), fault);
    }
    if registration.default_expires_s > registration.max_expires_s {
        let fault = Fault::Reversed { low: DEFAULT_EXPIRES.name, high: MAX_EXPIRES.name };
        faults.note(line(usual, max), fault);
    }
    section.finish();
    registration
}

fn parse_nat(text: &str) -> Option<Nat> {
    match text {
        "auto" => Some(Nat::Auto),
        "off" => Some(Nat::Off),
        _ => None,
    }
}

fn parse_contact(text: &str) -> Option<ContactPolicy> {
    match text {
        "auto" => Some(ContactPolicy::Auto),
        "as-sent" => Some(ContactPolicy::AsSent),
        "source" => Some(ContactPolicy::Source),
        _ => None,
    }
}

pub(super) fn parse_mode(text: &str) -> Option<Mode> {
    match text {
        "anchored" => Some(Mode::Anchored),
        "proxy" => Some(Mode::Proxy),
        _ => None,
    }
}

fn parse_host(text: &str) -> Option<Box<str>> {
    (is_host_name(text) || parse_ip_literal(text).is_some()).then(|| text.into())
}
