//! Event and Subscription-State: what is subscribed to, and whether the subscription lives (RFC 6665 §8.2); the entity tags of
//! published state (RFC 3903 §11.3).

use super::number::delta_seconds;
use crate::message::{Offence, Params, grammar};

/// `Event`
#[derive(Clone, Copy, Debug)]
pub struct EventType<'a> {
    /// The package with its templates, such as `refer` or `presence.winfo`.
    pub name: &'a [u8],
    /// The deprecated parameter that told several subscriptions of a dialog apart; a REFER's is its CSeq number (RFC 3515 §2.4.6).
    pub id: Option<&'a [u8]>,
}

impl<'a> EventType<'a> {
    /// `event-type *(SEMI event-param)`
    ///
    /// # Errors
    /// What is malformed.
    pub fn parse(text: &'a [u8]) -> Result<EventType<'a>, Offence> {
        let (name, params) = worded(text)?;
        Ok(EventType { name, id: params.value(b"id") })
    }

    /// The field value.
    pub fn value(&self) -> Vec<u8> {
        match self.id {
            None => self.name.to_vec(),
            Some(id) => [self.name, b";id=", id].concat(),
        }
    }

    /// Whether it is that package; names are case-sensitive tokens, compared as such (RFC 6665 §8.2.1).
    pub fn is(&self, package: &str) -> bool {
        self.name == package.as_bytes()
    }
}

/// Whether a subscription lives (RFC 6665 §4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState<'a> {
    /// Accepted; for so many seconds, where that is said.
    Active {
        /// Seconds left.
        expires: Option<u32>,
    },
    /// Not decided yet.
    Pending {
        /// Seconds left.
        expires: Option<u32>,
    },
    /// Over.
    Terminated {
        /// Why, such as `noresource`.
        reason: Option<&'a [u8]>,
        /// When to try again, in seconds.
        retry_after: Option<u32>,
    },
    /// A state that we do not know, which counts as active (§4.1.3).
    Other(&'a [u8]),
}

impl<'a> SubscriptionState<'a> {
    /// `substate-value *(SEMI subexp-params)`
    ///
    /// # Errors
    /// What is malformed.
    pub fn parse(text: &'a [u8]) -> Result<SubscriptionState<'a>, Offence> {
        let (state, params) = worded(text)?;
        let seconds = |name: &[u8]| match params.value(name) {
            Some(text) => delta_seconds(text).map(Some).ok_or(Offence::Parameters),
            None => Ok(None),
        };
        let expires = seconds(b"expires")?;
        Ok(if state.eq_ignore_ascii_case(b"active") {
            SubscriptionState::Active { expires }
        } else if state.eq_ignore_ascii_case(b"pending") {
            SubscriptionState::Pending { expires }
        } else if state.eq_ignore_ascii_case(b"terminated") {
            SubscriptionState::Terminated {
                reason: params.value(b"reason"),
                retry_after: seconds(b"retry-after")?,
            }
        } else {
            SubscriptionState::Other(state)
        })
    }

    /// The field value.
    pub fn value(&self) -> Vec<u8> {
        let lasting = |state: &str, expires: Option<u32>| match expires {
            Some(seconds) => format!("{state};expires={seconds}").into_bytes(),
            None => state.as_bytes().to_vec(),
        };
        match self {
            SubscriptionState::Active { expires } => lasting("active", *expires),
            SubscriptionState::Pending { expires } => lasting("pending", *expires),
            SubscriptionState::Terminated { reason, retry_after } => {
                let mut value = b"terminated".to_vec();
                if let Some(reason) = reason {
                    value.extend_from_slice(b";reason=");
                    value.extend_from_slice(reason);
                }
                if let Some(seconds) = retry_after {
                    value.extend_from_slice(format!(";retry-after={seconds}").as_bytes());
                }
                value
            }
            SubscriptionState::Other(state) => state.to_vec(),
        }
    }

    /// Whether it is over.
    pub const fn is_terminated(&self) -> bool {
        match self {
            SubscriptionState::Terminated { .. } => true,
            SubscriptionState::Active { .. }
            | SubscriptionState::Pending { .. }
            | SubscriptionState::Other(_) => false,
        }
    }
}

/// `entity-tag`, in SIP-ETag and SIP-If-Match: a token.
///
/// # Errors
/// [`Offence::Malformed`]
pub fn parse_entity_tag(text: &[u8]) -> Result<&[u8], Offence> {
    let text = grammar::trim(text);
    if !text.is_empty() && grammar::all(text, grammar::TOKEN) { Ok(text) } else { Err(Offence::Malformed) }
}

fn worded(text: &[u8]) -> Result<(&[u8], Params<'_>), Offence> {
    let (word, params) = grammar::run(grammar::trim(text), grammar::TOKEN);
    if word.is_empty() {
        return Err(Offence::Malformed);
    }
    Ok((word, Params::parse(params)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_package_and_its_id_are_read() {
        let event = EventType::parse(b" refer ; id=93809823").unwrap();
        assert!(event.is("refer") && !event.is("Refer"));
        assert_eq!(event.id, Some(&b"93809823"[..]));
        assert!(EventType::parse(b"presence.winfo").unwrap().is("presence.winfo"));
        assert!(EventType::parse(b"").is_err() && EventType::parse(b";id=1").is_err());
    }

    #[test]
    fn an_unknown_state_is_not_the_end() {
        let read = |text: &'static [u8]| SubscriptionState::parse(text).unwrap();
        assert_eq!(read(b"Active;expires=60"), SubscriptionState::Active { expires: Some(60) });
        assert!(read(b"terminated;reason=noresource").is_terminated());
        assert_eq!(read(b"dormant;expires=1"), SubscriptionState::Other(b"dormant"));
        assert!(SubscriptionState::parse(b"active;expires=x").is_err());
    }

    #[test]
    fn an_entity_tag_is_a_token() {
        assert_eq!(parse_entity_tag(b" dx200xyz "), Ok(&b"dx200xyz"[..]));
        assert!(parse_entity_tag(b"a b").is_err() && parse_entity_tag(b"").is_err());
    }

    proptest! {
        #[test]
        fn events_and_states_read_back_as_they_were_written(
            name in "[a-z]{1,12}([.][a-z]{1,8})?", id in proptest::option::of("[a-z0-9]{1,10}"),
            seconds in proptest::option::of(any::<u32>()), reason in proptest::option::of("[a-z]{1,12}"), state in 0..3_usize,
        ) {
            let event = EventType { name: name.as_bytes(), id: id.as_deref().map(str::as_bytes) };
            let value = event.value();
            let read = EventType::parse(&value).unwrap();
            prop_assert_eq!((read.name, read.id), (event.name, event.id));
            let reason = reason.as_deref().map(str::as_bytes);
            let state = [
                SubscriptionState::Active { expires: seconds },
                SubscriptionState::Pending { expires: seconds },
                SubscriptionState::Terminated { reason, retry_after: seconds },
            ][state];
            let value = state.value();
            prop_assert_eq!(SubscriptionState::parse(&value), Ok(state));
        }
    }
}
