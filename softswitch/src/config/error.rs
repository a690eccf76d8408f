//! What can be wrong with a configuration: one variant per fault, each with what it needs to say where and what to do.
//!
//! Every text that comes from the file is shown escaped and cut at 80 characters; secrets are never shown.

use core::fmt;
use thiserror::Error;

/// All faults of one file, in the order of their lines; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    file: Box<str>,
    errors: Vec<ConfigError>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Line in the file, counted from 1; `None` when the fault is what the file lacks as a whole.
    pub line: Option<u32>,
    /// The fault and its remedy.
    pub fault: Fault,
}

impl ConfigErrors {
    pub(super) fn new(file: &str, mut errors: Vec<ConfigError>) -> ConfigErrors {
        errors.sort_by_key(|error| error.line);
        ConfigErrors { file: file.into(), errors }
    }

    /// The faults, in the order of their lines.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().take(LISTED).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file.escape_debug())?;
            if let Some(line) = error.line {
                write!(f, "{line}:")?;
            }
            write!(f, " {}", error.fault)?;
        }
        match self.errors.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more errors", self.file.escape_debug()),
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// Errors shown at a time.
const LISTED: usize = 50;

/// Characters of a text from the file that are shown.
const SHOWN: usize = 80;

/// A text from the file, as it may be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted(Box<str>);

