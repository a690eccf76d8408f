//! The own presence of an account, published for others (RFC 3903): available, away, not to be disturbed, on the phone.
//!
//! It follows from what the user has set and from the calls of the account; it is published anew when it has changed. `busy` of RFC
//! 4480 stands for not to be disturbed, which has no word of its own there.

use super::Owner;
use super::seen::{Availability, WatchEvent, Watched};
use crate::phone::identity::Identity;
use crate::phone::outside::Outside;
use crate::phone::{AccountId, CommandError, Event, Phone, Reason};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::{Attempt, Subject};
use sip_stack::event::body::presence::{Activity, Basic, Contact, Person, Presence, Tuple};
use sip_stack::event::{Package, Publication, PublicationEvent, PublicationInput, PublicationOutput};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::registration::Loss;
use sip_stack::transaction::TransactionId;

/// The own presence of an account.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::phone) struct Publisher {
    machine: Publication,
    /// The user wants it to be published.
    is_kept: bool,
    /// What was given to the machine last.
    given: Option<Availability>,
    /// Names us among the devices of the user.
    id: Box<str>,
    asking: Option<Asking>,
}

/// The PUBLISH that is out.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Asking {
    transaction: TransactionId,
    number: u32,
    attempt: Attempt,
}

impl Publisher {
    /// Whether no answer is waited for, and nothing is published that is no longer wanted.
    pub(super) fn is_settled(&self) -> bool {
        self.asking.is_none() && (self.given.is_some() || !self.machine.is_published())
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.machine.poll_timeout()
    }
}

impl Phone {
    /// The user wants the presence of an account to be published, or not.
    pub(in crate::phone) fn want_publishing(
        &mut self,
        account: AccountId,
        wanted: bool,
    ) -> Result<(), CommandError> {
        let identity =
            self.identities.get(usize::from(account.0)).ok_or(CommandError::NoSuchAccount(account))?;
        let expires_s = identity.account.expires_s;
        let random = self.endpoint.random();
        let publisher = self.watches.publishers.entry(account).or_insert_with(|| Publisher {
            machine: Publication::new(Package::Presence, expires_s),
            is_kept: wanted,
            given: None,
            // An id of XML begins with a letter.
            id: format!("t{:016x}", random.next_u64()).into(),
            asking: None,
        });
        publisher.is_kept = wanted;
        Ok(())
    }

    /// Whether the user is said to be away; `None` when no account publishes that.
    pub fn is_away(&self) -> Option<bool> {
        self.watches.publishers.values().any(|publisher| publisher.is_kept).then_some(self.away)
    }

    /// How it is with the user, as others are to see it; `None`: not at all.
    fn own_availability(&self, account: AccountId) -> Option<Availability> {
        let is_kept = self.watches.publishers.get(&account).is_some_and(|publisher| publisher.is_kept);
        if !is_kept || !self.identity(account).watching {
            return None;
        }
        let talks = self.calls.values().any(|call| call.account == account && call.dialog().is_some());
        Some(match (talks, self.settings.do_not_disturb, self.away) {
            (true, _, _) => Availability::OnThePhone,
            (false, true, _) => Availability::DoNotDisturb,
            (false, false, true) => Availability::Away,
            (false, false, false) => Availability::Available,
        })
    }

    /// Publishes what has changed; called after every input.
    pub(in crate::phone) fn publish_changes(&mut self, now: Time) {
        let accounts: Vec<AccountId> = self.watches.publishers.keys().copied().collect();
        for account in accounts {
            let availability = self.own_availability(account);
            let Some(publisher) = self.watches.publishers.get(&account) else { continue };
            // While the registration is looked after, what is published stays; not so when the user wants nothing published.
            let is_paused = publisher.is_kept
                && availability.is_none()
                && self.identity(account).registration.is_wanted();
            if availability != publisher.given && !is_paused {
                self.publish(now, account, availability);
            }
        }
    }

    /// The account is registered anew: what is published is looked after, what was given up tried again.
    pub(super) fn publish_again(&mut self, now: Time, account: AccountId) {
        let availability = self.own_availability(account);
        let Some(publisher) = self.watches.publishers.get_mut(&account) else { return };
        if availability == publisher.given && publisher.machine.is_published() {
            publisher.machine.handle_input(now, PublicationInput::Refresh, self.endpoint.random());
            return self.drain_publisher(now, account, None, Attempt::default());
        }
        self.publish(now, account, availability);
    }

    fn publish(&mut self, now: Time, account: AccountId, availability: Option<Availability>) {
        let Some(publisher) = self.watches.publishers.get(&account) else { return };
        let settings = &self.identity(account).account;
        let (entity, contact) = (settings.address_of_record(), settings.contact_uri());
        let state = availability.map(|availability| document(availability, &publisher.id, &entity, &contact));
        let Some(publisher) = self.watches.publishers.get_mut(&account) else { return };
        publisher.given = availability;
        publisher.machine.handle_input(now, PublicationInput::State(state), self.endpoint.random());
        self.drain_publisher(now, account, None, Attempt::default());
    }

    pub(super) fn on_publisher_timeouts(&mut self, now: Time) {
        let accounts: Vec<AccountId> = self.watches.publishers.keys().copied().collect();
        for account in accounts {
            if let Some(publisher) = self.watches.publishers.get_mut(&account) {
                publisher.machine.handle_timeout(now);
                self.drain_publisher(now, account, None, Attempt::default());
            }
        }
    }

