//! Commands about what the operator has set, mailboxes, and about what users have.

use super::{Actor, Errand, Field, Refused, UserRef};
use crate::config::{DomainId, Mailbox};
use crate::core::{Output, Switch};
use crate::routing::{Refusal, Setting};
use std::sync::Arc;

impl Switch {
    /// Changes what a user has set, as its codes do ([`crate::config::Features`]).
    pub(super) fn change_setting(
        &mut self,
        actor: &Actor,
        user: &UserRef,
        setting: Setting,
    ) -> Result<(), Refused> {
        let (id, user) = self.named_user(actor, user)?;
        // A user proves to be there by its PIN.
        if matches!(setting, Setting::Desk(Some(_))) && !actor.is_operator() {
            return Err(Refused::NotAllowed);
        }
        let changed = self.calls.change_setting(&mut self.env, id, &user, setting);
        changed.map_err(|refused| match refused {
            Refusal::UnknownNumber => Refused::UnknownNumber,
            Refusal::NotAllowed
            | Refusal::Full
            | Refusal::Dead
            | Refusal::Loop
            | Refusal::DoNotDisturb
            | Refusal::Nobody
            | Refusal::Busy
            | Refusal::Anonymous
            | Refusal::Rejected(_) => Refused::Senseless(Field::Number),
            Refusal::BadSetting => Refused::Senseless(Field::Setting),
        })
    }

    /// The user of that name, if the actor may have something done in its name.
    pub(super) fn named_user(&self, actor: &Actor, user: &UserRef) -> Result<(DomainId, Box<str>), Refused> {
        let id = match &*user.domain {
            "" => self.env.config.default_domain,
            name => self.env.config.domain_named(name),
        };
        let id = id.ok_or(Refused::UnknownUser)?;
        let is_seen = self.env.config.domains.get(&id).is_some_and(|domain| {
            domain.users.contains_key(&*user.name) && actor.may(domain, &[&*user.name])
        });
        if is_seen { Ok((id, (*user.name).into())) } else { Err(Refused::UnknownUser) }
    }

    /// The name of a user that has to be of a domain.
    pub(super) fn user_in<'a>(&self, domain: DomainId, user: &'a UserRef) -> Result<&'a str, Refused> {
        let name = self.env.domain(domain).map(|domain| &*domain.name);
        let is_default = user.domain.is_empty() && self.env.config.default_domain == Some(domain);
        if is_default || name == Some(&*user.domain) { Ok(&user.name) } else { Err(Refused::UnknownUser) }
    }

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
