//! One subscription of an account (RFC 6665 §4.1): sends what [`Subscription`] asks for, and reads what the NOTIFYs say.

use super::seen::{Availability, Lamp, Mailbox, WatchEvent, WatchOverview, Watched};
use super::{Owner, WatchId};
use crate::phone::identity::Identity;
use crate::phone::outside::Outside;
use crate::phone::{AccountId, Event, Phone, Reason};
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject};
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::event::body::Order;
use sip_stack::event::body::dialog_info::DialogTable;
use sip_stack::event::body::message_summary::MessageSummary;
use sip_stack::event::body::presence::Presence;
use sip_stack::event::{self, Input, Output, Package, Subscription, Ticket};
use sip_stack::header::{HeaderName, SubscriptionState};
use sip_stack::message::{Message, Method, Status};
use sip_stack::registration::Loss;
use sip_stack::transaction::TransactionId;

/// A subscription with what it has told.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::phone) struct Watch {
    pub(super) account: AccountId,
    pub(super) what: Watched,
    /// The user wants it; otherwise it is forgotten when it has ended.
    pub(super) is_kept: bool,
    uri: Bytes,
    machine: Subscription,
    expires_s: u32,
    /// Whether it is wanted now, and whether there is nothing of it.
    wanted: bool,
    is_over: bool,
    asking: Vec<Asking>,
    /// What was told in each dialog.
    told: Vec<(DialogId, Told)>,
    /// When the whole was asked for last because a document was missing.
    refetched: Option<Time>,
    /// What the user knows.
    shown: Shown,
    fault: Option<Reason>,
}

/// The whole is not asked for more often than that because of documents that are missing.
const REFETCH: Duration = Duration::from_secs(30);

/// A SUBSCRIBE that is out.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Asking {
    transaction: TransactionId,
    ticket: Ticket,
    attempt: Attempt,
}

/// The state of one dialog.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Told {
    Nothing,
    Calls(DialogTable),
    Presence(Box<Presence>),
    Messages(MessageSummary),
}

/// What the user was told last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Shown {
    Calls(Option<Lamp>, Option<Box<str>>),
    Presence(Option<Availability>, Option<Box<str>>),
    Mailbox(Option<Mailbox>),
}

/// Why the body of a NOTIFY was not taken.
enum Unread {
    Type,
    Body,
}

impl Watch {
    pub(super) fn new(
        account: AccountId,
        what: Watched,
        uri: Bytes,
        package: Package,
        contact: Bytes,
        expires_s: u32,
    ) -> Watch {
        let mut watch = Watch {
            account,
            what,
            is_kept: true,
            uri,
            machine: Subscription::new(package, contact, expires_s),
            expires_s,
            wanted: false,
            is_over: true,
            asking: Vec::new(),
            told: Vec::new(),
            refetched: None,
            shown: Shown::Mailbox(None),
            fault: None,
        };
        watch.shown = watch.seen();
        watch
    }

    /// Whether no answer is waited for, and nothing is left of what is no longer wanted.
    pub(super) fn is_settled(&self) -> bool {
        if self.wanted { self.asking.is_empty() } else { self.is_over }
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.machine.poll_timeout()
    }

    pub(super) fn mailbox(&self) -> Option<Mailbox> {
        match self.shown {
            Shown::Mailbox(mailbox) => mailbox,
            Shown::Calls(..) | Shown::Presence(..) => None,
        }
    }

    /// Adds what is known to the row of the number, which is made if it is not there.
    pub(super) fn show(&self, rows: &mut Vec<WatchOverview>) {
        let target = match &self.what {
            Watched::Calls(target) | Watched::Presence(target) if self.is_kept => target,
            Watched::Calls(_) | Watched::Presence(_) | Watched::Mailbox | Watched::OwnPresence => return,
        };
        let row = rows.iter().position(|row| row.account == self.account && row.target == *target);
        let row = row.unwrap_or_else(|| {
            rows.push(WatchOverview {
                account: self.account,
                target: target.clone(),
                lamp: None,
                peer: None,
                availability: None,
                note: None,
                fault: None,
            });
            rows.len() - 1
        });
        let row = &mut rows[row];
        match &self.shown {
            Shown::Calls(lamp, peer) => (row.lamp, row.peer) = (*lamp, peer.clone()),
            Shown::Presence(availability, note) => {
                (row.availability, row.note) = (*availability, note.clone());
            }
            Shown::Mailbox(_) => {}
        }
        row.fault = row.fault.take().or_else(|| self.fault.clone());
    }

