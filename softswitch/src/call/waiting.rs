//! The partner of a phone that has sent it to somebody else and hung up: it waits, in a call of which it is the caller, until
//! somebody answers. Its session lives meanwhile: it is refreshed (`refresh`), and what the party asks for is answered here, in
//! what it names, as nobody is there yet who would have to understand it.
//!
//! Left out on purpose: music while it waits.

use super::agreement::Agreement;
use super::call::{Call, Side};
use super::formats::Formats;
use crate::core::environment::Environment;
use bytes::Bytes;
use sip_stack::message::{Message, Status};
use sip_stack::sdp::AudioOffer;

impl Call {
    /// Our description for the 2xx to a re-INVITE or UPDATE of who waits.
    pub(super) fn renegotiate_waiting(
        &mut self,
        env: &mut Environment,
        message: &Message,
        offer: Option<AudioOffer>,
    ) -> Result<Bytes, Status> {
        let refused = Status::NOT_ACCEPTABLE_HERE;
        let Some(offer) = offer else {
            self.caller_leg.awaiting_answer = true;
            let spoken = self.caller_leg.session.agreed.clone().ok_or(refused)?;
            return Ok(self.caller_leg.session.offer(&spoken, None));
        };
        let ptime_ms = offer.ptime_ms;
        let told = self.take_waiting(env, offer).ok_or(refused)?;
        Ok(self.caller_leg.session.answer(message, &told, ptime_ms))
    }

    /// Takes a description of who waits; what it is told of codecs.
    pub(super) fn take_waiting(&mut self, env: &mut Environment, offer: AudioOffer) -> Option<Formats> {
        let offer = self.taken(Side::Caller, offer);
        let known = Formats::from(&offer);
        let told = Agreement::between(&known, &known, [None, None], false)?.caller;
        let session = &mut self.caller_leg.session;
        (session.remote, session.agreed) = (Some(offer), Some(told.clone()));
        self.configure(env, Side::Caller);
        Some(told)
    }
}
