//! The client of digest authentication against challenges of every kind (RFC 3261 §22, RFC 7616 §3.5, §3.6, RFC 8760
//! §2.4).

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use proptest::prelude::*;
use sip_stack::Message;
use sip_stack::auth::{
    Algorithm, Attempt, AuthError, Credentials, DigestClient, Ha1, Login, Qop, QopOffer, Secret, Subject,
    Verdict, write_challenge,
};
use sip_stack::header::HeaderName;
use sip_stack::message::{Method, Status, Writer};
use sip_stack::random::Random;

const URI: &[u8] = b"sip:a.example";
const ANYWHERE: Login<'static> = Login { realm: None, user: b"alice", secret: Secret::Password(b"secret") };
const SUBJECT: Subject<'static> = Subject { method: Method::Invite, uri: URI, body: b"v=0\r\n" };

/// A client, one request of its, and what it carried last.
struct Rig<'a> {
    client: DigestClient,
    logins: Vec<Login<'a>>,
    random: Random,
    attempt: Attempt,
}

impl<'a> Rig<'a> {
    fn new(logins: &[Login<'a>]) -> Rig<'a> {
        let (client, random) = (DigestClient::default(), Random::new([1; 32]));
        Rig { client, logins: logins.to_vec(), random, attempt: Attempt::default() }
    }

    fn challenged(&mut self, status: u16, fields: &[(HeaderName, &str)]) -> Verdict {
        let response = response(status, fields);
        self.client.handle_challenge(&response, &self.logins, &mut self.random, &mut self.attempt)
    }

    fn unauthorized(&mut self, challenges: &[&str]) -> Verdict {
        let fields: Vec<_> = challenges.iter().map(|value| (HeaderName::WwwAuthenticate, *value)).collect();
        self.challenged(401, &fields)
    }

    /// Sends the request, again.
    fn request(&mut self) -> Message {
        request(|writer| self.client.authorize(&SUBJECT, &self.logins, &mut self.attempt, writer))
    }

    fn next_request(&mut self) -> Message {
        self.attempt = Attempt::default();
        self.request()
    }

    fn success(&mut self, info: &str) -> Result<(), AuthError> {
        let response = response(200, &[(HeaderName::AuthenticationInfo, info)]);
        self.client.handle_success(&response, &SUBJECT, &self.logins, &self.attempt)
    }
}

const VIA: &[u8] = b"SIP/2.0/UDP a.example;branch=z9hG4bK1";

fn request(write: impl FnOnce(&mut Writer)) -> Message {
    let mut writer = Writer::request(SUBJECT.method, SUBJECT.uri);
    writer.header(HeaderName::Via, VIA);
    write(&mut writer);
    Message::parse(writer.finish()).unwrap()
}

fn response(status: u16, fields: &[(HeaderName, &str)]) -> Message {
    let mut writer = Writer::status(Status::new(status).unwrap(), b"Reason");
    writer.header(HeaderName::Via, VIA);
    for (name, value) in fields {
        writer.header(*name, value.as_bytes());
    }
    Message::parse(writer.finish()).unwrap()
}

fn challenge(realm: &str, nonce: &str, more: &str) -> String {
    format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\"{more}")
}

/// The credentials of a request for user agents, in order.
fn given(request: &Message) -> Vec<Credentials<'_>> {
    request.authorization().map(|value| Credentials::parse(value).unwrap()).collect()
}

fn nonces(request: &Message) -> Vec<String> {
    given(request).iter().map(|one| String::from_utf8(one.nonce.raw().to_vec()).unwrap()).collect()
}

#[test]
fn the_topmost_challenge_that_is_understood_is_answered() {
    let mut rig = Rig::new(&[ANYWHERE]);
    let verdict = rig.unauthorized(&[
        "NewScheme x=y",
        "Digest realm=\"r\", nonce=\"1\", algorithm=SHA-256-sess, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"2\", algorithm=SHA-512-256, qop=\"auth-conf\"",
        "Digest realm=\"r\", nonce=\"3\", algorithm=SHA-256, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"4\", algorithm=SHA-512-256, qop=\"auth\"",
        "Digest realm=\"r\", nonce=\"5\", qop=\"auth\"",
    ]);
    assert_eq!(verdict, Verdict::Again);
    let request = rig.request();
    assert_eq!(nonces(&request), ["3"]);
    assert_eq!(given(&request)[0].algorithm, Algorithm::Sha256);
}

