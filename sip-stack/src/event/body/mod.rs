//! What the NOTIFYs and PUBLISHes of event packages carry, as values that are composed and parsed.
//!
//! | module | package | document |
//! |---|---|---|
//! | [`dialog_info`] | `dialog` (RFC 4235) | the calls of a user |
//! | [`presence`] | `presence` (RFC 3856) | PIDF (RFC 3863) with what somebody is doing (RFC 4479, RFC 4480) |
//! | [`message_summary`] | `message-summary` (RFC 3842) | how many messages wait; plain text |
//! | [`reg_info`] | `reg` (RFC 3680) | the bindings of a user |
//! | [`conference_info`] | `conference` (RFC 4575) | who is in a conference |
//!
//! Partial state is brought together by a table beside each document that has it ([`dialog_info::DialogTable`],
//! [`reg_info::RegistrationTable`], [`conference_info::ConferenceTable`]), which says when a document is missing.
//!
//! Bounds: a document has [`MAX_BODY`] octets, [`MAX_ELEMENTS`] elements, [`MAX_DEPTH`] deep, with [`MAX_ATTRIBUTES`] attributes
//! each, and values of [`MAX_VALUE`] octets; what has more is refused. A table has [`MAX_ROWS`] rows; further ones are left out and counted. A document type
//! declaration, and with it every entity but the five of XML, is refused. Text is escaped when it is composed, and comes out as it
//! was sent: whoever prints it escapes it ([`Escaped`](crate::message::Escaped)).
//!
//! Left out on purpose: filters in the body of a SUBSCRIBE, patches of documents (RFC 5263), signatures, other encodings than UTF-8,
//! and elements of other specifications, which are passed over (each says so that it allows them).

mod composer;
pub mod conference_info;
mod conference_table;
pub mod dialog_info;
mod dialog_table;
pub mod message_summary;
pub mod presence;
pub mod reg_info;
mod reg_table;
mod version;
mod word;
mod xml;

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod tests;

pub use version::{DocumentState, Order, Version};
pub use xml::{MAX_ATTRIBUTES, MAX_BODY, MAX_DEPTH, MAX_ELEMENTS, MAX_VALUE};

/// Rows of one table.
pub const MAX_ROWS: usize = 1_024;

/// Why a body is none that we read; the sender is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More octets than [`MAX_BODY`].
    #[error("{0} octets are more than a document may have")]
    TooLarge(usize),
    /// Neither well-formed XML in UTF-8, nor lines of the plain format.
    #[error("malformed")]
    Malformed,
    /// It declares its own entities, or could.
    #[error("a document type declaration is not read")]
    DocumentType,
    /// More elements, attributes or levels than there may be, or a longer value.
    #[error("too many elements, attributes or levels, or too long a value")]
    TooMany,
    /// The root is that of another document.
    #[error("not the document that was expected")]
    OtherDocument,
    /// What has to be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value is none of those there are.
    #[error("no value of {0}")]
    Value(&'static str),
}
