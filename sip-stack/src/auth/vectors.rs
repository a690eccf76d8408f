//! Tests: published examples of digest authentication, and everything that can be wrong with credentials.

use super::*;

const REALM: &str = "http-auth@example.org";
const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
const OPAQUE: &str = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS";
const MD5_RESPONSE: &str = "8ca523f5e9506fed4657c9700eebdbec";
const SHA256_RESPONSE: &str = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";

fn mufasa() -> Ha1 {
    Ha1::compute(&Algorithm::ALL, b"Mufasa", REALM.as_bytes(), b"Circle of Life")
}

/// The Authorization header field value of RFC 7616 §3.9.1.
fn rfc7616_value(algorithm: Algorithm, response: &str) -> String {
    format!(
        "Digest username=\"Mufasa\",\r\n realm=\"{REALM}\",\r\n uri=\"/dir/index.html\",\r\n algorithm={},\r\n \
         nonce=\"{NONCE}\",\r\n nc=00000001,\r\n cnonce=\"{CNONCE}\",\r\n qop=auth,\r\n response=\"{response}\",\r\n \
         opaque=\"{OPAQUE}\"",
        algorithm.token()
    )
}

fn verify(value: &str, method: &str, ha1: &Ha1) -> Result<(), AuthError> {
    Credentials::parse(value.as_bytes())?.verify(QopOffer::Auth, method.as_bytes(), b"", ha1)
}

#[test]
fn rfc7616_section_3_9_1_verifies_with_md5_and_sha_256() {
    let md5 = rfc7616_value(Algorithm::Md5, MD5_RESPONSE);
    assert_eq!(verify(&md5, "GET", &mufasa()), Ok(()));
    let sha256 = rfc7616_value(Algorithm::Sha256, SHA256_RESPONSE);
    assert_eq!(verify(&sha256, "GET", &mufasa()), Ok(()));
    let credentials = Credentials::parse(sha256.as_bytes()).unwrap();
    assert!(credentials.username == b"Mufasa"[..]);
    assert!(credentials.realm == *REALM.as_bytes());
    assert!(credentials.uri == b"/dir/index.html"[..]);
    assert_eq!(credentials.algorithm, Algorithm::Sha256);
    assert_eq!(credentials.opaque.unwrap().raw(), OPAQUE.as_bytes());
    assert_eq!(credentials.count(), 1);
}

#[test]
fn rfc7616_section_3_9_1_is_answered_as_printed() {
    for (algorithm, response) in [(Algorithm::Md5, MD5_RESPONSE), (Algorithm::Sha256, SHA256_RESPONSE)] {
        let challenge = format!(
            "Digest realm=\"{REALM}\", qop=\"auth, auth-int\", algorithm={}, nonce=\"{NONCE}\", opaque=\"{OPAQUE}\"",
            algorithm.token()
        );
        let ha1 = mufasa();
        for secret in [Secret::Password(b"Circle of Life"), Secret::Ha1(&ha1)] {
            let answer = Answer {
                method: b"GET",
                uri: b"/dir/index.html",
                user: b"Mufasa",
                secret,
                cnonce: CNONCE.as_bytes(),
                nc: 1,
                body: b"",
            };
            let mut out = Vec::new();
            Challenge::parse(challenge.as_bytes()).unwrap().answer(&answer, &mut out).unwrap();
            let out = String::from_utf8(out).unwrap();
            assert!(out.contains(&format!("response=\"{response}\"")), "{out}");
            assert!(out.contains("nc=00000001") && out.contains("qop=auth,"), "{out}");
            assert!(out.contains(&format!("opaque=\"{OPAQUE}\"")), "{out}");
            assert_eq!(verify(&out, "GET", &ha1), Ok(()));
        }
    }
}