#[test]
fn a_digest_in_place_of_the_password_answers_its_algorithm_alone() {
    let md5 = Ha1::compute(&[Algorithm::Md5], b"alice", b"r", b"secret");
    let mut rig = Rig::new(&[Login { secret: Secret::Ha1(&md5), ..ANYWHERE }]);
    let sha256 = challenge("r", "1", ", algorithm=SHA-256");
    assert_eq!(rig.unauthorized(&[&sha256]), Verdict::Unanswerable);
    assert_eq!(rig.unauthorized(&[&sha256, &challenge("r", "2", "")]), Verdict::Again);
    assert_eq!(nonces(&rig.request()), ["2"]);
}

#[test]
fn each_realm_gets_one_credential_of_its_own_login() {
    let other = Login { realm: Some(b"b \"x\""), user: b"bob", secret: Secret::Password(b"other") };
    let mut rig = Rig::new(&[ANYWHERE, other]);
    let values = [challenge("a", "1", ""), challenge("b \\\"x\\\"", "2", ""), challenge("a", "3", "")];
    assert_eq!(rig.unauthorized(&values.each_ref().map(String::as_str)), Verdict::Again);
    let request = rig.request();
    assert_eq!(nonces(&request), ["1", "2"]);
    for (credentials, (user, realm, password)) in given(&request)
        .iter()
        .zip([(&b"alice"[..], &b"a"[..], &b"secret"[..]), (b"bob", b"b \"x\"", b"other")])
    {
        assert!(credentials.username == *user);
        let ha1 = Ha1::compute(&[Algorithm::Md5], user, realm, password);
        assert_eq!(credentials.verify(QopOffer::Auth, b"INVITE", b"", &ha1), Ok(()));
    }
}

#[test]
fn a_realm_without_a_login_is_not_answered() {
    let mut rig = Rig::new(&[Login { realm: Some(b"a"), ..ANYWHERE }]);
    assert_eq!(rig.unauthorized(&[&challenge("b", "1", "")]), Verdict::Unanswerable);
    assert!(given(&rig.request()).is_empty());
    assert_eq!(rig.unauthorized(&[&challenge("b", "1", ""), &challenge("a", "2", "")]), Verdict::Again);
    assert_eq!(nonces(&rig.request()), ["2"]);
}

#[test]
fn challenges_of_proxies_are_answered_to_proxies_also_when_a_401_brings_them() {
    let mut rig = Rig::new(&[ANYWHERE]);
    let (server, proxy) = (challenge("r", "1", ""), challenge("r", "2", ""));
    let fields = [(HeaderName::WwwAuthenticate, &server[..]), (HeaderName::ProxyAuthenticate, &proxy)];
    assert_eq!(rig.challenged(401, &fields), Verdict::Again);
    let request = rig.request();
    assert_eq!(nonces(&request), ["1"]);
    let to_proxy: Vec<_> = request.proxy_authorization().collect();
    assert_eq!(to_proxy.len(), 1);
    assert_eq!(Credentials::parse(to_proxy[0]).unwrap().nonce.raw(), b"2");
}

#[test]
fn the_count_goes_up_with_every_request_and_starts_again_with_a_new_nonce() {
    let mut rig = Rig::new(&[ANYWHERE]);
    rig.unauthorized(&[&challenge("r", "1", "")]);
    for nc in 1..4 {
        assert_eq!(given(&rig.next_request())[0].count(), nc);
    }
    assert_eq!(rig.unauthorized(&[&challenge("r", "2", ", stale=true")]), Verdict::Again);
    let request = rig.request();
    assert_eq!((given(&request)[0].count(), nonces(&request)), (1, vec!["2".to_owned()]));
}

#[test]
fn the_same_credentials_refused_in_the_same_realm_are_not_sent_again() {
    let mut rig = Rig::new(&[ANYWHERE]);
    assert_eq!(rig.unauthorized(&[&challenge("r", "1", "")]), Verdict::Again);
    rig.request();
    assert_eq!(rig.unauthorized(&[&challenge("r", "2", "")]), Verdict::Refused);
    assert!(given(&rig.next_request()).is_empty(), "nor with the next request");
}

