//! What programs ask of calls that phones ask for otherwise, or not at all: hold and resume, a ringing call picked up, a parked one
//! retrieved, a call moved to another phone of the same user, two calls made one.
//!
//! *Hold*: the switch puts the partner on music and lets it be heard by nobody; the phones are told nothing, so it works with phones
//! that know nothing of hold. *Pick up*: phones of somebody else ring, too, and whoever answers first has the call. *Retrieve*: who is
//! parked calls somebody, as it calls who parked it when it has waited long. *Move*: a blind transfer of the partner to the user's other
//! phones; the first one keeps it until one of them answers. *Join*: the partner in the second call becomes a guest of the first.
//!
//! Calls that begin here are in `originate`. Left out on purpose: picking up what rings at a peer, or has other streams than sound.

use super::call::{Call, CallId, Destination, Phase, Side, Target};
use super::calls::Calls;
use super::codes::may_pick_up;
use super::join::GUESTS;
use super::led::{Led, phones};
use super::originate::Summons;
use super::stages::Member;
use super::transfer::News;
use crate::config::DomainId;
use crate::core::Event;
use crate::core::command::{Actor, CallRef, DeviceRef, Field, LegRef, Refused};
use crate::core::environment::Environment;
use crate::registrar::Registrar;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::message::Status;
use sip_stack::transport::Flow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Phones that one call may ring at.
const PHONES: usize = 64;

/// What programs have asked for in a call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Program {
    /// Who holds the other one.
    holds: Option<Side>,
    /// The caller is rung yet.
    pub(super) summons: Option<Box<Summons>>,
    /// Who waits in it has made it, and is nobody who was transferred.
    is_originated: bool,
    /// What the caller shows instead of what it is.
    pub(super) caller_id: Option<Box<str>>,
    /// What a program wants its record to say.
    variables: Variables,
}

/// Words of a program for the record of a call, by their names.
pub(crate) type Variables = BTreeMap<Box<str>, Box<str>>;

impl Program {
    /// Of a call that begins here.
    pub(super) fn beginning(summons: Summons, caller_id: Option<Box<str>>, variables: Variables) -> Program {
        Program { holds: None, summons: Some(Box::new(summons)), is_originated: true, caller_id, variables }
    }

    /// Who holds the other one.
    pub(super) const fn holds(&self) -> Option<Side> {
        self.holds
    }

    /// Somebody else is in the call now.
    pub(super) const fn forget_hold(&mut self) {
        self.holds = None;
    }

    /// Its caller has made it, though another call led to it.
    pub(super) const fn calls_itself(&mut self) {
        self.is_originated = true;
    }

    /// Its caller is somebody else now.
    pub(super) const fn forget_making(&mut self) {
        self.is_originated = false;
    }

    /// Whether its caller has made it, and hears that it rings.
    pub(super) const fn is_originated(&self) -> bool {
        self.is_originated
    }

    /// What its record is to say.
    pub(super) const fn variables(&self) -> &Variables {
        &self.variables
    }
}

/// A user, and which of its phones.
pub(crate) struct Phones<'a> {
    pub(crate) domain: DomainId,
    pub(crate) user: &'a str,
    /// One of them; all without it.
    pub(crate) device: Option<&'a DeviceRef>,
    /// They are asked to answer by themselves.
    pub(crate) answer: bool,
}

impl Phones<'_> {
    /// Where they are, but for the one at the end of a flow.
    pub(super) fn find(
        &self,
        env: &Environment,
        registrar: &Registrar,
        but: Option<Flow>,
    ) -> Result<Destination, Refused> {
        let user = Bytes::copy_from_slice(self.user.as_bytes());
        let found = phones(env, registrar, self.domain, &user, None).ok_or(Refused::NotRegistered)?;
        let mut found = Destination { answers_itself: self.answer, ..found };
        if let Some(device) = self.device {
            let ways = registrar.phones_named(env, self.domain, self.user, &device.0);
            found.targets = ways.into_iter().map(Target::of).collect();
        }
        if let Some(but) = but {
            let is_it = |target: &Target| {
                target.ways.iter().any(|way| way.flow.peer == but.peer && way.flow.transport == but.transport)
            };
            found.targets.retain(|target| !is_it(target));
        }
        if found.targets.is_empty() { Err(Refused::NotRegistered) } else { Ok(found) }
    }
}

