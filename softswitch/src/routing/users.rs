//! The phones of a user, and where its calls are sent on to: forwarding, do not disturb, anonymous calls that are refused, follow-me (all but
//! the last in the manner of 3GPP TS 24.604 and 24.611). In a group nobody refuses anonymous calls: it is the group that is called.
//!
//! No call is sent on twice by the same user, nor more than [`MOST_DIVERSIONS`] times, those before it came included.

use super::decide::{Caller, Decider, Last};
use super::plan::{After, Diversion, Outcomes, Refused, Stage, Target, Who, Why};
use super::profile::{Forward, ForwardKind, Profile};
use crate::config::{FollowStep, RouteTo, User};
use smallvec::{SmallVec, smallvec};

/// Users that a call may be sent on by.
const MOST_DIVERSIONS: usize = 5;

impl<'a, 't> Decider<'a, 't> {
    /// The phones of a user, and where its calls are sent on to.
    pub(super) fn ring_user(
        &mut self,
        (id, user): (&'a str, &'a User),
        after: Option<After>,
        diversions: &[Diversion<'a>],
    ) -> Result<Last, Refused> {
        if diversions.iter().any(|diversion| diversion.user == id) {
            return Err(Refused::Loop);
        }
        // Whom a call was sent on to is not asked: who sends it on has taken it.
        if diversions.is_empty() && self.refuses_anonymous(id, user) {
            self.note(|| format!("{id} takes no anonymous calls"));
            return Err(Refused::Anonymous);
        }
        let profile = self.state.profiles.of(self.question.id, id);
        if let Some(profile) = profile {
            if let Some(forward) = self.forward(profile, ForwardKind::Always) {
                return self.divert(id, Why::Unconditional, forward, after, diversions);
            }
            if profile.do_not_disturb {
                self.note(|| format!("{id} wants no calls"));
                let forward = self.forward(profile, ForwardKind::Busy).ok_or(Refused::DoNotDisturb)?;
                return self.divert(id, Why::DoNotDisturb, forward, after, diversions);
            }
        }
        let no_answer = profile.and_then(|profile| self.forward(profile, ForwardKind::NoAnswer));
        let ring_s = no_answer.and_then(|forward| forward.after_s).unwrap_or(user.ring_s);
        let rings = if user.numbers.follow_me.is_empty() {
            let who = Who::User { id, user };
            let targets = smallvec![Target { who, delay_s: 0, ring_s: None }];
            self.push(Stage { after, targets, service: None, ring_s, diversions: diversions.to_vec() })?
        } else {
            self.follow_me((id, user), after, diversions)?
        };
        let Some(profile) = profile else { return Ok(rings) };
        let mut last = rings;
        let ends = [
            (ForwardKind::Busy, Why::UserBusy, Outcomes::BUSY),
            (ForwardKind::NoAnswer, Why::NoAnswer, Outcomes::NO_ANSWER),
            (ForwardKind::Offline, Why::Unavailable, Outcomes::OFFLINE),
        ];
        for (kind, why, on) in ends {
            let Some(forward) = self.forward(profile, kind) else { continue };
            let after = Some(After { stage: rings, on });
            match self.divert(id, why, forward, after, diversions) {
                Ok(stage) => last = stage,
                Err(refused) => self.note(|| format!("that is left out: {}", refused.shown())),
            }
        }
        Ok(last)
    }

    fn forward(&self, profile: &'t Profile, kind: ForwardKind) -> Option<&'t Forward> {
        profile.forward(kind, self.question.domain, self.question.unix_ms)
    }

    /// Sends the call on in the name of a user.
    fn divert(
        &mut self,
        user: &'a str,
        why: Why,
        forward: &Forward,
        after: Option<After>,
        diversions: &[Diversion<'a>],
    ) -> Result<Last, Refused> {
        self.note(|| {
            let when = String::from_utf8_lossy(why.word()).into_owned();
            format!("{user} forwards to {} ({when})", forward.number.escape_debug())
        });
        if self.question.diverted + diversions.len() >= MOST_DIVERSIONS {
            return Err(Refused::Loop);
        }
        let diversions = [diversions, &[Diversion { user, why }]].concat();
        self.dial(forward.number.as_bytes(), Caller::User(user), after, &diversions)
    }

    /// Step after step, as long as nobody answers.
    fn follow_me(
        &mut self,
        (id, user): (&'a str, &'a User),
        after: Option<After>,
        diversions: &[Diversion<'a>],
    ) -> Result<Last, Refused> {
        let (mut after, mut last) = (after, None);
        // The step before, its stage, and when that began within the stage.
        let mut before: Option<(&FollowStep, Last, u32)> = None;
        for step in &user.numbers.follow_me {
            // Who rings already rings on: those who come to it are in the same stage.
            let same =
                before.filter(|(earlier, ..)| earlier.to.iter().all(|number| step.to.contains(number)));
            let began = same.map_or(0, |(earlier, _, began)| began + earlier.ring_s);
            let known = same.map_or(&[][..], |(earlier, ..)| &earlier.to);
            let numbers = step.to.iter().filter(|number| !known.contains(number));
            let mut targets: SmallVec<[Target<'a>; 1]> = SmallVec::new();
            for number in numbers {
                let is_own = **number == *id;
                let who =
                    if is_own { Some(Who::User { id, user }) } else { self.reach(number, Caller::User(id)) };
                targets.extend(who.map(|who| Target { who, delay_s: began, ring_s: None }));
            }
            if let Some((_, place, _)) = same
                && let Some(stage) = self.stages.get_mut(usize::from(place))
            {
                stage.targets.extend(targets);
                stage.ring_s += step.ring_s;
                before = Some((step, place, began));
                continue;
            }
            if targets.is_empty() {
                continue;
            }
            let diversions = if step.to.iter().any(|number| **number == *id) {
                diversions.to_vec()
            } else {
                [diversions, &[Diversion { user: id, why: Why::FollowMe }]].concat()
            };
            let ring_s = step.ring_s;
            let stage = self.push(Stage { after, targets, service: None, ring_s, diversions })?;
            after = Some(After { stage, on: Outcomes::ALL });
            last = Some(stage);
            before = Some((step, stage, 0));
        }
        last.ok_or(Refused::Nobody)
    }

    /// Who is one of several that ring at once: a user, or a number behind a peer; nobody who wants no calls.
    pub(super) fn reach(&mut self, number: &str, acting: Caller<'a>) -> Option<Who<'a>> {
        let domain = self.question.domain;
        if let Some((id, user)) = domain.user_of(number.as_bytes()) {
            let profile = self.state.profiles.of(self.question.id, id);
            if profile.is_some_and(|profile| profile.do_not_disturb) {
                self.note(|| format!("{id} wants no calls"));
                return None;
            }
            return Some(Who::User { id, user });
        }
        let e164 = self.e164(number, acting);
        let matching = domain.routes.iter().find_map(|route| {
            let RouteTo::Peers(peers) = &route.to else { return None };
            let matches = self.mismatch(route, number.as_bytes(), e164.as_deref(), acting).is_none();
            matches.then_some((route, peers))
        });
        let Some((route, peers)) = matching else {
            self.note(|| format!("{} is no user and leads to no peer", number.escape_debug()));
            return None;
        };
        let number = if route.pattern.matches(number.as_bytes()) { number } else { e164.as_deref()? };
        let number = route.rewrite.apply(number.as_bytes());
        let outside = self.outside(route, peers, &number, acting).ok()?.into_iter().next()?;
        self.note(|| format!("{} behind peer {}", String::from_utf8_lossy(&outside.number), outside.id));
        Some(Who::Peer(Box::new(outside)))
    }
}
