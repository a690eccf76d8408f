//! Calls to peers that are known by name: how they are found, and which server is next (RFC 3263; RFC 3261 §18.1.1).

use crate::stage::{Stage, sdp};
use core::time::Duration;
use sip_stack::message::Message;
use sip_stack::resolve::{Answer, Kind, Name, Query, Records, Srv};
use sip_stack::transport::Transport;
use softswitch::core::{Alarm, Event, Holdings, Input, Output, Told};
use std::net::{Ipv6Addr, SocketAddr};

const PCMU: &str = "m=audio 4000 RTP/AVP 0\r\n";

const STREAM_LISTENERS: &str = "[[listener]]\naddress = \"127.0.0.1:5060\"\ntransport = \"tcp\"\n\
    [[listener]]\naddress = \"127.0.0.1:5061\"\ntransport = \"tls\"\n\
    [tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";

/// A stage whose caller calls 8000, which a peer with these lines serves.
fn stage(peer: &str) -> Stage {
    stage_with(STREAM_LISTENERS, peer)
}

/// The same with these listeners beside the one of UDP over IPv4.
fn stage_with(listeners: &str, peer: &str) -> Stage {
    let route = "[[route]]\npattern = \"8XXX\"\npeer = \"carrier\"\n";
    Stage::with(&format!("{listeners}[[peer]]\nid = \"carrier\"\n{peer}\n{route}"), "8000", 0)
}

/// The INVITE to a peer with these lines, of a caller with these headers.
fn identified(peer: &str, headers: &str) -> Message {
    let mut stage = stage(&format!("address = \"127.0.0.9\"\ntransport = \"udp\"\n{peer}"));
    stage.headers = headers.into();
    stage.invite(&sdp(PCMU));
    let (_, _, invite) = stage.invites().pop().expect("the peer is called");
    invite
}

#[test]
fn a_caller_that_wants_it_is_anonymous_and_known_to_a_trusted_peer_alone() {
    let user = |address: &sip_stack::header::NameAddr<'_>| address.uri.user.map(<[u8]>::to_vec);
    let open = identified("", "");
    assert_eq!(user(&open.from().unwrap()).as_deref(), Some(&b"1000"[..]));
    assert!(open.asserted_identities().unwrap().is_empty());
    let hidden = identified("", "Privacy: id\r\nP-Asserted-Identity: <sip:boss@example.com>\r\n");
    assert_eq!(hidden.from().unwrap().uri.text, b"sip:anonymous@anonymous.invalid");
    assert!(!String::from_utf8_lossy(hidden.bytes()).contains("1000@"), "nowhere");
    let trusted =
        identified("trusted = true", "Privacy: id\r\nP-Asserted-Identity: <sip:boss@example.com>\r\n");
    assert_eq!(trusted.from().unwrap().uri.text, b"sip:anonymous@anonymous.invalid");
    let asserted = trusted.asserted_identities().unwrap();
    assert_eq!(
        asserted.iter().map(user).collect::<Vec<_>>(),
        [Some(b"1000".to_vec())],
        "who it proved to be"
    );
    assert!(trusted.privacy().id);
    assert!(!identified("trusted = true", "").privacy().id);
}

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).expect("a name")
}

fn asked(stage: &Stage) -> Vec<String> {
    stage.questions().iter().map(Query::to_string).collect()
}

/// Answers every question until none is left, from this zone: two servers over UDP, the first before the second, and one
/// over TCP.
fn answer_all(stage: &mut Stage) {
    let questions = stage.questions();
    answer_these(stage, questions);
}

