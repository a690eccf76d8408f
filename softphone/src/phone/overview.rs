//! What a front end shows of a call: how far it is, and whether anybody is held or muted.

use super::call::Phase;
use super::session::Session;
use super::{AccountId, CallDirection, CallId, Phone};
use bytes::Bytes;
use sip_stack::Time;

/// A call as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOverview {
    /// Its number.
    pub call: CallId,
    /// The account that called or was called.
    pub account: AccountId,
    /// Who began it.
    pub direction: CallDirection,
    /// The URI of the other side, as it named itself or as we called it; text of a peer.
    pub peer: Bytes,
    /// How far it is.
    pub stage: CallStage,
    /// The other side is held by us, as far as it has agreed.
    pub held: bool,
    /// The other side holds us.
    pub held_by_peer: bool,
    /// The other side hears silence instead of the microphone.
    pub muted: bool,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStage {
    /// Ours: nothing is heard of the other side yet.
    Calling,
    /// Ours: it rings there.
    Ringing,
    /// The other side's: it rings here.
    Incoming,
    /// The two sides are connected, since then.
    Connected(Time),
}

impl Phone {
    /// The calls that the user knows of, in the order they began.
    pub fn overview(&self) -> Vec<CallOverview> {
        self.call_ids().into_iter().filter_map(|id| self.call_overview(id)).collect()
    }

    fn call_overview(&self, id: CallId) -> Option<CallOverview> {
        let call = self.calls.get(&id)?;
        let logged = self.log.calls().rev().find(|logged| logged.call == Some(id))?;
        let stage = match &call.phase {
            Phase::Opening { .. } => CallStage::Calling,
            Phase::Calling(calling) if !calling.ringing => CallStage::Calling,
            Phase::Calling(_) => CallStage::Ringing,
            Phase::Ringing(_) => CallStage::Incoming,
            Phase::Up { .. } => CallStage::Connected(logged.connected.unwrap_or(logged.began)),
        };
        Some(CallOverview {
            call: id,
            account: call.account,
            direction: logged.direction,
            peer: logged.peer.clone(),
            stage,
            held: match &call.change {
                Some(change) => change.before(),
                None => call.session.as_ref().is_some_and(Session::is_holding),
            },
            held_by_peer: call.announced.as_ref().is_some_and(|stream| stream.held),
            muted: call.muted,
        })
    }
}
