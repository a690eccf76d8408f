//! Header fields: the table of their names, and one file per value that has a structure (RFC 3261 §20).

pub mod contact;
pub mod cseq;
pub mod date;
pub mod media_type;
pub mod name_addr;
pub mod number;
pub mod table;
pub mod via;

pub use crate::message::HeaderError;
pub use contact::{Contact, Contacts};
pub use cseq::CSeq;
pub use media_type::MediaType;
pub use name_addr::NameAddr;
pub use table::HeaderName;
pub use via::{Rport, Via};
