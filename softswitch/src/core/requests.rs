//! Requests outside a call: who may ask what (RFC 3261 §8.2), REGISTER (§10.3), OPTIONS (§11.2), initial INVITE (§13.3),
//! SUBSCRIBE and PUBLISH.

use super::authentication::Asking;
use super::environment::{self, ALLOW, Environment, SUPPORTED, sign_response};
use super::switch::Switch;
use crate::config::{DomainId, Peer};
use crate::proxied::{self, Called};
use crate::registrar;
use crate::routing::Caller;
use crate::subscriptions::{ALLOW_EVENTS, Sources, is_mailbox_news};
use sip_stack::endpoint::Request;
use sip_stack::header::{Contacts, HeaderName};
use sip_stack::message::{Method, Status, Uri};
use std::borrow::Cow;

/// What we read and write (RFC 3261 §20.1).
const ACCEPT: &[u8] = b"application/sdp";

/// What a request fails with before anybody looks at what it is about.
struct Fault {
    status: Status,
    header: Option<(HeaderName, Vec<u8>)>,
}

impl Fault {
    const fn of(status: Status) -> Fault {
        Fault { status, header: None }
    }
}

impl Switch {
    pub(super) fn handle_request(&mut self, request: Box<Request>) {
        if self.is_refused(&request) {
            return;
        }
        if let Some(dialog) = request.dialog {
            if let Some(watcher) = self.subscriptions.watcher_in(&self.env, dialog) {
                return self.subscriptions.handle_request(&mut self.env, watcher, &request);
            }
            return self.calls.handle_request(&mut self.env, &self.registrar, dialog, &request);
        }
        let inbound = inbound(&self.env, &request);
        if inbound.is_none()
            && let Some(called) = Called::of(&self.env, &self.registrar, &request)
        {
            return self.forward(request, called);
        }
        if is_mailbox_news(&request) {
            return self.subscriptions.take_mailbox_news(&mut self.env, &request);
        }
        let env = &mut self.env;
        let Asked { method, uri, domain } = match inspect(env, &request) {
            Ok(asked) => asked,
            Err(fault) => return refuse(env, &request, fault),
        };
        match method {
            Method::Options => answer_options(env, &request),
            Method::Register => {
                let (aor, contacts) = match registration(env, &request, &uri, domain) {
                    Ok(registration) => registration,
                    Err(fault) => return refuse(env, &request, fault),
                };
                let Some(user) = self.authenticator.authenticate(env, &request, domain, true) else { return };
                // §10.3 step 4: we let users register nobody but themselves.
                if *aor == *user.id.as_bytes() || is_device_of(env, domain, &aor, &user.id) {
                    self.registrar.register(env, &request, contacts, domain, &user);
                } else {
                    refuse(env, &request, Fault::of(Status::FORBIDDEN));
                }
            }
            _ => {
                let wanted = Wanted::of(method);
                if let Some((peer, number)) = inbound.filter(|_| matches!(wanted, Wanted::Call)) {
                    let caller = Caller::Peer { id: &peer, number: &number };
                    return self.calls.invite(env, &self.registrar, request, domain, caller);
                }
                let domain = caller_domain(env, &request).unwrap_or(domain);
                let Some(user) = self.authenticator.authenticate(env, &request, domain, false) else {
                    return;
                };
                match wanted {
                    Wanted::Message => {
                        self.messages.relay(env, &self.registrar, request, domain, &user.id);
                    }
                    Wanted::Call => {
                        let caller = Caller::User(&user.id);
                        self.calls.invite(env, &self.registrar, request, domain, caller);
                    }
                    Wanted::Subscription => {
                        let (calls, proxied, registrar) = (&self.calls, &self.proxied, &self.registrar);
                        let sources = Sources { calls, proxied, registrar };
                        self.subscriptions.subscribe(env, sources, &request, domain, &user.id);
                    }
                    Wanted::Publication => self.subscriptions.publish(env, &request, domain, &user.id),
                }
            }
        }
    }
}

/// What a user wants.
enum Wanted {
    Call,
    Message,
    Subscription,
    Publication,
}

impl Wanted {
    /// By a method that passed [`inspect`].
    fn of(method: Method<'_>) -> Wanted {
        match method {
            Method::Message => Wanted::Message,
            Method::Subscribe => Wanted::Subscription,
            Method::Publish => Wanted::Publication,
            _ => Wanted::Call,
        }
    }
}

