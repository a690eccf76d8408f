//! What two parties can say to each other through us: the codecs they share, and the payload types under which the
//! packets of one reach the other (RFC 3264 §5.1, §6.1).
//!
//! Codecs are not decoded, so whatever both name is passed on. µ-law and A-law are converted where the parties share
//! neither. Left out on purpose: every other transcoding, and streams that are not audio.

use media::{PayloadMap, PayloadRule};
use sip_stack::sdp::{AudioCodec, AudioOffer, MediaTransport, TelephoneEvent};

/// The profiles we relay.
pub(crate) const TRANSPORTS: &[MediaTransport] = &[MediaTransport::RtpAvp];
/// DTMF digits, star, hash, A–D (RFC 4733 §3.2).
const DIGITS: &str = "0-15";

/// What we offer to the callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) codecs: Vec<AudioCodec>,
    pub(super) events: Vec<TelephoneEvent>,
}

impl Proposal {
    /// The caller's codecs under its own payload types, in its order; the other G.711 law besides, when it has one.
    /// Without an offer of the caller (RFC 3261 §13.2.1): G.711.
    pub(super) fn for_callee(caller: Option<&AudioOffer>) -> Proposal {
        let Some(caller) = caller else {
            let events = vec![TelephoneEvent { payload_type: 101, clock_rate: 8_000, events: DIGITS.into() }];
            return Proposal {
                codecs: [0, 8].into_iter().filter_map(AudioCodec::from_static).collect(),
                events,
            };
        };
        let mut codecs = caller.codecs.clone();
        let laws =
            [0, 8].map(|payload_type| caller.codecs.iter().any(|codec| law(codec) == Some(payload_type)));
        let missing = match laws {
            [true, false] => AudioCodec::from_static(8),
            [false, true] => AudioCodec::from_static(0),
            [true, true] | [false, false] => None,
        };
        let taken = |payload_type| {
            caller.codecs.iter().any(|codec| codec.payload_type == payload_type)
                || caller.telephone_events.iter().any(|event| event.payload_type == payload_type)
        };
        codecs.extend(missing.filter(|codec| !taken(codec.payload_type)));
        Proposal { codecs, events: caller.telephone_events.clone() }
    }
}

/// The outcome for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    /// What the caller is answered, under its payload types, in the callee's order.
    pub(super) codecs: Vec<AudioCodec>,
    /// Telephone events for the caller.
    pub(super) events: Vec<TelephoneEvent>,
    /// From caller to callee.
    pub(super) forward: PayloadMap,
    /// From callee to caller.
    pub(super) backward: PayloadMap,
    /// Ticks per second of the first codec.
    pub(super) clock_rate: u32,
}

impl Agreement {
    /// Between a party and the switch itself, in a codec of the party.
    pub(super) fn with_us(party: &AudioOffer, codec: &AudioCodec) -> Agreement {
        let events = party.telephone_events.iter().filter(|event| event.clock_rate == codec.clock_rate);
        Agreement {
            codecs: vec![codec.clone()],
            events: events.take(1).cloned().collect(),
            forward: PayloadMap::default(),
            backward: PayloadMap::default(),
            clock_rate: codec.clock_rate,
        }
    }

    /// Between the parties' last descriptions. `None` when they share nothing.
    pub(super) fn between(caller: &AudioOffer, callee: &AudioOffer) -> Option<Agreement> {
        let mut rules = Rules::default();
        let mut codecs: Vec<AudioCodec> = Vec::new();
        for theirs in &callee.codecs {
            let Some((ours, pass)) = counterpart(theirs, &caller.codecs) else { continue };
            rules.join(ours, theirs, pass);
            if !codecs.contains(ours) {
                codecs.push(ours.clone());
            }
        }
        let clock_rate = codecs.iter().find(|codec| !codec.is_comfort_noise())?.clock_rate;
        let mut events = Vec::new();
        for theirs in &callee.telephone_events {
            let ours = caller.telephone_events.iter().find(|ours| ours.clock_rate == theirs.clock_rate);
            if let Some(ours) = ours {
                rules.forward.push((ours.payload_type, PayloadRule::Pass(theirs.payload_type)));
                rules.backward.push((theirs.payload_type, PayloadRule::Pass(ours.payload_type)));
                rules.aliases.push((ours.payload_type, PayloadRule::Pass(ours.payload_type)));
                events.push(ours.clone());
            }
        }
        Some(Agreement {
            codecs,
            events,
            forward: PayloadMap::new(&rules.forward),
            backward: rules.backward_map(),
            clock_rate,
        })
    }
}

#[derive(Default)]
struct Rules {
    forward: Vec<(u8, PayloadRule)>,
    backward: Vec<(u8, PayloadRule)>,
    /// What we proposed to the callee were the caller's numbers; some answer with others and send those all the same.
    aliases: Vec<(u8, PayloadRule)>,
}

impl Rules {
    fn join(&mut self, caller: &AudioCodec, callee: &AudioCodec, same: bool) {
        let (ours, theirs) = (caller.payload_type, callee.payload_type);
        let (forward, backward) = match (same, law(caller)) {
            (true, _) => (PayloadRule::Pass(theirs), PayloadRule::Pass(ours)),
            (false, Some(0)) => (PayloadRule::UlawToAlaw(theirs), PayloadRule::AlawToUlaw(ours)),
            (false, _) => (PayloadRule::AlawToUlaw(theirs), PayloadRule::UlawToAlaw(ours)),
        };
        // Of several codecs of the callee for one of the caller, the first is the one it prefers.
        if !self.forward.iter().any(|(known, _)| *known == ours) {
            self.forward.push((ours, forward));
        }
        if same {
            self.aliases.push((ours, backward));
        }
        self.backward.push((theirs, backward));
    }
}

