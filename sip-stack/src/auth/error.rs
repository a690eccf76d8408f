//! What can be wrong with a digest header field, and who is to blame.

use thiserror::Error;

/// The parameters of RFC 7616 §3.3 and §3.4 that this crate reads; all others are skipped.
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
}

impl Parameter {
    /// Every parameter with its name, in the order of their discriminants.
    pub(super) const NAMES: [(Parameter, &'static [u8]); 12] = [
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
    ];

    /// The parameter of this name, in any case.
    pub(super) fn from_name(name: &[u8]) -> Option<Parameter> {
        use Parameter::{Algorithm, Cnonce, Nc, Nonce, Opaque, Qop, Realm, Response, Stale, Uri, Username};
        // By length and first letter there is one candidate, so that a name is compared once.
        let candidate = match (name.len(), name.first()?.to_ascii_lowercase()) {
            (2, b'n') => Nc,
            (3, b'q') => Qop,
            (3, b'u') => Uri,
            (5, b'n') => Nonce,
            (5, b'r') => Realm,
            (5, b's') => Stale,
            (6, b'c') => Cnonce,
            (6, b'o') => Opaque,
            (8, b'r') => Response,
            (8, b'u') => Username,
            (9, b'a') => Algorithm,
            (9, b'u') => Parameter::UsernameExtended,
            _ => return None,
        };
        let (parameter, spelling) = Parameter::NAMES.get(candidate as usize)?;
        spelling.eq_ignore_ascii_case(name).then_some(*parameter)
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
