//! `[[user]]`, `[[users]]` and `[[peer]]`: what a domain is filled with; its routes are in `routes`.

use super::addresses::{parse_peer, resolve_given_transport};
use super::client::resolve_client;
use super::error::{Fault, Quoted};
use super::latching::Word;
use super::model::{
    Domain, DomainId, Dtmf, Latching, Listener, Mode, Origin, Peer, Transport, User, UserNumbers,
    UserRecording,
};
use super::numbers;
use super::prompts::resolve_language;
use super::recording::resolve_of_user;
use super::rights::{Standing, resolve_standing};
use super::table::{Faults, Key, Located, Section};
use super::tenants::Tenants;
use super::watching::resolve_watched_by;
use sip_stack::auth::{Algorithm, Ha1};
use sip_stack::resolve::Host;
use std::collections::BTreeMap;
use std::net::IpAddr;

const ID: Key = Key {
    name: "id",
    expected: "a name of letters, digits and - _ . ! ~ * ' ( ) +, at most 64 of them",
    example: "\"1000\"",
};
const PASSWORD: Key = Key { name: "password", expected: "text in quotes", example: "\"a-long-random-one\"" };
const HA1: Key = Key {
    name: "ha1",
    expected: "the MD5 of user:domain:password as 32 hexadecimal digits",
    example: "\"3d78807defe7de2157e2b0b6573a855f\"",
};
const HA1_SHA256: Key = Key {
    name: "ha1_sha256",
    expected: "the SHA-256 of user:domain:password as 64 hexadecimal digits",
    example: "\"7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232\"",
};
const HA1_SHA512_256: Key = Key {
    name: "ha1_sha512_256",
    expected: "the SHA-512-256 of user:domain:password as 64 hexadecimal digits",
    example: "\"fb174f5c3c7802721517cae13b98e2b8dae2e0118cb705d94ee29946319204ce\"",
};
const DISPLAY_NAME: Key = Key {
    name: "display_name",
    expected: "a name of at most 128 characters without control characters",
    example: "\"Reception\"",
};
const RING: Key = Key { name: "ring_s", expected: "a whole number", example: "60" };
const LATCHING: Key = Key {
    name: "latching",
    expected: "\"symmetric\", \"sdp-only\" or a list of IP networks",
    example: "\"symmetric\"",
};
const DTMF: Key =
    Key { name: "dtmf", expected: "\"auto\", \"event\", \"info\" or \"inband\"", example: "\"auto\"" };
const FROM: Key = Key { name: "from", expected: "a whole number", example: "1000" };
const TO: Key = Key { name: "to", expected: "a whole number", example: "1999" };
const ADDRESS: Key = Key {
    name: "address",
    expected: "an IP address or a host name, with or without a port",
    example: "\"sip.example.com\"",
};
const MAILBOX_OF: Key = Key { name: "mailbox_of", expected: "the id of a user", example: "\"1000\"" };
const TRUSTED: Key = Key { name: "trusted", expected: "true or false", example: "true" };
const OVERLOAD_CONTROL: Key = Key { name: "overload_control", expected: "true or false", example: "true" };
/// How long a user's phones ring when the file does not say.
pub(crate) const DEFAULT_RING_S: u32 = 60;
const LONGEST_RING_S: u32 = 3_600;

/// Users one `[[users]]` may stand for.
const BLOCK_LIMIT: u64 = 100_000;

pub(super) fn resolve_users(root: &mut Section<'_>, tenants: &mut Tenants, faults: &Faults) {
    for section in root.tables("user", "[[user]]") {
        resolve_user(section, tenants, faults);
    }
    for section in root.tables("users", "[[users]]") {
        resolve_block(section, tenants, faults);
    }
}

