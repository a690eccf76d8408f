//! What an event costs with 1,000, 100,000 and 1,000,000 transactions or bindings in the pure core.
//!
//!     cargo run --release -p benches --example scale
//!
//! Each line is one kind of event at one population: nanoseconds of CPU time of the core for each, its outputs drained,
//! and the mean of the slowest hundred. What the peers cost is not in it. Each population has a process of its own. Bytes
//! are the growth of its resident memory (Linux), divided by the population.

use benches::Driver;
use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use sip_stack::Time;
use sip_stack::endpoint::{Endpoint, Event, Heading, Input, Output};
use sip_stack::message::{Message, Method, Status};
use sip_stack::random::Random;
use sip_stack::transport::{Flow, ListenerId, Transport};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const POPULATIONS: [usize; 3] = [1_000, 100_000, 1_000_000];
/// Events of a kind that are timed, at least.
const EVENTS: usize = 200_000;
/// Events that are timed together; the mean of the slowest batch is shown.
const BATCH: u32 = 100;
const SECOND: u64 = 1_000_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &*arguments {
        [kind, population] => measure(kind, population.parse().expect("a number")),
        _ => {
            println!("{:<46} {:>10} {:>9} {:>12}", "event", "population", "ns each", "slowest 100");
            for kind in ["client", "server", "binding"] {
                POPULATIONS.into_iter().for_each(|population| start(kind, population));
            }
        }
    }
}

/// Measures in a process of its own, whose memory no other measurement has used.
fn start(kind: &str, population: usize) {
    let program = std::env::current_exe().expect("the program knows its file");
    let status = Command::new(program).args([kind, &population.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "{kind} with {population} failed");
}

fn measure(kind: &str, population: usize) {
    match kind {
        "client" => client_transactions(population),
        "server" => server_transactions(population),
        _ => bindings(population),
    }
}

/// CPU time of one kind of event.
#[derive(Default)]
struct Clock {
    spent: Duration,
    events: usize,
    slowest: Duration,
}

/// CPU time of this thread: what else runs on the machine is not in it.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.try_into().expect("less than a second"))
}

impl Clock {
    /// Times `work`, which tells how many events it was: [`BATCH`] or more, but for the last.
    fn timed(&mut self, work: impl FnOnce() -> usize) {
        let before = cpu();
        let events = work();
        let spent = cpu().saturating_sub(before);
        self.spent += spent;
        self.events += events;
        if let Ok(events @ BATCH..) = u32::try_from(events) {
            self.slowest = self.slowest.max(spent / events);
        }
    }

    fn print(&self, event: &str, population: usize) {
        let each = self.spent.as_nanos() as f64 / self.events.max(1) as f64;
        println!("{event:<46} {population:>10} {each:>9.0} {:>9} ns", self.slowest.as_nanos());
    }
}

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or_default() * 1_024
}

/// Few objects are lost among what the allocator takes in advance.
fn print_bytes(object: &str, population: usize, before: usize) {
    if population < 100_000 {
        return;
    }
    let bytes = resident().saturating_sub(before) / population;
    println!("{object:<46} {population:>10} {bytes:>9} bytes each");
}

fn flow(port: u16) -> Flow {
    Flow {
        listener: ListenerId(0),
        transport: Transport::Udp,
        local: SocketAddr::from(([127, 0, 0, 1], 5060)),
        peer: SocketAddr::from(([127, 0, 0, 1], port)),
    }
}

/// Numbers below `population`, each once, in an order that no cache can guess.
fn shuffled(population: usize) -> Vec<usize> {
    let mut random = Random::new([9; 32]);
    let mut order: Vec<usize> = (0..population).collect();
    for left in (1..population).rev() {
        order.swap(left, random.next_u64() as usize % (left + 1));
    }
    order
}

/// Fires what is due up to `until`; a message sent and a transaction that ends are one event each.
fn fire(endpoint: &mut Endpoint, until: Time, clock: &mut Clock) {
    let is_due = |endpoint: &Endpoint| endpoint.poll_timeout().filter(|due| *due <= until);
    while is_due(endpoint).is_some() {
        clock.timed(|| {
            let before = endpoint.transactions();
            let mut sent = 0;
            let mut events = 0;
            while let Some(due) = is_due(endpoint)
                && events < BATCH as usize
            {
                endpoint.handle_timeout(due);
                while endpoint.poll_output().is_some() {
                    sent += 1;
                }
                events = sent + before - endpoint.transactions();
            }
            events
        });
    }
}

