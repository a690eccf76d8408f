//! What an INVITE leaves running in its dialog: the 2xx that is sent again until its ACK comes (RFC 3261 §13.3.1.4),
//! the ACK that is sent again whenever the 2xx comes again (§13.2.2.4), and reliable provisional responses in both directions
//! (RFC 3262).
//!
//! Bound: the ACKs of the last four INVITEs. A 2xx of an older one that still comes again finds no ACK; its sender
//! gives up after 64·T1.

use crate::header::RAck;
use crate::message::Status;
use crate::session::prack::{self, Acknowledged, Provisionals};
use crate::time::Time;
use crate::transaction::{Retransmission, Timing, TransactionId};
use crate::transport::Flow;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// ACKs that are kept: a 2xx may come again when the next re-INVITE is answered already.
const ACKNOWLEDGEMENTS: usize = 4;

/// A 2xx of ours that waits for its ACK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Answer {
    cseq: u32,
    response: Bytes,
    flow: Flow,
    again: Retransmission,
    deadline: Time,
}

/// An ACK of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Acknowledgement {
    cseq: u32,
    ack: Bytes,
    flow: Flow,
}

/// The INVITE usage of a dialog (RFC 5057).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteUsage {
    answer: Option<Answer>,
    /// The newest last.
    acknowledgements: Vec<Acknowledgement>,
    provisionals: Option<Box<Provisionals>>,
    acknowledged: Acknowledged,
    held: Option<Box<HeldAnswer>>,
}

/// A 2xx of ours that waits for the PRACK of a description (RFC 3262 §3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldAnswer {
    pub(crate) transaction: TransactionId,
    pub(crate) status: Status,
    pub(crate) response: Bytes,
    /// What the INVITE is answered with when the dialog ends before: a 5xx when no PRACK came (RFC 3262 §3).
    pub(crate) refusal: Status,
}

/// What a timer of the usage asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageAction {
    /// Nothing was due.
    None,
    /// Send the 2xx again.
    Send(Flow, Bytes),
    /// No ACK within 64·T1, or no PRACK: the session should end (§13.3.1.4, RFC 3262 §3).
    Unacknowledged,
}

impl InviteUsage {
    /// A 2xx to the INVITE `cseq` was sent on `flow`; it will be sent again at T1, doubling up to T2.
    pub fn answered(&mut self, now: Time, cseq: u32, flow: Flow, response: Bytes, timing: Timing) {
        let again = Retransmission { at: now + timing.t1(), interval: timing.t1() };
        if let Some(provisionals) = &mut self.provisionals {
            provisionals.stop();
        }
        self.answer = Some(Answer { cseq, response, flow, again, deadline: now + timing.transaction() });
    }

    /// An ACK came. Returns whether it is the first for the 2xx that waits for one.
    pub fn handle_ack(&mut self, cseq: u32) -> bool {
        self.answer.take_if(|answer| answer.cseq == cseq).is_some()
    }

    /// Whether a 2xx of ours waits for its ACK.
    pub fn awaits_ack(&self) -> bool {
        self.answer.is_some()
    }

    /// We acknowledged the 2xx to our INVITE `cseq`.
    pub fn acknowledged(&mut self, cseq: u32, flow: Flow, ack: Bytes) {
        self.acknowledgements.retain(|sent| sent.cseq != cseq);
        if self.acknowledgements.len() == ACKNOWLEDGEMENTS {
            self.acknowledgements.remove(0);
        }
        // Most dialogs have one, and keep it for half a minute when they are over.
        self.acknowledgements.reserve_exact(1);
        self.acknowledgements.push(Acknowledgement { cseq, ack, flow });
    }

    /// The ACK to send again when the 2xx to our INVITE `cseq` came again.
    pub fn acknowledgement(&self, cseq: u32) -> Option<(Flow, Bytes)> {
        let sent = self.acknowledgements.iter().find(|sent| sent.cseq == cseq)?;
        Some((sent.flow, sent.ack.clone()))
    }

    /// Whether our INVITE `cseq` was acknowledged so long ago that its ACK is forgotten.
    pub(crate) fn is_forgotten(&self, cseq: u32) -> bool {
        self.acknowledgements.len() == ACKNOWLEDGEMENTS
            && self.acknowledgements.first().is_some_and(|oldest| cseq < oldest.cseq)
    }

    /// The dialog is over: nothing is sent but our ACKs, when their 2xx come again.
    pub(crate) fn keep_acknowledgements(&mut self) {
        let acknowledgements = core::mem::take(&mut self.acknowledgements);
        *self = InviteUsage { acknowledgements, ..InviteUsage::default() };
    }

    /// The reliable provisional responses to the INVITE `cseq`, of which the first has the number `first`.
    pub(crate) fn provisionals(&mut self, cseq: u32, flow: Flow, first: u32) -> &mut Provisionals {
        self.provisionals.get_or_insert_with(|| Box::new(Provisionals::new(cseq, flow, first)))
    }

    /// A PRACK of the peer: `None` when it is for nothing that waits for one, else what is to be sent next.
    pub(crate) fn handle_prack(
        &mut self,
        now: Time,
        rack: &RAck<'_>,
        timing: Timing,
    ) -> Option<Option<(Flow, Bytes)>> {
        self.provisionals.as_mut()?.handle_prack(now, rack, timing)
    }

