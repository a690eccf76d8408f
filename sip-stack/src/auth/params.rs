//! The `auth-param` list of the authentication header fields (RFC 7616 §3.3, RFC 3261 §25.1), zero-copy.
//!
//! Tolerant where phones differ: quoted or bare values for every parameter, any order, empty list elements. Strict
//! where a second reading would be possible: a known parameter stands once, a quoted string has no control character.

use super::error::{AuthError, NameKey, Parameter};
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

    /// What [`QuotedText::raw`] gave.
    pub(super) fn from_raw(raw: &'a [u8]) -> QuotedText<'a> {
        QuotedText { raw, escaped: memchr(b'\\', raw).is_some() }
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
        let mut scanner = Scanner { text: value, at: 0 };
        scanner.skip_white();
        let scheme = scanner.take_until(NAME_END);
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return Err(if scheme.is_empty() { scanner.malformed() } else { AuthError::UnsupportedScheme });
        }
        Parameters::read(scanner)
    }

    /// Reads parameters that no scheme stands before: those of Authentication-Info (RFC 7616 §3.5).
    pub(super) fn parse_without_scheme(value: &'a [u8]) -> Result<Parameters<'a>, AuthError> {
        Parameters::read(Scanner { text: value, at: 0 })
    }

    fn read(mut scanner: Scanner<'a>) -> Result<Parameters<'a>, AuthError> {
        let mut found = [None; Parameter::NAMES.len()];
        while let Some((name, text)) = scanner.next_parameter()? {
            let Some(parameter) = name else { continue };
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

/// A place in the text; never beyond its end.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn malformed(&self) -> AuthError {
        AuthError::Malformed { at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_byte(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// LWS, also a folded one.
    fn skip_white(&mut self) {
        while self.peek().is_some_and(is_white) {
            self.at += 1;
        }
    }

    /// Up to the first byte of `class`, or to the end.
    #[inline]
    fn take_until(&mut self, class: u8) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(|byte| !is_class(byte, class)) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Takes a name of at least one character; `None` when it is not one of ours.
    #[inline]
    fn take_name(&mut self) -> Result<Option<Parameter>, AuthError> {
        // Nearly every one: known, and its `=` right behind it.
        let ahead = self.text.get(self.at..).and_then(<[u8]>::first_chunk);
        if let Some((key, length)) = ahead.and_then(|ahead| NameKey::before_equals(*ahead))
            && let Some(parameter) = Parameter::from_key(key)
        {
            self.at += length;
            return Ok(Some(parameter));
        }
        let name = self.take_until(NAME_END);
        if name.is_empty() {
            return Err(self.malformed());
        }
        Ok(NameKey::of(name).and_then(Parameter::from_key))
    }

    /// The next `name=value`, or `None` at the end of the list.
    #[inline]
    fn next_parameter(&mut self) -> Result<Option<(Option<Parameter>, QuotedText<'a>)>, AuthError> {
        self.skip_white();
        while self.skip_byte(b',') {
            self.skip_white();
        }
        if self.at == self.text.len() {
            return Ok(None);
        }
        let name = self.take_name()?;
        self.skip_white();
        if !self.skip_byte(b'=') {
            return Err(self.malformed());
        }
        self.skip_white();
        // A value without quotes goes up to the comma; `=` may stand in it (base64, URI parameters).
        let quoted = self.skip_byte(b'"');
        let text = if quoted { self.take_quoted()? } else { QuotedText::plain(self.take_until(BARE_END)) };
        self.skip_white();
        match self.peek() {
            None | Some(b',') => Ok(Some((name, text))),
            Some(_) => Err(self.malformed()),
        }
    }

    /// The inside of a quoted string whose opening quote has been taken; takes the closing quote too.
    fn take_quoted(&mut self) -> Result<QuotedText<'a>, AuthError> {
        let (mut at, mut escaped) = (self.at, false);
        loop {
            at = plain_until(self.text, at);
            match self.text.get(at) {
                Some(b'"') => {
                    let raw = self.text.get(self.at..at).unwrap_or_default();
                    self.at = at + 1;
                    return Ok(QuotedText { raw, escaped });
                }
                Some(b'\\') if self.text.get(at + 1).is_some_and(|quoted| !is_control(*quoted)) => {
                    escaped = true;
                    at += 2;
                }
                Some(_) | None => return Err(self.malformed()),
            }
        }
    }
}

/// Where the plain characters of a quoted string end that stand in `text` from `at` on; looks at eight at a time.
fn plain_until(text: &[u8], mut at: usize) -> usize {
    while let Some(group) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let unusual = first_unusual(u64::from_le_bytes(*group));
        at += unusual;
        if unusual < 8 {
            if text.get(at).is_none_or(|byte| is_class(*byte, QUOTED_END)) {
                return at;
            }
            at += 1;
        }
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| is_class(*byte, QUOTED_END)).unwrap_or(rest.len())
}

/// Which of eight bytes is the first that is not printable ASCII beyond the quote (so no space, no `!`), or that is a
/// backslash; 8 if there is none. Little-endian, so that the first byte is the lowest.
const fn first_unusual(bytes: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x80 * EACH;
    // Each line sets the top bit of the bytes that it finds; a borrow or carry disturbs only bytes behind one found.
    let too_small = bytes.wrapping_sub((b'"' as u64 + 1) * EACH);
    let unlike_backslash = bytes ^ (b'\\' as u64 * EACH);
    let is_backslash = unlike_backslash.wrapping_sub(EACH) & !unlike_backslash;
    let delete = bytes.wrapping_add(EACH);
    ((too_small | is_backslash | delete | bytes) & TOP).trailing_zeros() as usize / 8
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
        if character == b'=' || !character.is_ascii() {
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
    fn every_parameter_is_found_by_its_name_alone_and_stands_at_its_discriminant() {
        for (index, (parameter, name)) in Parameter::NAMES.iter().enumerate() {
            assert_eq!(*parameter as usize, index);
            let value =
                [b"Digest ", &name.to_ascii_uppercase()[..], b"=1, x", name, b"=2, ", name, b"x=3"].concat();
            let parameters = Parameters::parse(&value).unwrap();
            assert_eq!(parameters.find(*parameter).unwrap().raw(), b"1");
            assert_eq!(parameters.0.iter().flatten().count(), 1);
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
        fn what_is_taken_for_a_name_at_once_is_that_name(
            bytes in any::<[u8; 16]>(),
            which in 0..Parameter::NAMES.len(),
            near in 0_usize..12,
            byte in any::<u8>(),
        ) {
            let (_, name) = Parameter::NAMES[which];
            let mut almost = bytes;
            almost[..name.len()].copy_from_slice(name);
            almost[name.len()] = b'=';
            prop_assert!(NameKey::before_equals(almost).is_some());
            almost[near] = byte;
            for group in [bytes, almost] {
                let Some((key, length)) = NameKey::before_equals(group) else { continue };
                prop_assert_eq!(group[length], b'=');
                if let Some(parameter) = Parameter::from_key(key) {
                    let (_, name) = Parameter::NAMES[parameter as usize];
                    prop_assert!(group[..length].eq_ignore_ascii_case(name), "{:?}", group);
                }
            }
        }

        #[test]
        fn the_first_unusual_byte_of_eight_is_found(
            bytes in any::<[u8; 8]>(),
            near in 0_usize..8,
            byte in any::<u8>(),
        ) {
            let is_unusual = |byte: &u8| !(b'#'..0x7f).contains(byte) || *byte == b'\\';
            let mut almost = [b'x'; 8];
            almost[near] = byte;
            for group in [bytes, almost] {
                let first = group.iter().position(is_unusual).unwrap_or(8);
                prop_assert_eq!(first_unusual(u64::from_le_bytes(group)), first);
            }
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
