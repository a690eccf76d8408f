//! Requests that a client transaction derives from its INVITE: the ACK of a 300–699 (RFC 3261 §17.1.1.3) and the
//! CANCEL (§9.1).

use crate::header::HeaderName;
use crate::message::{Message, Method, Writer};
use bytes::Bytes;

/// The ACK of a 300–699 `response` to `invite`: its Request-URI, Call-ID, From, CSeq number, top Via and Route, and
/// the To of the response, which has the tag.
pub(super) fn ack(invite: &Message, response: &Message) -> Bytes {
    derived(invite, Method::Ack, response).finish()
}

/// The CANCEL of `invite`: as the ACK, but with the To of the INVITE, and a Reason unless that is empty (RFC 3326 §2).
pub(super) fn cancel(invite: &Message, reason: &[u8]) -> Bytes {
    let mut writer = derived(invite, Method::Cancel, invite);
    if !reason.is_empty() {
        writer.header(HeaderName::Reason, reason);
    }
    writer.finish()
}

fn derived(invite: &Message, method: Method<'_>, to_from: &Message) -> Writer {
    let number = invite.cseq().map_or(0, |cseq| cseq.number);
    let mut writer = Writer::request(method, invite.request_uri());
    if let Some(via) = invite.list(HeaderName::Via).next() {
        writer.header(HeaderName::Via, via);
    }
    writer.copy(HeaderName::Route, invite);
    writer.header(HeaderName::MaxForwards, b"70");
    writer.copy(HeaderName::From, invite);
    writer.copy(HeaderName::To, to_from);
    writer.copy(HeaderName::CallId, invite);
    writer.cseq(number, method);
    writer
}