impl Rules {
    /// An alias never takes a number that the callee gave to something else.
    fn backward_map(&self) -> PayloadMap {
        let free = |alias: &&(u8, PayloadRule)| !self.backward.iter().any(|(known, _)| *known == alias.0);
        let rules: Vec<_> = self.aliases.iter().filter(free).chain(&self.backward).copied().collect();
        PayloadMap::new(&rules)
    }
}

/// The caller's codec that `theirs` reaches: the same one (`true`), or the other G.711 law (`false`).
fn counterpart<'a>(theirs: &AudioCodec, caller: &'a [AudioCodec]) -> Option<(&'a AudioCodec, bool)> {
    if let Some(same) = caller.iter().find(|ours| ours.is_compatible(theirs)) {
        return Some((same, true));
    }
    law(theirs)?;
    caller.iter().find(|ours| law(ours).is_some()).map(|ours| (ours, false))
}

/// 0 for µ-law, 8 for A-law, after their static payload types.
fn law(codec: &AudioCodec) -> Option<u8> {
    [0, 8]
        .into_iter()
        .find(|number| AudioCodec::from_static(*number).is_some_and(|law| law.is_same_encoding(codec)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_stack::sdp::{Direction, MediaAddress};

    fn party(codecs: &[(u8, &str, u32)], events: &[u8]) -> AudioOffer {
        AudioOffer {
            media_index: 0,
            transport: MediaTransport::RtpAvp,
            address: MediaAddress::Ip([127, 0, 0, 1].into()),
            port: 4_000,
            codecs: codecs.iter().map(|(number, name, rate)| AudioCodec::new(*number, name, *rate)).collect(),
            telephone_events: events
                .iter()
                .map(|number| TelephoneEvent {
                    payload_type: *number,
                    clock_rate: 8_000,
                    events: DIGITS.into(),
                })
                .collect(),
            direction: Direction::SendRecv,
            ptime_ms: None,
            maxptime_ms: None,
            rtcp: Default::default(),
        }
    }

    #[test]
    fn a_shared_codec_passes_under_each_sides_own_payload_type() {
        let caller = party(&[(96, "opus", 48_000), (0, "PCMU", 8_000)], &[101]);
        let callee = party(&[(107, "opus", 48_000)], &[97]);
        let agreed = Agreement::between(&caller, &callee).unwrap();
        assert_eq!(agreed.forward.rule(96), PayloadRule::Pass(107));
        assert_eq!(agreed.forward.rule(101), PayloadRule::Pass(97));
        assert_eq!(agreed.forward.rule(0), PayloadRule::Drop);
        assert_eq!(agreed.backward.rule(107), PayloadRule::Pass(96));
        assert_eq!(agreed.backward.rule(96), PayloadRule::Pass(96), "a callee may send under our number");
        assert_eq!(agreed.backward.rule(97), PayloadRule::Pass(101));
        assert_eq!((agreed.codecs.len(), agreed.clock_rate), (1, 48_000));
    }

    #[test]
    fn numbers_that_the_callee_swaps_mean_what_it_says() {
        let caller = party(&[(96, "opus", 48_000)], &[101]);
        let agreed = Agreement::between(&caller, &party(&[(101, "opus", 48_000)], &[96]));
        let agreed = agreed.expect("both know opus");
        assert_eq!(agreed.backward.rule(101), PayloadRule::Pass(96));
        assert_eq!(agreed.backward.rule(96), PayloadRule::Pass(101));
    }

    #[test]
    fn the_two_laws_are_converted_when_the_parties_share_neither() {
        let caller = party(&[(0, "PCMU", 8_000)], &[]);
        let proposal = Proposal::for_callee(Some(&caller));
        assert_eq!(proposal.codecs.iter().map(|codec| codec.payload_type).collect::<Vec<_>>(), [0, 8]);
        let agreed = Agreement::between(&caller, &party(&[(8, "PCMA", 8_000)], &[])).unwrap();
        assert_eq!(agreed.forward.rule(0), PayloadRule::UlawToAlaw(8));
        assert_eq!(agreed.backward.rule(8), PayloadRule::AlawToUlaw(0));
        assert_eq!(agreed.codecs, caller.codecs);
    }

    #[test]
    fn a_callee_with_both_laws_gets_the_callers_own_unconverted() {
        let caller = party(&[(8, "PCMA", 8_000)], &[]);
        let agreed =
            Agreement::between(&caller, &party(&[(8, "PCMA", 8_000), (0, "PCMU", 8_000)], &[])).unwrap();
        assert_eq!(agreed.forward.rule(8), PayloadRule::Pass(8));
        assert_eq!(agreed.backward.rule(8), PayloadRule::Pass(8));
        assert_eq!(agreed.backward.rule(0), PayloadRule::UlawToAlaw(8));
    }

    #[test]
    fn parties_without_a_common_codec_cannot_talk() {
        let caller = party(&[(18, "G729", 8_000)], &[101]);
        assert_eq!(Agreement::between(&caller, &party(&[(9, "G722", 8_000)], &[101])), None);
    }
}
