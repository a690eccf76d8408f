//! Responses (RFC 3261 §8.2.6) with the address the request came from in the topmost Via (§18.2.1, RFC 3581 §4).

use super::grammar::TOKEN;
use super::list::Elements;
use super::params::split_first;
use super::writer::{Text, Writer};
use super::{Message, Status};
use crate::header::{HeaderName, Rport, Via};
use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};

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
    let mut writer = Writer::status(status, reason.unwrap_or(status.reason()).as_bytes());
    copy_vias(&mut writer, request, source);
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
    if let Some(tag) = tag
        && !request.to().is_ok_and(|to| to.tag().is_some())
    {
        writer.text(b";tag=");
        writer.text(tag);
    }
    writer.end_line();
}

fn copy_vias(writer: &mut Writer, request: &Message, source: SocketAddr) {
    let mut values = request.headers(HeaderName::Via);
    if let Some(top) = values.next() {
        writer.open(HeaderName::Via);
        copy_top_via(writer, top, source);
        writer.end_line();
    }
    for value in values {
        writer.open(HeaderName::Via);
        writer.unfolded(value);
        writer.end_line();
    }
}

/// The field of the topmost Via; what follows its first comma belongs to earlier hops and stays untouched.
fn copy_top_via(writer: &mut Writer, value: &[u8], source: SocketAddr) {
    let element = Elements::new(value).next().unwrap_or_default();
    match Via::parse(element) {
        Ok(via) if needs_source(&via, source) => {
            write_with_source(writer, &via, source);
            // Elements are trimmed, and so is the value: the first one is its prefix.
            writer.unfolded(value.get(element.len()..).unwrap_or_default());
        }
        Ok(_) | Err(_) => writer.unfolded(value),
    }
}

/// §18.2.1: `received` when sent-by is not the source address. RFC 3581 §4: always when `rport` is there. A `received`
/// from the client is not to be believed.
fn needs_source(via: &Via<'_>, source: SocketAddr) -> bool {
    via.rport != Rport::Absent
        || via.received.is_some()
        || via.sent_by_ip().map(|ip| ip.to_canonical()) != Some(source.ip().to_canonical())
}

fn write_with_source(writer: &mut Writer, via: &Via<'_>, source: SocketAddr) {
    writer.unfolded(via.head);
    let mut rest = via.params.raw();
    while let Ok(Some((param, next))) = split_first(rest, TOKEN) {
        rest = next;
        if param.name.eq_ignore_ascii_case(b"received") || param.name.eq_ignore_ascii_case(b"rport") {
            continue;
        }
        writer.unfolded(b";");
        writer.unfolded(param.name);
        if let Some(value) = param.value {
            writer.unfolded(b"=");
            writer.unfolded(value);
        }
    }
    writer.unfolded(b";received=");
    match source.ip().to_canonical() {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                writer.unfolded(if index == 0 { b"" } else { b"." });
                writer.decimal(octet.into());
            }
        }
        // RFC 3261 §25.1: without brackets here.
        IpAddr::V6(ip) => {
            let _ = write!(Text(writer), "{ip}");
        }
    }
    if via.rport != Rport::Absent {
        writer.unfolded(b";rport=");
        writer.decimal(u64::from(source.port()));
    }
}
