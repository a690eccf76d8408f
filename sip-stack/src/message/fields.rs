//! Header fields with their types, parsed when asked for (RFC 3261 §20).

use super::grammar;
use super::{HeaderError, Message, Offence};
use crate::header::date::Date;
use crate::header::number::delta_seconds;
use crate::header::{CSeq, Contacts, HeaderName, MediaType, NameAddr, Via};
use core::time::Duration;

impl Message {
    /// The topmost Via (§20.42).
    ///
    /// # Errors
    /// When it is malformed.
    #[inline]
    pub fn via(&self) -> Result<Via<'_>, HeaderError> {
        self.vias().next().unwrap_or(Err(HeaderError::new(HeaderName::Via, Offence::Missing)))
    }

    /// All Vias, topmost first.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, HeaderError>> {
        self.elements(HeaderName::Via).map(|element| typed(HeaderName::Via, Via::parse(element)))
    }

    /// Who sends (§20.20).
    ///
    /// # Errors
    /// When it is missing or malformed.
    #[inline]
    pub fn from(&self) -> Result<NameAddr<'_>, HeaderError> {
        typed(HeaderName::From, NameAddr::parse(self.required(HeaderName::From)?))
    }

    /// Who is meant (§20.39).
    ///
    /// # Errors
    /// When it is missing or malformed.
    #[inline]
    pub fn to(&self) -> Result<NameAddr<'_>, HeaderError> {
        typed(HeaderName::To, NameAddr::parse(self.required(HeaderName::To)?))
    }

    /// What the messages of a call or of a registering client have in common (§20.8).
    ///
    /// # Errors
    /// When it is missing, empty, or has white space or control characters inside.
    #[inline]
    pub fn call_id(&self) -> Result<&[u8], HeaderError> {
        let value = self.required(HeaderName::CallId)?;
        let word = !value.is_empty() && value.iter().all(|&byte| byte > b' ' && byte != 0x7f);
        if word { Ok(value) } else { Err(HeaderError::new(HeaderName::CallId, Offence::Malformed)) }
    }

    /// Number and method (§20.16).
    ///
    /// # Errors
    /// When it is missing, malformed, or not below 2³¹.
    #[inline]
    pub fn cseq(&self) -> Result<CSeq<'_>, HeaderError> {
        typed(HeaderName::CSeq, CSeq::parse(self.required(HeaderName::CSeq)?))
    }

    /// All contacts (§20.10).
    ///
    /// # Errors
    /// When one is malformed, or `*` is not alone.
    pub fn contacts(&self) -> Result<Contacts<'_>, HeaderError> {
        typed(HeaderName::Contact, Contacts::parse(self.headers(HeaderName::Contact)))
    }

    /// The address of the first contact: the remote target, where a dialog is set up (§12.1). `None` when there is no
    /// Contact.
    ///
    /// # Errors
    /// When it is malformed or `*`.
    #[inline]
    pub fn contact(&self) -> Result<Option<NameAddr<'_>>, HeaderError> {
        let first = self.elements(HeaderName::Contact).next();
        first.map(|element| typed(HeaderName::Contact, NameAddr::parse(element))).transpose()
    }

    /// The route the request still has to take (§20.34).
    pub fn route(&self) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.addresses(HeaderName::Route)
    }

    /// The proxies that want to stay on the path (§20.30).
    pub fn record_route(&self) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.addresses(HeaderName::RecordRoute)
    }

    /// The addresses in a header that takes them in angle brackets only, such as Route, Path or Service-Route.
    pub fn addresses(&self, name: HeaderName) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.elements(name).map(move |element| typed(name, NameAddr::parse_bracketed(element)))
    }

    /// How many hops are left, 0 to 255 (§20.22).
    ///
    /// # Errors
    /// When it is no number or above 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        let name = HeaderName::MaxForwards;
        let Some(value) = self.header(name) else { return Ok(None) };
        let hops = grammar::digits(value).ok_or(HeaderError::new(name, Offence::Malformed))?;
        u8::try_from(hops).map(Some).map_err(|_| HeaderError::new(name, Offence::OutOfRange))
    }

    /// Seconds until something expires (§20.19); what exceeds 2³²−1 counts as that.
    ///
    /// # Errors
    /// When it is no number.
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        self.seconds(HeaderName::Expires)
    }

    /// The shortest lifetime a registrar takes (§20.23), in seconds.
    ///
    /// # Errors
    /// When it is no number.
    pub fn min_expires(&self) -> Result<Option<u32>, HeaderError> {
        self.seconds(HeaderName::MinExpires)
    }

    /// How long whoever answers so wants to be left alone (§20.33): the seconds, without the comment and parameters that
    /// may follow. `None` where it is missing or malformed.
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.header(HeaderName::RetryAfter)?;
        let end = value.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(value.len());
        let seconds = delta_seconds(value.get(..end)?)?;
        Some(Duration::from_secs(u64::from(seconds)))
    }

    fn seconds(&self, name: HeaderName) -> Result<Option<u32>, HeaderError> {
        let Some(value) = self.header(name) else { return Ok(None) };
        delta_seconds(value).map(Some).ok_or(HeaderError::new(name, Offence::Malformed))
    }

    /// The bytes of the body as announced (§20.14), whatever the datagram holds.
    ///
    /// # Errors
    /// When it is no number, or when several fields disagree.
    pub fn content_length(&self) -> Result<Option<u64>, HeaderError> {
        let name = HeaderName::ContentLength;
        let mut announced = None;
        for value in self.headers(name) {
            let length = grammar::digits(value).ok_or(HeaderError::new(name, Offence::Malformed))?;
            if announced.is_some_and(|earlier| earlier != length) {
                return Err(HeaderError::new(name, Offence::Conflict));
            }
            announced = Some(length);
        }
        Ok(announced)
    }

    /// What the body is (§20.15).
    ///
    /// # Errors
    /// When it is malformed.
    pub fn content_type(&self) -> Result<Option<MediaType<'_>>, HeaderError> {
        let name = HeaderName::ContentType;
        self.header(name).map(|value| typed(name, MediaType::parse(value))).transpose()
    }

    /// When the message was sent (§20.17).
    ///
    /// # Errors
    /// When it is malformed, also when its zone is not GMT.
    pub fn date(&self) -> Result<Option<Date>, HeaderError> {
        self.header(HeaderName::Date).map(|value| typed(HeaderName::Date, Date::parse(value))).transpose()
    }

    /// The extensions a server must understand (§20.32).
    pub fn require(&self) -> impl Iterator<Item = &[u8]> {
        self.list(HeaderName::Require)
    }

    /// The extensions a proxy must understand (§20.29).
    pub fn proxy_require(&self) -> impl Iterator<Item = &[u8]> {
        self.list(HeaderName::ProxyRequire)
    }

    /// The extensions the sender understands (§20.37).
    pub fn supported(&self) -> impl Iterator<Item = &[u8]> {
        self.list(HeaderName::Supported)
    }

    /// The methods the sender understands (§20.5).
    pub fn allow(&self) -> impl Iterator<Item = &[u8]> {
        self.list(HeaderName::Allow)
    }

    /// The credentials for user agents, one value per field (§20.7): commas inside separate parameters.
    pub fn authorization(&self) -> impl Iterator<Item = &[u8]> {
        self.headers(HeaderName::Authorization)
    }

    /// The credentials for proxies, one value per field (§20.28).
    pub fn proxy_authorization(&self) -> impl Iterator<Item = &[u8]> {
        self.headers(HeaderName::ProxyAuthorization)
    }

    #[inline]
    fn required(&self, name: HeaderName) -> Result<&[u8], HeaderError> {
        self.header(name).ok_or(HeaderError::new(name, Offence::Missing))
    }
}

#[inline]
fn typed<T>(name: HeaderName, parsed: Result<T, Offence>) -> Result<T, HeaderError> {
    parsed.map_err(|offence| HeaderError::new(name, offence))
}
