//! Park: a party waits under a number, its *slot*, and hears music, until somebody dials that number; after a time whoever parked it is
//! called, and when nobody answers there it waits on, [`RETURNS`] times. After that it is hung up on.
//!
//! A call is parked by a transfer to the park number, which takes the first free slot, or to the number of a slot; and by command. Who
//! parks by command is told the slot in words before it leaves, and may hang up before that; who transfers chooses a slot if it has
//! to know it. A parked party is in a call of its own that is served with music (`serve`), so hanging up, session timers and hold go
//! on as they do there.
//! Retrieving is taking the place of nobody (`takeover`): the retriever is the caller of a new call whose callee the party becomes.
//!
//! Left out on purpose: parties whose sound is not decoded (488), and park of conferences.

use super::call::{Call, CallId, Destination, Phase, Side};
use super::calls::Calls;
use super::led::{Led, phones};
use super::serve::Served;
use super::speech::About;
use super::takeover::Replaced;
use super::transfer::{News, Referred};
use crate::config::{DomainId, Service, Sounds};
use crate::core::command::Refused;
use crate::core::environment::Environment;
use crate::core::{Event, Parking};
use crate::prompts::What;
use crate::registrar::Registrar;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::message::Status;

use std::collections::BTreeMap;

/// So often who parked a call is called.
const RETURNS: u8 = 3;

/// The slots in which somebody waits, or is about to.
pub(super) type Slotted = BTreeMap<(DomainId, u32), CallId>;

/// A party that waits in a slot.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Parked {
    slot: u32,
    /// Who parked it.
    by: Bytes,
    /// So often it has gone back to them.
    returns: u8,
    /// It goes on waiting: nobody has answered.
    pub(super) waits_on: bool,
    /// Somebody has taken it into another call.
    is_taken: bool,
}

/// Somebody parks its partner, and is told the slot first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leaving {
    /// Who parks.
    pub(super) side: Side,
    slot: u32,
}

impl Destination {
    /// A slot.
    fn parking(served: Served, number: &Bytes) -> Destination {
        Destination { service: Some(served), ..Destination::nobody(number) }
    }
}

impl Call {
    /// The switch ends it: nobody waits on.
    pub(super) fn forget_park(&mut self) {
        if let Some(parked) = &mut self.parked {
            parked.returns = RETURNS;
        }
    }

    /// Its caller goes over to another call: if it was parked, somebody has taken it.
    pub(super) fn note_taken(&mut self) {
        if let Some(parked) = &mut self.parked {
            parked.is_taken = true;
        }
    }

    /// A parked party hears music again, because who parked it does not answer; whether it is one.
    pub(super) fn waits_on(&mut self) -> bool {
        let Some(parked) = self.parked.as_mut().filter(|parked| parked.returns < RETURNS) else {
            return false;
        };
        parked.waits_on = true;
        // It waits for nothing until the calls have seen to it.
        self.phase = Phase::Reserving;
        true
    }
}

impl Calls {
    /// The slot of this number, if the domain has nobody else there.
    fn slot_of(env: &Environment, domain: DomainId, number: &[u8]) -> Option<u32> {
        let slot = core::str::from_utf8(number).ok()?.parse().ok()?;
        let is_free = env.domain(domain).is_some_and(|domain| !domain.knows(number));
        let slots = env.config.call_features.park_slots.all();
        Some(slot).filter(|slot| is_free && slots.contains(slot) && slot.to_string().as_bytes() == number)
    }

    /// The place that a caller who dials the number of a slot takes: that beside who waits there.
    pub(super) fn parked_under(
        &self,
        env: &Environment,
        domain: DomainId,
        number: &[u8],
    ) -> Option<Replaced> {
        let call = *self.slots.get(&(domain, Calls::slot_of(env, domain, number)?))?;
        let waits = self.table.get(call).is_some_and(|call| matches!(call.phase, Phase::Served));
        waits.then_some(Replaced { call, side: Side::Callee })
    }

