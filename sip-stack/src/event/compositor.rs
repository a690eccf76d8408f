//! State that is published for a resource (RFC 3903 §6): each publication under an entity tag, until its time is up.
//!
//! Bounds: [`Bounds`]; a resource with as many publications as it may have lets the one go that would end first, so that a device
//! that has forgotten its tags is not locked out. Left out on purpose: what several publications come to together.

use super::{Package, Refusal, Terms};
use crate::header::HeaderName;
use crate::message::{Message, Status, Writer};
use crate::random::Random;
use crate::time::Time;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// How much there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Publications of one resource.
    pub publications: usize,
    /// Octets of one.
    pub octets: usize,
}

/// One publication, as `T` reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published<T> {
    tag: Bytes,
    expires_at: Time,
    /// What was published.
    pub state: T,
}

/// What a PUBLISH has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The tag that the publication has from now on; that of one that was removed names nothing.
    pub tag: Bytes,
    /// Seconds that it lasts.
    pub expires_s: u32,
    /// Whether there is other state than before.
    pub is_changed: bool,
}

impl Accepted {
    /// Adds SIP-ETag and Expires to the 200.
    pub fn write(&self, writer: &mut Writer) {
        writer.header(HeaderName::SipEtag, &self.tag);
        writer.number(HeaderName::Expires, u64::from(self.expires_s));
    }
}

/// The publications of one resource and package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publications<T>(SmallVec<[Published<T>; 1]>);

impl<T> Default for Publications<T> {
    fn default() -> Publications<T> {
        Publications(SmallVec::new())
    }
}

impl<T> Publications<T> {
    /// Takes a PUBLISH for `package`; `read` makes of a body what is kept of it. Either all of it is done or nothing.
    ///
    /// What ends at this moment goes without a word: whoever tells others calls [`Publications::expire`] first.
    ///
    /// # Errors
    /// [`Refusal`]; `read` says no: 400.
    pub fn publish(
        &mut self,
        now: Time,
        publish: &Message,
        (package, terms, bounds): (Package, Terms<'_>, Bounds),
        random: &mut Random,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Accepted, Refusal> {
        const BAD: Refusal = Refusal::Other(Status::BAD_REQUEST);
        let event = publish.event().map_err(|_| Refusal::BadEvent)?;
        if !event.is(package.name()) || !terms.packages.contains(&package) {
            return Err(Refusal::BadEvent);
        }
        self.expire(now);
        // Step 3: one tag, and one that there is.
        let tag = publish.if_match().map_err(|_| BAD)?;
        if publish.headers(HeaderName::SipIfMatch).count() > 1 {
            return Err(BAD);
        }
        let known = |published: &Published<T>| tag.is_some_and(|tag| published.tag == tag);
        let place = self.0.iter().position(known);
        if tag.is_some() && place.is_none() {
            return Err(Refusal::ConditionFailed);
        }
        let asked_s = publish.expires().map_err(|_| BAD)?.unwrap_or_else(|| package.default_expires_s());
        let expires_s = terms.granted(asked_s)?;
        let state = read_body(publish, package, bounds, read)?;
        if state.is_none() && place.is_none() {
            return Err(BAD);
        }
        let is_changed = state.is_some() || expires_s == 0;
        let accepted = Accepted { tag: Bytes::copy_from_slice(&random.token::<16>()), expires_s, is_changed };
        let old = place.map(|place| self.0.remove(place));
        let existed = old.is_some();
        if expires_s == 0 {
            return Ok(Accepted { is_changed: existed, ..accepted });
        }
        if let Some(state) = state.or(old.map(|old| old.state)) {
            self.make_room(bounds.publications);
            let expires_at = now + Duration::from_secs(u64::from(expires_s));
            self.0.push(Published { tag: accepted.tag.clone(), expires_at, state });
        }
        Ok(accepted)
    }

    /// Lets those go whose time is up; whether there were any.
    pub fn expire(&mut self, now: Time) -> bool {
        let before = self.0.len();
        self.0.retain(|published| published.expires_at > now);
        self.0.len() != before
    }

    /// When [`Publications::expire`] has something to do.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.0.iter().map(|published| published.expires_at).min()
    }

    /// What is published, the latest last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.0.iter().map(|published| &published.state)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn make_room(&mut self, most: usize) {
        while self.0.len() >= most.max(1) {
            let first = self.0.iter().map(|published| published.expires_at).min();
            let place = self.0.iter().position(|published| Some(published.expires_at) == first);
            self.0.remove(place.unwrap_or(0));
        }
    }
}

/// The state in a body, if there is one.
fn read_body<T>(
    publish: &Message,
    package: Package,
    bounds: Bounds,
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let body = publish.body();
    if body.is_empty() {
        return Ok(None);
    }
    let kind = publish.content_type().map_err(|_| Refusal::Other(Status::BAD_REQUEST))?;
    let (main, sub) = package.content_type().split_once('/').unwrap_or_default();
    if !kind.is_some_and(|kind| kind.is(main, sub)) {
        return Err(Refusal::UnsupportedMediaType(package));
    }
    if body.len() > bounds.octets {
        return Err(Refusal::TooLarge);
    }
    read(body).map(Some).ok_or(Refusal::Other(Status::BAD_REQUEST))
}
