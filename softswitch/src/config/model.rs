//! The configuration as the switch sees it: resolved, validated, without text left to interpret.
//!
//! A [`Config`] is a value: the snapshot at the head of a scenario log carries it, a reload is a new one as an input.
//! It holds no passwords; of a password only the digests of RFC 7616 §3.4.2 are kept. How the TOML file becomes a
//! `Config` is in [`super::resolve`]; where the file lies and how it is read is not known here.

use super::call_features::CallFeatures;
use super::client::Client;
pub use super::dialplan::*;
use super::features::Features;
use super::network::{Network, canonical};
pub use super::watching::{Mailbox, WatchedBy};
use crate::core::command::Rights;
use crate::rooms::Rules;
use media::dsp::Conditioning;
use media::tap::Container;
use serde::{Deserialize, Serialize};
use sip_stack::auth::{Algorithm, Ha1};
use sip_stack::resolve::{Destination, Host};
use sip_stack::session::TimerPolicy;
pub use sip_stack::transport::Transport;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Number of a SIP domain (tenant) within one run of the switch.
///
/// A name keeps its number over a reload ([`Config::keep_ids_of`]); what lasts longer than the process uses the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DomainId(pub u16);

/// Everything the operator decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Name of the file this came from, for messages.
    pub file: Box<str>,
    /// Where SIP is received, in the order of the file; at least one.
    pub listeners: Vec<Listener>,
    /// Certificates; there whenever a listener is secure.
    pub tls: Option<Tls>,
    /// RTP ports and addresses.
    pub media: Media,
    /// What is said to callers.
    pub prompts: Prompts,
    /// The tenants; at least one.
    pub domains: BTreeMap<DomainId, Domain>,
    /// The tenant that answers for IP literals, `localhost` and advertised names that no domain claims.
    pub default_domain: Option<DomainId>,
    /// Names, aliases and advertised names in canonical form (lower case, IP literals as `std` prints them).
    pub hosts: BTreeMap<Box<str>, DomainId>,
    /// Where recordings go; a relative path is meant from the folder of the configuration file. `None`: `recordings` in
    /// the data directory, which whoever starts the switch puts in.
    pub recordings: Option<Arc<str>>,
    /// Whether those who are recorded are told so before.
    pub announce_recordings: bool,
    /// Days that records of calls are kept after their end; `None`: for ever.
    pub keep_records_days: Option<u32>,
    /// Bounds of the switch as a whole.
    pub limits: Limits,
    /// How long sessions last without a refresh (RFC 4028).
    pub session_timer: TimerPolicy,
    /// How often phones behind translators are asked whether they are there; half a minute by default, because
    /// translators forget a flow of UDP after a minute or two, some after half a minute (RFC 5626 §4.4.2).
    pub keep_alive_s: u32,
    /// What users can do with calls.
    pub call_features: CallFeatures,
    /// What is dialled to set something.
    pub features: Features,
    /// Who is asked for the addresses of peers given by name; nobody listed: those the system asks.
    pub name_servers: Vec<SocketAddr>,
}

/// One SIP socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Address to bind; `0.0.0.0` or `[::]` binds all interfaces.
    pub address: SocketAddr,
    /// What runs over it.
    pub transport: Transport,
    /// What peers outside [`local_networks`](Self::local_networks) are told in Via and Contact.
    pub advertise: Option<Advertise>,
    /// Networks whose hosts reach the bound address directly; empty when nothing is advertised.
    pub local_networks: Vec<Network>,
}

impl Listener {
    /// What `peer` is told instead of the address that faces it; `None` for a peer in a local network.
    pub fn advertised_to(&self, peer: IpAddr) -> Option<&Advertise> {
        self.advertise.as_ref().filter(|_| !contains(&self.local_networks, peer))
    }
}

/// Certificates and whom to trust. Files are read where they are needed, and again on a reload; a relative name is
/// looked for beside the configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Our certificate and those up to its root, PEM.
    pub certificate: Box<str>,
    /// Its private key, PEM.
    pub key: Box<str>,
    /// Whether those who connect to us have to show a certificate.
    pub client_certificates: ClientCertificates,
    /// Who may have issued the certificate of a server that we connect to, PEM; without it the roots of the Web.
    pub server_roots: Option<Box<str>>,
}

