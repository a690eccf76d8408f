//! Lists, a page at a time: what the actor may see of calls, registrations, conferences and subscriptions.
//!
//! A page goes by places in a table, so that it costs no more than a look at each row, and one that begins where another ended
//! misses nothing that was there all the time.

use super::{
    Actor, BindingView, CallRef, CallView, MemberView, Page, Range, RoomRef, RoomView, SubscriptionView,
    UserRef,
};
use crate::call::Call;
use crate::core::Switch;
use core::str;
use std::collections::BTreeMap;

/// Where the calls that only pass through begin in the list of all.
const PROXIED: u64 = 1 << 32;

impl Switch {
    pub(super) fn list_calls(&self, actor: &Actor, range: Range) -> Page<CallView> {
        let named = |id| self.calls.table.get(id).map(|call: &Call| self.env.call_ref(call.number()));
        let own = self.calls.table.iter().map(|(id, call)| {
            let guests = call.guests().iter().filter_map(|guest| named(*guest)).collect();
            (id.as_u64() & (PROXIED - 1), CallView { guests, ..call.view(&self.env) })
        });
        let own = own.filter(|(_, view)| self.shows_call(actor, view));
        let passing = self.proxied.views(&self.env).map(|(place, view)| (PROXIED + place, view));
        page(range, own.chain(passing.filter(|(_, view)| self.shows_call(actor, view))))
    }

    fn shows_call(&self, actor: &Actor, view: &CallView) -> bool {
        // A number behind a peer is nobody's name.
        let parties = [&view.caller, &view.callee].map(|party| {
            let user = str::from_utf8(&party.user).ok().filter(|_| !party.peer);
            user.unwrap_or_default()
        });
        let id = self.env.config.domain_named(&view.domain);
        let domain = id.and_then(|id| self.env.domain(id));
        domain.map_or(actor.is_operator(), |domain| actor.may(domain, &parties))
    }

    pub(super) fn list_registrations(&self, actor: &Actor, range: Range) -> Page<BindingView> {
        let rows = self.registrar.table.iter().flat_map(|(id, aor)| {
            let place = id.as_u64() & (PROXIED - 1);
            let domain = self.env.domain(aor.domain).filter(|domain| actor.may(domain, &[&aor.user]));
            let user = domain.map(|domain| UserRef { name: aor.user.clone(), domain: domain.name.clone() });
            let row = move |(binding, user): (&crate::registrar::Binding, UserRef)| BindingView {
                user,
                contact: binding.contact.clone(),
                instance: binding.instance.clone(),
                source: binding.flow.peer,
                user_agent: binding.user_agent.clone(),
                expires_unix_ms: self.env.unix_ms(binding.expires_at),
                guest: self.env.routing.profiles.guest_at(aor.domain, &aor.user).map(Into::into),
            };
            let users = core::iter::repeat_n(user, aor.bindings.len()).flatten();
            aor.bindings.iter().zip(users).map(move |binding| (place, row(binding)))
        });
        page(range, rows)
    }

    pub(super) fn list_rooms(&self, actor: &Actor, range: Range) -> Page<RoomView> {
        let rows = self.calls.conferences().filter_map(|(room, domain, number, recording)| {
            let mut view = self.calls.room_view(&self.env, room, recording)?;
            view.room = RoomRef { name: String::from_utf8_lossy(number).into(), domain: domain.clone() };
            let commands = self.calls.named_room(&self.env, actor, &view.room).is_ok();
            // Who is in it hears the others anyway.
            let is_in = view.members.iter().any(|member| !member.waits && self.is_own(actor, domain, member));
            if !actor.is_operator() {
                let sees = |member: &MemberView| self.calls.named(&self.env, actor, member.call).is_ok();
                let is_open = |member: &MemberView| (commands || is_in) && !self.is_hidden(domain, member);
                view.members.retain(|member| sees(member) || is_open(member));
                let seen = |call: &CallRef| view.members.iter().any(|member| member.call == *call);
                view.calls.retain(seen);
                view.heard.retain(seen);
                view.speaker = view.speaker.filter(seen);
            }
            let is_listed = self.calls.is_listed(room) && !view.members.is_empty();
            (commands || is_in || is_listed).then_some((room.0, view))
        });
        // By number of the room, not of the conference: one that is opened meanwhile comes last.
        let rows: BTreeMap<u64, RoomView> = rows.collect();
        page(range, rows.into_iter())
    }

    /// Whether a member is a user who is nobody else's business.
    fn is_hidden(&self, domain: &str, member: &MemberView) -> bool {
        let id = self.env.config.domain_named(domain);
        let user = id.and_then(|id| self.env.domain(id)).and_then(|domain| domain.user(&member.user));
        user.is_some_and(|(_, user)| user.hidden)
    }

    /// Whether a member is the actor itself.
    fn is_own(&self, actor: &Actor, domain: &str, member: &MemberView) -> bool {
        match actor {
            Actor::User(user) => *user.domain == *domain && *user.name.as_bytes() == member.user[..],
            Actor::Operator | Actor::System => false,
        }
    }

    pub(super) fn list_subscriptions(&self, actor: &Actor, range: Range) -> Page<SubscriptionView> {
        let rows = self.subscriptions.views(&self.env).filter(|(_, view)| {
            let id = self.env.config.domain_named(&view.watcher.domain);
            let domain = id.and_then(|id| self.env.domain(id));
            domain.map_or(actor.is_operator(), |domain| actor.may(domain, &[&view.watcher.name]))
        });
        page(range, rows)
    }
}

/// The rows from `from` on; those of one place are never parted.
fn page<T>(range: Range, rows: impl Iterator<Item = (u64, T)>) -> Page<T> {
    let mut page = Page { rows: Vec::new(), next: None };
    let mut last = None;
    for (place, row) in rows.skip_while(|(place, _)| *place < range.from) {
        if page.rows.len() >= range.limit() && last != Some(place) {
            page.next = Some(place);
            break;
        }
        last = Some(place);
        page.rows.push(row);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let rows = || [(1, 'a'), (4, 'b'), (4, 'c'), (4, 'd'), (9, 'e')].into_iter();
        let (mut from, mut all) = (0, Vec::new());
        loop {
            let Page { rows, next } = page(Range { from, limit: 2 }, rows());
            all.push(rows);
            let Some(next) = next else { break };
            from = next;
        }
        assert_eq!(all, [vec!['a', 'b', 'c', 'd'], vec!['e']]);
    }
}
