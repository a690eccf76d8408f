//! Which peers a route offers for a number, in which order, and what they are told: the number in their form, and the caller's.

use super::decide::{Caller, Decider};
use super::plan::{Outside, Refused};
use crate::config::{Choice, Domain, NumberForm, Pattern, Peer, Route, RouteTo, Trunk, Trunks};
use bytes::Bytes;
use smallvec::SmallVec;

impl<'a> Decider<'a, '_> {
    /// The peers of a route that may be asked for a number, the first one first; at least one.
    pub(super) fn outside(
        &mut self,
        route: &'a Route,
        trunks: &'a Trunks,
        number: &[u8],
        acting: Caller<'a>,
    ) -> Result<SmallVec<[Outside<'a>; 1]>, Refused> {
        let domain = self.question.domain;
        let text = core::str::from_utf8(number).unwrap_or_default();
        let e164 = self.e164(text, acting);
        let fits = |patterns: &[Pattern]| fits(patterns, number, e164.as_deref());
        if let Caller::User(id) = acting
            && let Some(user) = domain.users.get(id)
            && !fits(&user.numbers.limits.numbers)
        {
            self.note(|| format!("user {id} may not call it (may_call)"));
            return Err(Refused::NotAllowed);
        }
        let (mut is_full, mut is_dead) = (false, false);
        let mut offered = SmallVec::new();
        for trunk in self.in_order(trunks, e164.as_deref().unwrap_or(text)) {
            let Some((id, peer)) = domain.peers.get_key_value(&trunk.peer) else { continue };
            if !fits(&peer.numbers.limits.numbers) {
                self.note(|| format!("peer {id} may not be asked for it (may_call)"));
                continue;
            }
            if self.state.dead.has(self.question.id, id) {
                self.note(|| format!("peer {id} does not answer"));
                is_dead = true;
                continue;
            }
            if self.state.usage.is_full(self.question.id, id, peer, self.question.now) {
                self.note(|| format!("peer {id} has as many calls as it may have"));
                is_full = true;
                continue;
            }
            let number = match (peer.numbers.form, domain.numbering.country, &e164) {
                (
                    form @ (NumberForm::E164 | NumberForm::Digits | NumberForm::National),
                    Some(country),
                    Some(e164),
                ) => Bytes::from(country.written(e164, form)),
                (
                    NumberForm::Dialled | NumberForm::E164 | NumberForm::Digits | NumberForm::National,
                    _,
                    _,
                ) => Bytes::copy_from_slice(number),
            };
            let caller_id = caller_id(domain, acting, Some(peer));
            let record = route.record;
            offered.push(Outside { id, peer, number, caller_id, record, is_emergency: false });
        }
        match (offered.is_empty(), is_full, is_dead) {
            (false, ..) => Ok(offered),
            (true, true, _) => Err(Refused::Full),
            (true, false, true) => Err(Refused::Dead),
            (true, false, false) => Err(Refused::NotAllowed),
        }
    }

    /// The peers of a route in the order in which they are to be tried.
    fn in_order(&mut self, trunks: &'a Trunks, number: &str) -> SmallVec<[&'a Trunk; 1]> {
        let mut order: SmallVec<[&'a Trunk; 1]> = trunks.peers.iter().collect();
        match trunks.choice {
            Choice::Order => {}
            Choice::Weight => {
                let mut left = core::mem::take(&mut order);
                while !left.is_empty() {
                    let all: u64 = left.iter().map(|trunk| u64::from(trunk.weight)).sum();
                    let mut lot = self.presence.lot() % all.max(1);
                    let chosen = left.iter().position(|trunk| {
                        let is_it = lot < u64::from(trunk.weight);
                        lot = lot.saturating_sub(u64::from(trunk.weight));
                        is_it
                    });
                    order.push(left.remove(chosen.unwrap_or(0)));
                }
            }
            Choice::Cheapest => {
                let rates = &self.question.domain.numbering.rates;
                let price =
                    |trunk: &&Trunk| price_of(rates.get(&trunk.peer).map_or(&[], |rates| rates), number);
                // Who names no price comes last; of those with the same price the first of the file.
                order.sort_by_key(|trunk| price(trunk).unwrap_or(u64::MAX));
                for trunk in order.clone() {
                    let price = price(&trunk);
                    self.note(|| match price {
                        Some(micros) => format!(
                            "peer {}: price {}.{:06}",
                            trunk.peer,
                            micros / 1_000_000,
                            micros % 1_000_000
                        ),
                        None => format!("peer {}: no price", trunk.peer),
                    });
                }
            }
        }
        order
    }
}

/// Whether a number, or what it is in E.164, is one of these; nothing listed: all are.
fn fits(patterns: &[Pattern], number: &[u8], e164: Option<&str>) -> bool {
    let is_of = |pattern: &Pattern| {
        pattern.matches(number) || e164.is_some_and(|e164| pattern.matches(e164.as_bytes()))
    };
    patterns.is_empty() || patterns.iter().any(is_of)
}

/// The same of what a user has dialled in a domain.
pub(crate) fn is_allowed(domain: &Domain, patterns: &[Pattern], number: &[u8]) -> bool {
    let text = core::str::from_utf8(number).unwrap_or_default();
    let area = domain.numbering.area.as_deref();
    let e164 = domain.numbering.country.and_then(|country| country.dialled(text, area));
    fits(patterns, number, e164.as_deref())
}

/// The price of a number: that of the longest prefix.
fn price_of(rates: &[crate::config::Rate], number: &str) -> Option<u64> {
    rates.iter().find(|rate| number.starts_with(&*rate.prefix)).map(|rate| rate.micros)
}

/// What a caller shows to a peer: the user's own number, else that of the peer, else what it is.
pub(super) fn caller_id(domain: &Domain, acting: Caller<'_>, peer: Option<&Peer>) -> Option<Box<str>> {
    let own = match acting {
        Caller::User(id) => domain.users.get(id).and_then(|user| user.numbers.caller_id.clone()),
        Caller::Peer { .. } => None,
    };
    own.or_else(|| peer.and_then(|peer| peer.numbers.caller_id.clone()))
}

/// Over which peers a number of emergency is called: those that the operator names, else those of the routes that match the number
/// whatever else they ask for, then all others.
pub(super) fn for_emergency<'a>(domain: &'a Domain, number: &[u8]) -> Vec<(&'a str, &'a Peer)> {
    let named = &domain.numbering.emergency.peers;
    let routed = domain.routes.iter().filter(|route| route.pattern.matches(number));
    let routed = routed.filter_map(|route| match &route.to {
        RouteTo::Peers(trunks) => Some(trunks.peers.iter().map(|trunk| &trunk.peer)),
        RouteTo::Service(_) | RouteTo::User(_) | RouteTo::Group(_) | RouteTo::Reject(_) | RouteTo::Again => {
            None
        }
    });
    let all: Vec<&'a Box<str>> = if named.is_empty() {
        routed.flatten().chain(domain.peers.keys()).collect()
    } else {
        named.iter().collect()
    };
    let mut peers: Vec<(&str, &Peer)> = Vec::new();
    for id in all {
        if let Some((id, peer)) = domain.peers.get_key_value(id)
            && !peers.iter().any(|(known, _)| **known == **id)
        {
            peers.push((id, peer));
        }
    }
    peers
}
