//! A party leaves its call for another one: it keeps its dialog, its media port and its stream, and whoever it talked with is hung up
//! on. So end transfers (`transfer`) and INVITEs that replace a dialog of ours (RFC 3891).
//!
//! Neither of the two who are brought together is asked for anything, so each goes on speaking as it did, and is converted for the
//! other where it must be. Calls that ring are in `handover` and `pickup`. Left out on purpose: other streams than the sound, which
//! end with the call that is left.

use super::agreement::Agreement;
use super::bridge::transcodes;
use super::call::{Call, CallId, Leg, MediaLeg, Phase, Side};
use super::calls::Calls;
use super::formats::Formats;
use super::refresh::Refresh;
use crate::core::Event;
use crate::core::environment::Environment;
use crate::store::EndedBy;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::message::{Message, Status};
use sip_stack::sdp::AudioOffer;

/// A party of a call that is up, and what it is called by.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) leg: Leg,
    media: MediaLeg,
    pub(super) user: Bytes,
    pub(super) name: Bytes,
    pub(super) is_anonymous: bool,
}

/// The dialog that an INVITE takes over: that of the party on a side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Replaced {
    pub(super) call: CallId,
    pub(super) side: Side,
}

impl Call {
    /// The party on a side, as it would be in another call.
    pub(super) fn party(&self, side: Side) -> Option<Party> {
        let leg = match (&self.phase, side) {
            // A guest of a call may take the place of one of its parties (`join`).
            (Phase::Talking { .. } | Phase::Served, Side::Caller) => &self.caller_leg,
            (Phase::Talking { callee }, Side::Callee) => callee,
            (
                Phase::Locating
                | Phase::Reserving
                | Phase::Ringing(_)
                | Phase::Refusing { .. }
                | Phase::Ended,
                _,
            )
            | (Phase::Served, Side::Callee) => return None,
        };
        let (user, name) = match side {
            Side::Caller => (Bytes::copy_from_slice(self.caller.as_bytes()), self.caller_name.clone()),
            Side::Callee => (self.destination.user.clone(), Bytes::new()),
        };
        let is_anonymous = match side {
            Side::Caller => self.anonymous,
            Side::Callee => self.callee_anonymous,
        };
        Some(Party { leg: leg.clone(), media: self.media(side).clone(), user, name, is_anonymous })
    }

    /// Whether a party cannot leave now: something is asked of it, or it asks for something (RFC 3261 §14.1).
    pub(super) fn is_changing(&mut self) -> bool {
        let is_busy =
            |leg: &mut Leg| leg.awaiting_answer || matches!(leg.refresh, Some(Refresh::Asked { .. }));
        let sides = [Side::Caller, Side::Callee];
        let is_asked = self.passing_of().is_some() || self.is_renewed();
        is_asked || sides.into_iter().any(|side| self.leg_mut(side).is_some_and(is_busy))
    }

    /// Puts a party into the place of the one on that side.
    pub(super) fn seat(&mut self, env: &mut Environment, side: Side, party: Party) {
        let Party { mut leg, media, user, name, is_anonymous } = party;
        env.endpoint.set_owner(leg.dialog, self.owner());
        if let Some(Refresh::Asked { transaction, .. }) = leg.refresh {
            // Its answer will find nobody.
            env.endpoint.cancel(env.now, transaction);
            leg.refresh = Some(Refresh::Again(env.now + Duration::from_secs(1)));
        }
        *self.media_mut(side) = media;
        match side {
            Side::Caller => {
                self.caller_leg = leg;
                self.caller = String::from_utf8_lossy(&user).into();
                self.caller_name = name;
                self.anonymous = is_anonymous;
            }
            Side::Callee => {
                self.phase = Phase::Talking { callee: leg };
                self.callee = user.clone();
                self.destination.user = user;
                self.callee_anonymous = is_anonymous;
            }
        }
        self.leave_bridge(env);
        self.recorded.announce_again();
        self.program.forget_hold();
    }

    /// Joins the two as they speak already; whether they understand each other.
    pub(super) fn join_unchanged(&mut self, env: &mut Environment) -> bool {
        let wishes = [Side::Caller, Side::Callee].map(|side| self.wish(side));
        let agreement = match (self.agreed(Side::Caller), self.agreed(Side::Callee)) {
            (Some(caller), Some(callee)) => Agreement::unchanged(caller, callee, wishes, transcodes(env)),
            (Some(_) | None, _) => None,
        };
        let Some(agreement) = agreement else { return false };
        self.join_anew(env, agreement);
        true
    }

