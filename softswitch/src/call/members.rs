//! Several who ring together (groups, follow-me): each has its own delay and time, declines for itself alone, and is a user of its own for
//! those who watch it.

use super::call::{Call, Phase};
use super::ring::{Branch, Invited, better};
use super::stages::Member;
use crate::core::environment::Environment;
use crate::store::EndedBy;
use sip_stack::message::Status;
use smallvec::SmallVec;

impl Call {
    /// Whether several ring together.
    pub(super) fn rings_several(&self) -> bool {
        matches!(self.phase, Phase::Ringing(_)) && self.member(0).is_some()
    }

    /// The users of whom phones ring, where several ring together; each once.
    pub(super) fn members_that_ring(&self) -> SmallVec<[&[u8]; 4]> {
        let mut users: SmallVec<[&[u8]; 4]> = SmallVec::new();
        let Phase::Ringing(ring) = &self.phase else { return users };
        let live = ring.branches.iter().filter(|branch| !branch.failed && !branch.dialogs.is_empty());
        for member in live.filter_map(|branch| self.member(branch.target)).filter(|member| !member.is_peer) {
            if !users.contains(&&*member.user) {
                users.push(&member.user);
            }
        }
        users
    }

    /// Who is called in a branch, where several ring together.
    pub(super) fn member_in(&self, index: usize) -> Option<&Member> {
        let Phase::Ringing(ring) = &self.phase else { return None };
        ring.branches.get(index).and_then(|branch| self.member(branch.target))
    }

    /// One of several does not want the call: its other phones stop to ring.
    pub(super) fn give_up_member(&mut self, env: &mut Environment, index: usize, why: &[u8]) {
        let Phase::Ringing(ring) = &self.phase else { return };
        let Some(user) = self.member_in(index) else { return };
        let is_its = |branch: &Branch| self.member(branch.target).is_some_and(|it| it.user == user.user);
        let all = ring.branches.iter().enumerate().filter(|(_, branch)| !branch.failed && is_its(branch));
        let its: SmallVec<[usize; 4]> = all.map(|(index, _)| index).collect();
        for index in its {
            self.cancel_branch(env, index, why);
        }
    }

    /// Gives one branch up.
    fn cancel_branch(&mut self, env: &mut Environment, index: usize, why: &[u8]) {
        let Phase::Ringing(ring) = &self.phase else { return };
        if let Some(branch) = ring.branches.get(index).filter(|branch| !branch.failed) {
            env.endpoint.cancel_because(env.now, branch.transaction, why);
            self.close_branch(env, index);
        }
    }

    /// Has those ring whose time has come; when nobody else does, the next one.
    pub(super) fn hurry(&mut self, env: &mut Environment) {
        if !self.rings_several() {
            return;
        }
        loop {
            let Phase::Ringing(ring) = &mut self.phase else { return };
            let is_quiet = ring.branches.iter().all(|branch| branch.failed);
            let Some(first) = ring.waiting.iter().map(|(at, _)| *at).min() else {
                if is_quiet {
                    self.give_way(env, EndedBy::Callee);
                }
                return;
            };
            // Those whose time is the same come together, however early that is.
            let until = if is_quiet { first.max(env.now) } else { env.now };
            let due = ring.waiting.iter().filter(|(at, _)| *at <= until).map(|(_, target)| *target);
            let due: SmallVec<[usize; 4]> = due.collect();
            if due.is_empty() {
                return;
            }
            ring.waiting.retain(|(at, _)| *at > until);
            for target in due {
                self.have_ring(env, target);
            }
        }
    }

    /// One more rings.
    pub(super) fn have_ring(&mut self, env: &mut Environment, target: usize) {
        let invited =
            if self.count_member(env, target) { self.open_next(env, target, 0) } else { Invited::Shed };
        if let Invited::Sent(branch) = &invited {
            self.note_asked(env, branch);
        }
        let Phase::Ringing(ring) = &mut self.phase else { return };
        match invited {
            Invited::Sent(branch) => ring.branches.push(branch),
            // Only who rings alone is looked for once more.
            Invited::TooLarge | Invited::Shed | Invited::NoWay => {
                ring.best = Some(better(ring.best, Status::TEMPORARILY_UNAVAILABLE));
            }
        }
    }

    /// Those whose own time is up stop to ring.
    pub(super) fn stop_late(&mut self, env: &mut Environment) {
        loop {
            let Phase::Ringing(ring) = &self.phase else { return };
            let is_late =
                |branch: &Branch| !branch.failed && branch.until.is_some_and(|until| until <= env.now);
            let Some(index) = ring.branches.iter().position(is_late) else { return };
            let transaction = ring.branches.get(index).map(|branch| branch.transaction);
            if let Some(transaction) = transaction {
                env.endpoint.cancel_because(env.now, transaction, b"");
            }
            self.on_failure(env, index, Status::TEMPORARILY_UNAVAILABLE);
        }
    }
}
