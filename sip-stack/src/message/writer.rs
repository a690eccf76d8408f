//! Builds messages into one buffer (RFC 3261 §7).
//!
//! Text from a caller cannot break out of its place: CR, LF and NUL become a space, so that no value opens a header
//! of its own; a fold becomes one space. Names and methods are cut down to tokens, URIs of a start line are escaped.

use super::grammar::{self, LWS, TOKEN};
use super::{Message, Method, Status, is_token};
use crate::decimal::{Decimal, put_address};
use crate::header::HeaderName;
use bytes::{BufMut, Bytes, BytesMut};
use core::fmt::{self, Write};
use core::net::IpAddr;

/// Room for a typical INVITE with its body, so that the buffer seldom grows.
const REQUEST: usize = 1024;
/// Room for a typical response without a body: a transaction keeps it for half a minute.
const RESPONSE: usize = 512;

/// A message being written. Content-Length is always its last header and written by [`Writer::finish`] alone.
#[derive(Debug)]
pub struct Writer {
    buffer: BytesMut,
    body: Vec<u8>,
}

impl Writer {
    /// Opens a request.
    pub fn request(method: Method<'_>, uri: &[u8]) -> Writer {
        Writer::request_of_size(method, uri, REQUEST)
    }

    /// Opens a request that will have about `size` octets.
    pub(super) fn request_of_size(method: Method<'_>, uri: &[u8], size: usize) -> Writer {
        let mut writer = Writer::of_size(size);
        writer.token(method.as_bytes());
        writer.buffer.put_u8(b' ');
        writer.start_line_uri(uri);
        writer.buffer.put_slice(b" SIP/2.0\r\n");
        writer
    }

    /// Opens a response; an empty `reason` stands for itself.
    pub fn status(status: Status, reason: &[u8]) -> Writer {
        let mut writer = Writer::of_size(RESPONSE);
        writer.buffer.put_slice(b"SIP/2.0 ");
        writer.decimal(u64::from(status.code()));
        writer.buffer.put_u8(b' ');
        writer.text(reason);
        writer.buffer.put_slice(b"\r\n");
        writer
    }

    /// A message of about `size` octets, its start line to come.
    pub(super) fn of_size(size: usize) -> Writer {
        Writer { buffer: BytesMut::with_capacity(size), body: Vec::new() }
    }

    /// Adds a field.
    pub fn header(&mut self, name: HeaderName, value: &[u8]) -> &mut Writer {
        self.name(name.as_bytes());
        self.text(value);
        self.end_line()
    }

    /// Adds a field from parts written one after the other.
    pub fn header_parts(&mut self, name: HeaderName, parts: &[&[u8]]) -> &mut Writer {
        self.name(name.as_bytes());
        for part in parts {
            self.text(part);
        }
        self.end_line()
    }