    fn join_anew(&mut self, env: &mut Environment, agreement: Agreement) {
        for side in [Side::Caller, Side::Callee] {
            self.configure(env, side);
        }
        self.join(env, agreement.path);
    }

    /// Joins the caller, who stays as it is, with the callee, who has just answered; whether they understand each other.
    pub(super) fn join_answered(&mut self, env: &mut Environment) -> bool {
        let Phase::Talking { callee } = &self.phase else { return false };
        let (Some(caller), Some(remote)) = (&self.caller_leg.session.agreed, &callee.session.remote) else {
            return false;
        };
        let wishes = [self.caller_leg.session.remote.as_ref(), Some(remote)];
        let known = Formats::from(remote);
        let Some(agreement) = Agreement::renewed(Side::Callee, caller, &known, wishes, transcodes(env))
        else {
            return false;
        };
        if let Phase::Talking { callee } = &mut self.phase {
            callee.session.agreed = Some(agreement.callee.clone());
        }
        self.join_anew(env, agreement);
        true
    }

    /// Whether who has answered understands what somebody speaks who is not asked for anything else.
    pub(super) fn is_understood_by(&self, env: &Environment, spoken: &Formats) -> bool {
        if let Some(service) = &self.destination.service {
            return service.understands(spoken);
        }
        let remote = match &self.phase {
            Phase::Talking { callee } => callee.session.remote.as_ref(),
            Phase::Locating
            | Phase::Reserving
            | Phase::Ringing(_)
            | Phase::Refusing { .. }
            | Phase::Served
            | Phase::Ended => None,
        };
        remote.is_some_and(|remote| {
            let known = Formats::from(remote);
            let wishes = [None, Some(remote)];
            Agreement::renewed(Side::Callee, spoken, &known, wishes, transcodes(env)).is_some()
        })
    }

    /// The description for the 2xx to the caller who has taken the place of another one: `None` when the callee, who is not
    /// asked, would not be understood.
    fn answer_replacing(&mut self, env: &mut Environment) -> Option<Bytes> {
        let offer: Option<AudioOffer> = self.caller_leg.session.remote.clone();
        let staying = self.agreed(Side::Callee)?.clone();
        let Some(offer) = offer else {
            self.caller_leg.awaiting_answer = true;
            let ptime_ms = self.wish(Side::Callee).and_then(|wish| wish.ptime_ms);
            let offered = staying.offered_onward(transcodes(env), &Formats::default());
            return Some(self.caller_leg.session.offer(&offered, ptime_ms));
        };
        let wishes = [Some(&offer), self.wish(Side::Callee)];
        let agreement =
            Agreement::renewed(Side::Caller, &Formats::from(&offer), &staying, wishes, transcodes(env))?;
        let told = agreement.caller.clone();
        let message = self.invite().clone();
        let body = self.caller_leg.session.answer(&message, &told, offer.ptime_ms);
        self.join_anew(env, agreement);
        Some(body)
    }
}

impl Calls {
    /// The dialog that an INVITE of this user names: 400, 403, 481 and 486 as RFC 3891 §3 says.
    pub(super) fn replaced_by(
        &self,
        env: &Environment,
        domain: crate::config::DomainId,
        user: &str,
        invite: &Message,
    ) -> Result<Option<Replaced>, Status> {
        let Some(named) = invite.replaces().map_err(|_| Status::BAD_REQUEST)? else { return Ok(None) };
        let gone = Status::CALL_DOES_NOT_EXIST;
        let dialog = env.endpoint.dialog_named(&named).ok_or(gone)?;
        let owner = env.endpoint.dialog(dialog).and_then(|dialog| super::call::call_of(dialog.owner()));
        let (id, call) = owner.and_then(|id| Some((id, self.table.get(id)?))).ok_or(gone)?;
        let rings = call.rings_in(dialog);
        let side = if rings { Some(Side::Callee) } else { call.side_of(dialog) };
        let side = side.filter(|_| call.domain == domain).ok_or(gone)?;
        if !self.may_replace(env, user, (id, side)) {
            return Err(Status::FORBIDDEN);
        }
        match call.phase {
            Phase::Ringing(_) if rings => Ok(Some(Replaced { call: id, side })),
            Phase::Talking { .. } if named.early_only => Err(Status::BUSY_HERE),
            Phase::Talking { .. } => Ok(Some(Replaced { call: id, side })),
            Phase::Locating
            | Phase::Reserving
            | Phase::Ringing(_)
            | Phase::Refusing { .. }
            | Phase::Served
            | Phase::Ended => Err(gone),
        }
    }

