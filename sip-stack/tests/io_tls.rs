//! TLS: who is verified for what, which connections are reused, certificates that change (RFC 5922 §7, RFC 5923 §8).
#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod io_kit;

use io_kit::*;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, HandshakeKind, StreamOwned};
use sip_stack::io::{ClientAuth, Command, Ended, StreamsConfig, Tls, TlsConfig, TlsError};
use sip_stack::transport::Transport;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

fn tls_listener(config: &TlsConfig) -> Owner {
    Owner::start(StreamsConfig { tls: Some(Tls::load(config).unwrap()), ..listening(Transport::Tls) })
}

fn tls_client(tls: Tls) -> Owner {
    Owner::start(StreamsConfig { tls: Some(tls), ..no_listener() })
}

/// A client that is no part of what is tested.
fn foreign_config(
    authority: &Authority,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Arc<rustls::ClientConfig> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.path()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn foreign(
    config: &Arc<rustls::ClientConfig>,
    address: SocketAddr,
    name: &str,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), connect(address))
}

#[test]
fn messages_travel_both_ways_and_the_server_is_known_by_its_certificate() {
    let authority = Authority::new();
    let mut server = tls_listener(&authority.config(&["example.com"]));
    let mut client = tls_client(authority.trusting());
    client.send(towards(Transport::Tls, server.address()), message(1, 40_000), 1, named("example.com"));
    let (to_server, identity) = client.opened();
    assert_eq!(identity.domains().collect::<Vec<_>>(), ["example.com"]);
    let (to_client, stranger) = server.opened();
    assert_eq!(stranger.domains().count(), 0, "it was asked for no certificate");
    assert_eq!(server.received(), (to_client, message(1, 40_000)));
    server.reply(to_client, message(2, 50_000));
    assert_eq!(client.received(), (to_server, message(2, 50_000)));
}

#[test]
fn a_certificate_for_another_domain_is_refused() {
    let authority = Authority::new();
    let server = tls_listener(&authority.config(&["example.com", "*.example.org"]));
    let mut client = tls_client(authority.trusting());
    for wrong in ["example.net", "sub.example.com", "sub.example.org"] {
        client.send(towards(Transport::Tls, server.address()), message(1, 0), 6, named(wrong));
        assert_eq!(client.unsent(), 6);
        let refused = Ended::Tls(CertificateError::NotValidForName.into());
        assert_eq!(client.closed().1, refused, "{wrong}");
    }
}

#[test]
fn an_authority_that_is_not_trusted_vouches_for_nobody() {
    let server = tls_listener(&Authority::new().config(&["example.com"]));
    let mut client = tls_client(Authority::new().trusting());
    client.send(towards(Transport::Tls, server.address()), message(1, 0), 6, named("example.com"));
    assert_eq!(client.unsent(), 6);
    assert!(matches!(client.closed().1, Ended::Tls(rustls::Error::InvalidCertificate(_))));
}

#[test]
fn a_peer_without_a_name_has_to_show_its_address() {
    let authority = Authority::new();
    let by_address = tls_listener(&authority.config(&["127.0.0.1"]));
    let by_name = tls_listener(&authority.config(&["example.com"]));
    let mut client = tls_client(authority.trusting());
    client.send(towards(Transport::Tls, by_address.address()), message(1, 0), 1, anyhow());
    assert_eq!(client.opened().0.peer, by_address.address());
    client.send(towards(Transport::Tls, by_name.address()), message(1, 0), 2, anyhow());
    assert_eq!(client.unsent(), 2);
}

