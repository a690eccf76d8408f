//! Every call of the switch, found by the number its transactions, dialogs and media legs carry.

use super::call::{Call, CallId, Phase, Side, call_of};
use super::callback::CallBacks;
use super::interrupted::Waiting;
use super::park::Slotted;
use super::recording::{self, Recordings};
use super::seats::{SeatIndex, SeatNews};
use super::serve::Rooms;
use super::speech::Speakers;
use crate::core::environment::{ALLOW, Environment, sign_request, sign_response};
use crate::core::{Cut, Event};
use crate::registrar::Registrar;
use media::LegId;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::table::Table;
use sip_stack::transaction::{TimerQueue, TransactionId};
use std::collections::BTreeMap;

/// All calls.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Calls {
    pub(crate) table: Table<Call>,
    timers: TimerQueue<Call>,
    /// Calls so far.
    pub(super) opened: u64,
    /// Calls by their numbers.
    #[serde(skip)]
    pub(super) numbers: BTreeMap<u64, CallId>,
    /// Where somebody is parked.
    pub(super) slots: Slotted,
    pub(super) rooms: Rooms,
    pub(super) recordings: Recordings,
    pub(super) speakers: Speakers,
    /// Media legs whose party has come from another call, the one that their numbers tell.
    pub(super) adopted: BTreeMap<LegId, (CallId, Side)>,
    /// Calls with other streams beside their sound, by their numbers.
    pub(super) with_streams: BTreeMap<u64, CallId>,
    /// Who takes part in calls, for those who watch it.
    #[serde(skip)]
    pub(super) seats: SeatIndex,
    pub(super) is_watched: bool,
    #[serde(skip)]
    pub(super) news: Vec<SeatNews>,
    /// BYEs of ours that are not answered yet, with the dialog that is to be forgotten then, if it is still there.
    byes: BTreeMap<TransactionId, Option<DialogId>>,
    /// Who wants to be called back.
    pub(super) call_backs: CallBacks,
    /// Calls of before an interruption, whose parties have to be told.
    pub(super) waiting: Waiting,
}

