//! Comma-separated header values (RFC 3261 §7.3.1): several fields of one name mean the same as one field with all
//! their elements.

use super::grammar;

/// The elements of one field value, empty ones included; commas in quoted strings and angle brackets do not count.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a>(Option<&'a [u8]>);

impl<'a> Elements<'a> {
    /// Splits `value`.
    pub(crate) const fn new(value: &'a [u8]) -> Elements<'a> {
        Elements(Some(value))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let value = self.0?;
        let comma = comma(value).unwrap_or(value.len());
        let (element, rest) = value.split_at(comma);
        self.0 = rest.get(1..);
        Some(grammar::trim(element))
    }
}

/// The first comma that separates; an unterminated quote or bracket swallows the rest.
#[inline]
fn comma(value: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = value.get(at..)?;
        let found = memchr::memchr3(b',', b'"', b'<', rest)?;
        let rest = rest.get(found..)?;
        match rest.first()? {
            b',' => return Some(at + found),
            b'"' => at += found + grammar::quoted_string(rest)?,
            _ => at += found + memchr::memchr(b'>', rest)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(value: &str) -> Vec<&str> {
        Elements::new(value.as_bytes()).map(|element| core::str::from_utf8(element).unwrap()).collect()
    }

    #[test]
    fn commas_in_quotes_and_brackets_do_not_separate() {
        assert_eq!(
            split(r#""a, \", b" <sip:x,y@h>;q=1 , sip:c@h"#),
            [r#""a, \", b" <sip:x,y@h>;q=1"#, "sip:c@h"]
        );
    }

    #[test]
    fn empty_elements_are_seen() {
        assert_eq!(split("a,,b,"), ["a", "", "b", ""]);
        assert_eq!(split(""), [""]);
    }

    #[test]
    fn an_unterminated_quote_swallows_the_rest() {
        assert_eq!(split("a, \"b, c"), ["a", "\"b, c"]);
        assert_eq!(split("a, <b, c"), ["a", "<b, c"]);
    }
}
