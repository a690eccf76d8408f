//! Reliable provisional responses (RFC 3262): as a server those that wait for their PRACK, as a client the order of those that
//! come.
//!
//! Bound: four responses wait behind the one that was sent; a further one takes the place of the last.

use crate::header::RAck;
use crate::message::Method;
use crate::time::Time;
use crate::transaction::{Retransmission, Timing};
use crate::transport::Flow;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The option tag.
pub const REL100: &str = "100rel";
/// Responses that wait for the PRACK of the one before them.
const WAITING: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Response {
    rseq: u32,
    bytes: Bytes,
    /// It has a description: a 2xx has to wait for its PRACK (§3).
    described: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    response: Response,
    again: Retransmission,
    deadline: Time,
}

/// The reliable provisional responses to one INVITE of the peer (§3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisionals {
    /// The CSeq number of the INVITE.
    cseq: u32,
    flow: Flow,
    next_rseq: u32,
    sent: Option<Sent>,
    waiting: VecDeque<Response>,
    /// The final response has left: nothing is sent again any more, though a PRACK on its way may still come.
    stopped: bool,
}

/// What a timer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Nothing was due.
    None,
    /// Send this again.
    Send(Flow, Bytes),
    /// No PRACK within 64·T1: the INVITE should be refused with a 5xx (§3).
    Unacknowledged,
}

impl Provisionals {
    /// For the INVITE `cseq`. `first` is the first RSeq: 1 to 2³¹−1, at random (§3).
    pub fn new(cseq: u32, flow: Flow, first: u32) -> Provisionals {
        Provisionals {
            cseq,
            flow,
            next_rseq: (first & 0x7fff_ffff).max(1),
            sent: None,
            waiting: VecDeque::new(),
            stopped: false,
        }
    }

    /// The number for the next response; each is used once.
    pub fn next_rseq(&mut self) -> u32 {
        let rseq = self.next_rseq;
        self.next_rseq = rseq.saturating_add(1);
        rseq
    }

    /// Takes a response with the number that was handed out last. Returns whether it is to be sent now; otherwise it waits for the
    /// PRACK of the one before it.
    pub fn push(&mut self, now: Time, rseq: u32, bytes: Bytes, described: bool, timing: Timing) -> bool {
        let response = Response { rseq, bytes, described };
        if self.sent.is_some() {
            if self.waiting.len() >= WAITING {
                self.waiting.pop_back();
            }
            self.waiting.push_back(response);
            return false;
        }
        self.send(now, response, timing);
        true
    }

    fn send(&mut self, now: Time, response: Response, timing: Timing) {
        let again = Retransmission { at: now + timing.t1(), interval: timing.t1() };
        self.sent = Some(Sent { response, again, deadline: now + timing.transaction() });
    }

    /// A PRACK: whether it is for the response that waits for it. What waited behind that one is handed out to be sent.
    pub fn handle_prack(
        &mut self,
        now: Time,
        rack: &RAck<'_>,
        timing: Timing,
    ) -> Option<Option<(Flow, Bytes)>> {
        let is_it = |sent: &mut Sent| {
            sent.response.rseq == rack.rseq && rack.cseq == self.cseq && rack.method == Method::Invite
        };
        self.sent.take_if(is_it)?;
        let next = self.waiting.pop_front();
        Some(next.map(|next| {
            let bytes = next.bytes.clone();
            self.send(now, next, timing);
            (self.flow, bytes)
        }))
    }

    /// Whether a 2xx has to wait: a description was sent that is not acknowledged (§3).
    pub fn holds_answer(&self) -> bool {
        self.sent.iter().map(|sent| &sent.response).chain(&self.waiting).any(|response| response.described)
    }

    /// The final response leaves.
    pub fn stop(&mut self) {
        self.waiting.clear();
        self.stopped = true;
    }

    /// Fires the timer that is due.
    pub fn handle_timeout(&mut self, now: Time) -> Tick {
        match &mut self.sent {
            Some(_) if self.stopped => Tick::None,
            Some(sent) if sent.deadline <= now => {
                self.sent = None;
                Tick::Unacknowledged
            }
            Some(sent) if sent.again.at <= now => {
                // §3: T1, doubled each time, without the bound T2.
                let interval = sent.again.interval * 2;
                sent.again = Retransmission { at: now + interval, interval };
                Tick::Send(self.flow, sent.response.bytes.clone())
            }
            Some(_) | None => Tick::None,
        }
    }

