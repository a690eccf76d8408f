//! The end of a call: CANCEL, BYE, refusal, the release of its media, and its record (RFC 3261 §9.2, §15).

use super::call::{Call, Ending, Phase, Side};
use super::reason;
use crate::core::Event;
use crate::core::environment::{Environment, sign_request, sign_response};
use crate::records::Cause;
use crate::store::{CallRecord, EndedBy, MediaFigures, QualityFigures, ReportedFigures, StoreOp};
use core::time::Duration;
use media::rtcp::RemoteFigures;
use media::{Command, LegFigures};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::transaction::TransactionId;

impl Call {
    /// The caller gave up before the answer reached it; the BYE to a callee that had answered. `reasons` are those that it
    /// gave.
    pub(super) fn handle_cancel(
        &mut self,
        env: &mut Environment,
        reasons: &Message,
    ) -> Option<TransactionId> {
        match &mut self.phase {
            Phase::Ringing(ring) => ring.give_up_because(env, &reason::all_of(reasons)),
            Phase::Locating | Phase::Reserving | Phase::Refusing { .. } => {}
            // The 2xx is held back yet (RFC 3262 §3).
            Phase::Talking { .. } | Phase::Served if env.endpoint.holds_answer(self.caller_leg.dialog) => {
                let bye = self.hang_up_because(env, Side::Callee, &reason::all_of(reasons));
                env.endpoint.end_dialog(self.caller_leg.dialog);
                self.finish(env, Status::REQUEST_TERMINATED, EndedBy::Caller);
                return bye;
            }
            // §9.2: after the final response a CANCEL has no effect.
            Phase::Talking { .. } | Phase::Served | Phase::Ended => return None,
        }
        self.refuse_caller(env, Status::REQUEST_TERMINATED, EndedBy::Caller);
        None
    }

    /// Nobody rings any more.
    pub(super) fn drop_ring(&mut self, env: &mut Environment) {
        if let Phase::Ringing(ring) = &mut self.phase {
            ring.give_up(env);
        }
    }

    /// Answers the caller's INVITE with a failure and ends the call.
    pub(super) fn refuse_caller(&mut self, env: &mut Environment, status: Status, by: EndedBy) {
        if self.referred.is_some() {
            return self.fail_referral(env, status, by);
        }
        let mut response =
            env.endpoint.response(&self.invitation.request, status, Some(&self.invitation.tag));
        sign_response(&mut response);
        self.respond(env, status, response);
        env.endpoint.end_dialog(self.caller_leg.dialog);
        self.finish(env, status, by);
    }

    /// Our answers do not reach the caller: as if it had given up.
    pub(super) fn handle_lost_caller(&mut self, env: &mut Environment, status: Status) {
        match &mut self.phase {
            Phase::Ringing(ring) => ring.give_up(env),
            Phase::Locating | Phase::Reserving | Phase::Refusing { .. } => {}
            // A 2xx is sent again until its ACK comes, or word that none came ends the call.
            Phase::Talking { .. } | Phase::Served | Phase::Ended => return,
        }
        env.endpoint.end_dialog(self.caller_leg.dialog);
        self.finish(env, status, EndedBy::Switch);
    }

    /// A BYE of one side: the other gets one of ours.
    pub(super) fn handle_bye(
        &mut self,
        env: &mut Environment,
        side: Side,
        reasons: &Message,
    ) -> Option<TransactionId> {
        match &mut self.phase {
            Phase::Talking { callee } => {
                let gone = if side == Side::Caller { self.caller_leg.dialog } else { callee.dialog };
                env.endpoint.end_dialog(gone);
                let bye = self.hang_up_because(env, side.other(), &reason::all_of(reasons));
                self.finish(env, Status::OK, side.ended_by());
                bye
            }
            Phase::Served => {
                env.endpoint.end_dialog(self.caller_leg.dialog);
                self.finish(env, Status::OK, side.ended_by());
                None
            }
            // §15: a caller may end its early dialog with BYE; the INVITE is then answered as if cancelled.
            Phase::Ringing(_) | Phase::Locating | Phase::Reserving | Phase::Refusing { .. } => {
                self.give_up_referral();
                self.handle_cancel(env, reasons)
            }
            Phase::Ended => None,
        }
    }

    /// The switch ends the call: BYE to both sides, or a refusal while it rings. Why, both are told (RFC 3326 §2), unless all is
    /// well.
    pub(super) fn terminate(&mut self, env: &mut Environment, status: Status) -> [Option<TransactionId>; 2] {
        self.forget_recall();
        match &mut self.phase {
            Phase::Ringing(ring) => ring.give_up(env),
            Phase::Locating | Phase::Reserving | Phase::Refusing { .. } => {}
            Phase::Talking { .. } | Phase::Served => {
                let why = reason::of(status);
                self.chronicle.cause = Some(Cause::of_termination(status.code()));
                let byes = [Side::Caller, Side::Callee].map(|side| self.hang_up_because(env, side, &why));
                self.finish(env, Status::OK, EndedBy::Switch);
                return byes;
            }
            Phase::Ended => return [None, None],
        }
        self.refuse_caller(env, status, EndedBy::Switch);
        [None, None]
    }

    /// Sends BYE to one side and forgets its dialog.
    pub(super) fn hang_up(&mut self, env: &mut Environment, side: Side) -> Option<TransactionId> {
        self.hang_up_because(env, side, b"")
    }

