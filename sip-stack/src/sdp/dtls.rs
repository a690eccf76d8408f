//! DTLS for media: fingerprints (RFC 8122 §5), roles (RFC 4145 §4, RFC 5763 §5), `tls-id` (RFC 8842 §4).
//!
//! Left out on purpose: fingerprints by MD5 and MD2, which §5 forbids, and `holdconn`, which RFC 8842 §5.1 forbids.

use super::codec::SdpText;
use super::description::{MediaDescription, SessionDescription};
use super::writer::SdpWriter;
use bytes::BufMut;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// How many fingerprints of one media are read; those beyond are left out.
const MAX_FINGERPRINTS: usize = 8;

/// What one side says about DTLS for one media.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DtlsAttributes {
    /// Its certificates' hashes: at least one, at most 8 are read.
    pub fingerprints: Vec<Fingerprint>,
    /// The role it takes or offers; `None` where it says nothing.
    pub setup: Option<Setup>,
    /// The name of the association: 20 to 255 characters.
    pub tls_id: Option<SdpText>,
}

/// The hash of a certificate in DER form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// What it was hashed with.
    pub hash: HashFunction,
    /// As many bytes as the hash function yields.
    pub digest: SmallVec<[u8; 32]>,
}

/// A hash function for certificates. In the order of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HashFunction {
    /// `sha-1`
    Sha1,
    /// `sha-224`
    Sha224,
    /// `sha-256`, the one that everybody has (RFC 8122 §5).
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
}

/// The value of `a=setup` (RFC 4145 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setup {
    /// The writer is the client.
    Active,
    /// The writer is the server.
    Passive,
    /// The answerer may choose.
    ActPass,
}

/// Who sends the ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DtlsRole {
    /// Sends it.
    Client,
    /// Waits for it.
    Server,
}

impl HashFunction {
    const ALL: [HashFunction; 5] = [
        HashFunction::Sha1,
        HashFunction::Sha224,
        HashFunction::Sha256,
        HashFunction::Sha384,
        HashFunction::Sha512,
    ];

