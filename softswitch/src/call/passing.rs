//! A re-INVITE that concerns the other side as well: it adds a stream to the call or closes one, or puts the sound off for fax
//! (RFC 3261 §14, RFC 3264 §8, ITU-T T.38 §D.2.3). The other side gets a re-INVITE of ours, and its answer is the answer.
//!
//! First the ports of new streams are opened. Until there is an answer every other re-INVITE is refused: 500 to who asked, 491
//! to the other (§14.2). When the other side refuses, everything stays as it was. A side that has not answered after
//! [`PATIENCE`] gets a CANCEL, and its transaction ends soon, one way or the other (§9.1). Left out on purpose: asking again after
//! a 491 of the other side; who asked first gets it and asks again itself.

use super::agreement::Agreement;
use super::bridge::transcodes;
use super::call::{Call, Phase, Side};
use super::formats::Formats;
use super::refresh::Refresh;
use super::session::{SDP, read};
use super::streams::{Lines, Streams};
use crate::core::environment::{Environment, sign_request, write_abilities};
use core::time::Duration;
use media::Command;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::endpoint::Request;
use sip_stack::message::{Message, Method, Status};
use sip_stack::sdp::{AudioOffer, SessionDescription};
use sip_stack::transaction::TransactionId;

/// A re-INVITE on its way through us.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Passing {
    side: Side,
    request: Request,
    transaction: TransactionId,
    /// The sound in it.
    sound: Option<AudioOffer>,
    /// Ours to the other side; `None` while ports are on their way.
    asked: Option<TransactionId>,
    before: Lines,
    /// When it is given up; `None` once it was.
    deadline: Option<Time>,
}

/// How long the other side may take: it may ask somebody whether video is wanted.
const PATIENCE: Duration = Duration::from_secs(60);

impl Call {
    /// Takes a re-INVITE of one side that concerns the other one too; whether it is one.
    pub(super) fn pass_reinvite(
        &mut self,
        env: &mut Environment,
        side: Side,
        request: &Request,
        transaction: TransactionId,
    ) -> bool {
        let Ok(offer) = SessionDescription::parse(request.message.body()) else { return false };
        let waits = |leg: &mut super::call::Leg| leg.awaiting_answer;
        let busy = self.leg_mut(side).is_none_or(waits) || self.leg_mut(side.other()).is_none_or(waits);
        let refreshes = |leg: &mut super::call::Leg| matches!(leg.refresh, Some(Refresh::Asked { .. }));
        let refreshing =
            [side, side.other()].into_iter().any(|side| self.leg_mut(side).is_some_and(refreshes));
        if busy
            || refreshing
            || self.passing.is_some()
            || self.is_renewed()
            || !matches!(self.phase, Phase::Talking { .. })
        {
            return false;
        }
        let sound = read(&request.message).ok().flatten();
        let sound = sound.map(|sound| self.taken(side, sound));
        let first = self.caller_leg.session.remote.as_ref().map_or(0, |remote| remote.media_index);
        let had_none = self.streams.is_none();
        let number = self.number;
        let streams = self.streams.get_or_insert_with(|| Box::new(Streams::none(first)));
        let before = streams.lines();
        if !streams.take(side, &offer, sound.as_ref().map(|sound| sound.media_index), number) {
            streams.go_back(env, before);
            self.streams = self.streams.take().filter(|_| !had_none);
            return false;
        }
        let (ours, theirs) = (self.caller_leg.flow, self.leg_mut(Side::Callee).map(|leg| leg.flow));
        let theirs = theirs.unwrap_or(ours);
        let [ours, theirs] = [ours, theirs].map(|flow| flow.local.ip().to_canonical());
        let legs = self.streams.as_ref().map(|streams| streams.unopened(ours, theirs)).unwrap_or_default();
        let request = request.clone();
        let deadline = Some(env.now + PATIENCE);
        let passing = Passing { side, request, transaction, sound, asked: None, before, deadline };
        self.passing = Some(Box::new(passing));
        if legs.is_empty() {
            self.ask_other(env);
        } else {
            env.media(Command::Open { legs });
        }
        true
    }

