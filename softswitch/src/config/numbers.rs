//! What users, peers and domains have of numbers: extensions and aliases, caller ids, limits, follow-me, devices, the country, and
//! numbers of emergency.

use super::dialplan::{CallLimits, Device, FollowStep, NumberForm, PeerNumbers, Pin, UserNumbers};
use super::error::{Fault, Quoted};
use super::model::Domain;
use super::network::Network;
use super::objects::{ha1_of_password, parse_id};
use super::pattern::Pattern;
use super::table::{Faults, Key, Located, Section};
use crate::routing::{Country, MOST_PER_MINUTE};
use sip_stack::resolve::Host;

pub(super) const NUMBERS: Key = Key {
    name: "numbers",
    expected: "numbers or names by which it is dialled",
    example: "[\"201\", \"+74951234567\"]",
};
const CALLER_ID: Key = Key { name: "caller_id", expected: "a number", example: "\"+74951234567\"" };
const MAX_CALLS: Key = Key { name: "max_calls", expected: "a whole number", example: "2" };
const PER_MINUTE: Key = Key { name: "calls_per_minute", expected: "a whole number", example: "10" };
const MAY_CALL: Key = Key {
    name: "may_call",
    expected: "patterns of numbers as in a [[route]], or \"nothing\"",
    example: "[\"+7.\", \"8800.\"]",
};
const TO: Key = Key { name: "to", expected: "users or numbers", example: "[\"1001\", \"+79161234567\"]" };
const RING: Key = Key { name: "ring_s", expected: "a whole number", example: "20" };
const ID: Key = Key {
    name: "id",
    expected: "a name of letters, digits and - _ . ! ~ * ' ( ) +, at most 64 of them",
    example: "\"1001-desk\"",
};
const PASSWORD: Key = Key { name: "password", expected: "text in quotes", example: "\"a-long-random-one\"" };
const PIN: Key = Key { name: "pin", expected: "four to twelve digits in quotes", example: "\"48151623\"" };
const INBOUND: Key = Key {
    name: "inbound",
    expected: "true, or the networks from which the peer calls",
    example: "[\"192.0.2.0/28\"]",
};
const FORM: Key = Key {
    name: "number_form",
    expected: "\"dialled\", \"e164\", \"digits\" or \"national\"",
    example: "\"e164\"",
};
const COUNTRY: Key =
    Key { name: "country", expected: "a country code of ISO 3166 that is known here", example: "\"RU\"" };
const AREA: Key = Key { name: "area_code", expected: "digits", example: "\"495\"" };
const EMERGENCY: Key = Key { name: "emergency_numbers", expected: "digits", example: "[\"112\", \"911\"]" };
const EMERGENCY_PEERS: Key =
    Key { name: "emergency_peers", expected: "ids of peers", example: "[\"trunk\"]" };

/// Numbers of emergency wherever nothing else is said.
const EVERYWHERE: [&str; 2] = ["112", "911"];

/// What stands in a domain's section, to be completed when its peers are known.
#[derive(Default)]
pub(super) struct Emergencies {
    numbers: Option<Vec<Located<Box<str>>>>,
    peers: Vec<Located<Box<str>>>,
}

/// Reads `country`, `area_code` and the keys of emergencies.
pub(super) fn resolve_of_domain(section: &mut Section<'_>, domain: &mut Domain) -> Emergencies {
    domain.numbering.country = section.parsed(COUNTRY, Country::parse).map(|country| country.value);
    domain.numbering.area = section.parsed(AREA, parse_digits).map(|area| area.value);
    Emergencies {
        numbers: section.list(EMERGENCY, parse_digits).map(|list| list.value),
        peers: section.list(EMERGENCY_PEERS, parse_id).map(|list| list.value).unwrap_or_default(),
    }
}

