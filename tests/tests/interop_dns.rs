//! Calls to a peer given by name, located through a real name server (RFC 3263): dnsmasq knows it, SIPp answers for it.
//!
//! Skipped, loudly, only where a program cannot be installed.

use tests::dnsmasq::{self, Dnsmasq, Server};
use tests::sipp::{self, Outcome, Run, Sipp};
use tests::skip;
use tests::switch::{PASSWORD, Switch};

const CALLS: u32 = 40;
const RATE: u32 = 20;
const PAUSE_MS: u32 = 300;

const CARRIER: &str = "carrier.example";
const FIRST: &str = "first.carrier.example";
const SECOND: &str = "second.carrier.example";

fn skipped(test: &str) -> bool {
    let programs = [&dnsmasq::PROGRAMS[..], &sipp::PROGRAMS[..]].concat();
    skip::missing(&format!("interop_dns::{test}"), &programs)
}

/// The priorities and weights of the two servers.
struct Preference {
    first: (u16, u16),
    second: (u16, u16),
}

/// A switch whose peer behind 8XXX is [`CARRIER`], and a name server that knows two servers of that name.
struct Lab {
    switch: Switch,
    names: Dnsmasq,
    first: u16,
    second: u16,
}

impl Lab {
    fn open(service: &str, preference: &Preference) -> Self {
        let mut found = None;
        let switch = Switch::start_after(|folder, ports| {
            let (first, second) = (ports.udp(1), ports.udp(1));
            let server = |host, port, (priority, weight)| Server { host, port, priority, weight };
            let servers = [server(FIRST, first, preference.first), server(SECOND, second, preference.second)];
            let names = Dnsmasq::start(folder, ports, CARRIER, service, &servers);
            let configuration = configuration(&names);
            found = Some((names, first, second));
            configuration
        });
        let (names, first, second) = found.expect("the name server runs before the switch");
        Self { switch, names, first, second }
    }

    fn run(&mut self, port: u16, run: Run<'_>) -> Sipp {
        let (folder, server) = (self.switch.folder().to_owned(), self.switch.address());
        Sipp::start(&folder, server, port, &mut self.switch.ports, run)
    }

    /// One of the carrier's servers, which takes calls.
    fn answer(&mut self, port: u16, transport: &'static str) -> Sipp {
        let run =
            Run { scenario: "uas", users: None, calls: CALLS, rate: RATE, pause_ms: PAUSE_MS, transport };
        self.run(port, run)
    }

    /// Calls numbers of the carrier's.
    fn call(&mut self) -> Outcome {
        let port = self.switch.ports.udp(1);
        let run = Run {
            scenario: "uac",
            users: Some("peer_calls"),
            calls: CALLS,
            rate: RATE,
            pause_ms: PAUSE_MS,
            transport: "u1",
        };
        self.run(port, run).finish()
    }
}

fn configuration(names: &Dnsmasq) -> String {
    format!(
        r#"
[[users]]
from = 1000
to = 1099
password = "{PASSWORD}"

[[peer]]
id = "carrier"
address = "{CARRIER}"

[[route]]
pattern = "8XXX"
peer = "carrier"

[dns]
servers = ["{}"]
"#,
        names.address()
    )
}

#[test]
fn a_name_leads_to_the_server_of_the_lowest_priority() {
    if skipped("a_name_leads_to_the_server_of_the_lowest_priority") {
        return;
    }
    let mut lab = Lab::open("SIP+D2U", &Preference { first: (20, 0), second: (10, 0) });
    let answering = lab.answer(lab.second, "u1");
    lab.call().all_successful(CALLS);
    answering.finish().all_successful(CALLS);
    lab.names.is_asked("NAPTR", CARRIER);
    lab.names.is_asked("SRV", &format!("_sip._udp.{CARRIER}"));
    lab.names.is_asked("A", SECOND);
    lab.switch.stop_and_replay();
}

#[test]
fn calls_go_to_the_next_server_when_nothing_listens_at_the_first() {
    if skipped("calls_go_to_the_next_server_when_nothing_listens_at_the_first") {
        return;
    }
    let mut lab = Lab::open("SIP+D2T", &Preference { first: (10, 0), second: (20, 0) });
    let answering = lab.answer(lab.second, "t1");
    lab.call().all_successful(CALLS);
    answering.finish().all_successful(CALLS);
    lab.switch.expect(&format!("-> 127.0.0.1:{}", lab.first));
    lab.switch.stop();
}

#[test]
fn servers_of_one_priority_share_the_calls() {
    if skipped("servers_of_one_priority_share_the_calls") {
        return;
    }
    let mut lab = Lab::open("SIP+D2U", &Preference { first: (10, 50), second: (10, 50) });
    let first = lab.answer(lab.first, "u1");
    let second = lab.answer(lab.second, "u1");
    lab.call().all_successful(CALLS);
    let shares = [first.stop(), second.stop()];
    let taken = shares.each_ref().map(|share| share.successful);
    assert_eq!(taken.iter().sum::<u64>(), u64::from(CALLS), "{shares:?}");
    // that one server takes all of them by chance happens once in 10^11 runs
    assert!(taken.iter().all(|taken| *taken > 0), "{shares:?}");
    lab.switch.stop();
}
