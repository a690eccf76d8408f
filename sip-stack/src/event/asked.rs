//! What a SUBSCRIBE asks of a notifier, and what it is refused for (RFC 6665 §4.2.1).

use super::Package;
use crate::header::HeaderName;
use crate::message::{Message, Status, Writer};
use bytes::Bytes;

/// A lifetime of an hour is never too brief (RFC 6665 §4.2.1.1).
const HOUR_S: u32 = 3_600;

/// What a notifier offers.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The packages.
    pub packages: &'a [Package],
    /// The shortest lifetime, in seconds; nothing above an hour counts.
    pub min_expires_s: u32,
    /// The longest.
    pub max_expires_s: u32,
}

/// What a SUBSCRIBE asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// State of which kind.
    pub package: Package,
    /// `id` of Event, which comes back in each NOTIFY (§4.5.2).
    pub id: Option<Bytes>,
    /// For how long, in seconds, within what the notifier offers; zero ends a subscription or fetches.
    pub expires_s: u32,
}

/// Why a SUBSCRIBE or PUBLISH is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 489: there is no such package here.
    BadEvent,
    /// 423: longer than so many seconds it would have to be.
    TooBrief(u32),
    /// 406: the subscriber does not read what the package is told in.
    NotAcceptable,
    /// 415: the state that is published is of another kind.
    UnsupportedMediaType(Package),
    /// 412: there is no such published state.
    ConditionFailed,
    /// 413: more than is kept for one.
    TooLarge,
    /// 400 and others without a header field of their own.
    Other(Status),
}

impl Asked {
    /// Reads a SUBSCRIBE.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn of(subscribe: &Message, terms: Terms<'_>) -> Result<Asked, Refusal> {
        let event = subscribe.event().map_err(|_| Refusal::BadEvent)?;
        let package = Package::named(event.name).filter(|package| terms.packages.contains(package));
        let package = package.ok_or(Refusal::BadEvent)?;
        let expires = subscribe.expires().map_err(|_| Refusal::Other(Status::BAD_REQUEST))?;
        let expires_s = expires.unwrap_or_else(|| package.default_expires_s());
        if !accepts(subscribe, package.content_type().as_bytes()) {
            return Err(Refusal::NotAcceptable);
        }
        Ok(Asked { package, id: event.id.map(Bytes::copy_from_slice), expires_s: terms.granted(expires_s)? })
    }
}

impl Terms<'_> {
    /// The lifetime for one that is asked for (§4.2.1.1, RFC 3903 §6).
    pub(super) fn granted(&self, expires_s: u32) -> Result<u32, Refusal> {
        let shortest = self.min_expires_s.min(HOUR_S);
        if expires_s > 0 && expires_s < shortest {
            return Err(Refusal::TooBrief(shortest));
        }
        Ok(expires_s.min(self.max_expires_s))
    }

    /// Adds Allow-Events (§4.4.4).
    pub fn write_allow_events(&self, writer: &mut Writer) {
        let names: Vec<&str> = self.packages.iter().map(|package| package.name()).collect();
        writer.header(HeaderName::AllowEvents, names.join(", ").as_bytes());
    }
}

impl Refusal {
    /// The status of the answer.
    pub const fn status(self) -> Status {
        match self {
            Refusal::BadEvent => Status::BAD_EVENT,
            Refusal::TooBrief(_) => Status::INTERVAL_TOO_BRIEF,
            Refusal::NotAcceptable => Status::NOT_ACCEPTABLE,
            Refusal::UnsupportedMediaType(_) => Status::UNSUPPORTED_MEDIA_TYPE,
            Refusal::ConditionFailed => Status::CONDITIONAL_REQUEST_FAILED,
            Refusal::TooLarge => Status::REQUEST_ENTITY_TOO_LARGE,
            Refusal::Other(status) => status,
        }
    }

