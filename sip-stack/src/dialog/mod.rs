//! Dialogs (RFC 3261 §12): the state two user agents share, the requests they exchange in it, and what an INVITE
//! leaves running in it (§13).

mod invite_usage;
mod resumption;
mod route_set;
mod state;

pub(crate) use invite_usage::HeldAnswer;
pub use invite_usage::{InviteUsage, UsageAction};
pub use resumption::Resumption;
pub use route_set::RouteSet;
pub(crate) use state::Origin;
pub use state::{Dialog, DialogId, DialogState, SequenceError};
