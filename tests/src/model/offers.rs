//! Offers and answers as the wire tells of them (RFC 3264, RFC 6337 §2.2): every offer gets one answer, none crosses another one, and
//! what a party says of its session has a higher version whenever it is something else.
//!
//! A message is taken for what a party must have known when it sent it. Left out on purpose: what stands in the descriptions.

use super::Parts;
use super::offence::Offence;
use bytes::Bytes;
use core::time::Duration;
use sip_stack::Time;
use sip_stack::message::Method;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The owner of the Call-ID waits so long at least after a 491 (RFC 3261 §14.1).
const OWNER_WAITS: Duration = Duration::from_millis(2_100);

/// A transaction that may carry an offer, as one of its two parties sees it.
#[derive(Clone, Debug, Default)]
struct Exchange {
    /// The request has a description.
    offered: bool,
    /// A description went the other way.
    replied: bool,
    /// A final response was sent or has come.
    is_over: bool,
}

/// Party, Call-ID, CSeq number, method, whether the party is the one that asks.
type ExchangeKey = (SocketAddr, Bytes, u32, Bytes, bool);

/// A party in a dialog: Call-ID, its own tag.
type PartyKey = (SocketAddr, Bytes, Bytes);

/// What all parties have said.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers {
    exchanges: BTreeMap<ExchangeKey, Exchange>,
    /// Version of the origin, and the description without it.
    said: BTreeMap<PartyKey, (u64, Vec<u8>)>,
    /// Who began a call.
    owners: BTreeMap<Bytes, SocketAddr>,
    /// When a party heard that its re-INVITE met another one.
    met: BTreeMap<PartyKey, Time>,
}

fn has_description(parts: &Parts) -> bool {
    let is_sdp = matches!(parts.message.content_type(), Ok(Some(kind)) if kind.is("application", "sdp"));
    is_sdp && !parts.message.body().is_empty()
}

/// The version in `o=`, and the lines but that one.
fn origin(body: &[u8]) -> Option<(u64, Vec<u8>)> {
    let mut version = None;
    let mut rest = Vec::new();
    for line in body.split(|octet| *octet == b'\n') {
        match line.strip_prefix(b"o=") {
            Some(origin) => {
                let text = core::str::from_utf8(origin).ok()?;
                version = text.split(' ').nth(2)?.parse().ok();
            }
            None => rest.extend_from_slice(line),
        }
    }
    version.map(|version| (version, rest))
}

impl Offers {
    fn key(party: SocketAddr, parts: &Parts, asks: bool) -> ExchangeKey {
        let method = if parts.is(Method::Ack) { Bytes::from_static(b"INVITE") } else { parts.method.clone() };
        (party, parts.call_id.clone(), parts.cseq, method, asks)
    }

    /// A message leaves for the first time.
    pub(super) fn sent(
        &mut self,
        now: Time,
        party: SocketAddr,
        parts: &Parts,
        status: Option<u16>,
    ) -> Vec<Offence> {
        let carries = parts.is(Method::Invite) || parts.is(Method::Update);
        let mut offences = Vec::new();
        match status {
            None if carries => offences.extend(self.asked(now, party, parts)),
            None if parts.is(Method::Ack) => offences.extend(self.acknowledged(party, parts)),
            Some(status) if carries => offences.extend(self.answered(party, parts, status)),
            None | Some(_) => {}
        }
        if has_description(parts) {
            offences.extend(self.described(party, parts, status.is_none()));
        }
        offences
    }

    fn asked(&mut self, now: Time, party: SocketAddr, parts: &Parts) -> Option<Offence> {
        let offered = has_description(parts);
        let is_first = parts.to_tag.is_empty();
        if is_first {
            self.owners.entry(parts.call_id.clone()).or_insert(party);
        }
        let is_pending = |(key, exchange): (&ExchangeKey, &Exchange)| {
            key.0 == party
                && key.1 == parts.call_id
                && exchange.offered
                && !exchange.replied
                && !exchange.is_over
        };
        let crosses = offered && !is_first && self.exchanges.iter().any(is_pending);
        let exchange = Exchange { offered, ..Exchange::default() };
        self.exchanges.insert(Offers::key(party, parts, true), exchange);
        let met = self.met.remove(&(party, parts.call_id.clone(), parts.from_tag.clone()));
        let owns = self.owners.get(&parts.call_id) == Some(&party);
        let too_soon =
            met.is_some_and(|met| now.since(met) < OWNER_WAITS) && owns && parts.is(Method::Invite);
        if too_soon {
            return Some(Offence::RetriedTooSoon);
        }
        crosses.then_some(Offence::OfferDuringOffer)
    }