/// The request of RFC 7616 §3.9.2 with real SHA-512/256: the RFC prints the first half of a SHA-512 instead (RFC Editor
/// an erratum).
#[test]
fn rfc7616_section_3_9_2_verifies_with_sha_512_256() {
    let user = "J\u{e4}s\u{f8}n Doe";
    let value = format!(
        "Digest username=\"{user}\", realm=\"api@example.org\", uri=\"/doe.json\", algorithm=SHA-512-256, \
         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", nc=00000001, \
         cnonce=\"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v\", qop=auth, \
         response=\"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5\""
    );
    let ha1 = Ha1::compute(&[Algorithm::Sha512_256], user.as_bytes(), b"api@example.org", b"Secret, or not?");
    assert_eq!(verify(&value, "GET", &ha1), Ok(()));
}

/// The well-known example of RFC 2617 §3.5.
#[test]
fn rfc2617_example_verifies_without_a_named_algorithm() {
    let value = "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
                 nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, nc=00000001, \
                 cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", \
                 opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let ha1 = Ha1::compute(&[Algorithm::Md5], b"Mufasa", b"testrealm@host.com", b"Circle Of Life");
    assert_eq!(ha1.hex(Algorithm::Md5).unwrap().as_bytes(), b"939e7578ed9e3c518a452acee763bce9");
    assert_eq!(verify(value, "GET", &ha1), Ok(()));
    assert_eq!(
        verify(&value.replace("qop=auth", "qop=\"auth\""), "GET", &ha1),
        Ok(()),
        "quoted as some phones do"
    );
}

/// A REGISTER without qop; the expected response was computed with `openssl md5`.
const RFC2069_REGISTER: &str = "Digest username=\"bob\", realm=\"biloxi.com\", \
     nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"sip:biloxi.com\", \
     response=\"4441045a8075db3ead543693997e2a0e\"";

#[test]
fn credentials_without_qop_are_accepted_where_that_is_allowed_and_serve_once() {
    let ha1 = Ha1::compute(&[Algorithm::Md5], b"bob", b"biloxi.com", b"zanzibar");
    let credentials = Credentials::parse(RFC2069_REGISTER.as_bytes()).unwrap();
    assert_eq!(credentials.verify(QopOffer::Auth, b"REGISTER", b"", &ha1), Err(AuthError::QopRequired));
    assert_eq!(
        credentials.verify_rfc2069(QopOffer::Auth, b"REGISTER", b"", &ha1, &mut A2Memo::default()),
        Ok(())
    );
    assert_eq!(
        credentials.verify_rfc2069(QopOffer::Auth, b"INVITE", b"", &ha1, &mut A2Memo::default()),
        Err(AuthError::WrongResponse)
    );
    assert_eq!(credentials.count(), 1);
}

#[test]
fn every_wrong_ingredient_is_refused() {
    let right = rfc7616_value(Algorithm::Md5, MD5_RESPONSE);
    let ha1 = mufasa();
    assert_eq!(verify(&right, "POST", &ha1), Err(AuthError::WrongResponse));
    assert_eq!(verify(&right, "get", &ha1), Err(AuthError::WrongResponse), "methods are case-sensitive");
    for (part, other) in [
        ("/dir/index.html", "/dir/other.html"),
        ("nc=00000001", "nc=00000002"),
        ("nc=00000001", "nc=1"),
        (NONCE, CNONCE),
        (CNONCE, NONCE),
        (MD5_RESPONSE, "8ca523f5e9506fed4657c9700eebdbed"),
        (MD5_RESPONSE, "8ca523f5e9506fed4657c9700eebdbe"),
        (MD5_RESPONSE, ""),
        ("algorithm=MD5", "algorithm=SHA-256"),
    ] {
        assert_eq!(
            verify(&right.replacen(part, other, 1), "GET", &ha1),
            Err(AuthError::WrongResponse),
            "{other}"
        );
    }
    for (user, realm, password) in [
        ("Mufasa", REALM, "Circle Of Life"),
        ("mufasa", REALM, "Circle of Life"),
        ("Mufasa", "example.org", "Circle of Life"),
        ("Mufasa", REALM, ""),
    ] {
        let other = Ha1::compute(&Algorithm::ALL, user.as_bytes(), realm.as_bytes(), password.as_bytes());
        assert_eq!(verify(&right, "GET", &other), Err(AuthError::WrongResponse));
    }
    let sha256_alone = Ha1::compute(&[Algorithm::Sha256], b"Mufasa", REALM.as_bytes(), b"Circle of Life");
    assert_eq!(verify(&right, "GET", &sha256_alone), Err(AuthError::NoHa1(Algorithm::Md5)));
}

