//! The messages of the phones.

use super::PASSWORD;
use sip_stack::auth::{Algorithm, Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use std::net::SocketAddr;

/// What identifies a request.
pub(super) struct Head<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) ours: SocketAddr,
    pub(super) branch: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) call_id: &'a str,
    pub(super) cseq: u32,
}

/// A request; `further` are whole header lines.
pub(super) fn request(head: &Head<'_>, further: &str, body: &str) -> String {
    let Head { method, uri, ours, branch, from, to, call_id, cseq } = head;
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ours};rport;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\nFrom: {from}\r\n\
         To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{further}{content}Content-Length: {}\r\n\r\n{body}",
        body.len(),
    )
}

pub(super) fn options(ours: SocketAddr, server: SocketAddr, number: u32) -> String {
    let (branch, uri, to) = (format!("o{number}"), format!("sip:{server}"), format!("<sip:{server}>"));
    let from = "<sip:probe@127.0.0.1>;tag=p";
    let call_id = format!("probe{number}@{ours}");
    let head = Head {
        method: "OPTIONS",
        uri: &uri,
        ours,
        branch: &branch,
        from,
        to: &to,
        call_id: &call_id,
        cseq: 1,
    };
    request(&head, "", "")
}

/// The answer to a challenge, as a header line.
pub(super) fn credentials(
    challenged: &Message,
    method: &str,
    uri: &str,
    user: &str,
    count: u32,
) -> Option<String> {
    let is_md5 =
        |value: &&[u8]| Challenge::parse(value).is_ok_and(|challenge| challenge.algorithm == Algorithm::Md5);
    let value = challenged.headers(HeaderName::WwwAuthenticate).find(is_md5)?;
    let answer = Answer {
        method: method.as_bytes(),
        uri: uri.as_bytes(),
        user: user.as_bytes(),
        secret: Secret::Password(PASSWORD.as_bytes()),
        cnonce: b"c7a54",
        nc: count,
        body: b"",
    };
    let mut written = Vec::new();
    Challenge::parse(value).ok()?.answer(&answer, &mut written).ok()?;
    Some(format!("Authorization: {}\r\n", String::from_utf8_lossy(&written)))
}

/// A response to a request of the switch.
pub(super) fn response(request: &Message, status: &str, tag: &str, further: &str, body: &str) -> String {
    let text = |name| field(request, name);
    let to = text(HeaderName::To);
    let tag = if to.contains(";tag=") { String::new() } else { format!(";tag={tag}") };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{further}{content}\
         Content-Length: {}\r\n\r\n{body}",
        text(HeaderName::Via),
        text(HeaderName::From),
        text(HeaderName::CallId),
        text(HeaderName::CSeq),
        body.len(),
    )
}

pub(super) fn field(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

/// A description with µ-law at a port.
pub(super) fn description(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}

/// The port of the sound in a description.
pub(super) fn sound_port(body: &[u8]) -> Option<u16> {
    let text = core::str::from_utf8(body).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("m=audio "))?;
    line.split(' ').next()?.parse().ok()
}
