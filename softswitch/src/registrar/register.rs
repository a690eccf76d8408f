//! Processing of REGISTER (RFC 3261 §10.3, RFC 3327 §5.3, RFC 5626 §6).

use super::table::{Registrar, domain_name};
use super::wish::{Asking, Refusal, Wishes, announces, is_direct, outbound, path, sequence};
use super::{AddressOfRecord, Binding, GRUU, OUTBOUND, PATH};
use crate::config::DomainId;
use crate::core::authentication::User;
use crate::core::environment::{Environment, sign_response};
use crate::core::{Event, Unbound};
use crate::store::StoreOp;
use bytes::Bytes;
use sip_stack::endpoint::Request;
use sip_stack::header::{Contact, Contacts, HeaderName};
use sip_stack::message::{Status, Writer};
use sip_stack::table::Id;

/// How often a phone has to keep its flow alive (RFC 5626 §5.4, §4.4): a translator forgets a stream in minutes, UDP in
/// half of one.
const FLOW_TIMER_STREAM_S: u64 = 120;
const FLOW_TIMER_UDP_S: u64 = 25;

/// What a REGISTER has led to, for the answer.
struct Outcome {
    /// Whose bindings are listed; `None` when there are none.
    id: Option<Id<AddressOfRecord>>,
    /// `reg-id` counted (RFC 5626 §6).
    outbound: bool,
}

impl Registrar {
    /// Carries out a REGISTER whose sender proved to be `user`.
    ///
    /// There is no transaction (§8.2.7): it would keep the answer for half a minute (Timer J), and 60,000 phones that
    /// register in turns would keep 50 MB of them. A REGISTER that comes again is known by its nonce count, changes
    /// nothing and is answered with the bindings that it led to.
    pub(crate) fn register(
        &mut self,
        env: &mut Environment,
        request: &Request,
        contacts: Contacts<'_>,
        domain: DomainId,
        user: &User,
    ) {
        let mut response = match self.process(env, request, contacts, domain, user) {
            Ok(outcome) => {
                let mut response = env.endpoint.response(request, Status::OK, None);
                let gruu = announces(&request.message, GRUU);
                self.write_contacts(env, outcome.id, &mut response, gruu);
                // RFC 3327 §5.3
                response.copy(HeaderName::Path, &request.message);
                if outcome.outbound {
                    write_outbound(request, &mut response);
                }
                response
            }
            Err(refusal) => refuse(env, request, refusal),
        };
        sign_response(&mut response);
        env.endpoint.reply(request, response.finish());
    }

    fn process(
        &mut self,
        env: &mut Environment,
        request: &Request,
        contacts: Contacts<'_>,
        domain: DomainId,
        user: &User,
    ) -> Result<Outcome, Refusal> {
        let id = self.id_of(env, domain, &user.id);
        let Some(limits) = env.domain(domain).map(|domain| domain.registration) else {
            return Ok(Outcome { id, outbound: false });
        };
        let message = &request.message;
        let trusted = env.endpoint.upstream().is_neighbour(request.flow.peer.ip());
        let path = path(message, trusted)?;
        let outbound = outbound(message, contacts.as_slice(), &path)?;
        let wishes = match contacts {
            Contacts::Star if message.expires() == Ok(Some(0)) => self.everything(env, id, request),
            Contacts::Star => return Err(Refusal::Malformed),
            Contacts::List(list) if list.is_empty() => return Ok(Outcome { id, outbound: false }),
            Contacts::List(list) if list.iter().any(|contact| is_own(env, domain, user, contact)) => {
                return Err(Refusal::Loop);
            }
            Contacts::List(list) => {
                let user_agent = message.header(HeaderName::UserAgent).unwrap_or_default();
                let user_agent = self.user_agents.share(user_agent);
                let known = id.and_then(|id| self.table.get(id));
                let identity = request.identity(&env.endpoint);
                let asking =
                    Asking { now: env.now, request, identity, limits, known, user_agent, path, outbound };
                asking.wishes(&list)?
            }
        };
        if user.again {
            let late = id.is_some_and(|id| wishes.iter().any(|(wish, _)| self.was_overtaken(id, wish)));
            return if late { Err(Refusal::OutOfOrder) } else { Ok(Outcome { id, outbound }) };
        }
        let id = id.unwrap_or_else(|| self.insert(env, domain, &user.id));
        // §10.3 step 7: all or nothing, so every wish is checked before any takes effect.
        if wishes.iter().any(|(wish, _)| self.is_out_of_order(id, wish)) {
            self.drop_if_empty(env, id);
            return Err(Refusal::OutOfOrder);
        }
        self.leave_behind(env, id, &wishes);
        for (binding, lifetime_s) in wishes {
            self.apply(env, id, binding, lifetime_s, limits.max_contacts);
        }
        self.arm(id);
        self.drop_if_empty(env, id);
        Ok(Outcome { id: Some(id), outbound })
    }