#[test]
fn a_response_in_upper_case_is_accepted() {
    let value = rfc7616_value(Algorithm::Md5, &MD5_RESPONSE.to_uppercase());
    assert_eq!(verify(&value, "GET", &mufasa()), Ok(()));
}

#[test]
fn what_cannot_be_verified_is_named() {
    let right = rfc7616_value(Algorithm::Md5, MD5_RESPONSE);
    for (part, other, error) in [
        ("Digest", "Basic", AuthError::UnsupportedScheme),
        ("algorithm=MD5", "algorithm=MD5-sess", AuthError::UnsupportedAlgorithm),
        ("qop=auth", "qop=auth-conf", AuthError::UnsupportedQop),
        ("qop=auth", "qop=auth-int", AuthError::UnsupportedQop),
        ("qop=auth", "x=auth", AuthError::QopRequired),
        ("qop=auth", "qop=\"\"", AuthError::QopRequired),
        ("nc=00000001", "nc=000000001", AuthError::BadValue(Parameter::Nc)),
        ("nc=00000001", "nc=-1", AuthError::BadValue(Parameter::Nc)),
        ("nc=00000001", "nc=\"\"", AuthError::BadValue(Parameter::Nc)),
        ("nc=00000001", "x=1", AuthError::Missing(Parameter::Nc)),
        ("cnonce=", "x=", AuthError::Missing(Parameter::Cnonce)),
        ("username=", "x=", AuthError::Missing(Parameter::Username)),
        ("username=", "username*=", AuthError::Missing(Parameter::Username)),
        ("username=", "username*=x, username=", AuthError::Duplicate(Parameter::Username)),
        ("realm=", "x=", AuthError::Missing(Parameter::Realm)),
        (" nonce=", " x=", AuthError::Missing(Parameter::Nonce)),
        ("uri=", "x=", AuthError::Missing(Parameter::Uri)),
        ("response=", "x=", AuthError::Missing(Parameter::Response)),
        ("uri=", "realm=", AuthError::Duplicate(Parameter::Realm)),
    ] {
        assert_eq!(verify(&right.replacen(part, other, 1), "GET", &mufasa()), Err(error), "{other}");
    }
}

#[test]
fn credentials_print_no_response() {
    let value = rfc7616_value(Algorithm::Md5, MD5_RESPONSE);
    let printed = format!("{:?}", Credentials::parse(value.as_bytes()).unwrap());
    assert!(printed.contains("Mufasa") && !printed.contains(MD5_RESPONSE), "{printed}");
}

