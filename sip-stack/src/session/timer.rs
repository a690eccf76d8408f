//! The session timer of a dialog (RFC 4028): whether the session is kept alive, by whom, and until when.
//!
//! Each side of a dialog has one. It writes the headers of session refresh requests (INVITE and UPDATE) and of their 2xx, reads
//! those of the peer, and says when to refresh or to end the session. Left out on purpose: a session timer against a peer
//! that knows nothing of it (§7.2 allows it); such sessions have none.

use crate::header::{HeaderName, Refresher, SessionExpires};
use crate::message::{Message, Method, Writer};
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The option tag.
pub const TIMER: &str = "timer";
/// What Min-SE is where it is not said, and the least that may be asked for (§5).
const LEAST_S: u32 = 90;

/// What a user agent wants of the sessions it takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerPolicy {
    /// The interval that it asks for, in seconds; `None`: it asks for none and takes what the peer wants.
    pub interval_s: Option<u32>,
    /// The shortest that it takes, in seconds; less than 90 counts as 90 (§9).
    pub min_se_s: u32,
}

impl Default for TimerPolicy {
    /// Half an hour, which §4 recommends.
    fn default() -> TimerPolicy {
        TimerPolicy { interval_s: Some(1_800), min_se_s: LEAST_S }
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send a session refresh request.
    Refresh,
    /// Nobody has refreshed the session: end it (§10).
    Expired,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    interval_s: u32,
    ours: bool,
    /// When the session was refreshed last.
    since: Time,
    /// A refresh was asked for already.
    asked: bool,
}

impl Running {
    fn after(&self, seconds: u64) -> Time {
        self.since + Duration::from_secs(seconds)
    }

    /// §10: half the interval for who refreshes; for who waits, and for who has asked in vain, a little before its end.
    fn due(&self) -> Time {
        let interval = u64::from(self.interval_s);
        if self.ours && !self.asked {
            self.after(interval / 2)
        } else {
            self.after(interval - 32.min(interval / 3))
        }
    }
}

/// The session timer of one dialog.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SessionTimer {
    policy: TimerPolicy,
    /// The largest Min-SE that has come (§7.4).
    min_se_s: Option<u32>,
    running: Option<Running>,
    /// Whether the peer said that it takes UPDATE (§7.4).
    peer_updates: bool,
}

/// Why a session refresh request is refused: 422 with this Min-SE (§9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall {
    /// For [`SessionTimer::write_too_small`].
    pub min_se_s: u32,
}

impl SessionTimer {
    /// Before anything was agreed.
    pub fn new(policy: TimerPolicy) -> SessionTimer {
        SessionTimer { policy, min_se_s: None, running: None, peer_updates: false }
    }

    /// Whether a session refresh is better an UPDATE without an offer than a re-INVITE (§7.4).
    pub fn refreshes_by_update(&self) -> bool {
        self.peer_updates
    }

    /// The shortest interval that both of us take.
    fn least(&self) -> u32 {
        self.policy.min_se_s.max(LEAST_S).max(self.min_se_s.unwrap_or(0))
    }

    /// Writes what a session refresh request says besides `Supported: timer`, which belongs to the other option tags
    /// (§7.1, §7.4).
    pub fn write_request(&self, writer: &mut Writer) {
        let (seconds, refresher) = match self.running {
            Some(Running { interval_s, ours, .. }) => {
                (Some(interval_s), Some(if ours { Refresher::Uac } else { Refresher::Uas }))
            }
            None => (self.policy.interval_s, None),
        };
        if let Some(seconds) = seconds {
            let least = if self.min_se_s.is_some() { self.least() } else { LEAST_S };
            let expires = SessionExpires { seconds: seconds.max(least), refresher };
            writer.header(HeaderName::SessionExpires, &expires.value());
        }
        if self.min_se_s.is_some() {
            writer.number(HeaderName::MinSe, u64::from(self.least()));
        }
    }

