//! A question before a transfer, by keys: a user in a call dials a third party while its partner hears music. It hangs up, and the two others
//! talk; one key, and it has its partner back; another, and all three talk. When the third party hangs up, or nobody answers, the user
//! has its partner back by itself.
//!
//! ```text
//!   talking --key and number--> asks --answered--> asked --hangs up-->  partner and third party
//!      ^                         |  |                |---key, or the third party hangs up--> user and partner
//!      |---key, nobody answers---+  |                +---key--> three (`join`)
//!                hangs up: a transfer that rings (`transfer`)
//! ```
//!
//! *Asks*: a second call rings the third party. Its caller is a copy of the user's leg, as the partner's is in a blind transfer; the user is in its
//! first call yet, and hears there that it rings. *Asked*: the user's leg is the caller of the second call, and the partner is in a call of its
//! own that is served with music, as one that is parked. Whoever hangs up in the second call leaves its seat to the partner.
//!
//! Left out on purpose: more than one question at a time, and other transfers and pickups of such calls (491).

use super::call::{Call, CallId, Destination, Phase, Side};
use super::calls::Calls;
use super::led::{Before, Led};
use super::originate;
use super::park;
use super::serve::Served;
use super::speech::About;
use super::transfer::{News, Referred};
use crate::core::command::Refused;
use crate::core::environment::Environment;
use crate::registrar::Registrar;
use crate::routing::Caller;
use crate::store::EndedBy;
use bytes::Bytes;
use media::Command;
use media::mix::{Audience, MemberId, Role};
use serde::{Deserialize, Serialize};
use sip_stack::message::Status;

/// What a call has to do with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Consult {
    /// The user on that side asks somebody in another call, which rings; `sounds`: it hears so.
    Asks { side: Side, sounds: bool },
    /// It rings for a user who is in another call.
    Rings,
    /// The caller talks with whom it asks, and its partner waits in that call.
    Asked { waits: CallId },
    /// The caller waits for a user who asks in that call.
    Waits { asks: CallId },
}

/// What sounds for the user while it rings.
const RINGER: MemberId = MemberId(u64::MAX - 1);

impl Call {
    /// Who waits because the other one asks somebody.
    pub(super) const fn waits_for_asking(&self) -> Option<Side> {
        match self.consult {
            Some(Consult::Asks { side, .. }) => Some(side.other()),
            Some(Consult::Rings | Consult::Asked { .. } | Consult::Waits { .. }) | None => None,
        }
    }

    /// The user who may go back to its partner by a key, and whether it may bring all three together.
    pub(super) const fn asks(&self) -> Option<(Side, bool)> {
        match self.consult {
            Some(Consult::Asks { side, .. }) => Some((side, false)),
            Some(Consult::Asked { .. }) => Some((Side::Caller, true)),
            Some(Consult::Rings | Consult::Waits { .. }) | None => None,
        }
    }

    /// The user who asks hears that it rings there.
    pub(super) fn attend_asking(&mut self, env: &mut Environment) {
        let Some(Consult::Asks { side, sounds: false }) = self.consult else { return };
        let Some(room) = self.mixed_in() else { return };
        self.consult = Some(Consult::Asks { side, sounds: true });
        let role = Role::Announce { to: Audience::One(MemberId(self.media(side).id.0)) };
        env.media(Command::Play { room, member: RINGER, source: self.ring_back(env), role });
    }

    /// Nobody is asked any more; a user who has heard it ring hears that no longer.
    fn end_asking(&mut self, env: &mut Environment) {
        if let (Some(Consult::Asks { sounds: true, .. }), Some(room)) = (self.consult, self.mixed_in()) {
            env.media(Command::Leave { room, member: RINGER });
        }
        self.consult = None;
    }

    /// It rings for the partner of who has asked.
    pub(super) fn become_transfer(&mut self) {
        if self.consult == Some(Consult::Rings) {
            self.consult = None;
            self.program.forget_making();
        }
    }

    /// Says a prompt to one party, where there is sound for it.
    fn tell_party(&mut self, env: &Environment, side: Side, prompt: &str) {
        let files = self.prompt(env, prompt);
        let _is_said = self.can_be_mixed() && self.speech.add_to(Some(side), About::Command, files);
    }
}

