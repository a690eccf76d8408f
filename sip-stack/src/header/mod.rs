//! Header fields: the table of their names, and one file per value that has a structure (RFC 3261 §20).

pub mod contact;
pub mod cseq;
pub mod date;
pub mod event;
pub mod history;
pub mod media_type;
pub mod name_addr;
pub mod number;
pub mod privacy;
pub mod rack;
pub mod reason;
pub mod refer_to;
pub mod replaces;
pub mod session_expires;
pub mod table;
pub mod via;

pub use crate::message::HeaderError;
pub use contact::{Contact, Contacts};
pub use cseq::CSeq;
pub use event::{EventType, SubscriptionState};
pub use history::{Diversion, HistoryEntry};
pub use media_type::MediaType;
pub use name_addr::NameAddr;
pub use privacy::Privacy;
pub use rack::RAck;
pub use reason::Reason;
pub use refer_to::ReferTo;
pub use replaces::{Join, Replaces};
pub use session_expires::{Refresher, SessionExpires};
pub use table::HeaderName;
pub(crate) use via::MAGIC_COOKIE;
pub use via::{Rport, Via};
