//! Subscriptions of users to each other's state, and the state that their devices publish (RFC 6665, RFC 3903).
//!
//! | package | subject | where the state comes from |
//! |---|---|---|
//! | `dialog` (RFC 4235) | a user | the seats of its calls (`call/seats.rs`, `proxied/seats.rs`) |
//! | `presence` (RFC 3856) | a user | whether it is registered, whether it talks, and what its devices have published |
//! | `message-summary` (RFC 3842) | a user, itself | the counts that the operator has set, and those that peers tell (`peers`) |
//! | `reg` (RFC 3680) | a user, itself, and for trusted peers | its bindings |
//! | `conference` (RFC 4575) | the number of a conference | who is in it |
//!
//! A *subject* has a *topic* for each package that somebody watches, and a topic its *watchers*: one subscription each, with a
//! [`Notifier`](sip_stack::event::Notifier) and a dialog. A change reaches every watcher of the topic with one body, which is
//! composed once for all who have been told the same before. Nothing is kept for what nobody watches.
//!
//! A user may watch whoever allows it (`watched_by`), and only who allows it is named to it in documents about others (`discretion`);
//! messages and bindings are its own affair. Subscriptions are not stored: after a
//! restart a refresh is answered 481, and the phone subscribes anew.
//!
//! Bounds: `limits.subscriptions` of all (503), `limits.subscriptions_per_user` of those who subscribe (403), `PUBLICATIONS` of a
//! user (the one that would end first goes), `LARGEST` octets each (413), `ROWS` calls, contacts or members in a document, and so
//! many octets of it that its NOTIFY fits into a datagram (further rows are left out).
//!
//! Deviation: RFC 3261 §18.1.1 wants a request of more than 1,300 octets to leave over a stream. A phone that subscribed over UDP is
//! told over UDP, in fragments if need be: it has no listener for a stream that we knew of.
//!
//! Left out on purpose: what a subscriber wants filtered (the body of its SUBSCRIBE), requests of others to be told of subscribers
//! (`presence.winfo`), subscriptions of and to peers, pending ones (nobody is asked).

mod bodies;
mod contacts;
mod discretion;
mod ledger;
mod lines;
mod mailbox;
mod news;
mod peers;
mod presence;
mod publish;
mod roster;
mod subject;
mod subscribe;
mod table;
mod watcher;

pub(crate) use peers::is_mailbox_news;
pub(crate) use subject::Sources;
pub(crate) use table::Subscriptions;

use sip_stack::event::Package;

/// The packages, as they stand in Allow-Events.
pub(crate) const ALLOW_EVENTS: &[u8] = b"dialog, presence, message-summary, reg, conference";
/// Subscriptions last so long at least and at most, in seconds.
const EXPIRES_S: core::ops::RangeInclusive<u32> = 60..=3_600;
/// Publications of one user.
const PUBLICATIONS: usize = 5;
/// Octets of a publication.
const LARGEST: usize = 4_096;
/// Rows of a document.
const ROWS: usize = 128;

const TERMS: sip_stack::event::Terms<'static> = sip_stack::event::Terms {
    packages: &Package::ALL,
    min_expires_s: *EXPIRES_S.start(),
    max_expires_s: *EXPIRES_S.end(),
};
