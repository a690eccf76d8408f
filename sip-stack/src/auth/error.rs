//! What can be wrong with a digest header field, and who is to blame.

use thiserror::Error;

/// The parameters of RFC 7616 §3.3 to §3.5 that this crate reads; all others are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// `username`
    Username,
    /// `username*` (RFC 7616 §3.4), known only to refuse it next to `username`.
    UsernameExtended,
    /// `realm`
    Realm,
    /// `nonce`
    Nonce,
    /// `uri`
    Uri,
    /// `response`
    Response,
    /// `algorithm`
    Algorithm,
    /// `cnonce`
    Cnonce,
    /// `opaque`
    Opaque,
    /// `qop`
    Qop,
    /// `nc`
    Nc,
    /// `stale`
    Stale,
    /// `nextnonce` (RFC 7616 §3.5)
    Nextnonce,
    /// `rspauth` (RFC 7616 §3.5)
    Rspauth,
}

impl Parameter {
    /// Every parameter with its name, in the order of their discriminants.
    pub(super) const NAMES: [(Parameter, &'static [u8]); 14] = [
        (Parameter::Username, b"username"),
        (Parameter::UsernameExtended, b"username*"),
        (Parameter::Realm, b"realm"),
        (Parameter::Nonce, b"nonce"),
        (Parameter::Uri, b"uri"),
        (Parameter::Response, b"response"),
        (Parameter::Algorithm, b"algorithm"),
        (Parameter::Cnonce, b"cnonce"),
        (Parameter::Opaque, b"opaque"),
        (Parameter::Qop, b"qop"),
        (Parameter::Nc, b"nc"),
        (Parameter::Stale, b"stale"),
        (Parameter::Nextnonce, b"nextnonce"),
        (Parameter::Rspauth, b"rspauth"),
    ];

    /// The parameter whose name has this key.
    #[inline]
    pub(super) fn from_key(key: NameKey) -> Option<Parameter> {
        const USERNAME: u64 = NameKey::of(b"username").0;
        const USERNAME_EXTENDED: u64 = NameKey::of(b"username*").0;
        const REALM: u64 = NameKey::of(b"realm").0;
        const NONCE: u64 = NameKey::of(b"nonce").0;
        const URI: u64 = NameKey::of(b"uri").0;
        const RESPONSE: u64 = NameKey::of(b"response").0;
        const ALGORITHM: u64 = NameKey::of(b"algorithm").0;
        const CNONCE: u64 = NameKey::of(b"cnonce").0;
        const OPAQUE: u64 = NameKey::of(b"opaque").0;
        const QOP: u64 = NameKey::of(b"qop").0;
        const NC: u64 = NameKey::of(b"nc").0;
        const STALE: u64 = NameKey::of(b"stale").0;
        const NEXTNONCE: u64 = NameKey::of(b"nextnonce").0;
        const RSPAUTH: u64 = NameKey::of(b"rspauth").0;
        Some(match key.0 {
            USERNAME => Parameter::Username,
            USERNAME_EXTENDED => Parameter::UsernameExtended,
            REALM => Parameter::Realm,
            NONCE => Parameter::Nonce,
            URI => Parameter::Uri,
            RESPONSE => Parameter::Response,
            ALGORITHM => Parameter::Algorithm,
            CNONCE => Parameter::Cnonce,
            OPAQUE => Parameter::Opaque,
            QOP => Parameter::Qop,
            NC => Parameter::Nc,
            STALE => Parameter::Stale,
            NEXTNONCE => Parameter::Nextnonce,
            RSPAUTH => Parameter::Rspauth,
            _ => return None,
        })
    }
}

/// A name of up to nine ASCII characters as a number, so that it is compared at once; upper and lower case fall together,
/// and nothing else that a name may hold. Gathered while the name is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NameKey(u64);

impl NameKey {
    /// No name of up to eight characters has a greater key.
    const EIGHT: u64 = (1 << 56) - 1;

    /// The key of the name with one more character; a longer name has a key of no other.
    #[inline]
    pub(super) const fn followed_by(self, character: u8) -> NameKey {
        if self.0 > NameKey::EIGHT {
            NameKey(u64::MAX)
        } else {
            NameKey(self.0 << 7 | (character | 0x20) as u64)
        }
    }

    const fn of(name: &[u8]) -> NameKey {
        let (mut key, mut at) = (NameKey(0), 0);
        while at < name.len() {
            key = key.followed_by(name[at]);
            at += 1;
        }
        key
    }
}

/// Why a digest header field was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthError {
    /// Malformed: the text departs from `auth-param` at this byte. A server answers 400 (RFC 7616 §3.4).
    #[error("malformed authentication parameters at byte {at}")]
    Malformed {
        /// Offset into the header field value.
        at: usize,
    },
    /// Malformed: a required parameter is absent. A server answers 400 (RFC 7616 §3.4).
    #[error("the {0:?} parameter is missing")]
    Missing(Parameter),
    /// Malformed: a parameter stands twice, or `username` next to `username*`. A server answers 400.
    #[error("the {0:?} parameter stands twice")]
    Duplicate(Parameter),
    /// Malformed: a parameter has an impossible value. A server answers 400.
    #[error("the {0:?} parameter has an impossible value")]
    BadValue(Parameter),
    /// Unsupported: the scheme is not Digest. A server challenges again (RFC 4475 §3.1.2.15), a client looks at the
    /// next challenge.
    #[error("not the Digest scheme")]
    UnsupportedScheme,
    /// Unsupported: an algorithm that is not known here. As [`AuthError::UnsupportedScheme`].
    #[error("unknown digest algorithm")]
    UnsupportedAlgorithm,
    /// Unsupported: a quality of protection that was not offered, or is not known. As
    /// [`AuthError::UnsupportedScheme`].
    #[error("unsupported quality of protection")]
    UnsupportedQop,
    /// Peer violation: no `qop` where it is asked for. A server challenges again (RFC 8760 §2.6).
    #[error("credentials without qop")]
    QopRequired,
    /// The user has no H(A1) for this algorithm. A server challenges again with those it has.
    #[error("no H(A1) for {0:?}")]
    NoHa1(super::Algorithm),
    /// The response does not prove knowledge of the password. A server challenges again.
    #[error("wrong response")]
    WrongResponse,
    /// API misuse: a text that cannot stand in a quoted string (RFC 3261 §25.1: no CR, LF or other control).
    #[error("a control character cannot be quoted")]
    Unquotable,
    /// API misuse: not the hexadecimal text of a digest of this algorithm.
    #[error("not a hexadecimal digest of {0:?}")]
    NotHex(super::Algorithm),
}

impl AuthError {
    /// Whether a server answers 400 rather than a new challenge (RFC 7616 §3.4).
    pub const fn is_malformed(&self) -> bool {
        match self {
            AuthError::Malformed { .. }
            | AuthError::Missing(_)
            | AuthError::Duplicate(_)
            | AuthError::BadValue(_) => true,
            AuthError::UnsupportedScheme
            | AuthError::UnsupportedAlgorithm
            | AuthError::UnsupportedQop
            | AuthError::QopRequired
            | AuthError::NoHa1(_)
            | AuthError::WrongResponse
            | AuthError::Unquotable
            | AuthError::NotHex(_) => false,
        }
    }
}