fn resolve_user(mut section: Section<'_>, tenants: &mut Tenants, faults: &Faults) {
    let id = section.required(ID, parse_id);
    let domain = tenants.domain_of(&mut section, faults);
    let secrets = Secrets::read(&mut section, faults);
    let display_name = section.parsed(DISPLAY_NAME, parse_display_name).map(|name| name.value);
    let ring_s = resolve_ring(&mut section);
    let latching = resolve_latching(&mut section);
    let dtmf = resolve_dtmf(&mut section);
    let language = resolve_language(&mut section);
    let recording = resolve_of_user(&mut section);
    let watched_by = resolve_watched_by(&mut section);
    let Standing { groups, rights, hidden, may_page, anonymous, refuse_anonymous } =
        resolve_standing(&mut section);
    let domain = domain.and_then(|id| tenants.domains.get_mut(&id));
    let named = id.as_ref().map(|id| &*id.value);
    let mut domain = domain;
    let numbers = numbers::resolve_of_user(&mut section, named, domain.as_deref_mut(), faults);
    section.finish();
    let (Some(Located { value: id, line }), Some(domain), Some(secrets)) = (id, domain, secrets) else {
        return;
    };
    note_recorded(&id, line, recording, domain, faults);
    let Some(credentials) = secrets.credentials(&id, line, domain, faults) else { return };
    let origin = Origin::File { line };
    let user = User {
        credentials,
        display_name,
        ring_s,
        latching,
        dtmf,
        language,
        recording,
        watched_by,
        groups,
        rights,
        hidden,
        may_page,
        anonymous,
        refuse_anonymous,
        numbers,
        origin,
    };
    add_user(domain, id, user, line, faults);
}

/// Recordings need the media, which those who call each other through a proxy keep to themselves.
fn note_recorded(id: &str, line: u32, recording: UserRecording, domain: &Domain, faults: &Faults) {
    if domain.mode == Mode::Proxy && (recording.always || recording.on_request) {
        let (id, domain) = (Quoted::new(id), Quoted::new(&domain.name));
        faults.note(line, Fault::ProxiedUserIsRecorded { id, domain });
    }
}

/// Adds a user unless there is one of this id; then says so and answers false.
fn add_user(domain: &mut Domain, id: Box<str>, user: User, line: u32, faults: &Faults) -> bool {
    let known = domain.users.get(&id).map(|known| known.origin);
    match known {
        Some(Origin::File { line: first }) => {
            let (id, domain) = (Quoted::new(&id), Quoted::new(&domain.name));
            // Blocks are resolved after single users, wherever they stand in the file.
            let (later, first) = (line.max(first), line.min(first));
            faults.note(later, Fault::DuplicateUser { id, domain, first });
            false
        }
        Some(Origin::Store) | None => {
            domain.users.insert(id, user);
            true
        }
    }
}

fn resolve_block(mut section: Section<'_>, tenants: &mut Tenants, faults: &Faults) {
    let highest = u64::from(u32::MAX) * 1_000;
    let from = section.required_whole(FROM, 0, highest);
    let to = section.required_whole(TO, 0, highest);
    let domain = tenants.domain_of(&mut section, faults).and_then(|id| tenants.domains.get_mut(&id));
    let password = read_password(&mut section, faults);
    if password == Some(None) {
        section.note_missing(PASSWORD);
    }
    let ring_s = resolve_ring(&mut section);
    let latching = resolve_latching(&mut section);
    let dtmf = resolve_dtmf(&mut section);
    let language = resolve_language(&mut section);
    let recording = resolve_of_user(&mut section);
    let watched_by = resolve_watched_by(&mut section);
    let standing = resolve_standing(&mut section);
    section.finish();
    let (Some(from), Some(to), Some(domain), Some(Some(password))) = (from, to, domain, password) else {
        return;
    };
    let Located { value: from, line } = from;
    let Some(steps) = to.value.checked_sub(from) else {
        faults.note(line, Fault::Reversed { low: FROM.name, high: TO.name });
        return;
    };
    if steps >= BLOCK_LIMIT {
        faults.note(line, Fault::BlockTooLarge { found: steps.saturating_add(1), limit: BLOCK_LIMIT });
        return;
    }
    note_recorded(&from.to_string(), line, recording, domain, faults);
    for number in from..=to.value {
        let id: Box<str> = number.to_string().into();
        let credentials = ha1_of_password(&id, &domain.name, password);
        let latching = latching.clone();
        let origin = Origin::File { line };
        let (display_name, language, watched_by) = (None, language.clone(), watched_by.clone());
        let Standing { groups, rights, hidden, may_page, anonymous, refuse_anonymous } = standing.clone();
        let user = User {
            credentials,
            display_name,
            ring_s,
            latching,
            dtmf,
            language,
            recording,
            watched_by,
            groups,
            rights,
            hidden,
            may_page,
            anonymous,
            refuse_anonymous,
            numbers: UserNumbers::default(),
            origin,
        };
        // One fault tells enough about a block that overlaps another.
        if !add_user(domain, id, user, line, faults) {
            return;
        }
    }
}

