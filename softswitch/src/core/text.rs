//! Octets that peers have sent, in what is written for people: as text, with what is no UTF-8 replaced (U+FFFD). For programs, in the
//! scenario log, they stay octets. Whoever writes the text escapes it: JSON does, and so does [`sip_stack::message::Escaped`].

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes octets.
pub(crate) fn serialize<S: Serializer>(octets: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&String::from_utf8_lossy(octets))
    } else {
        octets.serialize(serializer)
    }
}

/// Reads octets.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    if deserializer.is_human_readable() {
        String::deserialize(deserializer).map(Bytes::from)
    } else {
        Bytes::deserialize(deserializer)
    }
}

/// The same of octets that may not be there.
pub(crate) mod optional {
    use super::{Bytes, Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(octets: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            octets.as_deref().map(String::from_utf8_lossy).serialize(serializer)
        } else {
            octets.serialize(serializer)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        if deserializer.is_human_readable() {
            Option::<String>::deserialize(deserializer).map(|text| text.map(Bytes::from))
        } else {
            Option::<Bytes>::deserialize(deserializer)
        }
    }
}
