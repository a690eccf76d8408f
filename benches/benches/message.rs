//! Parser and writer on a 750-byte INVITE: the index alone, the index with the core headers typed, validation, and a
//! comparable INVITE written. Goals: 600 ns, 1.2 µs and 500 ns (writing); no allocation in the first two.

use bytes::Bytes;
use core::hint::black_box;
use criterion::{Criterion, criterion_group, criterion_main};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status, Writer, response};

const SDP: &str = "v=0\r\n\
    o=- 3901234567 3901234567 IN IP4 192.0.2.10\r\n\
    s=-\r\n\
    c=IN IP4 192.0.2.10\r\n\
    t=0 0\r\n\
    m=audio 40000 RTP/AVP 0 8 101\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-16\r\n\
    a=sendrecv\r\n";

fn invite() -> Bytes {
    let text = format!(
        "INVITE sip:1002@example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776asdhds7jhfp3;rport\r\n\
         Max-Forwards: 70\r\n\
         From: \"Alice Example\" <sip:1001@example.com>;tag=1928301774\r\n\
         To: <sip:1002@example.com>\r\n\
         Call-ID: a84b4c76e66710f3d1c9@192.0.2.10\r\n\
         CSeq: 314159 INVITE\r\n\
         Contact: <sip:1001@192.0.2.10:5060;ob>\r\n\
         Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO\r\n\
         Supported: replaces, timer, 100rel, norefersub\r\n\
         Session-Expires: 1800\r\n\
         Min-SE: 90\r\n\
         Accept: application/sdp\r\n\
         User-Agent: Example Phone/1.2.3\r\n\
         Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    );
    assert!((740..=760).contains(&text.len()), "{} bytes", text.len());
    Bytes::from(text)
}

fn parse(criterion: &mut Criterion) {
    let bytes = invite();
    criterion.bench_function("message/index", |bencher| {
        bencher.iter(|| Message::parse(black_box(&bytes).clone()).is_ok());
    });
    criterion.bench_function("message/index_and_core_headers", |bencher| {
        bencher.iter(|| {
            let message = Message::parse(black_box(&bytes).clone()).expect("the INVITE is well formed");
            black_box((message.via().is_ok(), message.from().is_ok(), message.to().is_ok()));
            black_box((message.cseq().is_ok(), message.contact().is_ok()))
        });
    });
    criterion.bench_function("message/index_and_validate", |bencher| {
        bencher.iter(|| {
            Message::parse(black_box(&bytes).clone()).is_ok_and(|message| message.validate().is_ok())
        });
    });
    criterion.bench_function("message/header_name_lookup", |bencher| {
        bencher.iter(|| HeaderName::lookup(black_box(b"Content-Length")));
    });
}

fn write(criterion: &mut Criterion) {
    criterion.bench_function("message/write_invite", |bencher| bencher.iter(|| write_invite(black_box(SDP))));
    let request = Message::parse(invite()).expect("the INVITE is well formed");
    let source = "192.0.2.99:5060".parse().expect("an address");
    criterion.bench_function("message/write_response", |bencher| {
        bencher
            .iter(|| response(black_box(&request), Status::RINGING, None, Some(b"314159"), source).finish());
    });
}

fn write_invite(sdp: &str) -> Bytes {
    let mut writer = Writer::request(Method::Invite, b"sip:1002@example.com");
    writer
        .header(HeaderName::Via, b"SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776asdhds7jhfp3;rport")
        .number(HeaderName::MaxForwards, 70)
        .header_parts(
            HeaderName::From,
            &[b"\"Alice Example\" <sip:1001@example.com>", b";tag=", b"1928301774"],
        )
        .header(HeaderName::To, b"<sip:1002@example.com>")
        .header(HeaderName::CallId, b"a84b4c76e66710f3d1c9@192.0.2.10")
        .cseq(314_159, Method::Invite)
        .header(HeaderName::Contact, b"<sip:1001@192.0.2.10:5060;ob>")
        .header(HeaderName::Allow, b"INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO")
        .header(HeaderName::Supported, b"replaces, timer, 100rel, norefersub")
        .number(HeaderName::SessionExpires, 1800)
        .number(HeaderName::MinSe, 90)
        .header(HeaderName::Accept, b"application/sdp")
        .header(HeaderName::UserAgent, b"Example Phone/1.2.3")
        .body(b"application/sdp", sdp.as_bytes());
    writer.finish()
}

criterion_group!(message, parse, write);
criterion_main!(message);
