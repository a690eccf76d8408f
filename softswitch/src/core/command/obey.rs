//! Commands, carried out: what is asked for is looked up, whether the actor may is looked at, and what owns it does it.

use super::{Actor, Answer, Command, CommandId, Done, Errand, Refused, RoomOrder, RoomRef};
use crate::call::{CallId, Phones};
use crate::config::DomainId;
use crate::core::{Output, Switch};

impl Switch {
    /// Carries out a command and answers it.
    pub(in crate::core) fn obey(&mut self, id: CommandId, actor: &Actor, command: Command) {
        self.env.obeying = Some(id);
        let result = self.carry_out(actor, command);
        self.env.obeying = None;
        self.env.push(Output::Answer(Box::new(Answer { command: id, result })));
    }

    fn carry_out(&mut self, actor: &Actor, command: Command) -> Result<Done, Refused> {
        let call = |switch: &Switch, call| switch.calls.named(&switch.env, actor, call);
        match command {
            Command::Calls(range) => return Ok(Done::Calls(self.list_calls(actor, range))),
            Command::Registrations(range) => {
                return Ok(Done::Registrations(self.list_registrations(actor, range)));
            }
            Command::Rooms(range) => return Ok(Done::Rooms(self.list_rooms(actor, range))),
            Command::Subscriptions(range) => {
                return Ok(Done::Subscriptions(self.list_subscriptions(actor, range)));
            }
            Command::HangUp { call: named, side } => {
                let id = call(self, named)?;
                match side {
                    None => self.calls.hang_up(&mut self.env, id),
                    Some(side) => self.calls.send_away(&mut self.env, id, side.into())?,
                }
            }
            Command::Transfer { leg, number } => {
                let leg = self.calls.named_leg(&self.env, actor, leg)?;
                self.admit()?;
                let new = self.calls.transfer(&mut self.env, &self.registrar, leg, &number)?;
                return Ok(self.made(new));
            }
            Command::Connect { leg, with } => {
                let named = |leg| self.calls.named_leg(&self.env, actor, leg);
                let (leg, with) = (named(leg)?, named(with)?);
                self.calls.connect_two(&mut self.env, &self.registrar, leg, with)?;
            }
            Command::Park { leg, slot } => {
                let leg = self.calls.named_leg(&self.env, actor, leg)?;
                return self.calls.park(&mut self.env, leg, slot).map(Done::Slot);
            }
            Command::Originate(wanted) => {
                let user = self.named_user(actor, &wanted.user)?;
                if wanted.caller_id.is_some() {
                    actor.needs_operator()?;
                }
                self.may_have_answer(actor, user.0, &user.1, wanted.auto_answer)?;
                self.admit()?;
                let new = self.calls.originate(&mut self.env, &self.registrar, user, &wanted)?;
                return Ok(self.made(new));
            }
            Command::Hold { leg } => {
                let leg = self.calls.named_leg(&self.env, actor, leg)?;
                self.calls.hold_by_command(&mut self.env, leg, true)?;
            }
            Command::Resume { leg } => {
                let leg = self.calls.named_leg(&self.env, actor, leg)?;
                self.calls.hold_by_command(&mut self.env, leg, false)?;
            }
            Command::PickUp { user, device, call, of, auto_answer } => {
                let (domain, user) = self.named_user(actor, &user)?;
                self.may_have_answer(actor, domain, &user, auto_answer)?;
                let phones = Phones { domain, user: &user, device: device.as_ref(), answer: auto_answer };
                let of = of.as_ref().map(|of| self.user_in(domain, of)).transpose()?;
                let id = self.calls.ringing_for(&self.env, actor, &phones, call, of)?;
                self.calls.pick_up_by_command(&mut self.env, &self.registrar, &phones, id)?;
            }
            Command::Retrieve { slot, user, device, auto_answer } => {
                let (domain, user) = self.named_user(actor, &user)?;
                self.may_have_answer(actor, domain, &user, auto_answer)?;
                let phones = Phones { domain, user: &user, device: device.as_ref(), answer: auto_answer };
                let retrieved = self.calls.retrieve(&mut self.env, &self.registrar, &phones, slot);
                return retrieved.map(Done::Call);
            }
            Command::Move { leg, device, auto_answer } => {
                let leg = self.calls.named_leg(&self.env, actor, leg)?;
                if let Some((domain, user)) = self.calls.user_of_leg(&self.env, leg) {
                    self.may_have_answer(actor, domain, &user, auto_answer)?;
                }
                self.admit()?;
                let to = (device.as_ref(), auto_answer);
                let new = self.calls.move_to_phone(&mut self.env, &self.registrar, leg, to)?;
                return Ok(self.made(new));
            }
            Command::CallBack { user, of, on } => {
                let (domain, user) = self.named_user(actor, &user)?;
                self.calls.call_back(&mut self.env, (domain, &user), &of, on)?;
            }
            Command::Join { leg, with } => {
                let named = |leg| self.calls.named_leg(&self.env, actor, leg);
                let (leg, with) = (named(leg)?, named(with)?);
                self.calls.join_calls(&mut self.env, leg, with)?;
            }
            Command::Record { call: named, on, form } => {
                let id = call(self, named)?;
                self.calls.may_record(&self.env, actor, id, on)?;
                self.calls.record(&mut self.env, id, on.then_some(form))?;
            }
            Command::Say { call: named, prompt, to } => {
                let id = call(self, named)?;
                self.calls.say(&mut self.env, id, &prompt, to.map(Into::into))?;
            }
            Command::Play { call: named, file, to } => {
                actor.needs_operator()?;
                let id = call(self, named)?;
                self.calls.play(&mut self.env, id, &file, to.map(Into::into))?;
            }
            Command::SendDigits { leg, digits } => {
                let leg = (call(self, leg.call)?, leg.side.into());
                self.calls.send_digits(&mut self.env, leg, &digits)?;
            }
            Command::Room { room, order } => {
                return self.order_in_room(actor, &room, order);
            }
            Command::SetMailbox { user, mailbox } => {
                actor.needs_operator()?;
                self.set_mailbox(&user, mailbox)?;
            }
            Command::ChangeSetting { user, setting } => self.change_setting(actor, &user, setting)?,
            Command::Reload => {
                actor.needs_operator()?;
                self.env.reloading = self.env.obeying;
                self.env.push(Output::Errand(Errand::Reload));
            }
            Command::ShutDown => {
                actor.needs_operator()?;
                self.env.push(Output::Errand(Errand::ShutDown));
            }
            Command::Trace { on } => {
                actor.needs_operator()?;
                self.env.push(Output::Errand(Errand::Trace { on }));
            }
        }
        Ok(Done::Accepted)
    }

