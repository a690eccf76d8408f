//! The thread against a small DNS server on the loopback interface.

use super::*;
use crate::message::Uri;
use crate::random::Random;
use crate::resolve::{
    Destination, Families, Input, Kind, LocationId, Name, Naptr, Output, Records, Resolver, Settings, Srv,
    TransportSet,
};
use crate::time::Time;
use crate::transport::Transport;
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name as DnsName, RData, Record, RecordType};
use std::net::UdpSocket;
use std::sync::mpsc as std_mpsc;

fn dns_name(text: &str) -> DnsName {
    DnsName::from_ascii(text).unwrap()
}

fn record(name: &str, ttl: u32, data: RData) -> Record {
    Record::from_rdata(dns_name(name), ttl, data)
}

/// What the server says to a question: records, or an error.
fn zone(name: &str, kind: RecordType) -> Result<Vec<Record>, ResponseCode> {
    let naptr = |services: &[u8]| {
        let (flags, services) = (Box::from(&b"s"[..]), Box::from(services));
        RData::NAPTR(NAPTR::new(10, 20, flags, services, Box::default(), dns_name("_sip._udp.example.com.")))
    };
    let srv = |target: &str| RData::SRV(SRV::new(1, 2, 5070, dns_name(target)));
    match (name, kind) {
        ("example.com.", RecordType::NAPTR) => {
            Ok(vec![record(name, 60, naptr(b"SIP+D2U")), record(name, 30, naptr(b"\xff"))])
        }
        ("_sip._udp.example.com.", RecordType::SRV) => {
            Ok(vec![record(name, 60, srv("Sip.Example.com.")), record(name, 60, srv("."))])
        }
        ("sip.example.com.", RecordType::A) => Ok(vec![
            record(name, 20, RData::CNAME(CNAME(dns_name("host.example.com.")))),
            record("host.example.com.", 60, RData::A(A::new(192, 0, 2, 1))),
        ]),
        ("sip.example.com.", RecordType::AAAA) => {
            Ok(vec![record(name, 60, RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)))])
        }
        ("empty.example.com.", _) => Ok(Vec::new()),
        ("broken.example.com.", _) => Err(ResponseCode::ServFail),
        (_, _) => Err(ResponseCode::NXDomain),
    }
}

fn reply(request: &[u8]) -> Option<Vec<u8>> {
    let request = Message::from_vec(request).ok()?;
    let question = request.queries.first()?.clone();
    let name = question.name().to_ascii();
    if name.eq_ignore_ascii_case("silent.example.com.") {
        return None;
    }
    let mut response = Message::new(request.metadata.id, MessageType::Response, OpCode::Query);
    response.metadata.recursion_desired = true;
    response.metadata.recursion_available = true;
    response.add_query(question.clone());
    match zone(&name.to_ascii_lowercase(), question.query_type()) {
        Ok(records) => {
            response.add_answers(records);
        }
        Err(code) => response.metadata.response_code = code,
    }
    response.to_vec().ok()
}

/// Serves the zone until the process ends; returns the address.
#[expect(clippy::disallowed_methods, reason = "a real socket is what is tested")]
fn serve() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let thread = std::thread::Builder::new().name("test-dns".into());
    thread
        .spawn(move || {
            let mut buffer = [0; 2_048];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                if let Some(reply) = reply(&buffer[..length]) {
                    socket.send_to(&reply, peer).unwrap();
                }
            }
        })
        .unwrap();
    address
}

/// The thread, and what hears that it has an answer.
fn asking() -> (Dns, std_mpsc::Receiver<()>) {
    let (woken, wakes) = std_mpsc::channel();
    let wake = Arc::new(move || woken.send(()).unwrap_or_default());
    (start(&Servers::Listed(vec![serve()]), wake).unwrap(), wakes)
}

fn query(name: &str, kind: Kind) -> Query {
    Query { name: Name::new(name.as_bytes()).unwrap(), kind }
}

