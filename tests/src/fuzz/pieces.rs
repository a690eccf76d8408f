//! Streams in pieces, and what a connection makes of them.

use sip_stack::Time;
use sip_stack::transport::stream::{Connection, Output};

/// No time passes in these targets.
pub(super) const NOW: Time = Time(0);

/// The bytes in pieces whose sizes depend on what is in them.
pub(super) fn cut(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let size = 1 + usize::from(rest.first()?.wrapping_mul(31) >> 4);
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        Some(piece)
    })
}

/// Everything that comes out when these bytes go in.
pub(super) fn feed(connection: &mut Connection, bytes: &[u8]) -> Vec<Output> {
    connection.handle_bytes(NOW, bytes);
    drain(connection)
}

/// Everything that is to come out.
pub(super) fn drain(connection: &mut Connection) -> Vec<Output> {
    std::iter::from_fn(|| connection.poll_output()).collect()
}
