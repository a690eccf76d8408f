//! PUBLISH: the presence that a user's devices publish (RFC 3903 §6). What comes of several is in `presence`.

use super::subscribe::refuse_by;
use super::table::Subscriptions;
use super::{LARGEST, PUBLICATIONS, TERMS};
use crate::config::DomainId;
use crate::core::environment::{Environment, sign_response};
use sip_stack::endpoint::Request;
use sip_stack::event::body::presence::Presence;
use sip_stack::event::{Bounds, Package, Refusal, Terms};
use sip_stack::message::Status;

const BOUNDS: Bounds = Bounds { publications: PUBLICATIONS, octets: LARGEST };
/// Nothing else can be published.
const PUBLISHED: Terms<'static> = Terms { packages: &[Package::Presence], ..TERMS };

impl Subscriptions {
    /// A PUBLISH of a user who proved to be that one of `domain`. Users publish for themselves alone.
    pub(crate) fn publish(&mut self, env: &mut Environment, request: &Request, domain: DomainId, user: &str) {
        let is_own = request.message.uri().is_ok_and(|uri| {
            let named = uri.user_unescaped().is_some_and(|named| *named == *user.as_bytes());
            named && env.config.domain_of_host(uri.host) == Some(domain)
        });
        if !is_own {
            return refuse_by(env, request, Refusal::Other(Status::FORBIDDEN), PUBLISHED);
        }
        let id = self.subject_of(env, domain, user);
        let Some(subject) = self.subjects.get_mut(id) else { return };
        let terms = (Package::Presence, PUBLISHED, BOUNDS);
        let (now, random) = (env.now, env.endpoint.random());
        let read = |body: &[u8]| Presence::parse(body).ok();
        let expired = subject.published.expire(now);
        let published = subject.published.publish(now, &request.message, terms, random, read);
        self.arm_expiry(id);
        let is_changed = expired || published.as_ref().is_ok_and(|accepted| accepted.is_changed);
        match published {
            Ok(accepted) => {
                let transaction = env.endpoint.accept(env.now, request, 0);
                let mut response = env.endpoint.response(request, Status::OK, None);
                accepted.write(&mut response);
                sign_response(&mut response);
                env.endpoint.respond(env.now, transaction, Status::OK, response.finish());
            }
            Err(refusal) => refuse_by(env, request, refusal, PUBLISHED),
        }
        if is_changed {
            self.tell(env, id, Package::Presence);
        }
        self.drop_if_idle(env, id);
    }
}
