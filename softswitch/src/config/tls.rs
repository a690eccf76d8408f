//! `[tls]`: certificates. Only names of files stand here; they are read by the part that uses them.

use super::error::{Fault, Quoted};
use super::model::{ClientCertificates, Listener, Tls};
use super::table::{Faults, Key, Located, Section};

const CERTIFICATE: Key =
    Key { name: "certificate", expected: "the name of a PEM file", example: "\"server.pem\"" };
const KEY: Key = Key { name: "key", expected: "the name of a PEM file", example: "\"server.key\"" };
const CLIENT_CERTIFICATES: Key =
    Key { name: "client_certificates", expected: "none, request or require", example: "\"none\"" };
const CLIENT_ROOTS: Key =
    Key { name: "client_roots", expected: "the name of a PEM file", example: "\"clients.pem\"" };
const SERVER_ROOTS: Key =
    Key { name: "server_roots", expected: "the name of a PEM file", example: "\"carriers.pem\"" };

/// What `client_certificates` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    None,
    Request,
    Require,
}

pub(super) fn resolve_tls(
    root: &mut Section<'_>,
    listeners: &[Located<Listener>],
    faults: &Faults,
) -> Option<Tls> {
    let Some(section) = root.table("tls", "[tls]") else {
        for listener in listeners.iter().filter(|listener| listener.value.transport.is_secure()) {
            let transport = listener.value.transport.name();
            faults.note(listener.line, Fault::NoCertificate { transport });
        }
        return None;
    };
    resolve_section(section, faults)
}

fn resolve_section(mut section: Section<'_>, faults: &Faults) -> Option<Tls> {
    let certificate = section.required(CERTIFICATE, parse_file);
    let key = section.required(KEY, parse_file);
    let wanted = section.parsed(CLIENT_CERTIFICATES, parse_wanted);
    let roots = section.parsed(CLIENT_ROOTS, parse_file).map(|file| file.value);
    let server_roots = section.parsed(SERVER_ROOTS, parse_file).map(|file| file.value);
    section.finish();
    let client_certificates = match (wanted.map(|wanted| wanted.value), roots) {
        (None | Some(Wanted::None), _) => ClientCertificates::None,
        (Some(Wanted::Request), Some(roots)) => ClientCertificates::Request { roots },
        (Some(Wanted::Require), Some(roots)) => ClientCertificates::Require { roots },
        (Some(Wanted::Request | Wanted::Require), None) => {
            if let Some(Located { line, value }) = wanted {
                let wanted = if value == Wanted::Request { "request" } else { "require" };
                faults.note(line, Fault::NoClientRoots { wanted: Quoted::new(wanted) });
            }
            ClientCertificates::None
        }
    };
    Some(Tls { certificate: certificate?.value, key: key?.value, client_certificates, server_roots })
}

fn parse_wanted(text: &str) -> Option<Wanted> {
    match text {
        "none" => Some(Wanted::None),
        "request" => Some(Wanted::Request),
        "require" => Some(Wanted::Require),
        _ => None,
    }
}

fn parse_file(text: &str) -> Option<Box<str>> {
    (!text.is_empty() && !text.contains('\0')).then(|| text.into())
}
