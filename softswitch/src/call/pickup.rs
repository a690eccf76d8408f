//! Picking a call up: an INVITE with Replaces names the dialog of a phone that rings (RFC 3891 §3: an early dialog that we, who
//! have called the phone, have begun). Its sender has the call, as if that phone had answered; all that ring hear that it was
//! completed elsewhere.
//!
//! A sender that the caller does not understand is refused (488), and the phones ring on. Left out on purpose: an INVITE without an
//! offer (488), calls with other streams than sound (488), and the call of a transfer (481), whose caller is elsewhere yet.

use super::agreement::Agreement;
use super::bridge::transcodes;
use super::call::{Call, CallId, Phase, Side};
use super::calls::Calls;
use super::formats::Formats;
use super::reason;
use crate::core::Event;
use crate::core::environment::Environment;
use crate::store::EndedBy;
use bytes::Bytes;
use sip_stack::dialog::DialogId;
use sip_stack::message::Status;

impl Call {
    /// Whether a phone rings in that dialog.
    pub(super) fn rings_in(&self, dialog: DialogId) -> bool {
        match &self.phase {
            Phase::Ringing(ring) => ring.branches.iter().any(|branch| branch.dialogs.contains(&dialog)),
            Phase::Locating
            | Phase::Reserving
            | Phase::Refusing { .. }
            | Phase::Talking { .. }
            | Phase::Served
            | Phase::Ended => false,
        }
    }

    /// Whether the caller, who waits, and who has made this offer would understand each other.
    fn can_be_answered_in(&self, env: &Environment, known: &Formats) -> bool {
        let session = &self.caller_leg.session;
        let Some(caller) = &session.remote else { return true };
        // What the caller was told early is what it speaks.
        let spoken = session.agreed.clone().unwrap_or_else(|| Formats::from(caller));
        Agreement::between(&spoken, known, [Some(caller), None], transcodes(env)).is_some()
    }
}

impl Calls {
    /// The port of who picks a call up is there: it has the call.
    pub(super) fn pick_up(&mut self, env: &mut Environment, id: CallId, from: CallId) {
        let picked = self.table.get(id).and_then(|call| call.caller_leg.session.remote.clone());
        let ringing = self.table.get(from).filter(|call| matches!(call.phase, Phase::Ringing(_)));
        let refused = match (ringing, &picked) {
            (None, _) => Some(Status::CALL_DOES_NOT_EXIST),
            (Some(ringing), _) if ringing.referred.is_some() => Some(Status::CALL_DOES_NOT_EXIST),
            (Some(ringing), Some(offer)) => {
                let fits =
                    ringing.streams.is_none() && ringing.can_be_answered_in(env, &Formats::from(offer));
                (!fits).then_some(Status::NOT_ACCEPTABLE_HERE)
            }
            (Some(_), None) => Some(Status::NOT_ACCEPTABLE_HERE),
        };
        if let Some(status) = refused {
            if let Some(call) = self.table.get_mut(id) {
                call.phase = Phase::Locating;
                call.refuse_caller(env, status, EndedBy::Switch);
            }
            return;
        }
        self.seat_picker(env, id, from);
        self.settle(env, Some(from));
    }

    fn seat_picker(&mut self, env: &mut Environment, id: CallId, from: CallId) {
        let Some(call) = self.table.get_mut(id) else { return };
        let (leg, media, user) =
            (call.caller_leg.clone(), call.media(Side::Caller).clone(), call.caller.clone());
        call.media_mut(Side::Caller).port = 0;
        let invite = call.invite().clone();
        let (number, ptime_ms) =
            (call.number, leg.session.remote.as_ref().and_then(|remote| remote.ptime_ms));
        self.adopted.insert(media.id, (from, Side::Callee));
        self.move_counts(env, (id, Side::Caller), (from, Side::Callee));
        let into_record = self.record_id(from);
        if let Some(call) = self.table.get_mut(id) {
            call.note_transferred(env, into_record);
        }
        let Some(call) = self.table.get_mut(from) else { return };
        let into = env.call_ref(call.number);
        env.event(Event::CallTransferred { call: env.call_ref(number), into });
        env.endpoint.set_owner(leg.dialog, call.owner());
        let early = match core::mem::replace(&mut call.phase, Phase::Talking { callee: leg }) {
            Phase::Ringing(mut ring) => {
                ring.give_up_because(env, &reason::elsewhere());
                ring.take_early()
            }
            Phase::Locating
            | Phase::Reserving
            | Phase::Refusing { .. }
            | Phase::Talking { .. }
            | Phase::Served
            | Phase::Ended => None,
        };
        let rang = core::mem::replace(call.media_mut(Side::Callee), media);
        if rang.port != 0 {
            env.media(media::Command::Close { leg: rang.id });
        }
        (call.callee, call.destination.user) =
            (Bytes::copy_from_slice(user.as_bytes()), Bytes::copy_from_slice(user.as_bytes()));
        let body = call.accept_answer(env, early);
        let told = call.agreed(Side::Callee).cloned();
        // By the session that goes on: the next description of it follows on this one.
        let written = told.zip(call.leg_mut(Side::Callee));
        let written = written.map(|(told, leg)| leg.session.answer(&invite, &told, ptime_ms));
        self.answer_picker(env, id, written.unwrap_or_default());
        let timer = self.table.get(id).map(|call| call.caller_leg.session.timer);
        let Some(call) = self.table.get_mut(from) else { return };
        if let (Some(leg), Some(timer)) = (call.leg_mut(Side::Callee), timer) {
            leg.session.timer = timer;
        }
        match body {
            Some(body) => call.send_answer(env, &body),
            None => self.end(env, from, Status::NOT_ACCEPTABLE_HERE),
        }
    }

    /// Who picks a call up is answered, and its own call is over with that.
    fn answer_picker(&mut self, env: &mut Environment, id: CallId, body: Bytes) {
        let Some(call) = self.table.get_mut(id) else { return };
        call.send_answer(env, &body);
        call.destination.replaces = None;
        call.phase = Phase::Ended;
        call.finish(env, Status::OK, EndedBy::Caller);
    }
}
