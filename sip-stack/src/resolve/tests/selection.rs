//! RFC 3263 §4.1 and §4.2: which transport, port and address a URI leads to; §5 for responses.

use super::*;
use crate::header::Via;

/// The zone of the example in RFC 3263 §4.1.
fn example() -> World {
    World::new()
        .naptr(
            "example.com",
            &[
                naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
                naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com"),
                naptr(100, 50, "SIP+D2U", "_sip._udp.example.com"),
            ],
        )
        .srv("_sips._tcp.example.com", &[srv(0, 1, 5061, "server1.example.com")])
        .srv(
            "_sip._tcp.example.com",
            &[srv(0, 1, 5060, "server1.example.com"), srv(1, 2, 5060, "server2.example.com")],
        )
        .srv("_sip._udp.example.com", &[srv(0, 1, 5060, "server2.example.com")])
        .a("server1.example.com", &["192.0.2.1"])
        .a("server2.example.com", &["192.0.2.2"])
        .a("example.com", &["192.0.2.80"])
}

#[test]
fn a_numeric_address_is_used_as_it_is_over_udp_or_tls() {
    let mut world = World::with(Families::Ipv4First);
    assert_eq!(world.all("sip:a@192.0.2.7")[0], "UDP 192.0.2.7:5060");
    assert_eq!(world.all("sip:a@192.0.2.7:5080")[0], "UDP 192.0.2.7:5080");
    assert_eq!(world.all("sips:a@192.0.2.7")[0], "TLS 192.0.2.7:5061");
    assert_eq!(world.all("sip:a@[2001:db8::7];transport=tcp")[0], "TCP [2001:db8::7]:5060");
    assert_eq!(world.all("sip:a@192.0.2.7;transport=ws")[0], "WS 192.0.2.7:80");
    assert_eq!(world.all("sips:a@192.0.2.7;transport=ws")[0], "WSS 192.0.2.7:443");
    assert!(world.asked.is_empty());
}

#[test]
fn the_address_in_maddr_is_used_in_place_of_the_host() {
    let mut world = World::new();
    world.locate(1, "sip:a@example.com;maddr=192.0.2.9");
    let Some(Output::Target { target, .. }) = world.output() else { panic!("no target") };
    assert_eq!(target.address, "192.0.2.9:5060".parse().unwrap());
    assert_eq!(target.identity, Host::Name(name("example.com")));
}

#[test]
fn an_explicit_port_asks_for_addresses_alone() {
    let mut world = example();
    assert_eq!(world.all("sip:a@example.com:5060"), ["UDP 192.0.2.80:5060", "Unreachable"]);
    assert_eq!(world.all("sips:a@example.com:5099")[0], "TLS 192.0.2.80:5099");
    assert_eq!(world.all("sip:a@example.com:5099;transport=tcp")[0], "TCP 192.0.2.80:5099");
    assert_eq!(world.kinds_asked(), ["example.com A"]);
}

#[test]
fn an_explicit_transport_asks_for_its_servers_without_naptr() {
    let mut world = example();
    assert_eq!(
        world.all("sip:a@example.com;transport=tcp"),
        ["TCP 192.0.2.1:5060", "TCP 192.0.2.2:5060", "Unreachable"]
    );
    assert_eq!(world.asked[0], query("_sip._tcp.example.com", Kind::Srv));
    assert_eq!(world.all("sip:a@example.com;transport=tls")[0], "TLS 192.0.2.1:5061");
    assert_eq!(world.all("sips:a@example.com;transport=tcp")[0], "TLS 192.0.2.1:5061");
}

#[test]
fn naptr_of_the_lowest_order_that_we_support_chooses_the_transport() {
    assert_eq!(example().all("sip:a@example.com"), ["TLS 192.0.2.1:5061", "Unreachable"]);
    let mut without_tls = example().having(&[Transport::Udp, Transport::Tcp]);
    assert_eq!(
        without_tls.all("sip:a@example.com"),
        ["TCP 192.0.2.1:5060", "TCP 192.0.2.2:5060", "Unreachable"]
    );
    let mut udp = example().having(&[Transport::Udp]);
    assert_eq!(udp.all("sip:a@example.com"), ["UDP 192.0.2.2:5060", "Unreachable"]);
}

#[test]
fn naptr_of_one_order_are_tried_by_preference() {
    let mut world = World::new()
        .naptr("h", &[naptr(1, 20, "sip+d2u", "u.h"), naptr(1, 10, "SIP+D2T", "t.other")])
        .srv("u.h", &[srv(0, 0, 1, "a.h")])
        .srv("t.other", &[srv(0, 0, 2, "a.h")])
        .a("a.h", &["192.0.2.1"]);
    assert_eq!(world.all("sip:h"), ["TCP 192.0.2.1:2", "UDP 192.0.2.1:1", "Unreachable"]);
}