    /// `Contact: *` with Expires 0: every binding, removed (§10.2.2).
    fn everything(&self, env: &Environment, id: Option<Id<AddressOfRecord>>, request: &Request) -> Wishes {
        let Some(aor) = id.and_then(|id| self.table.get(id)) else { return Wishes::new() };
        let (call_id, cseq) = sequence(request);
        let (call_id, identity) = (Bytes::copy_from_slice(call_id), request.identity(&env.endpoint));
        let removed =
            |binding: &Binding| Binding { call_id: call_id.clone(), cseq, identity, ..binding.clone() };
        aor.bindings.iter().map(|binding| (removed(binding), 0)).collect()
    }

    /// §10.3 step 7: a REGISTER of the same Call-ID with a CSeq that is not higher came too late.
    fn is_out_of_order(&self, id: Id<AddressOfRecord>, wish: &Binding) -> bool {
        self.highest_cseq(id, wish).is_some_and(|highest| highest >= wish.cseq)
    }

    /// A copy of a REGISTER after which another of the same Call-ID was carried out, or before which one of the same number was,
    /// so that it was refused itself.
    fn was_overtaken(&self, id: Id<AddressOfRecord>, wish: &Binding) -> bool {
        self.concerned(id, wish).any(|known| {
            known.cseq > wish.cseq || (known.cseq == wish.cseq && known.identity != wish.identity)
        })
    }

    /// The highest CSeq of the Call-ID of `wish` that changed what `wish` is about.
    fn highest_cseq(&self, id: Id<AddressOfRecord>, wish: &Binding) -> Option<u32> {
        self.concerned(id, wish).map(|known| known.cseq).max()
    }

    /// What `wish` is about and a REGISTER of its Call-ID has changed last.
    fn concerned(&self, id: Id<AddressOfRecord>, wish: &Binding) -> impl Iterator<Item = &Binding> {
        let bindings = self.table.get(id).into_iter().flat_map(|aor| &aor.bindings);
        let same_call = bindings.filter(|known| known.call_id == wish.call_id);
        same_call.filter(|known| known.is_same_as(wish) || known.is_left_behind_by(wish))
    }

    /// Removes the contacts that a phone had before and does not name any more.
    fn leave_behind(&mut self, env: &mut Environment, id: Id<AddressOfRecord>, wishes: &Wishes) {
        let is_left = |known: &Binding| {
            let mut lasting = wishes.iter().filter(|(_, lifetime_s)| *lifetime_s > 0);
            lasting.any(|(wish, _)| known.is_left_behind_by(wish))
                && !wishes.iter().any(|(wish, _)| known.is_same_as(wish))
        };
        while let Some(old) = self.unbind(id, is_left) {
            self.forget(env, id, &old, Unbound::Removed);
        }
    }

    fn apply(
        &mut self,
        env: &mut Environment,
        id: Id<AddressOfRecord>,
        binding: Binding,
        lifetime_s: u32,
        max_contacts: u32,
    ) {
        let mut refreshed = false;
        while let Some(old) = self.unbind(id, |known| known.is_same_as(&binding)) {
            if lifetime_s > 0 && old.has_key_of(&binding) {
                refreshed = true;
            } else {
                self.forget(env, id, &old, Unbound::Removed);
            }
        }
        if lifetime_s == 0 {
            return;
        }
        let Some(aor) = self.table.get(id) else { return };
        let (domain, user) = (domain_name(&env.config, aor.domain), aor.user.clone());
        let expires_at_unix_ms = env.unix_ms(binding.expires_at);
        env.store(StoreOp::from(binding.stored(&domain, &user, expires_at_unix_ms)));
        if !refreshed {
            env.event(Event::Registered {
                domain,
                user,
                contact: binding.contact.clone(),
                source: binding.flow.peer,
                expires_s: lifetime_s,
            });
        }
        self.bind(id, binding);
        self.make_room(env, id, max_contacts);
    }

