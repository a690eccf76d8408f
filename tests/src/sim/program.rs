//! A program that commands the switch of the simulated world: the orders of scenario files. It finds the calls of a user in the lists
//! that the switch gives, as a program outside does.

use super::world::World;
use softphone::scenario::order::Order;
use softswitch::core::Input;
use softswitch::core::command::{
    Actor, CallView, Command, CommandId, Done, LegRef, LegSide, Originate, Range, Refused, UserRef,
};

/// Gives the switch a command as the operator; what it is answered with.
///
/// # Panics
/// When there is no answer.
pub fn give(world: &mut World, command: Command) -> Result<Done, Refused> {
    let id = CommandId(world.switch.run().id(world.answers.len() as u64 + 1));
    world.feed(Input::Command { id, actor: Actor::Operator, command: Box::new(command) });
    world.answers.last().expect("each command is answered").result.clone()
}

/// Has the switch do what a scenario wants.
///
/// # Panics
/// When it refuses, or the user has no call.
pub fn obey(world: &mut World, order: Order) {
    let command = match order.clone() {
        Order::Call { user, number } => Command::Originate(Box::new(Originate {
            user: named(&user),
            number,
            from: None,
            device: None,
            caller_id: None,
            timeout_s: None,
            auto_answer: false,
            variables: Default::default(),
        })),
        Order::Hold { user, on } => {
            let leg = legs(world, &user)[0];
            if on { Command::Hold { leg } } else { Command::Resume { leg } }
        }
        Order::PickUp { user, of } => Command::PickUp {
            user: named(&user),
            device: None,
            call: None,
            of: Some(named(&of)),
            auto_answer: false,
        },
        Order::Retrieve { slot, user } => Command::Retrieve {
            slot: slot.parse().expect("a slot is a number"),
            user: named(&user),
            device: None,
            auto_answer: false,
        },
        Order::Move { user } => {
            Command::Move { leg: legs(world, &user)[0], device: None, auto_answer: false }
        }
        Order::Join { user } => {
            let legs = legs(world, &user);
            Command::Join { leg: legs[0], with: legs[1] }
        }
    };
    if let Err(refused) = give(world, command) {
        panic!("{order:?} is refused: {refused}");
    }
}

/// A user of the default domain.
fn named(user: &str) -> UserRef {
    user.parse().expect("a user has a name")
}

/// Where a user sits in its calls that are up, in the order in which they began.
fn legs(world: &mut World, user: &str) -> Vec<LegRef> {
    let calls = give(world, Command::Calls(Range::default()));
    let Ok(Done::Calls(page)) = calls else { panic!("calls are listed") };
    let mut rows: Vec<&CallView> = page.rows.iter().collect();
    rows.sort_by_key(|row| row.call);
    let seats = rows.into_iter().filter_map(|row| {
        let is = |party: &[u8]| party == user.as_bytes();
        let side = match (is(&row.caller.user), is(&row.callee.user)) {
            (true, _) => LegSide::Caller,
            (false, true) => LegSide::Callee,
            (false, false) => return None,
        };
        Some(LegRef { call: row.call, side })
    });
    let seats: Vec<LegRef> = seats.collect();
    assert!(!seats.is_empty(), "{user} has no call");
    seats
}
