//! The torture messages of RFC 4475 against parser and validation: every one with its outcome, and what the text says
//! about its particulars.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use bytes::Bytes;
use sip_stack::header::{Contacts, HeaderName};
use sip_stack::message::{Message, Method, ParseError, Status, response};
use std::path::PathBuf;

#[derive(Debug, PartialEq)]
enum Outcome {
    /// Passes validation.
    Accept,
    /// A request that is refused with this status.
    Reject(u16),
    /// A response that fails validation, or no message at all.
    Discard,
}

use Outcome::{Accept, Discard, Reject};

/// Our outcomes; where RFC 4475 leaves a choice, the reason for ours.
const OUTCOMES: [(&str, Outcome, &str); 50] = [
    ("wsinv", Accept, ""),
    ("intmeth", Accept, ""),
    ("esc01", Accept, ""),
    ("escnull", Accept, ""),
    ("esc02", Accept, ""),
    ("lwsdisp", Accept, ""),
    ("longreq", Accept, ""),
    ("dblreq", Accept, ""),
    ("semiuri", Accept, ""),
    ("transports", Accept, ""),
    ("mpart01", Accept, ""),
    ("unreason", Accept, ""),
    ("noreason", Accept, ""),
    ("badinv01", Reject(400), ""),
    ("clerr", Reject(400), ""),
    ("ncl", Reject(400), ""),
    ("scalar02", Reject(400), ""),
    ("scalarlg", Discard, ""),
    ("quotbal", Reject(400), "where the string ends would be a guess"),
    ("ltgtruri", Reject(400), "no URI begins with an angle bracket"),
    ("lwsruri", Reject(400), "a blank ends the URI, and there would be four parts"),
    ("lwsstart", Reject(400), "two readers could disagree about the three parts"),
    ("trws", Reject(400), "as lwsstart"),
    ("escruri", Reject(400), "a Request-URI has no headers (RFC 3261 table 1)"),
    ("baddate", Reject(400), "no zone but GMT"),
    ("regbadct", Accept, "400 is for the registrar: where URI and header parameters part would be a guess"),
    ("badaspec", Reject(400), "no URI begins with a blank"),
    ("baddn", Reject(400), "a comma in a display name would have split a Contact"),
    ("badvers", Reject(505), ""),
    ("mismatch01", Reject(400), ""),
    ("mismatch02", Reject(501), "the unknown method comes before its mismatch"),
    ("bigcode", Discard, ""),
    ("badbranch", Accept, "matched by the rules of RFC 2543"),
    ("insuf", Reject(400), ""),
    ("unkscm", Accept, "416 is for the user agent server"),
    ("novelsc", Accept, "as unkscm"),
    ("unksm2", Accept, "400 is for the registrar"),
    ("bext01", Accept, "420 is for the user agent server"),
    ("invut", Accept, "415 is for the user agent server"),
    ("regaut01", Accept, "401 is for the registrar"),
    ("multi01", Reject(400), ""),
    ("mcl01", Reject(400), ""),
    ("bcast", Accept, "a second Via in a response is for the user agent client to refuse (§8.1.3.3)"),
    ("zeromf", Accept, "483 is for a proxy"),
    ("cparam01", Accept, ""),
    ("cparam02", Accept, ""),
    ("regescrt", Accept, ""),
    ("sdp01", Accept, "406 is for the user agent server"),
    ("inv2543", Accept, "clients of RFC 2543 are welcome"),
    ("test", Discard, "no Via, nobody to answer"),
];

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/corpora/rfc4475")
}