#[test]
fn a_connection_is_reused_for_the_domains_of_its_certificate_alone() {
    let authority = Authority::new();
    let mut server = tls_listener(&authority.config(&["example.com", "example.net"]));
    let mut client = tls_client(authority.trusting());
    let flow = towards(Transport::Tls, server.address());
    client.send(flow, message(1, 0), 1, named("example.com"));
    client.opened();
    client.send(flow, message(2, 0), 2, named("EXAMPLE.net"));
    let (first, _) = server.opened();
    assert_eq!(server.received(), (first, message(1, 0)));
    assert_eq!(server.received(), (first, message(2, 0)));
    client.send(flow, message(3, 0), 3, named("example.org"));
    assert_eq!(client.unsent(), 3);
    assert!(matches!(client.closed().1, Ended::Tls(_)), "a connection of its own, which fails");
}

#[test]
fn a_client_that_is_known_by_its_certificate_can_be_sent_requests_for_its_domain() {
    let authority = Authority::new();
    let config = TlsConfig {
        client_auth: ClientAuth::Require(authority.path()),
        ..authority.config(&["example.com"])
    };
    let mut server = tls_listener(&config);
    let peer = TlsConfig {
        client: Some(authority.credentials(&["peer.example"])),
        ..authority.config(&["x.example"])
    };
    let mut client = tls_client(Tls::load(&peer).unwrap());
    client.send(towards(Transport::Tls, server.address()), message(1, 0), 1, named("example.com"));
    let (to_client, identity) = server.opened();
    assert!(identity.includes("peer.example"));
    server.received();
    client.opened();
    server.send(to_client, message(2, 0), 2, named("peer.example"));
    assert_eq!(client.received().1, message(2, 0));
    server.send(to_client, message(3, 0), 3, named("other.example"));
    assert_eq!(server.unsent(), 3, "not over this connection, and nobody listens at the port of a client");
}

#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_required_and_not_where_it_is_requested() {
    let authority = Authority::new();
    let required = TlsConfig {
        client_auth: ClientAuth::Require(authority.path()),
        ..authority.config(&["example.com"])
    };
    let requested = TlsConfig { client_auth: ClientAuth::Request(authority.path()), ..required.clone() };
    let strict = tls_listener(&required);
    let mut lenient = tls_listener(&requested);
    let mut client = tls_client(authority.trusting());
    client.send(towards(Transport::Tls, lenient.address()), message(1, 0), 1, named("example.com"));
    client.opened();
    assert_eq!(lenient.opened().1.domains().count(), 0);
    client.send(towards(Transport::Tls, strict.address()), message(2, 0), 2, named("example.com"));
    // With TLS 1.3 the client is done before the server refuses.
    client.opened();
    assert!(matches!(client.closed().1, Ended::Tls(_)));
    assert_eq!(strict.streams.counters().handshake_failures, 1);
}

#[test]
fn certificates_are_replaced_without_a_restart_and_a_broken_file_replaces_nothing() {
    let authority = Authority::new();
    let config = authority.config(&["old.example"]);
    let mut server = tls_listener(&config);
    let mut client = tls_client(authority.trusting());
    let flow = towards(Transport::Tls, server.address());
    client.send(flow, message(1, 0), 1, named("old.example"));
    client.opened();
    let (old, _) = server.opened();
    server.received();
    let broken = authority.folder().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nno\n").unwrap();
    let mut bad = config.clone();
    bad.server.as_mut().unwrap().chain = broken.clone();
    assert!(matches!(Tls::load(&bad), Err(TlsError::NoCertificate { path }) if path == broken));
    server.command(Command::UseTls(Tls::load(&authority.config(&["new.example"])).unwrap()));
    client.send(flow, message(2, 0), 2, named("new.example"));
    assert!(client.opened().1.includes("new.example"));
    server.opened();
    server.received();
    server.reply(old, message(3, 0));
    assert_eq!(client.received().1, message(3, 0), "the old connection stays");
}