    /// Whose re-INVITE waits for the other side.
    pub(super) fn passing_of(&self) -> Option<Side> {
        self.passing.as_ref().map(|passing| passing.side)
    }

    /// The ports of new streams are there: the other side is asked.
    pub(super) fn ask_other(&mut self, env: &mut Environment) {
        let Some(mut passing) = self.passing.take() else { return };
        let other = passing.side.other();
        let behind = SessionDescription::parse(passing.request.message.body()).ok();
        let ptime_ms = passing.sound.as_ref().and_then(|sound| sound.ptime_ms);
        let onward = passing.sound.as_ref().map_or_else(Formats::default, |sound| {
            Formats::from(sound).offered_onward(transcodes(env), &Formats::default())
        });
        let streams = self.streams.take();
        let asked = self.leg_mut(other).and_then(|leg| {
            let lines = streams.as_ref()?.said(other, leg.session.address, behind.as_ref());
            let offered = match &leg.session.agreed {
                Some(agreed) if agreed.first().is_some() => agreed.clone(),
                // Of a call without sound so far; what is offered then is offered to it anew.
                Some(_) | None => onward.clone(),
            };
            let body = leg.session.offer_lines(&offered, ptime_ms, &lines);
            let (dialog, sent_by) = (leg.dialog, env.sent_by(&leg.flow));
            let mut draft = env.endpoint.draft_in_dialog(dialog, Method::Invite, &sent_by)?;
            write_abilities(&mut draft.writer);
            leg.session.timer.write_request(&mut draft.writer);
            sign_request(&mut draft.writer);
            draft.writer.body(SDP, &body);
            Some(draft)
        });
        self.streams = streams;
        passing.asked = asked.map(|draft| env.endpoint.request(env.now, draft, self.owner()));
        let is_asked = passing.asked.is_some();
        self.passing = Some(passing);
        if !is_asked {
            self.refuse_passed(env, Status::SERVER_INTERNAL_ERROR);
        }
    }

    /// A response of the other side; whether it was to the re-INVITE that is passed on.
    pub(super) fn handle_passed_response(
        &mut self,
        env: &mut Environment,
        transaction: TransactionId,
        response: &Message,
    ) -> bool {
        let Some(status) = response.status() else { return false };
        if self.passing.as_ref().is_none_or(|passing| passing.asked != Some(transaction)) {
            return false;
        }
        match status.code() {
            ..200 => {}
            200..300 => self.accept_passed(env, response),
            // Those are between us and the other side.
            300..400 | 401 | 407 | 408 | 481 | 503 => self.refuse_passed(env, Status::SERVER_INTERNAL_ERROR),
            400.. => self.refuse_passed(env, status),
        }
        true
    }

    /// No answer came at all; whether it was to the re-INVITE that is passed on.
    pub(super) fn handle_passed_failure(
        &mut self,
        env: &mut Environment,
        transaction: TransactionId,
    ) -> bool {
        let is_it = self.passing.as_ref().is_some_and(|passing| passing.asked == Some(transaction));
        if is_it {
            self.refuse_passed(env, Status::SERVER_INTERNAL_ERROR);
        }
        is_it
    }

    /// When a re-INVITE that is passed on has waited long enough.
    pub(super) fn passing_deadline(&self) -> Option<Time> {
        self.passing.as_ref()?.deadline
    }

    /// The other side has not answered in time.
    pub(super) fn handle_passing_timeout(&mut self, env: &mut Environment) {
        if self.passing_deadline().is_some_and(|deadline| deadline <= env.now) {
            self.give_up_passed(env, Status::SERVER_INTERNAL_ERROR);
        }
    }

    /// Gives up the re-INVITE that is passed on. `status` is for who asked when the other side has not been asked yet.
    fn give_up_passed(&mut self, env: &mut Environment, status: Status) {
        match self.passing.as_deref_mut() {
            Some(Passing { asked: Some(asked), deadline, .. }) => {
                *deadline = None;
                env.endpoint.cancel(env.now, *asked);
            }
            Some(Passing { asked: None, .. }) => self.refuse_passed(env, status),
            None => {}
        }
    }