fn resolve_ring(section: &mut Section<'_>) -> u32 {
    section.number(RING, 1, LONGEST_RING_S).map_or(DEFAULT_RING_S, |ring| ring.value)
}

fn resolve_dtmf(section: &mut Section<'_>) -> Dtmf {
    section.parsed(DTMF, Dtmf::parse).map_or_else(Dtmf::default, |dtmf| dtmf.value)
}

fn resolve_latching(section: &mut Section<'_>) -> Latching {
    let Some(words) = section.filled_list(LATCHING, Word::parse) else { return Latching::default() };
    let values: Vec<Word> = words.value.iter().map(|word| word.value).collect();
    Latching::of_words(&values).unwrap_or_else(|| {
        section.note_unreadable(Located { value: "a mixture", line: words.line }, LATCHING);
        Latching::default()
    })
}

/// What the file says a user is known by.
struct Secrets<'t> {
    password: Option<&'t str>,
    /// Digests given in place of a password; empty when there is none.
    digests: Ha1,
}

impl<'t> Secrets<'t> {
    /// `None` after a fault.
    fn read(section: &mut Section<'t>, faults: &Faults) -> Option<Secrets<'t>> {
        let password = read_password(section, faults);
        let (mut digests, mut good) = (Ha1::default(), true);
        for algorithm in Algorithm::ALL {
            good &= read_digest(section, algorithm, &mut digests, faults);
        }
        let password = password?;
        good.then_some(Secrets { password, digests })
    }

    fn credentials(self, id: &str, line: u32, domain: &Domain, faults: &Faults) -> Option<Ha1> {
        let Secrets { password, digests } = self;
        match (password, digests == Ha1::default()) {
            (Some(password), true) => Some(ha1_of_password(id, &domain.name, password)),
            (None, false) => {
                note_uncovered(&digests, id, line, domain, faults);
                Some(digests)
            }
            (Some(_), false) => {
                faults.note(line, Fault::PasswordAndHa1 { id: Quoted::new(id) });
                None
            }
            (None, true) => {
                faults.note(line, Fault::NoCredentials { id: Quoted::new(id) });
                None
            }
        }
    }
}

/// The digests of a password for every algorithm; the realm is the domain's name.
pub(crate) fn ha1_of_password(id: &str, domain: &str, password: &str) -> Ha1 {
    Ha1::compute(&Algorithm::ALL, id.as_bytes(), domain.as_bytes(), password.as_bytes())
}

fn note_uncovered(digests: &Ha1, id: &str, line: u32, domain: &Domain, faults: &Faults) {
    for algorithm in domain.digest.iter().filter(|algorithm| !digests.has(**algorithm)) {
        let (id, domain) = (Quoted::new(id), Quoted::new(&domain.name));
        let (key, algorithm) = (digest_key(*algorithm).name, algorithm.token());
        faults.note(line, Fault::NoDigestFor { id, domain, algorithm, key });
    }
}

const fn digest_key(algorithm: Algorithm) -> Key {
    match algorithm {
        Algorithm::Md5 => HA1,
        Algorithm::Sha256 => HA1_SHA256,
        Algorithm::Sha512_256 => HA1_SHA512_256,
    }
}

/// The outer `None` stands for a fault.
fn read_password<'t>(section: &mut Section<'t>, faults: &Faults) -> Option<Option<&'t str>> {
    if !section.has(PASSWORD) {
        return Some(None);
    }
    let password = section.text(PASSWORD)?;
    if password.value.is_empty() {
        let fault =
            Fault::UnreadableSecret { key: PASSWORD.name, expected: "a text of at least one character" };
        faults.note(password.line, fault);
        return None;
    }
    Some(Some(password.value))
}