    /// Whether a transfer to this number parks, and under which slot; the inner `None`: all are taken.
    pub(super) fn parks(&self, env: &Environment, domain: DomainId, number: &[u8]) -> Option<Option<u32>> {
        let park = env.config.call_features.park.as_bytes();
        let is_free = env.domain(domain).is_some_and(|domain| !domain.knows(number));
        if !park.is_empty() && number == park && is_free {
            return Some(self.free_slot(env, domain));
        }
        let slot = Calls::slot_of(env, domain, number)?;
        Some((!self.slots.contains_key(&(domain, slot))).then_some(slot))
    }

    fn free_slot(&self, env: &Environment, domain: DomainId) -> Option<u32> {
        env.config.call_features.park_slots.all().find(|slot| !self.slots.contains_key(&(domain, *slot)))
    }

    /// Parks the partner of a party, who is told the slot and leaves then. The slot.
    pub(crate) fn park(
        &mut self,
        env: &mut Environment,
        (id, side): (CallId, Side),
        wanted: Option<u32>,
    ) -> Result<u32, Refused> {
        self.can_transfer(id, side)?;
        let domain = self.table.get(id).ok_or(Refused::UnknownCall)?.domain;
        let slots = env.config.call_features.park_slots.all();
        let slot = match wanted {
            Some(slot) if slots.contains(&slot) && !self.slots.contains_key(&(domain, slot)) => slot,
            Some(_) => return Err(Refused::Taken),
            None => self.free_slot(env, domain).ok_or(Refused::TooMany)?,
        };
        let call = self.table.get_mut(id).ok_or(Refused::UnknownCall)?;
        let waiting = Served::new(music(env));
        if !call.agreed(side.other()).is_some_and(|spoken| waiting.understands(spoken)) {
            return Err(Refused::NoCommonCodec);
        }
        let mut files = call.prompt(env, "feature/parked-at");
        files.extend(call.words(env, What::Digits(&slot.to_string())));
        if call.can_be_mixed() {
            // Without words it leaves at once.
            let _is_told = call.speech.add_to(Some(side), About::Park, files);
        }
        call.parking = Some(Leaving { side, slot });
        self.slots.insert((domain, slot), id);
        self.settle(env, Some(id));
        Ok(slot)
    }

    /// Parks the partner of a party under a slot that nobody else is in, and lets the party go.
    pub(super) fn park_at(
        &mut self,
        env: &mut Environment,
        (id, side): (CallId, Side),
        slot: u32,
        news: News,
    ) {
        let Some(call) = self.table.get(id) else { return };
        let (domain, by) = (call.domain, call.party(side).map(|party| party.user).unwrap_or_default());
        let number = Bytes::from(slot.to_string());
        let destination = Destination::parking(Served::new(music(env)), &number);
        let (request, transaction) = (call.invitation.request.clone(), call.invitation.transaction);
        let wanted = Ok((number, Led::to(destination)));
        let new = self.call_for(env, None, (id, side), (&request, transaction), wanted, news);
        let waits = |call: &Call| matches!(call.phase, Phase::Served);
        let Some(new) = new.filter(|new| self.table.get(*new).is_some_and(waits)) else { return };
        self.slots.insert((domain, slot), new);
        self.begin_waiting(env, new, Parked { slot, by, returns: 0, waits_on: false, is_taken: false });
    }

    /// Who parks its partner hangs up while it is told the slot: the partner waits there from now on. Whether it is so.
    pub(super) fn leave_to_slot(&mut self, env: &mut Environment, id: CallId, side: Side) -> bool {
        let Some(call) = self.table.get_mut(id).filter(|call| call.ending.is_none()) else { return false };
        let Some(leaving) = call.parking.take_if(|leaving| leaving.side == side) else { return false };
        self.slots.remove(&(call.domain, leaving.slot));
        if let Some(leg) = call.leg_mut(side) {
            // It is gone: there is nobody to send a BYE to.
            env.endpoint.end_dialog(leg.dialog);
        }
        let news = News::silent(env, call);
        self.park_at(env, (id, side), leaving.slot, news);
        self.table.get(id).is_none_or(|call| call.ending.is_some())
    }

