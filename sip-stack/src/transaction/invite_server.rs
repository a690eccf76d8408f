//! INVITE server transaction: RFC 3261 §17.2.1 and figure 7, with the Accepted state of RFC 6026 §7.1.
//!
//! A 2xx is retransmitted by the transaction user until its ACK comes (§13.3.1.4); a 300–699 by the transaction.

use super::StatusClass;
use super::{Action, Actions, Retransmission, Timing};
use crate::message::Status;
use crate::time::Time;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The states of figure 7 and of RFC 6026, each with the timers that run in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The INVITE was passed up.
    Proceeding {
        /// When 100 Trying leaves unless the user was quicker; none once a response was sent.
        trying: Option<Time>,
        /// The last provisional response.
        response: Option<Bytes>,
    },
    /// A 300–699 was sent.
    Completed {
        /// Timer G; none on a reliable transport.
        timer_g: Option<Retransmission>,
        /// Timer H.
        timer_h: Time,
        /// The response.
        response: Bytes,
    },
    /// The ACK of a 300–699 came.
    Confirmed {
        /// Timer I.
        timer_i: Time,
    },
    /// A 2xx was sent (RFC 6026 §7.1).
    Accepted {
        /// Timer L.
        timer_l: Time,
    },
    /// The end.
    Terminated,
}

/// An INVITE server transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InviteServer {
    reliable: bool,
    timing: Timing,
    state: State,
}

