//! What a subscriber knows of a conference, brought together from full and partial documents (RFC 4575 §4.6).

use super::conference_info::{
    ConferenceInfo, ConferenceState, Description, Endpoint, PartState, User, Users,
};
use super::version::{DocumentState, Order, Version};
use super::{BodyError, MAX_ROWS};
use serde::{Deserialize, Serialize};

/// Devices of one user that are told of one by one, and streams of one device.
pub const MAX_ENDPOINTS: usize = 16;

/// A conference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConferenceTable {
    version: Version,
    description: Description,
    conference_state: ConferenceState,
    users: Vec<User>,
    is_over: bool,
    left_out: u64,
}

impl ConferenceTable {
    /// What the conference is.
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// How it stands.
    pub const fn conference_state(&self) -> ConferenceState {
        self.conference_state
    }

    /// Who takes part, in the order they were told of.
    pub fn users(&self) -> &[User] {
        &self.users
    }

    /// Whether the conference has ceased to exist: the subscriber ends its subscription.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Users that found no room, of [`MAX_ROWS`], and devices, of [`MAX_ENDPOINTS`] each.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Reads a body and takes it.
    ///
    /// # Errors
    /// [`BodyError`]; nothing has changed then.
    pub fn read(&mut self, body: &[u8]) -> Result<Order, BodyError> {
        ConferenceInfo::parse(body).map(|document| self.take(document))
    }

    /// Takes a document. Unlike those of the other packages one after a gap is not taken (§4.6): the subscriber asks for everything,
    /// and until then it is as it was.
    pub fn take(&mut self, document: ConferenceInfo) -> Order {
        let state = match document.state {
            PartState::Full | PartState::Deleted => DocumentState::Full,
            PartState::Partial => DocumentState::Partial,
        };
        let order = self.version.order(document.version, state);
        match order {
            Order::Stale | Order::Gap => return order,
            Order::Next => self.version.set(document.version),
        }
        if state == DocumentState::Full {
            *self = ConferenceTable { version: self.version, left_out: self.left_out, ..Default::default() };
        }
        self.is_over = document.state == PartState::Deleted;
        if self.is_over {
            return order;
        }
        self.description = document.description.unwrap_or_else(|| core::mem::take(&mut self.description));
        self.conference_state = document.conference_state.unwrap_or(self.conference_state);
        if let Some(users) = document.users {
            self.take_users(users);
        }
        order
    }

    fn take_users(&mut self, told: Users) {
        if told.state != PartState::Partial {
            self.users.clear();
        }
        if told.state == PartState::Deleted {
            return;
        }
        for user in told.users {
            let at = self.users.iter().position(|known| known.entity == user.entity);
            match (at, user.state) {
                (Some(at), PartState::Deleted) => _ = self.users.remove(at),
                (None, PartState::Deleted) => {}
                (Some(at), PartState::Full) => self.users[at] = user,
                (Some(at), PartState::Partial) => self.left_out += merge(&mut self.users[at], user),
                (None, _) if self.users.len() >= MAX_ROWS => self.left_out += 1,
                (None, PartState::Full | PartState::Partial) => {
                    let mut known = User::new(user.entity.clone(), PartState::Full);
                    self.left_out += merge(&mut known, user);
                    self.users.push(known);
                }
            }
        }
    }
}

/// Brings a partial user into a known one; how many devices found no room.
fn merge(known: &mut User, told: User) -> u64 {
    let mut left_out = 0;
    known.display_text = told.display_text.or_else(|| known.display_text.take());
    if !told.roles.is_empty() {
        known.roles = told.roles;
    }
    for endpoint in told.endpoints {
        let at = known.endpoints.iter().position(|known| known.entity == endpoint.entity);
        match (at, endpoint.state) {
            (Some(at), PartState::Deleted) => _ = known.endpoints.remove(at),
            (None, PartState::Deleted) => {}
            (Some(at), PartState::Full) => known.endpoints[at] = endpoint,
            (Some(at), PartState::Partial) => merge_endpoint(&mut known.endpoints[at], endpoint),
            (None, _) if known.endpoints.len() >= MAX_ENDPOINTS => left_out += 1,
            (None, PartState::Full | PartState::Partial) => {
                known.endpoints.push(Endpoint { state: PartState::Full, ..endpoint });
            }
        }
    }
    left_out
}

fn merge_endpoint(known: &mut Endpoint, told: Endpoint) {
    let before = core::mem::replace(known, told);
    known.state = PartState::Full;
    known.display_text = known.display_text.take().or(before.display_text);
    known.status = known.status.or(before.status);
    known.joining_method = known.joining_method.or(before.joining_method);
    known.joined_at = known.joined_at.take().or(before.joined_at);
    known.disconnection_method = known.disconnection_method.or(before.disconnection_method);
    known.disconnected_at = known.disconnected_at.take().or(before.disconnected_at);
    // Streams are told one by one, each as a whole.
    for media in before.media {
        if !known.media.iter().any(|told| told.id == media.id) && known.media.len() < MAX_ENDPOINTS {
            known.media.push(media);
        }
    }
}