    /// The same with a Reason (RFC 3326), unless that is empty.
    pub(super) fn hang_up_because(
        &mut self,
        env: &mut Environment,
        side: Side,
        reasons: &[u8],
    ) -> Option<TransactionId> {
        // A 2xx that waits for its ACK gets it before the BYE.
        self.abandon_renewal(env);
        let leg = self.leg_mut(side)?;
        let (dialog, sent_by) = (leg.dialog, env.sent_by(&leg.flow));
        if env.endpoint.holds_answer(dialog) {
            // §15: no BYE within an early dialog; its INVITE is answered with 487.
            env.endpoint.end_dialog(dialog);
            return None;
        }
        let mut draft = env.endpoint.draft_in_dialog(dialog, Method::Bye, &sent_by)?;
        if !reasons.is_empty() {
            draft.writer.header(HeaderName::Reason, reasons);
        }
        sign_request(&mut draft.writer);
        let bye = env.endpoint.request(env.now, draft, self.owner());
        env.endpoint.end_dialog(dialog);
        Some(bye)
    }

    /// Closes the media and remembers how it ended; the record is written when the figures are there.
    pub(super) fn finish(&mut self, env: &mut Environment, status: Status, by: EndedBy) {
        if self.ending.is_none() {
            let ending = Ending { at: env.now, status, by };
            self.ending = Some(ending);
            self.note_end(env, ending);
            // Its media take a moment longer, for which nobody is to wait who calls again.
            for count in core::mem::take(&mut self.counted) {
                env.routing.usage.end(&count.who);
            }
            self.note_idle(env);
            self.abandon_location(env);
            for side in [Side::Caller, Side::Callee] {
                // In Reserving the ports are on their way; they are closed when they come.
                if self.media(side).port != 0 {
                    env.media(Command::Close { leg: self.media(side).id });
                }
            }
            self.close_room(env);
            self.abandon_passed(env);
            self.abandon_packages(env);
            self.abandon_renewal(env);
            self.abandon_refreshes(env);
            if let Some(streams) = &mut self.streams {
                streams.close(env);
            }
            let talked = self.answered.map_or(0, |answered| env.now.since(answered).as_millis());
            let talked_ms = u64::try_from(talked).unwrap_or(u64::MAX);
            let call = env.call_ref(self.number);
            self.tell(env, Event::CallEnded { call, status: status.code(), talked_ms });
        }
        // A call that waits for its ports stays in Reserving, so that the report finds it; not one that has yet to ask for them.
        if !matches!(self.phase, Phase::Reserving) || self.recall_deadline().is_some() {
            self.phase = Phase::Ended;
        }
    }

    /// Whether the record can be written: over, and both media legs closed.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended)
            && self.media.iter().all(|leg| leg.port == 0 || leg.figures.is_some())
            && self.streams.as_ref().is_none_or(|streams| streams.are_over())
    }

    pub(super) fn write_record(&mut self, env: &mut Environment) {
        let Some(ending) = self.ending else { return };
        let [caller_media, callee_media] =
            [Side::Caller, Side::Callee].map(|side| figures(self.media(side).figures.as_deref()));
        if self.answered.is_some() {
            let (caller, callee) = (Box::new(caller_media), Box::new(callee_media));
            let call = env.call_ref(self.number);
            self.tell(env, Event::CallMeasured { call, caller, callee });
        }
        let record = self.take_record(env, ending);
        env.store(StoreOp::from(CallRecord { caller_media, callee_media, ..record }));
    }

    /// No media ports could be had.
    pub(super) fn handle_refused_media(&mut self, env: &mut Environment) {
        if self.ending.is_none() {
            if self.waits_for_port(env) {
                return;
            }
            let callee = self.callee.clone();
            let source = self.caller_leg.flow.peer;
            self.chronicle.cause = Some(Cause::Failed);
            env.event(Event::CallRefused { source, callee, reason: crate::core::Refusal::NoMedia });
            self.phase = Phase::Ended;
            // Not 503, which would turn a proxy in front of us away from us for everything (§21.5.4).
            return self.refuse_caller(env, Status::SERVER_INTERNAL_ERROR, EndedBy::Switch);
        }
        self.phase = Phase::Ended;
    }
}

fn figures(figures: Option<&LegFigures>) -> MediaFigures {
    let Some(figures) = figures else { return MediaFigures::default() };
    let rtcp = &figures.rtcp;
    let playout = rtcp.playout.unwrap_or_default();
    MediaFigures {
        packets: figures.packets_in,
        octets: figures.octets_in,
        lost: u64::try_from(rtcp.lost).unwrap_or(0),
        refused: figures.dropped.foreign,
        jitter_us: rtcp.jitter_us,
        discarded: playout.discarded,
        concealed_ms: playout.concealed_ms,
        delay_us: rtcp.playout.map(|playout| microseconds(playout.delay)),
        round_trip_us: rtcp.round_trip.map(microseconds),
        quality: rtcp.quality.map(|quality| QualityFigures {
            r_factor: quality.r_factor,
            mos_tenths: quality.mos_conversational,
        }),
        sent: figures.packets_out,
        reported: rtcp.remote.as_ref().map(reported),
    }
}

fn reported(remote: &RemoteFigures) -> ReportedFigures {
    let quality = QualityFigures {
        r_factor: remote.r_factor.unwrap_or(remote.quality.r_factor),
        mos_tenths: remote.mos_conversational.unwrap_or(remote.quality.mos_conversational),
    };
    ReportedFigures { lost: u64::try_from(remote.lost).unwrap_or(0), jitter_us: remote.jitter_us, quality }
}

fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
