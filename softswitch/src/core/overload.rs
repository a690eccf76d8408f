//! The bounded intake of the switch (RFC 3261 §21.5.4, §8.2.7; RFC 7339): what is new work, what is refused, and how
//! long whoever is refused shall wait.
//!
//! A refusal comes before digest verification and keeps no state. What belongs to calls that are up, and phones that
//! refresh a binding they have, always pass; that they are who they say is verified afterwards. So do calls to numbers of emergency, as long
//! as there is room for their transactions.
//!
//! Limits of single users are not here: they answer 403, never 503 (`subscriptions`). Left out on purpose: limits of calls of
//! single users or trunks.

use super::environment::{Environment, sign_response};
use super::switch::Switch;
use super::{Event, OverloadCause};
use crate::config::Config;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::endpoint::Request;
use sip_stack::header::{Contacts, HeaderName};
use sip_stack::message::{Method, Status};
use sip_stack::overload::{Intake, Work};
use sip_stack::resolve::Host;
use sip_stack::transport::Transport;
use std::net::SocketAddr;

/// After so long without a refusal the overload is over.
const OVER_AFTER: Duration = Duration::from_secs(5);

/// Retry-After of a proxy or trunk, in seconds: it keeps away everybody behind it (RFC 3261 §21.5.4).
const PROXY_S: core::ops::RangeInclusive<u64> = 1..=2;
/// Retry-After of a phone, in seconds.
const PHONE_S: core::ops::RangeInclusive<u64> = 5..=30;

/// The intake, and what is told about it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Overload {
    intake: Intake,
    /// Refused in this overload, and when it is over; `None` when there is none.
    refusing: Option<Refusing>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Refusing {
    refused: u64,
    last: Time,
    /// When to look whether it is over.
    look_at: Time,
}

impl Overload {
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.refusing.map(|refusing| refusing.look_at)
    }
}

impl Environment {
    /// There has been a message waiting for so long, always.
    pub(super) fn handle_backlog(&mut self, delay_us: u32) {
        self.overload.intake.handle_delay(self.now, delay_us);
        self.tell_neighbours();
    }

    /// Takes the neighbours from the configuration.
    pub(super) fn meet_neighbours(&mut self) {
        let config = self.config.clone();
        self.endpoint.upstream().set_neighbours(peers(&config).map(|(address, _)| address.ip()));
        let obeyed = peers(&config).filter(|(_, obeyed)| *obeyed).map(|(address, _)| address);
        self.endpoint.downstream().set_servers(obeyed);
    }

    /// Says that the overload is over, once it is.
    pub(super) fn handle_overload_timeout(&mut self) {
        let Some(refusing) = &mut self.overload.refusing else { return };
        if refusing.look_at > self.now {
            return;
        }
        refusing.look_at = refusing.last + OVER_AFTER;
        if refusing.look_at <= self.now {
            let refused = refusing.refused;
            self.overload.refusing = None;
            self.event(Event::OverloadEnded { refused });
        }
    }

    /// Seconds after which whoever sent `request` may try again: spread, so that they do not come back together.
    pub(crate) fn retry_after_s(&mut self, request: &Request) -> u64 {
        let neighbour = self.endpoint.upstream().is_neighbour(request.flow.peer.ip());
        let is_proxied = || request.message.list(HeaderName::Via).nth(1).is_some();
        let range = if neighbour || is_proxied() { PROXY_S } else { PHONE_S };
        range.start() + self.endpoint.random().next_u64() % (range.end() - range.start() + 1)
    }

    fn tell_neighbours(&mut self) {
        let (loss, unix_ms) = (self.overload.intake.loss(), self.unix_ms(self.now));
        self.endpoint.upstream().demand(loss, unix_ms);
    }

    fn count_refusal(&mut self, cause: OverloadCause) {
        let now = self.now;
        match &mut self.overload.refusing {
            Some(refusing) => {
                refusing.refused = refusing.refused.saturating_add(1);
                refusing.last = now;
            }
            None => {
                self.overload.refusing = Some(Refusing { refused: 1, last: now, look_at: now + OVER_AFTER });
                self.event(Event::Overloaded { cause });
            }
        }
    }

    /// 503 without state (§8.2.7).
    fn refuse_for_now(&mut self, request: &Request, cause: OverloadCause) {
        self.count_refusal(cause);
        let retry_after_s = self.retry_after_s(request);
        let mut response = self.endpoint.response(request, Status::SERVICE_UNAVAILABLE, None);
        response.number(HeaderName::RetryAfter, retry_after_s);
        sign_response(&mut response);
        self.endpoint.reply(request, response.finish());
    }
}