impl Switch {
    /// An INVITE of which we are the proxy.
    fn forward(&mut self, request: Box<Request>, called: Called) {
        let env = &mut self.env;
        if proxied::is_refused(env, &request) {
            return;
        }
        let (asking, domain) = (Asking::Proxy, called.domain);
        let Some(user) = self.authenticator.authenticate_as(asking, env, &request, domain, false) else {
            return;
        };
        let number = || self.calls.next_number();
        self.proxied.invite(env, &self.registrar, request, called, &user.id, number);
    }
}

/// What a request is about, at first sight.
struct Asked<'a> {
    method: Method<'a>,
    uri: Uri<'a>,
    /// The domain that the Request-URI names.
    domain: DomainId,
}

/// §8.2.1–§8.2.3: method, Request-URI, Require, content.
fn inspect<'a>(env: &Environment, request: &'a Request) -> Result<Asked<'a>, Fault> {
    let message = &request.message;
    let method = match message.method() {
        Some(
            method @ (Method::Invite
            | Method::Register
            | Method::Options
            | Method::Message
            | Method::Subscribe
            | Method::Publish),
        ) => method,
        Some(Method::Other(_)) | None => return Err(Fault::of(Status::NOT_IMPLEMENTED)),
        // §12.2.2: only within a dialog, and there is none.
        Some(Method::Bye | Method::Update | Method::Prack | Method::Info | Method::Notify) => {
            return Err(Fault::of(Status::CALL_DOES_NOT_EXIST));
        }
        Some(_) => {
            let allow = (HeaderName::Allow, ALLOW.to_vec());
            return Err(Fault { status: Status::METHOD_NOT_ALLOWED, header: Some(allow) });
        }
    };
    let uri = message.uri().map_err(|_| Fault::of(Status::BAD_REQUEST))?;
    if !uri.is_sip() {
        return Err(Fault::of(Status::UNSUPPORTED_URI_SCHEME));
    }
    // §16.3 step 3. As user agent server we need not, but a call that came round to us for the last time is a loop.
    if method == Method::Invite && message.max_forwards().ok().flatten() == Some(0) {
        return Err(Fault::of(Status::TOO_MANY_HOPS));
    }
    let served = |tag: &&[u8]| match method {
        Method::Register => registrar::understands(tag),
        Method::Invite => environment::understands(tag),
        _ => false,
    };
    let unknown: Vec<&[u8]> =
        message.require().filter(|tag| !served(tag)).chain(message.proxy_require()).collect();
    if !unknown.is_empty() {
        let unsupported = (HeaderName::Unsupported, unknown.join(&b", "[..]));
        return Err(Fault { status: Status::BAD_EXTENSION, header: Some(unsupported) });
    }
    if method == Method::Invite {
        inspect_content(request)?;
    }
    let domain = env.config.domain_of_host(uri.host).ok_or(Fault::of(Status::NOT_FOUND))?;
    Ok(Asked { method, uri, domain })
}

/// §8.2.3 for the body of an INVITE, and whether the sender can read our answer (§20.1).
fn inspect_content(request: &Request) -> Result<(), Fault> {
    let message = &request.message;
    if !message.body().is_empty() {
        let is_sdp = message.content_type().ok().flatten().is_some_and(|content| {
            content.kind.eq_ignore_ascii_case(b"application") && content.subtype.eq_ignore_ascii_case(b"sdp")
        });
        let encoded =
            message.list(HeaderName::ContentEncoding).any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        if !is_sdp || encoded {
            let accept = (HeaderName::Accept, ACCEPT.to_vec());
            return Err(Fault { status: Status::UNSUPPORTED_MEDIA_TYPE, header: Some(accept) });
        }
    }
    let mut accepted = message.list(HeaderName::Accept).peekable();
    let reads_sdp = accepted.peek().is_none()
        || accepted.any(|range| {
            let range = range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            [&b"application/sdp"[..], b"application/*", b"*/*"]
                .iter()
                .any(|sdp| range.eq_ignore_ascii_case(sdp))
        });
    if reads_sdp {
        Ok(())
    } else {
        let warning = (HeaderName::Warning, b"399 softswitch \"only application/sdp is offered\"".to_vec());
        Err(Fault { status: Status::NOT_ACCEPTABLE, header: Some(warning) })
    }
}

