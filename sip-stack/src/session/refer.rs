//! Transfers (RFC 3515): what a REFER asks for, and the news of it (RFC 4488: none where they are not wanted).
//!
//! News are NOTIFYs in the dialog of the REFER with a status line as their body (`message/sipfrag`, RFC 3420). The subscription
//! lives as long as the request that the REFER asked for; left out on purpose: SUBSCRIBE that prolongs or ends it (§2.4.4),
//! and REFER outside of dialogs.

use crate::header::{EventType, HeaderName, ReferTo, SubscriptionState};
use crate::message::{Message, Method, Status, Writer};
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// The option tag of RFC 4488.
pub const NO_REFER_SUB: &str = "norefersub";
/// How long the subscription is said to live. The request is given up before.
pub const SUBSCRIBED: Duration = Duration::from_secs(240);
/// The content type of news.
const SIPFRAG: &[u8] = b"message/sipfrag;version=2.0";

/// A REFER that we have accepted, as its notifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// The CSeq number of the REFER: which of several (§2.4.6).
    id: u32,
    /// Whether the sender wants to hear of it.
    told: bool,
    until: Time,
}

impl Referral {
    /// What a REFER asks for. Only INVITEs are sent for others.
    ///
    /// # Errors
    /// The status of the refusal: 400 when Refer-To is missing, malformed or doubled (§2.4.2), 420-like faults are the
    /// caller's to find, 501 for another method than INVITE, 416 for a URI that is not SIP.
    pub fn of(now: Time, request: &Message) -> Result<(Referral, ReferTo<'_>), Status> {
        Self::to_focus(now, request).and_then(|(referral, target)| match Method::new(target.method()) {
            Method::Invite => Ok((referral, target)),
            _ => Err(Status::NOT_IMPLEMENTED),
        })
    }

    /// What a REFER to the focus of a conference asks for: to call somebody, or to say goodbye (RFC 4579 §5.5, §5.11).
    ///
    /// # Errors
    /// As [`Self::of`], but that BYE is another method that is taken.
    pub fn to_focus(now: Time, request: &Message) -> Result<(Referral, ReferTo<'_>), Status> {
        let target = request.refer_to().map_err(|_| Status::BAD_REQUEST)?;
        let cseq = request.cseq().map_err(|_| Status::BAD_REQUEST)?;
        let told = request.refer_sub().map_err(|_| Status::BAD_REQUEST)?;
        if !target.address.uri.is_sip() {
            return Err(Status::UNSUPPORTED_URI_SCHEME);
        }
        if !matches!(Method::new(target.method()), Method::Invite | Method::Bye) {
            return Err(Status::NOT_IMPLEMENTED);
        }
        Ok((Referral { id: cseq.number, told, until: now + SUBSCRIBED }, target))
    }

    /// Writes what the 202 says besides (RFC 4488 §4).
    pub fn write_accepted(&self, writer: &mut Writer) {
        if !self.told {
            writer.header(HeaderName::ReferSub, b"false");
        }
    }

    /// Whether news are to be sent.
    pub const fn is_told(&self) -> bool {
        self.told
    }

    /// Writes a NOTIFY that the request has come to `status`; a final one ends the subscription (§2.4.5, §2.4.7).
    pub fn write_notify(&self, now: Time, status: Status, writer: &mut Writer) {
        let id = self.id.to_string();
        writer.header(HeaderName::Event, &EventType { name: b"refer", id: Some(id.as_bytes()) }.value());
        let left = u32::try_from(self.until.since(now).as_secs()).unwrap_or(0);
        let state = if status.is_final() {
            SubscriptionState::Terminated { reason: Some(b"noresource"), retry_after: None }
        } else {
            SubscriptionState::Active { expires: Some(left) }
        };
        writer.header(HeaderName::SubscriptionState, &state.value());
        let line = format!("SIP/2.0 {} {}\r\n", status.code(), status.reason());
        writer.body(SIPFRAG, line.as_bytes());
    }
}

/// What a NOTIFY says of a REFER of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// Which REFER, by its CSeq number; none when the sender leaves it open.
    pub id: Option<u32>,
    /// What the request has come to, as far as it is said.
    pub status: Option<Status>,
    /// Nothing more will come.
    pub is_last: bool,
}