#[test]
fn a_kept_nonce_that_is_refused_without_a_word_is_replaced_once() {
    let mut rig = Rig::new(&[ANYWHERE]);
    rig.unauthorized(&[&challenge("r", "1", "")]);
    rig.request();
    rig.next_request();
    assert_eq!(rig.unauthorized(&[&challenge("r", "2", "")]), Verdict::Again);
    assert_eq!(nonces(&rig.request()), ["2"]);
    assert_eq!(rig.unauthorized(&[&challenge("r", "3", "")]), Verdict::Refused);
}

#[test]
fn a_server_whose_nonces_are_always_stale_is_given_up() {
    let mut rig = Rig::new(&[ANYWHERE]);
    let verdicts = [(); 4].map(|()| {
        rig.request();
        rig.unauthorized(&[&challenge("r", "1", ", stale=true")])
    });
    assert_eq!(verdicts, [Verdict::Again, Verdict::Again, Verdict::Again, Verdict::Refused]);
}

#[test]
fn a_server_that_thinks_of_ever_new_realms_is_given_up_and_remembered_in_bounds() {
    let mut rig = Rig::new(&[ANYWHERE]);
    let mut verdicts = Vec::new();
    for number in 0..6 {
        rig.request();
        verdicts.push(rig.unauthorized(&[&challenge(&number.to_string(), "n", "")]));
    }
    assert_eq!(verdicts[3..], [Verdict::Again, Verdict::Unanswerable, Verdict::Unanswerable]);
    rig.attempt = Attempt::default();
    assert_eq!(rig.unauthorized(&[&challenge("another", "n", "")]), Verdict::Again);
    assert_eq!(given(&rig.request()).len(), 4);
}

#[test]
fn a_challenge_too_long_to_carry_is_not_answered() {
    let mut rig = Rig::new(&[ANYWHERE]);
    assert_eq!(rig.unauthorized(&[&challenge("r", &"n".repeat(3_000), "")]), Verdict::Unanswerable);
}

#[test]
fn auth_int_is_answered_over_the_body_when_nothing_else_is_offered() {
    for (offer, qop) in [("auth-int", Qop::AuthInt), ("auth-int,auth", Qop::Auth)] {
        let mut rig = Rig::new(&[ANYWHERE]);
        let value = format!("Digest realm=\"r\", nonce=\"n\", qop=\"{offer}\"");
        assert_eq!(rig.unauthorized(&[&value]), Verdict::Again);
        let request = rig.request();
        let credentials = given(&request)[0];
        assert_eq!(credentials.protection.unwrap().qop, qop);
        let ha1 = Ha1::compute(&[Algorithm::Md5], b"alice", b"r", b"secret");
        let verify = |offer, body| credentials.verify(offer, b"INVITE", body, &ha1);
        assert_eq!(verify(QopOffer::AuthOrAuthInt, SUBJECT.body), Ok(()));
        let changed = verify(QopOffer::AuthOrAuthInt, b"v=1\r\n");
        assert_eq!(changed.is_err(), qop == Qop::AuthInt, "the body counts with auth-int alone");
    }
}