fn ask(name: &str, kind: Kind) -> Answer {
    let (mut dns, wakes) = asking();
    dns.ask(query(name, kind)).unwrap();
    wakes.recv_timeout(Duration::from_secs(60)).unwrap();
    let (asked, answer) = dns.poll_answer().unwrap();
    assert_eq!(asked, query(name, kind));
    assert_eq!(dns.poll_answer(), None);
    answer
}

#[test]
fn a_resolver_locates_a_domain_through_the_thread() {
    let (mut dns, wakes) = asking();
    let settings = Settings { families: Families::Ipv6First, ..Settings::default() };
    let mut resolver = Resolver::new(settings, Random::new([1; 32]));
    let destination = Destination::of_uri(&Uri::parse(b"sip:alice@example.com").unwrap()).unwrap();
    let transports = TransportSet::from_iter([Transport::Udp, Transport::Tcp]);
    let locate = Input::Locate { id: LocationId(1), destination, transports };
    resolver.handle_input(Time(0), locate).unwrap();
    let target = loop {
        match resolver.poll_output() {
            Some(Output::Query(query)) => dns.ask(query).unwrap(),
            Some(Output::Target { target, .. }) => break target,
            Some(Output::Exhausted { reason, .. }) => panic!("{reason:?}"),
            None => {
                wakes.recv_timeout(Duration::from_secs(60)).unwrap();
                let (query, answer) = dns.poll_answer().unwrap();
                resolver.handle_input(Time(0), Input::Answer { query, answer }).unwrap();
            }
        }
    };
    assert_eq!((target.transport, target.address), (Transport::Udp, "[2001:db8::1]:5070".parse().unwrap()));
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn naptr_records_are_read_and_those_that_are_no_text_left_out() {
    let naptr = Naptr {
        order: 10,
        preference: 20,
        flags: "s".into(),
        services: "SIP+D2U".into(),
        has_regexp: false,
        replacement: Name::new(b"_sip._udp.example.com"),
    };
    let expected = Answer::Records { records: Records::Naptr(vec![naptr]), ttl: seconds(30) };
    assert_eq!(ask("example.com", Kind::Naptr), expected);
}

#[test]
fn srv_records_are_read_and_the_root_is_no_host() {
    let srv = |target| Srv { priority: 1, weight: 2, port: 5070, target };
    let records = Records::Srv(vec![srv(Name::new(b"sip.example.com")), srv(None)]);
    let expected = Answer::Records { records, ttl: seconds(60) };
    assert_eq!(ask("_sip._udp.example.com", Kind::Srv), expected);
}

#[test]
fn addresses_are_found_behind_an_alias_and_live_no_longer_than_it() {
    let records = Records::A(vec!["192.0.2.1".parse().unwrap()]);
    assert_eq!(ask("sip.example.com", Kind::A), Answer::Records { records, ttl: seconds(20) });
    let records = Records::Aaaa(vec!["2001:db8::1".parse().unwrap()]);
    assert_eq!(ask("sip.example.com", Kind::Aaaa), Answer::Records { records, ttl: seconds(60) });
}

#[test]
fn no_such_name_no_records_and_a_failure_are_told_apart() {
    assert_eq!(ask("none.example.com", Kind::Srv), Answer::NoSuchName);
    assert_eq!(ask("empty.example.com", Kind::A), Answer::NoSuchName);
    assert_eq!(ask("broken.example.com", Kind::A), Answer::Failed);
}

#[test]
fn a_silent_server_does_not_hold_up_other_questions_nor_the_end() {
    let (mut dns, wakes) = asking();
    dns.ask(query("silent.example.com", Kind::A)).unwrap();
    dns.ask(query("sip.example.com", Kind::A)).unwrap();
    wakes.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(dns.poll_answer().unwrap().0, query("sip.example.com", Kind::A));
}

#[test]
fn more_questions_than_the_queue_holds_are_handed_back() {
    let (dns, _wakes) = asking();
    let refused = (0..10 * QUEUE)
        .find_map(|number| dns.ask(query(&format!("silent{number}.silent.example.com"), Kind::A)).err());
    assert!(refused.is_some());
}