    /// What is known now.
    fn seen(&self) -> Shown {
        match self.what {
            Watched::Calls(_) => {
                let tables = || {
                    self.told.iter().filter_map(|(_, told)| match told {
                        Told::Calls(table) => Some(table),
                        Told::Nothing | Told::Presence(_) | Told::Messages(_) => None,
                    })
                };
                if tables().next().is_none() {
                    return Shown::Calls(None, None);
                }
                let (lamp, peer) = Lamp::of_all(tables().flat_map(DialogTable::dialogs));
                Shown::Calls(Some(lamp), peer)
            }
            Watched::Presence(_) => {
                let told = self.told.iter().find_map(|(_, told)| match told {
                    Told::Presence(presence) => Some(presence),
                    Told::Nothing | Told::Calls(_) | Told::Messages(_) => None,
                });
                let note = told.and_then(|presence| presence.note()).map(Box::from);
                Shown::Presence(told.and_then(|presence| Availability::of(presence)), note)
            }
            Watched::Mailbox | Watched::OwnPresence => {
                Shown::Mailbox(self.told.iter().find_map(|(_, told)| match told {
                    Told::Messages(summary) => Some(Mailbox::of(summary)),
                    Told::Nothing | Told::Calls(_) | Told::Presence(_) => None,
                }))
            }
        }
    }

    /// Reads the body of a NOTIFY.
    fn read(&mut self, dialog: DialogId, notify: &Message) -> Result<Order, Unread> {
        let at = self.told.iter().position(|(known, _)| *known == dialog).unwrap_or_else(|| {
            self.told.push((dialog, Told::Nothing));
            self.told.len() - 1
        });
        // §4.1.3: what a pending subscription says is neutral.
        let is_pending = matches!(notify.subscription_state(), Ok(SubscriptionState::Pending { .. }));
        let body = notify.body();
        if body.is_empty() || is_pending {
            return Ok(Order::Next);
        }
        let wanted = self.machine.package().content_type().split_once('/').unwrap_or_default();
        let is_it = matches!(notify.content_type(), Ok(Some(kind)) if kind.is(wanted.0, wanted.1));
        if !is_it || notify.header(HeaderName::ContentEncoding).is_some() {
            return Err(Unread::Type);
        }
        let told = &mut self.told[at].1;
        match self.what {
            Watched::Calls(_) => {
                let mut table = match core::mem::replace(told, Told::Nothing) {
                    Told::Calls(table) => table,
                    Told::Nothing | Told::Presence(_) | Told::Messages(_) => DialogTable::default(),
                };
                let order = table.read(body);
                *told = Told::Calls(table);
                order.map_err(|_| Unread::Body)
            }
            Watched::Presence(_) => {
                *told = Told::Presence(Box::new(Presence::parse(body).map_err(|_| Unread::Body)?));
                Ok(Order::Next)
            }
            Watched::Mailbox | Watched::OwnPresence => {
                *told = Told::Messages(MessageSummary::parse(body).map_err(|_| Unread::Body)?);
                Ok(Order::Next)
            }
        }
    }
}

impl Phone {
    /// Subscribes, refreshes what there is, or ends it.
    pub(super) fn subscribe(&mut self, now: Time, id: WatchId, wanted: bool) {
        if let Some(watch) = self.watches.all.get_mut(&id) {
            watch.wanted = wanted;
            watch.is_over &= !wanted;
            self.feed_watch(now, id, Input::Wanted(wanted), Attempt::default());
        }
    }

    /// Forgets a subscription here; at the server it ends by itself.
    pub(super) fn begin_anew(&mut self, id: WatchId) {
        let Some(watch) = self.watches.all.get_mut(&id) else { return };
        let nothing = Ticket { dialog: None, number: 0 };
        self.endpoint.expect_no_notify(watch.machine.sequence(nothing).0, watch.machine.from_tag());
        for (dialog, _) in watch.told.drain(..) {
            self.endpoint.end_dialog(dialog);
        }
        let package = watch.machine.package();
        let contact = self.identities[usize::from(watch.account.0)].account.contact();
        watch.machine = Subscription::new(package, contact.into(), watch.expires_s);
        watch.asking.clear();
        (watch.wanted, watch.is_over) = (false, true);
        let is_kept = watch.is_kept;
        self.tell_watch(id);
        if !is_kept {
            self.watches.all.remove(&id);
        }
    }

    pub(super) fn on_subscription_timeouts(&mut self, now: Time) {
        let due = |watch: &Watch| watch.poll_timeout().is_some_and(|at| at <= now);
        let due: Vec<WatchId> =
            self.watches.all.iter().filter(|(_, watch)| due(watch)).map(|(id, _)| *id).collect();
        for id in due {
            if let Some(watch) = self.watches.all.get_mut(&id) {
                watch.machine.handle_timeout(now, self.endpoint.random());
                self.drain_watch(now, id, None, Attempt::default());
            }
        }
    }