    fn acknowledged(&mut self, party: SocketAddr, parts: &Parts) -> Option<Offence> {
        let exchange = self.exchanges.get(&Offers::key(party, parts, true))?;
        match (exchange.offered, exchange.replied, has_description(parts)) {
            (true, _, true) => Some(Offence::StrangeAnswer),
            // The offer came in the 2xx.
            (false, true, false) => Some(Offence::AnswerMissing),
            (true | false, _, _) => None,
        }
    }

    fn answered(&mut self, party: SocketAddr, parts: &Parts, status: u16) -> Option<Offence> {
        let described = has_description(parts);
        let exchange = self.exchanges.get_mut(&Offers::key(party, parts, false))?;
        let is_success = (200..300).contains(&status);
        let counts = is_success || (status < 200 && parts.rseq().is_some());
        exchange.is_over |= status >= 200;
        exchange.replied |= described && counts;
        // An INVITE without an offer wants one, an UPDATE without one wants nothing.
        let wants = exchange.offered || parts.is(Method::Invite);
        (is_success && wants && !exchange.replied).then_some(Offence::AnswerMissing)
    }

    fn described(&mut self, party: SocketAddr, parts: &Parts, is_request: bool) -> Option<Offence> {
        let own = if is_request { &parts.from_tag } else { &parts.to_tag };
        let (version, rest) = origin(parts.message.body())?;
        let before = self.said.insert((party, parts.call_id.clone(), own.clone()), (version, rest.clone()));
        let (known, known_rest) = before?;
        let is_right = if known_rest == rest { version == known } else { version > known };
        (!is_right).then_some(Offence::VersionOrder)
    }

    /// A message arrives for the first time.
    pub(super) fn came(&mut self, now: Time, party: SocketAddr, parts: &Parts, status: Option<u16>) {
        let carries = parts.is(Method::Invite) || parts.is(Method::Update);
        if !carries {
            return;
        }
        let described = has_description(parts);
        match status {
            None => {
                let exchange = Exchange { offered: described, ..Exchange::default() };
                self.exchanges.insert(Offers::key(party, parts, false), exchange);
            }
            Some(status) => {
                if status == 491 && parts.is(Method::Invite) {
                    self.met.insert((party, parts.call_id.clone(), parts.from_tag.clone()), now);
                }
                if let Some(exchange) = self.exchanges.get_mut(&Offers::key(party, parts, true)) {
                    exchange.is_over |= status >= 200;
                    let counts = (200..300).contains(&status) || parts.rseq().is_some();
                    exchange.replied |= described && counts;
                }
            }
        }
    }

    pub(super) fn forget(&mut self) {
        *self = Offers::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(first: &str, from: &str, to: &str, cseq: u32) -> Parts {
        let text = format!(
            "{first}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{cseq}\r\nFrom: <sip:a@h>;tag={from}\r\nTo: <sip:b@h>{to}\r\n\
             Call-ID: c\r\nCSeq: {cseq} INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        Parts::of(&text.into()).unwrap()
    }

    #[test]
    fn the_owner_of_a_call_id_waits_longer_after_a_491_than_the_other_side() {
        let (owner, other) = (SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 2], 1)));
        for (party, tag, waits_ms, is_too_soon) in
            [(owner, "1", 2_000, true), (owner, "1", 2_100, false), (other, "2", 0, false)]
        {
            let mut offers = Offers::default();
            offers.sent(Time(0), owner, &parts("INVITE sip:b@h SIP/2.0", "1", "", 1), None);
            let invite = parts("INVITE sip:b@h SIP/2.0", tag, ";tag=x", 2);
            offers.sent(Time(0), party, &invite, None);
            let refused = parts("SIP/2.0 491 Request Pending", tag, ";tag=x", 2);
            offers.came(Time(0), party, &refused, Some(491));
            let again = parts("INVITE sip:b@h SIP/2.0", tag, ";tag=x", 3);
            let said = offers.sent(Time::from_millis(waits_ms), party, &again, None);
            assert_eq!(said.contains(&Offence::RetriedTooSoon), is_too_soon, "{waits_ms}");
        }
    }
}
