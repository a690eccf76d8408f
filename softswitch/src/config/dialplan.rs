//! The dial plan as the switch sees it: routes with their conditions, groups, tariffs, limits, and what users and peers have
//! of numbers. How a call goes by it is in [`crate::routing`]; how the file becomes it, in `routes`, `groups` and `numbers`.

use super::model::{Mode, Origin, Recording, Service};
use super::network::Network;
use super::pattern::Pattern;
pub use crate::routing::{Country, NumberForm, Schedule};
use serde::{Deserialize, Serialize};
use sip_stack::auth::Ha1;
use std::collections::BTreeMap;

/// Numbers that lead somewhere, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The numbers.
    pub pattern: Pattern,
    /// What else has to be so.
    pub conditions: Conditions,
    /// Routes of a lower order are tried before those of a higher.
    pub order: u32,
    /// What is done to the number.
    pub rewrite: Rewrite,
    /// Where they lead.
    pub to: RouteTo,
    /// How calls to a peer are recorded, if they are; a service has a setting of its own.
    pub record: Option<Recording>,
    /// How calls to a peer are carried.
    pub mode: Mode,
    /// The line of the pattern.
    pub line: u32,
}

impl Route {
    /// The order in which routes are tried: by `order`, then the narrower pattern, then those with more conditions, then as they stand
    /// in the file.
    pub(super) fn precedence(&self) -> (u32, &Pattern, core::cmp::Reverse<usize>, u32) {
        (self.order, &self.pattern, core::cmp::Reverse(self.conditions.count()), self.line)
    }
}

/// What has to be so for a route beside its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The caller is one of these; nobody listed: whoever calls.
    pub callers: Vec<Pattern>,
    /// The call comes from this peer.
    pub from: Option<Box<str>>,
    /// The time of day.
    pub during: Option<During>,
}

impl Conditions {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(!self.callers.is_empty())
            + usize::from(self.from.is_some())
            + usize::from(self.during.is_some())
    }
}

/// Within a schedule, or outside of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct During {
    /// Key in `Numbering::schedules`; always there.
    pub schedule: Box<str>,
    /// Within it.
    pub inside: bool,
}

/// What is done to a number before it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    /// So many characters are taken away from its beginning.
    pub strip: u8,
    /// Then this is put before it.
    pub prefix: Box<str>,
}

impl Rewrite {
    /// Whether it leaves a number as it is.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.strip == 0 && self.prefix.is_empty()
    }

    /// The number rewritten.
    #[must_use]
    pub fn apply(&self, number: &[u8]) -> Vec<u8> {
        let rest = number.get(usize::from(self.strip)..).unwrap_or_default();
        [self.prefix.as_bytes(), rest].concat()
    }
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteTo {
    /// One of these peers.
    Peers(Trunks),
    /// The switch itself.
    Service(Service),
    /// The phones of a user: a key of [`super::Domain::users`], which is there unless a reload of the users made by command took it.
    User(Box<str>),
    /// Key in `Numbering::groups`; always there.
    Group(Box<str>),
    /// Nobody.
    Reject(Rejection),
    /// The number as it was rewritten is dialled anew.
    Again,
}

/// Peers of which one takes the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trunks {
    /// In the order of the file; at least one.
    pub peers: Vec<Trunk>,
    /// In which order they are tried.
    pub choice: Choice,
}

/// A peer of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trunk {
    /// Key in [`super::Domain::peers`]; always there.
    pub peer: Box<str>,
    /// Its share of the calls, with [`Choice::Weight`].
    pub weight: u32,
}

/// The order in which the peers of a route are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// That of the file.
    #[default]
    Order,
    /// By lot, with their weights.
    Weight,
    /// The cheapest first, by `Numbering::rates`.
    Cheapest,
}

/// How a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The status, 400 to 699 but 503.
    pub status: u16,
    /// The cause of ITU-T Q.850 in Reason (RFC 3326).
    pub cause: Option<u8>,
}

/// A price of a peer, in millionths of whatever the operator reckons in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// What E.164 numbers begin with, `+` included.
    pub prefix: Box<str>,
    /// The price.
    pub micros: u64,
}

/// Several who are called for one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its members, in the order of the file; at least one.
    pub members: Vec<Member>,
    /// In which order they ring.
    pub strategy: Strategy,
    /// How long each rings, or all with [`Strategy::All`].
    pub ring_s: u32,
    /// Members that talk are left out.
    pub skip_busy: bool,
    /// The number that is called when nobody answers.
    pub otherwise: Option<Box<str>>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// A user, or a number.
    pub number: Box<str>,
    /// It begins to ring so many seconds after the others, with [`Strategy::All`].
    pub delay_s: u32,
    /// How long it rings, if not as long as the group says.
    pub ring_s: Option<u32>,
}