    /// Opens a field that is written piece by piece; its line ends when the [`Field`] goes.
    pub fn field(&mut self, name: HeaderName) -> Field<'_> {
        self.name(name.as_bytes());
        Field(self)
    }

    /// Adds a field with a number.
    pub fn number(&mut self, name: HeaderName, value: u64) -> &mut Writer {
        self.name(name.as_bytes());
        self.decimal(value);
        self.end_line()
    }

    /// Adds `CSeq: number method`.
    pub fn cseq(&mut self, number: u32, method: Method<'_>) -> &mut Writer {
        self.name(HeaderName::CSeq.as_bytes());
        self.decimal(u64::from(number));
        self.buffer.put_u8(b' ');
        self.token(method.as_bytes());
        self.end_line()
    }

    /// Adds a field whose name is not in the table; dropped when the name is in it, in either form, or is no token.
    pub fn extension(&mut self, name: &[u8], value: &[u8]) -> &mut Writer {
        if !is_token(name) || HeaderName::lookup(name).is_some() {
            return self;
        }
        self.name(name);
        self.text(value);
        self.end_line()
    }

    /// Adds all fields of that header in `message`, in order, unfolded and otherwise as they stand. Content-Length is
    /// left out: it is this message's own.
    pub fn copy(&mut self, name: HeaderName, message: &Message) -> &mut Writer {
        if name != HeaderName::ContentLength {
            for value in message.headers(name) {
                self.name(name.as_bytes());
                self.unfolded(value);
                self.end_line();
            }
        }
        self
    }

    /// Sets the body and adds its Content-Type.
    pub fn body(&mut self, content_type: &[u8], body: &[u8]) -> &mut Writer {
        self.header(HeaderName::ContentType, content_type);
        self.body.clear();
        self.body.extend_from_slice(body);
        self
    }

    /// Octets written so far, the body included; what [`Writer::finish`] adds is missing.
    pub fn octets(&self) -> usize {
        self.buffer.len() + self.body.len()
    }

    /// Adds Content-Length, the empty line and the body, and hands the message out.
    pub fn finish(mut self) -> Bytes {
        self.number(HeaderName::ContentLength, self.body.len() as u64);
        self.buffer.put_slice(b"\r\n");
        self.buffer.put_slice(&self.body);
        // Copied to its size: a transaction keeps it for half a minute, and the room around it would be kept too.
        Bytes::copy_from_slice(&self.buffer)
    }

    /// Adds the empty line and the body, where all header fields are written, and hands the message out.
    pub(super) fn finish_with(mut self, body: &[u8]) -> Bytes {
        self.buffer.put_slice(b"\r\n");
        self.buffer.put_slice(body);
        self.buffer.freeze()
    }

    /// Octets of a message that was read, as they came.
    pub(super) fn raw(&mut self, octets: &[u8]) {
        self.buffer.put_slice(octets);
    }

    /// A whole line of a message that was read, as it came.
    pub(super) fn raw_line(&mut self, line: &[u8]) {
        self.raw(line);
        if !line.ends_with(b"\n") {
            self.end_line();
        }
    }

    #[inline]
    fn name(&mut self, name: &[u8]) {
        self.buffer.reserve(name.len() + 2);
        self.buffer.put_slice(name);
        self.buffer.put_slice(b": ");
    }

    /// Opens a field that is written piece by piece.
    pub(super) fn open(&mut self, name: HeaderName) {
        self.name(name.as_bytes());
    }

    /// A piece without control characters.
    #[inline]
    pub(super) fn plain(&mut self, value: &[u8]) {
        debug_assert!(!value.iter().any(u8::is_ascii_control), "a piece of ours, or one checked before");
        self.buffer.put_slice(value);
    }

    /// A piece as it stands, folds turned into a space; a NUL from the network is kept, it may be part of a quoted
    /// string (RFC 4475 §3.1.1.2).
    pub(super) fn unfolded(&mut self, value: &[u8]) {
        if memchr::memchr2(b'\r', b'\n', value).is_none() {
            self.buffer.put_slice(value);
        } else {
            self.unfold(value, |byte| byte);
        }
    }

    #[inline]
    pub(super) fn end_line(&mut self) -> &mut Writer {
        self.buffer.put_slice(b"\r\n");
        self
    }

    /// A piece of a caller's.
    #[inline]
    pub(super) fn text(&mut self, value: &[u8]) {
        if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
            self.buffer.put_slice(value);
        } else {
            self.unfold(value, |byte| if byte == 0 { b' ' } else { byte });
        }
    }

    /// Each stretch of white space that contains a line end becomes one space.
    fn unfold(&mut self, value: &[u8], clean: impl Fn(u8) -> u8) {
        let mut rest = value;
        while let Some((&byte, tail)) = rest.split_first() {
            let (blank, after) = grammar::run(rest, LWS);
            if memchr::memchr2(b'\r', b'\n', blank).is_some() {
                self.buffer.put_u8(b' ');
                rest = after;
            } else {
                self.buffer.put_u8(clean(byte));
                rest = tail;
            }
        }
    }

    fn token(&mut self, text: &[u8]) {
        if is_token(text) {
            self.buffer.put_slice(text);
        } else {
            self.buffer.extend(text.iter().copied().filter(|&byte| grammar::is(byte, TOKEN)));
        }
    }

    /// White space, controls, quotes and angle brackets leave as `%HH`: the start line keeps its three parts.
    fn start_line_uri(&mut self, uri: &[u8]) {
        if grammar::all(uri, grammar::OPAQUE) {
            return self.buffer.put_slice(uri);
        }
        for &byte in uri {
            if grammar::is(byte, grammar::OPAQUE) {
                self.buffer.put_u8(byte);
            } else {
                let _ = write!(Text(self), "%{byte:02X}");
            }
        }
    }

    #[inline]
    pub(super) fn decimal(&mut self, number: u64) {
        self.buffer.put_slice(Decimal::of(number).as_bytes());
    }

    /// An address, IPv6 without brackets.
    pub(super) fn address(&mut self, address: IpAddr) {
        put_address(&mut self.buffer, address);
    }
}

/// A field that is being written.
#[derive(Debug)]
pub struct Field<'a>(&'a mut Writer);

impl Field<'_> {
    /// A piece of text.
    pub fn text(&mut self, piece: &[u8]) -> &mut Self {
        self.0.text(piece);
        self
    }

    /// A number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.0.decimal(number);
        self
    }
}

impl Drop for Field<'_> {
    fn drop(&mut self) {
        self.0.end_line();
    }
}

/// Formatted text on its way into a value.
pub(super) struct Text<'a>(pub(super) &'a mut Writer);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.text(text.as_bytes());
        Ok(())
    }
}

/// `text` as a quoted string (§25.1): quotes and backslashes escaped, CR, LF and NUL turned into spaces.
pub fn quoted(text: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    quoted.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b'\r' | b'\n' | 0 => quoted.push(b' '),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    quoted
}
