//! `[[schedule]]`, `[[group]]`, `[[paging]]` and `[[rate]]`: when, who together, and for how much.

use super::dialplan::{Group, Member, Paging, Rate, Strategy};
use super::error::{Fault, Quoted};
use super::model::{Domain, DomainId};
use super::numbers::{NUMBERS, parse_number};
use super::objects::parse_id;
use super::table::{Faults, Key, Located, Section};
use super::tenants::Tenants;
use crate::routing::{Days, Period, Schedule, Zone};
use std::collections::BTreeMap;

const ID: Key = Key { name: "id", expected: "a name of letters, digits and - _ .", example: "\"office\"" };
const ZONE: Key =
    Key { name: "zone", expected: "a time zone of the IANA database", example: "\"Europe/Moscow\"" };
const PERIODS: Key =
    Key { name: "periods", expected: "weekdays and hours", example: "[\"mon-fri 09:00-18:00\"]" };
const HOLIDAYS: Key = Key {
    name: "holidays",
    expected: "a day, with or without its year, or two with a / between them",
    example: "[\"01-01/01-08\", \"2026-05-09\"]",
};
const WORKDAYS: Key = Key {
    name: "workdays",
    expected: "a day, with or without its year, or two with a / between them",
    example: "[\"2026-11-07\"]",
};
const CODE: Key = Key { name: "code", expected: "one to four digits", example: "\"1\"" };
const MEMBERS: Key = Key { name: "members", expected: "users or numbers", example: "[\"1001\", \"1002\"]" };
const STRATEGY: Key = Key {
    name: "strategy",
    expected: "\"all\", \"in-order\", \"round-robin\", \"random\" or \"longest-idle\"",
    example: "\"in-order\"",
};
const RING: Key = Key { name: "ring_s", expected: "a whole number", example: "20" };
const DELAY: Key = Key { name: "delay_s", expected: "a whole number", example: "5" };
const SKIP_BUSY: Key = Key { name: "skip_busy", expected: "true or false", example: "true" };
const OTHERWISE: Key = Key { name: "otherwise", expected: "a number", example: "\"1009\"" };
const PAGED: Key = Key { name: "members", expected: "ids of users", example: "[\"1001\", \"1002\"]" };
const TWO_WAY: Key = Key { name: "two_way", expected: "true or false", example: "true" };
const TONE: Key = Key { name: "tone", expected: "true or false", example: "false" };
const WAIT: Key = Key { name: "wait_s", expected: "a whole number", example: "5" };
const TO: Key = Key { name: "to", expected: "a user or a number", example: "\"1001\"" };
const PEER: Key = Key { name: "peer", expected: "the id of a peer", example: "\"trunk\"" };
const PREFIX: Key =
    Key { name: "prefix", expected: "the beginning of an E.164 number", example: "\"+7495\"" };
const PRICE: Key = Key { name: "price", expected: "an amount", example: "\"0.85\"" };

const GROUP_RING_S: u32 = 20;
const LONGEST_RING_S: u32 = 600;
/// Members of a group at most.
const MOST_MEMBERS: usize = 32;
/// Members of a paging group at most: so many calls begin at once.
const MOST_PAGED: usize = 100;
/// How long phones may take to answer by themselves when the file does not say.
const WAIT_S: u32 = 5;

pub(super) fn resolve_schedules(root: &mut Section<'_>, tenants: &mut Tenants, faults: &Faults) {
    let mut lines: BTreeMap<(DomainId, Box<str>), u32> = BTreeMap::new();
    for mut section in root.tables("schedule", "[[schedule]]") {
        let id = section.required(ID, parse_id);
        let domain = tenants.domain_of(&mut section, faults);
        let zone = section.required(ZONE, Zone::named);
        let code = section.parsed(CODE, parse_code).map(|code| code.value);
        let periods = section.filled_list(PERIODS, Period::parse);
        if periods.is_none() && !section.has(PERIODS) {
            section.note_missing(PERIODS);
        }
        let holidays = values(section.list(HOLIDAYS, Days::parse));
        let workdays = values(section.list(WORKDAYS, Days::parse));
        section.finish();
        let (Some(id), Some(domain_id), Some(zone)) = (id, domain, zone) else { continue };
        let Some(domain) = tenants.domains.get_mut(&domain_id) else { continue };
        note_twice(&mut lines, "schedule", (domain_id, domain), &id, faults);
        let schedule = Schedule { code, zone: zone.value, periods: values(periods), holidays, workdays };
        domain.numbering.schedules.insert(id.value, schedule);
    }
}