/// One SIP exchange between this client and this server, with text that needs quoting on the way.
fn exchange(algorithm: Algorithm, user: &str, realm: &str, nc: u32) -> String {
    let mut challenge = Vec::new();
    write_challenge(&mut challenge, realm.as_bytes(), b"abc", algorithm, QopOffer::Auth, false);
    let answer = Answer {
        method: b"REGISTER",
        uri: b"sip:registrar.example.com;x=\"y\"",
        user: user.as_bytes(),
        secret: Secret::Password(b"secret"),
        cnonce: b"xyz",
        nc,
        body: b"",
    };
    let mut out = Vec::new();
    Challenge::parse(&challenge).unwrap().answer(&answer, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn our_answer_to_our_challenge_verifies_with_names_that_need_quoting() {
    for algorithm in Algorithm::ALL {
        for (user, realm) in [("1001", "pbx"), ("o\"neil\\", "a \"realm\" \\ with"), ("J\u{e4}s", "")] {
            let value = exchange(algorithm, user, realm, 0xabc);
            let ha1 = Ha1::compute(&[algorithm], user.as_bytes(), realm.as_bytes(), b"secret");
            assert_eq!(verify(&value, "REGISTER", &ha1), Ok(()), "{value}");
            let credentials = Credentials::parse(value.as_bytes()).unwrap();
            assert!(credentials.username == *user.as_bytes());
            assert_eq!(credentials.count(), 0xabc);
        }
    }
}

#[test]
fn a_challenge_names_realm_nonce_algorithm_and_qop_and_says_when_only_the_nonce_was_stale() {
    let mut out = Vec::new();
    write_challenge(&mut out, b"a\"b\r\nX: y", b"n", Algorithm::Md5, QopOffer::Auth, true);
    let text = r#"Digest realm="a\"b  X: y", nonce="n", algorithm=MD5, qop="auth", stale=true"#;
    assert_eq!(String::from_utf8(out.clone()).unwrap(), text);
    let challenge = Challenge::parse(&out).unwrap();
    assert!(challenge.stale);
    assert_eq!((challenge.algorithm, challenge.qop), (Algorithm::Md5, QopOffer::Auth));
}

#[test]
fn qop_is_answered_as_offered() {
    for (offer, qop) in [
        ("", QopOffer::Absent),
        (", qop=\"\"", QopOffer::Absent),
        (", qop=auth", QopOffer::Auth),
        (", qop=\"auth-int , AUTH\"", QopOffer::AuthOrAuthInt),
        (", qop=\"auth-conf,auth-int\"", QopOffer::AuthInt),
    ] {
        let value = format!("Digest realm=\"r\", nonce=\"n\"{offer}");
        assert_eq!(Challenge::parse(value.as_bytes()).unwrap().qop, qop, "{offer}");
    }
    let unknown = Challenge::parse(b"Digest realm=\"r\", nonce=\"n\", qop=\"auth-conf\"");
    assert_eq!(unknown, Err(AuthError::UnsupportedQop));
}

/// Both expected responses were computed with `openssl md5`.
#[test]
fn without_qop_the_answer_has_no_count_and_with_auth_int_it_covers_the_body() {
    let answer = Answer {
        method: b"REGISTER",
        uri: b"sip:biloxi.com",
        user: b"bob",
        secret: Secret::Password(b"zanzibar"),
        cnonce: b"0a4f113b",
        nc: 1,
        body: b"v=0\r\n",
    };
    let challenge = "Digest realm=\"biloxi.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let mut out = Vec::new();
    Challenge::parse(challenge.as_bytes()).unwrap().answer(&answer, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("response=\"4441045a8075db3ead543693997e2a0e\""), "{out}");
    assert!(!out.contains("qop") && !out.contains("nc=") && !out.contains("cnonce"), "{out}");
    let challenge = format!("{challenge}, qop=\"auth-int\"");
    let mut out = Vec::new();
    Challenge::parse(challenge.as_bytes()).unwrap().answer(&answer, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("qop=auth-int, nc=00000001"), "{out}");
    assert!(out.contains("response=\"682d2fe1379a5bb836b4f39b47149ef7\""), "{out}");
}

#[test]
fn text_that_would_break_the_line_is_refused_before_anything_is_written() {
    let challenge = Challenge::parse(b"Digest realm=\"r\", nonce=\"n\", qop=\"auth\"").unwrap();
    let right = Answer {
        method: b"BYE",
        uri: b"sip:a",
        user: b"u",
        secret: Secret::Password(b""),
        cnonce: b"c",
        nc: 1,
        body: b"",
    };
    for wrong in [
        Answer { user: b"u\r\nX: y", ..right },
        Answer { uri: b"sip:a\n", ..right },
        Answer { cnonce: b"\0", ..right },
    ] {
        let mut out = Vec::new();
        assert_eq!(challenge.answer(&wrong, &mut out), Err(AuthError::Unquotable));
        assert!(out.is_empty());
    }
    let none = Ha1::default();
    let unserved = Answer { secret: Secret::Ha1(&none), ..right };
    assert_eq!(challenge.answer(&unserved, &mut Vec::new()), Err(AuthError::NoHa1(Algorithm::Md5)));
}
