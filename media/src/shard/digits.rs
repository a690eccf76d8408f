//! Digits on a shard: from the leg on which they are heard to the owner and to whoever they are for (RFC 4733 §2.5).
//!
//! | heard on | goes to |
//! |---|---|
//! | a relayed leg, events that the partner takes under the same clock rate | the partner, packet by packet (`leg/relay`) |
//! | a relayed leg, other events; tones that are listened for | the partner's dial: events, or tones in its codec |
//! | a leg in a room with one other | the other's dial |
//! | a leg in a larger room | nobody: in a conference digits are for the switch |
//!
//! Left out on purpose: what a digit means.

use smallvec::SmallVec;

use super::arena::LegKey;
use super::control::Alarm;
use super::report::Report;
use super::rooms::TICK;
use super::shard::{Output, Port, Shard};
use crate::dtmf::Digit;
use crate::leg::{DigitWay, HeardKeys, LegId};
use crate::time::Time;

impl Shard {
    /// Hands on what was heard of keys on a leg.
    pub(super) fn pass_keys(&mut self, now: Time, key: LegKey, heard: &HeardKeys) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let (id, mixed) = (leg.id, leg.mixed.is_some());
        let reports = leg.params.as_ref().is_some_and(|params| params.digits.report);
        let Some(keys) = &mut leg.keys else { return };
        // In a room no packet of events reaches anybody by itself.
        let converts = keys.converts || mixed;
        if let Some(due) = keys.poll_timeout().filter(|_| !keys.alarmed) {
            keys.alarmed = true;
            self.alarms.set(due, key, Alarm::Keys);
        }
        for &(heard, way) in heard.iter().filter(|_| reports) {
            self.outbox.offer(Output::Report(Report::Digit { leg: id, heard, way }));
        }
        let Some(other) = self.counterpart(key) else { return };
        let Some(dial) = self.legs.get_mut(other).and_then(|other| other.dial.as_mut()) else { return };
        let goes = |way| match way {
            DigitWay::Event => converts,
            DigitWay::Tone => dial.sends_events(),
        };
        let going: HeardKeys = heard.iter().filter(|(_, way)| goes(*way)).copied().collect();
        for (heard, _) in going {
            // Whoever presses more keys than a queue holds before the first is over loses the rest.
            let _ = dial.handle(heard);
        }
        self.begin_dialling(now, other);
    }

    /// To whom digits of a leg go: its partner, or the one other leg in its room.
    fn counterpart(&self, key: LegKey) -> Option<LegKey> {
        let leg = self.legs.get(key)?;
        match &leg.mixed {
            Some(mixed) => self.rooms.get(&mixed.room)?.counterpart(key),
            None => self.partner(key).filter(|partner| *partner != key),
        }
    }

    /// What joins a leg with another is about to change: keys that either holds for the other go up, because their release
    /// may not be heard.
    pub(super) fn release_keys(&mut self, key: LegKey) {
        for key in [Some(key), self.counterpart(key)].into_iter().flatten() {
            if let Some(dial) = self.legs.get_mut(key).and_then(|leg| leg.dial.as_mut()) {
                dial.release();
            }
        }
    }

    /// Sets the alarm of a leg for which there is something to dial.
    pub(super) fn begin_dialling(&mut self, now: Time, key: LegKey) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        leg.mark_dialling();
        if leg.mixed.is_none()
            && leg.dialling
            && let Some(dial) = leg.dial.as_mut().filter(|dial| !dial.alarmed)
        {
            dial.alarmed = true;
            self.alarms.set(now, key, Alarm::Dial);
        }
    }

    /// An event whose end was not seen may be over.
    pub(super) fn handle_keys(&mut self, now: Time, key: LegKey) {
        let mut heard = HeardKeys::new();
        let Some(keys) = self.legs.get_mut(key).and_then(|leg| leg.keys.as_mut()) else { return };
        keys.alarmed = false;
        keys.handle_timeout(now, &mut heard);
        self.pass_keys(now, key, &heard);
    }

    /// Sends the next packet of digits to a leg that is in no room.
    pub(super) fn handle_dial(&mut self, now: Time, key: LegKey) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        if leg.mixed.is_some() {
            // It has come into a room, whose tick sends what is left.
            if let Some(dial) = &mut leg.dial {
                dial.alarmed = false;
            }
            return;
        }
        let route = leg.params.as_ref().and_then(|params| leg.ingress.destination(params)).copied();
        let mut write = |place: &mut [u8]| leg.dial_packet(now, place);
        match route {
            Some(destination) => self.mail.write(key, (Port::Rtp, destination), write),
            None => _ = write(&mut [0; 2_048]),
        }
        leg.mark_dialling();
        let Some(dial) = &mut leg.dial else { return };
        dial.alarmed = leg.dialling;
        if dial.alarmed {
            self.alarms.set(now + TICK, key, Alarm::Dial);
        }
    }

    /// Presses keys for the peer of a leg; those that cannot be sent in its media are reported back.
    pub(super) fn dial(&mut self, now: Time, leg: LegId, digits: &[Digit]) -> Option<()> {
        let key = self.key(leg)?;
        let dial = &mut self.legs.get_mut(key)?.dial;
        let refused: SmallVec<[Digit; 2]> = match dial {
            Some(dial) => digits.iter().filter(|digit| dial.push(**digit).is_err()).copied().collect(),
            None => digits.iter().copied().collect(),
        };
        if !refused.is_empty() {
            self.outbox.push(Output::Report(Report::NotDialled { leg, digits: refused }));
        }
        self.begin_dialling(now, key);
        Some(())
    }
}