    /// Who asked has thought better of it; whether it was that re-INVITE. The final response of the other side, mostly 487,
    /// is the one for who asked.
    pub(super) fn cancel_passed(&mut self, env: &mut Environment, transaction: TransactionId) -> bool {
        let is_it = self.passing.as_ref().is_some_and(|passing| passing.transaction == transaction);
        if is_it {
            self.give_up_passed(env, Status::REQUEST_TERMINATED);
        }
        is_it
    }

    /// The call is over (§15.1.2). The other side, which may say nothing but 1xx for ever, is told that its answer does not
    /// matter any more.
    pub(super) fn abandon_passed(&mut self, env: &mut Environment) {
        if let Some(asked) = self.passing.as_ref().and_then(|passing| passing.asked) {
            env.endpoint.cancel(env.now, asked);
        }
        self.refuse_passed(env, Status::REQUEST_TERMINATED);
    }

    /// Everything stays as it was.
    pub(super) fn refuse_passed(&mut self, env: &mut Environment, status: Status) {
        let Some(passing) = self.passing.take() else { return };
        if let Some(streams) = &mut self.streams {
            streams.go_back(env, passing.before);
        }
        self.refuse_change(env, &passing.request, passing.transaction, status);
    }

    /// The other side has accepted, as far as its description says.
    fn accept_passed(&mut self, env: &mut Environment, response: &Message) {
        let Some(Passing { side, request, transaction, sound, .. }) =
            self.passing.take().map(|passing| *passing)
        else {
            return;
        };
        if let Some(leg) = self.leg_mut(side.other()) {
            let (dialog, sent_by) = (leg.dialog, env.sent_by(&leg.flow));
            leg.session.keep(response, true);
            leg.session.timer.handle_success(env.now, response);
            env.endpoint.acknowledge(dialog, response, &sent_by);
        }
        let answered = read(response).ok().flatten();
        let answered = answered.map(|answered| self.taken(side.other(), answered));
        let told = match (sound, answered) {
            (Some(sound), Some(answered)) => self.sound_again(env, side, sound, answered),
            (Some(_) | None, _) => None,
        };
        if told.is_none() {
            self.part(env);
            if let Some(streams) = &mut self.streams {
                streams.silence();
            }
        }
        let Some(leg) = self.leg_mut(side) else { return };
        leg.session.keep(&request.message, true);
        leg.flow.peer = request.flow.peer;
        let behind = self.leg_mut(side.other()).map(|leg| leg.session.theirs.clone()).unwrap_or_default();
        let body = self.answer_with_streams(side, &request.message, told.as_ref(), &behind);
        self.rejoin_streams(env);
        for side in [Side::Caller, Side::Callee] {
            self.drop_refused_streams(env, side);
        }
        let Some(leg) = self.leg_mut(side) else { return };
        let dialog = leg.dialog;
        let mut ok = self.renewed(env, side, &request, dialog);
        ok.body(SDP, &body);
        env.endpoint.answer_invite(env.now, transaction, dialog, Status::OK, ok.finish());
    }

    /// Both have said how they speak from now on; what the one who asked is told.
    pub(super) fn sound_again(
        &mut self,
        env: &mut Environment,
        side: Side,
        offered: AudioOffer,
        answered: AudioOffer,
    ) -> Option<Formats> {
        let (caller, callee) = match side {
            Side::Caller => (offered, answered),
            Side::Callee => (answered, offered),
        };
        let wishes = [Some(&caller), Some(&callee)];
        let (ours, theirs) = (Formats::from(&caller), Formats::from(&callee));
        let agreement = Agreement::between(&ours, &theirs, wishes, transcodes(env))?;
        for (side, remote) in [(Side::Caller, caller), (Side::Callee, callee)] {
            self.media_mut(side).silent = false;
            let session = &mut self.leg_mut(side)?.session;
            (session.remote, session.agreed) = (Some(remote), Some(agreement.told(side).clone()));
            self.configure(env, side);
        }
        let told = agreement.told(side).clone();
        self.join(env, agreement.path);
        Some(told)
    }
}
