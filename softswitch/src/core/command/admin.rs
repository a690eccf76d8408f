//! Commands about what the operator has set: mailboxes.

use super::{Errand, Refused, UserRef};
use crate::config::Mailbox;
use crate::core::{Output, Switch};
use std::sync::Arc;

impl Switch {
    /// Says how many messages wait for a user: now, for who watches it, and for later runs.
    pub(super) fn set_mailbox(&mut self, user: &UserRef, mailbox: Mailbox) -> Result<(), Refused> {
        let id = match &*user.domain {
            "" => self.env.config.default_domain,
            name => self.env.config.domain_named(name),
        };
        let id = id.ok_or(Refused::UnknownUser)?;
        // Nobody else holds the configuration between two inputs, so this copies nothing.
        let domain = Arc::make_mut(&mut self.env.config).domains.get_mut(&id);
        let domain = domain.filter(|domain| domain.users.contains_key(&*user.name));
        let domain = domain.ok_or(Refused::UnknownUser)?;
        domain.mailboxes.insert((*user.name).into(), mailbox);
        let user = UserRef { name: user.name.clone(), domain: domain.name.clone() };
        self.subscriptions.recount(&mut self.env, id, &user.name);
        self.env.push(Output::Errand(Errand::SetMailbox { user, mailbox }));
        Ok(())
    }
}
