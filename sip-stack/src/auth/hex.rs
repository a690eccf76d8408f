//! Digests as hexadecimal text (RFC 8760 §2.2): written, read, and compared in constant time.

use std::fmt;

/// A digest as lower-case hexadecimal text on the stack (RFC 8760 §2.2); never printed by `Debug`.
#[derive(Clone, Copy)]
pub struct DigestHex {
    text: [u8; 64],
    length: usize,
}

impl DigestHex {
    /// `digest` is 16 or 32 bytes long: a whole number of groups of four.
    pub(super) fn of(digest: &[u8]) -> DigestHex {
        let mut text = [0; 64];
        let groups = digest.as_chunks().0;
        for (digits, group) in text.as_chunks_mut().0.iter_mut().zip(groups) {
            *digits = eight_digits(u32::from_be_bytes(*group));
        }
        DigestHex { text, length: (8 * groups.len()).min(64) }
    }

    /// The hexadecimal digits: 32 for MD5, 64 for the others.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }

    /// Compares with what a peer sent, in either case, in a time that does not depend on where they differ.
    pub(super) fn is_equal_in_constant_time(&self, received: &[u8]) -> bool {
        /// Set in digits and lower-case letters alike.
        const LOWER_CASE: u64 = 0x2020_2020_2020_2020;
        if self.length != received.len() {
            return false;
        }
        let pairs = self.as_bytes().as_chunks().0.iter().zip(received.as_chunks().0);
        let difference = pairs.fold(0, |difference, (ours, theirs)| {
            difference | (u64::from_ne_bytes(*ours) ^ (u64::from_ne_bytes(*theirs) | LOWER_CASE))
        });
        // The barrier keeps the compiler from deciding before the last group.
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for DigestHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DigestHex({} digits)", self.length)
    }
}

/// A number as eight hexadecimal digits, all at once: also `nc` (RFC 7616 §3.4).
pub(super) const fn eight_digits(number: u32) -> [u8; 8] {
    let mut nibbles = number as u64;
    nibbles = (nibbles << 16 | nibbles) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles << 8 | nibbles) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles << 4 | nibbles) & 0x0f0f_0f0f_0f0f_0f0f;
    // 10 and more carry into the fifth bit once six is added: those are letters.
    let letters = ((nibbles + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (nibbles + 0x3030_3030_3030_3030 + letters * (b'a' - b'0' - 10) as u64).to_be_bytes()
}

/// Reads a digest of `N` bytes in either case; `None` for another length or another character.
pub(super) fn from_hex<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    if hex.len() != 2 * N {
        return None;
    }
    let mut digest = [0; N];
    for (byte, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn comparison_accepts_either_case_and_nothing_else() {
        let hex = DigestHex::of(&[0xab; 16]);
        assert!(hex.is_equal_in_constant_time(&b"ab".repeat(16)));
        assert!(hex.is_equal_in_constant_time(&b"AB".repeat(16)));
        assert!(!hex.is_equal_in_constant_time(&b"ab".repeat(15)));
        assert!(!hex.is_equal_in_constant_time(b""));
        for at in 0..32 {
            let mut other = b"ab".repeat(16);
            other[at] = b'c';
            assert!(!hex.is_equal_in_constant_time(&other), "{at}");
        }
    }

    #[test]
    fn a_printed_digest_shows_its_length_alone() {
        assert_eq!(format!("{:?}", DigestHex::of(&[0xab; 32])), "DigestHex(64 digits)");
    }

    proptest! {
        #[test]
        fn eight_digits_are_those_of_the_formatter(number in any::<u32>()) {
            prop_assert_eq!(eight_digits(number).to_vec(), format!("{number:08x}").into_bytes());
        }

        #[test]
        fn a_digest_comes_back(digest in any::<[u8; 32]>()) {
            prop_assert_eq!(from_hex(DigestHex::of(&digest).as_bytes()), Some(digest));
        }
    }
}
