//! The way to the server of an account (RFC 3263 §4): whoever drives the phone finds it, the phone says when it is needed and when it
//! has failed.
//!
//! What needs a way and has none waits for it: a REGISTER, the INVITE of a call. Requests within a dialog go where the dialog
//! leads. A request that was lost, or answered with 503, is sent once more over the next way, as a new transaction with the same
//! Call-ID (§4.3); when there is none, the user hears why.
//!
//! An account that was made with its flow ([`Account::server`](super::Account::server)) has it for ever, unless
//! [`Phone::find_server`] was called.

use super::call::{Call, Phase};
use super::{AccountId, CallId, Ending, MediaCommand, Output, Phone, Reason, Unreached};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::resolve::Failure;
use sip_stack::transport::Flow;

/// What is known of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Way {
    /// It is what the account was made with.
    Fixed,
    /// Nothing, and nobody needs it now.
    Unknown,
    /// It is being looked for.
    Asked,
    /// It is the flow of the account.
    Found,
}

impl Phone {
    /// The way to the server of an account is to be found by [`Output::Locate`], when it is needed.
    pub fn find_server(&mut self, account: AccountId) {
        self.identity_mut(account).0.way = Way::Unknown;
    }

    /// Whether there is a way; if not, it is asked for.
    pub(super) fn has_way(&mut self, account: AccountId) -> bool {
        let identity = self.identity_mut(account).0;
        match identity.way {
            Way::Fixed | Way::Found => true,
            Way::Asked => false,
            Way::Unknown => {
                identity.way = Way::Asked;
                self.outputs.push_back(Output::Locate { account, failed: None });
                false
            }
        }
    }

    /// A request failed: whether it has to wait for another way. `because` is what the user hears when there is none.
    pub(super) fn looks_on(&mut self, account: AccountId, failure: Failure, because: Reason) -> bool {
        let identity = self.identity_mut(account).0;
        match identity.way {
            Way::Fixed => false,
            Way::Asked => true,
            Way::Unknown | Way::Found => {
                (identity.way, identity.because) = (Way::Asked, Some(because));
                self.outputs.push_back(Output::Locate { account, failed: Some(failure) });
                true
            }
        }
    }

    /// The search for a way has ended. `Err(None)`: whatever was tried has failed.
    pub(super) fn on_way(&mut self, now: Time, account: AccountId, way: Result<Flow, Option<Reason>>) {
        let waiting = self.waiting(account);
        let identity = self.identity_mut(account).0;
        if identity.way == Way::Fixed {
            return;
        }
        let because = identity.because.take();
        match way {
            Ok(flow) => {
                let moved = core::mem::replace(&mut identity.account.server, flow) != flow;
                identity.way = Way::Found;
                if moved {
                    self.move_watching(account);
                }
                self.register_over(now, account, moved);
                self.open_waiting(account);
                for (call, calling) in waiting {
                    self.send_invite(now, call, calling);
                }
                self.on_way_of_messages(now, account, None);
            }
            Err(reason) => {
                identity.way = Way::Unknown;
                let reason = reason.or(because).unwrap_or(Reason::Unreached(Unreached::Unreachable));
                self.register_nowhere(now, account, &reason);
                for call in self.unopened(account) {
                    self.calls.remove(&call);
                    self.end(now, call, Ending::Failed(reason.clone()));
                }
                for (call, _) in waiting {
                    self.calling_failed(now, call, reason.clone());
                }
                self.on_way_of_messages(now, account, Some(&reason));
            }
        }
    }

    /// The way is no more: a connection has ended, or nobody listens at its other end. What nobody has answered yet is sent again over
    /// the next one; a call of ours that was under way there is lost.
    pub(super) fn on_way_lost(&mut self, now: Time, account: AccountId) {
        let identity = self.identity_mut(account).0;
        match identity.way {
            Way::Fixed | Way::Unknown | Way::Asked => return,
            Way::Found => identity.way = Way::Unknown,
        }
        self.pause_watching(account);
        let mut lost = Vec::new();
        for (id, call) in self.calls.iter_mut().filter(|(_, call)| call.account == account) {
            if let Phase::Calling(calling) = &mut call.phase {
                match (calling.cancelled, calling.heard) {
                    (true, _) => {}
                    (false, true) => lost.push(*id),
                    (false, false) => calling.invite = None,
                }
            }
        }
        for call in lost {
            self.calling_failed(now, call, Reason::Lost);
        }
        if !self.waiting(account).is_empty() {
            self.has_way(account);
        }
        self.register_again(now, account);
    }

    /// The calls of an account whose RTP port waits for its way.
    fn unopened(&self, account: AccountId) -> Vec<CallId> {
        let waits = |call: &Call| {
            call.account == account && matches!(call.phase, Phase::Opening { asked: false, .. })
        };
        self.calls.iter().filter(|(_, call)| waits(call)).map(|(id, _)| *id).collect()
    }

    fn open_waiting(&mut self, account: AccountId) {
        for id in self.unopened(account) {
            if let Some(Call { phase: Phase::Opening { asked, .. }, .. }) = self.calls.get_mut(&id) {
                *asked = true;
                self.outputs.push_back(Output::Media(MediaCommand::Open { call: id }));
            }
        }
    }

    /// The calls of an account that wait for its way.
    fn waiting(&self, account: AccountId) -> Vec<(CallId, Box<super::call::Calling>)> {
        let waits = |call: &Call| match &call.phase {
            Phase::Calling(calling) if call.account == account && calling.invite.is_none() => {
                Some(calling.clone())
            }
            Phase::Calling(_) | Phase::Opening { .. } | Phase::Ringing(_) | Phase::Up { .. } => None,
        };
        self.calls.iter().filter_map(|(id, call)| Some((*id, waits(call)?))).collect()
    }
}
