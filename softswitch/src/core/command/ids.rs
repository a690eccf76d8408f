//! What commands and events call things by. Ids are unique over restarts, and are text outside: `0f3a…` for a call,
//! `0f3a….caller` for one of its legs, `1001@example.com` for a user, a conference or a peer.
//!
//! A call is numbered from 1 in each run of the switch. Its id adds the number to the moment at which the run began, in
//! milliseconds shifted by [`SHIFT`] bits: ids rise over restarts, and two runs would have to begin in the same millisecond to
//! share one. A clock that was set back does not make them meet.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::sync::Arc;

/// Bits below the milliseconds: so many things a millisecond may begin before ids of two runs could meet.
const SHIFT: u32 = 20;

/// What a run of the switch adds to its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run(u64);

impl Run {
    /// The run that began at this moment, in Unix milliseconds.
    #[must_use]
    pub const fn began_at(unix_ms: u64) -> Run {
        Run(unix_ms << SHIFT)
    }

    /// The id of what has this number in the run.
    #[must_use]
    pub const fn id(self, number: u64) -> u64 {
        self.0.wrapping_add(number)
    }

    /// The number in this run of what has that id.
    #[must_use]
    pub const fn number(self, id: u64) -> u64 {
        id.wrapping_sub(self.0)
    }
}

/// Text that names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no {0}")]
pub struct NoSuchName(&'static str);

/// A number as 16 hexadecimal digits.
fn hex(text: &str, what: &'static str) -> Result<u64, NoSuchName> {
    let is_hex = text.len() == 16 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| is_hex).ok_or(NoSuchName(what))
}

/// Serialises as text where people read it, and as `Compact` where programs do.
macro_rules! text_for_people {
    ($name:ident, $compact:ty, $into:expr, $from:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return serializer.collect_str(self);
                }
                let compact: $compact = $into(self);
                compact.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    return text.parse().map_err(de::Error::custom);
                }
                <$compact>::deserialize(deserializer).map($from)
            }
        }
    };
}

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        // In the log, too, it is what a person can type.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NoSuchName;

            fn from_str(text: &str) -> Result<$name, NoSuchName> {
                hex(text, $what).map($name)
            }
        }

        text_for_people!($name, u64, |id: &$name| id.0, $name);
    };
}

numbered!(
    /// A call.
    CallRef, "call"
);
numbered!(
    /// A recording.
    RecordingRef, "recording"
);
numbered!(
    /// A command; whoever hands it in numbers it ([`Run`]).
    CommandId, "command"
);

/// The two parties of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegSide {
    /// Who calls.
    Caller,
    /// Who is called.
    Callee,
}

impl LegSide {
    const fn word(self) -> &'static str {
        match self {
            LegSide::Caller => "caller",
            LegSide::Callee => "callee",
        }
    }
}

impl FromStr for LegSide {
    type Err = NoSuchName;

    fn from_str(text: &str) -> Result<LegSide, NoSuchName> {
        let known = [LegSide::Caller, LegSide::Callee].into_iter().find(|known| known.word() == text);
        known.ok_or(NoSuchName("side"))
    }
}

/// A party of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LegRef {
    /// The call.
    pub call: CallRef,
    /// Which of its two.
    pub side: LegSide,
}

impl fmt::Display for LegRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.call, self.side.word())
    }
}

impl FromStr for LegRef {
    type Err = NoSuchName;

    fn from_str(text: &str) -> Result<LegRef, NoSuchName> {
        let (call, side) = text.split_once('.').ok_or(NoSuchName("leg"))?;
        Ok(LegRef { call: call.parse()?, side: side.parse()? })
    }
}

text_for_people!(LegRef, (CallRef, LegSide), |leg: &LegRef| (leg.call, leg.side), |(call, side): (
    CallRef,
    LegSide
)| LegRef { call, side });

/// Octets of a name or a domain at most.
const NAME: usize = 255;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name {
            /// Its own name.
            pub name: Arc<str>,
            /// Name of the domain; empty is the default domain.
            pub domain: Arc<str>,
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match &*self.domain {
                    "" => f.write_str(&self.name),
                    domain => write!(f, "{}@{domain}", self.name),
                }
            }
        }

        impl FromStr for $name {
            type Err = NoSuchName;

            fn from_str(text: &str) -> Result<$name, NoSuchName> {
                let (name, domain) = text.split_once('@').unwrap_or((text, ""));
                let is_name = !name.is_empty() && name.len() <= NAME && domain.len() <= NAME;
                let is_clean = !text.contains(|octet: char| octet.is_control());
                if !is_name || !is_clean || domain.contains('@') {
                    return Err(NoSuchName($what));
                }
                Ok($name { name: name.into(), domain: domain.into() })
            }
        }

        text_for_people!(
            $name,
            (Arc<str>, Arc<str>),
            |id: &$name| (id.name.clone(), id.domain.clone()),
            |(name, domain): (Arc<str>, Arc<str>)| $name { name, domain }
        );
    };
}

named!(
    /// A user.
    UserRef, "user"
);
named!(
    /// A conference, by the number that is dialled.
    RoomRef, "room"
);
named!(
    /// A static SIP peer: a trunk.
    PeerRef, "peer"
);

/// A phone of a user: its instance (RFC 5626 §4.1) where it has one, else its contact URI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceRef(pub Box<str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_text_for_people_and_read_back() {
        let call = CallRef(Run::began_at(1_764_500_000_000).id(17));
        let leg = LegRef { call, side: LegSide::Callee };
        assert_eq!(call.to_string().parse(), Ok(call));
        assert_eq!(leg.to_string(), format!("{call}.callee"));
        assert_eq!(leg.to_string().parse(), Ok(leg));
        let user: UserRef = "1001@example.com".parse().unwrap();
        assert_eq!(
            (&*user.name, &*user.domain, user.to_string()),
            ("1001", "example.com", "1001@example.com".into())
        );
        for wrong in ["", "@example.com", "1@2@3", "1\n2", &"7".repeat(300)] {
            assert!(wrong.parse::<UserRef>().is_err(), "{wrong:?}");
        }
        for wrong in ["", "12", "+123456789abcdef", "0123456789abcdeg", "00123456789abcdef"] {
            assert!(wrong.parse::<CallRef>().is_err(), "{wrong:?}");
        }
        assert!("0123456789abcdef.third".parse::<LegRef>().is_err());
    }

    #[test]
    fn runs_that_begin_a_millisecond_apart_have_no_id_in_common() {
        let (first, second) = (Run::began_at(1_764_500_000_000), Run::began_at(1_764_500_000_001));
        assert!(first.id(1_000_000) < second.id(1));
        assert_eq!(second.number(second.id(7)), 7);
    }
}