/// What is asked of those who connect over TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientCertificates {
    /// Nothing.
    #[default]
    None,
    /// One that these roots issued, if they have one.
    Request {
        /// PEM.
        roots: Box<str>,
    },
    /// One that these roots issued.
    Require {
        /// PEM.
        roots: Box<str>,
    },
}

/// A name or address, with a port if it differs from the bound one, as written into Via and Contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advertise {
    /// Host name or IP literal; IPv6 without brackets.
    pub host: Box<str>,
    /// The port outside, when a translation changes it.
    pub port: Option<u16>,
}

impl Advertise {
    /// The address, when the host is an IP literal.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// The sounds of the switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompts {
    /// The operator's own sounds; a relative name is looked for beside the configuration file.
    pub folder: Option<Box<str>>,
    /// The language of announcements to users who have none of their own: the name of a folder of prompts.
    pub language: Box<str>,
    /// Whether a caller is told in words that there is no such number, before it is refused.
    pub unknown_number: bool,
    /// Whether an anonymous caller is told in words that it may not call so.
    pub refused_anonymous: bool,
    /// What is in the folder, which whoever reads the configuration looks up.
    pub own: OwnPrompts,
}

/// The operator's folder of prompts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPrompts {
    /// The rules of languages: the language and the text.
    pub grammars: Vec<(Box<str>, Box<str>)>,
    /// Sounds: the name from the folder on, with `/` (`en/digits/7.opus`), and the path.
    pub sounds: Vec<(Box<str>, Arc<str>)>,
}

impl Default for Prompts {
    fn default() -> Prompts {
        Prompts {
            folder: None,
            language: "en".into(),
            unknown_number: false,
            refused_anonymous: false,
            own: OwnPrompts::default(),
        }
    }
}

/// RTP on the side of the switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Ports of RTP (even) and RTCP (odd).
    pub ports: PortRange,
    /// IPv4 address in SDP for peers outside [`local_networks`](Self::local_networks).
    pub advertise_ipv4: Option<Ipv4Addr>,
    /// IPv6 address in SDP for peers outside [`local_networks`](Self::local_networks).
    pub advertise_ipv6: Option<Ipv6Addr>,
    /// Networks whose hosts reach the bound address directly.
    pub local_networks: Vec<Network>,
    /// A call that is not on hold and whose two legs sent neither RTP nor RTCP for this long is ended; `None`: never.
    pub silence_s: Option<u32>,
    /// Whether parties without a common codec are brought together by decoding.
    pub transcode: bool,
    /// Threads that move and mix sound; `None`: one less than the machine has cores, at least one.
    pub threads: Option<u32>,
}

impl Media {
    /// The address that stands in SDP for `peer` instead of the one that faces it, of the peer's family.
    pub fn advertised_to(&self, peer: IpAddr) -> Option<IpAddr> {
        if contains(&self.local_networks, peer) {
            return None;
        }
        match canonical(peer) {
            IpAddr::V4(_) => self.advertise_ipv4.map(IpAddr::V4),
            IpAddr::V6(_) => self.advertise_ipv6.map(IpAddr::V6),
        }
    }
}

/// UDP ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// Lowest port; even.
    pub first: u16,
    /// Highest port; odd.
    pub last: u16,
}

/// One tenant: users, peers and routes that no other tenant sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// The SIP domain, and the realm of its digests, as written in the file.
    pub name: Arc<str>,
    /// Further hosts that mean this domain, canonical.
    pub aliases: Vec<Box<str>>,
    /// Algorithms offered in a challenge, in this order (RFC 8760 §2.3); at least one. MD5 alone unless the file says
    /// otherwise: baresip 1.0 and SIPp refuse a response that offers them anything else beside it.
    pub digest: Vec<Algorithm>,
    /// A nonce older than this is stale.
    pub nonce_lifetime_s: u32,
    /// Bounds of a registration.
    pub registration: Registration,
    /// Whether the way to phones behind translators is kept open.
    pub nat: Nat,
    /// Where a call to a phone goes.
    pub contact: ContactPolicy,
    /// Whether users may join calls of others (RFC 3911), and so hear what is said.
    pub join: bool,
    /// How calls between its users are carried.
    pub mode: Mode,
    /// Users by the user part of their address of record (case-sensitive, RFC 3261 §19.1.4).
    pub users: BTreeMap<Box<str>, User>,
    /// Static SIP peers by id.
    pub peers: BTreeMap<Box<str>, Peer>,
    /// Routes in the order in which they are tried.
    pub routes: Vec<Route>,
    /// What else its dial plan has.
    pub numbering: Numbering,
    /// Messages that wait for users, made by command.
    pub mailboxes: BTreeMap<Box<str>, Mailbox>,
}

