//! Join (RFC 3911): somebody comes into a call that is up, which goes on in its room with one more in it. By an INVITE with Join, or by a
//! REFER whose Refer-To has one: so a phone makes one call of its two.
//!
//! A user may join its own calls, and others of its domain where the configuration says so (`join`): who joins hears all that is
//! said. Who has joined is a *guest* of the call: when one of its two parties hangs up, the first guest has its place; when the call ends,
//! it ends for all. A call that is not decoded any more, or whose sound is put off for fax, has no guests any more.
//!
//! Bound: [`GUESTS`] of a call, one more is 486. Left out on purpose: joining calls that ring (481), and conferences, which have numbers
//! of their own; guests who transfer.

use super::call::{CallId, Destination, Phase, Side, call_of};
use super::calls::Calls;
use super::serve::Served;
use crate::config::DomainId;
use crate::core::environment::Environment;
use crate::store::EndedBy;
use bytes::Bytes;
use sip_stack::header::Join;
use sip_stack::message::{Message, Status};

/// How many may join a call.
pub(super) const GUESTS: usize = 8;

impl Destination {
    /// The room of a call that is up.
    pub(super) fn joining(host: CallId, callee: &Bytes) -> Destination {
        Destination { joins: Some(host), ..Destination::nobody(callee) }
    }
}

impl Calls {
    /// The call that an INVITE of a user joins: 400, 403 and 481 as RFC 3911 §4 says.
    pub(super) fn joined_by(
        &self,
        env: &Environment,
        domain: DomainId,
        user: &str,
        invite: &Message,
    ) -> Result<Option<CallId>, Status> {
        let Some(named) = invite.join().map_err(|_| Status::BAD_REQUEST)? else { return Ok(None) };
        if !matches!(invite.replaces(), Ok(None)) {
            return Err(Status::BAD_REQUEST);
        }
        self.named_host(env, domain, user, &named).map(Some)
    }

    /// The call that a user names to be joined.
    pub(super) fn named_host(
        &self,
        env: &Environment,
        domain: DomainId,
        user: &str,
        named: &Join<'_>,
    ) -> Result<CallId, Status> {
        let gone = Status::CALL_DOES_NOT_EXIST;
        let dialog = env.endpoint.dialog_named(named).ok_or(gone)?;
        let owner = env.endpoint.dialog(dialog).and_then(|dialog| call_of(dialog.owner()));
        let (id, call) = owner.and_then(|id| Some((id, self.table.get(id)?))).ok_or(gone)?;
        let is_up = matches!(call.phase, Phase::Talking { .. }) && call.domain == domain;
        call.side_of(dialog).filter(|_| is_up).ok_or(gone)?;
        let may_join = env.domain(domain).is_some_and(|domain| {
            let is_on = |side| call.user_on(domain, side) == Some(user);
            domain.join || is_on(Side::Caller) || is_on(Side::Callee)
        });
        if may_join { Ok(id) } else { Err(Status::FORBIDDEN) }
    }

    /// The port of a caller who joins a call is there: it is let in.
    pub(super) fn join_in(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get(id) else { return };
        let is_due = matches!(call.phase, Phase::Reserving) && call.media(Side::Caller).port != 0;
        let is_due = is_due && call.ending.is_none() && call.destination.service.is_none();
        let Some(host) = call.destination.joins.filter(|_| is_due) else { return };
        let served = self.open_to(env, host, id);
        let Some(call) = self.table.get_mut(id) else { return };
        match served {
            Ok(served) => {
                call.destination.service = Some(served);
                call.serve(env);
            }
            Err(status) => {
                // Nothing is waited for any more.
                call.phase = Phase::Locating;
                call.refuse_caller(env, status, EndedBy::Switch);
            }
        }
        self.settle(env, Some(host));
    }

    /// Takes a guest into a call, which is mixed from now on.
    pub(super) fn open_to(
        &mut self,
        env: &mut Environment,
        host: CallId,
        guest: CallId,
    ) -> Result<Served, Status> {
        let call = self.table.get_mut(host).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        if !matches!(call.phase, Phase::Talking { .. }) || host == guest {
            return Err(Status::CALL_DOES_NOT_EXIST);
        }
        if call.guests.len() >= GUESTS {
            return Err(Status::BUSY_HERE);
        }
        if !call.can_be_mixed() {
            return Err(Status::NOT_ACCEPTABLE_HERE);
        }
        call.guests.push(guest);
        call.program.forget_hold();
        call.connect(env);
        call.has_new_room();
        let Some(room) = call.mixed_in() else {
            call.guests.pop();
            return Err(Status::NOT_ACCEPTABLE_HERE);
        };
        if call.recorded.is_wanted() {
            // The guest has not heard it.
            call.recorded.announce_again();
            call.announce_recording(env);
        }
        Ok(Served::guest(room))
    }

    /// Sees to the guests of a call after something has happened to it.
    pub(super) fn attend_guests(&mut self, env: &mut Environment, id: CallId) {
        let Some(call) = self.table.get_mut(id).filter(|call| !call.guests.is_empty()) else { return };
        let is_up = matches!(call.phase, Phase::Talking { .. }) && call.ending.is_none();
        if call.mixed_in().is_some_and(|_| is_up) {
            if call.has_new_room() {
                for guest in call.guests.clone() {
                    if let Some(guest) = self.table.get_mut(guest) {
                        guest.enter_again(env);
                    }
                }
            }
            return;
        }
        let status = if is_up { Status::NOT_ACCEPTABLE_HERE } else { Status::OK };
        for guest in core::mem::take(&mut call.guests) {
            self.end(env, guest, status);
        }
    }

    /// A guest is gone; without any the call need not be mixed.
    pub(super) fn forget_guest(&mut self, env: &mut Environment, host: CallId, guest: CallId) {
        let Some(call) = self.table.get_mut(host) else { return };
        let before = call.guests.len();
        call.guests.retain(|known| *known != guest);
        if call.guests.is_empty() && before > 0 && matches!(call.phase, Phase::Talking { .. }) {
            call.connect(env);
        }
    }

    /// A party hangs up in a call with guests: the first of them has its place. Whether it was so.
    pub(super) fn leave_to_guest(&mut self, env: &mut Environment, id: CallId, side: Side) -> bool {
        // Who is being transferred belongs to the call that was made for it.
        let host = self.table.get(id).filter(|call| call.referring.is_none());
        let Some(guest) = host.and_then(|call| call.guests.first().copied()) else { return false };
        let is_there = self.table.get(guest).is_some_and(|guest| matches!(guest.phase, Phase::Served));
        if !is_there || !self.understand(env, (guest, Side::Caller), (id, side.other())) {
            return false;
        }
        let Some(call) = self.table.get_mut(id) else { return false };
        call.guests.retain(|known| *known != guest);
        let left = call.media(side).id;
        if let Some(dialog) = call.leg_mut(side).map(|leg| leg.dialog) {
            env.endpoint.end_dialog(dialog);
        }
        self.move_party(env, (guest, Side::Caller), (id, side));
        if let Some(call) = self.table.get_mut(id) {
            call.join_unchanged(env);
        }
        self.adopted.remove(&left);
        env.media(media::Command::Close { leg: left });
        self.leave_behind(env, guest, Side::Caller, false);
        self.settle(env, Some(id));
        true
    }
}
