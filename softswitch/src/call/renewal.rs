//! A call whose sound is only passed on is to be recorded: both sides are asked for a codec that is decoded here, by re-INVITEs of
//! ours (RFC 3261 §14.1), in the manner of third-party call control (RFC 3725 §4.1).
//!
//! The caller is asked what it knows, by an INVITE without an offer. What of its 2xx is decoded here is offered to the callee, and
//! the caller's answer goes into the ACK when the callee has answered. So neither is moved before both have agreed: whoever refuses, the
//! call goes on as it was, and [`Unrecorded::Refused`] is told. A side that has not answered after [`PATIENCE`] gets a CANCEL.
//! Until then re-INVITEs of both are refused with 491 (§14.2).
//!
//! Left out on purpose: calls with other streams beside their sound; asking again after a 491.

use super::bridge::transcodes;
use super::call::{Call, Phase, Side};
use super::formats::{Formats, decoded};
use super::session::{SDP, Session, read};
use crate::config::Recording;
use crate::core::Unrecorded;
use crate::core::environment::{Environment, sign_request, write_abilities};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::message::{Message, Method};
use sip_stack::sdp::AudioOffer;
use sip_stack::transaction::TransactionId;

/// How long either side may take; nobody is asked for it, and the first one repeats its 2xx until the other has answered.
const PATIENCE: Duration = Duration::from_secs(10);
/// Who is asked first, and who then.
const FIRST: Side = Side::Caller;
const SECOND: Side = FIRST.other();

/// Both sides on their way to a codec that is decoded.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Renewal {
    wanted: Recording,
    /// Our INVITE that has no final response yet.
    asked: TransactionId,
    /// What the first side has described itself with; `None` before it has.
    described: Option<Described>,
    /// When it is given up; `None` once it was.
    deadline: Option<Time>,
}

/// The first side's 2xx, which waits for its ACK.
#[derive(Debug, Serialize, Deserialize)]
struct Described {
    /// Our INVITE to it, whose 2xx comes again until then.
    transaction: TransactionId,
    response: Message,
    /// Its sound, as far as it is decoded.
    sound: AudioOffer,
    /// The session of the other side before it was offered anything.
    before: Session,
}

impl Call {
    /// Asks both sides for a codec that is decoded, for a recording of this kind; whether that can be asked.
    pub(super) fn renew(&mut self, env: &mut Environment, wanted: Recording) -> bool {
        let talks = matches!(self.phase, Phase::Talking { .. }) && self.is_joined();
        if self.is_changing() || !talks || self.streams.is_some() {
            return false;
        }
        let Some(asked) = self.reinvite(env, FIRST, None) else { return false };
        let deadline = Some(env.now + PATIENCE);
        self.renewal = Some(Box::new(Renewal { wanted, asked, described: None, deadline }));
        true
    }

    /// Whether both sides are being asked.
    pub(super) const fn is_renewed(&self) -> bool {
        self.renewal.is_some()
    }

    /// The recording is not wanted any more; whether it was being asked for.
    pub(super) fn cancel_renewal(&mut self, env: &mut Environment) -> bool {
        let Some(renewal) = &mut self.renewal else { return false };
        if renewal.deadline.take().is_some() {
            env.endpoint.cancel(env.now, renewal.asked);
        }
        true
    }

    /// When the sides have been waited for long enough.
    pub(super) fn renewal_deadline(&self) -> Option<Time> {
        self.renewal.as_ref()?.deadline
    }

    /// A side has not answered in time: its transaction ends soon, one way or the other (§9.1).
    pub(super) fn handle_renewal_timeout(&mut self, env: &mut Environment) {
        if self.renewal_deadline().is_some_and(|deadline| deadline <= env.now) {
            self.cancel_renewal(env);
        }
    }

    /// A response of a side; whether it was to an INVITE of this.
    pub(super) fn handle_renewal_response(
        &mut self,
        env: &mut Environment,
        transaction: TransactionId,
        response: &Message,
    ) -> bool {
        let Some(status) = response.status() else { return false };
        let described = self.renewal.as_ref().and_then(|renewal| renewal.described.as_ref());
        if described.is_some_and(|described| described.transaction == transaction) {
            return true;
        }
        if self.renewal.as_ref().is_none_or(|renewal| renewal.asked != transaction) {
            return false;
        }
        if !status.is_final() {
            return true;
        }
        let Some(renewal) = self.renewal.take() else { return true };
        match (*renewal, status.is_success()) {
            (renewal @ Renewal { described: None, .. }, true) => {
                self.handle_description(env, renewal, response)
            }
            (Renewal { described: Some(described), wanted, .. }, true) => {
                self.handle_agreed(env, described, wanted, response);
            }
            (renewal, false) => self.give_up_renewal(env, renewal),
        }
        true
    }

    /// No answer came at all; whether it was to an INVITE of this.
    pub(super) fn handle_renewal_failure(
        &mut self,
        env: &mut Environment,
        transaction: TransactionId,
    ) -> bool {
        match self.renewal.take_if(|renewal| renewal.asked == transaction) {
            Some(renewal) => {
                self.give_up_renewal(env, *renewal);
                true
            }
            None => false,
        }
    }