    /// Holds a 2xx back until what was described before it is acknowledged (RFC 3262 §3); gives it back when it may leave.
    pub(crate) fn hold_answer(&mut self, answer: HeldAnswer) -> Option<HeldAnswer> {
        if !self.provisionals.as_ref().is_some_and(|provisionals| provisionals.holds_answer()) {
            return Some(answer);
        }
        self.held = Some(Box::new(answer));
        None
    }

    /// The 2xx that was held back, once it may leave.
    pub(crate) fn release_answer(&mut self) -> Option<HeldAnswer> {
        let held = self.held.take()?;
        self.hold_answer(*held)
    }

    /// Whether a 2xx is held back.
    pub(crate) const fn holds_answer(&self) -> bool {
        self.held.is_some()
    }

    /// The 2xx that was held back and is never to leave.
    pub(crate) fn drop_answer(&mut self) -> Option<HeldAnswer> {
        self.held.take().map(|held| *held)
    }

    /// Whether a reliable provisional response of the peer is the next one (RFC 3262 §4).
    pub(crate) fn take_provisional(&mut self, cseq: u32, rseq: u32) -> bool {
        self.acknowledged.take(cseq, rseq)
    }

    /// Fires the timer that is due.
    pub fn handle_timeout(&mut self, now: Time, timing: Timing) -> UsageAction {
        match &mut self.answer {
            Some(answer) if answer.deadline <= now => {
                self.answer = None;
                return UsageAction::Unacknowledged;
            }
            Some(answer) if answer.again.at <= now => {
                let interval = timing.doubled(answer.again.interval);
                answer.again = Retransmission { at: now + interval, interval };
                return UsageAction::Send(answer.flow, answer.response.clone());
            }
            Some(_) | None => {}
        }
        match self
            .provisionals
            .as_mut()
            .map_or(prack::Tick::None, |provisionals| provisionals.handle_timeout(now))
        {
            prack::Tick::None => UsageAction::None,
            prack::Tick::Send(flow, bytes) => UsageAction::Send(flow, bytes),
            prack::Tick::Unacknowledged => {
                if let Some(held) = &mut self.held {
                    held.refusal = Status::SERVER_INTERNAL_ERROR;
                }
                UsageAction::Unacknowledged
            }
        }
    }

    /// The next moment at which a timer fires.
    pub fn poll_timeout(&self) -> Option<Time> {
        let answer = self.answer.as_ref().map(|answer| answer.again.at.min(answer.deadline));
        let provisional = self.provisionals.as_ref().and_then(|provisionals| provisionals.poll_timeout());
        answer.into_iter().chain(provisional).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{ListenerId, Transport};

    const OK: Bytes = Bytes::from_static(b"200");

    fn flow() -> Flow {
        Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            local: ([127, 0, 0, 1], 5060).into(),
            peer: ([127, 0, 0, 1], 5070).into(),
        }
    }

    #[test]
    fn a_2xx_is_sent_again_at_t1_doubling_to_t2_until_64_t1() {
        let mut usage = InviteUsage::default();
        usage.answered(Time(0), 1, flow(), OK, Timing::default());
        let mut sent = Vec::new();
        while let Some(now) = usage.poll_timeout() {
            match usage.handle_timeout(now, Timing::default()) {
                UsageAction::Send(_, response) => {
                    assert_eq!(response, OK);
                    sent.push(now);
                }
                UsageAction::Unacknowledged => assert_eq!(now, Time::from_millis(32_000)),
                UsageAction::None => unreachable!("a timer was due"),
            }
        }
        let expected = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(sent, expected.map(Time::from_millis));
    }

    #[test]
    fn the_ack_of_that_cseq_ends_it_once() {
        let mut usage = InviteUsage::default();
        usage.answered(Time(0), 7, flow(), OK, Timing::default());
        assert!(!usage.handle_ack(6));
        assert!(usage.handle_ack(7));
        assert!(!usage.handle_ack(7));
        assert_eq!(usage.poll_timeout(), None);
    }

    #[test]
    fn the_last_acks_are_kept_and_older_ones_are_known_to_be_forgotten() {
        let mut usage = InviteUsage::default();
        (1..=6).for_each(|cseq| usage.acknowledged(cseq, flow(), Bytes::from(cseq.to_string())));
        for cseq in 3..=6 {
            assert_eq!(usage.acknowledgement(cseq), Some((flow(), Bytes::from(cseq.to_string()))));
        }
        assert_eq!([1, 2, 3, 7].map(|cseq| usage.is_forgotten(cseq)), [true, true, false, false]);
    }

    #[test]
    fn our_ack_is_found_by_the_cseq_of_the_2xx() {
        let mut usage = InviteUsage::default();
        usage.acknowledged(3, flow(), Bytes::from_static(b"ACK"));
        assert_eq!(usage.acknowledgement(2), None);
        assert_eq!(usage.acknowledgement(3), Some((flow(), Bytes::from_static(b"ACK"))));
    }
}
