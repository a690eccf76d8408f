//! The first start: a configuration is made, and the screen says what to type into a phone.

use super::start::shown;
use super::{CliError, place};
use crate::config::first::{self, First};
use crate::io::{Ready, random};
use core::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Makes the first configuration in the data directory, readable by its owner alone.
pub(super) fn make(data: &Path) -> Result<First, CliError> {
    let first = first::generate(&random::bytes()?);
    let path = data.join(place::CONFIG);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options.open(&path).and_then(|mut file| {
        file.write_all(first.text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| CliError::File { path, source })?;
    Ok(first)
}

/// What the first start shows.
pub(super) struct Screen<'a> {
    pub(super) first: &'a First,
    pub(super) ready: &'a Ready,
    pub(super) config: PathBuf,
    pub(super) data: &'a Path,
}

impl Screen<'_> {
    /// The addresses a phone can be given: those of the listeners, a wildcard as every address of the machine that
    /// others may reach.
    fn servers(&self) -> Vec<SocketAddr> {
        let mut servers = Vec::new();
        for (_, listening) in &self.ready.listening {
            if !listening.ip().is_unspecified() {
                if !servers.contains(listening) {
                    servers.push(*listening);
                }
                continue;
            }
            let interfaces = &self.ready.interfaces;
            let all = interfaces.interfaces.iter().map(|interface| interface.address);
            for address in interfaces.default.iter().copied().chain(all) {
                let server = SocketAddr::new(address, listening.port());
                let alike = address.is_ipv4() == listening.is_ipv4();
                if alike && !is_local_only(address) && !servers.contains(&server) {
                    servers.push(server);
                }
            }
        }
        servers
    }
}

/// Whether no other machine, or none without a zone index, can use the address.
fn is_local_only(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    }
}

impl fmt::Display for Screen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(one, _), (two, _)] = &self.first.users;
        writeln!(f, "First start: a configuration with two users was made.\n")?;
        writeln!(f, "Type this into two SIP phones on the same network:\n")?;
        let servers = self.servers();
        match servers.split_first() {
            None => writeln!(
                f,
                "  server     127.0.0.1 (this machine has no network: phones on it alone can register)"
            )?,
            Some((first, others)) => {
                writeln!(f, "  server     {} (also called registrar, domain or proxy)", first.ip())?;
                for other in others {
                    writeln!(f, "             or {}", other.ip())?;
                }
            }
        }
        let port = self.ready.listening.first().map_or(5060, |(_, address)| address.port());
        writeln!(f, "  port       {port}")?;
        writeln!(f, "  transport  UDP or TCP\n")?;
        for (user, password) in &self.first.users {
            writeln!(f, "  user       {user}    password   {password}")?;
        }
        writeln!(f, "\nA phone on this machine itself may use the server 127.0.0.1.")?;
        writeln!(f, "Then call {two} from {one}.\n")?;
        let listening: Vec<String> = self.ready.listening.iter().map(shown).collect();
        writeln!(f, "Listening on   {}", listening.join(", "))?;
        writeln!(f, "Configuration  {} (users, ports; it holds the passwords)", self.config.display())?;
        writeln!(f, "Data           {}", self.data.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Transport;
    use crate::core::{Interface, Interfaces};

    #[test]
    fn the_screen_names_addresses_that_phones_can_use_and_both_users() {
        let interface = |address: &str| Interface { address: address.parse().unwrap(), prefix: 24 };
        let interfaces = Interfaces {
            interfaces: ["127.0.0.1", "192.0.2.7", "198.51.100.7", "fe80::1"].map(interface).to_vec(),
            default: vec!["198.51.100.7".parse().unwrap()],
        };
        let ready = Ready { listening: vec![(Transport::Udp, "0.0.0.0:5062".parse().unwrap())], interfaces };
        let first = first::generate(&[7; 32]);
        let screen = Screen { first: &first, ready: &ready, config: "c".into(), data: Path::new("d") };
        let shown: Vec<String> = screen.servers().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["198.51.100.7:5062", "192.0.2.7:5062"], "the one of the default route first");
        let text = screen.to_string();
        for (user, password) in &first.users {
            assert!(text.contains(user) && text.contains(password.as_str()));
        }
        assert!(text.contains("port       5062"));
    }
}
