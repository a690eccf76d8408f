//! Calls to phones that answer by themselves: intercom to one user, and paging groups.
//!
//! Whoever may do so says `may_page` of the caller. Nobody is spoken to who wants no calls or is in one, and no call is sent on:
//! the words are for a place, not for whoever would answer instead. Left out on purpose: numbers behind peers, which could not be
//! asked to answer.

use super::decide::{Caller, Decider};
use super::plan::{Page, Refused, Stage, Stages, Target, Who};
use smallvec::smallvec;

impl<'a> Decider<'a, '_> {
    /// The phones of the user of this number.
    pub(super) fn intercom(&mut self, number: &str) -> Result<Stages<'a>, Refused> {
        let caller = self.pager()?;
        let (id, user) = self.question.domain.user_of(number.as_bytes()).ok_or(Refused::UnknownNumber)?;
        self.note(|| format!("the code of the intercom: user {id} is to answer without a hand"));
        if id == caller {
            return Err(Refused::Loop);
        }
        if self.wants_no_calls(id) {
            return Err(Refused::DoNotDisturb);
        }
        if self.presence.is_busy(id) {
            return Err(Refused::Busy);
        }
        let targets = smallvec![Target { who: Who::User { id, user }, delay_s: 0, ring_s: None }];
        let ring_s = user.ring_s;
        Ok(smallvec![Stage { after: None, targets, service: None, ring_s, diversions: Vec::new() }])
    }

    /// Who is called of the paging group of this number, if it is one.
    pub(super) fn page(&mut self, number: &[u8]) -> Result<Option<Page<'a>>, Refused> {
        let domain = self.question.domain;
        let numbering = &domain.numbering;
        let is_emergency = numbering.emergency.numbers.iter().any(|known| known.as_bytes() == number);
        let text = core::str::from_utf8(number).unwrap_or_default();
        let known = numbering.paging_numbers.get(text).filter(|_| !is_emergency);
        let Some((id, group)) = known.and_then(|id| numbering.paging.get_key_value(id)) else {
            return Ok(None);
        };
        if domain.user_of(number).is_some() {
            return Ok(None);
        }
        self.note(|| format!("paging group {id}"));
        let caller = self.pager()?;
        let mut users: Vec<&'a str> = Vec::new();
        for member in &group.members {
            let Some((id, _)) = domain.user_of(member.as_bytes()) else {
                self.note(|| format!("{} is no user", member.escape_debug()));
                continue;
            };
            if id == caller || users.contains(&id) {
                continue;
            }
            if self.wants_no_calls(id) {
                self.note(|| format!("{id} wants no calls"));
            } else if self.presence.is_busy(id) {
                self.note(|| format!("{id} is in a call"));
            } else {
                users.push(id);
            }
        }
        if users.is_empty() { Err(Refused::Nobody) } else { Ok(Some(Page { group, users })) }
    }

    /// The caller, if it may speak through phones of others.
    fn pager(&self) -> Result<&'a str, Refused> {
        let Caller::User(caller) = self.question.caller else { return Err(Refused::NotAllowed) };
        let may = self.question.domain.users.get(caller).is_some_and(|user| user.may_page);
        if may { Ok(caller) } else { Err(Refused::NotAllowed) }
    }

    fn wants_no_calls(&self, user: &str) -> bool {
        let profile = self.state.profiles.of(self.question.id, user);
        profile.is_some_and(|profile| profile.do_not_disturb)
    }
}
