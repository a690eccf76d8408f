//! Phones at which another user has logged in (hot-desking): by code and PIN, until it logs out, somebody else logs in there, or it does so
//! elsewhere. What is kept is a setting of that user (`routing/profile.rs`).
//!
//! A phone is what registers as one user, all devices of it together. While a guest is there its calls are the guest's, with all that the
//! guest may and has set, and the guest's calls ring there; nobody else's do. Calls to numbers of emergency are not the guest's: they say where
//! the phone is. Left out on purpose: MESSAGE, SUBSCRIBE and PUBLISH of such a phone, which go on for the user that it registers as.

use crate::config::DomainId;
use crate::core::environment::Environment;
use crate::routing::{Caller, Dialled};
use bytes::Bytes;
use sip_stack::message::quoted;

/// What stands in records for what a phone has dialled, which has no PIN in it; and the guest whose call it is, if it is one's.
pub(super) fn called_from(
    env: &Environment,
    id: DomainId,
    caller: Caller<'_>,
    number: Bytes,
) -> (Bytes, Option<Box<str>>) {
    let (Caller::User(host), Some(domain)) = (caller, env.domain(id)) else { return (number, None) };
    let features = &env.config.features;
    let mut called = &number[..];
    match features.read(&number).filter(|_| domain.user_of(&number).is_none()) {
        Some(Dialled::LogIn { user, .. }) => {
            let told = Bytes::from([features.log_in.as_bytes(), b"*", user.as_bytes()].concat());
            return (told, None);
        }
        Some(Dialled::LogOut) => return (number, None),
        Some(Dialled::Anonymous(rest) | Dialled::Shown(rest)) => called = rest.as_bytes(),
        Some(
            Dialled::Forward { .. }
            | Dialled::ForwardNone
            | Dialled::DoNotDisturb(_)
            | Dialled::Intercom(_)
            | Dialled::RefuseAnonymous(_),
        )
        | None => {}
    }
    let is_emergency = domain.numbering.emergency.numbers.iter().any(|known| known.as_bytes() == called);
    let guest = env.routing.profiles.guest_at(id, host).filter(|_| !is_emergency);
    let guest = guest.filter(|guest| domain.users.contains_key(*guest)).map(Box::from);
    (number, guest)
}

/// What a guest is called, quoted: what the phone calls itself is not its name.
pub(super) fn name_of(env: &Environment, id: DomainId, guest: &str) -> Bytes {
    let known = env.domain(id).and_then(|domain| domain.users.get(guest)?.display_name.as_deref());
    known.map_or_else(Bytes::new, |name| quoted(name.as_bytes()).into())
}