    /// Does something in a conference.
    fn order_in_room(&mut self, actor: &Actor, room: &RoomRef, order: RoomOrder) -> Result<Done, Refused> {
        if let RoomOrder::Invite { number } = order {
            let conference = self.calls.named_room(&self.env, actor, room)?;
            self.admit()?;
            let new =
                self.calls.invite_into(&mut self.env, &self.registrar, actor, (conference, None), &number)?;
            return Ok(self.made(new));
        }
        self.calls.order(&mut self.env, actor, room, order)?;
        Ok(Done::Accepted)
    }

    /// Whether phones of a user may be asked to answer by themselves: its own, and those of others by who may page.
    fn may_have_answer(
        &self,
        actor: &Actor,
        domain: DomainId,
        user: &str,
        asked: bool,
    ) -> Result<(), Refused> {
        let pages = |name: &str| {
            let known = self.env.domain(domain).and_then(|domain| domain.users.get(name));
            known.is_some_and(|known| known.may_page)
        };
        let may = actor.is_operator() || actor.is(user) || actor.name().is_some_and(pages);
        if !asked || may { Ok(()) } else { Err(Refused::NotAllowed) }
    }

    /// New calls are made only while there may be any.
    fn admit(&self) -> Result<(), Refused> {
        match self.env.stopping {
            true => Err(Refused::Stopping),
            false if self.calls() >= self.env.config.limits.calls as usize => Err(Refused::TooMany),
            false => Ok(()),
        }
    }

    fn made(&self, call: CallId) -> Done {
        let number = self.calls.table.get(call).map(|call| call.number());
        number.map_or(Done::Accepted, |number| Done::Call(self.env.call_ref(number)))
    }
}

impl Actor {
    fn needs_operator(&self) -> Result<(), Refused> {
        if self.is_operator() { Ok(()) } else { Err(Refused::NotAllowed) }
    }
}