impl Domain {
    /// Whom `user_part` (unescaped, without parameters) reaches, as far as that needs no more than the number.
    ///
    /// A user comes first, by its id or one of its numbers; then a room; then the first route whose pattern matches, which decides the rest if it has
    /// conditions, rewrites the number, or leads to anything else than one peer or a service (`routing::decide`).
    pub fn route(&self, user_part: &[u8]) -> Option<Target<'_>> {
        if let Some((id, user)) = self.user_of(user_part) {
            return Some(Target::User { id, user });
        }
        if let Some(room) = self.numbering.room(user_part) {
            return Some(Target::Service(&room.service));
        }
        let route = self.routes.iter().find(|route| route.pattern.matches(user_part))?;
        if route.conditions.count() > 0 || !route.rewrite.is_nothing() {
            return Some(Target::Planned);
        }
        match &route.to {
            RouteTo::Peers(Trunks { peers, .. }) => match &peers[..] {
                [only] => {
                    let (id, peer) = self.peers.get_key_value(&only.peer)?;
                    Some(Target::Peer { id, peer, record: route.record, mode: route.mode })
                }
                _ => Some(Target::Planned),
            },
            RouteTo::Service(service) => Some(Target::Service(service)),
            RouteTo::User(_) | RouteTo::Group(_) | RouteTo::Reject(_) | RouteTo::Again => {
                Some(Target::Planned)
            }
        }
    }

    /// Whether the number is somebody's or leads somewhere: no code of ours stands in its way.
    pub fn knows(&self, number: &[u8]) -> bool {
        let numbering = &self.numbering;
        let is_number = |text: &str| {
            numbering.group_numbers.contains_key(text)
                || numbering.paging_numbers.contains_key(text)
                || numbering.emergency.numbers.iter().any(|known| **known == *text)
        };
        self.route(number).is_some() || core::str::from_utf8(number).is_ok_and(is_number)
    }

    /// The user of this id, or of this number.
    pub fn user_of(&self, number: &[u8]) -> Option<(&str, &User)> {
        let name = core::str::from_utf8(number).ok()?;
        let entry = self.users.get_key_value(name).or_else(|| {
            let id = self.numbering.numbers.get(name)?;
            self.users.get_key_value(id)
        });
        entry.map(|(id, user)| (&**id, user))
    }

    /// The user who has these credentials: by its own name, or by that of one of its devices.
    pub fn credentials(&self, name: &[u8]) -> Option<(&str, &Ha1)> {
        if let Some((id, user)) = self.user(name) {
            return Some((id, &user.credentials));
        }
        let device = self.numbering.devices.get(core::str::from_utf8(name).ok()?)?;
        self.users.get_key_value(&device.user).map(|(id, _)| (&**id, &device.credentials))
    }

    /// The user of this name.
    pub fn user(&self, user_part: &[u8]) -> Option<(&str, &User)> {
        let name = core::str::from_utf8(user_part).ok()?;
        self.users.get_key_value(name).map(|(id, user)| (&**id, user))
    }
}

/// Where a number leads within a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The contacts of a user.
    User {
        /// Key in [`Domain::users`].
        id: &'a str,
        /// The user.
        user: &'a User,
    },
    /// A static peer; the number dialled is passed on as it is.
    Peer {
        /// Key in [`Domain::peers`].
        id: &'a str,
        /// The peer.
        peer: &'a Peer,
        /// How the call is recorded, if it is.
        record: Option<Recording>,
        /// How the call is carried.
        mode: Mode,
    },
    /// The switch itself.
    Service(&'a Service),
    /// What the caller, the time and other things decide.
    Planned,
}

/// How a call is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Two dialogs, and the media pass through the switch.
    #[default]
    Anchored,
    /// One dialog between the parties, whose messages pass through the switch (RFC 3261 §16); their media do not.
    Proxy,
}

