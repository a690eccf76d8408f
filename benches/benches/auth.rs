//! Digest verification as a registrar meets it: a phone's Authorization header field value, MD5 and SHA-256, qop=auth
//! (RFC 7616), with a nonce of the server's own and its count.

use core::time::Duration;
use criterion::{Criterion, criterion_group, criterion_main};
use sip_stack::Time;
use sip_stack::auth::{
    Algorithm, Answer, Challenge, Credentials, Ha1, NonceCheck, NonceCounts, NonceText, Nonces, QopOffer,
    Secret, write_challenge,
};
use std::hint::black_box;

const LIFETIME: Duration = Duration::from_secs(300);
const NOW: Time = Time::from_millis(1_000);

/// What a phone answers to our challenge, and the secret it is checked against.
fn credentials(nonce: &NonceText, algorithm: Algorithm) -> (Vec<u8>, Ha1) {
    let mut challenge = Vec::new();
    write_challenge(&mut challenge, b"pbx.example.com", nonce.as_bytes(), algorithm, QopOffer::Auth, false);
    let answer = Answer {
        method: b"REGISTER",
        uri: b"sip:pbx.example.com:5060;transport=udp",
        user: b"1001",
        secret: Secret::Password(b"secret"),
        cnonce: b"0123456789abcdef0123456789abcdef",
        nc: 1,
        body: b"",
    };
    let mut value = Vec::new();
    let challenge = Challenge::parse(&challenge).expect("our own challenge can be read");
    challenge.answer(&answer, &mut value).expect("the names can be quoted");
    (value, Ha1::compute(&[algorithm], b"1001", b"pbx.example.com", b"secret"))
}

fn digest(criterion: &mut Criterion) {
    let mut nonces = Nonces::new([7; 16], LIFETIME);
    let nonce = nonces.issue(NOW);
    for algorithm in Algorithm::ALL {
        let (value, ha1) = credentials(&nonce, algorithm);
        let credentials = Credentials::parse(&value).expect("our own answer can be read");
        credentials.verify(QopOffer::Auth, b"REGISTER", b"", &ha1).expect("the password is right");
        criterion.bench_function(&format!("auth/verify/{}", algorithm.token()), |bencher| {
            bencher.iter(|| {
                black_box(&credentials).verify(QopOffer::Auth, black_box(b"REGISTER"), b"", black_box(&ha1))
            });
        });
    }
    let (value, _) = credentials(&nonce, Algorithm::Md5);
    criterion.bench_function("auth/parse", |bencher| {
        bencher.iter(|| Credentials::parse(black_box(&value)).is_ok());
    });
}

fn nonce(criterion: &mut Criterion) {
    let mut nonces = Nonces::new([7; 16], LIFETIME);
    let text = nonces.issue(NOW);
    criterion.bench_function("auth/nonce/check", |bencher| {
        bencher.iter(|| nonces.check(black_box(text.as_bytes()), black_box(NOW)));
    });
    criterion.bench_function("auth/nonce/issue", |bencher| bencher.iter(|| nonces.issue(black_box(NOW))));
    // Full from the first lap on: every use drops the oldest, as in a storm of 60,000 registrations a second.
    let mut counts = NonceCounts::new(65_536, LIFETIME);
    let mut now = NOW;
    criterion.bench_function("auth/nonce/issue, check and first use at capacity", |bencher| {
        bencher.iter(|| {
            now = now + Duration::from_nanos(16_667);
            let issued = nonces.issue(now);
            match nonces.check(issued.as_bytes(), now) {
                NonceCheck::Fresh(fresh) => counts.use_count(fresh, 1, 0, now).is_ok(),
                NonceCheck::Expired | NonceCheck::Forged => false,
            }
        });
    });
    let issued = nonces.issue(now);
    let NonceCheck::Fresh(fresh) = nonces.check(issued.as_bytes(), now) else { return };
    let mut nc = 0;
    criterion.bench_function("auth/nonce/next count", |bencher| {
        bencher.iter(|| {
            nc += 1;
            counts.use_count(fresh, nc, 0, now)
        });
    });
}

/// The whole of what a registrar does with an Authorization header field before it looks at the bindings.
fn registrar(criterion: &mut Criterion) {
    let mut nonces = Nonces::new([7; 16], LIFETIME);
    let (value, ha1) = credentials(&nonces.issue(NOW), Algorithm::Md5);
    criterion.bench_function("auth/parse, check and verify/MD5", |bencher| {
        bencher.iter(|| {
            let credentials = Credentials::parse(black_box(&value)).ok()?;
            match nonces.check(credentials.nonce.raw(), NOW) {
                NonceCheck::Fresh(_) => credentials.verify(QopOffer::Auth, b"REGISTER", b"", &ha1).ok(),
                NonceCheck::Expired | NonceCheck::Forged => None,
            }
        });
    });
}

criterion_group!(benches, digest, nonce, registrar);
criterion_main!(benches);