#[test]
fn sips_takes_services_over_tls_alone() {
    let mut world = World::new()
        .naptr("h", &[naptr(1, 1, "SIP+D2U", "u.h"), naptr(2, 1, "SIPS+D2T", "s.h")])
        .srv("u.h", &[srv(0, 0, 1, "a.h")])
        .srv("s.h", &[srv(0, 0, 2, "a.h")])
        .a("a.h", &["192.0.2.1"]);
    assert_eq!(world.all("sips:h"), ["TLS 192.0.2.1:2", "Unreachable"]);
    assert_eq!(world.all("sip:h"), ["UDP 192.0.2.1:1", "Unreachable"]);
}

#[test]
fn websocket_is_found_by_its_naptr_services() {
    let mut world = World::new()
        .naptr("h", &[naptr(1, 1, "SIP+D2W", "w.h"), naptr(1, 2, "SIPS+D2W", "s.h")])
        .srv("w.h", &[srv(0, 0, 8080, "a.h")])
        .srv("s.h", &[srv(0, 0, 8443, "a.h")])
        .a("a.h", &["192.0.2.1"]);
    assert_eq!(world.all("sip:h"), ["WS 192.0.2.1:8080", "WSS 192.0.2.1:8443", "Unreachable"]);
    assert_eq!(world.all("sips:h"), ["WSS 192.0.2.1:8443", "Unreachable"]);
    assert_eq!(World::new().a("h", &["192.0.2.1"]).all("sip:h;transport=ws")[0], "WS 192.0.2.1:80");
}

#[test]
fn a_naptr_with_regexp_another_flag_or_another_service_is_discarded() {
    let mut odd = vec![
        Naptr { has_regexp: true, ..naptr(1, 1, "SIP+D2T", "x.h") },
        Naptr { flags: "a".into(), ..naptr(1, 2, "SIP+D2T", "x.h") },
        Naptr { flags: "".into(), ..naptr(1, 3, "SIP+D2T", "h") },
        naptr(1, 4, "E2U+sip", "x.h"),
        naptr(1, 5, "SIP+D2S", "x.h"),
        naptr(1, 6, "SIP+D2T", "."),
    ];
    let zone = || World::new().srv("_sip._udp.h", &[srv(0, 0, 7, "a.h")]).a("a.h", &["192.0.2.1"]);
    assert_eq!(zone().naptr("h", &odd).all("sip:h"), ["UDP 192.0.2.1:7", "Unreachable"]);
    odd.push(naptr(9, 9, "SIP+D2U", "u.h"));
    let mut world = zone().naptr("h", &odd).srv("u.h", &[srv(0, 0, 8, "a.h")]);
    assert_eq!(world.all("sip:h"), ["UDP 192.0.2.1:8", "Unreachable"]);
}

#[test]
fn without_naptr_the_servers_of_every_supported_transport_are_asked_for() {
    let mut world = World::new()
        .srv("_sip._tcp.h", &[srv(0, 0, 2, "a.h")])
        .srv("_sips._tcp.h", &[srv(0, 0, 3, "a.h")])
        .a("a.h", &["192.0.2.1"]);
    assert_eq!(world.all("sip:h"), ["TCP 192.0.2.1:2", "TLS 192.0.2.1:3", "Unreachable"]);
    assert_eq!(
        world.kinds_asked(),
        ["h NAPTR", "_sip._tcp.h SRV", "_sip._udp.h SRV", "_sips._tcp.h SRV", "a.h A"]
    );
    assert_eq!(world.all("sips:h"), ["TLS 192.0.2.1:3", "Unreachable"]);
}

#[test]
fn without_srv_the_host_itself_is_tried_at_the_default_port() {
    let mut world = World::new().a("h", &["192.0.2.1", "192.0.2.2"]);
    assert_eq!(world.all("sip:h"), ["UDP 192.0.2.1:5060", "UDP 192.0.2.2:5060", "Unreachable"]);
    assert_eq!(world.all("sips:h")[0], "TLS 192.0.2.1:5061");
    assert_eq!(world.all("sip:h;transport=tls")[0], "TLS 192.0.2.1:5061");
    let mut large = World::new().a("h", &["192.0.2.1"]);
    large.transports = large.transports.without(Transport::Udp);
    assert_eq!(large.all("sip:h")[0], "TCP 192.0.2.1:5060");
}

