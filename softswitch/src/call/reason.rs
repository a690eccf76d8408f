//! Reason (RFC 3326): why we cancel and hang up, and what a party says of it, passed on to the other one.
//!
//! Phones that did not win a fork hear that another one has (§3.1), so that they show no missed call. Left out on purpose: causes
//! of Q.850 of our own, and Reason in responses.

use sip_stack::header::HeaderName;
use sip_stack::header::reason::sip_reason;
use sip_stack::message::{Message, Status};

/// The longest value that is passed on, in octets: one of several reasons, each with its text.
const LONGEST: usize = 512;

/// Another phone has answered.
pub(super) fn elsewhere() -> Vec<u8> {
    sip_reason(Status::OK.code(), "Call completed elsewhere")
}

/// The status that a call ends with, when the switch ends it; empty for one that ends well.
pub(super) fn of(status: Status) -> Vec<u8> {
    if status.is_success() { Vec::new() } else { sip_reason(status.code(), status.reason()) }
}

/// All that a message gives, as one value; empty when it gives none, or more than is passed on.
pub(super) fn all_of(message: &Message) -> Vec<u8> {
    let reasons: Vec<&[u8]> = message.list(HeaderName::Reason).collect();
    let value = reasons.join(&b", "[..]);
    if value.len() > LONGEST { Vec::new() } else { value }
}
