//! SUBSCRIBE: who may watch what, and until when (RFC 6665 §4.2.1).

use super::TERMS;
use super::bodies::Sheets;
use super::news::{exists, may_watch};
use super::peers::peer_of;
use super::subject::{Matter, Sources, Topic};
use super::table::Subscriptions;
use super::watcher::{Watcher, owner_of};
use crate::config::DomainId;
use crate::core::Event;
use crate::core::environment::{ALLOW, Environment, sign_response};
use sip_stack::endpoint::Request;
use sip_stack::event::{Asked, Change, Notifier, Package, Refusal, Terms};
use sip_stack::header::HeaderName;
use sip_stack::message::{Method, Status};
use sip_stack::table::Id;
use std::sync::Arc;

impl Subscriptions {
    /// A SUBSCRIBE outside of dialogs, of a user who proved to be that one of `domain`.
    pub(crate) fn subscribe(
        &mut self,
        env: &mut Environment,
        sources: Sources<'_>,
        request: &Request,
        domain: DomainId,
        user: &str,
    ) {
        let (asked, name) = match self.judge(env, request, domain, user) {
            Ok(asked) => asked,
            Err(refusal) => return refuse(env, request, refusal),
        };
        let owner = owner_of(self.watchers.next_id());
        let tag = env.endpoint.random().tag();
        let contact = env.contact(name.as_bytes(), &request.flow);
        let Ok(dialog) = env.endpoint.create_dialog(request, tag.clone(), contact.clone(), owner) else {
            return refuse(env, request, Refusal::Other(Status::BAD_REQUEST));
        };
        let expires_s = asked.expires_s;
        let transaction = env.endpoint.accept(env.now, request, 0);
        let mut response = env.endpoint.response(request, Status::OK, Some(&tag));
        response.header(HeaderName::Contact, &contact);
        response.number(HeaderName::Expires, u64::from(expires_s));
        TERMS.write_allow_events(&mut response);
        sign_response(&mut response);
        env.endpoint.respond(env.now, transaction, Status::OK, response.finish());

        let package = asked.package;
        let subject = self.subject_of(env, domain, &name);
        let is_new = self.subjects.get(subject).is_some_and(|subject| subject.topic(package).is_none());
        if is_new {
            let mut topic = Topic::begin(env, sources, package, (domain, &name));
            if let Matter::Mailbox(counts) = &mut topic.matter {
                *counts = self.messages_of(env, domain, &name);
            }
            if let Some(subject) = self.subjects.get_mut(subject) {
                subject.topics.push(topic);
            }
        }
        let topic = self.subjects.get(subject).and_then(|subject| subject.topic(package));
        let heard = topic.map_or(0, Topic::changes);
        let (notifier, action) = Notifier::new(env.now, asked, false);
        let (user, peer) = (user.into(), self.trusted_peer(env, domain, request));
        let id = self.insert(Watcher {
            subject,
            notifier,
            dialog,
            domain,
            user,
            peer,
            heard,
            connection: None,
            notify: None,
            armed: None,
        });
        self.follow(env, id);
        self.perform(env, id, action, &mut Sheets::default());
    }

    /// What is asked for, and the user or the number of the conference.
    fn judge(
        &self,
        env: &mut Environment,
        request: &Request,
        domain: DomainId,
        user: &str,
    ) -> Result<(Asked, Box<str>), Refusal> {
        let asked = Asked::of(&request.message, TERMS)?;
        let other = Refusal::Other;
        let uri = request.message.uri().map_err(|_| other(Status::BAD_REQUEST))?;
        let own = env.domain(domain).filter(|_| env.config.domain_of_host(uri.host) == Some(domain));
        let own = own.ok_or(other(Status::NOT_FOUND))?;
        let name = uri.user_unescaped().unwrap_or_default();
        let name = core::str::from_utf8(&name).map_err(|_| other(Status::NOT_FOUND))?;
        if !exists(own, asked.package, name) {
            return Err(other(Status::NOT_FOUND));
        }
        let is_for_peer = asked.package == Package::Registration
            && peer_of(env, (domain, own), request, |peer| peer.trusted).is_some();
        if !may_watch(own, asked.package, name, user) && !is_for_peer {
            return Err(other(Status::FORBIDDEN));
        }
        if self.count_of(domain, user) >= env.config.limits.subscriptions_per_user {
            let (domain, user) = (own.name.clone(), Arc::from(user));
            env.event(Event::SubscriptionRefused { domain, user });
            return Err(other(Status::FORBIDDEN));
        }
        Ok((asked, name.into()))
    }

    /// The trusted peer that a request comes from.
    fn trusted_peer(&self, env: &Environment, domain: DomainId, request: &Request) -> Option<Box<str>> {
        let domain = (domain, env.domain(domain)?);
        peer_of(env, domain, request, |peer| peer.trusted).map(|(id, _)| id.into())
    }

    /// A request within the dialog of a subscription.
    pub(crate) fn handle_request(&mut self, env: &mut Environment, id: Id<Watcher>, request: &Request) {
        self.follow(env, id);
        let Some(watcher) = self.watchers.get(id) else { return };
        if request.message.method() != Some(Method::Subscribe) {
            let status = match request.message.method() {
                Some(Method::Options) => Status::OK,
                Some(Method::Other(_)) | None => Status::NOT_IMPLEMENTED,
                Some(_) => Status::METHOD_NOT_ALLOWED,
            };
            return refuse(env, request, Refusal::Other(status));
        }
        let asked = match Asked::of(&request.message, TERMS) {
            Ok(asked) => asked,
            Err(refusal) => return refuse(env, request, refusal),
        };
        if !watcher.notifier.is_meant(&asked) {
            // §4.5.2: subscriptions share no dialog.
            return refuse(env, request, Refusal::Other(Status::FORBIDDEN));
        }
        if !watcher.notifier.is_live() {
            return refuse(env, request, Refusal::Other(Status::CALL_DOES_NOT_EXIST));
        }
        let transaction = env.endpoint.accept(env.now, request, 0);
        let mut response = env.endpoint.response(request, Status::OK, None);
        if let Some(dialog) = env.endpoint.dialog(watcher.dialog) {
            response.header(HeaderName::Contact, dialog.contact());
        }
        response.number(HeaderName::Expires, u64::from(asked.expires_s));
        sign_response(&mut response);
        env.endpoint.respond(env.now, transaction, Status::OK, response.finish());
        let refreshed = Change::Refreshed { expires_s: asked.expires_s };
        self.change(env, id, refreshed, &mut Sheets::default());
    }
}

fn refuse(env: &mut Environment, request: &Request, refusal: Refusal) {
    refuse_by(env, request, refusal, TERMS);
}

/// Answers a SUBSCRIBE or PUBLISH that leads to nothing, in a transaction: it has used up the nonce count of its sender.
pub(super) fn refuse_by(env: &mut Environment, request: &Request, refusal: Refusal, terms: Terms<'_>) {
    let status = refusal.status();
    let transaction = env.endpoint.accept(env.now, request, 0);
    let mut response = env.endpoint.response(request, status, None);
    refusal.write(terms, &mut response);
    response.header(HeaderName::Allow, ALLOW);
    sign_response(&mut response);
    env.endpoint.respond(env.now, transaction, status, response.finish());
}