    /// A phone that comes back under ever new addresses must not be locked out: the binding that would end first makes
    /// room for the new one, which stands last.
    fn make_room(&mut self, env: &mut Environment, id: Id<AddressOfRecord>, max_contacts: u32) {
        let Some((_, others)) = self.table.get(id).and_then(|aor| aor.bindings.split_last()) else { return };
        let first = others.iter().map(|binding| binding.expires_at).min();
        if others.len() >= max_contacts as usize
            && let Some(old) = self.unbind(id, |known| Some(known.expires_at) == first)
        {
            self.forget(env, id, &old, Unbound::Removed);
        }
    }

    fn write_contacts(
        &self,
        env: &mut Environment,
        id: Option<Id<AddressOfRecord>>,
        response: &mut Writer,
        gruu: bool,
    ) {
        let Some(aor) = id.and_then(|id| self.table.get(id)) else { return };
        for binding in &aor.bindings {
            let left_s = binding.expires_at.since(env.now).as_millis().div_ceil(1_000);
            let mut contact = response.field(HeaderName::Contact);
            contact.text(b"<").text(&binding.contact).text(b">;expires=").number(left_s as u64);
            if binding.q != 1_000 {
                let [hundreds, rest] = [binding.q / 100, binding.q % 100];
                let [tens, ones] = [rest / 10, rest % 10];
                contact.text(b";q=0.").number(hundreds.into()).number(tens.into()).number(ones.into());
            }
            if let Some(instance) = &binding.instance {
                contact.text(b";+sip.instance=").text(instance);
            }
            if let Some(reg_id) = binding.reg_id {
                contact.text(b";reg-id=").number(reg_id.get().into());
            }
            if gruu {
                contact.text(&self.gruus(env, aor, binding));
            }
        }
    }
}

/// Whether a contact is the address of record itself, or a GRUU of it: calls would go round (RFC 5627 §5.1). Addresses of machines
/// are those of phones.
fn is_own(env: &Environment, domain: DomainId, user: &User, contact: &Contact<'_>) -> bool {
    let uri = &contact.address.uri;
    uri.is_sip()
        && uri.ip().is_none()
        && uri.port.is_none()
        && env.config.domain_of_host(uri.host) == Some(domain)
        && (uri.params.contains(b"gr")
            || uri.user_unescaped().is_some_and(|name| *name == *user.id.as_bytes()))
}

/// RFC 5626 §6: `outbound` is required only of a phone that knows it, and only then may a Flow-Timer stand beside it.
fn write_outbound(request: &Request, response: &mut Writer) {
    if !announces(&request.message, OUTBOUND) {
        return;
    }
    response.header(HeaderName::Require, OUTBOUND);
    if is_direct(&request.message) {
        let streams = request.flow.transport.is_reliable();
        let seconds = if streams { FLOW_TIMER_STREAM_S } else { FLOW_TIMER_UDP_S };
        response.number(HeaderName::FlowTimer, seconds);
    }
}

fn refuse(env: &Environment, request: &Request, refusal: Refusal) -> Writer {
    let status = match refusal {
        Refusal::TooBrief { .. } => Status::INTERVAL_TOO_BRIEF,
        Refusal::Malformed => Status::BAD_REQUEST,
        Refusal::OutOfOrder => Status::SERVER_INTERNAL_ERROR,
        Refusal::PathUnsupported => Status::BAD_EXTENSION,
        Refusal::FirstHopLacksOutbound => Status::FIRST_HOP_LACKS_OUTBOUND_SUPPORT,
        Refusal::TooLarge => Status::MESSAGE_TOO_LARGE,
        Refusal::Loop => Status::FORBIDDEN,
    };
    let mut response = env.endpoint.response(request, status, None);
    match refusal {
        Refusal::TooBrief { min_expires_s } => {
            response.number(HeaderName::MinExpires, u64::from(min_expires_s));
        }
        Refusal::PathUnsupported => {
            response.header(HeaderName::Unsupported, PATH);
        }
        Refusal::Malformed
        | Refusal::OutOfOrder
        | Refusal::FirstHopLacksOutbound
        | Refusal::TooLarge
        | Refusal::Loop => {}
    }
    response
}