#[test]
fn the_transport_of_a_naptr_is_kept_when_its_service_has_no_records() {
    let mut world = World::new().naptr("h", &[naptr(1, 1, "SIP+D2T", "t.h")]).a("h", &["192.0.2.1"]);
    assert_eq!(world.all("sip:h"), ["TCP 192.0.2.1:5060", "Unreachable"]);
}

#[test]
fn the_root_as_a_target_means_the_service_is_not_there() {
    let mut world = World::new().srv("_sip._udp.h", &[srv(0, 0, 0, ".")]).a("h", &["192.0.2.1"]);
    assert_eq!(world.all("sip:h;transport=udp"), ["NotFound"]);
    let mut other = world.srv("_sip._tcp.h", &[srv(0, 0, 5060, "h")]);
    other.wait(Duration::from_secs(31));
    assert_eq!(other.all("sip:h"), ["TCP 192.0.2.1:5060", "Unreachable"]);
}

#[test]
fn both_families_of_a_server_are_tried_before_the_next_server() {
    let zone = |families| {
        World::with(families)
            .srv("_sip._udp.h", &[srv(1, 0, 1, "a.h"), srv(2, 0, 2, "b.h")])
            .a("a.h", &["192.0.2.1"])
            .aaaa("a.h", &["2001:db8::1"])
            .a("b.h", &["192.0.2.2"])
    };
    let uri = "sip:h;transport=udp";
    let (one, six, two) = ("UDP 192.0.2.1:1", "UDP [2001:db8::1]:1", "UDP 192.0.2.2:2");
    assert_eq!(zone(Families::Ipv6First).all(uri), [six, one, two, "Unreachable"]);
    assert_eq!(zone(Families::Ipv4First).all(uri), [one, six, two, "Unreachable"]);
    assert_eq!(zone(Families::Ipv4).all(uri), [one, two, "Unreachable"]);
    assert_eq!(zone(Families::Ipv6).all(uri), [six, "Unreachable"]);
}

#[test]
fn what_we_do_not_have_is_unsupported() {
    assert_eq!(World::new().all("sip:a@[2001:db8::1]"), ["Unsupported"]);
    let mut udp = example().having(&[Transport::Udp]);
    assert_eq!(udp.all("sip:example.com;transport=tcp"), ["Unsupported"]);
    assert_eq!(udp.all("sips:example.com"), ["Unsupported"]);
    assert_eq!(World::new().having(&[]).all("sip:example.com"), ["Unsupported"]);
}

#[test]
fn the_certificate_must_name_the_host_of_the_uri_whatever_the_dns_says() {
    let mut world = World::new()
        .naptr("example.com", &[naptr(1, 1, "SIPS+D2T", "_sips._tcp.other.net")])
        .srv("_sips._tcp.other.net", &[srv(0, 0, 5061, "server.other.net")])
        .a("server.other.net", &["192.0.2.1"]);
    world.locate(1, "sips:a@Example.com");
    let Some(Output::Target { target, .. }) = world.output() else { panic!("no target") };
    assert_eq!(target.identity, Host::Name(name("example.com")));
}

fn respond(world: &mut World, via: &str) -> Vec<String> {
    let destination = Destination::of_via(&Via::parse(via.as_bytes()).unwrap()).unwrap();
    world.input(Input::Locate { id: LocationId(9), destination, transports: world.transports });
    let mut told = vec![world.told()];
    while world.resolver.locations() > 0 {
        told.push(world.fail(9, Failure::Unavailable { retry_after: None }));
    }
    told
}

#[test]
fn a_response_follows_received_then_the_sent_by() {
    let mut world = example();
    let told = respond(&mut world, "SIP/2.0/TCP example.com:5070;branch=z9hG4bK1;received=192.0.2.50");
    assert_eq!(told, ["TCP 192.0.2.50:5070", "TCP 192.0.2.80:5070", "Unreachable"]);
    let told = respond(&mut world, "SIP/2.0/UDP 192.0.2.3;branch=z9hG4bK1;received=192.0.2.50");
    assert_eq!(told, ["UDP 192.0.2.3:5060", "Unreachable"]);
    let told = respond(&mut world, "SIP/2.0/TLS example.com;branch=z9hG4bK1");
    assert_eq!(told, ["TLS 192.0.2.1:5061", "Unreachable"]);
    let told = respond(&mut world, "SIP/2.0/TCP example.com;branch=z9hG4bK1;received=192.0.2.50");
    assert_eq!(told, ["TCP 192.0.2.50:5060", "TCP 192.0.2.1:5060", "TCP 192.0.2.2:5060", "Unreachable"]);
}
