//! The opening handshake of WebSocket, both ends (RFC 6455 §4), for the subprotocol `sip` (RFC 7118 §4.1).
//!
//! Left out on purpose: resources other than `/` in requests of ours, redirections, authentication.

use super::head::{fields, start_line};
use crate::message::grammar;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha1::{Digest, Sha1};

/// What every accepted key is joined with (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client's request for WebSocket, as far as a policy may want to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The resource: the request target as it stands (RFC 6455 §4.2.2).
    pub target: Bytes,
    /// `Host`.
    pub host: Bytes,
    /// `Origin`: the site whose script asks. Browsers always send one and scripts cannot forge it (§10.2).
    pub origin: Option<Bytes>,
}

/// Why the owner refuses a request that is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 403: not from this origin (RFC 6455 §4.2.2).
    Forbidden,
    /// 404: there is no such resource.
    NotFound,
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Not HTTP/1.1, a method other than GET, or a field that is missing, repeated or malformed; answered with 400.
    #[error("malformed")]
    Malformed,
    /// A header section beyond [`super::Limits::headers`]; answered with 431 (RFC 6585 §5).
    #[error("header section too long")]
    TooLong,
    /// No wish for WebSocket, or for a version other than 13; answered with 426 (RFC 6455 §4.2.2). Of a server: its
    /// 101 is not about WebSocket.
    #[error("not WebSocket version 13")]
    NotWebSocket,
    /// The subprotocol `sip` is not offered, or not granted (RFC 7118 §4.1); answered with 400.
    #[error("no subprotocol sip")]
    NoSip,
    /// The client went on before it was answered (RFC 6455 §4.1); answered with 400.
    #[error("data before the answer")]
    Early,
    /// The owner refused; answered with 403.
    #[error("forbidden")]
    Forbidden,
    /// The owner refused; answered with 404.
    #[error("no such resource")]
    NotFound,
    /// The server answered with this status instead of 101.
    #[error("status {0}")]
    Status(u16),
    /// The server's Sec-WebSocket-Accept does not belong to our key (§4.1).
    #[error("wrong Sec-WebSocket-Accept")]
    Accept,
    /// The server uses an extension that was not offered (§4.1).
    #[error("extension not offered")]
    Extension,
}

impl From<Refusal> for HandshakeError {
    fn from(refusal: Refusal) -> HandshakeError {
        match refusal {
            Refusal::Forbidden => HandshakeError::Forbidden,
            Refusal::NotFound => HandshakeError::NotFound,
        }
    }
}

impl HandshakeError {
    /// The server's answer; none where the server is to blame.
    pub(super) fn response(self) -> Bytes {
        let (status, fields) = match self {
            HandshakeError::Malformed | HandshakeError::NoSip | HandshakeError::Early => {
                ("400 Bad Request", "")
            }
            HandshakeError::Forbidden => ("403 Forbidden", ""),
            HandshakeError::NotFound => ("404 Not Found", ""),
            HandshakeError::NotWebSocket => {
                ("426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")
            }
            HandshakeError::TooLong => ("431 Request Header Fields Too Large", ""),
            HandshakeError::Status(_) | HandshakeError::Accept | HandshakeError::Extension => {
                return Bytes::new();
            }
        };
        Bytes::from(format!("HTTP/1.1 {status}\r\n{fields}Connection: close\r\nContent-Length: 0\r\n\r\n"))
    }
}

/// The client's request (§4.1). Of `host`, bytes that are no part of an authority are left out.
pub(super) fn request(host: &str, key: &str) -> Bytes {
    let host: String = host.chars().filter(char::is_ascii_graphic).collect();
    Bytes::from(format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    ))
}

/// The server's answer to a request with that key (§4.2.2).
pub(super) fn response(accept: &str) -> Bytes {
    Bytes::from(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    ))
}

/// Sixteen bytes as a key.
pub(super) fn key(bytes: [u8; 16]) -> String {
    STANDARD.encode(bytes)
}

