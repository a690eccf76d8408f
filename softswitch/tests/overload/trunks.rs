//! The switch as a client of its peers: registration with credentials, failures, reloads, and whether a peer lives.

use crate::world::{PHONE, World, code, credentials};
use sip_stack::auth::{Algorithm, Credentials, Ha1, QopOffer, write_challenge};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use sip_stack::registration::Failure;
use softswitch::config;
use softswitch::core::{Event, Input};

const CARRIER: &str = "198.51.100.9:5060";
const PROXY: &str = "198.51.100.77:5060";

fn file(peer: &str) -> String {
    format!(
        "[[listener]]\naddress = \"192.0.2.1:5060\"\n[[users]]\nfrom = 1000\nto = 1009\npassword = \"secret\"\n\
         [[peer]]\nid = \"carrier\"\naddress = \"198.51.100.9:5060\"\ntransport = \"udp\"\n{peer}\n\
         [[route]]\npattern = \"8XXX\"\npeer = \"carrier\"\n"
    )
}

const ACCOUNT: &str = "register = true\nusername = \"49301234\"\npassword = \"geheim\"\nexpires_s = 600";

fn text(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

/// What the last step sent there of this method.
fn sent(world: &World, peer: &str, method: Method<'static>) -> Option<Message> {
    world.sent_to(peer).into_iter().find(|message| message.method() == Some(method))
}

/// What was sent there while time passed, the last one of this method.
fn sent_within(world: &mut World, ms: u64, peer: &str, method: Method<'static>) -> Option<Message> {
    world.pass(ms);
    sent(world, peer, method)
}

/// A challenge as a carrier makes it.
fn challenge() -> String {
    let mut value = Vec::new();
    write_challenge(
        &mut value,
        b"carrier.example",
        b"dcd98b7102dd2f0e8b11d0f600bfb0c0",
        Algorithm::Md5,
        QopOffer::Auth,
        false,
    );
    String::from_utf8(value).expect("ASCII")
}

/// Answers with these headers.
fn answer(world: &mut World, peer: &str, request: &Message, status: &str, headers: &str) {
    let copied = [HeaderName::Via, HeaderName::From, HeaderName::CallId, HeaderName::CSeq];
    let copied: String = copied
        .into_iter()
        .map(|name| format!("{}: {}\r\n", String::from_utf8_lossy(name.as_bytes()), text(request, name)))
        .collect();
    let to = text(request, HeaderName::To);
    world.feed(
        peer,
        format!("SIP/2.0 {status}\r\n{copied}To: {to};tag=t\r\n{headers}Content-Length: 0\r\n\r\n"),
    );
}

fn bound(request: &Message) -> String {
    format!("Contact: {};expires=600\r\n", text(request, HeaderName::Contact))
}

/// Registers through a challenge; the REGISTER that was accepted.
fn register(world: &mut World, first: &Message) -> Message {
    answer(world, CARRIER, first, "401 Unauthorized", &format!("WWW-Authenticate: {}\r\n", challenge()));
    let second = sent(world, CARRIER, Method::Register).expect("again, with credentials");
    answer(world, CARRIER, &second, "200 OK", &bound(&second));
    second
}

#[test]
fn the_switch_registers_with_its_credentials_and_refreshes_in_time() {
    let mut world = World::new(&file(ACCOUNT));
    let first = sent(&world, CARRIER, Method::Register).expect("it registers at once");
    assert_eq!(first.request_uri(), b"sip:198.51.100.9:5060");
    assert!(text(&first, HeaderName::To).starts_with("<sip:49301234@198.51.100.9:5060>"));
    assert_eq!(text(&first, HeaderName::Contact), "<sip:49301234@192.0.2.1:5060>");
    assert_eq!(text(&first, HeaderName::Expires), "600");
    let second = register(&mut world, &first);
    assert!(
        matches!(world.events()[..], [Event::PeerRegistered { expires_s: 600, .. }]),
        "{:?}",
        world.events()
    );
    assert_eq!(text(&second, HeaderName::CallId), text(&first, HeaderName::CallId));
    let shown = text(&second, HeaderName::Authorization);
    let shown = Credentials::parse(shown.as_bytes()).expect("credentials");
    let secret = Ha1::compute(&[Algorithm::Md5], b"49301234", b"carrier.example", b"geheim");
    assert!(shown.verify(QopOffer::Auth, b"REGISTER", b"", &secret).is_ok(), "they are right");
    // A refresh is no news.
    let refresh = sent_within(&mut world, 600_000, CARRIER, Method::Register).expect("a refresh");
    assert!(!text(&refresh, HeaderName::Authorization).is_empty(), "without another challenge");
    answer(&mut world, CARRIER, &refresh, "200 OK", &bound(&refresh));
    assert!(world.events().is_empty(), "{:?}", world.events());
}

#[test]
fn domain_user_and_outbound_proxy_are_those_of_the_file() {
    let lines = "from_user = \"main\"\nfrom_domain = \"ims.example\"\noutbound_proxy = \"198.51.100.77\"\n\
                 contact_user = \"inbound\"";
    let world = World::new(&file(&format!("{ACCOUNT}\n{lines}")));
    let first = sent(&world, PROXY, Method::Register).expect("it goes to the proxy");
    assert_eq!(first.request_uri(), b"sip:ims.example");
    assert!(text(&first, HeaderName::From).starts_with("<sip:main@ims.example>"));
    assert_eq!(text(&first, HeaderName::Route), "<sip:198.51.100.77;lr>");
    assert_eq!(text(&first, HeaderName::Contact), "<sip:inbound@192.0.2.1:5060>");
}

#[test]
fn a_peer_that_asks_who_calls_is_told_and_called_in_the_name_of_the_account() {
    let lines = "username = \"49301234\"\npassword = \"geheim\"\nfrom_user = \"main\"\nfrom_domain = \"ims.example\"\n\
                 outbound_proxy = \"198.51.100.77\"";
    let mut world = World::new(&file(lines));
    world.dial("8123");
    let first = sent(&world, PROXY, Method::Invite).expect("the peer is called, by the proxy");
    assert_eq!(first.request_uri(), b"sip:8123@198.51.100.9:5060");
    assert_eq!(text(&first, HeaderName::Route), "<sip:198.51.100.77;lr>");
    assert!(
        text(&first, HeaderName::From).starts_with("<sip:main@ims.example>"),
        "{}",
        text(&first, HeaderName::From)
    );
    answer(
        &mut world,
        PROXY,
        &first,
        "407 Proxy Authentication Required",
        &format!("Proxy-Authenticate: {}\r\n", challenge()),
    );
    let second = sent(&world, PROXY, Method::Invite).expect("again, with credentials");
    let shown = text(&second, HeaderName::ProxyAuthorization);
    let shown = Credentials::parse(shown.as_bytes()).expect("credentials");
    let secret = Ha1::compute(&[Algorithm::Md5], b"49301234", b"carrier.example", b"geheim");
    assert!(shown.verify(QopOffer::Auth, b"INVITE", second.body(), &secret).is_ok(), "they are right");
    world.reply(PROXY, &second, "200 OK", "");
    assert_eq!(world.sent_to(PHONE).last().map(code), Some(200), "the caller has its answer");
}

#[test]
fn a_peer_that_refuses_the_account_is_not_asked_for_ever() {
    let mut world = World::new(&file("username = \"49301234\"\npassword = \"geheim\""));
    world.dial("8123");
    for turn in 0..5 {
        let Some(invite) = sent(&world, CARRIER, Method::Invite) else {
            assert!(turn > 1, "it was told once at least");
            assert_eq!(
                world.sent_to(PHONE).last().map(code),
                Some(480),
                "and no challenge reaches the caller"
            );
            return;
        };
        answer(
            &mut world,
            CARRIER,
            &invite,
            "401 Unauthorized",
            &format!("WWW-Authenticate: {}\r\n", challenge()),
        );
    }
    panic!("again and again");
}

/// An INVITE for 1001 from there, by who says that it is `from`; its last answer.
fn called_by(world: &mut World, peer: &str, from: &str, call: u32) -> Option<u16> {
    world.feed(
        peer,
        format!(
            "INVITE sip:1001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {peer};branch=z9hG4bKin{call}\r\nMax-Forwards: 70\r\n\
             From: <sip:{from}>;tag=a\r\nTo: <sip:1001@192.0.2.1>\r\nCall-ID: in{call}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:x@{peer}>\r\nContent-Length: 0\r\n\r\n"
        ),
    );
    world.sent_to(peer).last().map(code)
}

#[test]
fn who_has_our_registration_calls_without_credentials_and_nobody_else() {
    let mut world = World::new(&file(ACCOUNT));
    let first = sent(&world, CARRIER, Method::Register).expect("it registers");
    let stranger = "+493099@carrier.example";
    assert_eq!(called_by(&mut world, CARRIER, stranger, 1), Some(401), "it has none yet");
    register(&mut world, &first);
    assert_eq!(called_by(&mut world, CARRIER, stranger, 2), Some(480), "nobody is there, but it may call");
    assert_eq!(
        called_by(&mut world, CARRIER, "1000@192.0.2.1", 3),
        Some(401),
        "a phone behind the same address"
    );
    assert_eq!(called_by(&mut world, "198.51.100.8:5060", stranger, 4), Some(401));
}

#[test]
fn a_wrong_password_is_told_and_not_tried_again() {
    let mut world = World::new(&file(ACCOUNT));
    let first = sent(&world, CARRIER, Method::Register).expect("it registers");
    let challenge = format!("WWW-Authenticate: {}\r\n", challenge());
    answer(&mut world, CARRIER, &first, "401 Unauthorized", &challenge);
    let second = sent(&world, CARRIER, Method::Register).expect("with credentials");
    answer(&mut world, CARRIER, &second, "401 Unauthorized", &challenge);
    let told = world.events();
    let [Event::PeerRegistrationFailed { failure, retry_s, peer, .. }] = told[..] else { panic!("{told:?}") };
    assert_eq!((&**peer, *failure, *retry_s), ("carrier", Failure::WrongCredentials, None));
    assert!(sent_within(&mut world, 3_600_000, CARRIER, Method::Register).is_none());
}

#[test]
fn a_carrier_that_does_not_answer_is_tried_until_it_does() {
    let mut world = World::new(&file(ACCOUNT));
    world.pass(33_000);
    let told = world.events();
    let [Event::PeerRegistrationFailed { failure: Failure::TimedOut, retry_s: Some(_), .. }] = told[..]
    else {
        panic!("{told:?}")
    };
    let mut request = None;
    for _ in 0..600 {
        request = request.or_else(|| sent_within(&mut world, 1_000, CARRIER, Method::Register));
    }
    let request = request.expect("it tries again");
    answer(&mut world, CARRIER, &request, "200 OK", &bound(&request));
    assert!(matches!(world.events()[..], [Event::PeerRegistered { .. }]) || world.events().is_empty());
}

#[test]
fn a_reload_takes_back_what_is_gone_and_registers_what_is_new() {
    let mut world = World::new(&file(ACCOUNT));
    let first = sent(&world, CARRIER, Method::Register).expect("it registers");
    register(&mut world, &first);
    let parse = |peer: &str| Box::new(config::parse("test.toml", &file(peer)).expect("valid"));
    world.input(Input::Configure(parse(ACCOUNT)));
    assert!(world.sent_to(CARRIER).is_empty(), "nothing has changed");
    world.input(Input::Configure(parse("")));
    let removal = sent(&world, CARRIER, Method::Register).expect("it is taken back");
    assert_eq!(text(&removal, HeaderName::Expires), "0");
    answer(&mut world, CARRIER, &removal, "200 OK", "");
    assert!(matches!(world.events()[..], [Event::PeerUnregistered { .. }]), "{:?}", world.events());
    assert_eq!(world.switch.holdings().trunks, 0);
    world.input(Input::Configure(parse(&ACCOUNT.replace("49301234", "49305678"))));
    let anew = sent(&world, CARRIER, Method::Register).expect("the new one");
    assert!(text(&anew, HeaderName::To).starts_with("<sip:49305678@"));
}

#[test]
fn another_account_registers_when_the_first_one_is_taken_back_and_other_keys_change_nothing() {
    let mut world = World::new(&file(ACCOUNT));
    let first = sent(&world, CARRIER, Method::Register).expect("it registers");
    register(&mut world, &first);
    let parse = |peer: &str| Box::new(config::parse("test.toml", &file(peer)).expect("valid"));
    world.input(Input::Configure(parse(&format!("{ACCOUNT}\nmax_calls = 7"))));
    assert!(world.sent_to(CARRIER).is_empty(), "it is none of the registration's business");
    world.input(Input::Configure(parse(&ACCOUNT.replace("49301234", "49305678"))));
    let asked = world.sent_to(CARRIER);
    let [removal] = &asked[..] else { panic!("{} requests", asked.len()) };
    assert_eq!(text(removal, HeaderName::Expires), "0");
    answer(&mut world, CARRIER, removal, "200 OK", "");
    let anew = sent(&world, CARRIER, Method::Register).expect("the new one, now");
    assert!(text(&anew, HeaderName::To).starts_with("<sip:49305678@"));
}

#[test]
fn a_switch_that_stops_takes_its_registrations_back() {
    let mut world = World::new(&file(ACCOUNT));
    let first = sent(&world, CARRIER, Method::Register).expect("it registers");
    register(&mut world, &first);
    world.input(Input::Shutdown);
    assert!(!world.switch.is_idle());
    let removal = sent(&world, CARRIER, Method::Register).expect("it is taken back");
    answer(&mut world, CARRIER, &removal, "200 OK", "");
    assert!(world.switch.is_idle());
}

#[test]
fn a_peer_that_misses_two_questions_is_dead_until_it_answers_one() {
    let mut world = World::new(&file("health_s = 30"));
    let first = sent(&world, CARRIER, Method::Options).expect("it is asked at once");
    answer(&mut world, CARRIER, &first, "404 Not Found", "");
    assert!(world.events().is_empty(), "any answer will do");
    let mut told = Vec::new();
    for _ in 0..110 {
        world.pass(1_000);
        told.extend(world.events().into_iter().cloned());
    }
    assert!(matches!(&told[..], [Event::PeerDown { peer, .. }] if &**peer == "carrier"), "{told:?}");
    let uri = "sip:8123@192.0.2.1";
    world.feed_request(PHONE, "INVITE", uri, "", "", "");
    let challenge = world.sent_to(PHONE).pop().expect("a challenge");
    world.feed_request(PHONE, "INVITE", uri, "", &credentials(&challenge, "INVITE", 1000, uri), "");
    assert_eq!(world.sent_to(PHONE).last().map(code), Some(504), "nobody has to wait for it");
    let mut request = None;
    for _ in 0..60 {
        request = request.or_else(|| sent_within(&mut world, 1_000, CARRIER, Method::Options));
    }
    answer(&mut world, CARRIER, &request.expect("it is asked on"), "200 OK", "");
    assert!(matches!(world.events()[..], [Event::PeerUp { .. }]), "{:?}", world.events());
}

#[test]
fn faults_of_a_trunk_name_line_and_remedy() {
    let told = |peer: &str| config::parse("test.toml", &file(peer)).expect_err("a fault").to_string();
    let lacks = |fault: &str, key: &str| assert!(fault.contains(&format!("lacks {key}")), "{fault}");
    lacks(&told("register = true"), "username");
    lacks(&told("username = \"a\""), "password");
    lacks(&told("password = \"a\""), "username");
    lacks(&told("register = true\nusername = \"a b\"\npassword = \"c\""), "contact_user");
    assert!(told("health_s = 1").contains("test.toml:11: health_s"), "{}", told("health_s = 1"));
    assert!(told("expires_s = 600").contains("unknown key \"expires_s\""));
    let shown = format!("{:?}", config::parse("test.toml", &file(ACCOUNT)).expect("valid"));
    assert!(!shown.contains("geheim"), "no password is ever shown");
}
