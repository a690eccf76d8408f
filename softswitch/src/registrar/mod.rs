//! The registrar (RFC 3261 §10): which contacts an address of record has, until when, and how each is reached: through
//! the proxies it named (RFC 3327), over the flow it opened (RFC 5626), one phone of many by its GRUU (RFC 5627).
//!
//! Left out on purpose: Service-Route (RFC 3608 §6.3), which a registrar may return: the switch serves its users' calls
//! itself, so there is no other proxy to send them to. Contact parameters other than `q`, `expires`,
//! `+sip.instance` and `reg-id` are not kept: nobody here would read them.

mod binding;
mod gruu;
mod reach;
mod register;
mod table;
mod user_agents;
mod wish;

pub use binding::{AddressOfRecord, Binding};
pub(crate) use gruu::{Device, Named};
pub(crate) use reach::Way;
pub(crate) use table::Registrar;

/// The extensions that the registrar knows (RFC 3327 §8, RFC 5626 §11.4).
pub(crate) const SUPPORTED: &[u8] = b"path, outbound";

/// Whether the registrar serves a request that requires the extension `tag`.
pub(crate) fn understands(tag: &[u8]) -> bool {
    [PATH, OUTBOUND, GRUU].iter().any(|known| tag.eq_ignore_ascii_case(known))
}

const PATH: &[u8] = b"path";
const OUTBOUND: &[u8] = b"outbound";
const GRUU: &[u8] = b"gruu";
