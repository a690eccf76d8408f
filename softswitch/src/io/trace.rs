//! `--trace`: every SIP message, readable, without what a password could be guessed from.
//!
//! The `response` of an Authorization or Proxy-Authorization is masked: with the nonce beside it, a dictionary finds a
//! weak password. Control characters are escaped, line ends aside.

use super::lines::Lines;
use crate::log;
use core::fmt::{self, Write};
use sip_stack::Time;
use sip_stack::transport::Flow;
use std::io::Write as _;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// It arrived.
    In,
    /// It leaves.
    Out,
}

/// Writes a message among the lines of the log.
pub(super) fn print(lines: &mut Lines, now: Time, direction: Direction, flow: &Flow, message: &[u8]) {
    let shown = Shown { now, direction, flow, message }.to_string();
    // It does not fail: what there is no room for is counted.
    let _ = lines.write_all(shown.as_bytes());
}

struct Shown<'a> {
    now: Time,
    direction: Direction,
    flow: &'a Flow,
    message: &'a [u8],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.now.0 / 1_000_000_000, self.now.0 % 1_000_000_000);
        let (way, arrow) = match self.direction {
            Direction::In => ("in ", "<-"),
            Direction::Out => ("out", "->"),
        };
        let (transport, local, peer) = (self.flow.transport.name(), self.flow.local, self.flow.peer);
        writeln!(f, "{seconds}.{:06} {way} {transport} {local} {arrow} {peer}", rest / 1_000)?;
        write!(f, "{}", log::Lines(&masked(self.message)))?;
        f.write_char('\n')
    }
}

/// The message with every `response` parameter of its credentials replaced (RFC 3261 §20.7, §20.28).
fn masked(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    let (mut in_head, mut in_credentials) = (true, false);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        in_head &= !matches!(line, b"\r\n" | b"\n");
        // A line that begins with white space continues the field before it (§7.3.1).
        if !line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            in_credentials = in_head && is_credentials(line);
        }
        if in_credentials { mask_line(line, &mut out) } else { out.extend_from_slice(line) }
    }
    out
}

fn is_credentials(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let name = line.get(..colon).unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"Authorization") || name.eq_ignore_ascii_case(b"Proxy-Authorization")
}

/// Copies a line, hexadecimal digits after `response=` aside.
fn mask_line(line: &[u8], out: &mut Vec<u8>) {
    const NAME: &[u8] = b"response";
    let mut rest = line;
    while let Some(at) = rest.windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME)) {
        let (before, after) = rest.split_at(at + NAME.len());
        out.extend_from_slice(before);
        let opening = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'=' | b'"')).count();
        let (opening, value) = after.split_at(opening);
        out.extend_from_slice(opening);
        rest = value;
        if opening.contains(&b'=') {
            let digits = value.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            out.extend_from_slice(b"***");
            rest = value.get(digits..).unwrap_or_default();
        }
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked_text(message: &str) -> String {
        String::from_utf8(masked(message.as_bytes())).unwrap()
    }

    #[test]
    fn the_response_of_credentials_is_masked_also_on_a_folded_line() {
        for (given, shown) in [
            (
                "Authorization: Digest username=\"a\", response=\"00ffAA\", uri=\"sip:b\"\r\n",
                "Authorization: Digest username=\"a\", response=\"***\", uri=\"sip:b\"\r\n",
            ),
            (
                "proxy-authorization : Digest username=\"a\",\r\n\tRESPONSE = \"00ff\"\r\n",
                "proxy-authorization : Digest username=\"a\",\r\n\tRESPONSE = \"***\"\r\n",
            ),
            ("Subject: response=\"00ff\"\r\n", "Subject: response=\"00ff\"\r\n"),
            ("Authorization: response=00ff", "Authorization: response=***"),
            ("\r\nAuthorization: response=00ff\r\n", "\r\nAuthorization: response=00ff\r\n"),
        ] {
            assert_eq!(masked_text(given), shown);
        }
    }

    #[test]
    fn a_message_cannot_forge_lines_of_the_trace() {
        let flow = Flow {
            listener: sip_stack::transport::ListenerId(0),
            transport: sip_stack::transport::Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            peer: "192.0.2.2:5060".parse().unwrap(),
        };
        let now = Time(1_234_567_890_123);
        let shown =
            Shown { now, direction: Direction::In, flow: &flow, message: b"A\rB: \x1b[2J\r\n\r\n\xff" };
        let expected =
            "1234.567890 in  UDP 192.0.2.1:5060 <- 192.0.2.2:5060\n    A\\rB: \\x1b[2J\n    \n    \\xff\n\n";
        assert_eq!(shown.to_string(), expected);
    }
}
