//! Header fields with their types, parsed when asked for (RFC 3261 §20).

use super::grammar;
use super::{HeaderError, Message, Offence};
use crate::header::date::Date;
use crate::header::event::parse_entity_tag;
use crate::header::number::delta_seconds;
use crate::header::privacy::parse_identities;
use crate::header::rack::parse_rseq;
use crate::header::refer_to::{parse_refer_sub, parse_referred_by};
use crate::header::session_expires::parse_min_se;
use crate::header::{
    CSeq, Contacts, Diversion, EventType, HeaderName, HistoryEntry, Join, MediaType, NameAddr, Privacy, RAck,
    Reason, ReferTo, Replaces, SessionExpires, SubscriptionState, Via,
};
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

    /// Whether the sender needs `tag` to be understood (§20.32).
    pub fn requires(&self, tag: &str) -> bool {
        self.require().any(|known| known.eq_ignore_ascii_case(tag.as_bytes()))
    }

    /// Whether the sender understands `tag`: it says so, or asks for it (§20.37).
    pub fn supports(&self, tag: &str) -> bool {
        self.supported().any(|known| known.eq_ignore_ascii_case(tag.as_bytes())) || self.requires(tag)
    }

    /// Whether the sender takes requests of that method (§20.5); without Allow nothing is known of it.
    pub fn allows(&self, method: super::Method<'_>) -> bool {
        self.allow().any(|known| known == method.as_bytes())
    }

    /// What the sender of a REFER or SUBSCRIBE could be told of (RFC 6665 §8.2.2).
    pub fn allow_events(&self) -> impl Iterator<Item = &[u8]> {
        self.list(HeaderName::AllowEvents)
    }

    /// Which provisional response a PRACK is for (RFC 3262 §7.2).
    ///
    /// # Errors
    /// When it is missing or malformed.
    pub fn rack(&self) -> Result<RAck<'_>, HeaderError> {
        typed(HeaderName::RAck, RAck::parse(self.required(HeaderName::RAck)?))
    }

    /// The number of a reliable provisional response (RFC 3262 §7.1).
    ///
    /// # Errors
    /// When it is malformed.
    pub fn rseq(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(HeaderName::RSeq, parse_rseq)
    }

    /// How long the session lasts without a refresh (RFC 4028 §4).
    ///
    /// # Errors
    /// When it is malformed.
    pub fn session_expires(&self) -> Result<Option<SessionExpires>, HeaderError> {
        self.optional(HeaderName::SessionExpires, SessionExpires::parse)
    }

    /// The shortest session interval that is taken, in seconds (RFC 4028 §5).
    ///
    /// # Errors
    /// When it is malformed.
    pub fn min_se(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(HeaderName::MinSe, parse_min_se)
    }

    /// The dialog that an INVITE takes over (RFC 3891 §6.1).
    ///
    /// # Errors
    /// When it is malformed, or stands twice.
    pub fn replaces(&self) -> Result<Option<Replaces<'_>>, HeaderError> {
        self.single(HeaderName::Replaces, Replaces::parse)
    }

    /// The dialog that an INVITE joins (RFC 3911 §7.1).
    ///
    /// # Errors
    /// When it is malformed, or stands twice.
    pub fn join(&self) -> Result<Option<Join<'_>>, HeaderError> {
        self.single(HeaderName::Join, Join::parse)
    }

    /// Where a REFER sends its receiver (RFC 3515 §2.1).
    ///
    /// # Errors
    /// When it is missing, malformed, or stands twice (§2.4.2: exactly one).
    pub fn refer_to(&self) -> Result<ReferTo<'_>, HeaderError> {
        let name = HeaderName::ReferTo;
        self.single(name, ReferTo::parse)?.ok_or(HeaderError::new(name, Offence::Missing))
    }

    /// Whether the sender of a REFER wants to hear what becomes of it (RFC 4488 §4): yes, unless it says no.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn refer_sub(&self) -> Result<bool, HeaderError> {
        Ok(self.optional(HeaderName::ReferSub, parse_refer_sub)?.unwrap_or(true))
    }

    /// Who sent the REFER that led to this request (RFC 3892 §3).
    ///
    /// # Errors
    /// When it is malformed, or stands twice.
    pub fn referred_by(&self) -> Result<Option<NameAddr<'_>>, HeaderError> {
        self.single(HeaderName::ReferredBy, parse_referred_by)
    }

    /// Why the request is sent (RFC 3326 §2); what is malformed is passed over.
    pub fn reasons(&self) -> impl Iterator<Item = Reason<'_>> {
        self.list(HeaderName::Reason).filter_map(|reason| Reason::parse(reason).ok())
    }

    /// Who the sender is, as somebody trusted says (RFC 3325 §9.1).
    ///
    /// # Errors
    /// When one is malformed, or there are two of one kind.
    pub fn asserted_identities(&self) -> Result<Vec<NameAddr<'_>>, HeaderError> {
        let name = HeaderName::PAssertedIdentity;
        typed(name, parse_identities(self.list(name)))
    }

    /// Who the sender would like to be (RFC 3325 §9.2).
    ///
    /// # Errors
    /// When one is malformed, or there are two of one kind.
    pub fn preferred_identities(&self) -> Result<Vec<NameAddr<'_>>, HeaderError> {
        let name = HeaderName::PPreferredIdentity;
        typed(name, parse_identities(self.list(name)))
    }

    /// What is to be kept from others (RFC 3323 §4.2).
    pub fn privacy(&self) -> Privacy {
        Privacy::parse(self.headers(HeaderName::Privacy))
    }

    /// Where the request was aimed before (RFC 7044 §5); what is malformed is passed over.
    pub fn history(&self) -> impl Iterator<Item = HistoryEntry<'_>> {
        self.list(HeaderName::HistoryInfo).filter_map(|entry| HistoryEntry::parse(entry).ok())
    }

    /// Who sent the call on, the last one first (RFC 5806 §3); what is malformed is passed over.
    pub fn diversions(&self) -> impl Iterator<Item = Diversion<'_>> {
        self.list(HeaderName::Diversion).filter_map(|diversion| Diversion::parse(diversion).ok())
    }

    /// What is subscribed to, or told of (RFC 6665 §8.2.1).
    ///
    /// # Errors
    /// When it is missing, malformed, or stands twice.
    pub fn event(&self) -> Result<EventType<'_>, HeaderError> {
        let name = HeaderName::Event;
        self.single(name, EventType::parse)?.ok_or(HeaderError::new(name, Offence::Missing))
    }

    /// Whether the subscription lives (RFC 6665 §8.2.3).
    ///
    /// # Errors
    /// When it is missing or malformed.
    pub fn subscription_state(&self) -> Result<SubscriptionState<'_>, HeaderError> {
        let name = HeaderName::SubscriptionState;
        typed(name, SubscriptionState::parse(self.required(name)?))
    }

    /// The tag of the published state (RFC 3903 §11.3.1).
    ///
    /// # Errors
    /// When it is malformed.
    pub fn entity_tag(&self) -> Result<Option<&[u8]>, HeaderError> {
        self.optional(HeaderName::SipEtag, parse_entity_tag)
    }

    /// The published state that is to be changed (RFC 3903 §11.3.2).
    ///
    /// # Errors
    /// When it is malformed.
    pub fn if_match(&self) -> Result<Option<&[u8]>, HeaderError> {
        self.optional(HeaderName::SipIfMatch, parse_entity_tag)
    }

    fn optional<'a, T>(
        &'a self,
        name: HeaderName,
        parse: impl FnOnce(&'a [u8]) -> Result<T, Offence>,
    ) -> Result<Option<T>, HeaderError> {
        self.header(name).map(|value| typed(name, parse(value))).transpose()
    }

    fn single<'a, T>(
        &'a self,
        name: HeaderName,
        parse: impl FnOnce(&'a [u8]) -> Result<T, Offence>,
    ) -> Result<Option<T>, HeaderError> {
        let mut values = self.headers(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(HeaderError::new(name, Offence::Repeated));
        }
        typed(name, parse(value)).map(Some)
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
