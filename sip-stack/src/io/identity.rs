//! Who a peer is by its certificate: SIP domain identities (RFC 5922 §7.1, §7.2) and the check of a server's (§7.3).
//!
//! Left out on purpose: the common name, which §7.1 merely allows; the extended key usage of RFC 5924, because public
//! authorities issue none; revocation lists.

use crate::message::{Scheme, Uri};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use webpki::EndEntityCert;

/// The SIP domain identities of a certificate that was verified; none when the peer showed none (RFC 5922 §7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    domains: Box<[Box<str>]>,
}

impl Identity {
    /// The identities in `certificate`: the hosts of its `sip` URIs, or its DNS names when it has no such URI.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Identity {
        let Ok(certificate) = EndEntityCert::try_from(certificate) else { return Identity::default() };
        let mut domains: Box<[Box<str>]> = certificate.valid_uri_names().filter_map(sip_domain).collect();
        if domains.is_empty() {
            domains = certificate.valid_dns_names().map(Box::from).collect();
        }
        Identity { domains }
    }

    /// The domains as the certificate writes them.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().map(AsRef::as_ref)
    }

    /// Whether `domain` is one of them: whole, without regard to case, and a wildcard stands for nothing but itself
    /// (RFC 5922 §7.2).
    pub fn includes(&self, domain: &str) -> bool {
        self.domains.iter().any(|ours| ours.eq_ignore_ascii_case(domain))
    }
}

/// The host of a URI that names a domain: scheme `sip`, no user (RFC 5922 §7.1).
fn sip_domain(uri: &str) -> Option<Box<str>> {
    let uri = Uri::parse(uri.as_bytes()).ok()?;
    let is_domain = matches!(uri.scheme, Scheme::Sip) && uri.user.is_none();
    let host = core::str::from_utf8(uri.host).ok()?;
    is_domain.then(|| Box::from(host))
}

/// Verifies the certificate of a server: a chain to an authority that is trusted, and the domain that was looked up
/// among its SIP identities (RFC 5922 §7.3).
///
/// A peer that is known by its address alone has to show the address as a subjectAltName (RFC 3261 §26.3.1 leaves open
/// how an address is verified; this is how RFC 2818 §3.1 does it).
#[derive(Debug)]
pub(super) struct SipServerVerifier {
    pub(super) roots: RootCertStore,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for SipServerVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        let named = match name {
            ServerName::DnsName(domain) => Identity::of(certificate).includes(domain.as_ref()),
            ServerName::IpAddress(_) => EndEntityCert::try_from(certificate)
                .is_ok_and(|certificate| certificate.verify_is_valid_for_subject_name(name).is_ok()),
            _ => false,
        };
        if named {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn identity(names: &[&str], uris: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        params.subject_alt_names.extend(uris.iter().map(uri));
        Identity::of(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der())
    }

    #[test]
    fn dns_names_count_where_no_sip_uri_is_present() {
        let identity = identity(&["example.com", "sip.example.net"], &["https://example.org"]);
        assert_eq!(identity.domains().collect::<Vec<_>>(), ["example.com", "sip.example.net"]);
    }

    #[test]
    fn sip_uris_take_the_place_of_dns_names() {
        let identity = identity(&["host7.example.com"], &["SIP:example.com", "sip:example.net:5061"]);
        assert_eq!(identity.domains().collect::<Vec<_>>(), ["example.com", "example.net"]);
        assert!(!identity.includes("host7.example.com"));
    }

    #[test]
    fn a_uri_with_a_user_or_of_another_scheme_names_no_domain() {
        let identity = identity(&[], &["sip:alice@example.com", "sips:example.com", "sip:"]);
        assert_eq!(identity, Identity::default());
    }

    #[test]
    fn domains_match_whole_and_without_regard_to_case() {
        let identity = identity(&["Example.com"], &[]);
        assert!(identity.includes("eXAMPLE.COM"));
        assert!(!identity.includes("foo.example.com"));
        assert!(!identity.includes("com"));
    }

    #[test]
    fn a_wildcard_matches_no_label() {
        let identity = identity(&["*.example.com"], &[]);
        assert!(!identity.includes("foo.example.com"));
        assert!(identity.includes("*.example.com"));
    }

    #[test]
    fn what_is_no_certificate_has_no_identity() {
        assert_eq!(Identity::of(&CertificateDer::from(vec![0x30, 0x03, 0x02])), Identity::default());
    }
}
