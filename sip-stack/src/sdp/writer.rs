//! Writes session descriptions line by line (RFC 8866 §5); the order of the lines is the caller's.

use super::attribute::{Direction, RtpMap};
use bytes::BufMut;
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
        self.display(format_args!(" {session_id} {version} "));
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
        self.display(format_args!(" {port} "));
        self.text(protocol);
        for format in formats {
            self.out.put_u8(b' ');
            self.text(format.as_ref());
        }
        self.end();
    }

    /// `a=rtpmap`
    pub fn rtpmap(&mut self, map: &RtpMap<'_>) {
        self.start(b'a');
        self.display(format_args!("rtpmap:{} ", map.payload_type));
        self.text(map.encoding);
        self.display(format_args!("/{}", map.clock_rate));
        if map.channels != 1 {
            self.display(format_args!("/{}", map.channels));
        }
        self.end();
    }

    /// `a=fmtp`
    pub fn fmtp(&mut self, payload_type: u8, parameters: &[u8]) {
        self.start(b'a');
        self.display(format_args!("fmtp:{payload_type} "));
        self.text(parameters);
        self.end();
    }

    /// `a=name:value` with a number.
    pub fn number(&mut self, name: &str, value: u32) {
        self.start(b'a');
        self.display(format_args!("{name}:{value}"));
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
        self.display(format_args!("{name}:"));
    }

    pub(super) fn address(&mut self, address: IpAddr) {
        let kind = if address.is_ipv4() { "IP4" } else { "IP6" };
        self.display(format_args!("IN {kind} {address}"));
    }

    fn start(&mut self, kind: u8) {
        self.out.put_slice(&[kind, b'=']);
    }

    pub(super) fn end(&mut self) {
        self.out.put_slice(b"\r\n");
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        for byte in text {
            self.out.put_u8(if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { *byte });
        }
    }

    pub(super) fn display(&mut self, value: impl Display) {
        write!(Appender(self.out), "{value}").expect("a growing buffer takes everything");
    }
}

/// `fmt::Write` for a buffer, so that numbers and addresses need no string of their own.
struct Appender<'b, B: BufMut>(&'b mut B);

impl<B: BufMut> Write for Appender<'_, B> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.put_slice(text.as_bytes());
        Ok(())
    }
}