    /// Adds what the answer has to say beside its status.
    pub fn write(self, terms: Terms<'_>, writer: &mut Writer) {
        match self {
            Refusal::BadEvent => terms.write_allow_events(writer),
            Refusal::TooBrief(shortest) => _ = writer.number(HeaderName::MinExpires, u64::from(shortest)),
            Refusal::UnsupportedMediaType(package) => {
                writer.header(HeaderName::Accept, package.content_type().as_bytes());
            }
            Refusal::NotAcceptable | Refusal::ConditionFailed | Refusal::TooLarge | Refusal::Other(_) => {}
        }
    }
}

/// Whether the sender reads a content type: it says so, or says nothing (§3.1.3).
fn accepts(request: &Message, content_type: &[u8]) -> bool {
    let mut ranges = request.list(HeaderName::Accept).peekable();
    let kind = content_type.split(|octet| *octet == b'/').next().unwrap_or_default();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let range = range.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
            range.eq_ignore_ascii_case(content_type)
                || range == b"*/*"
                || range.strip_suffix(b"/*").is_some_and(|of| of.eq_ignore_ascii_case(kind))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Method;

    const TERMS: Terms<'_> =
        Terms { packages: &[Package::Dialog, Package::Presence], min_expires_s: 60, max_expires_s: 3_600 };

    fn subscribe(fields: &str) -> Message {
        let text = format!(
            "SUBSCRIBE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
             Call-ID: c\r\nCSeq: 1 SUBSCRIBE\r\n{fields}\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn asked(fields: &str) -> Result<(Package, u32), Refusal> {
        Asked::of(&subscribe(fields), TERMS).map(|asked| (asked.package, asked.expires_s))
    }

    #[test]
    fn a_lifetime_is_shortened_and_never_lengthened_and_a_brief_one_refused() {
        assert_eq!(asked("Event: dialog\r\n"), Ok((Package::Dialog, 3_600)));
        assert_eq!(asked("Event: dialog\r\nExpires: 86400\r\n"), Ok((Package::Dialog, 3_600)));
        assert_eq!(asked("Event: presence\r\nExpires: 60\r\n"), Ok((Package::Presence, 60)));
        assert_eq!(asked("Event: presence\r\nExpires: 59\r\n"), Err(Refusal::TooBrief(60)));
        assert_eq!(asked("Event: presence\r\nExpires: 0\r\n"), Ok((Package::Presence, 0)));
        assert_eq!(asked("Event: presence\r\nExpires: x\r\n"), Err(Refusal::Other(Status::BAD_REQUEST)));
    }

    #[test]
    fn an_hour_is_never_too_brief() {
        let terms = Terms { min_expires_s: 86_400, max_expires_s: 86_400, ..TERMS };
        let message = subscribe("Event: dialog\r\nExpires: 3600\r\n");
        assert_eq!(Asked::of(&message, terms).map(|asked| asked.expires_s), Ok(3_600));
    }

    #[test]
    fn another_package_is_489_with_the_packages_there_are() {
        for fields in ["", "Event: reg\r\n", "Event: Dialog\r\n", "Event: dialog.winfo\r\n"] {
            assert_eq!(asked(fields), Err(Refusal::BadEvent), "{fields}");
        }
        let mut writer = Writer::request(Method::Options, b"sip:h");
        Refusal::BadEvent.write(TERMS, &mut writer);
        let text = writer.finish();
        assert!(String::from_utf8_lossy(&text).contains("Allow-Events: dialog, presence\r\n"));
    }

    #[test]
    fn who_does_not_read_what_is_told_is_refused() {
        let accepting = |accept: &str| asked(&format!("Event: dialog\r\nAccept: {accept}\r\n"));
        assert!(accepting("application/dialog-info+xml").is_ok());
        assert!(accepting("text/plain, Application/*;q=0.1").is_ok() && accepting("*/*").is_ok());
        assert_eq!(accepting("application/pidf+xml"), Err(Refusal::NotAcceptable));
    }
}
