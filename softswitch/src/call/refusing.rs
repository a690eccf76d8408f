//! A call that comes to nothing, and whose caller is told why in words before the failure: early media (RFC 3960 §3.1), where the
//! configuration wants it. Nobody waits for it who could be connected.
//!
//! Left out on purpose: other reasons than a number that there is not and a caller who does not say who it is.

use super::agreement::Agreement;
use super::call::{Call, Phase, Side};
use super::formats::Formats;
use super::speech::About;
use crate::core::environment::{Environment, write_abilities};
use crate::store::EndedBy;
use core::time::Duration;
use sip_stack::message::Status;

/// The longest announcement, should word of its end not come.
const LONGEST: Duration = Duration::from_secs(30);
/// What was played last is still in the network, and in the buffer of the phone, when it has left.
const LAST_WORDS: Duration = Duration::from_millis(300);

impl Call {
    /// The port is there: the caller is told, if it can hear us; else it is refused at once.
    pub(super) fn tell_refusal(&mut self, env: &mut Environment) {
        let status = self.destination.refusal.unwrap_or(Status::NOT_FOUND);
        self.caller_leg.session.port = self.media(Side::Caller).port;
        self.phase = Phase::Refusing { status, until: env.now + LONGEST };
        let remote = self.caller_leg.session.remote.clone();
        let format =
            remote.as_ref().and_then(|remote| Agreement::with_us(&Formats::from(remote), Some(remote)));
        let prompt = match status {
            Status::ANONYMITY_DISALLOWED => "call/anonymous-refused",
            _ => "call/unknown-number",
        };
        let files = self.prompt(env, prompt);
        let Some((told, format)) = format.filter(|_| self.speech.add(About::Refusal, files)) else {
            return self.refuse_caller(env, status, EndedBy::Switch);
        };
        let message = self.invitation.request.message.clone();
        let ptime_ms = remote.and_then(|remote| remote.ptime_ms);
        let body = self.caller_leg.session.answer(&message, &told, ptime_ms);
        self.configure(env, Side::Caller);
        self.mix_alone(env, format);
        let mut progress = self.response(env, Status::SESSION_PROGRESS);
        write_abilities(&mut progress);
        progress.body(super::session::SDP, &body);
        self.respond_with_description(env, Status::SESSION_PROGRESS, progress);
    }

    /// All has been said: the refusal comes when it was heard.
    pub(super) fn handle_refusal_said(&mut self, env: &Environment) {
        if let Phase::Refusing { until, .. } = &mut self.phase {
            *until = env.now + LAST_WORDS;
        }
    }
}
