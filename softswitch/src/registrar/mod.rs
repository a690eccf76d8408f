//! The registrar (RFC 3261 §10): which contacts an address of record has, and until when.

mod binding;
mod register;

pub use binding::{AddressOfRecord, Binding};
pub(crate) use register::Registrar;
