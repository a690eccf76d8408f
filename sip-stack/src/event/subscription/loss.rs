//! What is done about a subscription that is lost: it is made anew at once, later, or not at all (RFC 6665 §4.1.2.2, §4.1.3).

use super::super::Reason;
use super::super::reason::Resubscribe;
use super::machine::{Attempt, SETTLED, Subscription};
use super::usage::ends_subscription;
use super::{Event, Failure, Output, Ticket};
use crate::dialog::DialogId;
use crate::message::Status;
use crate::random::Random;
use crate::registration::wait;
use crate::time::Time;
use core::time::Duration;

impl Subscription {
    pub(super) fn on_terminated(
        &mut self,
        now: Time,
        dialog: DialogId,
        reason: Reason,
        retry_after: Option<Duration>,
        random: &mut Random,
    ) {
        self.drop_usage(dialog, reason);
        if self.expires_s == 0 {
            self.wanted = false;
        }
        self.mend(now, Failure::Terminated(reason), retry_after, random);
    }

    pub(super) fn drop_usage(&mut self, dialog: DialogId, reason: Reason) {
        self.usages.retain(|usage| usage.dialog != dialog);
        self.outputs.push_back(Output::Forget(dialog));
        self.outputs.push_back(Output::Event(Event::Terminated { dialog, reason }));
    }

    /// A SUBSCRIBE failed.
    pub(super) fn fail(
        &mut self,
        now: Time,
        ticket: Ticket,
        failure: Failure,
        retry_after: Option<Duration>,
        random: &mut Random,
    ) {
        match ticket.dialog {
            None => {
                if self.asked(ticket).is_none_or(|attempt| attempt.heard) {
                    return;
                }
                if let Some(attempt) = self.attempt.take() {
                    self.close(attempt);
                }
                self.mend(now, failure, retry_after, random);
            }
            Some(dialog) => {
                let usage = self.usage_mut(dialog);
                let Some(usage) = usage.filter(|usage| usage.asking(ticket.number).is_some()) else { return };
                let ends = usage.asking(ticket.number).is_some_and(|asking| asking.ends);
                let lasts = match failure {
                    Failure::Refused(status) => !ends_subscription(status),
                    Failure::WrongCredentials | Failure::UnknownAuthentication | Failure::Nonsense => true,
                    Failure::TimedOut
                    | Failure::TransportFailed
                    | Failure::NoNotify
                    | Failure::Terminated(_) => false,
                };
                if lasts && !ends {
                    // §4.1.2.2
                    let wait = wait::after(1, false, retry_after, random).max(Duration::from_secs(1));
                    return usage.rest_until(now + wait);
                }
                self.drop_usage(dialog, Reason::Timeout);
                self.mend(now, failure, retry_after, random);
            }
        }
    }

    /// Something was lost: subscribes anew, at once, later or not at all.
    pub(super) fn mend(
        &mut self,
        now: Time,
        failure: Failure,
        retry_after: Option<Duration>,
        random: &mut Random,
    ) {
        if !self.usages.is_empty() || self.attempt.as_ref().is_some_and(|attempt| !attempt.heard) {
            return;
        }
        if !self.wanted {
            return self.tell_if_over();
        }
        let (again, retry_after) = match failure {
            Failure::Terminated(reason) => {
                let obeys = matches!(reason, Reason::Probation | Reason::GiveUp | Reason::Unknown);
                (reason.resubscribe(), retry_after.filter(|_| obeys))
            }
            // The notifier has forgotten us: it was started anew.
            Failure::Refused(Status::CALL_DOES_NOT_EXIST) if self.failures == 0 => {
                (Resubscribe::Now, retry_after)
            }
            failure if failure.is_passing() || retry_after.is_some() => (Resubscribe::Later, retry_after),
            _ => (Resubscribe::Never, None),
        };
        let is_settled = now.since(self.since) >= SETTLED;
        let retry = match again {
            Resubscribe::Now if is_settled => {
                self.since = now;
                return self.begin(now, random);
            }
            Resubscribe::Now | Resubscribe::Later => {
                self.failures = self.failures.saturating_add(1);
                Some(wait::after(self.failures, false, retry_after, random))
            }
            Resubscribe::Never => None,
        };
        self.retry_at = retry.map(|wait| now + wait);
        self.outputs.push_back(Output::Event(Event::Failed { failure, retry }));
    }

    /// Late NOTIFYs of the attempt make no dialog any more.
    pub(super) fn close(&mut self, attempt: Attempt) {
        let Attempt { call_id, tag, .. } = attempt;
        self.outputs.push_back(Output::ExpectNoMore { call_id, tag });
    }

    pub(super) fn tell_if_over(&mut self) {
        let waits = self.attempt.as_ref().is_some_and(|attempt| !attempt.heard);
        if !self.wanted && self.usages.is_empty() && !waits {
            if let Some(attempt) = self.attempt.take() {
                self.close(attempt);
            }
            self.outputs.push_back(Output::Event(Event::Ended));
        }
    }
}
