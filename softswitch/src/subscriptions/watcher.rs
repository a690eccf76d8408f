//! One subscription: whose it is, what it is to, and what its subscriber has been told.

use super::bodies::Sheets;
use super::subject::Subject;
use super::table::Subscriptions;
use crate::config::DomainId;
use crate::core::environment::{Environment, sign_request};
use serde::{Deserialize, Serialize};
use sip_stack::dialog::{Dialog, DialogId};
use sip_stack::endpoint;
use sip_stack::event::{Action, Change, Notice, Notifier};
use sip_stack::message::{Method, Status};
use sip_stack::table::Id;
use sip_stack::transaction::{Armed, TransactionId};
use sip_stack::transport::Flow;

/// Distinguishes the owners of dialogs and transactions from those of calls, as far as they do not get; that it is one of ours the
/// watcher itself tells. The bit above is [`sip_stack::transaction::FORWARDING`].
const OWNED: u64 = 1 << 62;

/// Octets of a NOTIFY at most, some less than those of a datagram. Documents are shorter (`bodies`), so that only a route set reaches it.
const LARGEST: usize = 60_000;

/// One subscription.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Watcher {
    pub(super) subject: Id<Subject>,
    pub(super) notifier: Notifier,
    pub(super) dialog: DialogId,
    pub(super) domain: DomainId,
    /// The user who has subscribed.
    pub(super) user: Box<str>,
    /// The trusted peer that it has subscribed through.
    pub(super) peer: Option<Box<str>>,
    /// The last change of the topic that it was told.
    pub(super) heard: u64,
    /// Over which connection it was heard last.
    pub(super) connection: Option<Flow>,
    /// The NOTIFY that is out.
    pub(super) notify: Option<TransactionId>,
    pub(super) armed: Option<Armed>,
}

/// The number that dialog and transactions of a watcher carry as their owner.
pub(super) const fn owner_of(id: Id<Watcher>) -> u64 {
    id.as_u64() | OWNED
}

const fn watcher_of(owner: u64) -> Option<Id<Watcher>> {
    if owner & OWNED == 0 { None } else { Some(Id::from_u64(owner & !OWNED)) }
}

impl Subscriptions {
    /// The watcher whose dialog this is.
    pub(crate) fn watcher_in(&self, env: &Environment, dialog: DialogId) -> Option<Id<Watcher>> {
        let id = watcher_of(env.endpoint.dialog(dialog)?.owner())?;
        self.watchers.get(id).filter(|watcher| watcher.dialog == dialog).map(|_| id)
    }

    /// Takes what happened to a NOTIFY. Returns whether it was one of ours.
    pub(crate) fn handle_event(&mut self, env: &mut Environment, event: &endpoint::Event) -> bool {
        let (transaction, owner, change) = match event {
            endpoint::Event::Response { transaction, owner, response, .. } => {
                let status = response.status().unwrap_or(Status::SERVER_INTERNAL_ERROR);
                let retry_after = response.retry_after();
                let change = status.is_final().then_some(Change::Answered { status, retry_after });
                (transaction, owner, change)
            }
            endpoint::Event::TimedOut { transaction, owner }
            | endpoint::Event::TransportFailed { transaction, owner } => {
                (transaction, owner, Some(Change::Lost))
            }
            endpoint::Event::Request(_)
            | endpoint::Event::Passing(_)
            | endpoint::Event::Cancelled { .. }
            | endpoint::Event::Acknowledged { .. }
            | endpoint::Event::Unacknowledged { .. } => return false,
        };
        let Some(id) = watcher_of(*owner) else { return false };
        let Some(watcher) = self.watchers.get_mut(id).filter(|watcher| watcher.notify == Some(*transaction))
        else {
            return false;
        };
        if let Some(change) = change {
            watcher.notify = None;
            let action = watcher.notifier.handle_change(env.now, change);
            self.perform(env, id, action, &mut Sheets::default());
        }
        true
    }

    /// Something has happened to what a watcher watches, or to its subscription.
    pub(super) fn change(
        &mut self,
        env: &mut Environment,
        id: Id<Watcher>,
        change: Change,
        sheets: &mut Sheets,
    ) {
        let Some(watcher) = self.watchers.get_mut(id) else { return };
        let action = watcher.notifier.handle_change(env.now, change);
        self.perform(env, id, action, sheets);
    }

    /// Does what a notifier wants done.
    pub(super) fn perform(
        &mut self,
        env: &mut Environment,
        id: Id<Watcher>,
        action: Action,
        sheets: &mut Sheets,
    ) {
        let unsent = match action {
            Action::None => false,
            Action::Notify(notice) => match self.notify(env, id, notice, sheets) {
                Some(was_sent) => !was_sent,
                None => return self.forget(env, id),
            },
            Action::Over => return self.forget(env, id),
        };
        // The phone is not lost: it is as if it had said so.
        let too_large = Change::Answered { status: Status::MESSAGE_TOO_LARGE, retry_after: None };
        if unsent
            && let Some(watcher) = self.watchers.get_mut(id)
            && watcher.notifier.handle_change(env.now, too_large) == Action::Over
        {
            return self.forget(env, id);
        }
        self.arm(id);
    }

    /// Sends a NOTIFY in the dialog of the subscription. Whether it could be, as far as its size goes; `None`: there is no dialog.
    fn notify(
        &mut self,
        env: &mut Environment,
        id: Id<Watcher>,
        notice: Notice,
        sheets: &mut Sheets,
    ) -> Option<bool> {
        let watcher = self.watchers.get(id)?;
        let subject = self.subjects.get(watcher.subject)?;
        let flow = env.endpoint.dialog(watcher.dialog).map(Dialog::flow)?;
        let sent_by = env.sent_by(&flow);
        let mut draft = env.endpoint.draft_in_dialog(watcher.dialog, Method::Notify, &sent_by)?;
        sign_request(&mut draft.writer);
        watcher.notifier.write(env.now, &mut draft.writer);
        let package = watcher.notifier.package();
        let changes = subject.topic(package)?.changes();
        if notice.has_state {
            let host = env.uri_host(subject.domain, &flow);
            let told = (watcher.heard, notice.is_full);
            let hidden = subject.topic(package)?.hidden_from(&subject.name, &watcher.user);
            let compose = || {
                let host = String::from_utf8_lossy(&host);
                subject.document(package, env.now, &host, told, &hidden)
            };
            let document = sheets.document(&host, told, &hidden, compose)?;
            draft.writer.body(package.content_type().as_bytes(), &document.body(notice.version));
        }
        if draft.writer.octets() > LARGEST {
            return Some(false);
        }
        let transaction = env.endpoint.request(env.now, draft, owner_of(id));
        let watcher = self.watchers.get_mut(id)?;
        watcher.notify = Some(transaction);
        if notice.has_state {
            watcher.heard = changes;
        }
        Some(true)
    }
}