/// Answers these questions and what follows from them.
fn answer_these(stage: &mut Stage, mut questions: Vec<Query>) {
    while let Some(query) = questions.pop() {
        let srv = |priority, host: &str| Srv { priority, weight: 1, port: 5070, target: Some(name(host)) };
        let records = match (query.kind, query.name.as_str()) {
            (Kind::Srv, "_sip._udp.carrier.example") => {
                Some(Records::Srv(vec![srv(1, "a.carrier.example"), srv(2, "b.carrier.example")]))
            }
            (Kind::Srv, "_sip._tcp.carrier.example") => Some(Records::Srv(vec![srv(1, "t.carrier.example")])),
            (Kind::Srv, "_sips._tcp.carrier.example") => {
                Some(Records::Srv(vec![srv(1, "t.carrier.example")]))
            }
            (Kind::A, "a.carrier.example") => Some(Records::A(vec![[127, 0, 0, 21].into()])),
            (Kind::A, "b.carrier.example") => Some(Records::A(vec![[127, 0, 0, 22].into()])),
            (Kind::A, "t.carrier.example") => Some(Records::A(vec![[127, 0, 0, 23].into()])),
            (Kind::Aaaa, "six.example") => Some(Records::Aaaa(vec![SIX])),
            _ => None,
        };
        let ttl = Duration::from_secs(300);
        let answer = records.map_or(Answer::NoSuchName, |records| Answer::Records { records, ttl });
        stage.input(Input::Resolved { query, answer });
        if questions.is_empty() || !stage.questions().is_empty() {
            questions.extend(stage.questions());
        }
    }
}

/// The address of a peer that has none of IPv4.
const SIX: Ipv6Addr = Ipv6Addr::LOCALHOST;

/// The only INVITE of the last step.
fn invite(stage: &Stage) -> (Transport, SocketAddr, Message) {
    let mut invites = stage.invites();
    assert_eq!(invites.len(), 1, "one INVITE");
    invites.remove(0)
}

fn called(stage: &Stage) -> (Transport, String) {
    let (transport, peer, _) = invite(stage);
    (transport, peer.to_string())
}

const FIRST: &str = "127.0.0.21:5070";
const SECOND: &str = "127.0.0.22:5070";
/// The server over TCP and TLS.
const STREAMS: &str = "127.0.0.23:5070";

/// 8000 was dialled and the first server is called.
fn calling() -> Stage {
    let mut stage = stage("address = \"carrier.example\"");
    stage.dial(&sdp(PCMU));
    assert_eq!(asked(&stage), ["carrier.example NAPTR"]);
    answer_all(&mut stage);
    stage.open_media();
    assert_eq!(called(&stage), (Transport::Udp, FIRST.into()));
    stage
}

#[test]
fn a_peer_is_found_by_its_name_and_called_by_it() {
    let stage = calling();
    let (_, _, invite) = invite(&stage);
    assert_eq!(invite.uri().expect("a URI").host, b"carrier.example");
}

#[test]
fn the_next_server_is_called_when_one_is_busy_with_others() {
    let mut stage = calling();
    let (_, _, invite) = invite(&stage);
    stage.reply(&invite, "503 Service Unavailable\r\nRetry-After: 30", "");
    answer_all(&mut stage);
    assert_eq!(called(&stage), (Transport::Udp, SECOND.into()));
}

#[test]
fn the_next_server_is_called_when_one_cannot_be_reached() {
    let mut stage = calling();
    stage.invite_is_not_sent();
    answer_all(&mut stage);
    assert_eq!(called(&stage), (Transport::Udp, SECOND.into()));
}

#[test]
fn what_a_server_answers_is_the_answer_of_the_peer() {
    let mut stage = calling();
    let (_, _, invite) = invite(&stage);
    stage.reply(&invite, "486 Busy Here", "");
    stage.response_to_caller(486);
    assert!(stage.questions().is_empty() && stage.invites().is_empty());
}

#[test]
fn when_every_server_has_failed_the_caller_hears_of_it_and_not_with_503() {
    let mut stage = calling();
    let over = |transport, server: &str| (transport, server.to_owned());
    for server in [
        over(Transport::Udp, FIRST),
        over(Transport::Udp, SECOND),
        over(Transport::Tcp, STREAMS),
        over(Transport::Tls, STREAMS),
    ] {
        assert_eq!(called(&stage), server);
        let (_, _, invite) = invite(&stage);
        stage.reply(&invite, "503 Service Unavailable", "");
        answer_all(&mut stage);
    }
    stage.response_to_caller(500);
}

#[test]
fn a_name_that_leads_nowhere_is_an_error_of_the_switch() {
    let mut stage = stage("address = \"nowhere.example\"");
    stage.dial(&sdp(PCMU));
    answer_all(&mut stage);
    stage.response_to_caller(500);
    assert_eq!(stage.switch.calls(), 0);
}

