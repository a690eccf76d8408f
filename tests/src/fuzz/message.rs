//! Fuzz target `message`: any bytes into the parser, and every typed reader on what it accepts.
//!
//! Asserted, besides that nothing panics: the message keeps its bytes; what is read lies in them; a URI equals
//! itself; a response to a request that passed validation passes validation and belongs to that request.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use sip_stack::auth::{Challenge, Credentials};
use sip_stack::header::{HeaderName, NameAddr};
use sip_stack::message::{Message, Status, Uri, response};
use sip_stack::sdp::{AudioOffer, MediaTransport, SessionDescription};

const TRANSPORTS: [MediaTransport; 2] = [MediaTransport::RtpAvp, MediaTransport::RtpSavp];

/// Runs the target once.
///
/// # Panics
/// When a property does not hold.
pub fn message(data: &[u8]) {
    read_parts(data);
    let Ok(message) = Message::parse(Bytes::copy_from_slice(data)) else { return };
    assert_eq!(message.bytes(), data, "a message keeps its bytes");
    read_fields(&message);
    read_lists(&message);
    read_session(message.body());
    if message.is_request() && message.validate().is_ok() {
        answer(&message);
    }
}

/// The parsers of parts take text from other places than messages too.
fn read_parts(data: &[u8]) {
    let _read = black_box((Credentials::parse(data).is_ok(), Challenge::parse(data).is_ok()));
    if let Ok(uri) = Uri::parse(data) {
        read_uri(&uri);
    }
    if let Ok(address) = NameAddr::parse(data) {
        let _read = black_box((address.tag(), address.display_unquoted()));
    }
    read_session(data);
}

fn read_uri(uri: &Uri<'_>) {
    let _read = black_box((uri.user_unescaped(), uri.ip(), uri.is_sip()));
    assert!(uri.equivalent(uri), "a URI equals itself: {uri:?}");
}

fn read_fields(message: &Message) {
    let _start = black_box((message.method(), message.request_uri(), message.status(), message.reason()));
    let _usable = black_box((message.start_line_error(), message.validate().is_ok()));
    let _ids = black_box((message.call_id().is_ok(), message.cseq().is_ok(), message.max_forwards().is_ok()));
    let _times =
        black_box((message.expires().is_ok(), message.min_expires().is_ok(), message.date().is_ok()));
    let _body =
        black_box((message.content_length().is_ok(), message.content_type().is_ok(), message.body_bytes()));
    if let Ok(uri) = message.uri() {
        read_uri(&uri);
    }
    for address in [message.from(), message.to()].into_iter().flatten() {
        let _read = black_box((address.tag(), address.display_unquoted()));
    }
    let whole = message.bytes().as_ptr_range();
    for (_, name, value) in message.fields() {
        let inside = |part: &[u8]| part.is_empty() || whole.contains(&part.as_ptr());
        assert!(inside(name) && inside(value), "a field lies in the message");
    }
}

fn read_lists(message: &Message) {
    let mut last = None;
    for via in message.vias().flatten() {
        let _read = black_box((via.is_rfc3261_branch(), via.sent_by_ip(), via.received_ip()));
        assert!(via.same_sent_by(&via), "a Via is sent by whom it is sent by");
        last = Some(via);
    }
    let _last = black_box(last.is_some());
    if let Ok(contacts) = message.contacts() {
        let _read = black_box(contacts.as_slice().len());
    }
    let routes = message.route().chain(message.record_route()).chain(message.addresses(HeaderName::Path));
    let _read = black_box(routes.flatten().count());
    let tokens =
        message.require().chain(message.proxy_require()).chain(message.supported()).chain(message.allow());
    let _read = black_box(tokens.count());
    for credentials in message.authorization().chain(message.proxy_authorization()) {
        let _read = black_box(Credentials::parse(credentials).is_ok());
    }
}

fn read_session(text: &[u8]) {
    let Ok(session) = SessionDescription::parse(text) else { return };
    if let Ok(offer) = AudioOffer::find(&session, &TRANSPORTS) {
        let _read = black_box(offer.destination());
    }
    for media in &session.media {
        let maps =
            media.payload_types().map(|kind| (media.rtpmap(kind).is_some(), media.fmtp(kind).is_some()));
        let _read = black_box((maps.count(), media.ptime_ms(), media.maxptime_ms()));
        let _read = black_box((session.connection_of(media).is_some(), session.direction_of(media)));
    }
}

fn answer(request: &Message) {
    let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060);
    let bytes = response(request, Status::OK, None, Some(b"tag"), source).finish();
    let response = Message::parse(bytes).expect("a response of ours parses");
    let valid = response.validate();
    assert!(valid.is_ok(), "{valid:?}: {}", response.bytes().escape_ascii());
    assert_eq!(response.call_id().ok(), request.call_id().ok(), "a response has the Call-ID of its request");
    assert_eq!(response.cseq().ok(), request.cseq().ok(), "a response has the CSeq of its request");
    let branch = |message: &Message| message.via().ok().and_then(|via| via.branch.map(<[u8]>::to_vec));
    assert_eq!(branch(&response), branch(request), "a response has the branch of its request");
    assert_eq!(response.vias().count(), request.vias().count(), "a response has the Vias of its request");
    assert!(response.to().is_ok_and(|to| to.tag().is_some()), "a final response has a To tag");
}
