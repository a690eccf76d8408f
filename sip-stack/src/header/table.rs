//! The names of header fields, long and compact (RFC 3261 §7.3.3, §20, and the extensions that registered more).
//!
//! A name is looked up without regard to case by a hash of its length and three of its letters; the multiplier that
//! keeps all names apart is found at compile time.

use crate::message::Escaped;
use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! headers {
    ($($variant:ident = $name:literal $(/ $compact:literal)?,)*) => {
        /// A header field name of the table.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum HeaderName {
            $(
                #[doc = concat!("`", $name, "`" $(, ", compact `", $compact, "`")?)]
                $variant,
            )*
        }

        /// Every name and every compact form.
        const NAMES: &[(&str, HeaderName)] = &[
            $(($name, HeaderName::$variant), $(($compact, HeaderName::$variant),)?)*
        ];

        impl HeaderName {
            /// The long form, in the RFC's spelling.
            #[inline]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(HeaderName::$variant => $name,)*
                }
            }
        }
    };
}

headers! {
    Accept = "Accept",
    AcceptContact = "Accept-Contact" / "a",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AlertInfo = "Alert-Info",
    Allow = "Allow",
    AllowEvents = "Allow-Events" / "u",
    AnswerMode = "Answer-Mode",
    AuthenticationInfo = "Authentication-Info",
    Authorization = "Authorization",
    CallId = "Call-ID" / "i",
    CallInfo = "Call-Info",
    Contact = "Contact" / "m",
    ContentDisposition = "Content-Disposition",
    ContentEncoding = "Content-Encoding" / "e",
    ContentLanguage = "Content-Language",
    ContentLength = "Content-Length" / "l",
    ContentType = "Content-Type" / "c",
    CSeq = "CSeq",
    Date = "Date",
    Diversion = "Diversion",
    ErrorInfo = "Error-Info",
    Event = "Event" / "o",
    Expires = "Expires",
    FlowTimer = "Flow-Timer",
    From = "From" / "f",
    HistoryInfo = "History-Info",
    Identity = "Identity" / "y",
    InReplyTo = "In-Reply-To",
    InfoPackage = "Info-Package",
    Join = "Join",
    MaxBreadth = "Max-Breadth",
    MaxForwards = "Max-Forwards",
    MimeVersion = "MIME-Version",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    Organization = "Organization",
    PAccessNetworkInfo = "P-Access-Network-Info",
    PAssertedIdentity = "P-Asserted-Identity",
    PAssociatedUri = "P-Associated-URI",
    PCalledPartyId = "P-Called-Party-ID",
    PChargingVector = "P-Charging-Vector",
    PEarlyMedia = "P-Early-Media",
    PPreferredIdentity = "P-Preferred-Identity",
    Path = "Path",
    Priority = "Priority",
    Privacy = "Privacy",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyRequire = "Proxy-Require",
    RAck = "RAck",
    RSeq = "RSeq",
    Reason = "Reason",
    Record = "Record",
    RecordRoute = "Record-Route",
    RecvInfo = "Recv-Info",
    ReferSub = "Refer-Sub",
    ReferTo = "Refer-To" / "r",
    ReferredBy = "Referred-By" / "b",
    RejectContact = "Reject-Contact" / "j",
    RemotePartyId = "Remote-Party-ID",
    Replaces = "Replaces",
    ReplyTo = "Reply-To",
    RequestDisposition = "Request-Disposition" / "d",
    Require = "Require",
    RetryAfter = "Retry-After",
    Route = "Route",
    Server = "Server",
    ServiceRoute = "Service-Route",
    SessionExpires = "Session-Expires" / "x",
    SessionId = "Session-ID",
    SipEtag = "SIP-ETag",
    SipIfMatch = "SIP-If-Match",
    Subject = "Subject" / "s",
    SubscriptionState = "Subscription-State",
    Supported = "Supported" / "k",
    TargetDialog = "Target-Dialog",
    Timestamp = "Timestamp",
    To = "To" / "t",
    Unsupported = "Unsupported",
    UserAgent = "User-Agent",
    UserToUser = "User-to-User",
    Via = "Via" / "v",
    Warning = "Warning",
    WwwAuthenticate = "WWW-Authenticate",
}

impl HeaderName {
    /// The header of that name or compact form, without regard to case.
    #[inline]
    pub fn lookup(name: &[u8]) -> Option<HeaderName> {
        let (candidate, header) = NAMES.get(usize::from(*SLOTS.get(slot(name, MULTIPLIER))?))?;
        let candidate = candidate.as_bytes();
        // Most names arrive in the usual spelling, and equality is much the cheaper comparison.
        (name == candidate || name.eq_ignore_ascii_case(candidate)).then_some(*header)
    }

    /// The long form as bytes.
    #[inline]
    pub const fn as_bytes(self) -> &'static [u8] {
        self.as_str().as_bytes()
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for HeaderName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Escaped(self.as_bytes()), out)
    }
}

const SLOT_COUNT: usize = 1024;
const MULTIPLIER: u32 = find_multiplier();
/// Per slot the index into [`NAMES`]; an index past its end is an empty slot.
const SLOTS: [u8; SLOT_COUNT] = fill(MULTIPLIER);

/// Length, first, middle and last letter, case folded.
#[inline]
const fn slot(name: &[u8], multiplier: u32) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let first = (name[0] | 0x20) as u32;
    let middle = (name[length / 2] | 0x20) as u32;
    let last = (name[length - 1] | 0x20) as u32;
    let key = first | middle << 8 | last << 16 | (length as u32) << 24;
    (key.wrapping_mul(multiplier) >> 22) as usize
}

const fn fill(multiplier: u32) -> [u8; SLOT_COUNT] {
    let mut slots = [u8::MAX; SLOT_COUNT];
    let mut index = 0;
    while index < NAMES.len() {
        slots[slot(NAMES[index].0.as_bytes(), multiplier)] = index as u8;
        index += 1;
    }
    slots
}

/// The first odd multiplier under which no two names share a slot.
const fn find_multiplier() -> u32 {
    assert!(NAMES.len() < u8::MAX as usize);
    let mut multiplier: u32 = 0x9E37_79B1;
    loop {
        let slots = fill(multiplier);
        let mut index = 0;
        while index < NAMES.len() && slots[slot(NAMES[index].0.as_bytes(), multiplier)] == index as u8 {
            index += 1;
        }
        if index == NAMES.len() {
            return multiplier;
        }
        multiplier = multiplier.wrapping_add(0x3C6E_F362);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for (name, header) in NAMES {
            assert_eq!(HeaderName::lookup(name.as_bytes()), Some(*header), "{name}");
            assert_eq!(HeaderName::lookup(name.to_ascii_uppercase().as_bytes()), Some(*header), "{name}");
            assert_eq!(HeaderName::lookup(name.to_ascii_lowercase().as_bytes()), Some(*header), "{name}");
        }
    }

    #[test]
    fn a_name_outside_the_table_is_not_found() {
        for name in ["", "z", "Vib", "C%6Fntact", "Content-Lengti", "To ", "X-Custom", "Via\0"] {
            assert_eq!(HeaderName::lookup(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn every_name_is_a_token() {
        for (name, _) in NAMES {
            assert!(crate::message::is_token(name.as_bytes()), "{name}");
        }
    }
}