fn datagram(name: &str) -> Bytes {
    let path = corpus().join(name).with_extension("dat");
    Bytes::from(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn message(name: &str) -> Message {
    Message::parse(datagram(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn outcome(name: &str) -> Outcome {
    let Ok(message) = Message::parse(datagram(name)) else { return Discard };
    match message.validate() {
        Ok(_) => Accept,
        Err(rejection) if message.is_request() => Reject(rejection.status.code()),
        Err(_) => Discard,
    }
}

#[test]
fn every_message_has_its_outcome() {
    let wrong: Vec<_> = OUTCOMES
        .iter()
        .filter(|(name, expected, _)| outcome(name) != *expected)
        .map(|(name, expected, _)| format!("{name}: expected {expected:?}, got {:?}", outcome(name)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_index_names_the_same_outcomes() {
    let index = std::fs::read_to_string(corpus().join("index.tsv")).unwrap();
    let mut lines = index.lines();
    let column = lines.next().unwrap().split('\t').position(|name| name == "our_outcome").unwrap();
    let rows: Vec<(&str, &str)> = lines
        .map(|line| {
            let (file, _) = line.split_once('\t').unwrap();
            (file.strip_suffix(".dat").unwrap(), line.split('\t').nth(column).unwrap())
        })
        .collect();
    let ours: Vec<(&str, String)> = OUTCOMES
        .iter()
        .map(|(name, outcome, _)| match outcome {
            Accept => (*name, "accept".to_owned()),
            Reject(status) => (*name, status.to_string()),
            Discard => (*name, "discard".to_owned()),
        })
        .collect();
    assert_eq!(rows, ours.iter().map(|(name, outcome)| (*name, outcome.as_str())).collect::<Vec<_>>());
}

#[test]
fn a_refusal_can_be_built_for_every_request() {
    for (name, _, _) in OUTCOMES.iter().filter(|(name, _, _)| *name != "test") {
        let request = message(name);
        let source = "192.0.2.200:5060".parse().unwrap();
        let answer = response(&request, Status::BAD_REQUEST, None, Some(b"tag"), source).finish();
        let answer = Message::parse(answer).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer.status(), Some(Status::BAD_REQUEST), "{name}");
        assert_eq!(answer.vias().count(), request.vias().count(), "{name}");
        assert_eq!(answer.call_id().ok(), request.call_id().ok(), "{name}");
        assert_eq!(answer.cseq().ok(), request.cseq().ok(), "{name}");
    }
}

#[test]
fn wsinv_white_space_folding_and_compact_forms() {
    let message = message("wsinv");
    assert_eq!(message.to().unwrap().tag(), Some(&b"1918181833n"[..]));
    let from = message.from().unwrap();
    assert_eq!(from.display_unquoted().unwrap().as_ref(), br#"J Rosenberg \""#);
    assert_eq!(from.tag(), Some(&b"98asjd8"[..]));
    assert_eq!(message.max_forwards().unwrap(), Some(68));
    assert_eq!(message.cseq().unwrap().number, 9);
    assert_eq!(message.header(HeaderName::Subject), Some(&b""[..]));
    let vias: Vec<_> = message.vias().map(Result::unwrap).collect();
    let branches: Vec<_> = vias.iter().map(|via| via.branch.unwrap()).collect();
    assert_eq!(branches, [&b"390skdjuw"[..], b"z9hG4bK9ikj8", b"z9hG4bK30239"]);
    assert_eq!(vias[1].host, b"spindle.example.com");
    assert_eq!(message.extension(b"newfangledheader").count(), 1);
    assert_eq!(message.extension(b"UnknownHeaderWithUnusualValue").next(), Some(&b";;,,;;,;"[..]));
    let Ok(Contacts::List(contacts)) = message.contacts() else { panic!("contacts") };
    assert_eq!(contacts[0].q, Some(330));
    assert_eq!(contacts[0].address.display_unquoted().unwrap().as_ref(), br#"Quoted string """#);
    assert!(contacts[0].address.params.contains(b"secondparam"));
    assert!(message.body().ends_with(b"a=rtpmap:31 LPC\r\n"));
}

#[test]
fn intmeth_every_legal_character() {
    let message = message("intmeth");
    let method = b"!interesting-Method0123456789_*+`.%indeed'~";
    assert_eq!(message.method(), Some(Method::Other(method)));
    let uri = message.uri().unwrap();
    assert_eq!(uri.user, Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..]));
    assert_eq!(uri.password(), Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
    assert_eq!(message.to().unwrap().display_unquoted().unwrap().as_ref(), b"BEL:\x07 NUL:\0 DEL:\x7f");
    assert_eq!(message.from().unwrap().tag(), Some(&b"_token~1'+`*%!-."[..]));
}

#[test]
fn esc01_escapes_are_undone_once() {
    let message = message("esc01");
    assert_eq!(message.uri().unwrap().user_unescaped().unwrap().as_ref(), b"sips:user@example.com");
    let to = message.to().unwrap();
    assert_eq!(to.uri.user_unescaped().unwrap().as_ref(), b"user");
}

#[test]
fn escnull_an_escaped_nul_does_not_end_a_user_part() {
    let message = message("escnull");
    assert_eq!(message.to().unwrap().uri.user_unescaped().unwrap().as_ref(), b"null-\0-null");
    let contacts = message.contacts().unwrap();
    let [first, second] = contacts.as_slice() else { panic!("two contacts") };
    assert!(!first.address.uri.equivalent(&second.address.uri));
}

#[test]
fn esc02_a_percent_sign_in_a_method_or_header_name_is_no_escape() {
    let message = message("esc02");
    assert_eq!(message.method(), Some(Method::Other(b"RE%47IST%45R")));
    assert_eq!(message.contacts().unwrap().as_slice().len(), 2);
    assert_eq!(message.extension(b"C%6Fntact").count(), 1);
    assert_eq!(message.from().unwrap().display, Some(&b"%Z%45"[..]));
}

#[test]
fn dblreq_what_follows_the_body_is_ignored() {
    let message = message("dblreq");
    assert_eq!(message.method(), Some(Method::Register));
    assert_eq!(message.body(), b"");
    assert_eq!(message.headers(HeaderName::CSeq).count(), 1);
}

#[test]
fn longreq_every_spelling_of_via() {
    let message = message("longreq");
    assert_eq!(message.vias().count(), 34);
    let last = message.vias().last().unwrap().unwrap();
    assert_eq!(last.received, Some(&b"192.0.2.5"[..]));
}

#[test]
fn semiuri_parameters_in_the_user_part() {
    let message = message("semiuri");
    let uri = message.uri().unwrap();
    assert_eq!(uri.user_unescaped().unwrap().as_ref(), b"user;par=u@example.net");
    assert_eq!(uri.params.iter().count(), 0);
    assert_eq!(message.list(HeaderName::Accept).count(), 6);
}

#[test]
fn transports_of_all_kinds() {
    let message = message("transports");
    let transports: Vec<_> = message.vias().map(|via| via.unwrap().transport.to_vec()).collect();
    assert_eq!(transports, [&b"UDP"[..], b"SCTP", b"TLS", b"UNKNOWN", b"TCP"]);
}

#[test]
fn mpart01_a_binary_body_is_kept() {
    let message = message("mpart01");
    assert_eq!(message.body().len(), 553);
    assert!(message.body().ends_with(b"--7a9cbec02ceef655--\r\n"));
    assert!(message.content_type().unwrap().unwrap().is("multipart", "mixed"));
}

#[test]
fn reasons_may_be_utf8_or_empty() {
    let unreason = message("unreason");
    assert_eq!(unreason.status(), Some(Status::OK));
    assert!(core::str::from_utf8(unreason.reason()).unwrap().starts_with("= 2**3 * 5**2 но"));
    let noreason = message("noreason");
    assert_eq!((noreason.status(), noreason.reason()), (Some(Status::TRYING), &b""[..]));
}

#[test]
fn bext01_the_required_extensions_are_listed() {
    let message = message("bext01");
    assert_eq!(
        message.require().collect::<Vec<_>>(),
        [&b"nothingSupportsThis"[..], b"nothingSupportsThisEither"]
    );
    assert_eq!(
        message.proxy_require().collect::<Vec<_>>(),
        [&b"noProxiesSupportThis"[..], b"norDoAnyProxiesSupportThis"]
    );
}

#[test]
fn cparam_brackets_say_whose_a_parameter_is() {
    let (bare, bracketed) = (message("cparam01"), message("cparam02"));
    let bare = bare.contact().unwrap().unwrap();
    assert!(bare.params.contains(b"unknownparam") && !bare.uri.params.contains(b"unknownparam"));
    let bracketed = bracketed.contact().unwrap().unwrap();
    assert!(!bracketed.params.contains(b"unknownparam") && bracketed.uri.params.contains(b"unknownparam"));
}

#[test]
fn regescrt_escaped_headers_stay_in_the_contact() {
    let message = message("regescrt");
    assert_eq!(message.contact().unwrap().unwrap().uri.headers(), b"Route=%3Csip:sip.example.com%3E");
}

#[test]
fn escruri_escaped_headers_become_no_real_ones() {
    let message = message("escruri");
    assert_eq!(message.route().count(), 0);
}

#[test]
fn test_has_nobody_to_answer() {
    assert_eq!(Message::parse(datagram("test")).unwrap_err(), ParseError::NoVia);
}
