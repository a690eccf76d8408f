//! Responses (RFC 3261 §8.2.6) with the address the request came from in the topmost Via (§18.2.1, RFC 3581 §4), and
//! our load where the client asks for it (RFC 7339 §5.2).

use super::grammar::TOKEN;
use super::list::Elements;
use super::params::split_first;
use super::writer::{Text, Writer};
use super::{Message, Status};
use crate::header::{HeaderName, Rport, Via};
use crate::overload::{Feedback, Upstream};
use core::fmt::Write;
use core::net::SocketAddr;

/// A response to `request`, ready for further headers: Vias, From, To, Call-ID, CSeq, and for a 100 the Timestamp.
///
/// `source` is where the request came from: it fills `received` and `rport` of the topmost Via. `to_tag` is added where
/// To has no tag and the status is above 100. `reason` defaults to [`Status::reason`]. Headers of the request that are
/// malformed are copied as they stand, of repeated ones the first; missing ones stay missing.
pub fn response(
    request: &Message,
    status: Status,
    reason: Option<&str>,
    to_tag: Option<&[u8]>,
    source: SocketAddr,
) -> Writer {
    response_of(request, status, reason, to_tag, source, None)
}

/// As [`response`]; the neighbours of `upstream` read in the topmost Via how loaded we are.
pub(crate) fn response_of(
    request: &Message,
    status: Status,
    reason: Option<&str>,
    to_tag: Option<&[u8]>,
    source: SocketAddr,
    upstream: Option<&Upstream>,
) -> Writer {
    let mut writer = Writer::status(status, reason.unwrap_or(status.reason()).as_bytes());
    copy_vias(&mut writer, request, source, upstream);
    copy_first(&mut writer, request, HeaderName::From);
    copy_to(&mut writer, request, to_tag.filter(|_| status != Status::TRYING));
    copy_first(&mut writer, request, HeaderName::CallId);
    copy_first(&mut writer, request, HeaderName::CSeq);
    // §8.2.6.1
    if status == Status::TRYING {
        copy_first(&mut writer, request, HeaderName::Timestamp);
    }
    writer
}

fn copy_first(writer: &mut Writer, request: &Message, name: HeaderName) {
    if let Some(value) = request.header(name) {
        writer.open(name);
        writer.unfolded(value);
        writer.end_line();
    }
}

fn copy_to(writer: &mut Writer, request: &Message, tag: Option<&[u8]>) {
    let Some(value) = request.header(HeaderName::To) else { return };
    writer.open(HeaderName::To);
    writer.unfolded(value);
    // Without a parameter there is no tag: most requests outside a dialog need no parsing here.
    let may_have_tag = memchr::memchr(b';', value).is_some();
    if let Some(tag) = tag
        && !(may_have_tag && request.to().is_ok_and(|to| to.tag().is_some()))
    {
        writer.plain(b";tag=");
        writer.text(tag);
    }
    writer.end_line();
}

fn copy_vias(writer: &mut Writer, request: &Message, source: SocketAddr, upstream: Option<&Upstream>) {
    let mut values = request.headers(HeaderName::Via);
    if let Some(top) = values.next() {
        writer.open(HeaderName::Via);
        copy_top_via(writer, top, source, upstream);
        writer.end_line();
    }
    for value in values {
        writer.open(HeaderName::Via);
        writer.unfolded(value);
        writer.end_line();
    }
}

/// The field of the topmost Via; what follows its first comma belongs to earlier hops and stays untouched.
pub(super) fn copy_top_via(
    writer: &mut Writer,
    value: &[u8],
    source: SocketAddr,
    upstream: Option<&Upstream>,
) {
    let element = Elements::new(value).next().unwrap_or_default();
    let Ok(via) = Via::parse(element) else { return writer.unfolded(value) };
    let feedback = upstream.and_then(|upstream| upstream.feedback_for(&via, source.ip()));
    if feedback.is_none() && !needs_source(&via, source) {
        return writer.unfolded(value);
    }
    write_with_source(writer, &via, source, feedback.is_some());
    if let Some(feedback) = feedback {
        write_feedback(writer, feedback);
    }
    // Elements are trimmed, and so is the value: the first one is its prefix.
    writer.unfolded(value.get(element.len()..).unwrap_or_default());
}

/// RFC 7339 §5.1, §5.2: what the client left open.
fn write_feedback(writer: &mut Writer, feedback: Feedback) {
    let Feedback { loss, validity_ms, sequence } = feedback;
    let (whole, fraction) = sequence.unwrap_or_default().parts();
    let _ = write!(
        Text(writer),
        ";oc={loss};oc-algo=\"loss\";oc-validity={validity_ms};oc-seq={whole}.{fraction:03}"
    );
}

/// §18.2.1: `received` when sent-by is not the source address. RFC 3581 §4: always when `rport` is there. A `received`
/// from the client is not to be believed.
fn needs_source(via: &Via<'_>, source: SocketAddr) -> bool {
    via.rport != Rport::Absent
        || via.received.is_some()
        || via.sent_by_ip().map(|ip| ip.to_canonical()) != Some(source.ip().to_canonical())
}

/// Without the parameters that are written anew: those of the source, and of overload control before feedback.
fn write_with_source(writer: &mut Writer, via: &Via<'_>, source: SocketAddr, has_feedback: bool) {
    writer.unfolded(via.head);
    if let (Some((before, after)), false) = (around(via), has_feedback) {
        writer.unfolded(before);
        writer.unfolded(after);
    } else {
        copy_params(writer, via, has_feedback);
    }
    writer.plain(b";received=");
    // RFC 3261 §25.1: IPv6 without brackets here.
    writer.address(source.ip().to_canonical());
    if via.rport != Rport::Absent {
        writer.plain(b";rport=");
        writer.decimal(u64::from(source.port()));
    }
}

/// The parameters before and behind the only one that is written anew, an `rport`; `None` when there are others.
fn around<'a>(via: &Via<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let (params, rport) = (via.params.raw(), via.rport_text);
    if rport.is_empty() || via.received.is_some() {
        return None;
    }
    let begin = (rport.as_ptr() as usize).checked_sub(params.as_ptr() as usize)?;
    Some((params.get(..begin)?, params.get(begin + rport.len()..)?))
}

fn copy_params(writer: &mut Writer, via: &Via<'_>, has_feedback: bool) {
    let mut rest = via.params.raw();
    while let Ok(Some((param, next))) = split_first(rest, TOKEN) {
        rest = next;
        let of_source = [&b"received"[..], b"rport"];
        let of_overload = [&b"oc"[..], b"oc-algo", b"oc-validity", b"oc-seq"];
        let is_in = |names: &[&[u8]]| names.iter().any(|name| param.name.eq_ignore_ascii_case(name));
        if is_in(&of_source) || (has_feedback && is_in(&of_overload)) {
            continue;
        }
        writer.plain(b";");
        writer.plain(param.name);
        if let Some(value) = param.value {
            writer.plain(b"=");
            writer.unfolded(value);
        }
    }
}
