//! Parameters behind a header value or in a URI: `;name[=value]` (RFC 3261 §7.3.1, §25.1 `generic-param`).
//!
//! Names are case-insensitive. A value is a token, a host or a quoted string and is handed out as it stands, the
//! quotes included. Where a name is repeated the first one counts.

use super::error::Offence;
use super::grammar::{self, PARAM, TOKEN, VALUE};

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// The name as it stands.
    pub name: &'a [u8],
    /// The value as it stands; `None` for a flag such as `lr`.
    pub value: Option<&'a [u8]>,
}

/// The parameters of a header value or a URI, checked once, cut on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(&'a [u8]);

impl<'a> Params<'a> {
    /// Checks the parameters of a header value; white space round `;` and `=` is allowed.
    ///
    /// # Errors
    /// [`Offence::Parameters`] or [`Offence::UnterminatedQuote`].
    pub fn parse(text: &'a [u8]) -> Result<Params<'a>, Offence> {
        let mut rest = text;
        while let Some((_, next)) = split_first(rest, TOKEN)? {
            rest = next;
        }
        Ok(Params(text))
    }

    /// Checks the parameters of a URI: no white space, no quotes, whole escapes.
    pub(crate) fn parse_uri(text: &'a [u8]) -> Result<Params<'a>, Offence> {
        let mut rest = text;
        while let Some((param, next)) = split_first(rest, PARAM)? {
            if !param.value.is_none_or(|value| grammar::all(value, PARAM)) {
                return Err(Offence::Parameters);
            }
            rest = next;
        }
        let clean =
            grammar::escapes_are_whole(text) && !text.iter().any(|&byte| grammar::is(byte, grammar::LWS));
        if clean { Ok(Params(text)) } else { Err(Offence::Parameters) }
    }

    /// Keeps text that a caller has checked while reading it.
    pub(crate) const fn checked(text: &'a [u8]) -> Params<'a> {
        Params(text)
    }

    /// All parameters in order.
    pub fn iter(self) -> Iter<'a> {
        Iter(self.0)
    }

    /// The first parameter of that name.
    pub fn get(self, name: &[u8]) -> Option<Param<'a>> {
        self.iter().find(|param| param.name.eq_ignore_ascii_case(name))
    }

    /// The value of the first parameter of that name; `None` also when it is a flag without a value.
    pub fn value(self, name: &[u8]) -> Option<&'a [u8]> {
        self.get(name)?.value
    }

    /// Whether a parameter of that name is there, with or without a value.
    pub fn contains(self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    /// The text from the first `;` on, as it stands.
    pub const fn raw(self) -> &'a [u8] {
        self.0
    }
}

impl<'a> IntoIterator for Params<'a> {
    type Item = Param<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over [`Params`].
#[derive(Clone, Debug)]
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        let (param, rest) = split_first(self.0, PARAM | TOKEN).ok()??;
        self.0 = rest;
        Some(param)
    }
}

/// Cuts `;name[=value]` off the front; `name_class` says what a name is made of. `None` at the end.
#[inline]
pub(crate) fn split_first(text: &[u8], name_class: u8) -> Result<Option<(Param<'_>, &[u8])>, Offence> {
    let Some((semicolon, rest)) = grammar::skip_lws(text).split_first() else { return Ok(None) };
    let (name, rest) = grammar::run(grammar::skip_lws(rest), name_class);
    if *semicolon != b';' || name.is_empty() {
        return Err(Offence::Parameters);
    }
    let rest = grammar::skip_lws(rest);
    let Some((b'=', value)) = rest.split_first() else {
        return Ok(Some((Param { name, value: None }, rest)));
    };
    let value = grammar::skip_lws(value);
    let (value, rest) = match value.first() {
        Some(b'"') => {
            let end = grammar::quoted_string(value).ok_or(Offence::UnterminatedQuote)?;
            value.split_at(end)
        }
        _ => grammar::run(value, VALUE),
    };
    if value.is_empty() {
        return Err(Offence::Parameters);
    }
    Ok(Some((Param { name, value: Some(value) }, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_round_separators_is_no_part_of_a_parameter() {
        let params = Params::parse(b" ; tag \r\n =\r\n 98asjd8 ;lr; x = \"a;b\"  ").unwrap();
        assert_eq!(params.value(b"TAG"), Some(&b"98asjd8"[..]));
        assert!(params.contains(b"lr"));
        assert_eq!(params.value(b"lr"), None);
        assert_eq!(params.value(b"x"), Some(&b"\"a;b\""[..]));
        assert_eq!(params.iter().count(), 3);
    }

    #[test]
    fn an_empty_parameter_is_an_offence() {
        for text in [&b";;"[..], b";", b";a=", b";a b", b"x", b";a=b c", b";=b"] {
            assert_eq!(Params::parse(text), Err(Offence::Parameters), "{text:?}");
        }
        assert_eq!(Params::parse(b";a=\"b"), Err(Offence::UnterminatedQuote));
    }

    #[test]
    fn bytes_beyond_ascii_are_kept_as_they_are() {
        let params = Params::parse(b";x=\xe9t\xe9").unwrap();
        assert_eq!(params.value(b"x"), Some(&b"\xe9t\xe9"[..]));
    }
}
