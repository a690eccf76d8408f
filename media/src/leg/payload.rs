//! Payload types mapped from one leg to another (RFC 3551 §3, §6; RFC 3264 §5.1).
//!
//! Each side of a call numbers its formats itself; the map says under which number, and with which conversion, a format
//! goes on. A payload type without a rule was not negotiated and is dropped.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The number of payload types the 7-bit field can name.
const PAYLOAD_TYPES: usize = 128;

/// What becomes of a packet of one payload type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadRule {
    /// Not negotiated with the other side.
    #[default]
    Drop,
    /// The payload goes on untouched under this payload type.
    Pass(u8),
    /// µ-law becomes A-law under this payload type (G.711 table 3).
    UlawToAlaw(u8),
    /// A-law becomes µ-law under this payload type (G.711 table 4).
    AlawToUlaw(u8),
}

impl PayloadRule {
    /// The payload type the packet leaves with.
    #[must_use]
    pub const fn outgoing(self) -> Option<u8> {
        match self {
            Self::Drop => None,
            Self::Pass(pt) | Self::UlawToAlaw(pt) | Self::AlawToUlaw(pt) => Some(pt),
        }
    }
}

/// The rules of one direction, ordered by incoming payload type; each type occurs once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SmallVec<[(u8, PayloadRule); 6]>", into = "SmallVec<[(u8, PayloadRule); 6]>")]
pub struct PayloadMap(SmallVec<[(u8, PayloadRule); 6]>);

impl PayloadMap {
    /// A map from incoming payload types to rules. The last rule for a type wins. An entry whose incoming or outgoing
    /// number is above 127 names no payload type and is left out, as is [`PayloadRule::Drop`], the default.
    #[must_use]
    pub fn new(rules: &[(u8, PayloadRule)]) -> Self {
        let mut table = PayloadTable::EMPTY;
        for &(incoming, rule) in rules {
            table.set(incoming, rule);
        }
        table.compact()
    }

    /// The rule for an incoming payload type.
    #[must_use]
    pub fn rule(&self, incoming: u8) -> PayloadRule {
        self.0.iter().find(|(pt, _)| *pt == incoming).map_or(PayloadRule::Drop, |(_, rule)| *rule)
    }

    /// The rules that let something pass, in order of the incoming payload type.
    pub fn iter(&self) -> impl Iterator<Item = (u8, PayloadRule)> + '_ {
        self.0.iter().copied()
    }
}

impl From<SmallVec<[(u8, PayloadRule); 6]>> for PayloadMap {
    fn from(rules: SmallVec<[(u8, PayloadRule); 6]>) -> Self {
        Self::new(&rules)
    }
}

impl From<PayloadMap> for SmallVec<[(u8, PayloadRule); 6]> {
    fn from(map: PayloadMap) -> Self {
        map.0
    }
}

/// A [`PayloadMap`] laid out for one look-up per packet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "PayloadMap", into = "PayloadMap")]
pub(crate) struct PayloadTable([PayloadRule; PAYLOAD_TYPES]);

impl PayloadTable {
    const EMPTY: Self = Self([PayloadRule::Drop; PAYLOAD_TYPES]);

    fn set(&mut self, incoming: u8, rule: PayloadRule) {
        if rule.outgoing().is_some_and(|pt| usize::from(pt) >= PAYLOAD_TYPES) {
            return;
        }
        if let Some(entry) = self.0.get_mut(usize::from(incoming)) {
            *entry = rule;
        }
    }

    fn compact(&self) -> PayloadMap {
        let rules = (0u8..).zip(self.0.iter().copied());
        PayloadMap(rules.filter(|(_, rule)| *rule != PayloadRule::Drop).collect())
    }

    /// The rule for an incoming payload type; numbers above 127 have none.
    pub(crate) fn rule(&self, incoming: u8) -> PayloadRule {
        self.0.get(usize::from(incoming)).copied().unwrap_or(PayloadRule::Drop)
    }
}

impl From<PayloadMap> for PayloadTable {
    fn from(map: PayloadMap) -> Self {
        let mut table = Self::EMPTY;
        for (incoming, rule) in map.iter() {
            table.set(incoming, rule);
        }
        table
    }
}

impl From<PayloadTable> for PayloadMap {
    fn from(table: PayloadTable) -> Self {
        table.compact()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_without_a_rule_is_dropped() {
        let map = PayloadMap::new(&[(0, PayloadRule::Pass(8)), (101, PayloadRule::Pass(96))]);
        assert_eq!(map.rule(0), PayloadRule::Pass(8));
        assert_eq!(map.rule(13), PayloadRule::Drop);
        let table = PayloadTable::from(map);
        assert_eq!(table.rule(101), PayloadRule::Pass(96));
        assert_eq!(table.rule(13), PayloadRule::Drop);
        assert_eq!(table.rule(255), PayloadRule::Drop);
    }

    #[test]
    fn maps_with_the_same_rules_are_equal_whatever_the_order() {
        let one =
            PayloadMap::new(&[(8, PayloadRule::Pass(8)), (0, PayloadRule::Drop), (0, PayloadRule::Pass(0))]);
        let two =
            PayloadMap::new(&[(0, PayloadRule::Pass(0)), (8, PayloadRule::Pass(8)), (9, PayloadRule::Drop)]);
        assert_eq!(one, two);
        assert_eq!(one.iter().count(), 2);
    }

    #[test]
    fn numbers_above_127_name_no_payload_type() {
        let map = PayloadMap::new(&[(200, PayloadRule::Pass(0)), (0, PayloadRule::Pass(128))]);
        assert_eq!(map, PayloadMap::default());
    }

    #[test]
    fn a_table_survives_serialisation() {
        let map = PayloadMap::new(&[(0, PayloadRule::UlawToAlaw(8)), (101, PayloadRule::Pass(97))]);
        let bytes = postcard::to_allocvec(&PayloadTable::from(map.clone())).unwrap();
        let table: PayloadTable = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(PayloadMap::from(table), map);
        let raw: SmallVec<[(u8, PayloadRule); 6]> = smallvec::smallvec![(255, PayloadRule::Pass(255))];
        let hostile = postcard::to_allocvec(&raw).unwrap();
        assert_eq!(postcard::from_bytes::<PayloadMap>(&hostile).unwrap(), PayloadMap::default());
    }
}
