//! Writes session descriptions line by line (RFC 8866 §5); the order of the lines is the caller's.

use super::attribute::{Direction, RtpMap};
use crate::decimal::{Decimal, put_address};
use bytes::BufMut;
use memchr::memchr3;
use std::fmt::{Display, Write};
use std::net::IpAddr;

/// Appends lines, ended by CRLF, to a buffer that grows.
#[derive(Debug)]
pub struct SdpWriter<'b, B: BufMut> {
    out: &'b mut B,
}

impl<'b, B: BufMut> SdpWriter<'b, B> {
    /// Starts a description with `v=0`.
    pub fn new(out: &'b mut B) -> SdpWriter<'b, B> {
        let mut writer = SdpWriter { out };
        writer.line(b'v', b"0");
        writer
    }

    /// Any line. CR, LF and NUL in the value, which would end the line, are written as spaces.
    pub fn line(&mut self, kind: u8, value: &[u8]) {
        self.start(kind);
        self.text(value);
        self.end();
    }

    /// `o=`; spaces in `username` are written as `_`, and none at all as `-` (RFC 8866 §5.2).
    pub fn origin(&mut self, username: &[u8], session_id: u64, version: u64, address: IpAddr) {
        self.start(b'o');
        if username.is_empty() {
            self.out.put_u8(b'-');
        }
        for byte in username {
            self.out.put_u8(if byte.is_ascii_whitespace() || *byte == 0 { b'_' } else { *byte });
        }
        self.out.put_u8(b' ');
        self.decimal(session_id);
        self.out.put_u8(b' ');
        self.decimal(version);
        self.out.put_u8(b' ');
        self.address(address);
        self.end();
    }

    /// `c=`
    pub fn connection(&mut self, address: IpAddr) {
        self.start(b'c');
        self.address(address);
        self.end();
    }

    /// `m=`; `formats` are separated by single spaces already.
    pub fn media(
        &mut self,
        media: &[u8],
        port: u16,
        protocol: &[u8],
        formats: impl IntoIterator<Item: AsRef<[u8]>>,
    ) {
        self.start(b'm');
        self.text(media);
        self.out.put_u8(b' ');
        self.decimal(port.into());
        self.out.put_u8(b' ');
        self.text(protocol);
        for format in formats {
            self.out.put_u8(b' ');
            self.text(format.as_ref());
        }
        self.end();
    }

    /// `a=rtpmap`
    pub fn rtpmap(&mut self, map: &RtpMap<'_>) {
        self.start_attribute("rtpmap");
        self.decimal(map.payload_type.into());
        self.out.put_u8(b' ');
        self.text(map.encoding);
        self.out.put_u8(b'/');
        self.decimal(map.clock_rate.into());
        if map.channels != 1 {
            self.out.put_u8(b'/');
            self.decimal(map.channels.into());
        }
        self.end();
    }

    /// `a=fmtp`
    pub fn fmtp(&mut self, payload_type: u8, parameters: &[u8]) {
        self.start_attribute("fmtp");
        self.decimal(payload_type.into());
        self.out.put_u8(b' ');
        self.text(parameters);
        self.end();
    }

    /// `a=name:value` with a number.
    pub fn number(&mut self, name: &str, value: u32) {
        self.start_attribute(name);
        self.decimal(value.into());
        self.end();
    }

    /// `a=name:value` with a text.
    pub fn attribute(&mut self, name: &str, value: &[u8]) {
        self.start_attribute(name);
        self.text(value);
        self.end();
    }

    /// `a=sendrecv` and its like.
    pub fn direction(&mut self, direction: Direction) {
        self.line(b'a', direction.name().as_bytes());
    }

    /// The beginning of a line that [`SdpWriter::end`] ends.
    pub(super) fn start_attribute(&mut self, name: &str) {
        self.start(b'a');
        self.out.put_slice(name.as_bytes());
        self.out.put_u8(b':');
    }

    pub(super) fn address(&mut self, address: IpAddr) {
        self.out.put_slice(if address.is_ipv4() { b"IN IP4 " } else { b"IN IP6 " });
        put_address(self.out, address);
    }

    fn start(&mut self, kind: u8) {
        self.out.put_slice(&[kind, b'=']);
    }

    pub(super) fn end(&mut self) {
        self.out.put_slice(b"\r\n");
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        if memchr3(b'\r', b'\n', 0, text).is_none() {
            return self.out.put_slice(text);
        }
        for byte in text {
            self.out.put_u8(if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { *byte });
        }
    }

    pub(super) fn decimal(&mut self, number: u64) {
        self.out.put_slice(Decimal::of(number).as_bytes());
    }

    pub(super) fn display(&mut self, value: impl Display) {
        write!(Appender(self.out), "{value}").expect("a growing buffer takes everything");
    }
}

/// `fmt::Write` for a buffer, so that what is seldom written needs no string of its own.
struct Appender<'b, B: BufMut>(&'b mut B);

impl<B: BufMut> Write for Appender<'_, B> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.put_slice(text.as_bytes());
        Ok(())
    }
}
