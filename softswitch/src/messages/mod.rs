//! Instant messages between users (RFC 3428): each goes to every phone of who is meant, and the first that takes it answers for
//! all.
//!
//! A message is relayed as a call is: with who sent it in From as the switch knows it, over the flows that phones registered
//! on. Nothing is kept for phones that are not there (480). Left out on purpose: messages to peers and services (404), within
//! calls (405), and ones that are too large for a datagram (413, §8).
//!
//! Bound: each holds a server transaction until it is answered, and those have one (`limits.transactions`).

use crate::config::{DomainId, Target};
use crate::core::environment::{Environment, escape_user, sign_request, sign_response};
use crate::registrar::{Registrar, Way};
use serde::{Deserialize, Serialize};
use sip_stack::endpoint::{self, Heading, Request};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status, quoted};
use sip_stack::transaction::TransactionId;
use sip_stack::transport::Transport;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// Octets beyond which a message does not go over UDP (§8: the path MTU is not known).
const LARGEST: usize = 1_300;

/// What of a message is the sender's own affair.
const PASSED: [HeaderName; 8] = [
    HeaderName::ContentDisposition,
    HeaderName::ContentEncoding,
    HeaderName::ContentLanguage,
    HeaderName::Date,
    HeaderName::Expires,
    HeaderName::InReplyTo,
    HeaderName::Priority,
    HeaderName::Subject,
];

/// Messages on their way.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Messages {
    /// By the transactions of their senders.
    relayed: BTreeMap<TransactionId, Relayed>,
    /// Ours to phones, with that of the sender.
    sent: BTreeMap<TransactionId, TransactionId>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Relayed {
    request: Box<Request>,
    /// Phones that have not answered.
    waiting: usize,
    /// The first refusal.
    refused: Option<Status>,
}

impl Messages {
    /// Messages that are not answered yet.
    pub(crate) fn len(&self) -> usize {
        self.relayed.len().max(self.sent.len())
    }

    /// A message of `sender`, who proved to be that user of `domain`.
    pub(crate) fn relay(
        &mut self,
        env: &mut Environment,
        registrar: &Registrar,
        request: Box<Request>,
        domain: DomainId,
        sender: &str,
    ) {
        let transaction = env.endpoint.accept(env.now, &request, 0);
        let phones = match recipients(env, registrar, &request, domain) {
            Ok(phones) => phones,
            Err(status) => return answer(env, &request, transaction, status),
        };
        let mut waiting = 0;
        let mut refused = None;
        // A phone with several flows gets it over the one that is best.
        for way in phones.iter().filter_map(|ways| ways.first()) {
            match send(env, &request, domain, sender, way) {
                Ok(sent) => {
                    self.sent.insert(sent, transaction);
                    waiting += 1;
                }
                Err(status) => refused = Some(status),
            }
        }
        if waiting == 0 {
            let status = refused.unwrap_or(Status::TEMPORARILY_UNAVAILABLE);
            return answer(env, &request, transaction, status);
        }
        self.relayed.insert(transaction, Relayed { request, waiting, refused });
    }

    /// Takes what happened to a message of ours. Returns whether it was one.
    pub(crate) fn handle_event(&mut self, env: &mut Environment, event: &endpoint::Event) -> bool {
        let (transaction, status) = match event {
            endpoint::Event::Response { transaction, response, .. } => {
                let Some(status) = response.status().filter(|status| status.is_final()) else {
                    return self.sent.contains_key(transaction);
                };
                (transaction, status)
            }
            endpoint::Event::TimedOut { transaction, .. } => (transaction, Status::REQUEST_TIMEOUT),
            endpoint::Event::TransportFailed { transaction, .. } => {
                // Its sender may be the one who is lost.
                self.relayed.remove(transaction);
                (transaction, Status::TEMPORARILY_UNAVAILABLE)
            }
            endpoint::Event::Request(_)
            | endpoint::Event::Passing(_)
            | endpoint::Event::Cancelled { .. }
            | endpoint::Event::Acknowledged { .. }
            | endpoint::Event::Unacknowledged { .. } => return false,
        };
        let Some(sender) = self.sent.remove(transaction) else { return false };
        self.on_answer(env, sender, status);
        true
    }

