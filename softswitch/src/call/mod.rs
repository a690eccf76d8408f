//! Calls between two parties with media anchored here: a back-to-back user agent (RFC 3261 §6, RFC 7092).

mod agreement;
#[allow(clippy::module_inception)]
mod call;
mod calls;
mod end;
mod locate;
mod midcall;
mod ring;
mod session;
mod setup;

pub use call::{Call, CallId};
pub(crate) use calls::Calls;
