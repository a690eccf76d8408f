//! What other servers have to do with subscriptions: a peer tells how many messages wait in its mailbox of a user (RFC 3842), and a trusted
//! peer may watch the bindings of any user (`reg`).
//!
//! Deviation: RFC 6665 §4.1.3 knows no NOTIFY that nobody has subscribed to. Carriers and PBXs send it so.
//!
//! Who a peer is its address says, as far as its `address` is one; a peer that has a name is known at the addresses at which it was found last
//! for a call, a registration or a question of ours (`routing/state.rs`). Whatever else sends from such an address is taken for it. The
//! counts of a peer add to those of the operator, the last NOTIFY counts, and after a restart the next one does. A bound: one mailbox for
//! each peer.
//!
//! Left out on purpose: subscribing at a peer, which would need credentials there.

use super::subject::counts;
use super::table::Subscriptions;
use crate::config::{Domain, DomainId, Mailbox, Peer};
use crate::core::environment::{ALLOW, Environment, sign_response};
use sip_stack::endpoint::Request;
use sip_stack::event::Package;
use sip_stack::event::body::message_summary::{MessageClass, MessageSummary};
use sip_stack::header::HeaderName;
use sip_stack::message::{Method, Status};
use sip_stack::resolve::Host;

/// The peer of a domain that a request comes from, among those that `is_meant`.
pub(super) fn peer_of<'a>(
    env: &Environment,
    (id, domain): (DomainId, &'a Domain),
    request: &Request,
    is_meant: impl Fn(&Peer) -> bool,
) -> Option<(&'a str, &'a Peer)> {
    let source = request.flow.peer.ip().to_canonical();
    let is_it = |name: &str, peer: &Peer| match peer.host {
        Host::Ip(ip) => ip.to_canonical() == source,
        Host::Name(_) => env.routing.is_found_at(id, name, source),
    };
    let mut peers = domain.peers.iter();
    peers.find(|(name, peer)| is_meant(peer) && is_it(name, peer)).map(|(name, peer)| (&**name, peer))
}

/// Whether a request is what a peer tells of a mailbox.
pub(crate) fn is_mailbox_news(request: &Request) -> bool {
    let message = &request.message;
    message.method() == Some(Method::Notify)
        && request.dialog.is_none()
        && message.event().is_ok_and(|event| event.is(Package::MessageSummary.name()))
}

impl Subscriptions {
    /// A peer tells how many messages wait. What nobody is configured for is answered 481, as any NOTIFY outside of a subscription.
    pub(crate) fn take_mailbox_news(&mut self, env: &mut Environment, request: &Request) {
        let status = match self.mailbox_news(env, request) {
            Ok(()) => Status::OK,
            Err(status) => status,
        };
        let mut response = env.endpoint.response(request, status, None);
        match status {
            Status::UNSUPPORTED_MEDIA_TYPE => {
                response.header(HeaderName::Accept, Package::MessageSummary.content_type().as_bytes());
            }
            _ => {
                response.header(HeaderName::Allow, ALLOW);
            }
        }
        sign_response(&mut response);
        env.endpoint.reply(request, response.finish());
    }

    fn mailbox_news(&mut self, env: &mut Environment, request: &Request) -> Result<(), Status> {
        let domains = env.config.domains.iter();
        let found = domains.filter_map(|(id, domain)| {
            let (peer, found) = peer_of(env, (*id, domain), request, |peer| peer.mailbox_of.is_some())?;
            Some((*id, Box::<str>::from(peer), found.mailbox_of.clone()?))
        });
        let (domain, peer, user) = found.last().ok_or(Status::CALL_DOES_NOT_EXIST)?;
        let (kind, subtype) = Package::MessageSummary.content_type().split_once('/').unwrap_or_default();
        if !matches!(request.message.content_type(), Ok(Some(content)) if content.is(kind, subtype)) {
            return Err(Status::UNSUPPORTED_MEDIA_TYPE);
        }
        let summary = MessageSummary::parse(request.message.body()).map_err(|_| Status::BAD_REQUEST)?;
        let voice = summary.of(MessageClass::Voice);
        let (urgent_new, urgent_old) = voice.urgent.unwrap_or_default();
        // Some say that messages wait, and not how many.
        let new = voice.new.max(u32::from(summary.waiting && summary.counts.is_empty()));
        self.relayed.insert((domain, peer), Mailbox { new, old: voice.old, urgent_new, urgent_old });
        self.count_mailbox(env, domain, &user);
        Ok(())
    }

    /// The messages of a user: as the operator has counted them, and as peers have told.
    pub(super) fn messages_of(&self, env: &Environment, domain: DomainId, name: &str) -> Mailbox {
        let own = counts(env, domain, name);
        let Some(peers) = env.domain(domain).map(|domain| &domain.peers) else { return own };
        let theirs = peers.iter().filter(|(_, peer)| peer.mailbox_of.as_deref() == Some(name));
        theirs.filter_map(|(id, _)| self.relayed.get(&(domain, id.clone()))).fold(own, |sum, told| Mailbox {
            new: sum.new.saturating_add(told.new),
            old: sum.old.saturating_add(told.old),
            urgent_new: sum.urgent_new.saturating_add(told.urgent_new),
            urgent_old: sum.urgent_old.saturating_add(told.urgent_old),
        })
    }
}