    /// Looks at a session refresh request of the peer before it is accepted.
    ///
    /// # Errors
    /// The interval that it asks for is too short, and it understands the refusal (§9).
    pub fn check(&self, request: &Message) -> Result<(), TooSmall> {
        let min_se_s = self.policy.min_se_s.max(LEAST_S);
        match request.session_expires() {
            Ok(Some(asked)) if asked.seconds < min_se_s && request.supports(TIMER) => {
                Err(TooSmall { min_se_s })
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Writes what a 422 says (§9).
    pub fn write_too_small(too_small: TooSmall, writer: &mut Writer) {
        writer.number(HeaderName::MinSe, u64::from(too_small.min_se_s));
    }

    /// Our 2xx to a session refresh request of the peer is about to leave: writes its headers, and the session begins anew
    /// (§9, table 2).
    pub fn answer(&mut self, now: Time, request: &Message, writer: &mut Writer) {
        self.learn(request);
        let asked = request.session_expires().ok().flatten();
        let knows = request.supports(TIMER);
        if let Ok(Some(min_se)) = request.min_se() {
            self.min_se_s = Some(self.min_se_s.map_or(min_se, |known| known.max(min_se)));
        }
        // §9: never more than was asked for, never less than Min-SE.
        let seconds = match (asked, self.policy.interval_s) {
            (Some(asked), ours) => ours
                .filter(|ours| *ours < asked.seconds && knows)
                .map_or(asked.seconds, |ours| ours.max(self.least()).min(asked.seconds)),
            (None, Some(ours)) if knows => ours.max(self.least()),
            (None, _) => {
                self.running = None;
                return;
            }
        };
        let refresher = match asked.and_then(|asked| asked.refresher) {
            Some(refresher) if knows => refresher,
            // Who refreshes already goes on; at first the peer does, which finds out so that we are gone.
            None if knows && !self.running.is_some_and(|running| running.ours) => Refresher::Uac,
            Some(_) | None => Refresher::Uas,
        };
        writer.header(
            HeaderName::SessionExpires,
            &SessionExpires { seconds, refresher: Some(refresher) }.value(),
        );
        if knows {
            writer.header(HeaderName::Require, TIMER.as_bytes());
        }
        self.start(now, seconds, refresher == Refresher::Uas);
    }

    /// A 2xx came to a session refresh request of ours (§7.2): the session begins anew, or has no end any more.
    pub fn handle_success(&mut self, now: Time, response: &Message) {
        self.learn(response);
        match response.session_expires() {
            Ok(Some(expires)) => {
                // One without a refresher is a fault of the peer's; that it is us does no harm.
                self.start(now, expires.seconds, expires.refresher != Some(Refresher::Uas));
            }
            Ok(None) | Err(_) => self.running = None,
        }
    }

    /// A 422 came (§7.3, §7.4); whether the request is worth another try, with what this timer writes then.
    pub fn handle_too_small(&mut self, response: &Message) -> bool {
        let Ok(Some(min_se)) = response.min_se() else { return false };
        let is_more = self.min_se_s.is_none_or(|known| known < min_se);
        self.min_se_s = Some(self.min_se_s.map_or(min_se, |known| known.max(min_se)));
        is_more
    }

    /// What was learnt of Min-SE before there was a dialog does not count in it (§7.4).
    pub fn forget_min_se(&mut self) {
        self.min_se_s = None;
    }

    /// Learns from a message of the peer what it can do.
    pub fn learn(&mut self, message: &Message) {
        if message.header(HeaderName::Allow).is_some() {
            self.peer_updates = message.allows(Method::Update);
        }
    }

    fn start(&mut self, now: Time, seconds: u32, ours: bool) {
        // Whatever a peer writes, the session lasts longer than a transaction.
        let interval_s = seconds.max(LEAST_S);
        self.running = Some(Running { interval_s, ours, since: now, asked: false });
    }

    /// What is due by now. A refresh is asked for once; when it comes to nothing the session expires.
    pub fn handle_timeout(&mut self, now: Time) -> Option<Due> {
        let running = self.running.as_mut().filter(|running| running.due() <= now)?;
        if running.ours && !running.asked {
            running.asked = true;
            return Some(Due::Refresh);
        }
        self.running = None;
        Some(Due::Expired)
    }

    /// When [`SessionTimer::handle_timeout`] has something to say.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.running.as_ref().map(Running::due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Status;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn message(head: &str, fields: &str) -> Message {
        let text = format!(
            "{head}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\n\
             CSeq: 1 INVITE\r\n{fields}\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn request(fields: &str) -> Message {
        message("INVITE sip:b@h SIP/2.0", fields)
    }

    fn ok(fields: &str) -> Message {
        message("SIP/2.0 200 OK", fields)
    }

    fn written(write: impl FnOnce(&mut Writer)) -> Message {
        let mut writer = Writer::status(Status::OK, b"");
        writer.header(HeaderName::Via, b"SIP/2.0/UDP h;branch=z9hG4bK1");
        write(&mut writer);
        Message::parse(writer.finish()).unwrap()
    }

    fn asked_by(timer: &SessionTimer) -> Option<(u32, Option<Refresher>)> {
        let message = written(|writer| timer.write_request(writer));
        message.session_expires().unwrap().map(|asked| (asked.seconds, asked.refresher))
    }

    const NOW: Time = Time(0);

    #[test]
    fn who_is_answered_is_told_the_interval_and_who_refreshes_by_table_2() {
        let answer = |fields: &str| {
            let mut timer = SessionTimer::new(TimerPolicy::default());
            let answered = written(|writer| timer.answer(NOW, &request(fields), writer));
            let expires = answered.session_expires().unwrap();
            (expires.map(|expires| (expires.seconds, expires.refresher.unwrap())), answered.requires(TIMER))
        };
        assert_eq!(answer("x: 600\r\n"), (Some((600, Refresher::Uas)), false), "it was a proxy that asked");
        assert_eq!(answer("x: 600\r\nk: timer\r\n"), (Some((600, Refresher::Uac)), true));
        assert_eq!(answer("x: 600;refresher=uas\r\nk: timer\r\n"), (Some((600, Refresher::Uas)), true));
        assert_eq!(answer("x: 600;refresher=uac\r\nk: timer\r\n"), (Some((600, Refresher::Uac)), true));
        assert_eq!(answer("k: timer\r\n"), (Some((1_800, Refresher::Uac)), true), "we ask");
        assert_eq!(answer(""), (None, false), "it knows nothing of it");
        assert_eq!(
            answer("x: 7200\r\nk: timer\r\n"),
            (Some((1_800, Refresher::Uac)), true),
            "less is allowed"
        );
        assert_eq!(answer("x: 7200\r\nMin-SE: 3600\r\nk: timer\r\n"), (Some((3_600, Refresher::Uac)), true));
    }

    #[test]
    fn an_interval_below_our_least_is_refused_to_who_understands_it() {
        let timer = SessionTimer::new(TimerPolicy { interval_s: None, min_se_s: 300 });
        assert_eq!(timer.check(&request("x: 299\r\nk: timer\r\n")), Err(TooSmall { min_se_s: 300 }));
        assert_eq!(timer.check(&request("x: 300\r\nk: timer\r\n")), Ok(()));
        assert_eq!(timer.check(&request("x: 100\r\n")), Ok(()));
        let timer = SessionTimer::new(TimerPolicy { interval_s: None, min_se_s: 1 });
        assert_eq!(timer.check(&request("x: 89\r\nk: timer\r\n")), Err(TooSmall { min_se_s: 90 }));
    }

    #[test]
    fn a_422_raises_what_is_asked_for_and_the_same_one_again_ends_it() {
        let mut timer = SessionTimer::new(TimerPolicy { interval_s: Some(100), min_se_s: 90 });
        assert_eq!(asked_by(&timer), Some((100, None)));
        assert!(timer.handle_too_small(&ok("Min-SE: 600\r\n")));
        assert_eq!(asked_by(&timer), Some((600, None)));
        let message = written(|writer| timer.write_request(writer));
        assert_eq!(message.min_se(), Ok(Some(600)));
        assert!(!timer.handle_too_small(&ok("Min-SE: 600\r\n")));
        assert!(!timer.handle_too_small(&ok("")));
    }

    #[test]
    fn the_refresher_refreshes_at_half_and_the_roles_stay() {
        let mut timer = SessionTimer::new(TimerPolicy::default());
        timer.handle_success(NOW, &ok("x: 600;refresher=uac\r\nAllow: INVITE, UPDATE\r\n"));
        assert!(timer.refreshes_by_update());
        assert_eq!(timer.poll_timeout(), Some(Time::from_millis(300_000)));
        assert_eq!(timer.handle_timeout(Time::from_millis(299_999)), None);
        assert_eq!(timer.handle_timeout(Time::from_millis(300_000)), Some(Due::Refresh));
        assert_eq!(asked_by(&timer), Some((600, Some(Refresher::Uac))));
        let later = Time::from_millis(300_100);
        timer.handle_success(later, &ok("x: 600;refresher=uac\r\n"));
        assert_eq!(timer.poll_timeout(), Some(Time::from_millis(600_100)));
        timer.handle_success(later, &ok(""));
        assert_eq!(timer.poll_timeout(), None, "a 2xx without it turns it off");
    }

    #[test]
    fn a_refresh_in_vain_and_a_peer_that_does_not_refresh_end_the_session_before_its_time() {
        let mut timer = SessionTimer::new(TimerPolicy::default());
        timer.handle_success(NOW, &ok("x: 90;refresher=uac\r\n"));
        assert_eq!(timer.handle_timeout(Time::from_millis(45_000)), Some(Due::Refresh));
        assert_eq!(timer.poll_timeout(), Some(Time::from_millis(60_000)));
        assert_eq!(timer.handle_timeout(Time::from_millis(60_000)), Some(Due::Expired));
        timer.handle_success(NOW, &ok("x: 600;refresher=uas\r\n"));
        assert_eq!(timer.handle_timeout(Time::from_millis(567_999)), None);
        assert_eq!(timer.handle_timeout(Time::from_millis(568_000)), Some(Due::Expired));
        assert_eq!((timer.handle_timeout(Time::from_millis(999_000)), timer.poll_timeout()), (None, None));
    }

    #[test]
    fn who_is_asked_again_by_its_peer_refreshes_on() {
        let mut timer = SessionTimer::new(TimerPolicy::default());
        timer.handle_success(NOW, &ok("x: 600;refresher=uac\r\n"));
        let answered = written(|writer| timer.answer(NOW, &request("k: timer\r\n"), writer));
        assert_eq!(answered.session_expires().unwrap().unwrap().refresher, Some(Refresher::Uas));
    }

    proptest! {
        #[test]
        fn two_timers_agree_on_the_interval_and_on_who_refreshes(
            intervals: [Option<u16>; 2], least in [0..2_000_u32, 0..2_000], knows: bool,
        ) {
            let policy = |side: usize| TimerPolicy { interval_s: intervals[side].map(u32::from), min_se_s: least[side] };
            let (mut caller, mut callee) = (SessionTimer::new(policy(0)), SessionTimer::new(policy(1)));
            let mut asked = None;
            for _ in 0..3 {
                let request = written(|writer| {
                    if knows {
                        writer.header(HeaderName::Supported, b"timer");
                        caller.write_request(writer);
                    }
                });
                let Err(too_small) = callee.check(&request) else {
                    asked = Some(request);
                    break;
                };
                let refusal = written(|writer| SessionTimer::write_too_small(too_small, writer));
                prop_assert!(caller.handle_too_small(&refusal), "a second try helps");
            }
            let request = asked.expect("the second try is long enough");
            let answer = written(|writer| callee.answer(NOW, &request, writer));
            caller.handle_success(NOW, &answer);
            let ours = |timer: &SessionTimer| timer.running.map(|running| (running.interval_s, running.ours));
            match (ours(&caller), ours(&callee)) {
                (None, None) => prop_assert!(!knows || (intervals[0].is_none() && intervals[1].is_none())),
                (Some((one, first)), Some((other, second))) => {
                    prop_assert_eq!(one, other);
                    prop_assert!(first != second, "one of them refreshes");
                    prop_assert!(one >= 90);
                }
                (one, other) => prop_assert!(false, "{:?} and {:?}", one, other),
            }
        }
    }
}
