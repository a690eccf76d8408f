//! dnsmasq as the name server of one domain: NAPTR, SRV and address records on a port of the loopback interface.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::ports::{self, Ports};
use crate::process::Program;

/// The programs a [`Dnsmasq`] needs.
pub const PROGRAMS: [&str; 1] = ["dnsmasq"];

/// One server of a service (RFC 2782).
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// The name of the host; it has the address 127.0.0.1.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The lowest is called first.
    pub priority: u16,
    /// The share of the calls among servers of one priority.
    pub weight: u16,
}

/// A running name server.
pub struct Dnsmasq {
    program: Program,
    address: SocketAddr,
}

impl Dnsmasq {
    /// Serves `domain`, with one NAPTR record for `service`, such as `SIP+D2U`, that leads to the SRV records of
    /// `servers` (RFC 3263 §4.1, §4.2). There is nothing else it knows, and nobody else it asks.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(
        folder: &Path,
        ports: &mut Ports,
        domain: &str,
        service: &str,
        servers: &[Server<'_>],
    ) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.udp(1)));
        let port = address.port();
        let transport = if service == "SIP+D2T" { "tcp" } else { "udp" };
        let srv = format!("_sip._{transport}.{domain}");
        let mut command = Command::new("dnsmasq");
        command.args(["--no-daemon", "--log-queries", "--no-resolv", "--no-hosts", "--bind-interfaces"]);
        command.args(["--conf-file=/dev/null", "--listen-address=127.0.0.1", &format!("--port={port}")]);
        command.arg(format!("--local=/{domain}/"));
        command.arg(format!("--naptr-record={domain},10,10,s,{service},,{srv}"));
        for Server { host, port, priority, weight } in servers {
            command.arg(format!("--srv-host={srv},{host},{port},{priority},{weight}"));
            command.arg(format!("--host-record={host},127.0.0.1"));
        }
        let program = Program::start("dnsmasq", command.current_dir(folder));
        program.until("listens", || ports::is_bound(port));
        Self { program, address }
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it was asked for records of this type and name.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn is_asked(&self, kind: &str, name: &str) {
        self.program.expect(&format!("query[{kind}] {name} from"));
    }
}
