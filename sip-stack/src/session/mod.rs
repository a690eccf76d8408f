//! What happens to a session within its dialog, the same for every user agent: session timers (RFC 4028), reliable provisional
//! responses (RFC 3262), who may offer (RFC 3261 §14, RFC 3311 §5), and transfers (RFC 3515, RFC 4488, RFC 3892).
//!
//! Pure values without a queue or a clock: whoever has the dialog asks them and does what they say.

pub mod glare;
pub mod prack;
pub mod refer;
pub mod timer;

pub use glare::Conflict;
pub use prack::{Acknowledged, Provisionals};
pub use refer::{News, Referral};
pub use timer::{Due, SessionTimer, TimerPolicy};
