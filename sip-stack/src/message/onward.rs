//! A message on its way through a proxy (RFC 3261 §16.6, §16.7): the lines that change are written anew, every other octet
//! leaves as it came, the body and unknown fields included.
//!
//! Left out on purpose: octets of a datagram behind the body (§18.3 discards them).

use super::list::Elements;
use super::response::copy_top_via;
use super::writer::Writer;
use super::{Message, Method};
use crate::header::HeaderName;
use bytes::Bytes;
use core::net::SocketAddr;

/// What is written around what is kept.
const ROOM: usize = 96;

/// What a proxy changes in a request.
pub(crate) struct Onward<'a> {
    /// The Request-URI (§16.6 step 2).
    pub(crate) uri: &'a [u8],
    /// The Via value that goes on top (step 8).
    pub(crate) via: &'a [u8],
    /// Where the request came from, for the Via that was on top (§18.2.1, RFC 3581 §4).
    pub(crate) source: SocketAddr,
    /// Record-Route values, topmost first, that go before those that are there (step 4).
    pub(crate) record_route: &'a [Bytes],
    /// The whole Route (§16.4, step 6).
    pub(crate) routes: &'a [&'a [u8]],
    /// Max-Forwards (step 3).
    pub(crate) max_forwards: u8,
    /// Max-Breadth (RFC 5393 §5.3.3).
    pub(crate) max_breadth: u32,
    /// Which fields were for this proxy alone and go no further.
    pub(crate) consumed: &'a dyn Fn(HeaderName, &[u8]) -> bool,
}

impl Message {
    /// The request as a proxy sends it on.
    pub(crate) fn onward(&self, changes: &Onward<'_>) -> Bytes {
        let written = changes.via.len()
            + changes.record_route.iter().map(Bytes::len).sum::<usize>()
            + changes.routes.iter().map(|route| route.len() + 9).sum::<usize>();
        let room = self.bytes.len() + written + changes.uri.len() + ROOM;
        let method = self.method().unwrap_or(Method::Other(b""));
        let mut writer = Writer::request_of_size(method, changes.uri, room);
        writer.header(HeaderName::Via, changes.via);
        for value in changes.record_route {
            writer.header(HeaderName::RecordRoute, value);
        }
        for route in changes.routes {
            writer.header(HeaderName::Route, route);
        }
        let mut seen = Seen::default();
        for line in self.lines() {
            write_line(&mut writer, &line, changes, &mut seen);
        }
        if !seen.max_forwards {
            writer.number(HeaderName::MaxForwards, changes.max_forwards.into());
        }
        if !seen.max_breadth {
            writer.number(HeaderName::MaxBreadth, changes.max_breadth.into());
        }
        // §16.6 step 9
        if !seen.content_length {
            writer.number(HeaderName::ContentLength, self.body().len() as u64);
        }
        writer.finish_with(self.body())
    }

    /// The response without its topmost Via (§16.7 step 3) and what its sender says of who it is ([`is_identity`]), with `more`
    /// fields of other responses (step 7). `None` when it has no other Via: then it was for us.
    pub(crate) fn without_top_via(&self, more: &[(HeaderName, Bytes)]) -> Option<Bytes> {
        self.list(HeaderName::Via).nth(1)?;
        let added: usize = more.iter().map(|(name, value)| name.as_bytes().len() + value.len() + 4).sum();
        let start = self.headers.first().map_or(0, |first| usize::from(first.line));
        let mut writer = Writer::of_size(self.bytes.len() + added + ROOM);
        writer.raw(self.bytes.get(..start).unwrap_or_default());
        let mut removed = false;
        let mut has_length = false;
        for line in self.lines() {
            has_length |= line.name == Some(HeaderName::ContentLength);
            if line.name.is_some_and(is_identity) {
                continue;
            }
            if removed || line.name != Some(HeaderName::Via) {
                writer.raw_line(line.raw);
                continue;
            }
            let element = Elements::new(line.value).next().unwrap_or_default();
            let rest = line.value.get(element.len()..).unwrap_or_default().trim_ascii_start();
            removed = true;
            if let Some(rest) = rest.strip_prefix(b",") {
                writer.open(HeaderName::Via);
                writer.unfolded(rest.trim_ascii_start());
                writer.end_line();
            }
        }
        for (name, value) in more {
            writer.header(*name, value);
        }
        if !has_length {
            writer.number(HeaderName::ContentLength, self.body().len() as u64);
        }
        Some(writer.finish_with(self.body()))
    }

    /// The lines of the header section, continuations included.
    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let end = self.section_end();
        let next = self.headers.iter().skip(1).map(|span| usize::from(span.line));
        self.headers.iter().zip(next.chain(core::iter::once(end))).map(|(span, next)| Line {
            name: span.name,
            value: span.value.of(&self.bytes),
            raw: self.bytes.get(usize::from(span.line)..next).unwrap_or_default(),
        })
    }

    /// Where the last header field ends: before the empty line, if there is one.
    fn section_end(&self) -> usize {
        let section = self.bytes.get(..usize::from(self.body.start)).unwrap_or_default();
        let before = match section {
            [before @ .., b'\r', b'\n'] | [before @ .., b'\n'] => before,
            [..] => section,
        };
        if before.ends_with(b"\n") { before.len() } else { section.len() }
    }
}

/// Whether a field says who its sender is: what only those may say who are believed (RFC 3325 §5, §9.2; Remote-Party-ID is the older
/// field for the same).
pub(crate) const fn is_identity(name: HeaderName) -> bool {
    matches!(name, HeaderName::PAssertedIdentity | HeaderName::PPreferredIdentity | HeaderName::RemotePartyId)
}

