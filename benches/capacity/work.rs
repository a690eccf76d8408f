//! The pieces of work, and how much each costs.

use crate::load;
use crate::server::{Kind, Programs, Running};
use anyhow::{Result, bail};
use benches::registrations::{Crowd, Line, trusting, write_certificate};
use clap::ValueEnum;
use rustls::client::Resumption;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// A piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Work {
    RegisterUdp,
    RegisterTcp,
    RegisterTls,
    Signalling,
    Relay,
    Transcode,
    Room,
    RoomsOfTen,
    RoomsOfFour,
    Record,
    Mixed,
}

/// What a cost is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Microseconds of CPU for each.
    Microseconds,
    /// Percent of a core for each that goes on.
    Percent,
}

impl Unit {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Unit::Microseconds => "µs",
            Unit::Percent => "% of a core",
        }
    }
}

impl Work {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Work::RegisterUdp => "register-udp",
            Work::RegisterTcp => "register-tcp",
            Work::RegisterTls => "register-tls",
            Work::Signalling => "signalling",
            Work::Relay => "relay",
            Work::Transcode => "transcode",
            Work::Room => "room",
            Work::RoomsOfTen => "rooms-of-ten",
            Work::RoomsOfFour => "rooms-of-four",
            Work::Record => "record",
            Work::Mixed => "mixed",
        }
    }

    /// What it is, in words of a table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Work::RegisterUdp => "a registration with digest over UDP",
            Work::RegisterTcp => "the same over TCP connections that stay",
            Work::RegisterTls => "the same over TLS",
            Work::Signalling => "a call without sound, INVITE to BYE, 100 a second",
            Work::Relay => "a G.711 call of two, 200 at once",
            Work::Transcode => "a call between G.711 and Opus, 20 at once",
            Work::Room => "a member of a room of 100, three talk",
            Work::RoomsOfTen => "a member of one of 4 rooms of 10, three talk in each",
            Work::RoomsOfFour => "a member of one of 25 rooms of 4, three talk in each",
            Work::Record => "a recorded G.711 call of two, 100 at once",
            Work::Mixed => {
                "all together: 40 calls of two, a room of 20, 20 calls and 100 registrations a second"
            }
        }
    }

    pub(crate) const fn unit(self) -> Unit {
        match self {
            Work::RegisterUdp | Work::RegisterTcp | Work::RegisterTls | Work::Signalling => {
                Unit::Microseconds
            }
            Work::Relay
            | Work::Transcode
            | Work::Room
            | Work::RoomsOfTen
            | Work::RoomsOfFour
            | Work::Record
            | Work::Mixed => Unit::Percent,
        }
    }

    /// How many floors the cost of one is to be compared with: a call of two passes 100 packets a second, a member of a room gets and
    /// sends half as many.
    pub(crate) const fn floors(self) -> Option<f64> {
        match self {
            Work::Relay | Work::Record => Some(1.0),
            Work::Room | Work::RoomsOfTen | Work::RoomsOfFour => Some(0.5),
            Work::RegisterUdp
            | Work::RegisterTcp
            | Work::RegisterTls
            | Work::Signalling
            | Work::Transcode
            | Work::Mixed => None,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Done {
    /// In the unit of the work.
    pub(crate) cost: f64,
    /// What was done, and what failed of it.
    pub(crate) number: u64,
    pub(crate) failed: u64,
    /// What else was seen.
    pub(crate) figures: BTreeMap<&'static str, f64>,
    /// What was run, the server first.
    pub(crate) commands: Vec<String>,
    /// The report of the swarm, where there was one.
    pub(crate) report: Option<Value>,
    #[serde(skip)]
    unit: &'static str,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Done { cost, number, failed, unit, .. } = self;
        write!(f, "{cost:.3} {unit} each, {number} done, {failed} failed")?;
        self.figures.iter().try_for_each(|(name, figure)| write!(f, ", {name} {figure:.2}"))
    }
}

/// Has a fresh server do it.
pub(crate) fn measure(work: Work, kind: Kind, programs: &Programs, size: u32) -> Result<Done> {
    let part = |all: u32, least: u32| (all * size / 100).max(least);
    let seconds = |all: u32| Duration::from_secs(part(all, 5).into());
    let server = Server { work, kind, programs };
    match work {
        Work::RegisterUdp | Work::RegisterTcp | Work::RegisterTls => {
            server.registrations(part(30, 1) as usize)
        }
        Work::Signalling => server.signalling(part(3_000, 200)),
        Work::Relay => server.pairs(part(200, 4), seconds(12), &[]),
        Work::Transcode => server.pairs(part(20, 2), seconds(12), &["--whole", "--other-codec", "opus"]),
        Work::Record => server.pairs(part(100, 4), seconds(12), &[]),
        Work::Room => server.rooms(1, part(100, 5), seconds(12)),
        Work::RoomsOfTen => server.rooms(part(4, 1), 10, seconds(12)),
        Work::RoomsOfFour => server.rooms(part(25, 2), 4, seconds(12)),
        Work::Mixed => server.mixed(seconds(20)),
    }
}

struct Server<'a> {
    work: Work,
    kind: Kind,
    programs: &'a Programs,
}

