//! TLS for SIP (RFC 3261 §26.3.1, RFC 5922): certificates from files into configurations of TLS 1.2 and 1.3.
//!
//! [`Tls::load`] reads and checks everything where it is called. The thread gets what is known to be good: a broken
//! file is an error there and then, and what was loaded before stays in use.
//!
//! Left out on purpose: a certificate per domain (RFC 5922 §7.8 lets one certificate name them all), application
//! protocol negotiation (SIP has none), TLS before 1.2.

use super::identity::SipServerVerifier;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Sessions with servers that can be resumed (RFC 8446 §2.2).
const RESUMABLE: usize = 1024;

/// Where certificates and keys are, and who has to show one. All files are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// What TLS and WSS listeners show; without, there can be none.
    pub server: Option<Credentials>,
    /// Whether who connects to us has to show a certificate.
    pub client_auth: ClientAuth,
    /// What we show to a server that asks.
    pub client: Option<Credentials>,
    /// The authorities that may vouch for servers.
    pub trust: Trust,
}

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The certificate, followed by those between it and the authority.
    pub chain: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// What a server asks of its clients (RFC 5922 §7.4). The path names the authorities that may vouch for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Nothing.
    None,
    /// A certificate if there is one; one that cannot be verified ends the handshake.
    Request(PathBuf),
    /// A certificate.
    Require(PathBuf),
}

/// The authorities that may vouch for servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those the system trusts. Where it has none, no server can be verified.
    System,
    /// Those in a file.
    File(PathBuf),
}

/// Why certificates cannot be used. Nothing of a key's content is told.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file holds no certificate, or what is none.
    #[error("{}: no certificate in PEM form", path.display())]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// A file holds no private key.
    #[error("{}: no private key in PEM form", path.display())]
    NoKey {
        /// Which.
        path: PathBuf,
    },
    /// The key is not the certificate's, or of a kind that is not supported.
    #[error("{} and {} do not belong together: {source}", credentials.chain.display(), credentials.key.display())]
    Mismatch {
        /// Which.
        credentials: Credentials,
        /// What the library says.
        source: rustls::Error,
    },
    /// Certificates of authorities cannot be used as such.
    #[error("{}: unusable as an authority", path.display())]
    UnusableAuthority {
        /// The file.
        path: PathBuf,
    },
    /// The library refuses its own defaults.
    #[error(transparent)]
    Library(#[from] rustls::Error),
}

/// Certificates and settings, loaded and checked.
#[derive(Clone, Debug)]
pub struct Tls {
    pub(super) server: Option<Arc<ServerConfig>>,
    pub(super) client: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files. Sessions are resumed as long as the same `Tls` is in use (RFC 8446 §2.2, RFC 5077).
    ///
    /// # Errors
    /// [`TlsError`] names the file that is missing, is of another form or does not fit.
    pub fn load(config: &TlsConfig) -> Result<Tls, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let server = match &config.server {
            Some(credentials) => Some(server(credentials, &config.client_auth, &provider)?),
            None => None,
        };
        Ok(Tls { server: server.map(Arc::new), client: Arc::new(client(config, &provider)?) })
    }
}

fn server(
    credentials: &Credentials,
    client_auth: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, TlsError> {
    let (chain, key) = credentials.read()?;
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(client_verifier(client_auth, provider)?)
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Mismatch { credentials: credentials.clone(), source })?;
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}

fn client_verifier(
    client_auth: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let (path, required) = match client_auth {
        ClientAuth::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Request(path) => (path, false),
        ClientAuth::Require(path) => (path, true),
    };
    let roots = Arc::new(authorities(path)?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|_| TlsError::UnusableAuthority { path: path.clone() })
}

fn client(config: &TlsConfig, provider: &Arc<CryptoProvider>) -> Result<ClientConfig, TlsError> {
    let roots = match &config.trust {
        Trust::File(path) => authorities(path)?,
        Trust::System => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        }
    };
    let verifier = SipServerVerifier { roots, algorithms: provider.signature_verification_algorithms };
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        // Only the check of the name differs from the library's: RFC 5922 §7.2 forbids wildcards and knows `sip` URIs.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut client = match &config.client {
        None => builder.with_no_client_auth(),
        Some(credentials) => {
            let (chain, key) = credentials.read()?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|source| TlsError::Mismatch { credentials: credentials.clone(), source })?
        }
    };
    client.resumption = Resumption::in_memory_sessions(RESUMABLE);
    Ok(client)
}

impl Credentials {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|_| TlsError::NoKey { path: self.key.clone() })?;
        Ok((certificates(&self.chain)?, key))
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|_| TlsError::UnusableAuthority { path: path.to_owned() })?;
    }
    Ok(roots)
}

/// All certificates of a file; at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(TlsError::NoCertificate { path: path.to_owned() }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}