    /// A response to a SUBSCRIBE.
    pub(in crate::phone) fn on_subscribe_response(
        &mut self,
        now: Time,
        id: WatchId,
        transaction: TransactionId,
        response: &Message,
    ) {
        let Some(status) = response.status().filter(|status| status.is_final()) else { return };
        let Some(Asking { ticket, mut attempt, .. }) = self.asked(id, transaction) else { return };
        let Some(account) = self.watches.all.get(&id).map(|watch| watch.account) else { return };
        let input = match status {
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => {
                Input::Challenged { ticket, verdict: self.on_challenge(account, response, &mut attempt) }
            }
            _ => Input::Response { ticket, response },
        };
        self.feed_watch(now, id, input, attempt);
    }

    /// A SUBSCRIBE found no answer.
    pub(in crate::phone) fn on_subscribe_lost(
        &mut self,
        now: Time,
        id: WatchId,
        transaction: TransactionId,
        loss: Loss,
    ) {
        if let Some(Asking { ticket, .. }) = self.asked(id, transaction) {
            self.feed_watch(now, id, Input::Lost { ticket, loss }, Attempt::default());
        }
    }

    /// The SUBSCRIBE of a transaction, which is out no longer.
    fn asked(&mut self, id: WatchId, transaction: TransactionId) -> Option<Asking> {
        let asking = &mut self.watches.all.get_mut(&id)?.asking;
        let at = asking.iter().position(|asking| asking.transaction == transaction)?;
        Some(asking.swap_remove(at))
    }

    /// A NOTIFY in a dialog of a subscription.
    pub(in crate::phone) fn on_watch_notify(
        &mut self,
        now: Time,
        request: &Request,
        dialog: DialogId,
        id: WatchId,
    ) {
        let Some(watch) = self.watches.all.get_mut(&id) else {
            self.refuse(now, request, Status::CALL_DOES_NOT_EXIST, |_| {});
            return self.endpoint.end_dialog(dialog);
        };
        let notify = &request.message;
        let mut status = watch.machine.handle_notify(now, dialog, notify, self.endpoint.random());
        let mut order = Order::Next;
        if status.is_success() {
            match watch.read(dialog, notify) {
                Ok(read) => order = read,
                Err(Unread::Type) => status = Status::UNSUPPORTED_MEDIA_TYPE,
                Err(Unread::Body) => status = Status::BAD_REQUEST,
            }
        }
        let content_type = watch.machine.package().content_type();
        let transaction = self.endpoint.accept(now, request, Owner::Watch(id).number());
        let mut response = self.endpoint.response(request, status, None);
        if status == Status::UNSUPPORTED_MEDIA_TYPE {
            response.header(HeaderName::Accept, content_type.as_bytes());
        }
        self.endpoint.respond(now, transaction, status, response.finish());
        self.drain_watch(now, id, None, Attempt::default());
        if order == Order::Gap && self.may_refetch(now, id) {
            self.feed_watch(now, id, Input::Refetch(dialog), Attempt::default());
        }
    }

    /// Whether a gap is a reason to ask for the whole: to a server whose numbers never fit that would be said again and again.
    fn may_refetch(&mut self, now: Time, id: WatchId) -> bool {
        let Some(watch) = self.watches.all.get_mut(&id) else { return false };
        let may = watch.refetched.is_none_or(|at| now.since(at) >= REFETCH);
        if may {
            watch.refetched = Some(now);
        }
        may
    }

    fn feed_watch(&mut self, now: Time, id: WatchId, input: Input<'_>, attempt: Attempt) {
        let response = match input {
            Input::Response { response, .. } => Some(response),
            Input::Wanted(_) | Input::Refetch(_) | Input::Challenged { .. } | Input::Lost { .. } => None,
        };
        if let Some(watch) = self.watches.all.get_mut(&id) {
            watch.machine.handle_input(now, input, self.endpoint.random());
            self.drain_watch(now, id, response, attempt);
        }
    }