/// Completes the numbers of emergency of a domain when users and peers are known.
pub(super) fn resolve_emergencies(domain: &mut Domain, read: Emergencies, faults: &Faults) {
    let Emergencies { numbers, peers } = read;
    let country = domain.numbering.country.map_or(&[][..], Country::emergency);
    let usual = || EVERYWHERE.iter().chain(country).map(|number| (Box::from(*number), None)).collect();
    let numbers: Vec<(Box<str>, Option<u32>)> = match numbers {
        Some(given) => given.into_iter().map(|number| (number.value, Some(number.line))).collect(),
        None => usual(),
    };
    for (number, line) in &numbers {
        let Some((id, user)) = domain.user_of(number.as_bytes()).filter(|_| !domain.peers.is_empty()) else {
            continue;
        };
        let (number, id) = (Quoted::new(number), Quoted::new(id));
        let fault = Fault::EmergencyIsUser { number, id };
        let origin = match user.origin {
            super::model::Origin::File { line } => Some(line),
            super::model::Origin::Store => None,
        };
        match line.or(origin) {
            Some(line) => faults.note(line, fault),
            None => faults.note_absence(fault),
        }
    }
    let numbering = &domain.numbering;
    let groups = numbering.group_numbers.iter().chain(&numbering.paging_numbers);
    for (number, owner) in numbering.numbers.iter().chain(groups) {
        if owner != number && domain.users.contains_key(number) {
            faults.note_absence(Fault::NumberIsTaken {
                number: Quoted::new(number),
                first: Quoted::new(number),
            });
        }
    }
    for peer in &peers {
        super::routes::note_unknown_peer(domain, Located { value: &peer.value, line: peer.line }, faults);
    }
    domain.numbering.emergency.numbers = numbers.into_iter().map(|(number, _)| number).collect();
    domain.numbering.emergency.peers = peers.into_iter().map(|peer| peer.value).collect();
}

/// Reads what a user has of numbers, and its devices.
pub(super) fn resolve_of_user(
    section: &mut Section<'_>,
    user: Option<&str>,
    domain: Option<&mut Domain>,
    faults: &Faults,
) -> UserNumbers {
    let numbers = section.list(NUMBERS, parse_number).map(|list| list.value).unwrap_or_default();
    let caller_id = section.parsed(CALLER_ID, parse_number).map(|id| id.value);
    let limits = resolve_limits(section);
    let pin = read_pin(section, faults);
    let mut follow_me = Vec::new();
    for mut step in section.tables("follow_me", "[[user.follow_me]]") {
        let to = step.filled_list(TO, parse_number);
        if to.is_none() && !step.has(TO) {
            step.note_missing(TO);
        }
        let ring_s = step.number(RING, 1, 600).map_or(20, |ring| ring.value);
        step.finish();
        let to = to.map(|to| to.value).into_iter().flatten().map(|to| to.value).collect();
        follow_me.push(FollowStep { to, ring_s });
    }
    let devices =
        section.tables("device", "[[user.device]]").into_iter().map(read_device).collect::<Vec<_>>();
    if let (Some(user), Some(domain)) = (user, domain) {
        for (id, password) in devices.into_iter().flatten() {
            add_device(domain, user, id, password, faults);
        }
        for number in &numbers {
            claim(domain, number, user, Owner::User, faults);
        }
    }
    let numbers = numbers.into_iter().map(|number| number.value).collect();
    UserNumbers { numbers, caller_id, limits, follow_me, pin }
}

/// The value is never shown.
fn read_pin(section: &mut Section<'_>, faults: &Faults) -> Option<Pin> {
    let given = section.has(PIN).then(|| section.text(PIN)).flatten()?;
    let pin = Pin::parse(given.value);
    if pin.is_none() {
        faults.note(given.line, Fault::UnreadableSecret { key: PIN.name, expected: PIN.expected });
    }
    pin
}

fn read_device<'t>(mut section: Section<'t>) -> Option<(Located<Box<str>>, &'t str)> {
    let id = section.required(ID, parse_id);
    let password = section.required_text(PASSWORD);
    section.finish();
    Some((id?, password.filter(|password| !password.value.is_empty())?.value))
}