impl Call {
    /// The party that is held by command.
    pub(super) fn held_by_command(&self) -> Option<Side> {
        let is_up = matches!(self.phase, Phase::Talking { .. }) && self.ending.is_none();
        self.program.holds.filter(|_| is_up).map(Side::other)
    }

    /// Has phones of somebody else ring, too.
    fn ring_too(&mut self, env: &mut Environment, found: Destination) -> Result<(), Refused> {
        let own = self.destination.targets.iter().flat_map(|target| &target.ways);
        let own: Vec<Flow> = own.map(|way| way.flow).collect();
        let one_address = own.first().map(|first| first.local.ip());
        // The port may be bound on the address alone over which those ring who rang first.
        let reached = |target: &Target| {
            target.ways.iter().all(|way| Some(way.flow.local.ip()) == one_address)
                && !target.ways.iter().any(|way| own.contains(&way.flow))
        };
        let member = Arc::new(Member {
            user: found.user.clone(),
            latching: found.latching.clone(),
            dtmf: found.dtmf,
            record: found.record,
            answers_itself: found.answers_itself,
            is_peer: false,
            is_trusted: false,
            overload_control: false,
            caller_id: None,
            counted: None,
            delay_s: 0,
            ring_s: None,
        });
        let first = self.destination.targets.len();
        for target in found.targets.into_iter().filter(reached) {
            if self.destination.targets.len() >= PHONES {
                return Err(Refused::TooMany);
            }
            self.destination.targets.push(Target { member: Some(member.clone()), ..target });
        }
        if self.destination.targets.len() == first {
            return Err(Refused::NotRegistered);
        }
        for target in first..self.destination.targets.len() {
            self.have_ring(env, target);
        }
        Ok(())
    }
}

impl Calls {
    /// A party holds its partner, or does no more.
    pub(crate) fn hold_by_command(
        &mut self,
        env: &mut Environment,
        (id, side): (CallId, Side),
        on: bool,
    ) -> Result<(), Refused> {
        let call = self.table.get_mut(id).ok_or(Refused::UnknownCall)?;
        let is_held = call.program.holds == Some(side.other());
        if !matches!(call.phase, Phase::Talking { .. }) || !call.guests.is_empty() || is_held {
            return Err(Refused::WrongState);
        }
        if call.is_leaving() || call.dials().is_some() {
            return Err(Refused::Pending);
        }
        if on && !call.can_be_mixed() {
            return Err(Refused::NoCommonCodec);
        }
        let wanted = on.then_some(side);
        if core::mem::replace(&mut call.program.holds, wanted) == wanted {
            return Ok(());
        }
        let leg = LegRef { call: env.call_ref(call.number), side: side.into() };
        call.tell(env, Event::HoldChanged { leg, on });
        self.settle(env, Some(id));
        if let Some(call) = self.table.get(id) {
            // Where no music plays nothing else tells the shard.
            call.assign_roles(env);
        }
        Ok(())
    }

    /// The call that rings, and that a user may pick up as the actor says.
    pub(crate) fn ringing_for(
        &self,
        env: &Environment,
        actor: &Actor,
        picker: &Phones<'_>,
        call: Option<CallRef>,
        of: Option<&str>,
    ) -> Result<CallId, Refused> {
        if let Some(call) = call {
            return self.named(env, actor, call);
        }
        let of = of.ok_or(Refused::Senseless(Field::Call))?;
        let domain = env.domain(picker.domain).ok_or(Refused::UnknownUser)?;
        let known = domain.users.get(of).ok_or(Refused::UnknownUser)?;
        if !actor.may(domain, &[of]) && !may_pick_up(domain, picker.user, (of, known)) {
            return Err(Refused::UnknownUser);
        }
        self.rings_at(env, picker.domain, of).ok_or(Refused::UnknownCall)
    }

    /// Has the phones of a user ring for a call that rings elsewhere.
    pub(crate) fn pick_up_by_command(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        phones: &Phones<'_>,
        id: CallId,
    ) -> Result<(), Refused> {
        let call = self.table.get_mut(id).ok_or(Refused::UnknownCall)?;
        if call.domain != phones.domain {
            return Err(Refused::UnknownCall);
        }
        let is_plain = call.referred.is_none() && call.streams.is_none() && call.destination.peer.is_none();
        if !matches!(call.phase, Phase::Ringing(_)) || !is_plain {
            return Err(Refused::WrongState);
        }
        let found = phones.find(env, registrar, None)?;
        call.ring_too(env, found)?;
        self.settle(env, Some(id));
        Ok(())
    }