    /// The next moment at which a timer fires.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.sent.as_ref().filter(|_| !self.stopped).map(|sent| sent.again.at.min(sent.deadline))
    }
}

/// The reliable provisional responses of a peer to an INVITE of ours, by dialog (§4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// CSeq of the INVITE and RSeq of the last response.
    last: Option<(u32, u32)>,
}

impl Acknowledged {
    /// Whether a response is the next one; any other is neither acknowledged nor looked at (§4).
    pub fn take(&mut self, cseq: u32, rseq: u32) -> bool {
        let is_next = match self.last {
            Some((known, last)) if known == cseq => last.checked_add(1) == Some(rseq),
            Some(_) | None => true,
        };
        if is_next {
            self.last = Some((cseq, rseq));
        }
        is_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{ListenerId, Transport};

    const NOW: Time = Time(0);

    fn provisionals() -> Provisionals {
        let flow = Flow {
            listener: ListenerId(0),
            transport: Transport::Udp,
            local: ([127, 0, 0, 1], 5060).into(),
            peer: ([127, 0, 0, 1], 5070).into(),
        };
        Provisionals::new(7, flow, 5)
    }

    fn push(provisionals: &mut Provisionals, text: &'static str, described: bool) -> bool {
        let rseq = provisionals.next_rseq();
        provisionals.push(NOW, rseq, Bytes::from_static(text.as_bytes()), described, Timing::default())
    }

    fn prack(provisionals: &mut Provisionals, rseq: u32, cseq: u32) -> Option<Option<Bytes>> {
        let rack = RAck { rseq, cseq, method: Method::Invite };
        provisionals.handle_prack(NOW, &rack, Timing::default()).map(|next| next.map(|(_, bytes)| bytes))
    }

    #[test]
    fn a_response_is_sent_again_at_t1_doubling_without_end_until_64_t1() {
        let mut provisionals = provisionals();
        assert!(push(&mut provisionals, "180", false));
        let mut sent = Vec::new();
        let end = loop {
            let now = provisionals.poll_timeout().expect("it is waited for");
            match provisionals.handle_timeout(now) {
                Tick::Send(..) => sent.push(now),
                Tick::Unacknowledged => break now,
                Tick::None => unreachable!("a timer was due"),
            }
        };
        assert_eq!(sent, [500, 1_500, 3_500, 7_500, 15_500, 31_500].map(Time::from_millis));
        assert_eq!((end, provisionals.poll_timeout()), (Time::from_millis(32_000), None));
    }

    #[test]
    fn a_prack_names_response_and_invite_and_counts_once() {
        let mut provisionals = provisionals();
        push(&mut provisionals, "180", false);
        assert_eq!(prack(&mut provisionals, 6, 7), None);
        assert_eq!(prack(&mut provisionals, 5, 8), None);
        assert_eq!(prack(&mut provisionals, 5, 7), Some(None));
        assert_eq!(prack(&mut provisionals, 5, 7), None);
    }

    #[test]
    fn responses_wait_for_the_prack_of_the_one_before_and_the_last_of_many_is_kept() {
        let mut provisionals = provisionals();
        assert!(push(&mut provisionals, "first", false));
        for text in ["a", "b", "c", "d", "e"] {
            assert!(!push(&mut provisionals, text, text == "e"));
        }
        assert!(provisionals.holds_answer());
        let mut order = Vec::new();
        for rseq in [5, 6, 7, 8, 10] {
            order.push(prack(&mut provisionals, rseq, 7).expect("it waited"));
        }
        let text = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        assert_eq!(order, [text("a"), text("b"), text("c"), text("e"), None]);
        assert!(!provisionals.holds_answer());
    }

    #[test]
    fn after_the_final_response_nothing_is_sent_again_but_a_late_prack_is_known() {
        let mut provisionals = provisionals();
        push(&mut provisionals, "180", false);
        provisionals.stop();
        assert_eq!(provisionals.poll_timeout(), None);
        assert_eq!(provisionals.handle_timeout(Time::from_millis(99_000)), Tick::None);
        assert_eq!(prack(&mut provisionals, 5, 7), Some(None));
    }

    #[test]
    fn out_of_order_and_repeated_responses_are_not_taken() {
        let mut acknowledged = Acknowledged::default();
        assert!(acknowledged.take(1, 100));
        assert!(!acknowledged.take(1, 100));
        assert!(!acknowledged.take(1, 102));
        assert!(acknowledged.take(1, 101));
        assert!(acknowledged.take(2, 9), "another INVITE counts anew");
    }
}