    /// A response to a PUBLISH.
    pub(in crate::phone) fn on_publish_response(
        &mut self,
        now: Time,
        account: AccountId,
        transaction: TransactionId,
        response: &Message,
    ) {
        let Some(status) = response.status().filter(|status| status.is_final()) else { return };
        let Some(Asking { number, mut attempt, .. }) = self.published(account, transaction) else { return };
        let input = match status {
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => {
                PublicationInput::Challenged(number, self.on_challenge(account, response, &mut attempt))
            }
            _ => PublicationInput::Response(number, response),
        };
        if let Some(publisher) = self.watches.publishers.get_mut(&account) {
            publisher.machine.handle_input(now, input, self.endpoint.random());
            self.drain_publisher(now, account, Some(response), attempt);
        }
    }

    /// A PUBLISH found no answer.
    pub(in crate::phone) fn on_publish_lost(
        &mut self,
        now: Time,
        account: AccountId,
        transaction: TransactionId,
        loss: Loss,
    ) {
        if let Some(Asking { number, .. }) = self.published(account, transaction) {
            self.publish_lost(now, account, number, loss);
        }
    }

    fn publish_lost(&mut self, now: Time, account: AccountId, number: u32, loss: Loss) {
        if let Some(publisher) = self.watches.publishers.get_mut(&account) {
            publisher.machine.handle_input(now, PublicationInput::Lost(number, loss), self.endpoint.random());
            self.drain_publisher(now, account, None, Attempt::default());
        }
    }

    /// The PUBLISH of a transaction, which is out no longer.
    fn published(&mut self, account: AccountId, transaction: TransactionId) -> Option<Asking> {
        let asking = &mut self.watches.publishers.get_mut(&account)?.asking;
        asking.take_if(|asking| asking.transaction == transaction)
    }

    fn drain_publisher(
        &mut self,
        now: Time,
        account: AccountId,
        response: Option<&Message>,
        mut attempt: Attempt,
    ) {
        while let Some(publisher) = self.watches.publishers.get_mut(&account) {
            let Some(output) = publisher.machine.poll_output() else { return };
            let news = match output {
                PublicationOutput::Publish(number) => {
                    self.send_publish(now, account, number, core::mem::take(&mut attempt));
                    continue;
                }
                PublicationOutput::Event(PublicationEvent::Published { .. }) => {
                    WatchEvent::Published(publisher.given)
                }
                PublicationOutput::Event(PublicationEvent::Removed) => WatchEvent::Published(None),
                PublicationOutput::Event(PublicationEvent::Failed { failure, retry }) => {
                    let reason = Reason::of_subscription(failure, response);
                    WatchEvent::Failed { what: Watched::OwnPresence, reason, retry }
                }
            };
            self.tell(Event::Watch { account, news });
        }
    }

    fn send_publish(&mut self, now: Time, id: AccountId, number: u32, mut attempt: Attempt) {
        if !self.has_way(id) {
            // When there is a way again the account registers over it, and this is published anew.
            return self.publish_lost(now, id, number, Loss::TransportFailed);
        }
        let Some(identity) = self.identities.get_mut(usize::from(id.0)) else { return };
        let Identity { account, registration, digest, .. } = identity;
        let uri = account.address_of_record();
        let outside =
            Outside { method: Method::Publish, uri: &uri, from: &account.from(), to: &uri, sequence: None };
        let mut draft = outside.draft(&mut self.endpoint, account, registration);
        draft.writer.header(HeaderName::UserAgent, self.settings.user_agent.as_bytes());
        let subject = Subject { method: Method::Publish, uri: &uri, body: b"" };
        digest.authorize(&subject, &[account.login()], &mut attempt, &mut draft.writer);
        let Some(publisher) = self.watches.publishers.get_mut(&id) else { return };
        publisher.machine.write(number, &mut draft.writer);
        let transaction = self.endpoint.request(now, draft, Owner::Publisher(id).number());
        publisher.asking = Some(Asking { transaction, number, attempt });
    }
}

/// What is published: this phone and its user.
fn document(availability: Availability, id: &str, entity: &[u8], contact: &[u8]) -> Bytes {
    let text = |bytes: &[u8]| Box::from(String::from_utf8_lossy(bytes));
    let (basic, activity) = match availability {
        Availability::Available => (Basic::Open, None),
        Availability::Away => (Basic::Open, Some(Activity::Away)),
        Availability::DoNotDisturb => (Basic::Open, Some(Activity::Busy)),
        Availability::OnThePhone => (Basic::Open, Some(Activity::OnThePhone)),
        Availability::Offline => (Basic::Closed, None),
    };
    let contact = Some(Contact { uri: text(contact), priority: None });
    let tuple = Tuple { id: id.into(), basic: Some(basic), contact, ..Tuple::default() };
    let person = activity.map(|activity| Person {
        id: format!("p{id}").into(),
        activities: vec![activity],
        ..Person::default()
    });
    let persons = person.into_iter().collect();
    Presence { entity: text(entity), tuples: vec![tuple], persons, notes: Vec::new() }.compose()
}
