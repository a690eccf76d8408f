//! Reason (RFC 3326): why we cancel and hang up, and what a party says of it, passed on to the other one.
//!
//! Phones that did not win a fork hear that another one has (§3.1), so that they show no missed call. Left out on purpose: causes
//! of Q.850 of our own, and Reason in responses.

pub(super) use sip_stack::header::reason::all_of;
use sip_stack::header::reason::sip_reason;
use sip_stack::message::Status;

/// Another phone has answered.
pub(super) fn elsewhere() -> Vec<u8> {
    sip_reason(Status::OK.code(), "Call completed elsewhere")
}

/// The status that a call ends with, when the switch ends it; empty for one that ends well.
pub(super) fn of(status: Status) -> Vec<u8> {
    if status.is_success() { Vec::new() } else { sip_reason(status.code(), status.reason()) }
}
