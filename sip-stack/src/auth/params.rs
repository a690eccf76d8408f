//! The `auth-param` list of the authentication header fields (RFC 7616 §3.3, RFC 3261 §25.1), zero-copy.
//!
//! Tolerant where phones differ: quoted or bare values for every parameter, any order, empty list elements. Strict
//! where a second reading would be possible: a known parameter stands once, a quoted string has no control character.

use super::error::{AuthError, Parameter};
use memchr::memchr;
use std::borrow::Cow;
use std::fmt;

/// The inside of a quoted string as it stood in the message; quoting backslashes are removed while it is read.
#[derive(Clone, Copy)]
pub struct QuotedText<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> QuotedText<'a> {
    /// Text that holds no quoting backslashes.
    pub const fn plain(text: &'a [u8]) -> QuotedText<'a> {
        QuotedText { raw: text, escaped: false }
    }

    /// The bytes between the quotes, backslashes included.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// `unq(X)` of RFC 7616 §3.3: borrowed unless a backslash had to go.
    pub fn unquoted(&self) -> Cow<'a, [u8]> {
        if self.escaped {
            Cow::Owned(self.pieces().flatten().copied().collect())
        } else {
            Cow::Borrowed(self.raw)
        }
    }

    /// The unquoted text in pieces that are joined without anything between them; nothing is allocated.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (mut rest, escaped) = (self.raw, self.escaped);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            if !escaped {
                return Some(std::mem::take(&mut rest));
            }
            // A backslash at the head quotes the character after it, which may be another backslash.
            let (start, searched) = if rest.first() == Some(&b'\\') { (1, 2) } else { (0, 0) };
            let tail = rest.get(searched..).unwrap_or_default();
            let end = memchr(b'\\', tail).map_or(rest.len(), |at| searched + at);
            let (piece, after) = rest.split_at(end);
            rest = after;
            piece.get(start..)
        })
    }
}

impl PartialEq<[u8]> for QuotedText<'_> {
    /// Compares the unquoted text.
    fn eq(&self, other: &[u8]) -> bool {
        let mut other = other;
        self.pieces().all(|piece| {
            other.strip_prefix(piece).is_some_and(|rest| {
                other = rest;
                true
            })
        }) && other.is_empty()
    }
}

impl PartialEq for QuotedText<'_> {
    /// Compares the unquoted texts.
    fn eq(&self, other: &Self) -> bool {
        *self == *other.unquoted()
    }
}

impl Eq for QuotedText<'_> {}

impl fmt::Debug for QuotedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.raw.escape_ascii())
    }
}

/// The known parameters of one header field value, each at most once.
pub(super) struct Parameters<'a>([Option<QuotedText<'a>>; Parameter::NAMES.len()]);

impl<'a> Parameters<'a> {
    /// Reads `Digest` and its parameters.
    pub(super) fn parse(value: &'a [u8]) -> Result<Parameters<'a>, AuthError> {
        let mut scanner = Scanner { whole: value, rest: value };
        scanner.skip_white();
        let scheme = scanner.take_token();
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return Err(if scheme.is_empty() { scanner.malformed() } else { AuthError::UnsupportedScheme });
        }
        let mut found = [None; Parameter::NAMES.len()];
        while let Some((name, text)) = scanner.next_parameter()? {
            let Some(parameter) = Parameter::from_name(name) else { continue };
            let slot = found.get_mut(parameter as usize);
            if slot.is_some_and(|slot| slot.replace(text).is_some()) {
                return Err(AuthError::Duplicate(parameter));
            }
        }
        Ok(Parameters(found))
    }

    /// The parameter, if it stood there.
    pub(super) fn find(&self, parameter: Parameter) -> Option<QuotedText<'a>> {
        self.0.get(parameter as usize).copied().flatten()
    }

    /// The parameter, or [`AuthError::Missing`].
    pub(super) fn require(&self, parameter: Parameter) -> Result<QuotedText<'a>, AuthError> {
        self.find(parameter).ok_or(AuthError::Missing(parameter))
    }
}

struct Scanner<'a> {
    whole: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn malformed(&self) -> AuthError {
        AuthError::Malformed { at: self.whole.len() - self.rest.len() }
    }

    fn advance(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// LWS, also a folded one.
    fn skip_white(&mut self) {
        let count = self.rest.iter().take_while(|byte| is_white(**byte)).count();
        self.advance(count);
    }

    fn skip_byte(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        self.advance(usize::from(found));
        found
    }

    /// Where the rest has the first byte of `class`, or ends.
    fn find(&self, class: u8) -> usize {
        self.rest.iter().position(|byte| is_class(*byte, class)).unwrap_or(self.rest.len())
    }

    fn take_token(&mut self) -> &'a [u8] {
        self.advance(self.find(NAME_END))
    }

    /// The next `name=value`, or `None` at the end of the list.
    fn next_parameter(&mut self) -> Result<Option<(&'a [u8], QuotedText<'a>)>, AuthError> {
        loop {
            self.skip_white();
            if !self.skip_byte(b',') {
                break;
            }
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let name = self.take_token();
        self.skip_white();
        if name.is_empty() || !self.skip_byte(b'=') {
            return Err(self.malformed());
        }
        self.skip_white();
        let text = if self.skip_byte(b'"') { self.take_quoted()? } else { self.take_bare() };
        self.skip_white();
        match self.rest.first() {
            None | Some(b',') => Ok(Some((name, text))),
            Some(_) => Err(self.malformed()),
        }
    }

    /// A value without quotes, up to the comma; `=` may stand in it (base64, URI parameters).
    fn take_bare(&mut self) -> QuotedText<'a> {
        QuotedText::plain(self.advance(self.find(BARE_END)))
    }

    /// The inside of a quoted string whose opening quote has been taken; takes the closing quote too.
    fn take_quoted(&mut self) -> Result<QuotedText<'a>, AuthError> {
        let (mut at, mut escaped) = (0, false);
        loop {
            let tail = self.rest.get(at..).unwrap_or_default();
            let stop = at + tail.iter().position(|byte| is_class(*byte, QUOTED_END)).unwrap_or(tail.len());
            match self.rest.get(stop) {
                Some(b'"') => {
                    let raw = self.advance(stop);
                    self.advance(1);
                    return Ok(QuotedText { raw, escaped });
                }
                Some(b'\\') if self.rest.get(stop + 1).is_some_and(|quoted| !is_control(*quoted)) => {
                    escaped = true;
                    at = stop + 2;
                }
                Some(_) | None => return Err(self.malformed()),
            }
        }
    }
}