impl Switch {
    /// Counts a request, and refuses it when it is new work and there is too much. Returns whether it was refused.
    pub(super) fn is_refused(&mut self, request: &Request) -> bool {
        let cause = self.full_table(request);
        let may_refuse = cause.is_some() || self.env.overload.intake.is_limiting();
        let no_transaction = matches!(cause, Some(OverloadCause::Transactions));
        let work = match request.dialog {
            Some(_) => Work::Established,
            None if !is_new_work(request) || (may_refuse && self.is_refresh(request)) => Work::Established,
            None if may_refuse && !no_transaction && self.is_emergency(request) => Work::Established,
            // While nobody is asked to reduce anything it makes no difference.
            None if self.env.overload.intake.loss() > 0 && self.obeys(request) => Work::Reduced,
            None => Work::New,
        };
        let env = &mut self.env;
        let window = env.overload.intake.window();
        let admitted = env.overload.intake.admits(env.now, work, cause.is_some(), request.draw());
        if window != env.overload.intake.window() {
            env.tell_neighbours();
        }
        if !admitted {
            env.refuse_for_now(request, cause.unwrap_or(OverloadCause::Delay));
        }
        !admitted
    }

    /// The table that has no room for what the request asks for.
    fn full_table(&self, request: &Request) -> Option<OverloadCause> {
        let limits = &self.env.config.limits;
        if self.env.endpoint.transactions() >= limits.transactions as usize {
            return Some(OverloadCause::Transactions);
        }
        let (calls, subscriptions) = (self.calls(), self.subscriptions.watchers.len());
        match request.message.method() {
            Some(Method::Invite) if calls >= limits.calls as usize => Some(OverloadCause::Calls),
            Some(Method::Subscribe)
                if request.dialog.is_none() && subscriptions >= limits.subscriptions as usize =>
            {
                Some(OverloadCause::Subscriptions)
            }
            Some(_) | None => None,
        }
    }

    /// Whether a neighbour that reduces what it sends by our feedback sent it.
    fn obeys(&mut self, request: &Request) -> bool {
        self.env.endpoint.upstream().is_neighbour(request.flow.peer.ip())
            && request.message.via().is_ok_and(|via| via.announces_loss_control())
    }

    /// Whether an INVITE is for a number of emergency.
    fn is_emergency(&self, request: &Request) -> bool {
        let Ok(uri) = request.message.uri() else { return false };
        let domain = self.env.config.domain_of_host(uri.host).and_then(|id| self.env.domain(id));
        let (Some(domain), Some(number)) = (domain, uri.user_unescaped()) else { return false };
        let numbers = &domain.numbering.emergency.numbers;
        request.message.method() == Some(Method::Invite)
            && numbers.iter().any(|known| known.as_bytes() == &number[..])
    }

    /// Whether a REGISTER is about a binding that there is: the same Call-ID, or one of its contacts.
    fn is_refresh(&self, request: &Request) -> bool {
        let message = &request.message;
        if message.method() != Some(Method::Register) {
            return false;
        }
        let Ok(to) = message.to() else { return false };
        let user = to.uri.user_unescaped().unwrap_or_default();
        let domain = self.env.config.domain_of_host(to.uri.host);
        let (Some(domain), Ok(user)) = (domain, core::str::from_utf8(&user)) else { return false };
        let Some(aor) = self.registrar.find(&self.env, domain, user) else { return false };
        let call_id = message.call_id().unwrap_or_default();
        let contacts = message.contacts();
        let contacts = contacts.as_ref().map_or(&[][..], Contacts::as_slice);
        aor.bindings.iter().any(|binding| {
            binding.call_id == call_id
                || contacts.iter().any(|contact| binding.is_for(contact.address.uri.text))
        })
    }
}

/// Whether a request outside a dialog is work. Those that make sense within one alone are answered 481, which costs as
/// little as a refusal.
fn is_new_work(request: &Request) -> bool {
    match request.message.method() {
        Some(Method::Bye | Method::Update | Method::Prack | Method::Info | Method::Ack | Method::Cancel) => {
            false
        }
        Some(_) | None => true,
    }
}

/// Address of every peer that is known by one, and whether we obey its feedback. Servers of names follow as they are found.
fn peers(config: &Config) -> impl Iterator<Item = (SocketAddr, bool)> {
    let peers = config.domains.values().flat_map(|domain| domain.peers.values());
    peers.filter_map(|peer| match peer.host {
        Host::Ip(ip) => {
            let transport = peer.transport.unwrap_or(Transport::Udp);
            let address = SocketAddr::new(ip, peer.port.unwrap_or(transport.default_port()));
            Some((address, peer.overload_control))
        }
        Host::Name(_) => None,
    })
}
