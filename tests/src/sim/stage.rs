//! Scenario files in the simulated world: the phones are those of `softphone::scenario`, the world has switch and network.
//!
//! The switch gets the configuration of the file; what it leaves out is made up here: a listener, one domain, and a user for
//! each phone.

use super::world::{SWITCH, Step, World};
use super::{Faults, program, room_order, world};
use sip_stack::transport::{Flow, ListenerId, Transport};
use softphone::phone::{Account, Password};
use softphone::scenario::script::{PhoneSetup, RecordedEnd};
use softphone::scenario::{Input, Inside, Output, Record, Report, Runner, RunnerConfig, Scenario};
use softswitch::config::ConfigErrors;
use softswitch::core::Event;
use softswitch::store::EndedBy;
use std::net::SocketAddr;

/// The domain of a scenario that names none.
pub const DOMAIN: &str = "pbx.example";

/// Plays a scenario over such a network; one seed decides everything.
///
/// # Errors
/// [`ConfigErrors`]: the configuration in the file is wrong; the lines are those of the file.
///
/// # Panics
/// When a phone of it has no name that can be written.
pub fn play(scenario: &Scenario, seed: u64, faults: Faults) -> Result<Report, ConfigErrors> {
    let config = configuration(scenario);
    let parsed = softswitch::config::parse(&scenario.file, &config)?;
    let domain = parsed.domains.values().next().map_or_else(|| DOMAIN.into(), |domain| domain.name.clone());
    let mut world = World::new(seed, &config, faults);
    world.visitors = Some(Vec::new());
    let phones = scenario.phones.iter().enumerate();
    let accounts = phones.map(|(place, setup)| account(place, setup, &domain)).collect();
    let inside = Some(inside(&world));
    let rules = RunnerConfig { accounts, faults, inside, stretch: 1, seed: world::seed_of(!seed) };
    let mut runner = Runner::new(world.now, scenario.clone(), rules)
        .unwrap_or_else(|error| panic!("{}: {error}", scenario.file));
    loop {
        obey(&mut runner, &mut world);
        if let Some(report) = runner.report() {
            return Ok(report.clone());
        }
        let until = runner.poll_timeout().map_or(world.now, |until| until.max(world.now));
        let step = world.step(until);
        runner.handle_input(world.now, Input::Inside(self::inside(&world)));
        for datagram in world.visitors.replace(Vec::new()).unwrap_or_default() {
            runner.handle_input(world.now, Input::Datagram(datagram));
        }
        if step == Step::Idle {
            runner.handle_timeout(world.now);
        }
    }
}

/// Does what the runner asks for, until it has nothing more.
fn obey(runner: &mut Runner, world: &mut World) {
    while let Some(output) = runner.poll_output() {
        match output {
            Output::Transmit(datagram) => world.send(&datagram),
            Output::Open { phone, call } => {
                let port = 20_000 + 2 * (call.0 % 10_000) as u16;
                let address = Some(SocketAddr::new(address(phone).ip(), port));
                runner.handle_input(world.now, Input::Opened { phone, call, address });
            }
            // Nobody else wants the port.
            Output::Close { .. } => {}
            Output::Network(faults) => world.network.faults = faults,
            Output::Restart => world.restart_switch(),
            Output::Mailbox { number, new } => world.keep_messages(&number, new),
            Output::Order(order) => program::obey(world, order),
            Output::RoomOrder(order) => room_order::give(world, &order),
        }
    }
}

fn address(place: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 2, 1 + u8::try_from(place).expect("few phones")], 5060))
}

fn account(place: usize, setup: &PhoneSetup, domain: &str) -> Account {
    let local = address(place);
    Account {
        user: setup.number.clone(),
        domain: domain.into(),
        display_name: None,
        password: Password(setup.password.clone()),
        server: Flow { listener: ListenerId(0), transport: Transport::Udp, local, peer: SWITCH },
        expires_s: 600,
    }
}

fn inside(world: &World) -> Inside {
    let held = world.switch.holdings();
    let open = world.media_legs() + usize::from(!world.network.is_empty());
    let started = |event: &&Event| matches!(event, Event::CallStarted { .. });
    Inside {
        calls: world.switch.calls(),
        left: held.transactions + held.dialogs + held.locations + held.rooms + open,
        records: world.events.iter().filter(started).count().min(world.database.of_begun()),
        missed: world.database.records.iter().filter(|record| record.missed).count(),
        record: world.database.records.last().map(|record| Record {
            status: record.status,
            ended_by: match record.ended_by {
                EndedBy::Caller => RecordedEnd::Caller,
                EndedBy::Callee => RecordedEnd::Callee,
                EndedBy::Switch => RecordedEnd::Switch,
            },
        }),
    }
}

/// The configuration for the simulated switch.
fn configuration(scenario: &Scenario) -> String {
    domains(scenario) + &format!("[[listener]]\naddress = \"{SWITCH}\"\n")
}

/// The configuration of the file, its lines where they are in the file, and below it what it leaves out: the domain, and a
/// user for each phone. The listener is the caller's.
#[must_use]
pub fn domains(scenario: &Scenario) -> String {
    let (text, line) = scenario.switch.as_ref().map_or(("", 1), |(text, line)| (text, *line));
    let mut config = "\n".repeat(line.saturating_sub(1) as usize) + text + "\n";
    // What does not parse is told with its line by the switch itself.
    let table: toml::Table = text.parse().unwrap_or_default();
    if !table.contains_key("domain") {
        config += &format!("[[domain]]\nname = \"{DOMAIN}\"\ndefault = true\n");
    }
    let listed = |number: &str| {
        let users = table.get("user").and_then(toml::Value::as_array).into_iter().flatten();
        users.into_iter().any(|user| {
            let devices = user.get("device").and_then(toml::Value::as_array).into_iter().flatten();
            let ids = core::iter::once(user).chain(devices).filter_map(|it| it.get("id"));
            ids.into_iter().any(|id| id.as_str() == Some(number))
        })
    };
    let mut numbers: Vec<_> = scenario.phones.iter().map(|phone| (&phone.number, &phone.password)).collect();
    numbers.sort();
    numbers.dedup_by_key(|(number, _)| *number);
    for (number, password) in numbers.into_iter().filter(|(number, _)| !listed(number)) {
        config += &format!("[[user]]\nid = \"{number}\"\npassword = {password:?}\n");
    }
    config
}
