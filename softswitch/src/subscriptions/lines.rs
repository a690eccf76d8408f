//! The calls of a user, as a busy lamp shows them (RFC 4235).
//!
//! Left out on purpose: Call-ID and tags of a dialog. With them a watcher could take a call over (RFC 3891).

use super::bodies::{Document, fitting};
use super::discretion::Hidden;
use super::ledger::Ledger;
use super::subject::uri;
use crate::call::{Over, Place, Seen, Stage};
use serde::{Deserialize, Serialize};
use sip_stack::event::body::DocumentState;
use sip_stack::event::body::dialog_info::{
    Dialog, DialogInfo, DialogState, Direction, Identity, Participant,
};

/// Up to so many calls are told whole.
const FEW: usize = 4;

/// A call of the user, on one side of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    seen: Seen,
    over: Option<Over>,
}

impl Line {
    pub(super) const fn new(seen: Seen) -> Line {
        Line { seen, over: None }
    }

    pub(super) const fn seen(&self) -> &Seen {
        &self.seen
    }

    pub(super) fn end(&mut self, over: Option<Over>) {
        self.over = Some(over.unwrap_or(Over { event: None, status: None }));
    }

    fn dialog(&self, host: &str, hidden: &Hidden) -> Dialog {
        let Line { seen, over } = self;
        let state = match (over, seen.stage) {
            (Some(_), _) => DialogState::Terminated,
            (None, Stage::Trying) => DialogState::Trying,
            (None, Stage::Early) => DialogState::Early,
            (None, Stage::Confirmed) => DialogState::Confirmed,
        };
        let mut dialog = Dialog::new(format!("{:x}", seen.alias), state);
        dialog.direction = Some(match seen.place {
            Place::Caller | Place::Member => Direction::Initiator,
            Place::Callee => Direction::Recipient,
        });
        dialog.event = over.and_then(|over| over.event);
        dialog.code = over.and_then(|over| over.status).map(sip_stack::message::Status::code);
        let identity = Identity { uri: uri(hidden.known(seen), host).into(), display: hidden.display(seen) };
        dialog.remote = Participant { identity: Some(identity), target: None };
        dialog
    }
}

/// The document for those who heard the change `since` as the last.
pub(super) fn compose(
    lines: &Ledger<Line>,
    user: &str,
    host: &str,
    (since, is_full): (u64, bool),
    hidden: &Hidden,
) -> Document {
    let (is_full, rows) = lines.told(since, is_full, FEW);
    let state = if is_full { DocumentState::Full } else { DocumentState::Partial };
    let body = fitting(rows.len(), |count| {
        let dialogs = rows.iter().take(count).map(|(_, _, line)| line.dialog(host, hidden)).collect();
        DialogInfo { version: 0, state, entity: uri(Some(user), host).into(), dialogs }.compose()
    });
    Document::versioned(body)
}
