//! Overload control: what is admitted when there is more work than time (RFC 3261 §21.5.4, RFC 5390), and what
//! neighbours tell each other about it (RFC 7339, loss-based).
//!
//! [`Intake`] decides, [`Feedback`] is what is said, [`Upstream`] says it in our responses, [`Downstream`] obeys what
//! servers say to us. Time, delays and draws are handed in.
//!
//! Left out on purpose: the rate-based algorithm (RFC 7415), which no server known to us asks for and which costs a
//! paced queue per neighbour; priorities of Resource-Priority (RFC 4412).

mod downstream;
mod feedback;
mod intake;
mod upstream;

pub use downstream::Downstream;
pub use feedback::{ANNOUNCEMENT, Feedback, Sequence};
pub use intake::{DelayClass, Intake, Work};
pub use upstream::Upstream;
