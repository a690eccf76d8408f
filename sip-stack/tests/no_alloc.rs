//! What reading a message allocates, under a counting allocator: nothing, up to 32 header fields.

use allocation_counter::measure;
use bytes::Bytes;
use sip_stack::message::Message;

const INVITE: &[u8] = b"INVITE sip:1002@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK776asdhds7jhfp3;rport\r\n\
    Max-Forwards: 70\r\n\
    From: \"Alice Example\" <sip:1001@example.com>;tag=1928301774\r\n\
    To: <sip:1002@example.com>\r\n\
    Call-ID: a84b4c76e66710f3d1c9@192.0.2.10\r\n\
    CSeq: 314159 INVITE\r\n\
    Contact: <sip:1001@192.0.2.10:5060;ob>\r\n\
    Supported: replaces, timer, 100rel, norefersub\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 5\r\n\r\nv=0\r\n";

#[test]
fn the_index_of_a_message_allocates_nothing() {
    let mut parsed = None;
    let info = measure(|| parsed = Some(Message::parse(Bytes::from_static(INVITE))));
    assert!(parsed.is_some_and(|message| message.is_ok()));
    assert_eq!(info.count_total, 0);
}

#[test]
fn the_core_header_fields_are_read_without_allocating() {
    let message = Message::parse(Bytes::from_static(INVITE)).expect("a message");
    let mut well = false;
    let info = measure(|| {
        well = message.via().is_ok()
            && message.from().is_ok()
            && message.to().is_ok()
            && message.cseq().is_ok()
            && message.contact().is_ok();
    });
    assert!(well);
    assert_eq!(info.count_total, 0);
}
