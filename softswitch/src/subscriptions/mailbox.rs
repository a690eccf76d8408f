//! The messages in the mailbox of a user (RFC 3842), as the operator has counted them.

use super::bodies::Document;
use super::subject::{Matter, counts, uri};
use super::table::Subscriptions;
use crate::call::subject_key;
use crate::config::{DomainId, Mailbox};
use crate::core::environment::Environment;
use sip_stack::event::Package;
use sip_stack::event::body::message_summary::{Counts, MessageClass, MessageSummary};

/// The document. Without a mailbox no messages wait.
pub(super) fn compose(mailbox: Mailbox, user: &str, host: &str) -> Document {
    let Mailbox { new, old, urgent_new, urgent_old } = mailbox;
    let urgent = (urgent_new > 0 || urgent_old > 0).then_some((urgent_new, urgent_old));
    let counts = vec![(MessageClass::Voice, Counts { new, old, urgent })];
    let account = Some(uri(Some(user), host).into());
    Document::plain(MessageSummary { waiting: new > 0, account, counts }.compose())
}

impl Subscriptions {
    /// What is in the mailbox of a user has changed: who watches it is told.
    pub(crate) fn recount(&mut self, env: &mut Environment, domain: DomainId, user: &str) {
        let Some(id) = self.subject(subject_key(env.endpoint.hasher(), domain, user)) else { return };
        let now = counts(env, domain, user);
        let subject = self.subjects.get_mut(id);
        let topic = subject.and_then(|subject| subject.topic_mut(Package::MessageSummary));
        if let Some(Matter::Mailbox(before)) = topic.map(|topic| &mut topic.matter)
            && *before != now
        {
            *before = now;
            self.tell(env, id, Package::MessageSummary);
        }
    }
}
