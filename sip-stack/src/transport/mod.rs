//! Where a message came from and where it goes (RFC 3261 §18, RFC 3581). Sockets live elsewhere.

mod flow;
mod next_hop;
mod response_route;
pub mod stream;
pub mod stun;

pub use flow::{Flow, ListenerId, Transmit, Transport};
pub use next_hop::next_hop;
pub use response_route::response_flow;
