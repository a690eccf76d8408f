//! Deeds, done as far as things are so that they can be.

use super::act::{Act, Deed, Number, Order, PHONES, user_name, user_of};
use super::book::End;
use super::{FORGOTTEN, Office, SUBSCRIBED};
use crate::sim::{Faults, PhoneId};
use softphone::phone::{AccountId, CallOverview, CallStage, Command, Rejection};
use softswitch::core::Input;
use softswitch::core::command::{
    Actor, CallState, CallView, Command as Ordered, CommandId, Done, LegRef, LegSide, Range,
};

/// Calls of one phone that it makes itself at a time, and calls of all that are not over: more would hide each other.
const LINES: usize = 2;
/// Ids of commands of the office.
const COMMANDS: u64 = 0x4000_0000_0000_0000;

const fn is_up(call: &CallOverview) -> bool {
    matches!(call.stage, CallStage::Connected(_))
}

const fn rings_here(call: &CallOverview) -> bool {
    matches!(call.stage, CallStage::Incoming)
}

const fn is_unanswered(call: &CallOverview) -> bool {
    matches!(call.stage, CallStage::Calling | CallStage::Ringing)
}

impl Office {
    /// Does it, if it can be done as things are; whether it could.
    pub(super) fn perform(&mut self, deed: &Deed) -> bool {
        self.observe();
        let who = deed.who;
        let done = match deed.act {
            Act::Call(number) => self.call(who, number),
            Act::Answer => self.with(who, rings_here, |call| Command::Answer { call }),
            Act::Refuse(busy) => {
                let rejection = if busy { Rejection::Busy } else { Rejection::Decline };
                self.with(who, rings_here, |call| Command::Reject { call, rejection })
            }
            Act::HangUp => self.with(who, is_up, |call| Command::HangUp { call }),
            Act::GiveUp => self.with(who, is_unanswered, |call| Command::HangUp { call }),
            Act::Hold => self.with(who, |call| is_up(call) && !call.held, |call| Command::Hold { call }),
            Act::Resume => self.with(who, |call| is_up(call) && call.held, |call| Command::Resume { call }),
            Act::Transfer(number) => self.transfer(who, number),
            Act::Join => self.join(who),
            Act::Leave => self.world.command(PhoneId(who), Command::Unregister).is_ok(),
            Act::Return => {
                let away = (who..PHONES).chain(0..who);
                let away = away.filter(|phone| !self.world.phones[*phone].phone.is_registered()).take(1);
                let phones: Vec<usize> = away.collect();
                phones.iter().all(|phone| self.world.command(PhoneId(*phone), Command::Register).is_ok())
            }
            Act::PowerCut => self.power_cut(who),
            Act::Order(order) => self.order(who, order),
            Act::Weather(0) => {
                self.world.network.faults = Faults::NONE;
                true
            }
            Act::Weather(loss) => {
                self.world.network.faults = Faults::lossy(loss);
                true
            }
            Act::Kill => self.kill(),
            Act::Look => self.look(),
        };
        self.observe();
        done
    }

    /// The first call from that phone on of which this holds.
    fn find(&self, who: usize, wanted: impl Fn(&CallOverview) -> bool) -> Option<End> {
        (who..PHONES).chain(0..who).find_map(|phone| {
            let calls = self.world.phones[phone].phone.overview();
            calls.into_iter().find(|call| wanted(call)).map(|call| (phone, call.call))
        })
    }

    fn with(
        &mut self,
        who: usize,
        wanted: impl Fn(&CallOverview) -> bool,
        command: impl Fn(softphone::phone::CallId) -> Command,
    ) -> bool {
        let found = self.find(who, wanted);
        found.is_some_and(|(phone, call)| self.world.command(PhoneId(phone), command(call)).is_ok())
    }

    fn call(&mut self, who: usize, number: Number) -> bool {
        // Nobody waits for two answers at once.
        let is_free = |phone: &usize| {
            let calls = self.world.phones[*phone].phone.overview();
            calls.len() < LINES && !calls.iter().any(is_unanswered)
        };
        let Some(phone) = (who..PHONES).chain(0..who).find(is_free) else { return false };
        let target = number.dialled().into();
        self.world.command(PhoneId(phone), Command::Call { account: AccountId::FIRST, target }).is_ok()
    }

    fn transfer(&mut self, who: usize, number: Number) -> bool {
        let Some((phone, call)) = self.find(who, is_up) else { return false };
        let target = number.dialled();
        let command = Command::Transfer { call, target: target.as_str().into() };
        let done = self.world.command(PhoneId(phone), command).is_ok();
        if done {
            self.book.sent((phone, call), &target);
        }
        done
    }

    fn join(&mut self, who: usize) -> bool {
        let two = (who..PHONES).chain(0..who).find_map(|phone| {
            let calls = self.world.phones[phone].phone.overview();
            match calls.as_slice() {
                [one, other, ..] if is_up(one) && !rings_here(other) => Some((phone, one.call, other.call)),
                _ => None,
            }
        });
        let Some((phone, call, other)) = two else { return false };
        let done = self.world.command(PhoneId(phone), Command::TransferTo { call, other }).is_ok();
        if done {
            self.book.joined((phone, call), (phone, other));
        }
        done
    }

