//! Who commands, and what it may: the one place where permissions are decided.
//!
//! | actor | sees and commands |
//! |---|---|
//! | operator, system | everything |
//! | user with rights `own` | calls that it is a party of; its own registrations, subscriptions and mailbox |
//! | user with rights `group` | the same of all who share a group with it |
//! | user with rights `all` | the same of all users of its domain |
//!
//! A *hidden* user is in nobody's group and domain but its own: its calls are seen by itself, the operator and the system alone,
//! whoever the other party is. Nobody sees into another domain. What is not seen does not exist for the actor: a command about
//! it is refused as one about nothing.

use super::ids::UserRef;
use crate::config::{Domain, User};
use serde::{Deserialize, Serialize};

/// Who gives a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// Whoever can open the control socket.
    Operator,
    /// A user, who has proved to be that one.
    User(UserRef),
    /// The switch itself.
    System,
}

/// What a user may see and command beside its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rights {
    /// Nothing.
    #[default]
    Own,
    /// What is of users with whom it shares a group.
    Group,
    /// What is of all users of its domain.
    All,
}

impl Rights {
    /// The rights of this word of the configuration.
    #[must_use]
    pub fn parse(word: &str) -> Option<Rights> {
        match word {
            "own" => Some(Rights::Own),
            "group" => Some(Rights::Group),
            "all" => Some(Rights::All),
            _ => None,
        }
    }
}

impl Actor {
    /// Whether it is no user.
    #[must_use]
    pub const fn is_operator(&self) -> bool {
        match self {
            Actor::Operator | Actor::System => true,
            Actor::User(_) => false,
        }
    }

    /// The user, if it is one.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Actor::User(own) => Some(&own.name),
            Actor::Operator | Actor::System => None,
        }
    }

    /// Whether it is that user, of its own domain.
    pub(crate) fn is(&self, user: &str) -> bool {
        self.name() == Some(user)
    }

    /// Whether it may see and command what is of these users of a domain together: a call of two is of both. Names that are no
    /// users, numbers behind peers, neither allow anything nor hide it.
    pub(crate) fn may(&self, domain: &Domain, parties: &[&str]) -> bool {
        let Actor::User(own) = self else { return true };
        if own.domain != domain.name {
            return false;
        }
        let Some(actor) = domain.users.get(&*own.name) else { return false };
        if parties.iter().any(|party| *party == &*own.name) {
            return true;
        }
        let users = || parties.iter().filter_map(|party| domain.users.get(*party));
        !users().any(|user| user.hidden) && users().any(|user| actor.reaches(user))
    }
}

impl User {
    /// Whether its rights cover what is of another user.
    fn reaches(&self, other: &User) -> bool {
        match self.rights {
            Rights::Own => false,
            Rights::Group => self.shares_group_with(other),
            Rights::All => true,
        }
    }

    /// Whether two users are in one group.
    pub(crate) fn shares_group_with(&self, other: &User) -> bool {
        self.groups.iter().any(|group| other.groups.contains(group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const USERS: &str = r#"
        [[listener]]
        address = "127.0.0.1:5060"
        [[domain]]
        name = "a.example"
        [[domain]]
        name = "b.example"
        [[user]]
        id = "agent"
        domain = "a.example"
        password = "p"
        groups = ["sales"]
        [[user]]
        id = "colleague"
        domain = "a.example"
        password = "p"
        groups = ["sales", "support"]
        [[user]]
        id = "lead"
        domain = "a.example"
        password = "p"
        groups = ["sales"]
        rights = "group"
        [[user]]
        id = "head"
        domain = "a.example"
        password = "p"
        rights = "all"
        [[user]]
        id = "chief"
        domain = "a.example"
        password = "p"
        groups = ["sales"]
        hidden = true
        [[user]]
        id = "head"
        domain = "b.example"
        password = "p"
        rights = "all"
    "#;

    #[test]
    fn who_may_see_what() {
        let config = config::parse("test", USERS).unwrap();
        let domain = config.domains.get(&config.domain_named("a.example").unwrap()).unwrap();
        let user =
            |name: &str, domain: &str| Actor::User(UserRef { name: name.into(), domain: domain.into() });
        let cases: [(&str, &[&str], bool); 13] = [
            ("agent", &["agent", "chief"], true),
            ("agent", &["colleague", "agent"], true),
            ("agent", &["colleague", "lead"], false),
            ("lead", &["agent", "0123"], true),
            ("lead", &["head", "colleague"], true),
            ("lead", &["head"], false),
            ("lead", &["chief", "agent"], false),
            ("head", &["agent"], true),
            ("head", &["0123"], false),
            ("head", &["agent", "chief"], false),
            ("head", &["chief"], false),
            ("chief", &["chief", "0123"], true),
            ("nobody", &["nobody"], false),
        ];
        for (actor, parties, may) in cases {
            assert_eq!(user(actor, "a.example").may(domain, parties), may, "{actor} {parties:?}");
        }
        assert!(!user("head", "b.example").may(domain, &["agent"]), "another domain");
        for actor in [Actor::Operator, Actor::System] {
            assert!(actor.may(domain, &["chief"]));
        }
    }
}
