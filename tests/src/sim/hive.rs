//! A swarm of the softphone in the simulated world: virtual time, the real switch and its media.

use super::world::{SWITCH, Step, World};
use super::{Faults, world};
use sip_stack::transport::{Flow, ListenerId, Transport};
use softphone::phone::{Account, CallId, Password};
use softphone::scenario::network::Datagram;
use softphone::swarm::{Output, Plan, Report, Swarm, SwarmConfig};
use softphone::voice::Port;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The domain of its users.
pub const DOMAIN: &str = "pbx.example";
const PASSWORD: &str = "secret";

/// A swarm in a world.
struct Hive {
    world: World,
    swarm: Swarm,
    /// Open ports of RTP.
    ports: BTreeMap<SocketAddr, (usize, CallId)>,
    next_port: u16,
}

/// Carries out a plan over such a network; the switch knows the users of the plan, and conferences at 30XX.
///
/// # Panics
/// When the plan cannot be carried out, or does not end within an hour of virtual time.
#[must_use]
pub fn play(plan: &Plan, seed: u64, faults: Faults) -> Report {
    play_with(plan, &domains(plan), seed, faults)
}

/// As [`play`], with domains and users of the test's own, as TOML.
///
/// # Panics
/// As [`play`].
#[must_use]
pub fn play_with(plan: &Plan, domains: &str, seed: u64, faults: Faults) -> Report {
    plan.check().unwrap_or_else(|error| panic!("{error}"));
    let mut world = World::new(seed, &format!("{domains}[[listener]]\naddress = \"{SWITCH}\"\n"), faults);
    world.visitors = Some(Vec::new());
    let accounts = plan.users.iter().enumerate().map(|(at, user)| account(at, user)).collect();
    let config = SwarmConfig { plan: plan.clone(), accounts, first: 0, seed: world::seed_of(!seed) };
    let began = world.now;
    let swarm = Swarm::new(began, config).expect("accounts that can be written");
    let mut hive = Hive { world, swarm, ports: BTreeMap::new(), next_port: 20_000 };
    while hive.swarm.tally().is_none() {
        assert!(hive.world.now.since(began) < Duration::from_secs(3_600), "it does not end");
        hive.turn();
    }
    let took = hive.world.now.since(began);
    Report::new(plan, hive.swarm.tally().cloned().unwrap_or_default(), took, None)
}

impl Hive {
    fn turn(&mut self) {
        self.obey();
        let now = self.world.now;
        let until = self.swarm.poll_timeout().map_or(now, |until| until.max(now));
        let step = self.world.step(until);
        for datagram in self.world.visitors.replace(Vec::new()).unwrap_or_default() {
            self.receive(&datagram);
        }
        if step == Step::Idle {
            let ports = &self.ports;
            let mut leaving = Vec::new();
            self.swarm.handle_timeout(self.world.now, |phone, port, to, bytes| {
                let open = ports.iter().find(|(_, (owner, _))| *owner == phone);
                if let Some((rtp, _)) = open {
                    let above = match port {
                        Port::Rtp => 0,
                        Port::Rtcp => 1,
                    };
                    let from = SocketAddr::new(rtp.ip(), rtp.port() + above);
                    leaving.push(Datagram { from, to, bytes: bytes.to_vec().into() });
                }
            });
            leaving.iter().for_each(|datagram| self.world.send(datagram));
        }
    }

    fn receive(&mut self, Datagram { from, to, bytes }: &Datagram) {
        let now = self.world.now;
        let at = |port: u16| self.ports.get(&SocketAddr::new(to.ip(), port));
        match (at(to.port()), at(to.port() - 1)) {
            (Some((phone, _)), _) => self.swarm.handle_media(now, *phone, Port::Rtp, *from, bytes),
            (None, Some((phone, _))) => self.swarm.handle_media(now, *phone, Port::Rtcp, *from, bytes),
            (None, None) => {
                if let Some(phone) = place(*to) {
                    self.swarm.handle_sip(now, phone, *from, bytes.clone());
                }
            }
        }
    }

    fn obey(&mut self) {
        while let Some(output) = self.swarm.poll_output() {
            match output {
                Output::Transmit { phone, to, bytes } => {
                    let datagram = Datagram { from: address(phone), to, bytes };
                    self.world.send(&datagram);
                }
                Output::Open { phone, call } => {
                    let address = SocketAddr::new(address(phone).ip(), self.next_port);
                    self.next_port += 2;
                    self.ports.insert(address, (phone, call));
                    self.swarm.handle_opened(self.world.now, phone, call, Some(address));
                }
                Output::Close { phone, call } => self.ports.retain(|_, open| *open != (phone, call)),
            }
        }
    }
}

fn address(phone: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 3, u8::try_from(phone + 1).expect("few phones")], 5060))
}

fn place(address: SocketAddr) -> Option<usize> {
    match address {
        SocketAddr::V4(address) if address.port() == 5060 => {
            usize::from(address.ip().octets()[3]).checked_sub(1)
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => None,
    }
}

fn account(at: usize, user: &str) -> Account {
    Account {
        user: user.into(),
        domain: DOMAIN.into(),
        display_name: None,
        password: Password(PASSWORD.into()),
        server: Flow { listener: ListenerId(0), transport: Transport::Udp, local: address(at), peer: SWITCH },
        expires_s: 600,
    }
}

/// Domain, users and rooms for a plan, without a listener.
#[must_use]
pub fn domains(plan: &Plan) -> String {
    let user = |user: &str| format!("[[user]]\nid = {user:?}\npassword = \"{PASSWORD}\"\n");
    let users: String = plan.users.iter().map(|name| user(name)).collect();
    format!(
        "[[domain]]\nname = \"{DOMAIN}\"\ndefault = true\n{users}\
         [[route]]\npattern = \"30XX\"\nservice = \"conference\"\n"
    )
}