    /// As it stands in `a=fingerprint`.
    pub const fn name(self) -> &'static str {
        match self {
            HashFunction::Sha1 => "sha-1",
            HashFunction::Sha224 => "sha-224",
            HashFunction::Sha256 => "sha-256",
            HashFunction::Sha384 => "sha-384",
            HashFunction::Sha512 => "sha-512",
        }
    }

    /// Bytes of a digest.
    pub const fn digest_bytes(self) -> usize {
        match self {
            HashFunction::Sha1 => 20,
            HashFunction::Sha224 => 28,
            HashFunction::Sha256 => 32,
            HashFunction::Sha384 => 48,
            HashFunction::Sha512 => 64,
        }
    }

    fn from_name(name: &[u8]) -> Option<HashFunction> {
        HashFunction::ALL.into_iter().find(|hash| hash.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl Setup {
    const ALL: [Setup; 3] = [Setup::Active, Setup::Passive, Setup::ActPass];

    /// As it stands in `a=setup`.
    pub const fn name(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::ActPass => "actpass",
        }
    }

    /// The role that an answer settles for its writer; `None` for `actpass`, which settles nothing.
    pub const fn role(self) -> Option<DtlsRole> {
        match self {
            Setup::Active => Some(DtlsRole::Client),
            Setup::Passive => Some(DtlsRole::Server),
            Setup::ActPass => None,
        }
    }

    /// What to answer to this offer (RFC 4145 §4.1). Where the offerer leaves the choice, `wanted`: client for a new
    /// association (RFC 5763 §5), the role we have for one that stays (RFC 8842 §5.3).
    pub const fn answer(self, wanted: DtlsRole) -> Setup {
        match (self, wanted) {
            (Setup::Active, _) | (Setup::ActPass, DtlsRole::Server) => Setup::Passive,
            (Setup::Passive, _) | (Setup::ActPass, DtlsRole::Client) => Setup::Active,
        }
    }

    fn from_name(name: &[u8]) -> Option<Setup> {
        Setup::ALL.into_iter().find(|setup| setup.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl DtlsRole {
    /// The role of the other side.
    pub const fn reversed(self) -> DtlsRole {
        match self {
            DtlsRole::Client => DtlsRole::Server,
            DtlsRole::Server => DtlsRole::Client,
        }
    }
}

impl Fingerprint {
    /// Reads the value of `a=fingerprint`; lower-case digits are taken too.
    pub fn read(value: &[u8]) -> Option<Fingerprint> {
        let space = value.iter().position(u8::is_ascii_whitespace)?;
        let hash = HashFunction::from_name(value.get(..space)?)?;
        let mut digest = SmallVec::new();
        for pair in value.get(space..)?.trim_ascii().split(|byte| *byte == b':') {
            let [high, low] = pair else { return None };
            let nibble =
                |digit: &u8| (*digit as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            digest.push(nibble(high)? << 4 | nibble(low)?);
        }
        (digest.len() == hash.digest_bytes()).then_some(Fingerprint { hash, digest })
    }

    /// Writes `a=fingerprint`.
    pub fn write<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        writer.start_attribute("fingerprint");
        writer.display(self.hash.name());
        for (index, byte) in self.digest.iter().enumerate() {
            let before = if index == 0 { ' ' } else { ':' };
            writer.display(format_args!("{before}{byte:02X}"));
        }
        writer.end();
    }
}

impl DtlsAttributes {
    /// Those that hold for `media`: its own lines, else those of the session. `None` without a usable fingerprint, and
    /// with a `setup` that DTLS has no use for: no association can come of either.
    pub fn of(session: &SessionDescription<'_>, media: &MediaDescription<'_>) -> Option<DtlsAttributes> {
        // RFC 8122 §5: the fingerprints of the media, where it has any, replace those of the session.
        let section = match media.section.attribute(b"fingerprint") {
            Some(_) => &media.section,
            None => &session.section,
        };
        let fingerprints: Vec<Fingerprint> =
            section.values(b"fingerprint").filter_map(Fingerprint::read).take(MAX_FINGERPRINTS).collect();
        if fingerprints.is_empty() {
            return None;
        }
        let setup = match media.section.value(b"setup").or_else(|| session.section.value(b"setup")) {
            Some(name) => Some(Setup::from_name(name)?),
            None => None,
        };
        let tls_id = media.section.value(b"tls-id").filter(|text| is_tls_id(text)).map(SdpText::from);
        Some(DtlsAttributes { fingerprints, setup, tls_id })
    }

    /// What this offer says of the roles; `active` where it says nothing (RFC 4145 §4).
    pub fn offered_setup(&self) -> Setup {
        self.setup.unwrap_or(Setup::Active)
    }

    /// What this answer says of the roles; `passive` where it says nothing (RFC 4145 §4).
    pub fn answered_setup(&self) -> Setup {
        self.setup.unwrap_or(Setup::Passive)
    }

    /// The fingerprint by the strongest hash: the one to check a certificate with.
    pub fn strongest(&self) -> Option<&Fingerprint> {
        self.fingerprints.iter().max_by_key(|fingerprint| fingerprint.hash)
    }

    /// Whether the writer, who said `previous` before, now wants another association (RFC 8842 §4). Without `tls-id` a
    /// change of its address and port, which only the caller can see, asks for one as well.
    pub fn is_new_association(&self, previous: &DtlsAttributes) -> bool {
        let same_certificates = self.fingerprints.len() == previous.fingerprints.len()
            && self.fingerprints.iter().all(|fingerprint| previous.fingerprints.contains(fingerprint));
        let role = |attributes: &DtlsAttributes| attributes.setup.and_then(Setup::role);
        let is_changed = match self.tls_id.as_ref().zip(previous.tls_id.as_ref()) {
            Some((now, before)) => now != before,
            None => role(self).zip(role(previous)).is_some_and(|(now, before)| now != before),
        };
        is_changed || !same_certificates
    }

    /// Writes the lines of one media.
    pub fn write<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        for fingerprint in &self.fingerprints {
            fingerprint.write(writer);
        }
        if let Some(setup) = self.setup {
            writer.attribute("setup", setup.name().as_bytes());
        }
        if let Some(tls_id) = &self.tls_id {
            writer.attribute("tls-id", tls_id.as_bytes());
        }
    }
}

/// RFC 8842 §4.
fn is_tls_id(text: &[u8]) -> bool {
    (20..=255).contains(&text.len())
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA_1: &str = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";

    fn dtls(session: &str, media: &str) -> Option<DtlsAttributes> {
        let text = format!("v=0\n{session}m=audio 9 UDP/TLS/RTP/SAVPF 111\n{media}");
        let session = SessionDescription::parse(text.as_bytes()).unwrap();
        DtlsAttributes::of(&session, &session.media[0])
    }

    #[test]
    fn a_fingerprint_has_the_bytes_of_its_hash_and_is_written_in_upper_case() {
        let read = Fingerprint::read(SHA_1.to_lowercase().as_bytes()).unwrap();
        assert_eq!((read.hash, read.digest.len(), read.digest[0]), (HashFunction::Sha1, 20, 0x4a));
        let mut out = Vec::new();
        read.write(&mut SdpWriter::new(&mut out));
        assert_eq!(out, format!("v=0\r\na=fingerprint:{SHA_1}\r\n").into_bytes());
        for wrong in ["sha-256 4A:AD", "md5 4A", "sha-1", "sha-1 4A:A", "sha-1 4G", "sha-1 +A:4A", ""] {
            assert_eq!(Fingerprint::read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_takes_the_role_that_the_offer_leaves() {
        use DtlsRole::{Client, Server};
        for (offer, wanted, answer) in [
            (Setup::ActPass, Client, Setup::Active),
            (Setup::ActPass, Server, Setup::Passive),
            (Setup::Active, Client, Setup::Passive),
            (Setup::Active, Server, Setup::Passive),
            (Setup::Passive, Client, Setup::Active),
            (Setup::Passive, Server, Setup::Active),
        ] {
            assert_eq!(offer.answer(wanted), answer, "{offer:?} {wanted:?}");
            let settled = answer.role().unwrap();
            assert!(offer.role().is_none_or(|offered| offered == settled.reversed()));
        }
    }

    #[test]
    fn an_offer_without_setup_is_active_and_an_answer_without_is_passive() {
        let silent = dtls("", &format!("a=fingerprint:{SHA_1}\n")).unwrap();
        assert_eq!((silent.offered_setup(), silent.answered_setup()), (Setup::Active, Setup::Passive));
        assert_eq!(dtls("", &format!("a=fingerprint:{SHA_1}\na=setup:holdconn\n")), None);
    }

    #[test]
    fn fingerprints_of_the_media_replace_those_of_the_session() {
        let other = SHA_1.replace("4A", "4B");
        let session = format!("a=fingerprint:{SHA_1}\na=setup:actpass\n");
        let inherited = dtls(&session, "").unwrap();
        assert_eq!((inherited.fingerprints[0].digest[0], inherited.setup), (0x4a, Some(Setup::ActPass)));
        let own = dtls(&session, &format!("a=fingerprint:{other}\na=setup:passive\n")).unwrap();
        assert_eq!((own.fingerprints.len(), own.fingerprints[0].digest[0]), (1, 0x4b));
        assert_eq!(dtls("a=setup:active\n", ""), None, "no fingerprint, no DTLS");
    }

    #[test]
    fn the_strongest_of_several_hashes_is_the_one_to_check() {
        let sha_256 = format!("sha-256 {}", ["AB"; 32].join(":"));
        let both = dtls("", &format!("a=fingerprint:{sha_256}\na=fingerprint:{SHA_1}\n")).unwrap();
        assert_eq!(both.strongest().unwrap().hash, HashFunction::Sha256);
    }

    #[test]
    fn a_new_association_shows_by_tls_id_or_fingerprints_or_else_by_the_role() {
        let of = |setup: &str, id: &str, certificate: &str| {
            let id = if id.is_empty() { String::new() } else { format!("a=tls-id:{id}\n") };
            dtls("", &format!("a=fingerprint:{certificate}\na=setup:{setup}\n{id}")).unwrap()
        };
        let (one, two) = ("abc3de65cddef001be82", "abc3de65cddef001be83");
        let other = SHA_1.replace("4A", "4B");
        assert!(!of("actpass", one, SHA_1).is_new_association(&of("active", one, SHA_1)));
        assert!(of("actpass", two, SHA_1).is_new_association(&of("actpass", one, SHA_1)));
        assert!(of("actpass", one, &other).is_new_association(&of("actpass", one, SHA_1)));
        assert!(!of("actpass", "", SHA_1).is_new_association(&of("active", "", SHA_1)));
        assert!(of("passive", "", SHA_1).is_new_association(&of("active", "", SHA_1)));
        assert!(of("active", "", &other).is_new_association(&of("active", "", SHA_1)));
        assert_eq!(of("active", "tooshort", SHA_1).tls_id, None);
    }
}