/// Rounds over a population: the first fills the memory and is not counted among the events.
fn rounds(population: usize) -> usize {
    1 + EVENTS.div_ceil(population)
}

/// OPTIONS of ours over UDP (§17.1.2): sent, repeated by Timer E, answered, forgotten by Timer K.
fn client_transactions(population: usize) {
    let [mut start, mut timer, mut answer, mut end, mut growth] = [(); 5].map(|()| Clock::default());
    let mut endpoint = Endpoint::new([3; 32]);
    let mut now = Time(1);
    let order = shuffled(population);
    let mut requests = vec![Bytes::new(); population];
    let before = resident();
    for round in 0..rounds(population) {
        let began = now;
        for (batch, kept) in requests.chunks_mut(BATCH as usize).enumerate() {
            let start = if round == 0 { &mut growth } else { &mut start };
            start.timed(|| {
                for (index, kept) in kept.iter_mut().enumerate() {
                    // All within 400 ms, so that none is repeated before the last is sent.
                    let index = (batch * BATCH as usize + index) as u64;
                    now = Time(began.0 + index * SECOND * 2 / 5 / population as u64);
                    send_options(&mut endpoint, now, kept);
                }
                kept.len()
            });
        }
        if round == 0 {
            print_bytes("an OPTIONS sent, its bytes included", population, before);
        }
        now = Time(began.0 + SECOND);
        fire(&mut endpoint, now, &mut timer);
        for batch in order.chunks(BATCH as usize) {
            let answers = batch.iter().map(|index| {
                let request = Message::parse(requests[*index].clone()).expect("our own request parses");
                Bytes::from(benches::reply(&request, "200 OK", 1, ""))
            });
            let answers: Vec<Bytes> = answers.collect();
            answer.timed(|| {
                for bytes in answers {
                    endpoint.handle_input(now, Input::Received { flow: flow(7001), bytes });
                    while endpoint.poll_output().is_some() {}
                }
                batch.len()
            });
        }
        now = Time(now.0 + 6 * SECOND);
        fire(&mut endpoint, now, &mut end);
        assert_eq!(endpoint.transactions(), 0, "Timer K has ended them");
    }
    assert_eq!(timer.events, rounds(population) * population, "each was sent again once");
    growth.print("client transaction: request sent, memory grows", population);
    start.print("client transaction: request sent", population);
    timer.print("client transaction: Timer E, sent again", population);
    answer.print("client transaction: 200 received", population);
    end.print("client transaction: Timer K, ended", population);
}

fn send_options(endpoint: &mut Endpoint, now: Time, sent: &mut Bytes) {
    let heading = Heading {
        method: Method::Options,
        uri: b"sip:1001@127.0.0.1:7001",
        from: b"<sip:127.0.0.1:5060>",
        to: b"<sip:1001@127.0.0.1:7001>",
        sent_by: b"127.0.0.1:5060",
        max_forwards: 70,
        sequence: None,
    };
    let draft = endpoint.draft(heading, flow(7001));
    endpoint.request(now, draft, 0);
    while let Some(output) = endpoint.poll_output() {
        if let Output::Transmit(transmit) = output {
            *sent = transmit.bytes;
        }
    }
}

/// OPTIONS of others over UDP (§17.2.2): received and answered, received again, forgotten by Timer J.
fn server_transactions(population: usize) {
    let [mut start, mut again, mut end, mut growth] = [(); 4].map(|()| Clock::default());
    let mut endpoint = Endpoint::new([4; 32]);
    let mut now = Time(1);
    let (in_order, shuffled): (Vec<usize>, _) = ((0..population).collect(), shuffled(population));
    let before = resident();
    for round in 0..rounds(population) {
        for batch in in_order.chunks(BATCH as usize) {
            let requests = options(round, batch);
            let start = if round == 0 { &mut growth } else { &mut start };
            start.timed(|| {
                requests.into_iter().for_each(|bytes| answer_options(&mut endpoint, now, bytes));
                batch.len()
            });
        }
        assert_eq!(endpoint.transactions(), population);
        if round == 0 {
            print_bytes("an OPTIONS answered, its response included", population, before);
        }
        for batch in shuffled.chunks(BATCH as usize) {
            let requests = options(round, batch);
            again.timed(|| {
                for bytes in requests {
                    endpoint.handle_input(now, Input::Received { flow: flow(7000), bytes });
                    assert!(endpoint.poll_output().is_some(), "the response again");
                }
                batch.len()
            });
        }
        now = Time(now.0 + 40 * SECOND);
        fire(&mut endpoint, now, &mut end);
        assert_eq!(endpoint.transactions(), 0, "Timer J has ended them");
    }
    growth.print("server transaction: 200 sent, memory grows", population);
    start.print("server transaction: request, 200 sent", population);
    again.print("server transaction: request again, 200 again", population);
    end.print("server transaction: Timer J, ended", population);
}