    /// Somebody waits in a slot, for a while.
    fn begin_waiting(&mut self, env: &mut Environment, id: CallId, parked: Parked) {
        let Some(call) = self.table.get_mut(id) else { return };
        let patience = Duration::from_secs(env.config.call_features.park_timeout_s.into());
        if let Some(served) = &mut call.destination.service {
            served.ends_at = Some(env.now + patience);
        }
        let (named, slot, by) = (env.call_ref(call.number), parked.slot, parked.by.clone());
        call.parked = Some(Box::new(parked));
        call.tell(env, Event::Parked { call: named, slot, by, how: Parking::Parked });
        self.settle(env, Some(id));
    }

    /// A parked party has waited long: who parked it is called, if there is anybody. Whether it is one.
    pub(super) fn return_parked(&mut self, env: &mut Environment, registrar: &Registrar, id: CallId) -> bool {
        let Some(call) = self.table.get_mut(id) else { return false };
        let domain = call.domain;
        let Some(parked) = call.parked.as_mut().filter(|parked| parked.returns < RETURNS) else {
            return false;
        };
        parked.returns += 1;
        let by = parked.by.clone();
        let Some(to) = phones(env, registrar, domain, &by, None) else {
            // Nobody is there: it waits on.
            if let Some(served) = &mut call.destination.service {
                served.ends_at =
                    Some(env.now + Duration::from_secs(env.config.call_features.park_timeout_s.into()));
            }
            self.settle(env, Some(id));
            return true;
        };
        self.call_from_slot(env, id, to, Parking::Returning);
        true
    }

    /// Who waits in a slot calls somebody.
    pub(super) fn call_from_slot(
        &mut self,
        env: &mut Environment,
        id: CallId,
        to: Destination,
        how: Parking,
    ) {
        let Some(call) = self.table.get_mut(id) else { return };
        let Some(parked) = &call.parked else { return };
        let (named, slot, by) = (env.call_ref(call.number), parked.slot, parked.by.clone());
        call.tell(env, Event::Parked { call: named, slot, by, how });
        if let Some(served) = call.destination.service.take() {
            self.rooms.vacate(env, &served);
        }
        if let Some(call) = self.table.get_mut(id) {
            call.referred = Some(Box::new(Referred::returning(News::silent(env, call))));
            call.recall(env, to);
        }
        self.settle(env, Some(id));
    }

    /// Sees to what has to be done of parking after something has happened to a call.
    pub(super) fn attend_park(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        if let Some(leaving) = call.parking.take_if(|_| call.ending.is_some() || !call.speech.is_wanted()) {
            self.slots.remove(&(call.domain, leaving.slot));
            if call.ending.is_none() {
                let news = News::silent(env, call);
                self.park_at(env, (id, leaving.side), leaving.slot, news);
            }
            return;
        }
        if call.ending.is_some() || matches!(call.phase, Phase::Talking { .. }) {
            let domain = call.domain;
            if let Some(parked) = call.parked.take() {
                self.slots.remove(&(domain, parked.slot));
                // Who hangs up, or is hung up on, was taken by nobody.
                let is_retrieved = parked.is_taken || call.ending.is_none();
                let how = if is_retrieved { Parking::Retrieved } else { Parking::GivenUp };
                let named = env.call_ref(call.number);
                call.tell(env, Event::Parked { call: named, slot: parked.slot, by: parked.by, how });
            }
            return;
        }
        let Some(mut parked) = call.parked.take_if(|parked| parked.waits_on) else { return };
        parked.waits_on = false;
        let number = Bytes::from(parked.slot.to_string());
        let served = self.enter(env, id, number.clone(), Served::new(music(env)));
        let Some(call) = self.table.get_mut(id) else { return };
        call.leave_bridge(env);
        call.referred = None;
        call.destination = Destination::parking(served, &number);
        call.callee = number;
        if call.serve_moved(env) {
            return self.begin_waiting(env, id, *parked);
        }
        self.end(env, id, Status::NOT_ACCEPTABLE_HERE);
    }
}

/// What who waits hears.
pub(super) fn music(env: &Environment) -> Service {
    let files = match env.music() {
        files if files.is_empty() => env.library.music_file().into_iter().collect(),
        files => files,
    };
    Service::Music { folder: Sounds { path: "music".into(), files, line: 0 } }
}
