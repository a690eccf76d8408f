//! Events: state that others want to hear of (RFC 6665), and state that is published for them (RFC 3903).
//!
//! | file | what |
//! |---|---|
//! | [`body`] | what NOTIFYs and PUBLISHes carry |
//! | `package` | the event packages that are known, and what RFC 6665 §5.4 lets each decide |
//! | `reason` | why a subscription has ended (§4.1.3) |
//! | `subscription` | the subscriber: [`Subscription`], one resource and package, over one dialog or those of a fork |
//! | `asked` | what a SUBSCRIBE asks for, and what it is refused for: [`Asked`], [`Refusal`] |
//! | `notifier` | the notifier: [`Notifier`], one subscription as the notifier sees it |
//! | `publication` | the client of published state: [`Publication`] |
//! | `compositor` | who takes published state: [`Publications`] of one resource |
//!
//! Dialogs are the endpoint's: [`Endpoint::expect_notify`](crate::Endpoint::expect_notify) lets a NOTIFY create one. What a
//! body says is read in [`body`] alone.
//!
//! Left out on purpose: subscriptions that share a dialog with a call or with each other (§4.5.2, deprecated; such a SUBSCRIBE
//! is refused), template packages (§5.2), conditional notification (RFC 5839), lists (RFC 4662). The subscription of a REFER is in
//! `session/refer.rs`.

mod asked;
pub mod body;
mod compositor;
mod notifier;
mod package;
mod publication;
mod reason;
mod subscription;

pub use asked::{Asked, Refusal, Terms};
pub use compositor::{Accepted, Bounds, Publications, Published};
pub use notifier::{Action, Change, Notice, Notifier};
pub use package::Package;
pub use publication::{Publication, PublicationEvent, PublicationInput, PublicationOutput};
pub use reason::Reason;
pub use subscription::{Event, Failure, Input, MAX_FORKS, Output, Subscription, Ticket};
