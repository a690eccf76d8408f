//! Character classes and linear white space (RFC 3261 §25.1).
//!
//! Every byte of the grammar is looked up in one table of 256 entries. Carriage return and line feed count as white
//! space: inside a field value they are folding (§7.3.1), and a carriage return alone gains no other meaning.

/// `token`: alphanumeric or one of ``-.!%*_+`'~``.
pub(crate) const TOKEN: u8 = 1;
/// `user` and `password`, with more than the RFC allows: see [`class_of`].
pub(crate) const USER: u8 = 2;
/// `paramchar` of a URI parameter.
pub(crate) const PARAM: u8 = 4;
/// `hname` and `hvalue` of a URI, with their separators `=` and `&`.
pub(crate) const URI_HEADER: u8 = 8;
/// `host` outside brackets; `_` is no part of the RFC's grammar but of many names in use.
pub(crate) const HOST: u8 = 16;
/// `LWS`: space, tab, and the line ends of folding.
pub(crate) const LWS: u8 = 32;
/// An unquoted value of a header parameter: anything visible that ends neither parameter nor element.
pub(crate) const VALUE: u8 = 64;
/// A visible byte that may stand in a URI of an unknown scheme.
pub(crate) const OPAQUE: u8 = 128;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = class_of(byte as u8);
        byte += 1;
    }
    classes
};

/// Deviation: bytes above 127 and unescaped `#[]{}|^\` and backquote are let through in a user part and in parameter
/// values, because phones send UTF-8 names and dial strings such as `*21#` without escaping them.
const fn class_of(byte: u8) -> u8 {
    let alphanumeric = byte.is_ascii_alphanumeric();
    let mark = matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')');
    let visible = byte > b' ' && byte != 0x7f;
    let mut class = 0;
    if alphanumeric || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~') {
        class |= TOKEN;
    }
    if visible && !matches!(byte, b'<' | b'>' | b'"' | b'@' | b':') {
        class |= USER;
    }
    if alphanumeric
        || mark
        || matches!(byte, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$' | b'%')
        || byte > 127
    {
        class |= PARAM;
    }
    if alphanumeric
        || mark
        || matches!(
            byte,
            b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$' | b'%' | b'=' | b'&' | b'@' | b';' | b','
        )
    {
        class |= URI_HEADER;
    }
    if alphanumeric || matches!(byte, b'-' | b'.' | b'_') {
        class |= HOST;
    }
    if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
        class |= LWS;
    }
    if visible && !matches!(byte, b';' | b',' | b'"' | b'<' | b'>') {
        class |= VALUE;
    }
    if visible && !matches!(byte, b'<' | b'>' | b'"') {
        class |= OPAQUE;
    }
    class
}

/// Whether `byte` belongs to one of the classes in `mask`.
#[inline]
pub(crate) const fn is(byte: u8, mask: u8) -> bool {
    CLASSES[byte as usize] & mask != 0
}

/// Whether every byte belongs to `mask`; true for nothing at all.
#[inline]
pub(crate) fn all(text: &[u8], mask: u8) -> bool {
    text.iter().all(|&byte| is(byte, mask))
}

/// Splits off the longest prefix made of `mask`.
#[inline]
pub(crate) fn run(text: &[u8], mask: u8) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| !is(byte, mask)).unwrap_or(text.len());
    text.split_at(end)
}

/// Without the leading white space.
#[inline]
pub(crate) fn skip_lws(text: &[u8]) -> &[u8] {
    match text.first() {
        Some(&byte) if is(byte, LWS) => run(text, LWS).1,
        _ => text,
    }
}

/// Without the white space at both ends.
#[inline]
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    trim_end(skip_lws(text))
}

/// Without the trailing white space.
#[inline]
pub(crate) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [head @ .., last] = text
        && is(*last, LWS)
    {
        text = head;
    }
    text
}

/// The length of the quoted string that `text` opens with, both quotes included; `None` when it is never closed.
#[inline]
pub(crate) fn quoted_string(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Whether each `%` is followed by two hexadecimal digits (`escaped`).
#[inline]
pub(crate) fn escapes_are_whole(text: &[u8]) -> bool {
    let is_whole = |at: usize| matches!(text.get(at + 1..at + 3), Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    // Nearly every text is short and has none.
    !text.contains(&b'%') || memchr::memchr_iter(b'%', text).all(is_whole)
}

/// `1*DIGIT` of any length; a number beyond `u64` is that type's maximum. `None` when anything else stands there.
#[inline]
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        byte.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_string_ends_at_the_first_unescaped_quote() {
        assert_eq!(quoted_string(br#""a\"b" rest"#), Some(6));
        assert_eq!(quoted_string(br#""a\\" rest"#), Some(5));
        assert_eq!(quoted_string(br#""""#), Some(2));
        assert_eq!(quoted_string(br#"""#), None);
        assert_eq!(quoted_string(br#""\"#), None);
        assert_eq!(quoted_string(br#""never"#), None);
    }

    #[test]
    fn digits_saturate_and_refuse_signs() {
        assert_eq!(digits(b"0068"), Some(68));
        assert_eq!(digits(b"36893488147419103232"), Some(u64::MAX));
        assert_eq!(digits(b"-1"), None);
        assert_eq!(digits(b"+1"), None);
        assert_eq!(digits(b""), None);
    }

    #[test]
    fn trimming_takes_folding_away() {
        assert_eq!(trim(b" \r\n\t a b \r\n "), b"a b");
        assert_eq!(trim(b" \r\n"), b"");
    }

    #[test]
    fn a_percent_sign_needs_two_hexadecimal_digits() {
        assert!(escapes_are_whole(b"%25%34%31"));
        assert!(!escapes_are_whole(b"a%4"));
        assert!(!escapes_are_whole(b"%zz"));
    }
}
