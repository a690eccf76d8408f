//! Orders of the operator in a conference of the simulated switch, as commands to it.

use super::program;
use super::world::World;
use softphone::scenario::room_order::{Role, RoomOrder as Wanted, What};
use softswitch::core::command::{CallRef, Command, Done, Range, RoomOrder, RoomRef};
use softswitch::rooms::Standing;

/// Gives an order; what is refused fails the scenario at what it waits for then.
pub(super) fn give(world: &mut World, order: &Wanted) {
    let member = |world: &mut World, who: &str| member_of(world, &order.room, who);
    let room_order = match &order.what {
        What::Move { who, to } => member(world, who).map(|call| RoomOrder::Move { call, to: room(to) }),
        What::Make { who, role } => member(world, who).map(|call| {
            let role = match role {
                Role::Moderator => Standing::Moderator,
                Role::Member => Standing::Member,
                Role::Listener => Standing::Listener,
            };
            RoomOrder::SetRole { call, role }
        }),
        What::Mute { who, on: true } => member(world, who).map(|call| RoomOrder::Mute { call }),
        What::Mute { who, on: false } => member(world, who).map(|call| RoomOrder::Unmute { call }),
        What::Remove { who } => member(world, who).map(|call| RoomOrder::Kick { call }),
        What::Invite { number } => Some(RoomOrder::Invite { number: number.clone() }),
        What::End => Some(RoomOrder::End),
    };
    if let Some(room_order) = room_order {
        let command = Command::Room { room: room(&order.room), order: room_order };
        ask(world, command);
    }
}

/// A conference of the default domain.
fn room(number: &str) -> RoomRef {
    number.parse().expect("a number is a name")
}

/// The call of a user in a conference.
fn member_of(world: &mut World, number: &str, who: &str) -> Option<CallRef> {
    let Some(Done::Rooms(page)) = ask(world, Command::Rooms(Range::default())) else { return None };
    let view = page.rows.into_iter().find(|view| *view.room.name == *number)?;
    view.members.into_iter().find(|member| member.user == who.as_bytes()).map(|member| member.call)
}

fn ask(world: &mut World, command: Command) -> Option<Done> {
    program::give(world, command).ok()
}