impl Quoted {
    pub(super) fn new(text: &str) -> Quoted {
        Quoted(text.into())
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHOWN) {
            None => write!(f, "{:?}", self.0),
            Some((cut, _)) => write!(f, "{:?}…", self.0.split_at(cut).0),
        }
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Not TOML.
    #[error("this is not valid TOML: {}; correct this line", .message.escape_debug())]
    Syntax {
        /// What the TOML parser says.
        message: Box<str>,
    },
    /// A key that means nothing where it stands.
    #[error("unknown key {key} in {place}; {}", Advice { nearest: *nearest, known })]
    UnknownKey {
        /// The key.
        key: Quoted,
        /// Where it stands.
        place: &'static str,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
        /// Every key known here.
        known: Vec<&'static str>,
    },
    /// A value of another TOML type.
    #[error("{key} must be {expected}, not {found}; for example {key} = {example}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
        /// One that is right.
        example: &'static str,
    },
    /// `[x]` for `[[x]]` or the reverse.
    #[error("{place} is written otherwise; begin each with a line {place}")]
    WrongHeading {
        /// The heading as it should be.
        place: &'static str,
    },
    /// A key that must be there.
    #[error("{place} lacks {key}; add a line {key} = {example}")]
    Missing {
        /// The key.
        key: &'static str,
        /// Where it belongs.
        place: &'static str,
        /// One that is right.
        example: &'static str,
    },
    /// A number out of bounds.
    #[error("{key} = {found} is out of range; choose a number from {lowest} to {highest}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// What it is.
        found: Quoted,
        /// The lowest allowed.
        lowest: u64,
        /// The highest allowed.
        highest: u64,
    },
    /// A list without elements where they matter.
    #[error("{key} is empty; for example {key} = {example}, or remove the line")]
    EmptyList {
        /// The key.
        key: &'static str,
        /// One that is right.
        example: &'static str,
    },
    /// A text that does not mean what it should.
    #[error("{key} = {found} is not {expected}; for example {key} = {example}")]
    Unreadable {
        /// The key.
        key: &'static str,
        /// The text.
        found: Quoted,
        /// What it should be.
        expected: &'static str,
        /// One that is right.
        example: &'static str,
    },
    /// A secret that cannot be used; its value is not shown.
    #[error("{key} is not {expected}; replace it")]
    UnreadableSecret {
        /// The key.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A peer that can only be spoken to when it has connected.
    #[error(
        "a peer cannot be reached over {transport}, which browsers open alone; use \"udp\", \"tcp\" or \"tls\""
    )]
    PeerOverWebSocket {
        /// The transport.
        transport: &'static str,
    },
    /// A peer that nothing of ours could speak to.
    #[error(
        "no [[listener]] has transport = \"{transport}\" and an {family} address, which this peer needs to reach us; \
         add one"
    )]
    PeerWithoutListener {
        /// The transport, in lower case.
        transport: String,
        /// IPv4 or IPv6.
        family: &'static str,
    },
    /// A secure listener, and nothing to prove who we are.
    #[error(
        "a {transport} listener needs a certificate; add a section [tls] with lines \
         certificate = \"server.pem\" and key = \"server.key\""
    )]
    NoCertificate {
        /// The transport.
        transport: &'static str,
    },
    /// Certificates are asked for and nobody is trusted to issue them.
    #[error("client_certificates = {wanted} needs client_roots; add a line client_roots = \"clients.pem\"")]
    NoClientRoots {
        /// What is asked for.
        wanted: Quoted,
    },
    /// No socket to listen on.
    #[error("there is no [[listener]]; add one with a line address = \"0.0.0.0:5060\"")]
    NoListener,
    /// The same socket twice.
    #[error("listener {address} is defined twice (first in line {first}); remove one of them")]
    DuplicateListener {
        /// The address.
        address: std::net::SocketAddr,
        /// Line of the first.
        first: u32,
    },
    /// A SIP port that media could take.
    #[error(
        "port {port} of this listener lies in the media ports; choose another port, or other ports in [media]"
    )]
    ListenerInMediaPorts {
        /// The port.
        port: u16,
    },
    /// A name in SDP.
    #[error(
        "media would be advertised under the name {host}, and phones do not resolve names in SDP; \
         add a line advertise with the IP address to [media]"
    )]
    MediaAdvertisesName {
        /// The name.
        host: Quoted,
    },
    /// Two addresses of one family.
    #[error("advertise holds two addresses of one family; keep one IPv4 and at most one IPv6 address")]
    MediaAdvertisesTwice,
    /// More domains than there are numbers.
    #[error("there are {found} domains, and {limit} are possible; remove some")]
    TooManyDomains {
        /// How many there are.
        found: usize,
        /// How many may be.
        limit: usize,
    },
    /// A domain name or alias that stands for two domains.
    #[error("the domain name {host} is taken (first in line {first}); remove one of them")]
    DuplicateHost {
        /// The name.
        host: Quoted,
        /// Line of the first.
        first: u32,
    },
    /// Two default domains.
    #[error(
        "a second domain is the default (the first is that of line {first}); remove one of the two default = true"
    )]
    DuplicateDefault {
        /// Line of the first.
        first: u32,
    },
    /// An object without a domain where no domain is the default.
    #[error(
        "{place} names no domain, and no domain is the default; add a line domain, or default = true to a [[domain]]"
    )]
    NoDefaultDomain {
        /// What lacks it.
        place: &'static str,
    },
    /// A domain that is not defined.
    #[error("there is no domain {name}; {}", DidYouMean { nearest: nearest.as_ref(), otherwise: "add a [[domain]] of this name" })]
    UnknownDomain {
        /// The name.
        name: Quoted,
        /// The name that looks most like it.
        nearest: Option<Quoted>,
    },
    /// Bounds in the wrong order.
    #[error("{low} is more than {high}; make {low} the smaller")]
    Reversed {
        /// The key that must be the smaller.
        low: &'static str,
        /// The key that must be the greater.
        high: &'static str,
    },
    /// A block of users that is too large.
    #[error("this block has {found} users, and {limit} are possible; make it smaller or split it")]
    BlockTooLarge {
        /// Its size.
        found: u64,
        /// The greatest.
        limit: u64,
    },
    /// The same user twice.
    #[error("user {id} is defined twice in domain {domain} (first in line {first}); remove one of them")]
    DuplicateUser {
        /// The user.
        id: Quoted,
        /// The domain.
        domain: Quoted,
        /// Line of the first.
        first: u32,
    },
    /// The same peer twice.
    #[error("peer {id} is defined twice in domain {domain} (first in line {first}); remove one of them")]
    DuplicatePeer {
        /// The peer.
        id: Quoted,
        /// The domain.
        domain: Quoted,
        /// Line of the first.
        first: u32,
    },
    /// The same object twice.
    #[error("{what} {id} is defined twice in domain {domain} (first in line {first}); remove one of them")]
    DuplicateObject {
        /// Of what kind.
        what: &'static str,
        /// Its id.
        id: Quoted,
        /// The domain.
        domain: Quoted,
        /// Line of the first.
        first: u32,
    },
    /// A number that somebody else has.
    #[error("number {number} is that of {first} already; remove it from one of the two")]
    NumberIsTaken {
        /// The number.
        number: Quoted,
        /// Who has it.
        first: Quoted,
    },
    /// A device with the id of a user or of another device.
    #[error("domain {domain} has a user or a device {id} already; give this device another id")]
    DeviceIsTaken {
        /// The device.
        id: Quoted,
        /// The domain.
        domain: Quoted,
    },
    /// A number of emergency that nobody could call.
    #[error(
        "{number} is a number of emergency and dials user {id}; give the user another number, or add a line emergency_numbers \
         without {number} to the [[domain]]"
    )]
    EmergencyIsUser {
        /// The number.
        number: Quoted,
        /// The user.
        id: Quoted,
    },
    /// Calls from a peer whose addresses are not known.
    #[error(
        "inbound = true needs a peer whose address is an IP address; name the networks from which it calls: \
         inbound = [\"192.0.2.0/28\"]"
    )]
    InboundOfName,
    /// A room of which one code begins with the other: which one is meant could not be told while it is dialled.
    #[error("one of pin and moderator_pin begins with the other; choose another one")]
    CodesOverlap,
    /// A code that is none; it is not shown.
    #[error("{key} has to be 1 to 16 digits in quotes, such as {key} = \"4711\"")]
    BadCode {
        /// The key.
        key: &'static str,
    },
    /// A room that waits for a moderator, or ends with it, and has none.
    #[error(
        "{key} needs somebody who is a moderator; add moderator_pin = \"4711\", or moderators = [\"1001\"]"
    )]
    NoModerator {
        /// The key.
        key: &'static str,
    },
    /// A group in which nobody is.
    #[error(
        "group {id} names no members, and no user says that it is in it; give it members = [\"1001\"], or users groups = [{id}]"
    )]
    EmptyGroup {
        /// The group.
        id: Quoted,
    },
    /// A group that is too large.
    #[error("this group has {found} members, and {limit} are possible; make it smaller")]
    TooManyMembers {
        /// How many it has.
        found: u64,
        /// How many it may have.
        limit: u64,
    },
    /// A route without, or with more than one, thing to do.
    #[error(
        "route {pattern} {}; give it one of peer, peers, service, user, group and reject, or a number to dial with strip or prefix",
        if *has_many { "does several things" } else { "does nothing" }
    )]
    RouteTo {
        /// Its pattern.
        pattern: Quoted,
        /// It has more than one.
        has_many: bool,
    },
    /// Something of the dial plan that is not defined.
    #[error("domain {domain} has no {what} {id}; {}", DidYouMean { nearest: nearest.as_ref(), otherwise: "add it" })]
    UnknownObject {
        /// Of what kind.
        what: &'static str,
        /// The id.
        id: Quoted,
        /// The domain.
        domain: Quoted,
        /// The id that looks most like it.
        nearest: Option<Quoted>,
    },
    /// A call that passes through as it is, and whose route asks for what has to be decided.
    #[error(
        "mode = \"proxy\" needs a route to one peer without conditions, strip and prefix; remove mode, or those"
    )]
    ProxyIsPlanned,
    /// The same pattern twice.
    #[error(
        "pattern {pattern} is defined twice in domain {domain} (first in line {first}); remove one of them, or give them \
         another order, or other conditions (caller, from, schedule)"
    )]
    DuplicateRoute {
        /// The pattern.
        pattern: Quoted,
        /// The domain.
        domain: Quoted,
        /// Line of the first.
        first: u32,
    },
    /// A route that leads to two places.
    #[error("route {pattern} has a peer and a service; keep one of them")]
    PeerAndService {
        /// Its pattern.
        pattern: Quoted,
    },
    /// A peer that is not defined.
    #[error("domain {domain} has no peer {id}; {}", DidYouMean { nearest: nearest.as_ref(), otherwise: "add a [[peer]] of this id" })]
    UnknownPeer {
        /// The peer.
        id: Quoted,
        /// The domain.
        domain: Quoted,
        /// The id that looks most like it.
        nearest: Option<Quoted>,
    },
    /// A service, which is the switch's own end of a call, in a mode in which it has none.
    #[error(
        "a service is played by the switch, which with mode = \"proxy\" has no part in the media; remove mode"
    )]
    ProxyToService,
    /// A recording of what does not pass through the switch.
    #[error(
        "calls with mode = \"proxy\" do not pass through the switch and cannot be recorded; remove record, or mode"
    )]
    ProxyIsRecorded,
    /// A user whose calls are to be recorded, in a domain whose calls do not pass through the switch.
    #[error(
        "calls of user {id} are to be recorded, but domain {domain} has mode = \"proxy\", and its calls do not pass through the \
         switch; remove record and record_on_request of the user, or mode of the domain"
    )]
    ProxiedUserIsRecorded {
        /// The user.
        id: Quoted,
        /// The domain.
        domain: Quoted,
    },
    /// A peer that has to be looked for, or whose certificate has to be looked at.
    #[error(
        "mode = \"proxy\" needs a peer whose address is an IP address, over udp or tcp; {id} is none, so remove mode"
    )]
    ProxyToUnlocatedPeer {
        /// The peer.
        id: Quoted,
    },
    /// A user nobody could be.
    #[error("user {id} has no password; add a line password = \"…\" (or ha1 and ha1_sha256)")]
    NoCredentials {
        /// The user.
        id: Quoted,
    },
    /// A password and digests of one.
    #[error("user {id} has a password and ha1; keep one of them")]
    PasswordAndHa1 {
        /// The user.
        id: Quoted,
    },
    /// A challenge the user could not answer: a phone answers the first one it knows (RFC 8760 §2.4).
    #[error(
        "user {id} has no {key}, and domain {domain} offers {algorithm}; \
         add {key}, use password instead, or take {algorithm} out of the domain's digest"
    )]
    NoDigestFor {
        /// The user.
        id: Quoted,
        /// The domain.
        domain: Quoted,
        /// What the domain offers.
        algorithm: &'static str,
        /// The key that would serve it.
        key: &'static str,
    },
    /// A user of the file that a command has made too.
    #[error(
        "user {id} of domain {domain} is defined here and was made by command too; \
         remove it here, or there with: softswitch user remove {id} --domain {domain}"
    )]
    AlsoStored {
        /// The user.
        id: Quoted,
        /// The domain.
        domain: Quoted,
    },
    /// A room that is made in the file and by command.
    #[error(
        "room {extension} of domain {domain} is in this file and in the database; \
         remove it here, or there with: softswitch room remove {extension} --domain {domain}"
    )]
    RoomAlsoStored {
        /// The extension.
        extension: Quoted,
        /// The domain.
        domain: Quoted,
    },
    /// A room made by command that cannot be as it is.
    #[error(
        "room {extension} of domain {domain} in the database: {reason}; \
         change it with: softswitch room set {extension} --domain {domain}, or remove it with: \
         softswitch room remove {extension} --domain {domain}"
    )]
    StoredRoom {
        /// The extension.
        extension: Quoted,
        /// The domain.
        domain: Quoted,
        /// Why, as the file would be told.
        reason: Box<str>,
    },
    /// A user made by command in a domain that the file no longer has.
    #[error(
        "user {id} was made by command in domain {domain}, which this file does not have; \
         add a [[domain]] of this name, or remove the user with: softswitch user remove {id} --domain {domain}"
    )]
    StoredInUnknownDomain {
        /// The user.
        id: Quoted,
        /// The domain.
        domain: Quoted,
    },
}

/// The advice on an unknown key.
struct Advice<'a> {
    nearest: Option<&'static str>,
    known: &'a [&'static str],
}

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nearest {
            Some(nearest) => write!(f, "did you mean {nearest}?"),
            None => write!(f, "remove it; known here: {}", self.known.join(", ")),
        }
    }
}

/// The advice on an unknown name.
struct DidYouMean<'a> {
    nearest: Option<&'a Quoted>,
    otherwise: &'static str,
}

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nearest {
            Some(nearest) => write!(f, "did you mean {nearest}? If not, {}", self.otherwise),
            None => f.write_str(self.otherwise),
        }
    }
}
