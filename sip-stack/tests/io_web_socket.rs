//! SIP over WebSocket, plain and over TLS, with a client of another make (RFC 6455, RFC 7118).
#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod io_kit;

use io_kit::*;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConnection, StreamOwned};
use sip_stack::io::{Ended, Reach, StreamsConfig, Tls};
use sip_stack::transport::Transport;
use sip_stack::transport::stream::CloseReason;
use std::io::{Read, Write};
use std::sync::Arc;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Request;
use tungstenite::{Message, WebSocket, client};

fn request(origin: Option<&str>) -> Request {
    let mut request = "ws://example.com/".into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().unwrap());
    if let Some(origin) = origin {
        request.headers_mut().insert("Origin", origin.parse().unwrap());
    }
    request
}

fn talk<S: Read + Write>(owner: &mut Owner, browser: &mut WebSocket<S>) {
    let (flow, _) = owner.opened();
    browser.send(Message::text(String::from_utf8(message(1, 9).to_vec()).unwrap())).unwrap();
    assert_eq!(owner.received(), (flow, message(1, 9)));
    browser.send(Message::binary(message(2, 60_000))).unwrap();
    assert_eq!(owner.received(), (flow, message(2, 60_000)));
    owner.reply(flow, message(3, 40_000));
    assert_eq!(browser.read().unwrap().into_data(), message(3, 40_000));
    browser.close(None).unwrap();
    assert!(matches!(owner.closed(), (closed, Ended::Protocol(CloseReason::PeerClosed)) if closed == flow));
}

#[test]
fn a_browser_talks_over_web_socket() {
    let mut owner = Owner::start(listening(Transport::Ws));
    let (mut browser, response) = client(request(None), connect(owner.address())).unwrap();
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
    talk(&mut owner, &mut browser);
}

#[test]
fn a_browser_talks_over_secure_web_socket() {
    let authority = Authority::new();
    let tls = Tls::load(&authority.config(&["example.com"])).unwrap();
    let mut owner = Owner::start(StreamsConfig { tls: Some(tls), ..listening(Transport::Wss) });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.path()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("example.com").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = StreamOwned::new(tls, connect(owner.address()));
    let (mut browser, _) = client(request(None), stream).unwrap();
    talk(&mut owner, &mut browser);
}

#[test]
fn a_script_of_a_site_that_is_not_listed_is_refused() {
    let origins: Box<[Box<str>]> = ["https://phone.example.com".into()].into();
    let mut owner = Owner::start(StreamsConfig { origins: Some(origins), ..listening(Transport::Ws) });
    let refused = client(request(Some("https://evil.example")), connect(owner.address()));
    let Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(response.status(), 403);
    client(request(Some("https://phone.example.com")), connect(owner.address())).unwrap();
    owner.opened();
}

#[test]
fn no_web_socket_is_opened_towards_a_browser() {
    let mut owner = Owner::start(listening(Transport::Ws));
    let gone = towards(Transport::Ws, listen().local_addr().unwrap());
    owner.send(gone, message(1, 0), 1, anyhow());
    assert_eq!(owner.unsent(), 1);
    owner.closed();
    owner.send(gone, message(1, 0), 2, Reach::Flow);
    assert_eq!(owner.unsent(), 2);
}
