//! INVITE client transaction: RFC 3261 §17.1.1 and figure 5, with the Accepted state of RFC 6026 §7.2.
//!
//! The transaction acknowledges 300–699 itself. It never acknowledges a 2xx: that is the transaction user's ACK
//! (§13.2.2.4). It also remembers a wish to cancel until a provisional response permits it (§9.1).

use super::StatusClass;
use super::{Action, Actions, Retransmission, Timing};
use crate::message::Status;
use crate::time::Time;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The states of figure 5 and of RFC 6026, each with the timers that run in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The INVITE was sent; nothing came back.
    Calling {
        /// Timer A; none on a reliable transport.
        timer_a: Option<Retransmission>,
        /// Timer B.
        timer_b: Time,
        /// The transaction user wants to cancel (§9.1: not before a provisional response), with this Reason.
        cancelled: Option<Box<[u8]>>,
    },
    /// A provisional response came.
    Proceeding {
        /// Set once the CANCEL is out: when to give up the wait for its effect (§9.1).
        cancelled: Option<Time>,
    },
    /// A 300–699 came and was acknowledged.
    Completed {
        /// Timer D.
        timer_d: Time,
        /// The ACK, for retransmissions of the response.
        ack: Bytes,
    },
    /// A 2xx came (RFC 6026 §7.2): more of them, from other branches of a fork, may follow.
    Accepted {
        /// Timer M.
        timer_m: Time,
    },
    /// The end.
    Terminated,
}

/// An INVITE client transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InviteClient {
    request: Bytes,
    reliable: bool,
    timing: Timing,
    state: State,
}

