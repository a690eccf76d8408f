//! Location of SIP servers (RFC 3263, with RFC 2782 for SRV, RFC 7118 §5.5 for WebSocket, RFC 7984 for two families of
//! addresses): from a URI to the transports, addresses and ports to try, one after the other.
//!
//! [`Resolver`] asks the DNS by [`Output::Query`] and is told by [`Input::Answer`]; for each location it hands out one
//! [`Target`] at a time and the next when that fails. It keeps answers for their time, and remembers targets that
//! failed.
//!
//! ```
//! use sip_stack::message::Uri;
//! use sip_stack::random::Random;
//! use sip_stack::resolve::{Destination, Input, LocationId, Output, Resolver, Settings, TransportSet};
//! use sip_stack::time::Time;
//! use sip_stack::transport::Transport;
//!
//! let mut resolver = Resolver::new(Settings::default(), Random::new([0; 32]));
//! let destination = Destination::of_uri(&Uri::parse(b"sip:alice@192.0.2.4").unwrap()).unwrap();
//! let transports = TransportSet::from_iter([Transport::Udp, Transport::Tcp]);
//! let locate = Input::Locate { id: LocationId(1), destination, transports };
//! resolver.handle_input(Time(0), locate).unwrap();
//! let Some(Output::Target { target, .. }) = resolver.poll_output() else { unreachable!() };
//! assert_eq!((target.transport, target.address), (Transport::Udp, "192.0.2.4:5060".parse().unwrap()));
//! resolver.handle_input(Time(0), Input::Reached(LocationId(1))).unwrap();
//! ```
//!
//! Left out on purpose: the deterministic order that stateless proxies need (RFC 3263 §4.4), ENUM, SCTP, and a judgement
//! on which networks a peer's domain may lead us into.

mod destination;
mod expiring;
mod location;
mod name;
mod plan;
mod record;
mod resolver;
mod select;
#[cfg(test)]
mod tests;

pub use destination::{Destination, DestinationError, TransportSet};
pub use location::{Exhausted, MAX_QUESTIONS, MAX_TARGETS, Target};
pub use name::{Host, Name};
pub use plan::Families;
pub use record::{Answer, Kind, MAX_RECORDS, Naptr, Query, Records, Srv};
pub use resolver::{Failure, Figures, Input, InputError, LocationId, Output, Resolver, Settings};
