//! Too much work, neighbours with too much work, phones behind translators, and peers that the switch is a client of, against the pure switch in virtual time
//! (RFC 3261 §21.5.4, RFC 7339, RFC 4787 §4.3).

mod feedback;
mod intake;
mod nat;
mod trunks;
mod world;