/// What is done about phones behind address translators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nat {
    /// A phone over UDP whose REGISTER came from another host than its Contact names is asked for its OPTIONS every
    /// [`Config::keep_alive_s`].
    #[default]
    Auto,
    /// Nothing: phones keep the way open themselves.
    Off,
}

/// The address that a call to a phone is sent to. The Request-URI is the registered Contact in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContactPolicy {
    /// The source of the REGISTER, unless the Contact names the same host: then the port of the Contact.
    #[default]
    Auto,
    /// The address in the Contact; the source where that is a name.
    AsSent,
    /// The source of the REGISTER.
    Source,
}

/// Bounds of a registration (RFC 3261 §10.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Shorter wishes are answered 423 with this value in Min-Expires.
    pub min_expires_s: u32,
    /// Used when the request names no expiry.
    pub default_expires_s: u32,
    /// Longer wishes are cut to this.
    pub max_expires_s: u32,
    /// Contacts one address of record may have at a time.
    pub max_contacts: u32,
}

impl Default for Registration {
    fn default() -> Self {
        Registration { min_expires_s: 60, default_expires_s: 3_600, max_expires_s: 7_200, max_contacts: 10 }
    }
}

/// Who may register and be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// What digests are checked against.
    pub credentials: Ha1,
    /// Shown to those who are called; no control characters.
    pub display_name: Option<Box<str>>,
    /// A call to this user that nobody answers for so long is given up.
    pub ring_s: u32,
    /// From where the user's media may come.
    pub latching: Latching,
    /// How the user's phones press keys.
    pub dtmf: Dtmf,
    /// The language it is spoken to in; `None`: that of the switch.
    pub language: Option<Box<str>>,
    /// Which of the user's calls are recorded.
    pub recording: UserRecording,
    /// Who may watch it.
    pub watched_by: WatchedBy,
    /// The groups that it is in.
    pub groups: Vec<Box<str>>,
    /// What it may see and command.
    pub rights: Rights,
    /// Its calls are nobody else's business.
    pub hidden: bool,
    /// It may speak through phones of others that answer by themselves: intercom and paging.
    pub may_page: bool,
    /// Its calls are anonymous unless it dials otherwise (RFC 3323).
    pub anonymous: bool,
    /// It takes no anonymous calls unless it sets otherwise (RFC 5079).
    pub refuse_anonymous: bool,
    /// Its numbers, limits and follow-me.
    pub numbers: UserNumbers,
    /// Who made this user.
    pub origin: Origin,
}

/// Who made an object; one made in the file cannot be made by a command as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The configuration file, in this line (counted from 1).
    File {
        /// Line of the object's id.
        line: u32,
    },
    /// A command; kept in the database.
    Store,
}

/// How the keys of an endpoint travel between it and us. Events (RFC 4733) and INFO that it sends are always heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dtmf {
    /// As events if it has agreed to them, else by INFO if it takes that, else as tones. Its tones are listened for when it has
    /// neither and the other side wants to know.
    #[default]
    Auto,
    /// As events if it has agreed to them, else as tones.
    Event,
    /// By INFO, whatever it has agreed to.
    Info,
    /// As tones, whatever it has agreed to; and its tones are listened for, which costs decoding what it sends.
    Inband,
}

/// From which source addresses the media of an endpoint is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Latching {
    /// The SDP address or the source of the signalling, learned within the window.
    #[default]
    Symmetric,
    /// The SDP address alone.
    SdpOnly,
    /// Any address in one of these networks: carriers whose media is asymmetric.
    AnyOf(Vec<Network>),
}

/// A SIP peer that does not register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Where its requests go: an address, or a name that is located (RFC 3263).
    pub host: Host,
    /// The port; a name without one is looked for with SRV records.
    pub port: Option<u16>,
    /// Over what; where the file leaves it open, what RFC 3263 §4.1 finds.
    pub transport: Option<Transport>,
    /// Whether we announce RFC 7339 to it in our Vias, and obey what it answers. Off by default: some servers choke on
    /// Via parameters they do not know.
    pub overload_control: bool,
    /// Whether it is told who calls, also when the caller does not want to be known (RFC 3325).
    pub trusted: bool,
    /// The user whose messages its mailbox has: what it tells of that is told to the user's phones (RFC 3842).
    pub mailbox_of: Option<Box<str>>,
    /// From where its media may come.
    pub latching: Latching,
    /// How keys reach it and come from it.
    pub dtmf: Dtmf,
    /// What the switch is to it.
    pub client: Client,
    /// Its calls, numbers and limits.
    pub numbers: PeerNumbers,
}