fn options(round: usize, numbers: &[usize]) -> Vec<Bytes> {
    let options = |number: &usize| {
        Bytes::from(format!(
            "OPTIONS sip:127.0.0.1:5060 SIP/2.0\r\n\
             Via: SIP/2.0/UDP 127.0.0.1:7000;rport;branch=z9hG4bK{round}-{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1000@127.0.0.1>;tag=f{number}\r\nTo: <sip:127.0.0.1:5060>\r\n\
             Call-ID: {number}@bench\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        ))
    };
    numbers.iter().map(options).collect()
}

fn answer_options(endpoint: &mut Endpoint, now: Time, bytes: Bytes) {
    endpoint.handle_input(now, Input::Received { flow: flow(7000), bytes });
    while let Some(output) = endpoint.poll_output() {
        if let Output::Event(Event::Request(request)) = output {
            let response = endpoint.response(&request, Status::OK, None).finish();
            let transaction = endpoint.accept(now, &request, 0);
            endpoint.respond(now, transaction, Status::OK, response);
        }
    }
}

/// The first of a million users.
const FIRST_USER: usize = 1_000_000;
/// Requests after which virtual time passes, so that their transactions are not counted among the memory of bindings.
const PASS: usize = 10_000;

/// Registrations with digest through the whole switch (§10.3), each with its server transaction.
fn bindings(population: usize) {
    let blocks: String = (0..10)
        .map(|block| {
            let from = FIRST_USER + block * 100_000;
            format!("[[users]]\nfrom = {from}\nto = {}\npassword = \"secret\"\n", from + 99_999)
        })
        .collect();
    let config = format!(
        "[[listener]]\naddress = \"127.0.0.1:5090\"\n[nat]\nkeep_alive_s = 3600\n\
         [[domain]]\nname = \"lab\"\ndefault = true\nnonce_lifetime_s = 86400\n{blocks}"
    );
    let mut driver = Driver::with_config(&config);
    let order = shuffled(population);
    driver.register("1999999", 1_023);
    driver.pass(40);
    let [mut growth, mut refresh, mut removal, mut new, mut expiry] = [(); 5].map(|()| Clock::default());
    let before = resident();
    register(&mut driver, &mut growth, &order, 7_200);
    print_bytes("a binding", population, before);
    let some = &order[..population.min(EVENTS / 4)];
    for _ in 0..(EVENTS / 4).div_ceil(population) {
        register(&mut driver, &mut refresh, some, 7_200);
        register(&mut driver, &mut removal, some, 0);
        register(&mut driver, &mut new, some, 7_200);
    }
    // Two hours in which phones are kept reachable, up to the first that expires, are not its cost.
    let mut first = 0;
    while first == 0 {
        first = driver.fire();
    }
    while expiry.events + first < population {
        // The rounds that keep phones reachable go on meanwhile.
        let before = expiry.events;
        expiry.timed(|| {
            let mut ended = 0;
            while ended < BATCH as usize && before + first + ended < population {
                ended += driver.fire();
            }
            ended
        });
    }
    growth.print("binding: new, memory grows", population);
    refresh.print("binding: refreshed", population);
    removal.print("binding: removed by its phone", population);
    new.print("binding: new", population);
    expiry.print("binding: expired", population);
}

/// Registers users, each from a port of its own; 0 seconds take the binding back.
fn register(driver: &mut Driver, clock: &mut Clock, users: &[usize], expires_s: u32) {
    let port = |user: usize| 1_024 + (user % 60_000) as u16;
    for users in users.chunks(PASS) {
        for batch in users.chunks(BATCH as usize) {
            let text = |user: &usize| {
                let name = (FIRST_USER + user).to_string();
                (port(*user), Bytes::from(driver.register_for(&name, port(*user), expires_s)))
            };
            let requests: Vec<(u16, Bytes)> = batch.iter().map(text).collect();
            clock.timed(|| {
                for (port, bytes) in requests {
                    driver.feed_bytes(port, bytes);
                }
                batch.len()
            });
        }
        let status = driver.sent().next().and_then(|response| response.status());
        assert_eq!(status.map(|status| status.code()), Some(200));
        driver.pass(33);
    }
}
