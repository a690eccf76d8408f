//! A set of header names, so that asking for a header that is not there, which happens to most of a message's readers, costs
//! one look instead of one for each field.

use crate::header::HeaderName;

/// One bit for each name of the table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names([u64; 2]);

impl Names {
    /// A set of these.
    pub(super) const fn of(names: &[HeaderName]) -> Names {
        let mut set = Names([0; 2]);
        let mut at = 0;
        while at < names.len() {
            set.0[word(names[at])] |= bit(names[at]);
            at += 1;
        }
        set
    }

    #[inline]
    pub(super) fn contains(self, name: HeaderName) -> bool {
        self.0[word(name)] & bit(name) != 0
    }

    /// Puts `name` into the set; whether it was there before.
    #[inline]
    pub(super) fn insert(&mut self, name: HeaderName) -> bool {
        let was_there = self.contains(name);
        self.0[word(name)] |= bit(name);
        was_there
    }

    /// Whether a name is in both.
    pub(super) const fn meets(self, other: Names) -> bool {
        (self.0[0] & other.0[0]) | (self.0[1] & other.0[1]) != 0
    }
}

/// Always 0 or 1: [`HeaderName`] has less than 128 names.
const fn word(name: HeaderName) -> usize {
    (name as usize / 64) & 1
}

const fn bit(name: HeaderName) -> u64 {
    1 << (name as u32 % 64)
}

const _: () = assert!((HeaderName::WwwAuthenticate as usize) < 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_in_and_nothing_else() {
        let (low, high) = (HeaderName::Accept, HeaderName::WwwAuthenticate);
        let mut names = Names::default();
        assert!(!names.insert(high));
        assert!(names.insert(high));
        assert!(names.contains(high) && !names.contains(low));
        assert!(names.meets(Names::of(&[low, high])) && !names.meets(Names::of(&[low])));
    }
}