impl Peer {
    /// What has to be located.
    #[must_use]
    pub fn destination(&self) -> Destination {
        Destination {
            target: self.host.clone(),
            identity: self.host.clone(),
            port: self.port,
            transport: self.transport,
            secure: false,
            first: None,
        }
    }

    /// Where requests to it go first: the outbound proxy, if there is one (RFC 3261 §8.1.2).
    #[must_use]
    pub fn first_hop(&self) -> Destination {
        match &self.client.outbound_proxy {
            None => self.destination(),
            Some((host, port)) => Destination {
                target: host.clone(),
                identity: host.clone(),
                port: *port,
                ..self.destination()
            },
        }
    }

    /// The Route value of the outbound proxy.
    #[must_use]
    pub fn route(&self) -> Option<Vec<u8>> {
        let (host, port) = self.client.outbound_proxy.as_ref()?;
        let proxy = Peer { host: host.clone(), port: *port, ..self.clone() };
        Some([b"<sip:", proxy.authority().as_bytes(), b";lr>"].concat())
    }

    /// What follows the user part in its URIs: host, port, and the transport if it is not UDP.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = match &self.host {
            Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
            Host::Ip(ip) => ip.to_string(),
            Host::Name(name) => name.to_string(),
        };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let transport = match self.transport {
            None | Some(Transport::Udp) => String::new(),
            Some(transport) => format!(";transport={}", transport.name().to_ascii_lowercase()),
        };
        host + &port + &transport
    }
}

/// What the switch does itself for a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Service {
    /// Everybody who dials the same number of a domain hears the others.
    Conference(Conference),
    /// The caller hears what it says.
    Echo,
    /// The test tone of telephony: 1004 Hz at 0 dBm0.
    Milliwatt,
    /// The caller is answered and hears nothing, for so long.
    Answer {
        /// Seconds.
        for_s: u32,
    },
    /// A file is played once, and then the call is over.
    Play {
        /// The file.
        sound: Sounds,
    },
    /// The files of a folder are played for ever.
    Music {
        /// The folder.
        folder: Sounds,
    },
    /// The caller speaks to a paging group; no route leads to it.
    Paging,
}

/// A conference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conference {
    /// How it is recorded, if it is.
    pub record: Option<Recording>,
    /// What is done to the voices of its members.
    pub conditioning: Conditioning,
    /// Who may come in, and what becomes of it.
    pub rules: Arc<Rules>,
    /// Its number, whatever was dialled; without it, what was dialled.
    pub number: Option<Arc<str>>,
}

impl Service {
    /// Its word in the file.
    pub const fn word(&self) -> &'static str {
        match self {
            Service::Conference(_) => "conference",
            Service::Echo => "echo",
            Service::Milliwatt => "milliwatt",
            Service::Answer { .. } => "answer",
            Service::Play { .. } => "play",
            Service::Music { .. } => "music",
            Service::Paging => "paging",
        }
    }

    /// What is done to the voices of callers.
    pub fn conditioning(&self) -> Conditioning {
        match self {
            Service::Conference(conference) => conference.conditioning,
            Service::Echo
            | Service::Milliwatt
            | Service::Answer { .. }
            | Service::Play { .. }
            | Service::Music { .. }
            | Service::Paging => Conditioning::default(),
        }
    }

    /// How it is recorded, if it is.
    pub const fn recording(&self) -> Option<Recording> {
        match self {
            Service::Conference(conference) => conference.record,
            Service::Echo
            | Service::Milliwatt
            | Service::Answer { .. }
            | Service::Play { .. }
            | Service::Music { .. }
            | Service::Paging => None,
        }
    }
}

/// What is played, and where the configuration says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sounds {
    /// A file or folder; a relative path is meant from the folder of the configuration file.
    pub path: Arc<str>,
    /// The files there are, which whoever reads the configuration looks up.
    pub files: Vec<Arc<str>>,
    /// The line of the path.
    pub line: u32,
}

/// Which calls of a user are recorded: those between it and one other party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecording {
    /// How.
    pub form: Recording,
    /// All, from the answer on.
    pub always: bool,
    /// Those in which the user's phone asks for it.
    pub on_request: bool,
}

