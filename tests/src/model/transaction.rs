//! Transactions as client and server must keep them (RFC 3261 §17), seen from the wire.

use super::dialog::DialogKey;
use super::offence::Offence;
use bytes::Bytes;
use sip_stack::Time;
use std::net::SocketAddr;
use std::time::Duration;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

/// Client, branch, method.
pub(super) type TransactionKey = (SocketAddr, Bytes, Bytes);

/// What a client has sent.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) bytes: Bytes,
    pub(super) line: String,
    pub(super) is_invite: bool,
    pub(super) cseq: u32,
    /// The dialog it is in.
    pub(super) dialog: Option<DialogKey>,
    pub(super) sent: Sent,
    pub(super) provisional: bool,
    pub(super) finally: Option<u16>,
    /// When it was sent first.
    began: Time,
    /// When its CANCEL was sent.
    pub(super) cancelled: Option<Time>,
    /// When the first final response came.
    ended: Time,
    /// Failures that have come, and ACKs of them that have not left.
    pub(super) acks_due: u32,
    pub(super) ack: Option<Bytes>,
    pub(super) asked: Time,
}

/// How often something was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    times: u32,
    last: Time,
}

impl Sent {
    /// It is sent again; whether a timer can have fired that begins with T1 and doubles up to `most`.
    pub(super) fn again(&mut self, now: Time, most: Option<Duration>) -> bool {
        let interval = T1 * (1 << (self.times.max(1) - 1).min(10));
        let interval = most.map_or(interval, |most| interval.min(most));
        let in_time = self.times == 0 || now.since(self.last) >= interval;
        (self.times, self.last) = (self.times + 1, now);
        in_time
    }
}

impl Client {
    pub(super) fn new(now: Time, bytes: &Bytes, is_invite: bool, cseq: u32) -> Client {
        let mut sent = Sent::default();
        sent.again(now, None);
        Client {
            bytes: bytes.clone(),
            line: super::line(bytes),
            is_invite,
            cseq,
            dialog: None,
            sent,
            provisional: false,
            finally: None,
            began: now,
            cancelled: None,
            ended: now,
            acks_due: 0,
            ack: None,
            asked: now,
        }
    }

    /// The request is sent again.
    pub(super) fn on_again(&mut self, now: Time, bytes: &Bytes) -> Option<Offence> {
        if self.bytes != bytes {
            return Some(Offence::RequestChanged);
        }
        if self.finally.is_some() || (self.is_invite && self.provisional) {
            return Some(Offence::SentAgainAfterAnswer);
        }
        let most = (!self.is_invite).then_some(T2);
        (!self.sent.again(now, most)).then_some(Offence::SentAgainTooSoon)
    }

    /// A response came.
    pub(super) fn on_response(&mut self, now: Time, status: u16) {
        match status {
            100..200 => self.provisional = true,
            _ => {
                let success = self.finally.is_some_and(|first| first < 300);
                if self.finally.replace(self.finally.unwrap_or(status)).is_none() {
                    self.ended = now;
                }
                // After a 2xx a failure is not looked at (RFC 6026 §7.2), nor the other way round.
                if self.is_invite && status >= 300 && !success {
                    self.acks_due += 1;
                    self.asked = now;
                }
            }
        }
    }

    /// Whether it no longer looks at responses: after Timers B, D and M, and 64·T1 after a CANCEL (§9.1).
    pub(super) fn is_past(&self, now: Time) -> bool {
        let last = match (self.finally, self.cancelled) {
            (Some(_), _) => self.ended,
            (None, Some(cancelled)) => cancelled,
            (None, None) if self.provisional => return false,
            (None, None) => self.began,
        };
        now.since(last) >= T1 * 64
    }

    /// The ACK of a failure.
    pub(super) fn on_ack(&mut self, bytes: &Bytes) -> Option<Offence> {
        if self.finally.is_none_or(|status| status < 300) {
            return Some(Offence::StrangeAck);
        }
        if self.ack.get_or_insert_with(|| bytes.clone()) != bytes {
            return Some(Offence::AckChanged);
        }
        if self.acks_due == 0 {
            return Some(Offence::AckUnasked);
        }
        self.acks_due -= 1;
        None
    }
}

/// What a server has to answer.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) line: String,
    pub(super) is_invite: bool,
    /// When it came first.
    pub(super) came: Time,
    /// When it came last.
    pub(super) copy: Time,
    pub(super) finally: Option<(u16, Bytes)>,
    pub(super) sent: Sent,
    pub(super) acknowledged: bool,
    /// The dialog it is in, when its server had that then.
    pub(super) dialog: Option<DialogKey>,
}

impl Server {
    /// A response leaves.
    pub(super) fn on_response(&mut self, now: Time, status: u16, bytes: &Bytes) -> Option<Offence> {
        let repeated = self.copy == now;
        match (&self.finally, status) {
            (None, 100..200) => return None,
            (None, _) => {
                self.finally = Some((status, bytes.clone()));
                self.sent.again(now, None);
                return None;
            }
            (Some(_), 100..200) => return (!repeated).then_some(Offence::ProvisionalAfterFinal),
            // A REGISTER is answered without a transaction (§8.2.7); a late copy of it may be challenged.
            (Some(_), 401) if self.line.starts_with("REGISTER") => return None,
            // That there is no such dialog is said without one either; the dialog may be there when the request comes again.
            (Some((481, _)), _) if repeated => {
                self.finally = Some((status, bytes.clone()));
                return None;
            }
            (Some((first, _)), _) if *first != status => return Some(Offence::TwoFinals),
            (Some((_, first)), 200..300) if self.is_invite && first != bytes => {
                return Some(Offence::AnswerChanged);
            }
            (Some(_), _) => {}
        }
        if repeated {
            // It answers a request that came again.
            return None;
        }
        if self.acknowledged {
            return Some(Offence::SentAgainAfterAck);
        }
        if !self.is_invite {
            return Some(Offence::SentAgainTooSoon);
        }
        let in_time = status >= 300 || self.sent.again(now, Some(T2));
        (!in_time).then_some(Offence::SentAgainTooSoon)
    }
}