fn add_device(domain: &mut Domain, user: &str, id: Located<Box<str>>, password: &str, faults: &Faults) {
    let Located { value: id, line } = id;
    let is_taken =
        domain.numbering.devices.contains_key(&id) || domain.users.contains_key(&id) || *id == *user;
    if is_taken {
        let (id, domain) = (Quoted::new(&id), Quoted::new(&domain.name));
        return faults.note(line, Fault::DeviceIsTaken { id, domain });
    }
    let credentials = ha1_of_password(&id, &domain.name, password);
    domain.numbering.devices.insert(id, Device { user: user.into(), credentials });
}

/// Whose a number is.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    User,
    Group,
    Paging,
}

/// Gives a number to a user, a group or a paging group, if nobody has it.
pub(super) fn claim(
    domain: &mut Domain,
    number: &Located<Box<str>>,
    owner: &str,
    kind: Owner,
    faults: &Faults,
) {
    let numbering = &mut domain.numbering;
    let of_room = numbering.rooms.get_key_value(&number.value).map(|(number, _)| number);
    let tables = [&numbering.numbers, &numbering.group_numbers, &numbering.paging_numbers];
    let taken = tables.into_iter().find_map(|table| table.get(&number.value)).or(of_room);
    if let Some(first) = taken {
        let (number_shown, first) = (Quoted::new(&number.value), Quoted::new(first));
        return faults.note(number.line, Fault::NumberIsTaken { number: number_shown, first });
    }
    let table = match kind {
        Owner::User => &mut numbering.numbers,
        Owner::Group => &mut numbering.group_numbers,
        Owner::Paging => &mut numbering.paging_numbers,
    };
    table.insert(number.value.clone(), owner.into());
}

/// Reads what a peer has of numbers.
pub(super) fn resolve_of_peer(
    section: &mut Section<'_>,
    host: Option<&Host>,
    faults: &Faults,
) -> PeerNumbers {
    let caller_id = section.parsed(CALLER_ID, parse_number).map(|id| id.value);
    let form = section.parsed(FORM, NumberForm::parse).map_or_else(NumberForm::default, |form| form.value);
    let inbound = if section.is_flag(INBOUND) {
        let flag = section.flag(INBOUND);
        match (flag, host) {
            (Some(Located { value: true, .. }), Some(Host::Ip(ip))) => {
                Network::parse(&ip.to_string()).into_iter().collect()
            }
            (Some(Located { value: true, line }), Some(Host::Name(_))) => {
                faults.note(line, Fault::InboundOfName);
                Vec::new()
            }
            _ => Vec::new(),
        }
    } else {
        let networks = section.list(INBOUND, Network::parse).map(|list| list.value);
        networks.into_iter().flatten().map(|network| network.value).collect()
    };
    PeerNumbers { inbound, caller_id, form, limits: resolve_limits(section) }
}

fn resolve_limits(section: &mut Section<'_>) -> CallLimits {
    let at_once = section.number(MAX_CALLS, 1, 100_000).map(|limit| limit.value);
    let per_minute = section.number(PER_MINUTE, 1, MOST_PER_MINUTE).map(|limit| limit.value);
    let numbers = section.filled_list(MAY_CALL, parse_allowed).map(|list| list.value);
    let numbers = numbers.into_iter().flatten().map(|pattern| pattern.value).collect();
    CallLimits { at_once, per_minute, numbers }
}

/// A pattern; "nothing" is one that no number matches.
fn parse_allowed(text: &str) -> Option<Pattern> {
    if text == "nothing" { Some(Pattern::nothing()) } else { Pattern::parse(text) }
}

/// What may be dialled.
pub(super) fn parse_number(text: &str) -> Option<Box<str>> {
    parse_id(text)
}

fn parse_digits(text: &str) -> Option<Box<str>> {
    ((1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.into())
}
