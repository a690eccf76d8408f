//! Bytes read as a script: each choice takes the next one.

/// The bytes as choices; when they are used up, every choice is 0.
pub(super) struct Script<'a>(pub(super) &'a [u8]);

impl<'a> Script<'a> {
    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// An index into something of this length, if it has one.
    pub(super) fn index(&mut self, length: usize) -> Option<usize> {
        usize::from(self.byte()).checked_rem(length)
    }

    pub(super) fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