impl Calls {
    /// A user asks somebody while its partner waits.
    pub(super) fn ask(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        (id, side): (CallId, Side),
        number: &str,
    ) -> Result<(), Refused> {
        self.can_transfer(id, side)?;
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        if !call.can_be_mixed() || !call.guests.is_empty() {
            return Err(Refused::WrongState);
        }
        let user = env.domain(call.domain).and_then(|domain| call.user_on(domain, side)).map(str::to_owned);
        let user = user.ok_or(Refused::NotAllowed)?;
        let (domain, number) = (call.domain, Bytes::copy_from_slice(number.as_bytes()));
        if self.table.len() >= env.config.limits.calls as usize {
            return Err(Refused::TooMany);
        }
        let led = self.lead_as(env, registrar, domain, &user, &number)?;
        // What the switch serves is nobody who could be asked, and a code is for who is in no call.
        if led.destination.is_served() {
            return Err(Refused::WrongState);
        }
        let call = self.table.get(id).ok_or(Refused::UnknownCall)?;
        let (request, transaction) = (call.invitation.request.clone(), call.invitation.transaction);
        let news = News::quiet(env, call);
        let caller = Caller::User(&user);
        let counted = super::led::count(env, domain, caller, &led).map_err(|_| Refused::TooMany)?;
        let anonymity = led.anonymity;
        let asking = self.table.get(id).and_then(|call| Some((call.party(side)?, call.party(side)?)));
        let (party, phone) = asking.ok_or(Refused::WrongState)?;
        let referred = Referred::of(env, Some(registrar), (domain, &phone), (id, side), news);
        let wanted = (number, led.destination);
        let new = self.open_referred(env, domain, party, (&request, transaction), wanted, (referred, &phone));
        if let Some(call) = self.table.get_mut(new) {
            call.counted.extend(counted);
            call.consult = Some(Consult::Rings);
            call.anonymous = anonymity.unwrap_or(call.anonymous);
            call.referred_by = None;
            call.program.calls_itself();
        }
        if let Some(call) = self.table.get_mut(id) {
            call.referring = Some((new, side));
            call.consult = Some(Consult::Asks { side, sounds: false });
        }
        self.begin_referred(env, new);
        self.settle(env, Some(id));
        Ok(())
    }

    /// Somebody has answered whom a user asks: the user talks with that one, and its partner waits elsewhere. Whether it was that.
    pub(super) fn take_asked(&mut self, env: &mut Environment, id: CallId, first: (CallId, Side)) -> bool {
        let Some(call) = self.table.get_mut(id) else { return false };
        if call.consult != Some(Consult::Rings) {
            return false;
        }
        call.consult = None;
        let (from, side) = first;
        if let Some(call) = self.table.get_mut(from) {
            call.end_asking(env);
            call.leave_counts(side.other());
        }
        if !self.move_party(env, first, (id, Side::Caller)) {
            self.end(env, id, Status::SERVER_INTERNAL_ERROR);
            return true;
        }
        let waits = self.have_wait(env, (from, side), id);
        let Some(call) = self.table.get_mut(id) else { return true };
        call.consult = waits.map(|waits| Consult::Asked { waits });
        let is_served = call.destination.service.is_some();
        let understood = if is_served { call.serve_moved(env) } else { call.join_answered(env) };
        call.note_answer(env);
        call.referred = None;
        if !understood {
            self.end(env, id, Status::NOT_ACCEPTABLE_HERE);
        }
        true
    }

    /// The partner of a user who has left for another call waits there with music. Its call.
    fn have_wait(
        &mut self,
        env: &mut Environment,
        (id, side): (CallId, Side),
        asks: CallId,
    ) -> Option<CallId> {
        let call = self.table.get_mut(id)?;
        call.referring = None;
        // It is in the other call, and hears no BYE of this one.
        if let Some(flow) = call.leg_mut(side).map(|leg| leg.flow) {
            let nobody = originate::nobody(env, flow);
            if let Some(leg) = call.leg_mut(side) {
                *leg = nobody;
            }
        }
        let (domain, number) = (call.domain, call.callee.clone());
        let (request, transaction) = (call.invitation.request.clone(), call.invitation.transaction);
        let (party, phone) = (call.party(side.other())?, call.party(side)?);
        let news = News::quiet(env, call);
        let referred = Referred::of(env, None, (domain, &phone), (id, side.other()), news);
        let destination =
            Destination { service: Some(Served::new(park::music(env))), ..Destination::nobody(&number) };
        let wanted = (number, destination);
        let new = self.open_referred(env, domain, party, (&request, transaction), wanted, (referred, &phone));
        if let Some(call) = self.table.get_mut(new) {
            call.consult = Some(Consult::Waits { asks });
        }
        if let Some(call) = self.table.get_mut(id) {
            call.referring = Some((new, side));
        }
        self.begin_referred(env, new);
        self.table.get(new).is_some_and(|call| matches!(call.phase, Phase::Served)).then_some(new)
    }

    /// Somebody hangs up in a call that was made to ask: who waits has its seat. Whether it was so.
    pub(super) fn leave_to_waiting(&mut self, env: &mut Environment, id: CallId, side: Side) -> bool {
        let call = self.table.get(id).filter(|call| call.ending.is_none());
        let Some(Consult::Asked { waits }) = call.and_then(|call| call.consult) else { return false };
        let stays = side.other();
        if !self.understand(env, (waits, Side::Caller), (id, stays)) {
            return false;
        }
        let Some(call) = self.table.get_mut(id) else { return false };
        call.consult = None;
        if side == Side::Caller {
            call.referred_by = Some(call.caller.clone());
        }
        let left = call.media(side).id;
        if let Some(dialog) = call.leg_mut(side).map(|leg| leg.dialog) {
            env.endpoint.end_dialog(dialog);
        }
        if let Some(waiting) = self.table.get_mut(waits) {
            waiting.consult = None;
        }
        self.move_party(env, (waits, Side::Caller), (id, side));
        if let Some(call) = self.table.get_mut(id) {
            call.join_unchanged(env);
        }
        self.adopted.remove(&left);
        env.media(Command::Close { leg: left });
        self.leave_behind(env, waits, Side::Caller, false);
        self.settle(env, Some(id));
        true
    }