    /// Has who is parked in a slot call a user.
    pub(crate) fn retrieve(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        phones: &Phones<'_>,
        slot: u32,
    ) -> Result<CallRef, Refused> {
        let id = *self.slots.get(&(phones.domain, slot)).ok_or(Refused::UnknownCall)?;
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        if !matches!(call.phase, Phase::Served) || call.parked.is_none() {
            return Err(Refused::Pending);
        }
        let number = call.number();
        let found = phones.find(env, registrar, None)?;
        self.call_from_slot(env, id, found, crate::core::Parking::Called);
        Ok(env.call_ref(number))
    }

    /// Sends the partner of a party to other phones of the party's user; the call that is made for it.
    pub(crate) fn move_to_phone(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        (id, side): (CallId, Side),
        (device, answer): (Option<&DeviceRef>, bool),
    ) -> Result<CallId, Refused> {
        self.can_transfer(id, side)?;
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        let domain = call.domain;
        let user = env.domain(domain).and_then(|domain| call.user_on(domain, side)).map(str::to_owned);
        let user = user.ok_or(Refused::WrongState)?;
        let own = call.party(side).map(|party| party.leg.flow);
        let phones = Phones { domain, user: &user, device, answer };
        let found = phones.find(env, registrar, own)?;
        let wanted = Ok((Bytes::from(user.clone()), Led::uncounted(found)));
        self.call_in_place_of(env, Some(registrar), (id, side), wanted)
    }

    /// Makes one call of three out of two calls of a user.
    pub(crate) fn join_calls(
        &mut self,
        env: &mut Environment,
        one: (CallId, Side),
        other: (CallId, Side),
    ) -> Result<(), Refused> {
        if one.0 == other.0 {
            return Err(Refused::Senseless(Field::Leg));
        }
        self.can_transfer(one.0, one.1)?;
        self.can_transfer(other.0, other.1)?;
        // The one that the user's phone has on hold ends for it: it would hear nothing there.
        let is_held = |(id, side): (CallId, Side)| {
            let wish = self.table.get(id).and_then(|call| call.wish(side));
            wish.is_some_and(|wish| !wish.direction.receives())
        };
        let ((host, side), (second, seat)) =
            if is_held(one) && !is_held(other) { (other, one) } else { (one, other) };
        let (Some(call), Some(left)) = (self.table.get(host), self.table.get(second)) else {
            return Err(Refused::UnknownCall);
        };
        let user = |call: &Call, side| call.party(side).map(|party| party.user);
        if call.domain != left.domain || user(call, side) != user(left, seat) {
            return Err(Refused::Senseless(Field::Leg));
        }
        if !left.guests.is_empty() {
            return Err(Refused::WrongState);
        }
        if call.guests.len() >= GUESTS {
            return Err(Refused::TooMany);
        }
        if !call.can_be_mixed() || !left.can_be_mixed() {
            return Err(Refused::NoCommonCodec);
        }
        let number = call.callee.clone();
        let wanted = Ok((number.clone(), Led::to(Destination::joining(host, &number))));
        let new = self.call_in_place_of(env, None, (second, seat), wanted)?;
        let is_in = self.table.get(new).is_some_and(|guest| matches!(guest.phase, Phase::Served));
        if is_in { Ok(()) } else { Err(Refused::NoCommonCodec) }
    }

    /// A call of the partner of a party to somebody else, which a command has asked for.
    fn call_in_place_of(
        &mut self,
        env: &mut Environment,
        registrar: Option<&Registrar>,
        (id, side): (CallId, Side),
        wanted: Result<(Bytes, Led), Status>,
    ) -> Result<CallId, Refused> {
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        let (request, transaction) = (call.invitation.request.clone(), call.invitation.transaction);
        let news = News::silent(env, call);
        self.call_for(env, registrar, (id, side), (&request, transaction), wanted, news)
            .ok_or(Refused::TooMany)
    }
}