#[test]
fn a_caller_may_give_up_while_the_peer_is_looked_for() {
    let mut stage = stage("address = \"carrier.example\"");
    stage.dial(&sdp(PCMU));
    let questions = stage.questions();
    stage.cancel();
    stage.response_to_caller(487);
    assert_eq!(stage.switch.calls(), 0);
    for query in questions {
        stage.input(Input::Resolved { query, answer: Answer::NoSuchName });
        assert!(stage.questions().is_empty(), "nothing is looked for any more");
    }
}

#[test]
fn a_caller_may_give_up_while_the_ports_of_a_call_to_a_peer_are_reserved() {
    let mut stage = stage("address = \"carrier.example\"");
    stage.dial(&sdp(PCMU));
    answer_all(&mut stage);
    assert_eq!(stage.switch.holdings().locations, 1);
    stage.cancel();
    stage.response_to_caller(487);
    assert_eq!(stage.switch.holdings().locations, 0, "no server is wanted any more");
    assert_eq!(stage.switch.calls(), 1, "the ports are on their way");
    stage.open_media();
    assert!(stage.invites().is_empty());
    stage.close_media();
    assert_eq!(stage.switch.calls(), 0);
}

#[test]
fn it_may_ring_no_longer_while_the_next_server_is_looked_for() {
    let mut stage = calling();
    let (_, _, invite) = invite(&stage);
    stage.reply(&invite, "180 Ringing", "");
    stage.pass(184);
    stage.reply(&invite, "503 Service Unavailable", "");
    let questions = stage.questions();
    assert!(!questions.is_empty(), "the DNS is asked for the second server");
    stage.wait_for_response(480);
    assert_eq!(stage.switch.holdings().locations, 0);
    for query in questions {
        let (records, ttl) = (Records::A(vec![[127, 0, 0, 22].into()]), Duration::from_secs(9));
        stage.input(Input::Resolved { query, answer: Answer::Records { records, ttl } });
        assert!(stage.invites().is_empty(), "nobody is called any more");
    }
}

#[test]
fn a_call_goes_on_to_a_peer_that_a_reload_removes_while_it_is_looked_for() {
    let mut stage = stage("address = \"carrier.example\"");
    stage.dial(&sdp(PCMU));
    let questions = stage.questions();
    stage.reload(STREAM_LISTENERS);
    answer_these(&mut stage, questions);
    stage.open_media();
    assert_eq!(called(&stage), (Transport::Udp, FIRST.into()));
    let (_, _, invite) = invite(&stage);
    stage.reply(&invite, "486 Busy Here", "");
    stage.response_to_caller(486);
    stage.close_media();
    stage.pass(7_200);
    assert_eq!((stage.switch.poll_timeout(), stage.switch.holdings()), (None, Holdings::default()));
}

#[test]
fn a_name_that_has_only_addresses_of_a_family_without_listeners_leads_nowhere() {
    let mut stage = stage("address = \"six.example:5080\"");
    stage.dial(&sdp(PCMU));
    assert_eq!(asked(&stage), ["six.example A"], "we have nothing to send from to an AAAA");
    answer_all(&mut stage);
    stage.response_to_caller(500);
    assert_eq!(stage.switch.calls(), 0);
}

#[test]
fn an_address_is_passed_over_when_no_listener_of_its_transport_is_of_its_family() {
    let over_tcp = "[[listener]]\naddress = \"[::1]:5060\"\ntransport = \"tcp\"\n";
    let mut tcp = stage_with(over_tcp, "address = \"six.example:5080\"\ntransport = \"tcp\"");
    tcp.dial(&sdp(PCMU));
    answer_all(&mut tcp);
    tcp.open_media();
    assert_eq!(called(&tcp), (Transport::Tcp, SocketAddr::from((SIX, 5080)).to_string()));

    let mut udp = stage_with(over_tcp, "address = \"six.example:5080\"\ntransport = \"udp\"");
    udp.dial(&sdp(PCMU));
    answer_all(&mut udp);
    udp.response_to_caller(500);
    assert_eq!((udp.switch.calls(), udp.switch.holdings().locations), (0, 0));
}

#[test]
fn the_next_server_is_called_when_one_is_silent() {
    let mut stage = calling();
    stage.wait_for_questions();
    answer_all(&mut stage);
    assert_eq!(called(&stage), (Transport::Udp, SECOND.into()));
}

#[test]
fn a_name_that_is_not_found_in_time_is_given_up() {
    let mut stage = stage("address = \"carrier.example\"");
    stage.dial(&sdp(PCMU));
    stage.wait_for_response(504);
    assert_eq!(stage.switch.calls(), 0);
}

