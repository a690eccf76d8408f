//! A certificate authority for one test, a certificate of the switch for 127.0.0.1, and one for a phone.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Files in PEM form.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority.
    pub authority: PathBuf,
    /// The certificate of the switch.
    pub server: PathBuf,
    /// Its key.
    pub server_key: PathBuf,
    /// Certificate and key of a phone, in one file.
    pub phone: PathBuf,
}

impl Certificates {
    /// Makes them in `folder`.
    ///
    /// # Panics
    /// When they cannot be made or written.
    #[must_use]
    pub fn make(folder: &Path) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).expect("an authority").pem();
        let issuer = Issuer::new(params, key);
        let issue = |name: &str| {
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
            // A name that is not the authority's, or the certificate counts as signed by itself.
            params.distinguished_name.push(DnType::CommonName, name);
            params.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
            (params.signed_by(&key, &issuer).expect("a certificate").pem(), key.serialize_pem())
        };
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("a certificate is written");
            path
        };
        let ((server, server_key), (phone, phone_key)) = (issue("localhost"), issue("phone.invalid"));
        Self {
            authority: write("authority.pem", &authority),
            server: write("server.pem", &server),
            server_key: write("server.key", &server_key),
            phone: write("phone.pem", &(phone + &phone_key)),
        }
    }
}
