//! The messages in the mailbox of a user (RFC 3842), as the operator has counted them.

use super::bodies::Document;
use super::subject::uri;
use crate::config::Mailbox;
use sip_stack::event::body::message_summary::{Counts, MessageClass, MessageSummary};

/// The document. Without a mailbox no messages wait.
pub(super) fn compose(mailbox: Mailbox, user: &str, host: &str) -> Document {
    let Mailbox { new, old, urgent_new, urgent_old } = mailbox;
    let urgent = (urgent_new > 0 || urgent_old > 0).then_some((urgent_new, urgent_old));
    let counts = vec![(MessageClass::Voice, Counts { new, old, urgent })];
    let account = Some(uri(Some(user), host).into());
    Document::plain(MessageSummary { waiting: new > 0, account, counts }.compose())
}