#[test]
fn a_lost_acknowledgement_of_a_503_does_not_end_the_search() {
    let mut stage = calling();
    let (_, _, invite) = invite(&stage);
    stage.reply(&invite, "503 Service Unavailable", "");
    let questions = stage.questions();
    // The ACK.
    stage.invite_is_not_sent();
    for query in questions {
        let records = Records::A(vec![[127, 0, 0, 22].into()]);
        stage.input(Input::Resolved {
            query,
            answer: Answer::Records { records, ttl: Duration::from_secs(9) },
        });
    }
    assert_eq!(called(&stage), (Transport::Udp, SECOND.into()));
}

#[test]
fn a_port_asks_for_addresses_alone_and_a_transport_for_its_services() {
    let mut by_port = stage("address = \"a.carrier.example:5080\"");
    by_port.dial(&sdp(PCMU));
    assert_eq!(asked(&by_port), ["a.carrier.example A"]);
    answer_all(&mut by_port);
    by_port.open_media();
    assert_eq!(called(&by_port), (Transport::Udp, "127.0.0.21:5080".into()));

    let mut over_tls = stage("address = \"carrier.example\"\ntransport = \"tls\"");
    over_tls.dial(&sdp(PCMU));
    assert_eq!(asked(&over_tls), ["_sips._tcp.carrier.example SRV"]);
    answer_all(&mut over_tls);
    assert_eq!(over_tls.identified(), ["carrier.example"], "its certificate names what was looked up");
    over_tls.open_media();
    assert_eq!(called(&over_tls), (Transport::Tls, STREAMS.into()));
}

/// An offer that makes our own INVITE larger than 1,300 octets.
fn large() -> String {
    let formats: String = (96..127).map(|format| format!(" {format}")).collect();
    let maps: String = (96..127)
        .map(|format| format!("a=rtpmap:{format} codec-with-a-rather-long-name-{format}/8000\r\n"))
        .collect();
    sdp(&format!("m=audio 4000 RTP/AVP 0{formats}\r\n{maps}"))
}

#[test]
fn a_large_invite_goes_over_a_stream_and_over_udp_only_when_there_is_none() {
    let mut stage = stage("address = \"carrier.example\"");
    stage.dial(&large());
    answer_all(&mut stage);
    stage.open_media();
    answer_all(&mut stage);
    for transport in [Transport::Tcp, Transport::Tls] {
        assert_eq!(called(&stage), (transport, STREAMS.into()));
        stage.invite_is_not_sent();
        answer_all(&mut stage);
    }
    assert_eq!(called(&stage), (Transport::Udp, FIRST.into()));
}

#[test]
fn a_large_invite_stays_on_udp_where_the_configuration_says_udp() {
    let mut stage = stage("address = \"127.0.0.21:5070\"\ntransport = \"udp\"");
    stage.invite(&large());
    assert_eq!(called(&stage), (Transport::Udp, FIRST.into()));
}

#[test]
fn three_questions_without_an_answer_are_an_alarm_that_the_next_answer_clears() {
    let mut stage = stage("address = \"carrier.example\"");
    let is_alarm = |stage: &Stage, wanted: fn(&Event) -> bool| {
        let told = stage.outputs.iter().filter_map(|output| match output {
            Output::Event(Told { event, .. }) => Some(event),
            _ => None,
        });
        told.into_iter().any(wanted)
    };
    let raised = |event: &Event| matches!(event, Event::AlarmRaised { alarm: Alarm::NameServers });
    let cleared = |event: &Event| matches!(event, Event::AlarmCleared { alarm: Alarm::NameServers, .. });
    stage.dial(&sdp(PCMU));
    let questions = stage.questions();
    assert!(!questions.is_empty());
    let mut silent = 0;
    for query in questions.iter().cycle().take(3) {
        assert!(!is_alarm(&stage, raised), "one or two may be about a domain whose own servers are dead");
        stage.input(Input::Resolved { query: query.clone(), answer: Answer::TimedOut });
        silent += 1;
    }
    assert!(silent == 3 && is_alarm(&stage, raised));
    let query = questions[0].clone();
    stage.input(Input::Resolved { query, answer: Answer::NoSuchName });
    assert!(is_alarm(&stage, cleared));
}
