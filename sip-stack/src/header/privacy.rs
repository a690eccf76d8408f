//! Privacy, P-Asserted-Identity and P-Preferred-Identity: who somebody is, and who may know (RFC 3323 §4.2, RFC 3325 §9).

use super::NameAddr;
use crate::message::Offence;

/// What is to be kept from others. Values that we do not know are kept by the flag alone: a request that asks for `critical`
/// privacy which cannot be had has to fail (RFC 3323 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Headers that show where the user is.
    pub header: bool,
    /// The session: media through an intermediary.
    pub session: bool,
    /// What the user agent itself says of the user.
    pub user: bool,
    /// The asserted identity (RFC 3325 §9.3).
    pub id: bool,
    /// The history of the request (RFC 7044 §10.1.2).
    pub history: bool,
    /// No privacy at all, whatever others think.
    pub none: bool,
    /// Better fail than do without.
    pub critical: bool,
    /// Something else is asked for.
    pub unknown: bool,
}

const NAMES: [&[u8]; 7] = [b"header", b"session", b"user", b"id", b"history", b"none", b"critical"];

impl Privacy {
    /// `priv-value *(";" priv-value)`; one field or several. What is no known value is [`Privacy::unknown`].
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Privacy {
        let mut privacy = Privacy::default();
        let parts = values.into_iter().flat_map(|value| value.split(|byte| matches!(byte, b';' | b',')));
        for part in parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()) {
            match NAMES.iter().position(|name| part.eq_ignore_ascii_case(name)) {
                Some(place) => *privacy.flags()[place] = true,
                None => privacy.unknown = true,
            }
        }
        privacy
    }

    fn flags(&mut self) -> [&mut bool; 7] {
        let Privacy { header, session, user, id, history, none, critical, unknown: _ } = self;
        [header, session, user, id, history, none, critical]
    }

    /// The field value; `None` when nothing is asked for.
    pub fn value(mut self) -> Option<Vec<u8>> {
        let asked: Vec<&[u8]> =
            self.flags().into_iter().zip(NAMES).filter(|(asked, _)| **asked).map(|(_, name)| name).collect();
        (!asked.is_empty()).then(|| asked.join(&b";"[..]))
    }

    /// Whether the caller's identity is to be kept from who is called and is not trusted (RFC 3325 §7, RFC 3323 §5.3).
    pub fn hides_caller(self) -> bool {
        !self.none && (self.id || self.user || self.header)
    }
}

/// The identities that somebody asserts: one SIP or SIPS URI, one `tel` URI, or both (RFC 3325 §9.1). Others are offences.
///
/// # Errors
/// What is malformed; [`Offence::Repeated`] for a second URI of one kind.
pub fn parse_identities<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<NameAddr<'a>>, Offence> {
    let mut identities: Vec<NameAddr<'_>> = Vec::new();
    for value in values {
        let identity = NameAddr::parse(value)?;
        if identities.iter().any(|known| known.uri.is_sip() == identity.uri.is_sip()) {
            return Err(Offence::Repeated);
        }
        identities.push(identity);
    }
    Ok(identities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_read_in_any_case_and_unknown_ones_noticed() {
        let privacy = Privacy::parse([&b"ID; user"[..], b"critical"]);
        assert_eq!(privacy, Privacy { id: true, user: true, critical: true, ..Privacy::default() });
        assert!(Privacy::parse([&b"id;strange"[..]]).unknown);
        assert!(Privacy::parse([&b"id"[..]]).hides_caller());
        assert!(!Privacy::parse([&b"none;id"[..]]).hides_caller(), "none overrides");
        assert!(!Privacy::parse([&b"session"[..]]).hides_caller());
    }

    #[test]
    fn one_identity_of_each_kind_is_all() {
        let both = [&b"\"Cullen\" <sip:fluffy@example.com>"[..], b"tel:+14085264000"];
        assert_eq!(parse_identities(both.into_iter()).unwrap().len(), 2);
        let twice = [&b"<sip:a@h>"[..], b"<sips:b@h>"];
        assert_eq!(parse_identities(twice.into_iter()).unwrap_err(), Offence::Repeated);
    }

    proptest! {
        #[test]
        fn what_is_kept_private_reads_back_as_it_was_written(asked: [bool; 7]) {
            let mut privacy = Privacy::default();
            privacy.flags().into_iter().zip(asked).for_each(|(flag, asked)| *flag = asked);
            let value = privacy.value();
            prop_assert_eq!(value.is_some(), asked.contains(&true));
            prop_assert_eq!(Privacy::parse(value.as_deref()), privacy);
        }
    }
}