/// The Sec-WebSocket-Accept that belongs to a key (§4.2.2).
pub(super) fn accept(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Reads a client's request (§4.2.1): what is asked for, and the Sec-WebSocket-Accept that grants it.
pub(super) fn read_request(head: &[u8]) -> Result<(Upgrade, String), HandshakeError> {
    let target = target(start_line(head)).ok_or(HandshakeError::Malformed)?;
    let host = single(head, b"Host")?.ok_or(HandshakeError::Malformed)?;
    let wanted = has_token(head, b"Upgrade", b"websocket") && has_token(head, b"Connection", b"Upgrade");
    if !wanted || single(head, b"Sec-WebSocket-Version")? != Some(b"13") {
        return Err(HandshakeError::NotWebSocket);
    }
    let key = single(head, b"Sec-WebSocket-Key")?.ok_or(HandshakeError::Malformed)?;
    if STANDARD.decode(key).ok().is_none_or(|nonce| nonce.len() != 16) {
        return Err(HandshakeError::Malformed);
    }
    if !has_token(head, b"Sec-WebSocket-Protocol", b"sip") {
        return Err(HandshakeError::NoSip);
    }
    let origin = single(head, b"Origin")?.map(Bytes::copy_from_slice);
    let upgrade =
        Upgrade { target: Bytes::copy_from_slice(target), host: Bytes::copy_from_slice(host), origin };
    Ok((upgrade, accept(key)))
}

/// Reads a server's answer (§4.1); `expected` is the Sec-WebSocket-Accept of our key.
pub(super) fn read_response(head: &[u8], expected: &str) -> Result<(), HandshakeError> {
    match status(start_line(head)).ok_or(HandshakeError::Malformed)? {
        101 => {}
        other => return Err(HandshakeError::Status(other)),
    }
    if !has_token(head, b"Upgrade", b"websocket") || !has_token(head, b"Connection", b"Upgrade") {
        return Err(HandshakeError::NotWebSocket);
    }
    if single(head, b"Sec-WebSocket-Accept")? != Some(expected.as_bytes()) {
        return Err(HandshakeError::Accept);
    }
    if single(head, b"Sec-WebSocket-Extensions")?.is_some_and(|extensions| !extensions.is_empty()) {
        return Err(HandshakeError::Extension);
    }
    match single(head, b"Sec-WebSocket-Protocol")? {
        Some(b"sip") => Ok(()),
        Some(_) | None => Err(HandshakeError::NoSip),
    }
}

/// `GET SP request-target SP HTTP/1.1` (RFC 9112 §3).
fn target(line: &[u8]) -> Option<&[u8]> {
    let target = line.strip_prefix(b"GET ")?.strip_suffix(b" HTTP/1.1")?;
    (!target.is_empty() && target.iter().all(u8::is_ascii_graphic)).then_some(target)
}

/// `HTTP/1.1 SP status-code SP [reason-phrase]` (RFC 9112 §4).
fn status(line: &[u8]) -> Option<u16> {
    let (code, rest) = line.strip_prefix(b"HTTP/1.1 ")?.split_at_checked(3)?;
    let ends = matches!(rest, [] | [b' ', ..]);
    grammar::digits(code).filter(|_| ends).and_then(|code| u16::try_from(code).ok())
}

/// The value of a field that may stand once.
fn single<'a>(head: &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, HandshakeError> {
    let mut values = values(head, name);
    let value = values.next();
    if values.next().is_some() { Err(HandshakeError::Malformed) } else { Ok(value) }
}

/// Whether a comma-separated field, in one line or several, has that element without regard to case.
fn has_token(head: &[u8], name: &[u8], token: &[u8]) -> bool {
    values(head, name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|element| grammar::trim(element).eq_ignore_ascii_case(token))
}

fn values<'a>(head: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    fields(head).filter(move |(spelt, _)| spelt.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_of_the_rfcs_example_key() {
        // RFC 6455 §1.3
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_host_cannot_bring_a_header_field() {
        let request = request("a.example\r\nOrigin: b", "key");
        assert!(request.starts_with(b"GET / HTTP/1.1\r\nHost: a.exampleOrigin:b\r\nUpgrade"));
    }
}