pub(super) fn resolve_groups(root: &mut Section<'_>, tenants: &mut Tenants, faults: &Faults) {
    let mut lines: BTreeMap<(DomainId, Box<str>), u32> = BTreeMap::new();
    for mut section in root.tables("group", "[[group]]") {
        let id = section.required(ID, parse_id);
        let domain = tenants.domain_of(&mut section, faults);
        let numbers = section.list(NUMBERS, parse_number);
        let strategy =
            section.parsed(STRATEGY, Strategy::parse).map_or_else(Strategy::default, |it| it.value);
        let ring_s = section.number(RING, 1, LONGEST_RING_S).map_or(GROUP_RING_S, |ring| ring.value);
        let skip_busy = section.flag(SKIP_BUSY).is_some_and(|flag| flag.value);
        let otherwise = section.parsed(OTHERWISE, parse_number).map(|number| number.value);
        let members = resolve_members(&mut section, strategy, faults);
        section.finish();
        let (Some(id), Some(domain_id)) = (id, domain) else { continue };
        let Some(domain) = tenants.domains.get_mut(&domain_id) else { continue };
        note_twice(&mut lines, "group", (domain_id, domain), &id, faults);
        for number in numbers.map(|list| list.value).into_iter().flatten() {
            super::numbers::claim(domain, &number, &id.value, super::numbers::Owner::Group, faults);
        }
        let is_in = |user: &super::model::User| user.groups.contains(&id.value);
        if members.is_empty() {
            match domain.users.values().filter(|user| is_in(user)).count() {
                0 => faults.note(id.line, Fault::EmptyGroup { id: Quoted::new(&id.value) }),
                1..=MOST_MEMBERS => {}
                found => {
                    let (found, limit) = (found as u64, MOST_MEMBERS as u64);
                    faults.note(id.line, Fault::TooManyMembers { found, limit });
                }
            }
        }
        domain.numbering.groups.insert(id.value, Group { members, strategy, ring_s, skip_busy, otherwise });
    }
    tenants.domains.values_mut().for_each(Domain::unite_groups);
}

impl Domain {
    /// A group is one thing, whoever says who is in it: its members are in it as if they said so themselves (`groups`), and where it
    /// names none those who say so ring, in the order of their ids.
    pub(super) fn unite_groups(&mut self) {
        let Domain { users, numbering, .. } = self;
        for (id, group) in &mut numbering.groups {
            if group.members.is_empty() {
                let own = users.iter().filter(|(_, user)| user.groups.contains(id));
                let own = own.map(|(user, _)| Member { number: user.clone(), delay_s: 0, ring_s: None });
                group.members = own.take(MOST_MEMBERS).collect();
            }
            for member in &group.members {
                let named = numbering.numbers.get(&member.number).unwrap_or(&member.number);
                if let Some(user) = users.get_mut(named).filter(|user| !user.groups.contains(id)) {
                    user.groups.push(id.clone());
                }
            }
        }
    }
}

pub(super) fn resolve_paging(root: &mut Section<'_>, tenants: &mut Tenants, faults: &Faults) {
    let mut lines: BTreeMap<(DomainId, Box<str>), u32> = BTreeMap::new();
    for mut section in root.tables("paging", "[[paging]]") {
        let id = section.required(ID, parse_id);
        let domain = tenants.domain_of(&mut section, faults);
        let numbers = section.list(NUMBERS, parse_number);
        let two_way = section.flag(TWO_WAY).is_some_and(|flag| flag.value);
        let tone = section.flag(TONE).is_none_or(|flag| flag.value);
        let wait_s = section.number(WAIT, 1, 60).map_or(WAIT_S, |wait| wait.value);
        let members = values(section.filled_list(PAGED, parse_id));
        if members.is_empty() && !section.has(PAGED) {
            section.note_missing(PAGED);
        }
        if members.len() > MOST_PAGED {
            let (found, limit) = (members.len() as u64, MOST_PAGED as u64);
            faults.note(section.line, Fault::TooManyMembers { found, limit });
        }
        section.finish();
        let (Some(id), Some(domain_id)) = (id, domain) else { continue };
        let Some(domain) = tenants.domains.get_mut(&domain_id) else { continue };
        note_twice(&mut lines, "paging group", (domain_id, domain), &id, faults);
        for number in numbers.map(|list| list.value).into_iter().flatten() {
            super::numbers::claim(domain, &number, &id.value, super::numbers::Owner::Paging, faults);
        }
        domain.numbering.paging.insert(id.value, Paging { members, two_way, tone, wait_s });
    }
}

fn resolve_members(section: &mut Section<'_>, strategy: Strategy, faults: &Faults) -> Vec<Member> {
    let listed = section.list(MEMBERS, parse_number).map(|list| list.value).unwrap_or_default();
    let plain = |number: Located<Box<str>>| Member { number: number.value, delay_s: 0, ring_s: None };
    let mut members: Vec<Member> = listed.into_iter().map(plain).collect();
    for mut member in section.tables("member", "[[group.member]]") {
        let number = member.required(TO, parse_number);
        // Those who ring one after the other have no delay.
        let delay = if strategy == Strategy::All { member.number(DELAY, 0, LONGEST_RING_S) } else { None };
        let ring_s = member.number(RING, 1, LONGEST_RING_S).map(|ring| ring.value);
        member.finish();
        if let Some(number) = number {
            let delay_s = delay.map_or(0, |delay| delay.value);
            members.push(Member { number: number.value, delay_s, ring_s });
        }
    }
    if members.len() > MOST_MEMBERS {
        let (found, limit) = (members.len() as u64, MOST_MEMBERS as u64);
        faults.note(section.line, Fault::TooManyMembers { found, limit });
    }
    members
}