#[test]
fn files_that_do_not_fit_are_errors_that_name_them() {
    let authority = Authority::new();
    let good = authority.config(&["a.example"]);
    let credentials = good.server.clone().unwrap();
    let other = authority.credentials(&["b.example"]);
    let with = |chain: &std::path::Path, key: &std::path::Path| {
        let server = sip_stack::io::Credentials { chain: chain.to_owned(), key: key.to_owned() };
        Tls::load(&TlsConfig { server: Some(server), ..good.clone() })
    };
    assert!(matches!(with(&credentials.chain, &other.key), Err(TlsError::Mismatch { .. })));
    assert!(matches!(with(&credentials.chain, &credentials.chain), Err(TlsError::NoKey { .. })));
    assert!(matches!(with(&credentials.key, &credentials.key), Err(TlsError::NoCertificate { .. })));
    let missing = authority.folder().join("missing.pem");
    assert!(
        matches!(with(&missing, &credentials.key), Err(TlsError::Unreadable { path, .. }) if path == missing)
    );
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_sessions_resumed() {
    let authority = Authority::new();
    let mut server = tls_listener(&authority.config(&["example.com"]));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = foreign_config(&authority, &[version]);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut phone = foreign(&config, server.address(), "example.com");
            phone.write_all(&message(1, 0)).unwrap();
            let (flow, _) = server.opened();
            server.received();
            server.reply(flow, message(2, 0));
            assert_eq!(read(&mut phone, message(2, 0).len()), message(2, 0));
            assert_eq!(phone.conn.handshake_kind(), Some(expected), "{version:?}");
            phone.conn.send_close_notify();
            phone.conn.write_tls(&mut phone.sock).unwrap();
            assert_eq!(server.closed().0, flow);
        }
    }
}

#[test]
fn a_handshake_has_a_time_limit_on_both_sides() {
    let authority = Authority::new();
    let mut server = tls_listener(&authority.config(&["example.com"]));
    let mut silent = connect(server.address());
    // The second one is done only after the first was accepted.
    let config = foreign_config(&authority, rustls::ALL_VERSIONS);
    let mut second = foreign(&config, server.address(), "example.com");
    second.write_all(&message(1, 0)).unwrap();
    server.opened();
    server.pass(Duration::from_secs(6));
    assert!(is_ended(&mut silent));
    assert_eq!(server.streams.counters().handshake_failures, 1);

    let listener = listen();
    let mut client = tls_client(authority.trusting());
    client.send(
        towards(Transport::Tls, listener.local_addr().unwrap()),
        message(1, 0),
        4,
        named("example.com"),
    );
    let mut connection = accept(&listener);
    let hello = read(&mut connection, 1);
    assert_eq!(hello, [22], "a handshake record");
    client.pass(Duration::from_secs(6));
    assert_eq!(client.unsent(), 4);
    assert_eq!(client.closed().1, Ended::HandshakeTimeout);
}

#[test]
fn messages_that_wait_for_a_handshake_are_bounded() {
    let authority = Authority::new();
    let listener = listen();
    let mut config = no_listener();
    config.bounds.waiting = 2;
    config.tls = Some(authority.trusting());
    let mut client = Owner::start(config);
    let flow = towards(Transport::Tls, listener.local_addr().unwrap());
    for transaction in 1..=3 {
        client.send(flow, message(1, 0), transaction, named("example.com"));
    }
    assert_eq!(client.unsent(), 3);
    drop(accept(&listener));
    assert_eq!(client.unsent(), 1);
    assert_eq!(client.unsent(), 2);
    assert!(matches!(client.closed().1, Ended::Socket(_)));
}

#[test]
fn what_is_no_tls_is_counted_and_not_reported() {
    let authority = Authority::new();
    let mut server = tls_listener(&authority.config(&["example.com"]));
    let mut confused = connect(server.address());
    confused.write_all(&message(1, 0)).unwrap();
    let alert = read(&mut confused, 1);
    assert_eq!(alert, [21], "an alert record");
    assert!(is_ended(&mut confused));
    assert_eq!(server.streams.counters().handshake_failures, 1);
    assert!(server.streams.poll_report().is_none());
}