#[test]
fn what_was_not_offered_is_not_accepted() {
    let mut rig = Rig::new(&[ANYWHERE]);
    rig.unauthorized(&["Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""]);
    let request = rig.request();
    let ha1 = Ha1::compute(&[Algorithm::Md5], b"alice", b"r", b"secret");
    let verdict = given(&request)[0].verify(QopOffer::Auth, b"INVITE", SUBJECT.body, &ha1);
    assert_eq!(verdict, Err(AuthError::UnsupportedQop));
}

#[test]
fn nextnonce_is_used_from_the_next_request_on() {
    let mut rig = Rig::new(&[ANYWHERE]);
    rig.unauthorized(&[&challenge("r", "1", "")]);
    rig.request();
    assert_eq!(rig.success("nextnonce=\"2\""), Ok(()));
    let request = rig.next_request();
    assert_eq!((given(&request)[0].count(), nonces(&request)), (1, vec!["2".to_owned()]));
}

/// `rspauth` of a server that knows `password`: the response to a request without a method (RFC 7616 §3.5).
fn rspauth(request: &Message, password: &[u8]) -> String {
    let credentials = given(request)[0];
    let cnonce = credentials.protection.unwrap().cnonce.raw();
    let nonce = String::from_utf8(credentials.nonce.raw().to_vec()).unwrap();
    let answer = sip_stack::auth::Answer {
        method: b"",
        uri: URI,
        user: b"alice",
        secret: Secret::Password(password),
        cnonce,
        nc: credentials.count(),
        body: b"",
    };
    let mut value = Vec::new();
    let challenge = challenge("r", &nonce, "");
    sip_stack::auth::Challenge::parse(challenge.as_bytes()).unwrap().answer(&answer, &mut value).unwrap();
    let value = String::from_utf8(value).unwrap();
    let digest = value.split("response=\"").nth(1).unwrap().split('"').next().unwrap();
    let cnonce = String::from_utf8(cnonce.to_vec()).unwrap();
    format!(
        "qop=auth, rspauth=\"{digest}\", cnonce=\"{cnonce}\", nc={:08x}, nextnonce=\"2\"",
        credentials.count()
    )
}

#[test]
fn a_server_that_proves_itself_is_believed_and_an_impostor_is_not() {
    let mut rig = Rig::new(&[ANYWHERE]);
    rig.unauthorized(&[&challenge("r", "1", "")]);
    let first = rig.request();
    assert_eq!(rig.success(&rspauth(&first, b"guess")), Err(AuthError::WrongResponse));
    let second = rig.next_request();
    assert_eq!(nonces(&second), ["1"], "an impostor changes nothing");
    assert_eq!(rig.success(&rspauth(&first, b"secret")), Err(AuthError::WrongResponse), "an old proof");
    assert_eq!(rig.success(&rspauth(&second, b"secret")), Ok(()));
    assert_eq!(nonces(&rig.next_request()), ["2"]);
}

#[test]
fn a_snapshot_goes_on_with_the_same_credentials() {
    let mut rig = Rig::new(&[ANYWHERE]);
    rig.unauthorized(&[&challenge("r", "1", ", opaque=\"o\"")]);
    rig.request();
    let bytes = postcard::to_allocvec(&rig.client).unwrap();
    let mut copy = Rig { client: postcard::from_bytes(&bytes).unwrap(), ..Rig::new(&[ANYWHERE]) };
    assert_eq!(copy.next_request().bytes(), rig.next_request().bytes());
}

fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    // Everything that a quoted string may hold, quotes, backslashes and UTF-8 among it.
    let byte = prop_oneof![4 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\')]
        .prop_filter("no controls", |byte| *byte == b'\t' || !byte.is_ascii_control());
    proptest::collection::vec(byte, 0..length)
}

proptest! {
    #[test]
    fn client_and_server_agree_on_any_realm_user_and_password(
        realm in bytes(40),
        user in bytes(40),
        password in proptest::collection::vec(any::<u8>(), 0..80),
        body in proptest::collection::vec(any::<u8>(), 0..300),
        uri in "sip:[!-~]{0,300}",
        algorithm in prop_oneof![
            Just(Algorithm::Md5), Just(Algorithm::Sha256), Just(Algorithm::Sha512_256)
        ],
        offer in prop_oneof![
            Just(QopOffer::Auth), Just(QopOffer::AuthInt), Just(QopOffer::AuthOrAuthInt)
        ],
    ) {
        let mut value = Vec::new();
        write_challenge(&mut value, &realm, b"nonce", algorithm, offer, false);
        let mut writer = Writer::status(Status::UNAUTHORIZED, b"Unauthorized");
        writer.header(HeaderName::Via, VIA);
        writer.header(HeaderName::WwwAuthenticate, &value);
        let response = Message::parse(writer.finish()).unwrap();
        let logins = [Login { realm: Some(&realm), user: &user, secret: Secret::Password(&password) }];
        let subject = Subject { method: Method::Register, uri: uri.as_bytes(), body: &body };
        let (mut client, mut attempt) = (DigestClient::default(), Attempt::default());
        let verdict = client.handle_challenge(&response, &logins, &mut Random::new([2; 32]), &mut attempt);
        prop_assert_eq!(verdict, Verdict::Again);
        let request = request(|writer| client.authorize(&subject, &logins, &mut attempt, writer));
        let credentials = given(&request)[0];
        prop_assert!(credentials.realm == realm[..] && credentials.username == user[..]);
        let ha1 = Ha1::compute(&[algorithm], &user, &realm, &password);
        prop_assert_eq!(credentials.verify(offer, b"REGISTER", &body, &ha1), Ok(()));
        let wrong = Ha1::compute(&[algorithm], &user, &realm, &[&password[..], b"x"].concat());
        let refused = credentials.verify(offer, b"REGISTER", &body, &wrong);
        prop_assert_eq!(refused, Err(AuthError::WrongResponse));
    }
}