pub(super) fn resolve_rates(root: &mut Section<'_>, tenants: &mut Tenants, faults: &Faults) {
    for mut section in root.tables("rate", "[[rate]]") {
        let domain = tenants.domain_of(&mut section, faults);
        let peer = section.required_text(PEER);
        let prefix = section.required(PREFIX, parse_prefix);
        let price = section.required(PRICE, parse_price);
        section.finish();
        let (Some(domain_id), Some(peer)) = (domain, peer) else { continue };
        let Some(domain) = tenants.domains.get_mut(&domain_id) else { continue };
        super::routes::note_unknown_peer(domain, peer, faults);
        if let (Some(prefix), Some(price)) = (prefix, price) {
            let rate = Rate { prefix: prefix.value, micros: price.value };
            domain.numbering.rates.entry(peer.value.into()).or_default().push(rate);
        }
    }
    for rates in tenants.domains.values_mut().flat_map(|domain| domain.numbering.rates.values_mut()) {
        rates.sort_by_key(|rate| core::cmp::Reverse(rate.prefix.len()));
    }
}

fn note_twice(
    lines: &mut BTreeMap<(DomainId, Box<str>), u32>,
    what: &'static str,
    (domain_id, domain): (DomainId, &Domain),
    id: &Located<Box<str>>,
    faults: &Faults,
) {
    if let Some(first) = lines.insert((domain_id, id.value.clone()), id.line) {
        let (id_shown, domain) = (Quoted::new(&id.value), Quoted::new(&domain.name));
        faults.note(id.line, Fault::DuplicateObject { what, id: id_shown, domain, first });
    }
}

fn values<T>(list: Option<Located<Vec<Located<T>>>>) -> Vec<T> {
    list.map(|list| list.value).into_iter().flatten().map(|item| item.value).collect()
}

impl Strategy {
    /// The strategy of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Strategy> {
        match word {
            "all" => Some(Strategy::All),
            "in-order" => Some(Strategy::InOrder),
            "round-robin" => Some(Strategy::RoundRobin),
            "random" => Some(Strategy::Random),
            "longest-idle" => Some(Strategy::LongestIdle),
            _ => None,
        }
    }
}

fn parse_code(text: &str) -> Option<Box<str>> {
    ((1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.into())
}

fn parse_prefix(text: &str) -> Option<Box<str>> {
    let digits = text.strip_prefix('+')?;
    ((1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.into())
}

/// A price with six places at most, in millionths.
fn parse_price(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || whole.len() > 9 || part.len() > 6 {
        return None;
    }
    let micros: u64 = format!("{part:0<6}").parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::super::{ConfigErrors, Domain, DomainId, parse};

    fn domain(groups: &str) -> Result<Domain, ConfigErrors> {
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:5060\"\n[[user]]\nid = \"1001\"\npassword = \"p\"\nnumbers = [\"201\"]\n\
             [[user]]\nid = \"1002\"\npassword = \"p\"\ngroups = [\"sales\"]\n[[user]]\nid = \"1003\"\npassword = \"p\"\n{groups}"
        );
        parse("softswitch.toml", &text).map(|mut config| config.domains.remove(&DomainId(0)).expect("one"))
    }

    #[test]
    fn members_of_a_group_share_it_whoever_says_that_they_are_in_it() {
        let domain = domain("[[group]]\nid = \"sales\"\nmembers = [\"201\", \"8000\"]\n").unwrap();
        let user = |id: &str| &domain.users[id];
        assert!(user("1001").shares_group_with(user("1002")), "a member, and one who says so");
        assert!(!user("1001").shares_group_with(user("1003")));
        let numbers: Vec<&str> =
            domain.numbering.groups["sales"].members.iter().map(|member| &*member.number).collect();
        assert_eq!(numbers, ["201", "8000"], "who is named rings");
    }

    #[test]
    fn a_group_that_names_no_members_rings_those_who_say_that_they_are_in_it() {
        let sales = domain("[[group]]\nid = \"sales\"\n").unwrap().numbering.groups.remove("sales").unwrap();
        assert_eq!(sales.members.iter().map(|member| &*member.number).collect::<Vec<_>>(), ["1002"]);
        let nobody = domain("[[group]]\nid = \"support\"\n").unwrap_err().to_string();
        assert!(nobody.contains("softswitch.toml:15: group \"support\" names no members"), "{nobody}");
    }
}