    /// The partner of a user who asks somebody hangs up: the user goes on with the call that rings. Whether it was so.
    pub(super) fn leave_asking(&mut self, env: &mut Environment, id: CallId, side: Side) -> bool {
        let Some(call) = self.table.get_mut(id) else { return false };
        let Some((new, user)) = call.referring.filter(|_| call.waits_for_asking() == Some(side)) else {
            return false;
        };
        call.end_asking(env);
        if let Some(dialog) = call.leg_mut(side).map(|leg| leg.dialog) {
            env.endpoint.end_dialog(dialog);
        }
        if !self.move_party(env, (id, user), (new, Side::Caller)) {
            return false;
        }
        if let Some(call) = self.table.get_mut(new) {
            call.consult = None;
            call.waits_here();
            call.forget_recall();
        }
        self.leave_behind(env, id, user, false);
        self.settle(env, Some(new));
        true
    }

    /// A user who asks somebody has its partner back.
    pub(super) fn go_back(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        match call.consult {
            Some(Consult::Asks { .. }) => {
                let Some((new, _)) = call.referring else { return };
                if let Some(new) = self.table.get_mut(new) {
                    new.drop_ring(env);
                    new.fail_referral(env, Status::REQUEST_TERMINATED, EndedBy::Caller);
                }
                self.settle(env, Some(new));
            }
            Some(Consult::Asked { .. }) => {
                let bye = call.hang_up(env, Side::Callee);
                self.remember_byes(bye);
                if !self.leave_to_waiting(env, id, Side::Callee) {
                    self.end(env, id, Status::OK);
                }
            }
            Some(Consult::Rings | Consult::Waits { .. }) | None => {}
        }
    }

    /// All three talk: who waits is a guest of the two others.
    pub(super) fn bring_three_together(&mut self, env: &mut Environment, id: CallId) {
        let Some(Consult::Asked { waits }) = self.table.get(id).and_then(|call| call.consult) else { return };
        let served = match self.open_to(env, id, waits) {
            Ok(served) => served,
            Err(_) => {
                if let Some(call) = self.table.get_mut(id) {
                    call.tell_party(env, Side::Caller, "call/transfer-failed");
                }
                return self.settle(env, Some(id));
            }
        };
        if let Some(call) = self.table.get_mut(id) {
            call.consult = None;
        }
        let music = self.table.get_mut(waits).and_then(|call| call.destination.service.take());
        if let Some(call) = self.table.get_mut(waits) {
            call.consult = None;
            call.destination.joins = Some(id);
            call.destination.service = Some(served);
            if !call.serve_moved(env) {
                self.end(env, waits, Status::NOT_ACCEPTABLE_HERE);
            }
        }
        if let Some(music) = music {
            self.rooms.vacate(env, &music);
        }
        self.settle(env, Some(waits));
        self.settle(env, Some(id));
    }

    /// Sees to the calls that a question has made after something has happened to one of them.
    pub(super) fn attend_consult(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        let is_over = call.ending.is_some();
        match call.consult {
            Some(Consult::Asks { side, .. }) if call.referring.is_none() && !is_over => {
                // Nobody has answered.
                call.end_asking(env);
                call.tell_party(env, side, "call/transfer-failed");
            }
            Some(Consult::Asked { waits }) if is_over => {
                call.consult = None;
                if let Some(waiting) = self.table.get_mut(waits) {
                    waiting.consult = None;
                }
                self.end(env, waits, Status::OK);
            }
            Some(Consult::Waits { asks }) if is_over => {
                call.consult = None;
                if let Some(asking) = self.table.get_mut(asks) {
                    asking.consult = None;
                }
            }
            Some(Consult::Asks { .. } | Consult::Rings | Consult::Asked { .. } | Consult::Waits { .. })
            | None => {}
        }
    }

    /// What a number leads to for a user.
    pub(super) fn lead_as(
        &self,
        env: &mut Environment,
        registrar: &Registrar,
        domain: crate::config::DomainId,
        user: &str,
        number: &Bytes,
    ) -> Result<Led, Refused> {
        let named = crate::registrar::Named::number(number.clone());
        let led = self.lead_to(env, registrar, domain, Caller::User(user), Before::default(), &named);
        let led = led.map_err(|refused| super::command::refused_by(refused.status))?;
        // What is dialled would have a PIN in it, and stand in records.
        if led.is_of_desk() { Err(Refused::NotAllowed) } else { Ok(led) }
    }
}