/// In which order the members of a group ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// All at once.
    #[default]
    All,
    /// One after the other, as in the file.
    InOrder,
    /// One after the other, each call beginning with the member after the one that the last call began with.
    RoundRobin,
    /// One after the other, by lot.
    Random,
    /// One after the other, beginning with who ended its last call of the group first.
    LongestIdle,
}

/// Users whose phones answer by themselves, so that one can speak to all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    /// Their ids, in the order of the file; at least one.
    pub members: Vec<Box<str>>,
    /// They are heard as well.
    pub two_way: bool,
    /// A signal sounds when all who can hear it are there.
    pub tone: bool,
    /// Phones that do not answer by themselves for so long are called no more.
    pub wait_s: u32,
}

/// A step of a user's follow-me.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowStep {
    /// Who rings, all at once: users or numbers, the user's own id being its phones.
    pub to: Vec<Box<str>>,
    /// For how long.
    pub ring_s: u32,
}

/// What a user has of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserNumbers {
    /// What it is dialled by beside its id: extensions, aliases and external numbers.
    pub numbers: Vec<Box<str>>,
    /// What it shows to peers.
    pub caller_id: Option<Box<str>>,
    /// What it may call.
    pub limits: CallLimits,
    /// Who rings for it, step by step; nothing: its phones.
    pub follow_me: Vec<FollowStep>,
    /// What it logs in with at phones of others; without one it cannot.
    pub pin: Option<Pin>,
}

/// Digits that prove to the switch who dials them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin(Box<str>);

impl Pin {
    /// Four to twelve digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Pin> {
        let fits = (4..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| Pin(text.into()))
    }

    /// Whether these are the digits; it takes as long whichever of them is wrong.
    #[must_use]
    pub fn is(&self, digits: &str) -> bool {
        let pairs = self.0.bytes().zip(digits.bytes());
        let differing = pairs.fold(0, |differing, (own, given)| differing | (own ^ given));
        self.0.len() == digits.len() && differing == 0
    }
}

impl core::fmt::Debug for Pin {
    /// Without the digits.
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("Pin(..)")
    }
}

/// What a peer has of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerNumbers {
    /// Networks from which its calls are taken without credentials.
    pub inbound: Vec<Network>,
    /// What callers show who have no number of their own.
    pub caller_id: Option<Box<str>>,
    /// How the number that is called is written.
    pub form: NumberForm,
    /// What may be called over it, and how much.
    pub limits: CallLimits,
}

/// Bounds against toll fraud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallLimits {
    /// Calls at a time.
    pub at_once: Option<u32>,
    /// New calls within sixty seconds.
    pub per_minute: Option<u32>,
    /// Which outside numbers may be called; nothing listed: all.
    pub numbers: Vec<Pattern>,
}

impl CallLimits {
    /// Whether calls have to be counted.
    #[must_use]
    pub const fn counts(&self) -> bool {
        self.at_once.is_some() || self.per_minute.is_some()
    }
}

/// A device of a user, which has credentials of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Key in [`super::Domain::users`].
    pub user: Box<str>,
    /// What digests are checked against.
    pub credentials: Ha1,
}

/// Numbers of emergency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    /// The numbers.
    pub numbers: Vec<Box<str>>,
    /// Over which peers they are called, in this order; nobody listed: those of the routes for the number, then all others.
    pub peers: Vec<Box<str>>,
}

/// The numbering and the dial plan of a domain beside its routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbering {
    /// By whose rules numbers are read.
    pub country: Option<Country>,
    /// The area of local numbers.
    pub area: Option<Box<str>>,
    /// Numbers of emergency.
    pub emergency: Emergency,
    /// Schedules by id.
    pub schedules: BTreeMap<Box<str>, Schedule>,
    /// Groups by id.
    pub groups: BTreeMap<Box<str>, Group>,
    /// Prices by peer, the longest prefix first.
    pub rates: BTreeMap<Box<str>, Vec<Rate>>,
    /// What users are dialled by beside their ids.
    pub numbers: BTreeMap<Box<str>, Box<str>>,
    /// The numbers of groups.
    pub group_numbers: BTreeMap<Box<str>, Box<str>>,
    /// Paging groups by id.
    pub paging: BTreeMap<Box<str>, Paging>,
    /// The numbers of paging groups.
    pub paging_numbers: BTreeMap<Box<str>, Box<str>>,
    /// Devices of users by id.
    pub devices: BTreeMap<Box<str>, Device>,
    /// Conference rooms by the number that is dialled.
    pub rooms: BTreeMap<Box<str>, Room>,
}

impl Numbering {
    /// The room of this number.
    #[must_use]
    pub fn room(&self, number: &[u8]) -> Option<&Room> {
        self.rooms.get(core::str::from_utf8(number).ok()?)
    }
}

/// A conference room with a number of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The conference; nothing else.
    pub service: Service,
    /// Who made it.
    pub origin: Origin,
}