/// How a call is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// The kind of the files.
    pub format: Container,
    /// What is in one.
    pub layout: Layout,
}

impl Default for Recording {
    fn default() -> Recording {
        Recording { format: Container::Wav, layout: Layout::default() }
    }
}

/// What is in a file of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// Everybody, mono.
    #[default]
    Mix,
    /// The caller on the left, the other party on the right.
    Stereo,
    /// What one party says: a file for each.
    Members,
}

/// Bounds of the whole switch: what is beyond is refused (503), not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Transactions alive at a time.
    pub transactions: u32,
    /// Calls at a time, ringing ones included.
    pub calls: u32,
    /// Nonces whose counts are remembered (RFC 7616 §3.4).
    pub nonces: u32,
    /// Subscriptions at a time.
    pub subscriptions: u32,
    /// Subscriptions of one user; beyond, that user is refused (403).
    pub subscriptions_per_user: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            transactions: 1_000_000,
            calls: 10_000,
            nonces: 100_000,
            subscriptions: 100_000,
            subscriptions_per_user: 500,
        }
    }
}

impl Config {
    /// The domain a URI's host means: the one that has it as name or alias (ASCII case aside); the default domain for
    /// an IP literal or `localhost` that nobody claims; `None` for any other name.
    ///
    /// `host` may carry the brackets of an IPv6 literal and the final dot of a name; no port.
    pub fn domain_of_host(&self, host: &[u8]) -> Option<DomainId> {
        let mut buffer = [0_u8; MAX_HOST];
        let lower = buffer.get_mut(..host.len())?;
        lower.copy_from_slice(host);
        lower.make_ascii_lowercase();
        let lower = core::str::from_utf8(lower).ok()?;
        let name = lower.strip_suffix('.').unwrap_or(lower);
        if let Some(id) = self.hosts.get(name) {
            return Some(*id);
        }
        if name == "localhost" {
            return self.default_domain;
        }
        // Spelled otherwise than `std` prints it, an IPv6 address may still be claimed.
        let claimed = match parse_ip_literal(name)? {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => self.hosts.get(address.to_string().as_str()).copied(),
        };
        claimed.or(self.default_domain)
    }

    /// The domain of this name or alias; unlike [`domain_of_host`](Self::domain_of_host) without any default.
    pub fn domain_named(&self, name: &str) -> Option<DomainId> {
        self.hosts.get(canonical_host(name).as_str()).copied()
    }

    /// Gives every domain that `running` has too the number it has there, and new ones numbers that `running` does
    /// not use: state keyed by [`DomainId`] survives a reload.
    pub fn keep_ids_of(&mut self, running: &Config) {
        let mut free = (0..=u16::MAX).map(DomainId).filter(|id| !running.domains.contains_key(id));
        let mut renumbered = BTreeMap::new();
        for (old, domain) in &self.domains {
            let kept = running.domains.iter().find(|(_, known)| known.name == domain.name).map(|(id, _)| *id);
            // At most half of all numbers are in use in each of the two (`MAX_DOMAINS`), so one is free.
            renumbered.insert(*old, kept.or_else(|| free.next()).unwrap_or(*old));
        }
        let new_id = |id: &DomainId| renumbered.get(id).copied().unwrap_or(*id);
        self.default_domain = self.default_domain.as_ref().map(new_id);
        for id in self.hosts.values_mut() {
            *id = new_id(id);
        }
        let domains = core::mem::take(&mut self.domains);
        self.domains = domains.into_iter().map(|(id, domain)| (new_id(&id), domain)).collect();
    }
}

/// Domains in one file at most.
pub(super) const MAX_DOMAINS: usize = 32_768;

/// Longest host name looked up (RFC 1035 §2.3.4), brackets included.
const MAX_HOST: usize = 255;

/// Lower case, without the brackets of IPv6 and the final dot of a name; IP literals as `std` prints them.
pub(super) fn canonical_host(host: &str) -> String {
    let lower = host.to_ascii_lowercase();
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    match parse_ip_literal(name) {
        Some(address) => address.to_string(),
        None => name.to_owned(),
    }
}

/// An IPv4 literal, or an IPv6 literal with or without brackets.
pub(super) fn parse_ip_literal(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

fn contains(networks: &[Network], peer: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(peer))
}
