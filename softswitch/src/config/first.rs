//! The first configuration: what a switch that has none starts with.
//!
//! Two users with random passwords, and comments that teach the next step. Everything else is left at its default, so
//! that a default that improves later improves here too. Writing the file and showing the passwords is up to the caller.

/// A configuration text and what its reader must be told.
#[derive(Clone, PartialEq, Eq)]
pub struct First {
    /// The file's text.
    pub text: String,
    /// User and password, twice.
    pub users: [(&'static str, String); 2],
}

/// Letters and digits nobody mistakes for one another: without 0, 1, l and o. A power of two, so that five bits of a
/// random byte choose without bias.
const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";

/// Composes the first configuration. `random` comes from the operating system: it becomes two passwords of 16
/// characters (80 bits each).
pub fn generate(random: &[u8; 32]) -> First {
    let (one, two) = random.split_at(16);
    let users = [("1001", password(one)), ("1002", password(two))];
    First { text: compose(&users), users }
}

fn password(random: &[u8]) -> String {
    let letter = |byte: &u8| ALPHABET.get(usize::from(byte % 32)).copied().map(char::from);
    random.iter().filter_map(letter).collect()
}

fn compose(users: &[(&'static str, String); 2]) -> String {
    let [(user_1, password_1), (user_2, password_2)] = users;
    format!(
        r#"# Configuration of the switch. It is read at start and on a reload; a fault is shown with its line and a remedy.
# It holds passwords: let nobody else read it.

# Where SIP comes in. 0.0.0.0 means every IPv4 address of this machine; for IPv6 add a second [[listener]] with
# "[::]:5060".
[[listener]]
address = "0.0.0.0:5060"
# Behind a router that forwards ports, tell phones outside which address to send to:
# advertise = "203.0.113.7"
# and which networks are inside (when not given: all private ones):
# local_networks = ["192.168.0.0/16"]

# The same port over TCP. Encrypted signalling is a third one with "tls", and a section [tls] with certificates.
[[listener]]
address = "0.0.0.0:5060"
transport = "tcp"

# Where sound comes in: two ports per party. Open them in a firewall, as UDP, together with the SIP port
# (UDP and TCP).
[media]
ports = "40000-59999"

# Phones call sip:{user_1}@ and the address of this machine. To use a name, give it here; then it belongs to these users,
# and it is what a phone is told as "realm":
# [[domain]]
# name = "pbx.example.com"
# default = true

# The users. A phone needs three things: user name, password, and the address of this machine as its server (also called
# registrar or domain).
[[user]]
id = "{user_1}"
password = "{password_1}"
display_name = "First phone"

[[user]]
id = "{user_2}"
password = "{password_2}"
display_name = "Second phone"

# A block of users with one password, for a laboratory:
# [[users]]
# from = 2000
# to = 2099
# password = "…"

# Another SIP server, and the numbers that lead to it. X is any digit, N is 2-9, Z is 1-9; a . at the end is one or more
# of anything. A user of that number comes first, then the pattern that is narrower at the first difference.
# [[peer]]
# id = "trunk"
# address = "192.0.2.10:5060"
#
# [[route]]
# pattern = "0."
# peer = "trunk"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DomainId, Target, ha1_of_password, parse};

    #[test]
    fn the_first_configuration_loads_and_has_both_users_with_the_passwords_shown() {
        let first = generate(&core::array::from_fn(|index| index as u8 * 7));
        let config = parse("softswitch.toml", &first.text).unwrap();
        let domain = &config.domains[&DomainId(0)];
        assert_eq!(config.default_domain, Some(DomainId(0)));
        assert_eq!(domain.users.len(), 2);
        for (id, password) in &first.users {
            assert_eq!(password.len(), 16);
            let Some(Target::User { user, .. }) = domain.route(id.as_bytes()) else { panic!("no user {id}") };
            assert_eq!(user.credentials, ha1_of_password(id, &domain.name, password));
        }
    }

    #[test]
    fn what_the_comments_teach_loads_too() {
        let first = generate(&[7; 32]);
        let uncommented: String = first
            .text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.starts_with("[[") || rest.contains(" = ") => format!("{rest}\n"),
                Some(_) | None => format!("{line}\n"),
            })
            .collect();
        let config = parse("softswitch.toml", &uncommented).unwrap();
        assert_eq!(config.domain_of_host(b"pbx.example.com"), Some(DomainId(0)));
        assert_eq!(config.domains[&DomainId(0)].users.len(), 102);
        assert!(matches!(
            config.domains[&DomainId(0)].route(b"0123"),
            Some(Target::Peer { id: "trunk", .. })
        ));
    }

    #[test]
    fn different_random_bytes_give_different_passwords() {
        let [one, two] = generate(&core::array::from_fn(|index| index as u8)).users;
        assert_ne!(one.1, two.1);
    }
}