impl InviteServer {
    /// Enters Proceeding; 100 Trying follows in 200 ms unless the user answers before (§17.2.1).
    pub fn new(now: Time, reliable: bool, timing: Timing) -> InviteServer {
        let state = State::Proceeding { trying: Some(now + Timing::TRYING), response: None };
        InviteServer { reliable, timing, state }
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether it is kept for stray messages alone, until its one timer ends it.
    pub fn is_lingering(&self) -> bool {
        matches!(self.state, State::Confirmed { .. } | State::Accepted { .. })
    }

    /// Whether nothing more can happen.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// The INVITE came again.
    pub fn handle_invite(&mut self, out: &mut Actions) {
        match &self.state {
            State::Proceeding { response: Some(response), .. } | State::Completed { response, .. } => {
                out.push(Action::Send(response.clone()));
            }
            // RFC 6026 §7.1: retransmissions in Accepted are absorbed, the user retransmits its 2xx.
            State::Proceeding { response: None, .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// An ACK that matches (§17.2.3). Only the ACK of a 2xx is the user's business (RFC 6026 §7.1).
    pub fn handle_ack(&mut self, now: Time, out: &mut Actions) {
        match &self.state {
            State::Completed { .. } if self.reliable => self.state = State::Terminated,
            State::Completed { .. } => {
                self.state = State::Confirmed { timer_i: now + self.timing.absorb(false) };
            }
            State::Accepted { .. } => out.push(Action::Deliver),
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => {}
        }
    }

    /// The user's response. After a 300–699, or once terminated, it is ignored.
    pub fn respond(&mut self, now: Time, status: Status, response: Bytes, out: &mut Actions) {
        match (&self.state, StatusClass::of(status)) {
            (State::Proceeding { .. }, StatusClass::Provisional) => {
                out.push(Action::Send(response.clone()));
                self.state = State::Proceeding { trying: None, response: Some(response) };
            }
            (State::Proceeding { .. }, StatusClass::Success) => {
                out.push(Action::Send(response));
                self.state = State::Accepted { timer_l: now + self.timing.transaction() };
            }
            (State::Proceeding { .. }, StatusClass::Failure) => {
                out.push(Action::Send(response.clone()));
                let t1 = self.timing.t1();
                let timer_g = (!self.reliable).then(|| Retransmission { at: now + t1, interval: t1 });
                let timer_h = now + self.timing.transaction();
                self.state = State::Completed { timer_g, timer_h, response };
            }
            // RFC 6026 §7.1: the user's retransmissions of its 2xx pass.
            (State::Accepted { .. }, StatusClass::Success) => out.push(Action::Send(response)),
            (State::Accepted { .. }, StatusClass::Provisional | StatusClass::Failure)
            | (
                State::Completed { .. } | State::Confirmed { .. } | State::Terminated,
                StatusClass::Provisional | StatusClass::Success | StatusClass::Failure,
            ) => {}
        }
    }

    /// The transport could not send (§17.2.4). RFC 6026 §7.1: Accepted stays, so that an ACK still finds it.
    pub fn handle_transport_error(&mut self, out: &mut Actions) {
        match self.state {
            State::Proceeding { .. } | State::Completed { .. } => {
                self.state = State::Terminated;
                out.push(Action::TransportFailed);
            }
            State::Accepted { .. } => out.push(Action::TransportFailed),
            State::Confirmed { .. } | State::Terminated => {}
        }
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Actions) {
        match &mut self.state {
            State::Proceeding { trying: trying @ Some(_), .. } if trying.is_some_and(|at| at <= now) => {
                *trying = None;
                out.push(Action::Trying);
            }
            State::Completed { timer_h, .. } if *timer_h <= now => {
                self.state = State::Terminated;
                out.push(Action::TimedOut);
            }
            State::Completed { timer_g: Some(timer_g), response, .. } if timer_g.at <= now => {
                let interval = self.timing.doubled(timer_g.interval);
                *timer_g = Retransmission { at: now + interval, interval };
                out.push(Action::Send(response.clone()));
            }
            State::Confirmed { timer_i } if *timer_i <= now => self.state = State::Terminated,
            State::Accepted { timer_l } if *timer_l <= now => self.state = State::Terminated,
            State::Proceeding { .. }
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// The next moment at which a timer fires.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Proceeding { trying, .. } => *trying,
            State::Completed { timer_g, timer_h, .. } => {
                Some(timer_g.map_or(*timer_h, |timer_g| timer_g.at.min(*timer_h)))
            }
            State::Confirmed { timer_i } => Some(*timer_i),
            State::Accepted { timer_l } => Some(*timer_l),
            State::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::Action::{Deliver, Send, TimedOut, TransportFailed, Trying};

    const RESPONSE: Bytes = Bytes::from_static(b"response");

    fn at(milliseconds: u64) -> Time {
        Time::from_millis(milliseconds)
    }

    fn respond(server: &mut InviteServer, now: Time, status: u16) -> Vec<Action> {
        let mut out = Actions::new();
        server.respond(now, Status::new(status).unwrap(), RESPONSE, &mut out);
        out.into_vec()
    }

    fn collect(step: impl FnOnce(&mut Actions)) -> Vec<Action> {
        let mut out = Actions::new();
        step(&mut out);
        out.into_vec()
    }

    fn after(reliable: bool, statuses: &[u16]) -> InviteServer {
        let mut server = InviteServer::new(at(0), reliable, Timing::default());
        for status in statuses {
            respond(&mut server, at(0), *status);
        }
        server
    }

    fn confirmed() -> InviteServer {
        let mut server = after(false, &[486]);
        assert_eq!(collect(|out| server.handle_ack(at(100), out)), []);
        server
    }

    #[test]
    fn trying_is_sent_when_the_user_is_silent_for_200_ms() {
        let mut server = after(false, &[]);
        assert_eq!(server.poll_timeout(), Some(at(200)));
        assert_eq!(collect(|out| server.handle_timeout(at(200), out)), [Trying]);
        assert_eq!(server.poll_timeout(), None);
    }

    #[test]
    fn provisional_in_proceeding_is_sent_and_kept() {
        let mut server = after(false, &[]);
        assert_eq!(respond(&mut server, at(0), 180), [Send(RESPONSE)]);
        assert_eq!(collect(|out| server.handle_invite(out)), [Send(RESPONSE)]);
        assert_eq!(server.poll_timeout(), None);
    }

    #[test]
    fn an_invite_again_before_any_response_is_absorbed() {
        let mut server = after(false, &[]);
        assert_eq!(collect(|out| server.handle_invite(out)), []);
    }

    #[test]
    fn failure_in_proceeding_completes_and_starts_timers_g_and_h() {
        let mut server = after(false, &[180]);
        assert_eq!(respond(&mut server, at(0), 486), [Send(RESPONSE)]);
        assert_eq!(server.poll_timeout(), Some(at(500)));
        assert_eq!(collect(|out| server.handle_invite(out)), [Send(RESPONSE)]);
    }

    #[test]
    fn timer_g_doubles_up_to_t2_until_timer_h_at_64_t1() {
        let mut server = after(false, &[486]);
        let mut sent = Vec::new();
        while let Some(now) = server.poll_timeout() {
            let actions = collect(|out| server.handle_timeout(now, out));
            if actions == [TimedOut] {
                assert_eq!(now, at(32_000));
                break;
            }
            assert_eq!(actions, [Send(RESPONSE)]);
            sent.push(now);
        }
        let expected = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(sent, expected.map(at));
        assert!(server.is_terminated());
    }

    #[test]
    fn timer_g_is_off_on_a_reliable_transport() {
        let server = after(true, &[486]);
        assert_eq!(server.poll_timeout(), Some(at(32_000)));
    }

    #[test]
    fn ack_in_completed_confirms_and_stops_timers_g_and_h() {
        let server = confirmed();
        assert_eq!(server.state(), &State::Confirmed { timer_i: at(5_100) });
    }

    #[test]
    fn ack_on_a_reliable_transport_terminates_at_once() {
        let mut server = after(true, &[486]);
        assert_eq!(collect(|out| server.handle_ack(at(1), out)), []);
        assert!(server.is_terminated());
    }

    #[test]
    fn ack_and_invite_in_confirmed_are_absorbed() {
        let mut server = confirmed();
        assert_eq!(collect(|out| server.handle_ack(at(200), out)), []);
        assert_eq!(collect(|out| server.handle_invite(out)), []);
        assert_eq!(server.poll_timeout(), Some(at(5_100)));
    }

    #[test]
    fn timer_i_ends_confirmed() {
        let mut server = confirmed();
        assert_eq!(collect(|out| server.handle_timeout(at(5_100), out)), []);
        assert!(server.is_terminated());
    }

    #[test]
    fn success_in_proceeding_is_sent_and_accepted() {
        let mut server = after(false, &[180]);
        assert_eq!(respond(&mut server, at(50), 200), [Send(RESPONSE)]);
        assert_eq!(server.state(), &State::Accepted { timer_l: at(32_050) });
    }

    #[test]
    fn invite_in_accepted_is_absorbed() {
        let mut server = after(false, &[200]);
        assert_eq!(collect(|out| server.handle_invite(out)), []);
    }

    #[test]
    fn success_in_accepted_is_sent_again() {
        let mut server = after(false, &[200]);
        assert_eq!(respond(&mut server, at(500), 200), [Send(RESPONSE)]);
        assert_eq!(server.poll_timeout(), Some(at(32_000)));
    }

    #[test]
    fn ack_in_accepted_reaches_the_user() {
        let mut server = after(false, &[200]);
        assert_eq!(collect(|out| server.handle_ack(at(100), out)), [Deliver]);
        assert_eq!(server.state(), &State::Accepted { timer_l: at(32_000) });
    }

    #[test]
    fn timer_l_ends_accepted() {
        let mut server = after(false, &[200]);
        assert_eq!(collect(|out| server.handle_timeout(at(32_000), out)), []);
        assert!(server.is_terminated());
    }

    #[test]
    fn ack_in_proceeding_is_ignored() {
        let mut server = after(false, &[180]);
        assert_eq!(collect(|out| server.handle_ack(at(100), out)), []);
        assert!(matches!(server.state(), State::Proceeding { .. }));
    }

    #[test]
    fn responses_after_a_final_one_are_ignored() {
        for (first, later) in [(486, 180), (486, 200), (486, 500), (200, 180), (200, 486)] {
            let mut server = after(false, &[first]);
            assert_eq!(respond(&mut server, at(10), later), [], "{later} after {first}");
        }
    }

    #[test]
    fn a_transport_error_ends_proceeding_and_completed_but_not_accepted() {
        for (statuses, ended) in [(&[][..], true), (&[486], true), (&[200], false)] {
            let mut server = after(false, statuses);
            assert_eq!(collect(|out| server.handle_transport_error(out)), [TransportFailed]);
            assert_eq!(server.is_terminated(), ended);
        }
    }
}