/// Ends the name of a parameter, or the scheme.
const NAME_END: u8 = 1;
/// Ends a value without quotes.
const BARE_END: u8 = 2;
/// Ends a run of plain characters in a quoted string: its end, a backslash, or a control.
const QUOTED_END: u8 = 4;

/// One lookup for each byte: its classes as bits.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        if is_white(character) || matches!(character, b',' | b'"') {
            classes[byte] |= NAME_END | BARE_END;
        }
        if character == b'=' {
            classes[byte] |= NAME_END;
        }
        if is_control(character) || matches!(character, b'\\' | b'"') {
            classes[byte] |= QUOTED_END;
        }
        byte += 1;
    }
    classes
};

const fn is_class(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

const fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// A byte that cannot stand in a quoted string, quoted or not: it would end the line or worse.
pub(super) const fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: &[u8], parameter: Parameter) -> Option<Vec<u8>> {
        Parameters::parse(value).unwrap().find(parameter).map(|text| text.unquoted().into_owned())
    }

    #[test]
    fn order_case_white_space_and_empty_elements_do_not_matter() {
        let value = b" dIgEsT\r\n  ,, NC = 00000001 ,\tRealm=\"a, b\" ,, x=y, nonce=abc== ,";
        assert_eq!(text(value, Parameter::Nc).unwrap(), b"00000001");
        assert_eq!(text(value, Parameter::Realm).unwrap(), b"a, b");
        assert_eq!(text(value, Parameter::Nonce).unwrap(), b"abc==");
        assert_eq!(text(value, Parameter::Uri), None);
    }

    #[test]
    fn quoting_backslashes_are_removed_and_a_quoted_backslash_stays() {
        let value = br#"Digest realm="\"a\\\"b\\", nonce="\\\\""#;
        assert_eq!(text(value, Parameter::Realm).unwrap(), br#""a\"b\"#);
        assert_eq!(text(value, Parameter::Nonce).unwrap(), br"\\");
        let parameters = Parameters::parse(value).unwrap();
        let realm = parameters.require(Parameter::Realm).unwrap();
        assert!(realm == br#""a\"b\"#[..]);
        assert!(realm != br#""a\"b"#[..]);
        assert!(realm != br#""a\"b\\"#[..]);
        assert_eq!(realm.raw(), br#"\"a\\\"b\\"#);
    }

    #[test]
    fn a_known_parameter_stands_once_and_an_unknown_one_as_often_as_it_likes() {
        let twice = Parameters::parse(b"Digest nonce=a, foo=1, foo=2, NONCE=\"b\"").err();
        assert_eq!(twice, Some(AuthError::Duplicate(Parameter::Nonce)));
    }

    #[test]
    fn another_scheme_is_told_from_malformed_text() {
        let regaut01 = Parameters::parse(b"NoOneKnowsThisScheme opaque-data=here").err();
        assert_eq!(regaut01, Some(AuthError::UnsupportedScheme));
        assert_eq!(Parameters::parse(b"Basic dXNlcjpwYXNz").err(), Some(AuthError::UnsupportedScheme));
        assert_eq!(Parameters::parse(b"").err(), Some(AuthError::Malformed { at: 0 }));
    }

    #[test]
    fn malformed_text_is_located() {
        for (value, at) in [
            (&b"Digest realm"[..], 12),
            (b"Digest realm=\"abc", 14),
            (b"Digest realm=\"abc\\\"", 14),
            (b"Digest realm=\"a\" nonce=b", 17),
            (b"Digest =b", 7),
            (b"Digest realm=\"a\r\nb\"", 14),
        ] {
            assert_eq!(
                Parameters::parse(value).err(),
                Some(AuthError::Malformed { at }),
                "{}",
                value.escape_ascii()
            );
        }
    }

    #[test]
    fn every_parameter_is_found_by_its_name_and_stands_at_its_discriminant() {
        for (index, (parameter, name)) in Parameter::NAMES.iter().enumerate() {
            assert_eq!(*parameter as usize, index);
            assert_eq!(Parameter::from_name(&name.to_ascii_uppercase()), Some(*parameter));
            assert_eq!(Parameter::from_name(&[*name, b"x"].concat()), None);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parameters::parse(&value);
            let mut digest = b"Digest realm=".to_vec();
            digest.extend(&value);
            let _ = Parameters::parse(&digest);
        }

        #[test]
        fn what_was_quoted_is_unquoted_to_the_same(inside in "[ -~]{0,40}") {
            let quoted = inside.replace('\\', "\\\\").replace('"', "\\\"");
            let value = format!("Digest realm=\"{quoted}\"");
            let parameters = Parameters::parse(value.as_bytes()).unwrap();
            let realm = parameters.require(Parameter::Realm).unwrap();
            prop_assert_eq!(realm.unquoted().into_owned(), inside.as_bytes());
            prop_assert!(realm == *inside.as_bytes());
        }
    }
}
