//! Asking a phone to answer by itself, in the three ways that phones understand: Call-Info with `answer-after` (a draft that most desk
//! phones took up), Alert-Info with `info=alert-autoanswer`, and Answer-Mode (RFC 5373 §4.1).
//!
//! A phone does so only if its user lets it: a request, never an order (`Require: answermode` and Priv-Answer-Mode are left out on
//! purpose). One that does not rings.

use sip_stack::header::HeaderName;
use sip_stack::message::Writer;

/// Writes into an INVITE that the phone may answer at once; `host`: our domain, as the phone knows it.
pub(super) fn write(host: &[u8], writer: &mut Writer) {
    writer.header_parts(HeaderName::CallInfo, &[b"<sip:", host, b">;answer-after=0"]);
    writer.header_parts(HeaderName::AlertInfo, &[b"<sip:", host, b">;info=alert-autoanswer;delay=0"]);
    writer.header(HeaderName::AnswerMode, b"Auto");
}
