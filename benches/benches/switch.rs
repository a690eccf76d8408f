//! The pure switch without I/O: a REGISTER with digest (RFC 3261 §10.3, RFC 7616) and a whole call, INVITE to BYE, both
//! legs; what a flood costs: requests that come again, and requests refused with 503. Timed is what the switch spends;
//! what it costs to write the phones' messages is not.

use benches::Driver;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::Duration;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// After so many rounds virtual time passes, so that ended transactions are forgotten as they are in a live switch.
const ROUNDS: u64 = 4_096;

fn timed(rounds: u64, driver: &mut Driver, mut round: impl FnMut(&mut Driver)) -> Duration {
    driver.spent = Duration::ZERO;
    for done in 0..rounds {
        round(driver);
        if done % ROUNDS == ROUNDS - 1 {
            driver.pass(40);
        }
    }
    driver.spent
}

fn register(c: &mut Criterion) {
    let mut group = c.benchmark_group("switch");
    group.throughput(Throughput::Elements(1));
    let mut driver = Driver::new();
    driver.register("1000", 7000);
    group.bench_function("REGISTER with digest, nonce reused", |bench| {
        bench.iter_custom(|rounds| {
            timed(rounds, &mut driver, |driver| {
                let text = driver.register_text("1000", 7000);
                driver.feed(7000, text);
            })
        });
    });
    let mut driver = Driver::new();
    driver.register("1001", 7001);
    driver.register("1000", 7000);
    group.bench_function("call, INVITE with digest to BYE", |bench| {
        bench.iter_custom(|rounds| timed(rounds, &mut driver, Driver::call));
    });
}

/// The same datagram again and again: its transaction answers (§17.2.1, §17.2.2).
fn retransmission(c: &mut Criterion) {
    let mut group = c.benchmark_group("switch");
    group.throughput(Throughput::Elements(1));
    let mut driver = Driver::new();
    driver.register("1001", 7001);
    driver.register("1000", 7000);
    let register = Bytes::from(driver.register_text("1000", 7000));
    let invite = Bytes::from(driver.invite_text());
    for (name, request) in [("REGISTER", register), ("INVITE", invite)] {
        driver.feed_bytes(7000, request.clone());
        group.bench_function(format!("{name}, retransmitted"), |bench| {
            bench.iter_custom(|rounds| {
                driver.spent = Duration::ZERO;
                for _ in 0..rounds {
                    assert_eq!(driver.feed_bytes(7000, request.clone()).len(), 1, "the last response again");
                }
                driver.spent
            });
        });
    }
}

/// New work while there is too much: 503 before digest verification, without state (§8.2.7, §21.5.4).
fn refusal(c: &mut Criterion) {
    let mut group = c.benchmark_group("switch");
    group.throughput(Throughput::Elements(1));
    let mut driver = Driver::new();
    driver.register("1001", 7001);
    driver.register("1000", 7000);
    // Without credentials, so that one that is admitted leaves nothing behind.
    let invite = Bytes::from(driver.invite_text_without_credentials());
    let mut feed = |name: &str, driver: &mut Driver| {
        group.bench_function(name, |bench| {
            bench.iter_custom(|rounds| {
                driver.spent = Duration::ZERO;
                for _ in 0..rounds {
                    driver.feed_bytes(7000, invite.clone());
                }
                driver.spent
            });
        });
    };
    feed("INVITE, challenged", &mut driver);
    driver.overload(&invite);
    feed("INVITE, refused", &mut driver);
    let status = driver.sent().next().and_then(|response| response.status());
    assert_eq!(status.map(|status| status.code()), Some(503));
}

criterion_group!(benches, register, retransmission, refusal);
criterion_main!(benches);
