//! Conferences by command, and how they look from outside. What is done there is what the keys of moderators come to
//! ([`crate::rooms`]); here is who may, and what keys cannot ask for: another room.
//!
//! | actor | commands |
//! |---|---|
//! | operator, system | every conference |
//! | user with rights `all` | those of its domain |
//! | user | those in which it is a moderator at that moment, and those that name it as one |

use super::call::{Call, Side};
use super::calls::Calls;
use crate::config::{Domain, Service, Target};
use crate::core::command::{
    Actor, CallRef, Field, MemberView, Refused, Rights, RoomOrder, RoomRef, RoomView,
};
use crate::core::environment::Environment;
use crate::rooms::{Meeting, Order, Who};
use bytes::Bytes;
use media::{Command, RoomId};
use std::sync::Arc;

/// The loudest and the softest that a command may make somebody, in decibels.
const MOST_DECIBELS: i8 = 12;

impl Calls {
    /// The open conference of this name, if the actor may command it.
    pub(crate) fn named_room(
        &self,
        env: &Environment,
        actor: &Actor,
        room: &RoomRef,
    ) -> Result<RoomId, Refused> {
        let domain = domain_of(env, room)?;
        let number = Bytes::copy_from_slice(room.name.as_bytes());
        let conference = self.rooms.conference(&domain.name, &number).ok_or(Refused::UnknownRoom)?;
        let meeting = self.rooms.meeting_in(conference).ok_or(Refused::UnknownRoom)?;
        if self.may_command(domain, actor, meeting) {
            return Ok(conference);
        }
        let is_seen =
            meeting.rules().listed && matches!(actor, Actor::User(user) if user.domain == domain.name);
        Err(if is_seen { Refused::NotAllowed } else { Refused::UnknownRoom })
    }

    fn may_command(&self, domain: &Domain, actor: &Actor, meeting: &Meeting) -> bool {
        let Actor::User(own) = actor else { return true };
        let Some((name, user)) = domain.user(own.name.as_bytes()).filter(|_| own.domain == domain.name)
        else {
            return false;
        };
        let moderates = || {
            meeting.people().iter().any(|person| {
                meeting.is_moderator(person.who)
                    && self
                        .attending(person.who)
                        .is_some_and(|call| call.user_on(domain, Side::Caller) == Some(name))
            })
        };
        user.rights == Rights::All || meeting.rules().names_moderator(name) || moderates()
    }

    /// Whether users see a conference in lists.
    pub(crate) fn is_listed(&self, room: RoomId) -> bool {
        self.rooms.meeting_in(room).is_some_and(|meeting| meeting.rules().listed)
    }

    fn attending(&self, who: Who) -> Option<&Call> {
        self.table.get(*self.numbers.get(&who)?)
    }

    /// How a conference looks; its name is the caller's to add.
    pub(crate) fn room_view(
        &self,
        env: &Environment,
        room: RoomId,
        recording: Option<Arc<str>>,
    ) -> Option<RoomView> {
        let meeting = self.rooms.meeting_in(room)?;
        let members: Vec<MemberView> = meeting
            .people()
            .into_iter()
            .filter_map(|person| {
                let call = self.attending(person.who)?;
                Some(MemberView {
                    call: env.call_ref(person.who),
                    user: Bytes::copy_from_slice(call.caller.as_bytes()),
                    anonymous: call.anonymous,
                    role: person.standing,
                    waits: person.waits,
                    muted: person.muted,
                    talks: person.talks,
                    gain_db: person.gain_db,
                })
            })
            .collect();
        let inside = || members.iter().filter(|member| !member.waits);
        Some(RoomView {
            room: RoomRef { name: "".into(), domain: Arc::default() },
            name: meeting.rules().name.clone(),
            calls: inside().map(|member| member.call).collect(),
            heard: inside().filter(|member| !member.muted).map(|member| member.call).collect(),
            speaker: meeting.speaker().map(|who| env.call_ref(who)),
            locked: meeting.is_locked(),
            all_muted: meeting.is_all_muted(),
            members,
            recording,
        })
    }