/// Adds the digest of one algorithm, if there is one; false after a fault. The value is never shown.
fn read_digest(section: &mut Section<'_>, algorithm: Algorithm, digests: &mut Ha1, faults: &Faults) -> bool {
    let key = digest_key(algorithm);
    if !section.has(key) {
        return true;
    }
    let Some(text) = section.text(key) else { return false };
    let good = digests.insert_hex(algorithm, text.value.as_bytes()).is_ok();
    if !good {
        faults.note(text.line, Fault::UnreadableSecret { key: key.name, expected: key.expected });
    }
    good
}

pub(super) fn resolve_peers(
    root: &mut Section<'_>,
    tenants: &mut Tenants,
    listeners: &[Located<Listener>],
    faults: &Faults,
) {
    let mut lines: BTreeMap<(DomainId, Box<str>), u32> = BTreeMap::new();
    for mut section in root.tables("peer", "[[peer]]") {
        let id = section.required(ID, parse_id);
        let domain = tenants.domain_of(&mut section, faults);
        let address = section.required(ADDRESS, parse_peer);
        let transport = resolve_given_transport(&mut section);
        if let Some(transport @ (Transport::Ws | Transport::Wss)) = transport {
            faults.note(section.line, Fault::PeerOverWebSocket { transport: transport.name() });
        }
        if let (Some(address), Some(transport)) = (&address, transport) {
            note_unreachable(section.line, transport, &address.value.0, listeners, faults);
        }
        let trusted = section.flag(TRUSTED).is_some_and(|flag| flag.value);
        let mailbox_of = section.parsed(MAILBOX_OF, parse_id).map(|user| user.value);
        let overload_control = section.flag(OVERLOAD_CONTROL).is_some_and(|flag| flag.value);
        let latching = resolve_latching(&mut section);
        let dtmf = resolve_dtmf(&mut section);
        let client = resolve_client(&mut section, faults);
        let host = address.as_ref().map(|address| &address.value.0);
        let numbers = numbers::resolve_of_peer(&mut section, host, faults);
        section.finish();
        let (Some(Located { value: id, line }), Some(domain_id)) = (id, domain) else { continue };
        let Some(domain) = tenants.domains.get_mut(&domain_id) else { continue };
        if let Some(first) = lines.insert((domain_id, id.clone()), line) {
            let (id, domain) = (Quoted::new(&id), Quoted::new(&domain.name));
            faults.note(line, Fault::DuplicatePeer { id, domain, first });
        }
        // After a fault the configuration is refused; the peer stands in so that its routes are no faults as well.
        let (host, port) = address.map_or((Host::Ip([0; 4].into()), None), |address| address.value);
        let peer = Peer {
            host,
            port,
            transport,
            overload_control,
            trusted,
            mailbox_of,
            latching,
            dtmf,
            client,
            numbers,
        };
        domain.peers.insert(id, peer);
    }
}

/// A peer over a stream needs a listener of the same kind: the peer's own requests come in there (RFC 3261 §18.1.1).
fn note_unreachable(
    line: u32,
    transport: Transport,
    peer: &Host,
    listeners: &[Located<Listener>],
    faults: &Faults,
) {
    let ip = match peer {
        Host::Ip(ip) => Some(ip),
        Host::Name(_) => None,
    };
    let serves = |listener: &Located<Listener>| {
        listener.value.transport == transport
            && ip.is_none_or(|ip| listener.value.address.is_ipv4() == ip.is_ipv4())
    };
    match transport {
        Transport::Tcp | Transport::Tls if !listeners.iter().any(serves) => {
            let family = if ip.is_none_or(IpAddr::is_ipv4) { "IPv4" } else { "IPv6" };
            let transport = transport.name().to_ascii_lowercase();
            faults.note(line, Fault::PeerWithoutListener { transport, family });
        }
        Transport::Udp | Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {}
    }
}

/// A user part that needs no escape in a URI (RFC 3261 §25.1: `unreserved`, and `+` of `user-unreserved`).
pub(crate) fn parse_id(text: &str) -> Option<Box<str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()+".contains(&byte);
    ((1..=64).contains(&text.len()) && text.bytes().all(plain)).then(|| text.into())
}

pub(crate) fn parse_display_name(text: &str) -> Option<Box<str>> {
    let fits = (1..=128).contains(&text.chars().count());
    (fits && !text.chars().any(char::is_control)).then(|| text.into())
}