impl News {
    /// Reads a NOTIFY.
    ///
    /// # Errors
    /// 489 when it is about another event package, 400 when it does not say whether the subscription lives.
    pub fn of(notify: &Message) -> Result<News, Status> {
        let event = notify.event().map_err(|_| Status::BAD_EVENT)?;
        if !event.is("refer") {
            return Err(Status::BAD_EVENT);
        }
        let id = event.id.and_then(|id| core::str::from_utf8(id).ok()?.parse().ok());
        let state = notify.subscription_state().map_err(|_| Status::BAD_REQUEST)?;
        Ok(News { id, status: status_line(notify), is_last: state.is_terminated() })
    }
}

/// The status in a body of `message/sipfrag`.
fn status_line(notify: &Message) -> Option<Status> {
    let is_fragment = notify.content_type().ok()??.is("message", "sipfrag");
    let code =
        notify.body().trim_ascii_start().strip_prefix(b"SIP/2.0 ").filter(|_| is_fragment)?.get(..3)?;
    Status::new(core::str::from_utf8(code).ok()?.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const NOW: Time = Time(0);

    fn refer(fields: &str) -> Message {
        let text = format!(
            "REFER sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n\
             Call-ID: c\r\nCSeq: 93 REFER\r\n{fields}\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    }

    fn notify(write: impl FnOnce(&mut Writer)) -> Message {
        let mut writer = Writer::request(Method::Notify, b"sip:a@h");
        writer.header(HeaderName::Via, b"SIP/2.0/UDP h;branch=z9hG4bK1");
        write(&mut writer);
        Message::parse(writer.finish()).unwrap()
    }

    #[test]
    fn one_refer_to_with_a_sip_uri_to_invite_is_what_we_take() {
        let of = |fields: &str| {
            Referral::of(NOW, &refer(fields))
                .map(|(referral, target)| (referral.is_told(), target.request_uri()))
        };
        assert_eq!(of("Refer-To: <sip:c@h>\r\n"), Ok((true, b"sip:c@h".to_vec())));
        assert_eq!(
            of("r: <sip:c@h;method=INVITE>\r\nRefer-Sub: false\r\n"),
            Ok((false, b"sip:c@h".to_vec()))
        );
        assert_eq!(of(""), Err(Status::BAD_REQUEST));
        assert_eq!(of("Refer-To: <sip:c@h>\r\nr: <sip:d@h>\r\n"), Err(Status::BAD_REQUEST));
        assert_eq!(of("Refer-To: <tel:+1>\r\n"), Err(Status::UNSUPPORTED_URI_SCHEME));
        assert_eq!(of("Refer-To: <sip:c@h;method=BYE>\r\n"), Err(Status::NOT_IMPLEMENTED));
    }

    #[test]
    fn news_read_as_they_were_written_and_the_final_one_is_the_last() {
        let message = refer("Refer-To: <sip:c@h>\r\n");
        let (referral, _) = Referral::of(NOW, &message).unwrap();
        for (status, is_last) in
            [(Status::TRYING, false), (Status::RINGING, false), (Status::OK, true), (Status::BUSY_HERE, true)]
        {
            let notify = notify(|writer| referral.write_notify(NOW, status, writer));
            assert_eq!(News::of(&notify), Ok(News { id: Some(93), status: Some(status), is_last }));
        }
    }

    #[test]
    fn news_of_another_package_or_without_a_state_are_refused() {
        let other = notify(|writer| {
            _ = writer.header(HeaderName::Event, b"dialog").header(HeaderName::SubscriptionState, b"active")
        });
        assert_eq!(News::of(&other), Err(Status::BAD_EVENT));
        let none = notify(|writer| _ = writer.header(HeaderName::Event, b"refer"));
        assert_eq!(News::of(&none), Err(Status::BAD_REQUEST));
        let empty = notify(|writer| {
            writer.header(HeaderName::Event, b"refer").header(HeaderName::SubscriptionState, b"terminated");
        });
        assert_eq!(News::of(&empty), Ok(News { id: None, status: None, is_last: true }));
    }
}