    /// Carries out an order of who may give it; inviting is in `inviting`.
    pub(crate) fn order(
        &mut self,
        env: &mut Environment,
        actor: &Actor,
        room: &RoomRef,
        order: RoomOrder,
    ) -> Result<(), Refused> {
        let conference = self.named_room(env, actor, room)?;
        let who = |call: CallRef| env.run().number(call.0);
        let order = match order {
            RoomOrder::Lock => Order::Lock(true),
            RoomOrder::Unlock => Order::Lock(false),
            RoomOrder::MuteAll => Order::MuteAll(true),
            RoomOrder::UnmuteAll => Order::MuteAll(false),
            RoomOrder::Mute { call } => Order::Mute(who(call), true),
            RoomOrder::Unmute { call } => Order::Mute(who(call), false),
            RoomOrder::Kick { call } => Order::Kick(who(call)),
            RoomOrder::SetRole { call, role } => Order::Stand(who(call), role),
            RoomOrder::Gain { decibels, .. } if !(-MOST_DECIBELS..=MOST_DECIBELS).contains(&decibels) => {
                return Err(Refused::Senseless(Field::Decibels));
            }
            RoomOrder::Gain { call, decibels } => Order::Gain(who(call), decibels),
            RoomOrder::Move { call, to } => {
                let who = who(call);
                return self.move_to_room(env, actor, (conference, who), &to);
            }
            RoomOrder::Invite { .. } => return Err(Refused::WrongState),
            RoomOrder::End => Order::End,
        };
        let meeting = self.rooms.meeting(conference).ok_or(Refused::UnknownRoom)?;
        meeting.handle_order(order).map_err(|_| Refused::UnknownCall)?;
        self.work(env, conference, None);
        Ok(())
    }

    /// Brings somebody from one conference into another one, which the actor has to command as well if it is open, and
    /// to be named as a moderator of if it is not and has rules of its own.
    fn move_to_room(
        &mut self,
        env: &mut Environment,
        actor: &Actor,
        (from, who): (RoomId, Who),
        to: &RoomRef,
    ) -> Result<(), Refused> {
        let config = env.config.clone();
        let domain =
            config.domain_named(&to.domain).or(config.default_domain.filter(|_| to.domain.is_empty()));
        let domain = domain.and_then(|id| config.domains.get(&id)).ok_or(Refused::UnknownRoom)?;
        let Some(Target::Service(service @ Service::Conference(conference))) =
            domain.route(to.name.as_bytes())
        else {
            return Err(Refused::UnknownRoom);
        };
        let moved = self.numbers.get(&who).and_then(|id| self.table.get(*id));
        // Whom it has invited comes to where it is.
        if moved.is_some_and(super::Call::is_leaving) {
            return Err(Refused::Pending);
        }
        let number = Bytes::copy_from_slice(to.name.as_bytes());
        match self.rooms.conference(&domain.name, &number) {
            Some(open) if open == from => return Err(Refused::Senseless(Field::Room)),
            Some(open) => {
                self.named_room(env, actor, to)?;
                if self.rooms.meeting_in(open).is_some_and(Meeting::is_full) {
                    return Err(Refused::TooMany);
                }
            }
            None => {
                let closed = Meeting::new(conference.rules.clone());
                if !conference.rules.is_ad_hoc && !self.may_command(domain, actor, &closed) {
                    return Err(Refused::NotAllowed);
                }
            }
        }
        let id = *self.numbers.get(&who).ok_or(Refused::UnknownCall)?;
        let call = self.table.get(id).filter(|call| call.domain_name == domain.name && call.ending.is_none());
        let is_inside = call.and_then(|call| call.conference()) == Some(from);
        if !is_inside {
            return Err(Refused::UnknownCall);
        }
        self.move_member(env, id, from, (domain.name.clone(), number), service.clone());
        Ok(())
    }

    fn move_member(
        &mut self,
        env: &mut Environment,
        id: super::CallId,
        from: RoomId,
        key: (Arc<str>, Bytes),
        service: Service,
    ) {
        let Some(call) = self.table.get_mut(id) else { return };
        let who = call.number;
        call.speech.handle_room_closed();
        let Some(mut served) = call.destination.service.take() else { return };
        if let Some(meeting) = self.rooms.meeting(from) {
            meeting.handle_departure(who);
        }
        self.rooms.stop_alone(env, from, call, served.service());
        let conditioning = service.conditioning();
        if conditioning != served.service().conditioning() {
            env.media(Command::Condition { leg: call.media(Side::Caller).id, conditioning });
        }
        let format = served.change_to(service);
        // The room may close with it.
        self.work(env, from, Some(who));
        let served = self.rooms.enter_brought(env, key, (id, who), served);
        let Some(call) = self.table.get_mut(id) else { return };
        if let (Some(attendance), Some(format)) = (served.inside(), format) {
            let (room, role) = (attendance.conference, attendance.role);
            env.media(Command::Join { room, leg: call.media(Side::Caller).id, format, role });
        }
        let into = served.inside().map(|attendance| attendance.conference);
        call.destination.service = Some(served);
        self.rooms.release(env, from);
        if let Some(into) = into {
            if let Some(meeting) = self.rooms.meeting(into) {
                meeting.handle_present(env.now, who);
            }
            self.work(env, into, Some(who));
        }
        self.settle(env, Some(id));
    }
}

fn domain_of<'e>(env: &'e Environment, room: &RoomRef) -> Result<&'e Domain, Refused> {
    let id = match &*room.domain {
        "" => env.config.default_domain,
        name => env.config.domain_named(name),
    };
    id.and_then(|id| env.domain(id)).ok_or(Refused::UnknownRoom)
}