/// A header field with its line as it came.
struct Line<'a> {
    name: Option<HeaderName>,
    value: &'a [u8],
    raw: &'a [u8],
}

/// Which fields have been written that must be there.
#[derive(Default)]
struct Seen {
    via: bool,
    max_forwards: bool,
    max_breadth: bool,
    content_length: bool,
}

fn write_line(writer: &mut Writer, line: &Line<'_>, changes: &Onward<'_>, seen: &mut Seen) {
    let Some(name) = line.name else { return writer.raw_line(line.raw) };
    if (changes.consumed)(name, line.value) {
        return;
    }
    match name {
        HeaderName::Via if !seen.via => {
            seen.via = true;
            writer.open(HeaderName::Via);
            copy_top_via(writer, line.value, changes.source, None);
            writer.end_line();
        }
        HeaderName::Route => {}
        HeaderName::MaxForwards => {
            seen.max_forwards = true;
            writer.number(name, changes.max_forwards.into());
        }
        HeaderName::MaxBreadth if seen.max_breadth => {}
        HeaderName::MaxBreadth => {
            seen.max_breadth = true;
            writer.number(name, changes.max_breadth.into());
        }
        HeaderName::ContentLength => {
            seen.content_length = true;
            writer.raw_line(line.raw);
        }
        _ => writer.raw_line(line.raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:b@example.com SIP/2.0\r\nX-First: a;b,\r\n\tfolded\r\nv: SIP/2.0/UDP h;rport;branch=z9hG4bK1\r\n\
        Route: <sip:p;lr>, <sip:q;lr>\r\nf: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nDate: no date\r\n\
        Call-ID: 1@h\r\nCSeq: 1 INVITE\r\nMax-Forwards: 7\r\nx-lAST :\t odd \r\nl: 6\r\n\r\nbo\0dy\r";

    fn parsed(text: &str) -> Message {
        Message::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn text(bytes: &Bytes) -> &str {
        core::str::from_utf8(bytes).unwrap()
    }

    fn onward<'a>(consumed: &'a dyn Fn(HeaderName, &[u8]) -> bool) -> Onward<'a> {
        Onward {
            uri: b"sip:b@192.0.2.9",
            via: b"SIP/2.0/UDP proxy;branch=z9hG4bK2",
            source: ([192, 0, 2, 1], 5066).into(),
            record_route: &[],
            routes: &[b"<sip:q;lr>"],
            max_forwards: 6,
            max_breadth: 60,
            consumed,
        }
    }

    #[test]
    fn all_that_is_not_changed_leaves_as_it_came_body_unknown_and_malformed_fields_included() {
        let sent = parsed(INVITE).onward(&onward(&|_, _| false));
        assert_eq!(
            text(&sent),
            "INVITE sip:b@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP proxy;branch=z9hG4bK2\r\nRoute: <sip:q;lr>\r\n\
             X-First: a;b,\r\n\tfolded\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1;received=192.0.2.1;rport=5066\r\n\
             f: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nDate: no date\r\nCall-ID: 1@h\r\n\
             CSeq: 1 INVITE\r\nMax-Forwards: 6\r\nx-lAST :\t odd \r\nl: 6\r\n\
             Max-Breadth: 60\r\n\r\nbo\0dy\r"
        );
    }

    #[test]
    fn what_was_for_the_proxy_alone_goes_no_further() {
        let sent =
            parsed(INVITE).onward(&onward(&|name, value| name == HeaderName::Date && value == b"no date"));
        assert!(!text(&sent).contains("Date"));
    }

    #[test]
    fn max_forwards_and_content_length_are_added_where_they_are_missing() {
        let message =
            parsed("OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nX: y\r\n\r\nbody");
        let sent = message.onward(&Onward { routes: &[], max_breadth: 3, ..onward(&|_, _| false) });
        assert!(
            text(&sent)
                .ends_with("X: y\r\nMax-Forwards: 6\r\nMax-Breadth: 3\r\nContent-Length: 4\r\n\r\nbody")
        );
    }

    #[test]
    fn a_message_without_an_empty_line_gets_one() {
        let message = parsed("OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nl: 0");
        let sent = message.onward(&Onward { routes: &[], ..onward(&|_, _| false) });
        assert!(
            text(&sent).ends_with("l: 0\r\nMax-Forwards: 6\r\nMax-Breadth: 60\r\n\r\n"),
            "{}",
            text(&sent)
        );
    }

    #[test]
    fn the_topmost_via_of_a_response_goes_and_nothing_else() {
        let response = parsed(
            "SIP/2.0 200 Fine, thanks\r\nX: y\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
             l: 2\r\n\r\nok",
        );
        assert_eq!(
            text(&response.without_top_via(&[]).unwrap()),
            "SIP/2.0 200 Fine, thanks\r\nX: y\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nl: 2\r\n\r\nok"
        );
    }

    #[test]
    fn vias_in_one_field_are_taken_apart() {
        let response = parsed(
            "SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP p;branch=z9hG4bK2 ,\r\n SIP/2.0/UDP h;branch=z9hG4bK1, SIP/2.0/UDP g\r\nl: 0\r\n\r\n",
        );
        assert_eq!(
            text(&response.without_top_via(&[]).unwrap()),
            "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1, SIP/2.0/UDP g\r\nl: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_response_with_our_via_alone_was_for_us() {
        let response = parsed("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK2\r\n\r\n");
        assert_eq!(response.without_top_via(&[]), None);
    }
}
