//! Non-INVITE client transaction: RFC 3261 §17.1.2 and figure 6.

use super::StatusClass;
use super::{Action, Actions, Retransmission, Timing};
use crate::message::Status;
use crate::time::Time;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The states of figure 6, each with the timers that run in it, and one before them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The request may not be sent yet: a BYE that waits for the ACK of a 2xx (§15).
    Held,
    /// The request was sent; nothing came back.
    Trying {
        /// Timer E; none on a reliable transport.
        timer_e: Option<Retransmission>,
        /// Timer F.
        timer_f: Time,
    },
    /// A provisional response came.
    Proceeding {
        /// Timer E, at T2 from now on; none on a reliable transport.
        timer_e: Option<Retransmission>,
        /// Timer F.
        timer_f: Time,
    },
    /// A final response came.
    Completed {
        /// Timer K.
        timer_k: Time,
    },
    /// The end.
    Terminated,
}

/// A non-INVITE client transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NonInviteClient {
    request: Bytes,
    reliable: bool,
    timing: Timing,
    state: State,
}

impl NonInviteClient {
    /// Enters Trying: sends the request and starts Timers E and F (§17.1.2.2).
    pub fn new(
        now: Time,
        request: Bytes,
        reliable: bool,
        timing: Timing,
        out: &mut Actions,
    ) -> NonInviteClient {
        let mut client = NonInviteClient::held(request, reliable, timing);
        client.release(now, out);
        client
    }

    /// Waits for [`NonInviteClient::release`], without a timer.
    pub fn held(request: Bytes, reliable: bool, timing: Timing) -> NonInviteClient {
        NonInviteClient { request, reliable, timing, state: State::Held }
    }

    /// Sends a request that was held; nothing happens once it was sent.
    pub fn release(&mut self, now: Time, out: &mut Actions) {
        match self.state {
            State::Held => {
                out.push(Action::Send(self.request.clone()));
                let t1 = self.timing.t1();
                let timer_e = (!self.reliable).then(|| Retransmission { at: now + t1, interval: t1 });
                self.state = State::Trying { timer_e, timer_f: now + self.timing.transaction() };
            }
            State::Trying { .. } | State::Proceeding { .. } | State::Completed { .. } | State::Terminated => {
            }
        }
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether it is kept for stray messages alone, until its one timer ends it.
    pub fn is_lingering(&self) -> bool {
        matches!(self.state, State::Completed { .. })
    }

    /// Whether nothing more can happen.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// A response that matches (§17.1.3).
    pub fn handle_response(&mut self, now: Time, status: Status, out: &mut Actions) {
        match (&self.state, StatusClass::of(status)) {
            (
                State::Trying { timer_e, timer_f } | State::Proceeding { timer_e, timer_f },
                StatusClass::Provisional,
            ) => {
                out.push(Action::Deliver);
                self.state = State::Proceeding { timer_e: *timer_e, timer_f: *timer_f };
            }
            (
                State::Trying { .. } | State::Proceeding { .. },
                StatusClass::Success | StatusClass::Failure,
            ) => {
                out.push(Action::Deliver);
                self.state = if self.reliable {
                    State::Terminated
                } else {
                    State::Completed { timer_k: now + self.timing.absorb(false) }
                };
            }
            (
                State::Held | State::Completed { .. } | State::Terminated,
                StatusClass::Provisional | StatusClass::Success | StatusClass::Failure,
            ) => {}
        }
    }

    /// The transport could not send (§17.1.4).
    pub fn handle_transport_error(&mut self, out: &mut Actions) {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => {
                self.state = State::Terminated;
                out.push(Action::TransportFailed);
            }
            State::Held | State::Completed { .. } | State::Terminated => {}
        }
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Actions) {
        match &mut self.state {
            State::Trying { timer_f, .. } | State::Proceeding { timer_f, .. } if *timer_f <= now => {
                self.state = State::Terminated;
                out.push(Action::TimedOut);
            }
            State::Trying { timer_e: Some(timer_e), .. } if timer_e.at <= now => {
                let interval = self.timing.doubled(timer_e.interval);
                *timer_e = Retransmission { at: now + interval, interval };
                out.push(Action::Send(self.request.clone()));
            }
            State::Proceeding { timer_e: Some(timer_e), .. } if timer_e.at <= now => {
                // §17.1.2.2: in Proceeding, Timer E is T2.
                *timer_e = Retransmission { at: now + self.timing.t2(), interval: self.timing.t2() };
                out.push(Action::Send(self.request.clone()));
            }
            State::Completed { timer_k } if *timer_k <= now => self.state = State::Terminated,
            State::Held
            | State::Trying { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Terminated => {}
        }
    }

    /// The next moment at which a timer fires.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Trying { timer_e, timer_f } | State::Proceeding { timer_e, timer_f } => {
                Some(timer_e.map_or(*timer_f, |timer_e| timer_e.at.min(*timer_f)))
            }
            State::Completed { timer_k } => Some(*timer_k),
            State::Held | State::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::Action::{Deliver, Send, TimedOut, TransportFailed};

