//! Registration as a client keeps it: one contact, or one phone over several flows (RFC 3261 §10.2, RFC 5626 §4.2, §4.5),
//! with the Service-Route that the registrar returns (RFC 3608 §6.1).
//!
//! [`Registration`] says when a REGISTER has to be sent and what is in it, and reads the answers. Sockets, transactions,
//! the route to the registrar or to the outbound proxy of a flow, and passwords are its user's: a 401 or 407 is read by a
//! [`DigestClient`](crate::auth::DigestClient), whose [`Verdict`](crate::auth::Verdict) comes in here.
//!
//! ```
//! # use sip_stack::{Time, message::{Method, Writer}, random::Random};
//! # use sip_stack::registration::{Input, Output, Registration};
//! # let (now, mut random) = (Time::default(), Random::new([0; 32]));
//! let contact = &b"sip:1001@192.0.2.7:5070"[..];
//! let mut registration = Registration::plain(contact.into(), 3_600, &mut random);
//! registration.handle_input(now, Input::Wanted(true), &mut random);
//! while let Some(output) = registration.poll_output() {
//!     if let Output::Register(ticket) = output {
//!         let mut request = Writer::request(Method::Register, b"sip:example.com");
//!         registration.write(ticket, &mut request);
//!         // … credentials and the rest; the answer comes back with the ticket.
//!     }
//! }
//! ```
//!
//! Left out on purpose: the Path in an answer, which a user agent ignores (RFC 3327 §5.1); `Contact: *`; several contacts
//! in one REGISTER; GRUU. Deviation: RFC 5626 §4.2.1 has a `reg-id` in every REGISTER of a phone that knows outbound; after
//! a 439 the first flow does without, so that the phone can be called at all.

mod answer;
mod flow;
mod machine;
pub(crate) mod wait;

pub use flow::{Failure, FlowId, Ticket};
pub use machine::{Event, Input, Loss, MAX_FLOWS, Output, Registration};