impl InviteClient {
    /// Enters Calling: sends the INVITE and starts Timers A and B (§17.1.1.2).
    pub fn new(now: Time, request: Bytes, reliable: bool, timing: Timing, out: &mut Actions) -> InviteClient {
        out.push(Action::Send(request.clone()));
        let state = State::Calling {
            timer_a: (!reliable).then(|| Retransmission { at: now + timing.t1(), interval: timing.t1() }),
            timer_b: now + timing.transaction(),
            cancelled: None,
        };
        InviteClient { request, reliable, timing, state }
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The INVITE as it was sent; empty once a 300–699 was acknowledged.
    pub fn request(&self) -> &Bytes {
        &self.request
    }

    /// Whether it is kept for stray messages alone, until its one timer ends it.
    pub fn is_lingering(&self) -> bool {
        matches!(self.state, State::Completed { .. } | State::Accepted { .. })
    }

    /// Whether nothing more can happen.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// A response that matches (§17.1.3). `ack` builds the ACK of a 300–699 (§17.1.1.3).
    pub fn handle_response(
        &mut self,
        now: Time,
        status: Status,
        ack: impl FnOnce() -> Bytes,
        out: &mut Actions,
    ) {
        match (&mut self.state, StatusClass::of(status)) {
            (State::Calling { cancelled, .. }, StatusClass::Provisional) => {
                let cancelled = cancelled.take();
                self.state = State::Proceeding { cancelled: None };
                out.push(Action::Deliver);
                if let Some(reason) = cancelled {
                    self.cancel(now, reason, out);
                }
            }
            (State::Proceeding { .. }, StatusClass::Provisional) => out.push(Action::Deliver),
            (State::Calling { .. } | State::Proceeding { .. }, StatusClass::Success) => {
                self.state = State::Accepted { timer_m: now + self.timing.transaction() };
                out.push(Action::Deliver);
            }
            (State::Calling { .. } | State::Proceeding { .. }, StatusClass::Failure) => {
                let ack = ack();
                out.push(Action::Send(ack.clone()));
                out.push(Action::Deliver);
                // Only the ACK is sent from now on; what lingers for half a minute is to be small.
                self.request = Bytes::new();
                self.state = if self.reliable {
                    State::Terminated
                } else {
                    State::Completed { timer_d: now + self.timing.timer_d(false), ack }
                };
            }
            (State::Completed { ack, .. }, StatusClass::Failure) => out.push(Action::Send(ack.clone())),
            (State::Accepted { .. }, StatusClass::Success) => out.push(Action::Deliver),
            (State::Completed { .. }, StatusClass::Provisional | StatusClass::Success)
            | (State::Accepted { .. }, StatusClass::Provisional | StatusClass::Failure)
            | (State::Terminated, StatusClass::Provisional | StatusClass::Success | StatusClass::Failure) => {
            }
        }
    }

    /// The transaction user no longer wants the call (§9.1). The CANCEL leaves at once, or with the first provisional
    /// response; after a final response it never does. `reason` is the value of its Reason (RFC 3326 §2), empty for none.
    pub fn cancel(&mut self, now: Time, reason: Box<[u8]>, out: &mut Actions) {
        match &mut self.state {
            State::Calling { cancelled, .. } => *cancelled = Some(reason),
            State::Proceeding { cancelled: cancelled @ None } => {
                *cancelled = Some(now + self.timing.transaction());
                out.push(Action::Cancel(reason));
            }
            State::Proceeding { cancelled: Some(_) }
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// The transport could not send (§17.1.4).
    pub fn handle_transport_error(&mut self, out: &mut Actions) {
        match self.state {
            State::Calling { .. } | State::Proceeding { .. } | State::Completed { .. } => {
                self.state = State::Terminated;
                out.push(Action::TransportFailed);
            }
            State::Accepted { .. } | State::Terminated => {}
        }
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Actions) {
        match &mut self.state {
            State::Calling { timer_b, .. } if *timer_b <= now => {
                self.state = State::Terminated;
                out.push(Action::TimedOut);
            }
            State::Calling { timer_a: Some(timer_a), .. } if timer_a.at <= now => {
                // §17.1.1.2: Timer A doubles each time, without a ceiling; Timer B ends it.
                let interval = timer_a.interval * 2;
                *timer_a = Retransmission { at: now + interval, interval };
                out.push(Action::Send(self.request.clone()));
            }
            State::Proceeding { cancelled: Some(deadline) } if *deadline <= now => {
                self.state = State::Terminated;
                out.push(Action::TimedOut);
            }
            State::Completed { timer_d, .. } if *timer_d <= now => self.state = State::Terminated,
            State::Accepted { timer_m } if *timer_m <= now => self.state = State::Terminated,
            State::Calling { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// The next moment at which a timer fires.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Calling { timer_a, timer_b, .. } => {
                Some(timer_a.map_or(*timer_b, |timer_a| timer_a.at.min(*timer_b)))
            }
            State::Proceeding { cancelled } => *cancelled,
            State::Completed { timer_d, .. } => Some(*timer_d),
            State::Accepted { timer_m } => Some(*timer_m),
            State::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::Action::{Cancel, Deliver, Send, TimedOut, TransportFailed};

    const INVITE: Bytes = Bytes::from_static(b"INVITE");
    const ACK: Bytes = Bytes::from_static(b"ACK");

    fn at(milliseconds: u64) -> Time {
        Time::from_millis(milliseconds)
    }

    fn client(reliable: bool) -> InviteClient {
        let mut out = Actions::new();
        let client = InviteClient::new(at(0), INVITE, reliable, Timing::default(), &mut out);
        assert_eq!(out.as_slice(), [Send(INVITE)]);
        client
    }

    fn respond(client: &mut InviteClient, now: Time, status: u16) -> Vec<Action> {
        let mut out = Actions::new();
        client.handle_response(now, Status::new(status).unwrap(), || ACK, &mut out);
        out.into_vec()
    }

    fn fire(client: &mut InviteClient, now: Time) -> Vec<Action> {
        let mut out = Actions::new();
        client.handle_timeout(now, &mut out);
        out.into_vec()
    }

    fn after(reliable: bool, statuses: &[u16]) -> InviteClient {
        let mut client = client(reliable);
        for status in statuses {
            respond(&mut client, at(0), *status);
        }
        client
    }

    #[test]
    fn timer_a_doubles_until_timer_b_at_64_t1() {
        let mut client = client(false);
        let mut sent = Vec::new();
        while let Some(now) = client.poll_timeout() {
            let actions = fire(&mut client, now);
            if actions == [TimedOut] {
                assert_eq!(now, at(32_000));
                break;
            }
            assert_eq!(actions, [Send(INVITE)]);
            sent.push(now);
        }
        assert_eq!(sent, [500, 1_500, 3_500, 7_500, 15_500, 31_500].map(at));
        assert!(client.is_terminated());
    }

    #[test]
    fn timer_a_is_off_on_a_reliable_transport() {
        let mut client = client(true);
        assert_eq!(client.poll_timeout(), Some(at(32_000)));
        assert_eq!(fire(&mut client, at(32_000)), [TimedOut]);
    }

    #[test]
    fn provisional_in_calling_stops_timers_a_and_b_and_proceeds() {
        let mut client = client(false);
        assert_eq!(respond(&mut client, at(10), 180), [Deliver]);
        assert_eq!((client.state(), client.poll_timeout()), (&State::Proceeding { cancelled: None }, None));
    }

    #[test]
    fn provisional_in_proceeding_reaches_the_user() {
        let mut client = after(false, &[100]);
        assert_eq!(respond(&mut client, at(20), 183), [Deliver]);
        assert_eq!(client.state(), &State::Proceeding { cancelled: None });
    }

    #[test]
    fn success_in_calling_enters_accepted_without_an_ack() {
        let mut client = client(false);
        assert_eq!(respond(&mut client, at(10), 200), [Deliver]);
        assert_eq!(client.state(), &State::Accepted { timer_m: at(32_010) });
    }

    #[test]
    fn success_in_proceeding_enters_accepted_without_an_ack() {
        let mut client = after(false, &[180]);
        assert_eq!(respond(&mut client, at(10), 200), [Deliver]);
        assert_eq!(client.state(), &State::Accepted { timer_m: at(32_010) });
    }

    #[test]
    fn success_in_accepted_reaches_the_user_again() {
        let mut client = after(false, &[200]);
        assert_eq!(respond(&mut client, at(500), 200), [Deliver]);
        assert_eq!(client.poll_timeout(), Some(at(32_000)));
    }

    #[test]
    fn timer_m_ends_accepted() {
        let mut client = after(false, &[200]);
        assert_eq!(fire(&mut client, at(31_999)), []);
        assert_eq!(fire(&mut client, at(32_000)), []);
        assert!(client.is_terminated());
    }

    #[test]
    fn timer_m_runs_on_a_reliable_transport_too() {
        assert_eq!(after(true, &[200]).state(), &State::Accepted { timer_m: at(32_000) });
    }

    #[test]
    fn failure_in_calling_is_acknowledged_and_completes() {
        let mut client = client(false);
        assert_eq!(respond(&mut client, at(10), 486), [Send(ACK), Deliver]);
        assert_eq!(client.state(), &State::Completed { timer_d: at(32_010), ack: ACK });
    }

    #[test]
    fn failure_in_proceeding_is_acknowledged_and_completes() {
        let mut client = after(false, &[100]);
        assert_eq!(respond(&mut client, at(10), 302), [Send(ACK), Deliver]);
        assert_eq!(client.state(), &State::Completed { timer_d: at(32_010), ack: ACK });
    }

    #[test]
    fn failure_in_completed_is_acknowledged_again_and_absorbed() {
        let mut client = after(false, &[486]);
        assert_eq!(respond(&mut client, at(500), 486), [Send(ACK)]);
        assert_eq!(client.poll_timeout(), Some(at(32_000)));
    }

    #[test]
    fn timer_d_ends_completed() {
        let mut client = after(false, &[486]);
        assert_eq!(fire(&mut client, at(32_000)), []);
        assert!(client.is_terminated());
    }

    #[test]
    fn failure_on_a_reliable_transport_terminates_at_once() {
        let mut client = client(true);
        assert_eq!(respond(&mut client, at(10), 486), [Send(ACK), Deliver]);
        assert!(client.is_terminated());
    }

    #[test]
    fn responses_of_another_kind_are_absorbed_after_the_final_one() {
        for (first, later) in [(486, 180), (486, 200), (200, 180), (200, 486)] {
            let mut client = after(false, &[first]);
            let before = client.state().clone();
            assert_eq!(respond(&mut client, at(100), later), [], "{later} after {first}");
            assert_eq!(client.state(), &before);
        }
    }

    #[test]
    fn a_transport_error_ends_calling_proceeding_and_completed() {
        for statuses in [&[][..], &[180], &[486]] {
            let (mut client, mut out) = (after(false, statuses), Actions::new());
            client.handle_transport_error(&mut out);
            assert_eq!(out.as_slice(), [TransportFailed], "after {statuses:?}");
            assert!(client.is_terminated());
        }
    }

    #[test]
    fn cancel_in_calling_waits_for_a_provisional_response() {
        let (mut client, mut out) = (client(false), Actions::new());
        client.cancel(at(5), Box::default(), &mut out);
        assert!(out.is_empty());
        assert_eq!(respond(&mut client, at(10), 100), [Deliver, Cancel(Box::default())]);
        client.cancel(at(20), Box::default(), &mut out);
        assert!(out.is_empty(), "one CANCEL is enough");
    }

    #[test]
    fn a_cancel_without_effect_is_given_up_after_64_t1() {
        let (mut client, mut out) = (after(false, &[180]), Actions::new());
        client.cancel(at(10), Box::default(), &mut out);
        assert_eq!(out.as_slice(), [Cancel(Box::default())]);
        assert_eq!(fire(&mut client, at(32_010)), [TimedOut]);
        assert!(client.is_terminated());
    }

    #[test]
    fn cancel_after_a_final_response_does_nothing() {
        for status in [200, 486] {
            let (mut client, mut out) = (after(false, &[status]), Actions::new());
            client.cancel(at(10), Box::default(), &mut out);
            assert!(out.is_empty());
        }
    }
}
