//! The checks that every request and response must pass before anybody acts on it
//! (RFC 3261 §8.1.1, §8.2, §16.3 item 1, §18.3; RFC 4475 §3.1.2 for what to do otherwise).

use super::error::{HeaderError, Offence, Rejection, StartLineError};
use super::names::Names;
use super::{Message, Method, Status};
use crate::header::{CSeq, HeaderName, NameAddr, Via};

/// Fields that may stand once (§7.3.1, §20). Content-Length is looked at on its own.
const SINGLE: Names = Names::of(&[
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::MaxForwards,
    HeaderName::ContentType,
    HeaderName::Date,
    HeaderName::Expires,
]);

/// The fields without which a message is none (§8.1.1), each read once.
#[derive(Clone, Copy, Debug)]
pub struct Mandatory<'a> {
    /// The topmost Via.
    pub via: Via<'a>,
    /// From.
    pub from: NameAddr<'a>,
    /// To.
    pub to: NameAddr<'a>,
    /// Call-ID.
    pub call_id: &'a [u8],
    /// CSeq.
    pub cseq: CSeq<'a>,
}

impl Message {
    /// Checks whether the message is usable, and hands out the fields that had to be read for that. A response that
    /// does not pass is discarded (§18.1.2, §8.1.3.3), a request is answered as the error says.
    ///
    /// Not looked at: whether the scheme, method, extensions or body are supported, which a user agent server answers
    /// with 416, 501/405, 420 and 415; a missing Max-Forwards, From tag or branch, which RFC 2543 clients leave out.
    ///
    /// # Errors
    /// The first offence found: the start line (505 for a version, else 400), the header section (513 when it is too
    /// long), then the fields (400; 501 when an unknown method also contradicts CSeq, RFC 4475 §3.1.2.18). Request-URI,
    /// Contact, Route, Record-Route and Date are looked at in requests only; the contacts of a REGISTER are left to the
    /// registrar, which reads every one (§10.3 step 6).
    pub fn validate(&self) -> Result<Mandatory<'_>, Rejection> {
        if let Some(error) = self.start_line_error() {
            return Err(start_line_rejection(error));
        }
        self.check_section()?;
        self.check_single()?;
        let cseq = self.check_cseq()?;
        let mandatory = self.check_mandatory(cseq).map_err(reject)?;
        self.check_body().map_err(reject)?;
        // A response is not lost for fields that its reader may do without.
        if self.is_request() {
            self.check_request()?;
        }
        Ok(mandatory)
    }

    fn check_section(&self) -> Result<(), Rejection> {
        if self.defects.too_many_headers {
            let offence = HeaderError::general(Offence::TooManyHeaders);
            return Err(Rejection {
                status: Status::MESSAGE_TOO_LARGE,
                reason: "Too Many Header Fields",
                offence,
            });
        }
        if self.defects.stray_line {
            return Err(reject(HeaderError::general(Offence::HeaderLine)));
        }
        Ok(())
    }

    fn check_single(&self) -> Result<(), Rejection> {
        if !self.defects.repeated.meets(SINGLE) {
            return Ok(());
        }
        let mut seen = Names::default();
        let mut names = self.headers.iter().filter_map(|span| span.name);
        let repeated = names.find(|name| seen.insert(*name) && SINGLE.contains(*name));
        repeated.map_or(Ok(()), |name| Err(reject(HeaderError::new(name, Offence::Repeated))))
    }

    /// §8.1.1.5: the method in CSeq is the request's.
    fn check_cseq(&self) -> Result<CSeq<'_>, Rejection> {
        let cseq = self.cseq().map_err(reject)?;
        match self.method() {
            Some(method) if method != cseq.method => {
                let offence = HeaderError::new(HeaderName::CSeq, Offence::MethodMismatch);
                match method {
                    Method::Other(_) => {
                        let status = Status::NOT_IMPLEMENTED;
                        Err(Rejection { status, reason: status.reason(), offence })
                    }
                    _ => Err(reject(offence)),
                }
            }
            Some(_) | None => Ok(cseq),
        }
    }

    fn check_mandatory<'a>(&'a self, cseq: CSeq<'a>) -> Result<Mandatory<'a>, HeaderError> {
        let (call_id, from, to) = (self.call_id()?, self.from()?, self.to()?);
        let mut vias = self.vias();
        let via = vias.next().unwrap_or(Err(HeaderError::new(HeaderName::Via, Offence::Missing)))?;
        vias.try_for_each(|via| via.map(drop))?;
        self.max_forwards()?;
        Ok(Mandatory { via, from, to, call_id, cseq })
    }

    /// §18.3: a datagram that ends before its body does is an error; one that is longer is not.
    fn check_body(&self) -> Result<(), HeaderError> {
        let available = self.bytes.len().saturating_sub(usize::from(self.body.start)) as u64;
        match self.content_length()? {
            Some(length) if length > available => {
                Err(HeaderError::new(HeaderName::ContentLength, Offence::BodyTooShort))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_request(&self) -> Result<(), Rejection> {
        self.check_request_uri().map_err(|error| Rejection {
            status: Status::BAD_REQUEST,
            reason: "Malformed Request-URI",
            offence: error,
        })?;
        self.check_optional().map_err(reject)
    }

    /// §19.1.1, table 1: a Request-URI carries no headers, so that they can never become real ones.
    fn check_request_uri(&self) -> Result<(), HeaderError> {
        match self.uri()?.headers() {
            [] => Ok(()),
            _ => Err(HeaderError::general(Offence::UriHeaders)),
        }
    }

    fn check_optional(&self) -> Result<(), HeaderError> {
        if self.method() != Some(Method::Register) {
            self.contacts()?;
        }
        self.route().try_for_each(|route| route.map(drop))?;
        self.record_route().try_for_each(|route| route.map(drop))?;
        self.date().map(drop)
    }
}

fn start_line_rejection(error: StartLineError) -> Rejection {
    let offence = HeaderError::general(Offence::StartLine(error));
    let (status, reason) = match error {
        StartLineError::Version => (Status::VERSION_NOT_SUPPORTED, Status::VERSION_NOT_SUPPORTED.reason()),
        StartLineError::Method | StartLineError::RequestLine => {
            (Status::BAD_REQUEST, "Malformed Request Line")
        }
        StartLineError::StatusLine => (Status::BAD_REQUEST, "Malformed Status Line"),
    };
    Rejection { status, reason, offence }
}

/// 400 with a phrase that names the field (§21.4.1 asks for one that says more than "Bad Request").
fn reject(offence: HeaderError) -> Rejection {
    let reason = match (offence.header, offence.offence) {
        (None, _) => "Malformed Header Line",
        (Some(HeaderName::Via), _) => "Malformed Via",
        (Some(HeaderName::From), Offence::Missing) => "Missing From",
        (Some(HeaderName::From), Offence::Repeated) => "Repeated From",
        (Some(HeaderName::From), _) => "Malformed From",
        (Some(HeaderName::To), Offence::Missing) => "Missing To",
        (Some(HeaderName::To), Offence::Repeated) => "Repeated To",
        (Some(HeaderName::To), _) => "Malformed To",
        (Some(HeaderName::CallId), Offence::Missing) => "Missing Call-ID",
        (Some(HeaderName::CallId), Offence::Repeated) => "Repeated Call-ID",
        (Some(HeaderName::CallId), _) => "Malformed Call-ID",
        (Some(HeaderName::CSeq), Offence::Missing) => "Missing CSeq",
        (Some(HeaderName::CSeq), Offence::Repeated) => "Repeated CSeq",
        (Some(HeaderName::CSeq), Offence::MethodMismatch) => "CSeq Does Not Match the Method",
        (Some(HeaderName::CSeq), _) => "Malformed CSeq",
        (Some(HeaderName::MaxForwards), Offence::Repeated) => "Repeated Max-Forwards",
        (Some(HeaderName::MaxForwards), _) => "Malformed Max-Forwards",
        (Some(HeaderName::ContentLength), Offence::Conflict) => "Conflicting Content-Length",
        (Some(HeaderName::ContentLength), Offence::BodyTooShort) => "Content-Length Exceeds the Body",
        (Some(HeaderName::ContentLength), _) => "Malformed Content-Length",
        (Some(HeaderName::Contact), _) => "Malformed Contact",
        (Some(HeaderName::Route), _) => "Malformed Route",
        (Some(HeaderName::RecordRoute), _) => "Malformed Record-Route",
        (Some(HeaderName::Date), _) => "Malformed Date",
        (Some(_), Offence::Repeated) => "Repeated Header Field",
        (Some(_), _) => "Malformed Header Field",
    };
    Rejection { status: Status::BAD_REQUEST, reason, offence }
}
