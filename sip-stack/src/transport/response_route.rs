//! Where a response goes (RFC 3261 §18.2.2, RFC 3581 §4).
//!
//! Left out on purpose: `maddr`. Deviation: §18.2.2 sends the response to the address in `maddr`, which would let any
//! request turn our answers on a third host; no phone or proxy known to us needs it.

use super::{Flow, Transport};
use crate::header::{Rport, Via};
use core::net::SocketAddr;

/// The port of a sent-by that names none (RFC 3261 §18.2.1, §19.1.2).
const DEFAULT_PORT: u16 = 5060;

/// The flow of the response to a request that arrived on `flow` with `via` on top.
///
/// A datagram is answered at its source address; at its source port when the request asked for it with `rport`, else
/// at the port of the sent-by. A stream is answered on the connection itself.
pub fn response_flow(flow: Flow, via: &Via<'_>) -> Flow {
    let port = match (flow.transport, via.rport) {
        (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss, _)
        | (Transport::Udp, Rport::Requested | Rport::Port(_)) => flow.peer.port(),
        (Transport::Udp, Rport::Absent) => via.port.unwrap_or(DEFAULT_PORT),
    };
    Flow { peer: SocketAddr::new(flow.peer.ip(), port), ..flow }
}