/// The user whose bindings a REGISTER is about (§10.3 step 5): the user part of To, in the domain of the Request-URI.
/// And its contacts, so that malformed ones are refused before anybody is challenged.
fn registration<'a>(
    env: &Environment,
    request: &'a Request,
    uri: &Uri<'a>,
    domain: DomainId,
) -> Result<(Cow<'a, [u8]>, Contacts<'a>), Fault> {
    let to = request.message.to().map_err(|_| Fault::of(Status::BAD_REQUEST))?;
    if !to.uri.is_sip() {
        return Err(Fault::of(Status::BAD_REQUEST));
    }
    if to.uri.host != uri.host && env.config.domain_of_host(to.uri.host) != Some(domain) {
        return Err(Fault::of(Status::NOT_FOUND));
    }
    let user = to.uri.user_unescaped().ok_or(Fault::of(Status::NOT_FOUND))?;
    let contacts = request.message.contacts().map_err(|_| {
        let warning = (HeaderName::Warning, b"399 softswitch \"malformed Contact\"".to_vec());
        Fault { status: Status::BAD_REQUEST, header: Some(warning) }
    })?;
    Ok((user, contacts))
}

/// The peer whose calls are taken without credentials and that this one comes from, and the number of who calls: one from whose
/// networks it comes, or whose server has our registration. Of several that are registered at one server, the one whose contact
/// is called. Phones may be at the address of such a server, too: who says that it is a user of ours has to prove it. Phones may be at the address of such a server, too: who says that it is a user of ours has to prove it.
fn inbound(env: &Environment, request: &Request) -> Option<(Box<str>, Vec<u8>)> {
    if request.message.method() != Some(Method::Invite) {
        return None;
    }
    let source = request.flow.peer.ip().to_canonical();
    let uri = request.message.uri().ok()?;
    let domain = env.config.domain_of_host(uri.host)?;
    let (peers, users) = (&env.domain(domain)?.peers, &env.domain(domain)?.users);
    let from = request.message.from().ok()?.uri;
    let number = from.user_unescaped().unwrap_or_default();
    let is_ours = core::str::from_utf8(&number).is_ok_and(|user| users.contains_key(user))
        && env.config.domain_of_host(from.host) == Some(domain);
    let is_from = |peer: &Peer| peer.numbers.inbound.iter().any(|network| network.contains(source));
    let is_registered = |id: &str| env.routing.registered.get(domain, id) == Some(&source);
    let is_called = |peer: &Peer| {
        let contact =
            peer.client.registration.as_ref().map(|registration| registration.contact_user.as_bytes());
        contact.is_some_and(|contact| uri.user_unescaped().is_some_and(|user| *user == *contact))
    };
    let registered = || peers.iter().filter(|(id, _)| !is_ours && is_registered(id));
    let (id, _) = peers
        .iter()
        .find(|(_, peer)| is_from(peer))
        .or_else(|| registered().find(|(_, peer)| is_called(peer)))
        .or_else(|| registered().next())?;
    Some((id.clone(), number.into_owned()))
}

/// Whether a phone registers as a device of the user: it is one of the user's phones then.
fn is_device_of(env: &Environment, domain: DomainId, name: &[u8], user: &str) -> bool {
    let name = core::str::from_utf8(name).unwrap_or_default();
    let devices = env.domain(domain).map(|domain| &domain.numbering.devices);
    devices.and_then(|devices| devices.get(name)).is_some_and(|device| *device.user == *user)
}

/// The domain that the caller claims to be of.
fn caller_domain(env: &Environment, request: &Request) -> Option<DomainId> {
    let from: Uri<'_> = request.message.from().ok()?.uri;
    env.config.domain_of_host(from.host)
}

/// §11.2. Whether a user exists is told to nobody.
fn answer_options(env: &mut Environment, request: &Request) {
    let mut response = env.endpoint.response(request, Status::OK, None);
    response.header(HeaderName::Allow, ALLOW);
    response.header(HeaderName::AllowEvents, ALLOW_EVENTS);
    response.header(HeaderName::Accept, ACCEPT);
    response.header(HeaderName::AcceptEncoding, b"identity");
    response.header(HeaderName::AcceptLanguage, b"en");
    response.header_parts(HeaderName::Supported, &[registrar::SUPPORTED, b", ", SUPPORTED]);
    sign_response(&mut response);
    env.endpoint.reply(request, response.finish());
}

/// Answers without state where the method permits: the failure of an INVITE must be acknowledged, but nothing is lost
/// when it is repeated for a request that is repeated (§8.2.7).
fn refuse(env: &mut Environment, request: &Request, fault: Fault) {
    let mut response = env.endpoint.response(request, fault.status, None);
    if let Some((name, value)) = fault.header {
        response.header(name, &value);
    }
    sign_response(&mut response);
    env.endpoint.reply(request, response.finish());
}