impl Calls {
    /// Whether every call is over and every BYE answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.table.is_empty() && self.byes.is_empty()
    }

    /// The number of a call that is kept elsewhere.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.opened += 1;
        self.opened
    }

    /// Rooms that calls are in.
    pub(crate) fn rooms(&self) -> usize {
        self.rooms.len()
    }

    /// BYEs of ours that are not answered yet.
    pub(crate) fn byes(&self) -> usize {
        self.byes.len()
    }

    /// A response to a request of ours.
    pub(crate) fn handle_response(
        &mut self,
        env: &mut Environment,
        transaction: TransactionId,
        owner: u64,
        dialog: Option<DialogId>,
        response: &Message,
    ) {
        // A party may have come from another call since it was asked.
        let owner =
            dialog.and_then(|dialog| env.endpoint.dialog(dialog)).map_or(owner, |dialog| dialog.owner());
        let status = response.status();
        if self.byes.contains_key(&transaction) {
            if status.is_some_and(Status::is_final) {
                self.forget_bye(env, transaction);
            }
            return;
        }
        let id = call_of(owner);
        let refreshed = id
            .and_then(|id| self.table.get_mut(id))
            .and_then(|call| call.handle_refresh_response(env, transaction, response));
        match (refreshed, id) {
            (Some(true), Some(id)) => return self.cut(env, id, Cut::NotRefreshed),
            (Some(_), _) => return self.settle(env, id),
            (None, _) => {}
        }
        let taken = id.and_then(|id| self.table.get_mut(id)).is_some_and(|call| {
            call.handle_passed_response(env, transaction, response)
                || call.handle_renewal_response(env, transaction, response)
                || call.handle_package_response(env, transaction, response)
                || call.handle_ring_response(env, transaction, dialog, response)
        });
        match (taken, dialog) {
            // To something that was asked of a party before it came from another call.
            (false, Some(dialog)) if status.is_some_and(Status::is_success) && self.is_in_use(id, dialog) => {
                if let Some(flow) = env.endpoint.dialog(dialog).map(sip_stack::dialog::Dialog::flow) {
                    let sent_by = env.sent_by(&flow);
                    env.endpoint.acknowledge(dialog, response, &sent_by);
                }
            }
            (false, Some(dialog)) if status.is_some_and(Status::is_success) => {
                self.refuse_answer(env, dialog, response);
            }
            // A late provisional response of a branch that was given up.
            (false, Some(dialog)) if !self.is_in_use(id, dialog) => env.endpoint.end_dialog(dialog),
            (true | false, Some(_) | None) => {}
        }
        self.settle(env, id);
    }

    fn is_in_use(&self, id: Option<CallId>, dialog: DialogId) -> bool {
        id.and_then(|id| self.table.get(id)).is_some_and(|call| call.side_of(dialog).is_some())
    }

    /// A 2xx that came too late, or from another branch of a fork: acknowledged, then BYE (§13.2.2.4).
    fn refuse_answer(&mut self, env: &mut Environment, dialog: DialogId, response: &Message) {
        let Some(flow) = env.endpoint.dialog(dialog).map(sip_stack::dialog::Dialog::flow) else { return };
        let sent_by = env.sent_by(&flow);
        env.endpoint.acknowledge(dialog, response, &sent_by);
        if let Some(mut draft) = env.endpoint.draft_in_dialog(dialog, Method::Bye, &sent_by) {
            sign_request(&mut draft.writer);
            let bye = env.endpoint.request(env.now, draft, 0);
            // The dialog stays until then: a 2xx that is repeated gets its ACK again, and no second BYE.
            self.byes.insert(bye, Some(dialog));
        }
    }

    fn forget_bye(&mut self, env: &mut Environment, bye: TransactionId) {
        if let Some(Some(dialog)) = self.byes.remove(&bye) {
            env.endpoint.end_dialog(dialog);
        }
    }

    /// A BYE in a dialog that is forgotten with its answer.
    pub(super) fn remember_last_bye(&mut self, bye: TransactionId, dialog: DialogId) {
        self.byes.insert(bye, Some(dialog));
    }

    pub(super) fn remember_byes(&mut self, byes: impl IntoIterator<Item = TransactionId>) {
        self.byes.extend(byes.into_iter().map(|bye| (bye, None)));
    }

    /// A request of ours got no answer (`408`) or could not be sent (`503`), RFC 3261 §8.1.3.1.
    pub(crate) fn handle_failure(
        &mut self,
        env: &mut Environment,
        transaction: TransactionId,
        owner: u64,
        status: Status,
    ) {
        self.forget_bye(env, transaction);
        let id = call_of(owner);
        if let Some(id) = id
            && self.table.get_mut(id).is_some_and(|call| call.handle_refresh_failure(transaction))
        {
            return self.cut(env, id, Cut::NotRefreshed);
        }
        if let Some(call) = id.and_then(|id| self.table.get_mut(id)) {
            if call.invitation.transaction == transaction && call.referred.is_none() {
                call.handle_lost_caller(env, status);
            } else if !call.handle_passed_failure(env, transaction)
                && !call.handle_renewal_failure(env, transaction)
                && !call.handle_package_failure(env, transaction)
            {
                call.handle_ring_failure(env, transaction, status);
            }
        }
        self.settle(env, id);
    }

    /// CANCEL of a caller.
    pub(crate) fn handle_cancel(
        &mut self,
        env: &mut Environment,
        owner: u64,
        transaction: TransactionId,
        cancel: &Message,
    ) {
        let id = call_of(owner);
        if let Some(call) = id.and_then(|id| self.table.get_mut(id))
            && !call.cancel_passed(env, transaction)
            && call.invitation.transaction == transaction
        {
            let bye = call.handle_cancel(env, cancel);
            self.remember_byes(bye);
        }
        self.settle(env, id);
    }

    /// A request within a dialog of a call.
    pub(crate) fn handle_request(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        dialog: DialogId,
        request: &Request,
    ) {
        let id = env.endpoint.dialog(dialog).and_then(|dialog| call_of(dialog.owner()));
        let side = id.and_then(|id| self.table.get(id)?.side_of(dialog));
        match (request.message.method(), side) {
            (Some(Method::Bye), Some(side)) => {
                answer(env, request, Status::OK);
                if let Some(id) = id
                    && self.leave_partner(env, id, side)
                {
                    return;
                }
                if let Some(call) = id.and_then(|id| self.table.get_mut(id)) {
                    let bye = call.handle_bye(env, side, &request.message);
                    self.remember_byes(bye);
                }
            }
            (Some(Method::Invite), Some(side)) => {
                if let Some(call) = id.and_then(|id| self.table.get_mut(id)) {
                    call.handle_reinvite(env, side, request);
                }
            }
            (Some(Method::Refer), Some(side)) => {
                if let Some(id) = id {
                    self.handle_refer(env, registrar, (id, side), request);
                }
            }
            (Some(Method::Update), Some(side)) => {
                if let Some(call) = id.and_then(|id| self.table.get_mut(id)) {
                    call.handle_update(env, side, request);
                }
            }
            (Some(Method::Prack), Some(side)) => {
                let goes_on = id
                    .and_then(|id| self.table.get_mut(id))
                    .is_none_or(|call| call.handle_prack(env, side, request));
                if let (Some(id), false) = (id, goes_on) {
                    self.end(env, id, Status::SERVER_INTERNAL_ERROR);
                }
            }
            (Some(Method::Info), Some(side)) => match (id, recording::asked(&request.message)) {
                (Some(id), Some(on)) => self.handle_record_key(env, (id, side), request, on),
                (id, _) => {
                    if let Some(call) = id.and_then(|id| self.table.get_mut(id)) {
                        call.handle_info(env, side, request);
                    }
                }
            },
            (Some(Method::Options), Some(_)) => answer(env, request, Status::OK),
            // RFC 6665 §4.5.2: no subscription shares a dialog with a call.
            (Some(Method::Subscribe), Some(_)) => answer(env, request, Status::FORBIDDEN),
            (Some(Method::Other(_)), _) => answer(env, request, Status::NOT_IMPLEMENTED),
            (_, Some(_)) => answer(env, request, Status::METHOD_NOT_ALLOWED),
            (Some(Method::Update), None)
                if id
                    .and_then(|id| self.table.get_mut(id))
                    .is_some_and(|call| call.handle_early_update(env, dialog, request)) => {}
            // An early dialog of a callee: there is nothing else yet that it could change.
            (_, None) => answer(env, request, Status::CALL_DOES_NOT_EXIST),
        }
        self.settle(env, id);
    }

    /// A party hangs up, and its partner goes on: in the call of a transfer, in a slot, or with a guest. Whether it is so.
    pub(super) fn leave_partner(&mut self, env: &mut Environment, id: CallId, side: Side) -> bool {
        self.leave_asking(env, id, side)
            || self.leave_to_waiting(env, id, side)
            || self.leave_to_referral(env, id, side)
            || self.leave_to_slot(env, id, side)
            || self.leave_to_guest(env, id, side)
    }

    /// The ACK of a 2xx of ours, or word that it never came (§13.3.1.4).
    pub(crate) fn handle_ack(
        &mut self,
        env: &mut Environment,
        owner: u64,
        dialog: DialogId,
        ack: Option<&Message>,
    ) {
        let id = call_of(owner);
        if let Some(call) = id.and_then(|id| self.table.get_mut(id))
            && let Some(side) = call.side_of(dialog)
        {
            let goes_on = ack.is_some_and(|ack| call.handle_ack(env, side, ack));
            if !goes_on {
                let byes = call.terminate(env, Status::SERVER_INTERNAL_ERROR);
                self.remember_byes(byes.into_iter().flatten());
            }
        }
        self.settle(env, id);
    }

    /// The switch ends a call.
    pub(super) fn end(&mut self, env: &mut Environment, id: CallId, status: Status) {
        if let Some(call) = self.table.get_mut(id) {
            let byes = call.terminate(env, status);
            self.remember_byes(byes.into_iter().flatten());
        }
        self.settle(env, Some(id));
    }

    /// The switch ends a call that goes on, and tells why.
    pub(super) fn cut(&mut self, env: &mut Environment, id: CallId, cause: Cut) {
        if let Some(call) = self.table.get(id) {
            let named = env.call_ref(call.number);
            call.tell(env, Event::CallCut { call: named, cause });
        }
        self.end(env, id, Status::REQUEST_TIMEOUT);
    }

    /// Ends every call: the switch is about to stop.
    pub(crate) fn shut_down(&mut self, env: &mut Environment) {
        let ids: Vec<CallId> = self.table.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.end(env, id, Status::SERVICE_UNAVAILABLE);
        }
    }

    pub(crate) fn handle_timeout(&mut self, env: &mut Environment, registrar: &Registrar) {
        if self.waiting.poll_timeout().is_some_and(|at| at <= env.now) {
            self.tell_interrupted(env);
        }
        if self.call_backs.poll_timeout().is_some_and(|at| at <= env.now) {
            self.attend_call_backs(env, registrar);
        }
        while let Some((armed, id)) = self.timers.pop_due(env.now) {
            if self.table.get(id).is_none_or(|call| call.armed != Some(armed)) {
                continue;
            }
            if let Some(call) = self.table.get_mut(id) {
                call.armed = None;
                if matches!(call.phase, Phase::Served)
                    && call.served_until().is_some_and(|until| until <= env.now)
                {
                    if !self.return_parked(env, registrar, id) {
                        self.end(env, id, Status::OK);
                    }
                    continue;
                }
                if call.ends_by.is_some_and(|by| by <= env.now) {
                    self.cut(env, id, Cut::TooLong);
                    continue;
                }
                if call.handle_refresh_timeouts(env) {
                    self.cut(env, id, Cut::NotRefreshed);
                    continue;
                }
                call.handle_ring_timeout(env);
                call.handle_passing_timeout(env);
                call.handle_renewal_timeout(env);
                self.attend_keys(env, registrar, id);
            }
            self.settle(env, Some(id));
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let others = [self.waiting.poll_timeout(), self.call_backs.poll_timeout()];
        others.into_iter().chain([self.timers.poll_timeout()]).flatten().min()
    }

    /// Rebuilds what is derived from the table.
    pub(crate) fn rebuild(&mut self) {
        for (id, call) in self.table.iter() {
            if let Some(armed) = call.armed {
                self.timers.restore(armed, id);
            }
            self.numbers.insert(call.number, id);
        }
        self.rebuild_seats();
    }

    /// Arms the timer of a call that something happened to; a call that is over leaves its record and goes.
    pub(super) fn settle(&mut self, env: &mut Environment, id: Option<CallId>) {
        let Some(id) = id else { return };
        self.enter_late(env, id);
        self.attend_referral(env, id);
        self.attend_page(env, id);
        self.replace(env, id);
        self.join_in(env, id);
        self.attend_guests(env, id);
        self.attend_consult(env, id);
        self.attend_park(env, id);
        self.attend_wish(env, id);
        if self.table.get(id).is_some_and(|call| call.ending.is_some()) {
            self.attend_meeting(env, id);
        }
        self.attend_seats(env, id);
        self.keep(env, id);
        let Some(call) = self.table.get(id) else { return };
        if call.is_over() {
            if let Some(call) = self.table.get_mut(id) {
                call.write_record(env);
            }
            if let Some(call) = self.table.remove(id) {
                self.with_streams.remove(&call.number);
                self.numbers.remove(&call.number);
                for leg in &call.media {
                    if self.adopted.get(&leg.id).is_some_and(|(into, _)| *into == id) {
                        self.adopted.remove(&leg.id);
                    }
                }
                self.speakers.forget(&call.speech);
                let host = call.destination.joins;
                self.rooms.leave(env, &call);
                if let Some(host) = host {
                    self.forget_guest(env, host, id);
                }
            }
            return;
        }
        if call.streams.is_some() {
            self.with_streams.insert(call.number, id);
        }
        if let Some(call) = self.table.get_mut(id) {
            call.attend_mixing(env);
            call.attend_hold(env);
            call.attend_asking(env);
            call.attend_waiting(env);
            self.rooms.attend(env, call);
            self.recordings.attend(env, call);
        }
        self.attend_meeting(env, id);
        if let Some(call) = self.table.get_mut(id) {
            self.rooms.record(env, &mut self.recordings, call);
            self.speakers.attend(env, call);
        }
        let Some(call) = self.table.get(id) else { return };
        let due = call.poll_timeout();
        if call.armed.map(|armed| armed.at) != due {
            let armed = due.map(|at| self.timers.arm(at, id));
            if let Some(call) = self.table.get_mut(id) {
                call.armed = armed;
            }
        }
    }
}

/// A final response without a body.
pub(super) fn answer(env: &mut Environment, request: &Request, status: Status) {
    let transaction = env.endpoint.accept(env.now, request, 0);
    let mut response = env.endpoint.response(request, status, None);
    response.header(HeaderName::Allow, ALLOW);
    sign_response(&mut response);
    env.endpoint.respond(env.now, transaction, status, response.finish());
}