    const REQUEST: Bytes = Bytes::from_static(b"BYE");

    fn at(milliseconds: u64) -> Time {
        Time::from_millis(milliseconds)
    }

    fn client(reliable: bool) -> NonInviteClient {
        let mut out = Actions::new();
        let client = NonInviteClient::new(at(0), REQUEST, reliable, Timing::default(), &mut out);
        assert_eq!(out.as_slice(), [Send(REQUEST)]);
        client
    }

    fn respond(client: &mut NonInviteClient, now: Time, status: u16) -> Vec<Action> {
        let mut out = Actions::new();
        client.handle_response(now, Status::new(status).unwrap(), &mut out);
        out.into_vec()
    }

    fn retransmissions(client: &mut NonInviteClient) -> Vec<Time> {
        let mut sent = Vec::new();
        while let Some(now) = client.poll_timeout() {
            let mut out = Actions::new();
            client.handle_timeout(now, &mut out);
            if out.as_slice() == [TimedOut] {
                assert_eq!(now, at(32_000));
                break;
            }
            assert_eq!(out.as_slice(), [Send(REQUEST)]);
            sent.push(now);
        }
        assert!(client.is_terminated());
        sent
    }

    #[test]
    fn timer_e_doubles_up_to_t2_until_timer_f_at_64_t1() {
        let expected = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(retransmissions(&mut client(false)), expected.map(at));
    }

    #[test]
    fn a_held_request_is_sent_when_it_is_released_and_not_before() {
        let mut client = NonInviteClient::held(REQUEST, false, Timing::default());
        let mut out = Actions::new();
        client.handle_timeout(at(60_000), &mut out);
        client.handle_transport_error(&mut out);
        assert_eq!((client.poll_timeout(), out.len()), (None, 0));
        assert_eq!(respond(&mut client, at(60_000), 200), []);
        assert_eq!(client.state(), &State::Held);
        client.release(at(70_000), &mut out);
        client.release(at(70_000), &mut out);
        assert_eq!(out.as_slice(), [Send(REQUEST)]);
        assert_eq!(client.poll_timeout(), Some(at(70_500)));
    }

    #[test]
    fn timer_e_is_off_on_a_reliable_transport() {
        assert_eq!(retransmissions(&mut client(true)), []);
    }

    #[test]
    fn provisional_in_trying_proceeds_with_timer_e_at_t2() {
        let mut client = client(false);
        assert_eq!(respond(&mut client, at(100), 100), [Deliver]);
        assert!(matches!(client.state(), State::Proceeding { .. }));
        let expected = [500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500];
        assert_eq!(retransmissions(&mut client), expected.map(at));
    }

    #[test]
    fn provisional_in_proceeding_reaches_the_user() {
        let mut client = client(false);
        respond(&mut client, at(0), 100);
        assert_eq!(respond(&mut client, at(10), 182), [Deliver]);
    }

    #[test]
    fn final_in_trying_or_proceeding_completes_and_starts_timer_k() {
        for provisional in [false, true] {
            let mut client = client(false);
            if provisional {
                respond(&mut client, at(0), 100);
            }
            assert_eq!(respond(&mut client, at(10), 404), [Deliver]);
            assert_eq!(client.state(), &State::Completed { timer_k: at(5_010) });
        }
    }

    #[test]
    fn responses_in_completed_are_absorbed() {
        let mut client = client(false);
        respond(&mut client, at(0), 200);
        for status in [100, 200, 500] {
            assert_eq!(respond(&mut client, at(20), status), []);
        }
    }

    #[test]
    fn timer_k_ends_completed() {
        let (mut client, mut out) = (client(false), Actions::new());
        respond(&mut client, at(0), 200);
        client.handle_timeout(at(5_000), &mut out);
        assert!(client.is_terminated() && out.is_empty());
    }

    #[test]
    fn final_on_a_reliable_transport_terminates_at_once() {
        let mut client = client(true);
        assert_eq!(respond(&mut client, at(10), 200), [Deliver]);
        assert!(client.is_terminated());
    }

    #[test]
    fn a_transport_error_ends_trying_and_proceeding() {
        for provisional in [false, true] {
            let (mut client, mut out) = (client(false), Actions::new());
            if provisional {
                respond(&mut client, at(0), 100);
            }
            client.handle_transport_error(&mut out);
            assert_eq!(out.as_slice(), [TransportFailed]);
            assert!(client.is_terminated());
        }
    }
}