    fn power_cut(&mut self, phone: usize) -> bool {
        self.observe();
        let holds =
            self.world.phones[phone].phone.overview().iter().any(|call| call.held || call.held_by_peer);
        self.book.vanished(self.world.now, phone);
        let user = user_name(user_of(phone));
        self.world.restart_phone(PhoneId(phone), &user, super::DOMAIN, "secret");
        self.read[phone] = 0;
        // Whoever talked with it finds out by its silence.
        let until = self.world.now + FORGOTTEN[usize::from(holds)];
        self.excused[phone] = self.excused[phone].max(until);
        self.watch_and_register(phone);
        true
    }

    fn kill(&mut self) -> bool {
        let until = self.world.now + FORGOTTEN[0];
        self.excused = [until; PHONES];
        self.lamps_from = self.world.now + SUBSCRIBED;
        if let Some(ledger) = &mut self.world.ledger {
            ledger.killed();
        }
        self.world.restart_switch();
        let run = self.world.switch.run();
        if let Some(ledger) = &mut self.world.ledger {
            ledger.runs_again(run);
        }
        true
    }

    /// Gives the switch a command of the operator; what it is answered with.
    fn command(&mut self, command: Ordered) -> Option<Done> {
        self.commands += 1;
        let id = CommandId(COMMANDS + self.commands);
        let before = self.world.answers.len();
        self.world.feed(Input::Command { id, actor: Actor::Operator, command: Box::new(command) });
        let answers = self.world.answers.split_off(before.min(self.world.answers.len()));
        match answers.as_slice() {
            [answer] if answer.command == id => answer.result.clone().ok(),
            _ => {
                self.complain(format!("command {id} has {} answers", answers.len()));
                None
            }
        }
    }

    fn order(&mut self, who: usize, order: Order) -> bool {
        let Some(Done::Calls(page)) = self.command(Ordered::Calls(Range { from: 0, limit: 500 })) else {
            return false;
        };
        let up: Vec<&CallView> = page.rows.iter().filter(|row| row.state == CallState::Talking).collect();
        let Some(view) = up.get(who % up.len().max(1)).copied() else { return false };
        let call = view.call;
        let side = |caller| if caller { LegSide::Caller } else { LegSide::Callee };
        let leg = |caller| LegRef { call, side: side(caller) };
        let command = match order {
            Order::HangUp => Ordered::HangUp { call, side: None },
            Order::SendAway(caller) => Ordered::HangUp { call, side: Some(side(caller)) },
            Order::Transfer(caller, user) => {
                Ordered::Transfer { leg: leg(caller), number: Number::User(user).dialled().into() }
            }
            Order::Connect => match two_of_one(&up) {
                Some((leg, with)) => Ordered::Connect { leg, with },
                None => return false,
            },
            Order::Park(caller) => Ordered::Park { leg: leg(caller), slot: None },
            Order::Record(on) => Ordered::Record { call, on, form: Default::default() },
            Order::Say => Ordered::Say { call, prompt: "call/please-hold".into(), to: None },
            Order::Digits(caller) => Ordered::SendDigits { leg: leg(caller), digits: "12#".into() },
        };
        self.expect(&command);
        self.command(command).is_some()
    }

    /// What may come of a command, whether or not it is accepted.
    fn expect(&mut self, command: &Ordered) {
        match command {
            Ordered::Transfer { leg, number } => {
                let ends = self.ends_of(leg.call);
                ends.iter().for_each(|end| self.book.sent(*end, number));
            }
            Ordered::Park { leg, .. } => {
                let ends = self.ends_of(leg.call);
                ends.iter().for_each(|end| self.book.sent(*end, &Number::Park.dialled()));
            }
            Ordered::Connect { leg, with } => {
                let (ends, others) = (self.ends_of(leg.call), self.ends_of(with.call));
                for (one, other) in ends.iter().zip(&others) {
                    self.book.joined(*one, *other);
                }
            }
            _ => {}
        }
    }

    /// The ends of a call, as the store has them.
    fn ends_of(&self, call: softswitch::core::command::CallRef) -> Vec<End> {
        let number = self.world.switch.run().number(call.0);
        let open = self.world.ledger.as_ref().and_then(|ledger| ledger.open.get(&number));
        let parties = open.map(|open| open.parties.clone()).unwrap_or_default();
        parties.iter().filter_map(|party| self.book.named(&party.dialog.call_id)).collect()
    }
}

/// A user who is in two calls: its legs.
fn two_of_one(up: &[&CallView]) -> Option<(LegRef, LegRef)> {
    let legs = |view: &CallView| {
        let call = view.call;
        [(LegSide::Caller, view.caller.user.clone()), (LegSide::Callee, view.callee.user.clone())]
            .map(|(side, user)| (LegRef { call, side }, user))
    };
    up.iter().enumerate().find_map(|(at, view)| {
        legs(view).into_iter().find_map(|(leg, user)| {
            let others = up.iter().skip(at + 1).flat_map(|other| legs(other));
            others.into_iter().find(|(_, other)| *other == user).map(|(with, _)| (leg, with))
        })
    })
}