    fn on_answer(&mut self, env: &mut Environment, sender: TransactionId, status: Status) {
        // Another phone may have taken it already.
        let Some(relayed) = self.relayed.get_mut(&sender) else { return };
        relayed.waiting -= 1;
        if !status.is_success() {
            relayed.refused.get_or_insert(status);
        }
        if (status.is_success() || relayed.waiting == 0)
            && let Some(relayed) = self.relayed.remove(&sender)
        {
            let refused = relayed.refused.map_or(Status::TEMPORARILY_UNAVAILABLE, for_sender);
            answer(env, &relayed.request, sender, if status.is_success() { status } else { refused });
        }
    }
}

/// The phones of who is meant.
fn recipients(
    env: &Environment,
    registrar: &Registrar,
    request: &Request,
    domain: DomainId,
) -> Result<SmallVec<[SmallVec<[Way; 1]>; 1]>, Status> {
    let message = &request.message;
    // §20.15: a body that does not say what it is.
    if !message.body().is_empty() && message.header(HeaderName::ContentType).is_none() {
        return Err(Status::BAD_REQUEST);
    }
    let uri = message.uri().map_err(|_| Status::BAD_REQUEST)?;
    let is_ours = env.config.domain_of_host(uri.host) == Some(domain);
    let named = registrar.named(env, domain, &uri).filter(|_| is_ours).ok_or(Status::NOT_FOUND)?;
    match env.domain(domain).and_then(|domain| domain.route(&named.user)) {
        Some(Target::User { id, .. }) => {
            let phones = registrar.phones(env, domain, id, named.device.as_ref());
            if phones.is_empty() { Err(Status::TEMPORARILY_UNAVAILABLE) } else { Ok(phones) }
        }
        Some(Target::Peer { .. } | Target::Service(_) | Target::Planned) | None => Err(Status::NOT_FOUND),
    }
}

/// Sends a message on to one phone.
///
/// # Errors
/// What its sender is told when that cannot be.
fn send(
    env: &mut Environment,
    request: &Request,
    domain: DomainId,
    sender: &str,
    way: &Way,
) -> Result<TransactionId, Status> {
    let (message, flow) = (&request.message, way.flow);
    let hops = message.max_forwards().ok().flatten().unwrap_or(70);
    let max_forwards = hops.checked_sub(1).ok_or(Status::TOO_MANY_HOPS)?;
    let host = env.uri_host(domain, &flow);
    let name = env.domain(domain).and_then(|domain| domain.users.get(sender)?.display_name.clone());
    let name = name.map_or_else(Vec::new, |name| [&quoted(name.as_bytes())[..], b" "].concat());
    let from = [&name[..], b"<sip:", &escape_user(sender.as_bytes()), b"@", &host, b">"].concat();
    let to = message.uri().ok().and_then(|uri| uri.user_unescaped()).unwrap_or_default();
    let to = [b"<sip:", escape_user(&to).as_slice(), b"@", &host, b">"].concat();
    let sent_by = env.sent_by(&flow);
    let heading = Heading {
        method: Method::Message,
        uri: &way.uri,
        from: &from,
        to: &to,
        sent_by: &sent_by,
        max_forwards,
        sequence: None,
    };
    let mut draft = env.endpoint.draft(heading, flow);
    for hop in &way.path {
        draft.writer.header(HeaderName::Route, hop);
    }
    sign_request(&mut draft.writer);
    write_content(&mut draft.writer, message);
    if flow.transport == Transport::Udp && draft.writer.octets() > LARGEST {
        return Err(Status::REQUEST_ENTITY_TOO_LARGE);
    }
    if env.endpoint.sheds(env.now, flow.peer) {
        return Err(Status::TEMPORARILY_UNAVAILABLE);
    }
    Ok(env.endpoint.request(env.now, draft, 0))
}

fn write_content(writer: &mut sip_stack::message::Writer, message: &Message) {
    for name in PASSED {
        writer.copy(name, message);
    }
    if let Some(kind) = message.header(HeaderName::ContentType) {
        writer.body(kind, message.body());
    }
}

/// What a failure of a phone means to the sender: challenges, redirections and overload are between us and the phone (RFC 3261
/// §16.7 step 6).
fn for_sender(status: Status) -> Status {
    match status.code() {
        300..=399 | 401 | 407 | 408 | 430 | 503 => Status::TEMPORARILY_UNAVAILABLE,
        _ => status,
    }
}

fn answer(env: &mut Environment, request: &Request, transaction: TransactionId, status: Status) {
    let mut response = env.endpoint.response(request, status, None);
    sign_response(&mut response);
    env.endpoint.respond(env.now, transaction, status, response.finish());
}
