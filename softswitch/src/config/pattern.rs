//! Dial patterns: which numbers a route takes.
//!
//! A pattern is digits (and `+`, `*`, `#`) that stand for themselves, `X` for any digit, `N` for 2–9, `Z` for 1–9, and
//! at the end `.` for one or more of anything. There are no sets, no alternatives and no rewriting.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A dial pattern. Patterns are ordered by how specific they are: from the left, at the first position where two
/// differ, the narrower element comes first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pattern(Vec<Element>);

/// One position; the variants are declared from the narrowest to the widest, which is the order of specificity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Element {
    /// This character.
    Literal(u8),
    /// `N`: 2–9.
    TwoToNine,
    /// `Z`: 1–9.
    OneToNine,
    /// `X`: 0–9.
    Digit,
    /// `.`: one or more of anything; last in its pattern.
    Rest,
}

impl Pattern {
    /// Reads a pattern; `None` for the empty one, for a character that means nothing, and for a `.` before the end.
    pub fn parse(text: &str) -> Option<Pattern> {
        let elements: Vec<Element> = text.bytes().map(Element::of).collect::<Option<_>>()?;
        let (_, before_last) = elements.split_last()?;
        (!before_last.contains(&Element::Rest)).then_some(Pattern(elements))
    }

    /// A pattern that matches no number.
    pub(super) const fn nothing() -> Pattern {
        Pattern(Vec::new())
    }

    /// Whether `number` is one of the pattern's.
    pub fn matches(&self, number: &[u8]) -> bool {
        let (open, fixed) = match self.0.split_last() {
            Some((Element::Rest, fixed)) => (true, fixed),
            Some(_) | None => (false, self.0.as_slice()),
        };
        let long_enough =
            if open { number.len() > fixed.len() } else { number.len() == fixed.len() && !fixed.is_empty() };
        long_enough && fixed.iter().zip(number).all(|(element, byte)| element.admits(*byte))
    }
}

impl Element {
    const fn of(byte: u8) -> Option<Element> {
        match byte {
            b'0'..=b'9' | b'+' | b'*' | b'#' => Some(Element::Literal(byte)),
            b'N' => Some(Element::TwoToNine),
            b'Z' => Some(Element::OneToNine),
            b'X' => Some(Element::Digit),
            b'.' => Some(Element::Rest),
            _ => None,
        }
    }

    const fn admits(self, byte: u8) -> bool {
        match self {
            Element::Literal(own) => own == byte,
            Element::TwoToNine => matches!(byte, b'2'..=b'9'),
            Element::OneToNine => matches!(byte, b'1'..=b'9'),
            Element::Digit => byte.is_ascii_digit(),
            Element::Rest => true,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| {
            let character = match element {
                Element::Literal(byte) => char::from(*byte),
                Element::TwoToNine => 'N',
                Element::OneToNine => 'Z',
                Element::Digit => 'X',
                Element::Rest => '.',
            };
            write!(f, "{character}")
        })
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn each_element_admits_its_digits_and_no_others() {
        for (text, admitted) in [("X", "0123456789"), ("N", "23456789"), ("Z", "123456789"), ("7", "7")] {
            for byte in 0..=u8::MAX {
                let expected = admitted.as_bytes().contains(&byte);
                assert_eq!(pattern(text).matches(&[byte]), expected, "{text} {byte}");
            }
        }
    }

    #[test]
    fn without_a_final_dot_the_length_is_exact() {
        assert!(pattern("8XXX").matches(b"8123"));
        assert!(!pattern("8XXX").matches(b"812"));
        assert!(!pattern("8XXX").matches(b"81234"));
    }

    #[test]
    fn a_final_dot_takes_one_or_more_of_anything() {
        assert!(!pattern("00.").matches(b"00"));
        assert!(pattern("00.").matches(b"004"));
        assert!(pattern("00.").matches(b"00abc"));
        assert!(pattern(".").matches(b"alice"));
        assert!(!pattern(".").matches(b""));
    }

    #[test]
    fn patterns_sort_by_the_narrower_element_at_the_first_difference() {
        let mut sorted = ["8.", "X123", "8XXX", "8Z.", "8NXX", "81XX", "."].map(pattern);
        sorted.sort();
        let shown = sorted.map(|pattern| pattern.to_string());
        assert_eq!(shown, ["81XX", "8NXX", "8Z.", "8XXX", "8.", "X123", "."]);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in ["", "8x", "1.2", "..", "a", "8 1", "é"] {
            assert!(Pattern::parse(text).is_none(), "{text:?}");
        }
    }
}
