//! What the scenario log costs the core: a REGISTER in, its answer out, written down as the run loop does it. Buffers
//! go round as they do between the core and the thread that writes; the disk is not measured here.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sip_stack::Time;
use sip_stack::transport::{Flow, ListenerId, Transmit, Transport};
use softswitch::config;
use softswitch::core::{Input, Output, Switch};
use softswitch::log::{Bounds, Job, Key, Recorder, Sealer, Sink};
use std::hint::black_box;
use std::net::SocketAddr;

/// Gives every buffer back at once.
#[derive(Default)]
struct Round {
    empty: Option<Vec<u8>>,
}

impl Sink for Round {
    fn offer(&mut self, job: Job) -> bool {
        match job {
            Job::Begin => {}
            Job::Append(mut buffer) => {
                buffer.clear();
                self.empty = Some(buffer);
            }
        }
        true
    }

    fn recycled(&mut self) -> Option<Vec<u8>> {
        self.empty.take()
    }

    fn poll_failure(&mut self) -> Option<std::io::Error> {
        None
    }
}

fn recorder() -> Recorder<Round> {
    let text = "[[listener]]\naddress = \"192.0.2.1:5060\"\n[[user]]\nid = \"1000\"\npassword = \"secret\"\n";
    let config = config::parse("bench.toml", text).expect("the configuration is valid");
    let mut switch = Switch::new([1; 32], config);
    let mut recorder =
        Recorder::new(Round::default(), Sealer::new(&Key::new([2; 32]), [3; 8]), Bounds::default());
    // Opens the segment and writes its snapshot.
    for _ in 0..4 {
        recorder.maintain(Time(1), &mut switch);
    }
    recorder
}

fn flow() -> Flow {
    let address = |last, port| SocketAddr::from(([192, 0, 2, last], port));
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        local: address(1, 5060),
        peer: address(7, 5070),
    }
}

fn log(c: &mut Criterion) {
    let mut group = c.benchmark_group("log");
    group.throughput(Throughput::Elements(1));
    let mut now = Time(1_000);
    let input = Input::Received { flow: flow(), bytes: Bytes::from(vec![b'x'; 750]) };
    let mut opened = recorder();
    group.bench_function("received message of 750 bytes", |bench| {
        bench.iter(|| {
            now.0 += 1_000;
            opened.input(now, black_box(&input));
        });
    });
    let transmit = Transmit { flow: flow(), bytes: Bytes::from(vec![b'x'; 500]), transaction: Some(7) };
    let output = Output::Transmit(transmit);
    let mut opened = recorder();
    group.bench_function("sent message of 500 bytes", |bench| {
        bench.iter(|| opened.output(now, black_box(&output)));
    });
}

criterion_group!(benches, log);
criterion_main!(benches);
