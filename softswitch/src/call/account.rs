//! The switch as a client of the peer that a call is for: whose name it calls in (`from_user`, `from_domain`), and the credentials
//! that the peer asks for (RFC 3261 §22.2). A challenge is answered once, and again for nonces that are too old.
//!
//! Left out on purpose: credentials in requests within the dialog, which a peer that has taken the INVITE does not ask for.

use super::call::{Call, Destination, Phase};
use super::locate::Located;
use crate::config::Client;
use crate::core::environment::Environment;
use serde::{Deserialize, Serialize};
use sip_stack::auth::{Attempt, DigestClient, Subject, Verdict};
use sip_stack::message::{Message, Method, Writer};

/// What we are to a peer, within one call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AtPeer {
    pub(super) client: Client,
    digest: DigestClient,
    attempt: Attempt,
}

impl AtPeer {
    /// `None` where the peer is called as anybody would.
    pub(super) fn of(client: &Client) -> Option<Box<AtPeer>> {
        let is_plain = client.account.is_none() && client.from_user.is_none() && client.from_domain.is_none();
        let begun = || AtPeer {
            client: client.clone(),
            digest: DigestClient::default(),
            attempt: Attempt::default(),
        };
        (!is_plain).then(|| Box::new(begun()))
    }

    /// Adds what the peer has asked for, if it has.
    pub(super) fn authorize(&mut self, uri: &[u8], body: &[u8], writer: &mut Writer) {
        if let Some(account) = &self.client.account {
            let subject = Subject { method: Method::Invite, uri, body };
            self.digest.authorize(&subject, &[account.login()], &mut self.attempt, writer);
        }
    }
}

impl Call {
    /// What we are to the peer that a target is behind: that of the stage, or its own where several ring together.
    pub(super) fn at_peer(&self, target: usize) -> Option<&AtPeer> {
        let own = self.destination.targets.get(target).and_then(|target| target.at_peer.as_deref());
        own.or_else(|| self.destination.peer.as_deref().and_then(Located::at_peer))
    }

    /// The same, to be changed.
    pub(super) fn at_peer_mut(&mut self, target: usize) -> Option<&mut AtPeer> {
        let Destination { targets, peer, .. } = &mut self.destination;
        let own = targets.get_mut(target).and_then(|target| target.at_peer.as_deref_mut());
        own.or_else(|| peer.as_deref_mut().and_then(Located::at_peer_mut))
    }

    /// The domain that the peer knows us by, else `ours`.
    pub(super) fn domain_at_peer(&self, target: usize, ours: Vec<u8>) -> Vec<u8> {
        let theirs = self.at_peer(target).and_then(|peer| peer.client.from_domain.as_deref());
        theirs.map_or(ours, |domain| domain.as_bytes().to_vec())
    }

    /// A peer asks who calls: whether it is told, and the INVITE on its way once more.
    pub(super) fn try_credentials(
        &mut self,
        env: &mut Environment,
        index: usize,
        response: &Message,
    ) -> bool {
        let Phase::Ringing(ring) = &self.phase else { return false };
        let Some(target) = ring.branches.get(index).map(|branch| branch.target) else { return false };
        let Some(peer) = self.at_peer_mut(target) else { return false };
        let Some(account) = &peer.client.account else { return false };
        let (random, logins) = (env.endpoint.random(), [account.login()]);
        let verdict = peer.digest.handle_challenge(response, &logins, random, &mut peer.attempt);
        match verdict {
            Verdict::Again => self.invite_again(env, index),
            Verdict::Refused | Verdict::Unanswerable => false,
        }
    }

    fn invite_again(&mut self, env: &mut Environment, index: usize) -> bool {
        let Phase::Ringing(ring) = &self.phase else { return false };
        let Some(branch) = ring.branches.get(index) else { return false };
        let (target, way, timer) = (branch.target, branch.way, branch.session.timer);
        let next = self.open_branch_with(env, target, way, timer);
        self.replace_branch(env, index, next)
    }
}