    fn drain_watch(&mut self, now: Time, id: WatchId, response: Option<&Message>, mut attempt: Attempt) {
        while let Some(watch) = self.watches.all.get_mut(&id) {
            let Some(output) = watch.machine.poll_output() else { break };
            match output {
                Output::Subscribe(ticket) => {
                    self.send_subscribe(now, id, ticket, core::mem::take(&mut attempt));
                }
                Output::Forget(dialog) => {
                    watch.told.retain(|(known, _)| *known != dialog);
                    self.endpoint.end_dialog(dialog);
                }
                Output::ExpectNoMore { call_id, tag } => self.endpoint.expect_no_notify(&call_id, &tag),
                Output::Event(event::Event::Subscribed { .. }) => watch.fault = None,
                Output::Event(event::Event::Terminated { dialog, .. }) => {
                    watch.told.retain(|(known, _)| *known != dialog);
                }
                Output::Event(event::Event::Failed { failure, retry }) => {
                    let reason = Reason::of_subscription(failure, response);
                    watch.fault = Some(reason.clone());
                    let (account, what) = (watch.account, watch.what.clone());
                    self.tell(Event::Watch { account, news: WatchEvent::Failed { what, reason, retry } });
                }
                Output::Event(event::Event::Ended) => {
                    watch.is_over = true;
                    (watch.fault, watch.shown) = (None, watch.seen());
                    if !watch.is_kept {
                        self.watches.all.remove(&id);
                    }
                }
            }
        }
        self.tell_watch(id);
    }

    /// Tells the user what is known, if that is news.
    fn tell_watch(&mut self, id: WatchId) {
        let Some(watch) = self.watches.all.get_mut(&id) else { return };
        let seen = watch.seen();
        if watch.shown == seen {
            return;
        }
        watch.shown = seen.clone();
        let (account, what) = (watch.account, watch.what.clone());
        let news = match (seen, what) {
            (Shown::Calls(lamp, peer), Watched::Calls(target)) => WatchEvent::Calls { target, lamp, peer },
            (Shown::Presence(availability, note), Watched::Presence(target)) => {
                WatchEvent::Presence { target, availability, note }
            }
            (Shown::Mailbox(mailbox), _) => WatchEvent::Mailbox(mailbox),
            // Each shows what it is about.
            (Shown::Calls(..) | Shown::Presence(..), _) => return,
        };
        self.tell(Event::Watch { account, news });
    }

    fn send_subscribe(&mut self, now: Time, id: WatchId, ticket: Ticket, mut attempt: Attempt) {
        let Some(account) = self.watches.all.get(&id).map(|watch| watch.account) else { return };
        let transaction = if self.has_way(account) {
            self.draft_subscribe(now, id, account, ticket, &mut attempt)
        } else {
            None
        };
        match transaction {
            Some(transaction) => {
                let asking = Asking { transaction, ticket, attempt };
                if let Some(watch) = self.watches.all.get_mut(&id) {
                    watch.asking.push(asking);
                }
            }
            // When there is a way again the account registers over it, and this begins anew.
            None => {
                let loss = Loss::TransportFailed;
                self.feed_watch(now, id, Input::Lost { ticket, loss }, Attempt::default());
            }
        }
    }

    fn draft_subscribe(
        &mut self,
        now: Time,
        id: WatchId,
        account: AccountId,
        ticket: Ticket,
        attempt: &mut Attempt,
    ) -> Option<TransactionId> {
        let owner = Owner::Watch(id).number();
        let identity = self.identities.get_mut(usize::from(account.0))?;
        let Identity { account, registration, digest, .. } = identity;
        let (watch, endpoint) = (self.watches.all.get_mut(&id)?, &mut self.endpoint);
        let (uri, mut draft) = match ticket.dialog {
            Some(dialog) => {
                let target = endpoint.dialog(dialog)?.remote_target().clone();
                let mut draft = endpoint.draft_in_dialog(dialog, Method::Subscribe, &account.sent_by())?;
                draft.writer.header(HeaderName::Contact, &account.contact());
                (target, draft)
            }
            None => {
                watch.machine.set_contact(account.contact().into());
                let (call_id, number) = watch.machine.sequence(ticket);
                let tag = watch.machine.from_tag();
                let from = [&account.from()[..], b";tag=", tag].concat();
                let outside = Outside {
                    method: Method::Subscribe,
                    uri: &watch.uri,
                    from: &from,
                    to: &watch.uri,
                    sequence: Some((call_id, number)),
                };
                let draft = outside.draft(endpoint, account, registration);
                endpoint.expect_notify(call_id, tag, number, watch.machine.contact().clone(), owner);
                (watch.uri.clone(), draft)
            }
        };
        watch.machine.write(ticket, &mut draft.writer);
        draft.writer.header(HeaderName::UserAgent, self.settings.user_agent.as_bytes());
        let subject = Subject { method: Method::Subscribe, uri: &uri, body: b"" };
        digest.authorize(&subject, &[account.login()], attempt, &mut draft.writer);
        Some(endpoint.request(now, draft, owner))
    }
}
