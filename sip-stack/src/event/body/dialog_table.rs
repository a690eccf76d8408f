//! What a subscriber knows of the dialogs of a user, brought together from full and partial documents (RFC 4235 §4.3).

use super::dialog_info::{Dialog, DialogInfo, DialogState, Participant};
use super::version::{DocumentState, Order, Version};
use super::{BodyError, MAX_ROWS};
use serde::{Deserialize, Serialize};

/// The dialogs of a user that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialogTable {
    version: Version,
    dialogs: Vec<Dialog>,
    left_out: u64,
}

impl DialogTable {
    /// The dialogs, in the order they were told of.
    pub fn dialogs(&self) -> &[Dialog] {
        &self.dialogs
    }

    /// Dialogs that found no room, of [`MAX_ROWS`].
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Reads a body and takes it.
    ///
    /// # Errors
    /// [`BodyError`]; nothing has changed then.
    pub fn read(&mut self, body: &[u8]) -> Result<Order, BodyError> {
        DialogInfo::parse(body).map(|document| self.take(document))
    }

    /// Takes a document. After a gap what it says is taken nevertheless, and the subscriber asks for everything.
    pub fn take(&mut self, document: DialogInfo) -> Order {
        let order = self.version.order(document.version, document.state);
        match order {
            Order::Stale => return order,
            Order::Next | Order::Gap => self.version.set(document.version),
        }
        let before = match document.state {
            DocumentState::Full => core::mem::take(&mut self.dialogs),
            DocumentState::Partial => Vec::new(),
        };
        for mut dialog in document.dialogs {
            match self.dialogs.iter().position(|known| known.id == dialog.id) {
                _ if dialog.state == DialogState::Terminated => {
                    self.dialogs.retain(|known| known.id != dialog.id);
                }
                Some(at) => {
                    inherit(&mut dialog, &self.dialogs[at]);
                    self.dialogs[at] = dialog;
                }
                None if self.dialogs.len() >= MAX_ROWS => self.left_out += 1,
                None => {
                    if let Some(known) = before.iter().find(|known| known.id == dialog.id) {
                        inherit(&mut dialog, known);
                    }
                    self.dialogs.push(dialog);
                }
            }
        }
        order
    }
}

/// What is not said again of the participants is as it was (§4.1.6.1, §4.1.6.2).
fn inherit(dialog: &mut Dialog, known: &Dialog) {
    let side = |now: &mut Participant, before: &Participant| {
        now.identity = now.identity.take().or_else(|| before.identity.clone());
        now.target = now.target.take().or_else(|| before.target.clone());
    };
    side(&mut dialog.local, &known.local);
    side(&mut dialog.remote, &known.remote);
}