    /// The call is over: whoever is asked is told that its answer does not matter, and whoever waits for its ACK gets one, unless
    /// it is who has hung up.
    pub(super) fn abandon_renewal(&mut self, env: &mut Environment) {
        let Some(renewal) = self.renewal.take() else { return };
        env.endpoint.cancel(env.now, renewal.asked);
        if let Some(Described { response, .. }) = renewal.described {
            let answer = self.leg_mut(FIRST).and_then(|leg| {
                let told = leg.session.agreed.clone()?;
                Some(leg.session.answer(&response, &told, None))
            });
            self.acknowledge(env, FIRST, &response, answer.as_deref());
        }
    }

    /// The first side has said what it knows: what of that is decoded is offered to the other one.
    fn handle_description(&mut self, env: &mut Environment, renewal: Renewal, response: &Message) {
        let sound = read(response).ok().flatten().map(|sound| self.taken(FIRST, sound));
        let sound = sound.and_then(only_decoded).filter(|_| renewal.deadline.is_some());
        let asked = sound.and_then(|sound| {
            let before = self.leg_mut(SECOND)?.session.clone();
            let asked = self.reinvite(env, SECOND, Some(&sound))?;
            Some((asked, Described { transaction: renewal.asked, response: response.clone(), sound, before }))
        });
        match asked {
            Some((asked, described)) => {
                let deadline = Some(env.now + PATIENCE);
                let described = Some(described);
                self.renewal = Some(Box::new(Renewal { asked, described, deadline, ..renewal }));
            }
            None => {
                self.answer_as_before(env, response);
                self.tell_unrecorded(env, Unrecorded::Refused);
            }
        }
    }

    /// The other side has accepted: both speak what is decoded from now on, and the recording begins.
    fn handle_agreed(
        &mut self,
        env: &mut Environment,
        described: Described,
        wanted: Recording,
        response: &Message,
    ) {
        self.acknowledge(env, SECOND, response, None);
        let answered = read(response).ok().flatten().map(|sound| self.taken(SECOND, sound));
        let Described { response, sound, .. } = described;
        let ptime_ms = sound.ptime_ms;
        let told = answered.and_then(|answered| self.sound_again(env, FIRST, sound, answered));
        let Some(told) = told else {
            self.answer_as_before(env, &response);
            return self.tell_unrecorded(env, Unrecorded::Refused);
        };
        let answer = self.leg_mut(FIRST).map(|leg| leg.session.answer(&response, &told, ptime_ms));
        self.acknowledge(env, FIRST, &response, answer.as_deref());
        // It can be mixed now; what else may forbid it is told there.
        let _told = self.record(env, Some(wanted));
    }

    /// Somebody refuses, or says nothing: everything stays as it was.
    fn give_up_renewal(&mut self, env: &mut Environment, renewal: Renewal) {
        if let Some(Described { response, before, .. }) = renewal.described {
            if let Some(leg) = self.leg_mut(SECOND) {
                leg.session.go_back(before);
            }
            self.answer_as_before(env, &response);
        }
        self.tell_unrecorded(env, Unrecorded::Refused);
    }

    /// Answers what the first side has offered so that it goes on as it did (RFC 3264 §8).
    fn answer_as_before(&mut self, env: &mut Environment, response: &Message) {
        let offered = read(response).ok().flatten().map(|sound| self.taken(FIRST, sound));
        let ptime_ms = offered.as_ref().and_then(|sound| sound.ptime_ms);
        let told = offered.and_then(|sound| self.adopt(env, FIRST, sound));
        let answer = self.leg_mut(FIRST).and_then(|leg| {
            let told = told.or_else(|| leg.session.agreed.clone())?;
            Some(leg.session.answer(response, &told, ptime_ms))
        });
        self.acknowledge(env, FIRST, response, answer.as_deref());
    }

    fn acknowledge(&mut self, env: &mut Environment, side: Side, response: &Message, answer: Option<&[u8]>) {
        let Some(leg) = self.leg_mut(side) else { return };
        let (dialog, sent_by) = (leg.dialog, env.sent_by(&leg.flow));
        env.endpoint.acknowledge_with(dialog, response, &sent_by, answer.map(|answer| (SDP, answer)));
    }

    /// An INVITE of ours to a side, without an offer or with one of what the other side knows.
    fn reinvite(
        &mut self,
        env: &mut Environment,
        side: Side,
        known: Option<&AudioOffer>,
    ) -> Option<TransactionId> {
        let (transcode, owner) = (transcodes(env), self.owner());
        let own = self.leg_mut(side.other())?.session.dtmf;
        let leg = self.leg_mut(side)?;
        let (dialog, sent_by) = (leg.dialog, env.sent_by(&leg.flow));
        let mut draft = env.endpoint.draft_in_dialog(dialog, Method::Invite, &sent_by)?;
        write_abilities(&mut draft.writer);
        sign_request(&mut draft.writer);
        if let Some(known) = known {
            let used = leg.session.remote.as_ref().map(Formats::from).unwrap_or_default();
            let known_formats = Formats::from(known).with_keys(own, leg.session.dtmf);
            let offered = known_formats.offered_onward(transcode, &used);
            draft.writer.body(SDP, &leg.session.offer(&offered, known.ptime_ms));
        }
        Some(env.endpoint.request(env.now, draft, owner))
    }
}

/// What of a description is decoded here; `None` when that is nothing.
fn only_decoded(mut sound: AudioOffer) -> Option<AudioOffer> {
    sound.codecs.retain(|codec| decoded(codec).is_some() || codec.is_comfort_noise());
    sound.codecs.iter().any(|codec| decoded(codec).is_some()).then_some(sound)
}
