//! The pure switch without I/O: a REGISTER with digest (RFC 3261 §10.3, RFC 7616) and a whole call, INVITE to BYE, both
//! legs. Timed is what the switch spends; what it costs to write the phones' messages is not.

use benches::Driver;
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

criterion_group!(benches, register);
criterion_main!(benches);
