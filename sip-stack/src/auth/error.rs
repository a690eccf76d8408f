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
    pub(super) fn from_key(name: NameKey) -> Option<Parameter> {
        const fn key(name: &[u8]) -> u128 {
            match NameKey::of(name) {
                Some(NameKey(key)) => key,
                None => panic!("no name is that long"),
            }
        }
        const USERNAME: u128 = key(b"username");
        const USERNAME_EXTENDED: u128 = key(b"username*");
        const REALM: u128 = key(b"realm");
        const NONCE: u128 = key(b"nonce");
        const URI: u128 = key(b"uri");
        const RESPONSE: u128 = key(b"response");
        const ALGORITHM: u128 = key(b"algorithm");
        const CNONCE: u128 = key(b"cnonce");
        const OPAQUE: u128 = key(b"opaque");
        const QOP: u128 = key(b"qop");
        const NC: u128 = key(b"nc");
        const STALE: u128 = key(b"stale");
        const NEXTNONCE: u128 = key(b"nextnonce");
        const RSPAUTH: u128 = key(b"rspauth");
        Some(match name.0 {
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

/// A name of up to sixteen ASCII characters as a number, so that it is compared at once; upper and lower case fall
/// together, and nothing else that a name may hold. The first character is the lowest byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameKey(u128);

impl NameKey {
    const EACH: u128 = u128::MAX / 0xff;

    /// The key of `name`; none for a longer one, which is nobody's name.
    pub(super) const fn of(name: &[u8]) -> Option<NameKey> {
        if name.len() > 16 {
            return None;
        }
        let (mut key, mut at) = (0, 0);
        while at < name.len() {
            key |= ((name[at] | 0x20) as u128) << (8 * at);
            at += 1;
        }
        Some(NameKey(key))
    }

    /// The key of the name that ends with the first `=` among these characters, and its length. A control character
    /// ends a name too, and is left to a closer look; so is a name without `=`.
    #[inline]
    pub(super) fn before_equals(characters: [u8; 16]) -> Option<(NameKey, usize)> {
        let characters = u128::from_le_bytes(characters);
        let [lower, letter, top] = [0x20, 0x40, 0x80].map(|bit| bit * Self::EACH);
        let unlike = characters ^ (b'=' as u128 * Self::EACH);
        // The top bit of the bytes that are `=`; a borrow disturbs only bytes behind one found.
        let equals = unlike.wrapping_sub(Self::EACH) & !unlike & top;
        let length = equals.trailing_zeros() as usize / 8;
        if length == 0 || length == 16 {
            return None;
        }
        let name = u128::MAX >> (128 - 8 * length);
        // Set in every byte from the space on.
        let graphic = (characters | (characters << 1)) & letter & name;
        (graphic == letter & name).then_some((NameKey((characters | lower) & name), length))
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
