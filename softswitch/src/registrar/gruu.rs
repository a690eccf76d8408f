//! GRUUs (RFC 5627): URIs that lead to one phone of a user. The public one names the instance of the phone; a temporary one says
//! nothing to anybody but us.
//!
//! Neither is kept: the public one is the address of record and the instance (§5.4), the temporary one has the user and the mark of
//! its registration in it, encrypted (AES-256-GCM, appendix A.2), so a phone may have any number of them. A temporary one is valid for as
//! long as the phone registers with the Call-ID that it had then (§5.1, §5.3). Left out on purpose: temporary ones that outlive a
//! restart, whose key is drawn anew (the phone gets another one when it registers again).

use super::{AddressOfRecord, Binding, table::Registrar};
use crate::config::DomainId;
use crate::core::environment::{Environment, escape_user};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use sip_stack::message::Uri;
use sip_stack::random::Random;
use sip_stack::transaction::KeyHasher;

/// What the user part of a temporary GRUU begins with, so that it is the number of nobody.
const MARK: &[u8] = b"tgruu.";

/// Encrypts temporary GRUUs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GruuKey([u8; 32]);

/// One phone of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Device {
    /// The value of `gr` in a public GRUU.
    Instance(Bytes),
    /// The mark in a temporary one.
    Temporary(u64),
}

/// Whom a URI of a domain names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The number, its escapes undone.
    pub(crate) user: Bytes,
    /// Which of the user's phones; `None`: all.
    pub(crate) device: Option<Device>,
}

impl Named {
    /// A number.
    pub(crate) const fn number(user: Bytes) -> Named {
        Named { user, device: None }
    }
}

impl GruuKey {
    pub(super) fn new(random: &mut Random) -> GruuKey {
        let mut key = [0; 32];
        for half in key.chunks_exact_mut(16) {
            half.copy_from_slice(&random.key());
        }
        GruuKey(key)
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, &self.0).expect("AES-256 takes a key of 32 bytes");
        LessSafeKey::new(key)
    }

    /// The user part of a temporary GRUU; another one each time.
    fn seal(&self, random: &mut Random, domain: DomainId, mark: u64, user: &str) -> Option<Vec<u8>> {
        let [low, high] = [random.key(), random.key()];
        let mut nonce = [0; NONCE_LEN];
        nonce.iter_mut().zip(low.into_iter().chain(high)).for_each(|(octet, lot)| *octet = lot);
        let mut text = mark.to_be_bytes().to_vec();
        text.extend_from_slice(user.as_bytes());
        let aad = Aad::from(domain.0.to_be_bytes());
        let sealed = Nonce::assume_unique_for_key(nonce);
        self.cipher().seal_in_place_append_tag(sealed, aad, &mut text).ok()?;
        let token = URL_SAFE_NO_PAD.encode([&nonce[..], &text].concat());
        Some([MARK, token.as_bytes()].concat())
    }

    fn open(&self, domain: DomainId, user_part: &[u8]) -> Option<(u64, Bytes)> {
        let sealed = URL_SAFE_NO_PAD.decode(user_part.strip_prefix(MARK)?).ok()?;
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = ciphertext.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(domain.0.to_be_bytes());
        let plain = self.cipher().open_in_place(nonce, aad, &mut text).ok()?;
        let (mark, user) = plain.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*mark), Bytes::copy_from_slice(user)))
    }
}

impl Device {
    /// Whether a binding is one of this phone's.
    pub(super) fn has(&self, hasher: &KeyHasher, binding: &Binding) -> bool {
        match self {
            Device::Instance(named) => instance(binding).is_some_and(|own| own.eq_ignore_ascii_case(named)),
            Device::Temporary(mark) => binding.instance.is_some() && mark_of(hasher, binding) == *mark,
        }
    }
}

impl Registrar {
    /// Whom a URI of the domain names: a number, or one phone of a user. `None` for a GRUU that is not valid (any more): 404
    /// (RFC 5627 §6.1).
    pub(crate) fn named(&self, env: &Environment, domain: DomainId, uri: &Uri<'_>) -> Option<Named> {
        let user = uri.user_unescaped().unwrap_or_default();
        let Some(gr) = uri.params.get(b"gr") else {
            return Some(Named::number(Bytes::copy_from_slice(&user)));
        };
        if let Some(instance) = gr.value {
            let device = Some(Device::Instance(Bytes::copy_from_slice(instance)));
            return Some(Named { user: Bytes::copy_from_slice(&user), device });
        }
        let (mark, user) = self.gruu_key.open(domain, &user)?;
        let device = Device::Temporary(mark);
        let bindings = &self.find(env, domain, core::str::from_utf8(&user).ok()?)?.bindings;
        let is_valid = bindings.iter().any(|binding| device.has(env.endpoint.hasher(), binding));
        is_valid.then_some(Named { user, device: Some(device) })
    }

    /// The parameters `pub-gruu` and `temp-gruu` of a contact, for a phone that announces `gruu` (§5.2).
    pub(super) fn gruus(&self, env: &mut Environment, aor: &AddressOfRecord, binding: &Binding) -> Vec<u8> {
        let Some(instance) = instance(binding) else { return Vec::new() };
        let host = env.uri_host(aor.domain, &binding.flow);
        let user = escape_user(aor.user.as_bytes());
        let mark = mark_of(env.endpoint.hasher(), binding);
        let temporary = self.gruu_key.seal(env.endpoint.random(), aor.domain, mark, &aor.user);
        let public = [b";pub-gruu=\"sip:", &user[..], b"@", &host, b";gr=", &instance, b"\""].concat();
        let temporary =
            temporary.map(|temporary| [b";temp-gruu=\"sip:", &temporary[..], b"@", &host, b";gr\""].concat());
        [public, temporary.unwrap_or_default()].concat()
    }
}

/// The instance of a phone as it stands in `gr`: without quotes and angle brackets, and what a parameter of a URI cannot have
/// escaped (RFC 3261 §25.1).
fn instance(binding: &Binding) -> Option<Vec<u8>> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let instance = binding.instance.as_ref()?;
    let bare = instance.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(instance);
    let bare = bare.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")).unwrap_or(bare);
    let mut escaped = Vec::with_capacity(bare.len());
    for octet in bare {
        if octet.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(octet) {
            escaped.push(*octet);
        } else {
            escaped.extend([b'%', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]);
        }
    }
    Some(escaped)
}

/// What tells the registrations of phones apart: the instance, and the Call-ID that it registers with.
fn mark_of(hasher: &KeyHasher, binding: &Binding) -> u64 {
    let instance = binding.instance.as_deref().unwrap_or_default();
    (hasher.hash(&[b"gruu", instance, &binding.call_id]) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_gruu_is_another_one_each_time_and_opens_with_its_key_and_domain_alone() {
        let mut random = Random::new([1; 32]);
        let key = GruuKey::new(&mut random);
        let [one, other] = [(); 2].map(|()| key.seal(&mut random, DomainId(3), 77, "1001").unwrap());
        assert_ne!(one, other);
        for token in [&one, &other] {
            assert_eq!(key.open(DomainId(3), token), Some((77, Bytes::from_static(b"1001"))));
            assert_eq!(key.open(DomainId(4), token), None);
            assert_eq!(GruuKey::new(&mut random).open(DomainId(3), token), None);
        }
        for junk in [&b"1001"[..], b"tgruu.", b"tgruu.AAAA", b"tgruu.\xff"] {
            assert_eq!(key.open(DomainId(3), junk), None);
        }
    }
}