    /// Moves the party on `side` of the call `from` to `seat` of the call `into`. What is left of `from` ends; `hang_up`: its
    /// other party, and whoever sat there, hears so by BYE.
    pub(super) fn move_party(
        &mut self,
        env: &mut Environment,
        (from, side): (CallId, Side),
        (into, seat): (CallId, Side),
    ) -> bool {
        let Some(left) = self.table.get(from) else { return false };
        let ends_by = left.ends_by;
        let Some(party) = left.party(side) else { return false };
        let leg = party.media.id;
        let Some(call) = self.table.get_mut(into) else { return false };
        let number = call.number;
        // No party talks longer than a call may last by going from one call to another.
        call.ends_by = call.ends_by.into_iter().chain(ends_by).min();
        call.seat(env, seat, party);
        self.move_counts(env, (from, side), (into, seat));
        let into_record = self.record_id(into);
        self.adopted.insert(leg, (into, seat));
        if let Some(call) = self.table.get_mut(from) {
            call.media_mut(side).port = 0;
            call.note_taken();
            call.note_transferred(env, into_record);
            let (call, into) = (env.call_ref(call.number), env.call_ref(number));
            env.event(Event::CallTransferred { call, into });
        }
        true
    }

    /// A call whose party on `side` was moved away is over for the other one.
    pub(super) fn leave_behind(&mut self, env: &mut Environment, id: CallId, side: Side, hang_up: bool) {
        if let Some(call) = self.table.get_mut(id) {
            let bye = if hang_up { call.hang_up(env, side.other()) } else { None };
            call.referring = None;
            call.finish(env, Status::OK, side.other().ended_by());
            self.remember_byes(bye);
        }
        self.settle(env, Some(id));
    }

    /// The port of a caller who replaces a dialog of ours is there: it takes over.
    pub(super) fn replace(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        let is_due = matches!(call.phase, Phase::Reserving) && call.media(Side::Caller).port != 0;
        let replaced = call.destination.replaces.filter(|_| is_due && call.ending.is_none());
        let Some(Replaced { call: from, side }) = replaced else { return };
        call.caller_leg.session.port = call.media(Side::Caller).port;
        call.destination.replaces = None;
        let staying = side.other();
        if self.table.get(from).is_some_and(|call| matches!(call.phase, Phase::Ringing(_))) {
            return self.pick_up(env, id, from);
        }
        let is_free = self.table.get_mut(from).is_some_and(|call| {
            // Who is being transferred belongs to the call that was made for it.
            call.party(staying).is_some()
                && call.referring.is_none()
                && call.consult.is_none()
                && !call.is_changing()
        });
        if !is_free {
            if let Some(call) = self.table.get_mut(id) {
                call.phase = Phase::Locating;
                call.refuse_caller(env, Status::CALL_DOES_NOT_EXIST, EndedBy::Switch);
            }
            return;
        }
        let wanted = self.table.get(from).map(|call| call.recorded.passed_on()).unwrap_or_default();
        if !self.move_party(env, (from, staying), (id, Side::Callee)) {
            return;
        }
        if let Some(call) = self.table.get_mut(id) {
            call.recorded.want_too(wanted);
            call.uncount_earlier(env);
        }
        let answer = self.table.get_mut(id).and_then(|call| call.answer_replacing(env));
        self.leave_behind(env, from, staying, true);
        let Some(call) = self.table.get_mut(id) else { return };
        match answer {
            Some(body) => call.send_answer(env, &body),
            // Nothing that both understand: the one who is left has nobody to go back to.
            None => {
                let bye = call.hang_up(env, Side::Callee);
                call.refuse_caller(env, Status::NOT_ACCEPTABLE_HERE, EndedBy::Switch);
                self.remember_byes(bye);
            }
        }
    }
}
