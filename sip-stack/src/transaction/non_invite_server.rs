//! Non-INVITE server transaction: RFC 3261 §17.2.2 and figure 8.

use super::StatusClass;
use super::{Action, Actions, Timing};
use crate::message::Status;
use crate::time::Time;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The states of figure 8, each with the timers that run in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The request was passed up.
    Trying,
    /// A provisional response was sent.
    Proceeding {
        /// The response.
        response: Bytes,
    },
    /// A final response was sent.
    Completed {
        /// Timer J.
        timer_j: Time,
        /// The response.
        response: Bytes,
    },
    /// The end.
    Terminated,
}

/// A non-INVITE server transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NonInviteServer {
    reliable: bool,
    timing: Timing,
    state: State,
}

impl NonInviteServer {
    /// Enters Trying.
    pub fn new(reliable: bool, timing: Timing) -> NonInviteServer {
        NonInviteServer { reliable, timing, state: State::Trying }
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

    /// The request came again.
    pub fn handle_request(&mut self, out: &mut Actions) {
        match &self.state {
            State::Proceeding { response } | State::Completed { response, .. } => {
                out.push(Action::Send(response.clone()));
            }
            State::Trying | State::Terminated => {}
        }
    }

    /// The user's response. After a final response it is ignored.
    pub fn respond(&mut self, now: Time, status: Status, response: Bytes, out: &mut Actions) {
        match (&self.state, StatusClass::of(status)) {
            (State::Trying | State::Proceeding { .. }, StatusClass::Provisional) => {
                out.push(Action::Send(response.clone()));
                self.state = State::Proceeding { response };
            }
            (State::Trying | State::Proceeding { .. }, StatusClass::Success | StatusClass::Failure) => {
                out.push(Action::Send(response.clone()));
                self.state = if self.reliable {
                    State::Terminated
                } else {
                    State::Completed { timer_j: now + self.timing.timer_j(false), response }
                };
            }
            (
                State::Completed { .. } | State::Terminated,
                StatusClass::Provisional | StatusClass::Success | StatusClass::Failure,
            ) => {}
        }
    }

    /// The transport could not send (§17.2.4).
    pub fn handle_transport_error(&mut self, out: &mut Actions) {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } => {
                self.state = State::Terminated;
                out.push(Action::TransportFailed);
            }
            State::Trying | State::Terminated => {}
        }
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        match &self.state {
            State::Completed { timer_j, .. } if *timer_j <= now => self.state = State::Terminated,
            State::Trying | State::Proceeding { .. } | State::Completed { .. } | State::Terminated => {}
        }
    }

    /// The next moment at which a timer fires.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Completed { timer_j, .. } => Some(*timer_j),
            State::Trying | State::Proceeding { .. } | State::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::Action::{Send, TransportFailed};

    const RESPONSE: Bytes = Bytes::from_static(b"response");

    fn at(milliseconds: u64) -> Time {
        Time::from_millis(milliseconds)
    }

    fn respond(server: &mut NonInviteServer, now: Time, status: u16) -> Vec<Action> {
        let mut out = Actions::new();
        server.respond(now, Status::new(status).unwrap(), RESPONSE, &mut out);
        out.into_vec()
    }

    fn after(reliable: bool, statuses: &[u16]) -> NonInviteServer {
        let mut server = NonInviteServer::new(reliable, Timing::default());
        for status in statuses {
            respond(&mut server, at(0), *status);
        }
        server
    }

    fn again(server: &mut NonInviteServer) -> Vec<Action> {
        let mut out = Actions::new();
        server.handle_request(&mut out);
        out.into_vec()
    }

    #[test]
    fn a_request_again_in_trying_is_absorbed() {
        assert_eq!(again(&mut after(false, &[])), []);
    }

    #[test]
    fn provisional_in_trying_proceeds() {
        let mut server = after(false, &[]);
        assert_eq!(respond(&mut server, at(0), 100), [Send(RESPONSE)]);
        assert_eq!(server.state(), &State::Proceeding { response: RESPONSE });
    }

    #[test]
    fn provisional_in_proceeding_is_sent() {
        assert_eq!(respond(&mut after(false, &[100]), at(0), 182), [Send(RESPONSE)]);
    }

    #[test]
    fn a_request_again_in_proceeding_or_completed_gets_the_last_response() {
        for statuses in [&[100][..], &[200]] {
            assert_eq!(again(&mut after(false, statuses)), [Send(RESPONSE)]);
        }
    }

    #[test]
    fn final_in_trying_or_proceeding_completes_and_starts_timer_j() {
        for statuses in [&[][..], &[100]] {
            let mut server = after(false, statuses);
            assert_eq!(respond(&mut server, at(10), 200), [Send(RESPONSE)]);
            assert_eq!(server.state(), &State::Completed { timer_j: at(32_010), response: RESPONSE });
        }
    }

    #[test]
    fn responses_after_the_final_one_are_ignored() {
        for status in [100, 200, 500] {
            assert_eq!(respond(&mut after(false, &[200]), at(10), status), []);
        }
    }

    #[test]
    fn timer_j_ends_completed() {
        let mut server = after(false, &[200]);
        server.handle_timeout(at(31_999));
        assert!(!server.is_terminated());
        server.handle_timeout(at(32_000));
        assert!(server.is_terminated());
    }

    #[test]
    fn final_on_a_reliable_transport_terminates_at_once() {
        assert!(after(true, &[200]).is_terminated());
    }

    #[test]
    fn a_transport_error_ends_proceeding_and_completed() {
        for statuses in [&[100][..], &[200]] {
            let (mut server, mut out) = (after(false, statuses), Actions::new());
            server.handle_transport_error(&mut out);
            assert_eq!(out.as_slice(), [TransportFailed]);
            assert!(server.is_terminated());
        }
    }
}