impl Server<'_> {
    fn start(&self) -> Result<Running> {
        Running::start(self.kind, self.work, self.programs)
    }

    fn done(&self, cost: f64, (number, failed): (u64, u64), commands: Vec<String>) -> Done {
        let unit = self.work.unit().text();
        Done { cost, number, failed, figures: BTreeMap::new(), commands, report: None, unit }
    }

    /// A thousand phones, each so many times, with the nonce that they were given.
    fn registrations(&self, times: usize) -> Result<Done> {
        let (server, certificate) =
            Running::start_certified(self.kind, self.work, self.programs, write_certificate)?;
        let line = match self.work {
            Work::RegisterTls => {
                Line::Tls(self.kind.tls_address(), trusting(&certificate, Resumption::disabled())?)
            }
            Work::RegisterTcp => Line::Tcp(self.kind.address()),
            _ => Line::Udp(self.kind.address()),
        };
        let mut crowd = Crowd::register(&line, 1_000, 1_000)?;
        let (before, began) = (server.cpu(), Instant::now());
        let number = crowd.refresh(times)?;
        let (spent, took) = (server.cpu() - before, began.elapsed());
        let cost = spent.as_secs_f64() * 1e6 / number as f64;
        let mut done = self.done(cost, (number as u64, 0), server.commands.clone());
        done.figures.insert("a second", number as f64 / took.as_secs_f64());
        Ok(done)
    }

    fn signalling(&self, number: u32) -> Result<Done> {
        let server = self.start()?;
        let before = server.cpu();
        let calls = load::calls(&server, 100, number)?;
        let spent = server.cpu() - before;
        let cost = spent.as_secs_f64() * 1e6 / calls.successful.max(1) as f64;
        let commands = [server.commands.clone(), calls.commands].concat();
        let mut done = self.done(cost, (calls.successful, calls.failed), commands);
        done.figures.insert("retransmissions", calls.retransmissions as f64);
        Ok(done)
    }

    fn pairs(&self, pairs: u32, window: Duration, more: &[&str]) -> Result<Done> {
        let users = format!("1000..{}", 1_000 + 2 * pairs - 1);
        let talk = (window.as_secs() + 6).to_string();
        let (calls, rate) = (pairs.to_string(), pairs.clamp(10, 100).to_string());
        let words = ["--users", &users, "--calls", &calls, "--rate", &rate, "--talk", &talk];
        let words: Vec<String> = words.iter().chain(more).map(ToString::to_string).collect();
        self.talk(pairs, 2 * u64::from(pairs), window, &words)
    }

    fn rooms(&self, rooms: u32, members: u32, window: Duration) -> Result<Done> {
        let all = rooms * members;
        let users = format!("1000..{}", 1_000 + all - 1);
        let (rooms, members) = (rooms.to_string(), members.to_string());
        let duration = (window.as_secs() + 4).to_string();
        let words = ["--users", &users, "--rooms", &rooms, "--participants", &members, "--talkers", "3"];
        let words: Vec<String> = words
            .iter()
            .chain(&["--rate", "100", "--duration", &duration])
            .map(ToString::to_string)
            .collect();
        self.talk(all, all.into(), window, &words)
    }

    fn talk(&self, each: u32, talking: u64, window: Duration, words: &[String]) -> Result<Done> {
        let server = self.start()?;
        let talk = load::swarm(self.programs, &server, talking, window, words)?;
        let number = |name: &str| talk.report.get(name).and_then(Value::as_f64).unwrap_or_default();
        let failures = number("ears") - number("ears_right");
        let commands = [server.commands.clone(), vec![talk.command]].concat();
        let mut done = self.done(talk.percent / f64::from(each), (each.into(), failures as u64), commands);
        let spread = |name: &str, part: &str| talk.report.get(name)?.get(part)?.as_f64();
        done.figures.insert("lost %", number("lost_percent"));
        for (name, spread) in [
            ("set-up p99 ms", spread("setup_ms", "p99")),
            ("one way p99 ms", spread("one_way_ms", "p99").filter(|_| self.work == Work::Relay)),
            (
                "mouth to ear p99 ms",
                spread("mouth_to_ear_ms", "p99").filter(|_| self.work.floors() == Some(0.5)),
            ),
        ] {
            done.figures.extend(spread.map(|figure| (name, figure)));
        }
        done.report = Some(talk.report);
        Ok(done)
    }

    /// Everything at once: the cost is that of the whole server.
    fn mixed(&self, window: Duration) -> Result<Done> {
        let server = self.start()?;
        let mut crowd = Crowd::register(&Line::Udp(self.kind.address()), 1_500, 500)?;
        let duration = window.as_secs() + 10;
        let words = format!(
            "--users 1200..1299 --rooms 1 --participants 20 --talkers 3 --rate 10 --talk 8 --duration {duration}"
        );
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let (talk, calls, registered) = std::thread::scope(|scope| {
            let calls = scope.spawn(|| load::calls(&server, 20, 20 * duration as u32));
            let registering = scope.spawn(|| {
                let until = Instant::now() + Duration::from_secs(duration);
                let mut number = 0;
                while Instant::now() < until {
                    number += crowd.refresh(1)?;
                    std::thread::sleep(Duration::from_secs(5));
                }
                Ok(number)
            });
            let talk = load::swarm(self.programs, &server, 60, window, &words);
            (talk, calls.join(), registering.join() as std::thread::Result<std::io::Result<usize>>)
        });
        let (Ok(calls), Ok(registered)) = (calls, registered) else { bail!("a thread of load has panicked") };
        let (talk, calls, registered) = (talk?, calls?, registered?);
        let number = |name: &str| talk.report.get(name).and_then(Value::as_f64).unwrap_or_default();
        let failed = calls.failed + (number("ears") - number("ears_right")) as u64;
        let commands = [server.commands.clone(), calls.commands, vec![talk.command]].concat();
        let mut done = self.done(talk.percent, (1, failed), commands);
        done.figures.insert("registrations", registered as f64);
        done.figures.insert("calls without sound", calls.successful as f64);
        done.figures.insert("lost %", number("lost_percent"));
        done.report = Some(talk.report);
        Ok(done)
    }
}
