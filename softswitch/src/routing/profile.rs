//! What users have set for themselves: where their calls are sent on to, and whether they want any. It is kept in the store, and a reload
//! does not change it.
//!
//! [`Profiles::set`] is the one place where a setting changes, whoever asks for it: a code that was dialled or a command.

use super::profile::Refused::{NoSuchSchedule, TooLong};
use crate::config::{Domain, DomainId};
use crate::store::StoredProfile;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// When calls are sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardKind {
    /// All.
    Always,
    /// Those that find the user busy, or not wanting any.
    Busy,
    /// Those that nobody answers.
    NoAnswer,
    /// Those that find no phone.
    Offline,
}

impl ForwardKind {
    /// All of them.
    pub const ALL: [ForwardKind; 4] =
        [ForwardKind::Always, ForwardKind::Busy, ForwardKind::NoAnswer, ForwardKind::Offline];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            ForwardKind::Always => "always",
            ForwardKind::Busy => "busy",
            ForwardKind::NoAnswer => "no answer",
            ForwardKind::Offline => "offline",
        }
    }
}

/// Where calls are sent on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The number, as if the user dialled it.
    pub number: Box<str>,
    /// Only within this schedule of the domain.
    #[serde(default)]
    pub schedule: Option<Box<str>>,
    /// After so many seconds, with [`ForwardKind::NoAnswer`].
    #[serde(default)]
    pub after_s: Option<u32>,
}

/// What a user has set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// In the order of [`ForwardKind::ALL`].
    pub forwards: [Option<Forward>; 4],
    /// No calls.
    pub do_not_disturb: bool,
    /// No anonymous calls; `None`: as the configuration has it.
    pub refuse_anonymous: Option<bool>,
    /// The user whose phones are its own as well: it has logged in there.
    pub desk: Option<Box<str>>,
}

impl Profile {
    /// Where calls are sent on to at a moment.
    pub(super) fn forward(&self, kind: ForwardKind, domain: &Domain, unix_ms: u64) -> Option<&Forward> {
        let [always, busy, no_answer, offline] = &self.forwards;
        let forward = match kind {
            ForwardKind::Always => always,
            ForwardKind::Busy => busy,
            ForwardKind::NoAnswer => no_answer,
            ForwardKind::Offline => offline,
        };
        // A schedule that a reload took away is never open.
        let is_open =
            |id: &str| domain.numbering.schedules.get(id).is_some_and(|schedule| schedule.is_open(unix_ms));
        forward.as_ref().filter(|forward| forward.schedule.as_deref().is_none_or(is_open))
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Setting {
    /// Sends calls on; `None`: no longer.
    Forward {
        /// Which.
        kind: ForwardKind,
        /// Where to.
        #[serde(default)]
        forward: Option<Forward>,
    },
    /// Sends no calls on.
    ForwardNone,
    /// Whether no calls are wanted.
    DoNotDisturb(bool),
    /// Whether no anonymous calls are wanted.
    RefuseAnonymous(bool),
    /// The user at whose phones it has logged in; `None`: it has logged out.
    Desk(Option<Box<str>>),
}

/// What a code that was dialled asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialled<'n> {
    /// Sends calls on; to nobody: no longer.
    Forward {
        /// Which.
        kind: ForwardKind,
        /// The number.
        to: &'n str,
        /// Seconds with [`ForwardKind::NoAnswer`], and behind a `*` the code of a schedule; else that code alone.
        more: &'n str,
    },
    /// Sends no calls on.
    ForwardNone,
    /// Whether no calls are wanted.
    DoNotDisturb(bool),
    /// Calls a number anonymously.
    Anonymous(&'n str),
    /// Calls a number and is known.
    Shown(&'n str),
    /// Calls a user whose phone answers by itself.
    Intercom(&'n str),
    /// Whether no anonymous calls are wanted.
    RefuseAnonymous(bool),
    /// The phone is another user's from now on.
    LogIn {
        /// By its id or number.
        user: &'n str,
        /// What proves it.
        pin: &'n str,
    },
    /// It is nobody else's any more.
    LogOut,
}

/// Why a setting is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// No schedule of the domain has that code.
    NoSuchSchedule,
    /// A phone rings ten minutes at most.
    TooLong,
}

/// Longer than that no call waits for an answer.
const LONGEST_S: u32 = 600;

impl Dialled<'_> {
    /// The setting that is asked for; `None` where it is none.
    ///
    /// # Errors
    /// What is asked for cannot be.
    pub fn setting(&self, domain: &Domain) -> Result<Option<Setting>, Refused> {
        Ok(Some(match *self {
            Dialled::Anonymous(_)
            | Dialled::Shown(_)
            | Dialled::Intercom(_)
            | Dialled::LogIn { .. }
            | Dialled::LogOut => return Ok(None),
            Dialled::RefuseAnonymous(on) => Setting::RefuseAnonymous(on),
            Dialled::ForwardNone => Setting::ForwardNone,
            Dialled::DoNotDisturb(on) => Setting::DoNotDisturb(on),
            Dialled::Forward { kind, to: "", .. } => Setting::Forward { kind, forward: None },
            Dialled::Forward { kind, to, more } => {
                let (schedule, after_s) = match (kind, more) {
                    (_, "") => (None, None),
                    (ForwardKind::NoAnswer, more) => match more.split_once('*') {
                        Some((seconds, code)) => {
                            (Some(schedule_of(domain, code)?), Some(seconds_of(seconds)?))
                        }
                        None => (None, Some(seconds_of(more)?)),
                    },
                    (ForwardKind::Always | ForwardKind::Busy | ForwardKind::Offline, code) => {
                        (Some(schedule_of(domain, code)?), None)
                    }
                };
                let forward = Some(Forward { number: to.into(), schedule, after_s });
                Setting::Forward { kind, forward }
            }
        }))
    }
}

/// The schedule that users name by this code.
fn schedule_of(domain: &Domain, code: &str) -> Result<Box<str>, Refused> {
    let mut schedules = domain.numbering.schedules.iter();
    let named = schedules.find(|(_, schedule)| schedule.code.as_deref() == Some(code));
    Ok(named.ok_or(NoSuchSchedule)?.0.clone())
}

fn seconds_of(text: &str) -> Result<u32, Refused> {
    text.parse().ok().filter(|seconds| (1..=LONGEST_S).contains(seconds)).ok_or(TooLong)
}

impl Forward {
    /// Whether its schedule is one of the domain, and its seconds are none but those of no answer, and not too many.
    pub(super) fn makes_sense(&self, kind: ForwardKind, domain: &Domain) -> bool {
        let schedule = self.schedule.as_ref();
        let seconds = self
            .after_s
            .is_none_or(|seconds| kind == ForwardKind::NoAnswer && (1..=LONGEST_S).contains(&seconds));
        seconds && schedule.is_none_or(|id| domain.numbering.schedules.contains_key(id))
    }
}

/// The settings of all users that have any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profiles {
    of: BTreeMap<DomainId, BTreeMap<Box<str>, Profile>>,
    /// Who has logged in at the phones of a user, by that user: the settings the other way round.
    guests: BTreeMap<DomainId, BTreeMap<Box<str>, Box<str>>>,
}

impl Profiles {
    /// What a user has set.
    pub(crate) fn of(&self, domain: DomainId, user: &str) -> Option<&Profile> {
        self.of.get(&domain)?.get(user)
    }

    /// Who has logged in at the phones of a user, which are not that user's meanwhile.
    pub(crate) fn guest_at(&self, domain: DomainId, host: &str) -> Option<&str> {
        self.guests.get(&domain)?.get(host).map(|guest| &**guest)
    }

    /// The user at whose phones a user has logged in.
    pub(crate) fn desk_of(&self, domain: DomainId, user: &str) -> Option<&str> {
        self.of(domain, user)?.desk.as_deref()
    }

    /// Changes a setting; what the user has then.
    pub(crate) fn set(&mut self, domain: DomainId, user: &str, setting: Setting) -> Profile {
        let profile = self.of.entry(domain).or_default().entry(user.into()).or_default();
        match setting {
            Setting::Forward { kind, forward } => {
                let [always, busy, no_answer, offline] = &mut profile.forwards;
                *match kind {
                    ForwardKind::Always => always,
                    ForwardKind::Busy => busy,
                    ForwardKind::NoAnswer => no_answer,
                    ForwardKind::Offline => offline,
                } = forward;
            }
            Setting::ForwardNone => profile.forwards = Default::default(),
            Setting::DoNotDisturb(on) => profile.do_not_disturb = on,
            Setting::RefuseAnonymous(on) => profile.refuse_anonymous = Some(on),
            Setting::Desk(desk) => {
                let before = core::mem::replace(&mut profile.desk, desk.clone());
                let guests = self.guests.entry(domain).or_default();
                before.inspect(|host| _ = guests.remove(host));
                desk.map(|host| guests.insert(host, user.into()));
            }
        }
        let now = profile.clone();
        if now == Profile::default()
            && let Some(users) = self.of.get_mut(&domain)
        {
            users.remove(user);
        }
        now
    }

    /// Every setting of every user.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DomainId, &str, &Profile)> {
        let users =
            self.of.iter().flat_map(|(id, users)| users.iter().map(|(user, profile)| (*id, user, profile)));
        users.map(|(id, user, profile)| (id, &**user, profile))
    }

    /// Takes up what was kept.
    pub(crate) fn restore(&mut self, id_of: impl Fn(&str) -> Option<DomainId>, kept: Vec<StoredProfile>) {
        for StoredProfile { domain, user, profile } in kept {
            if let Some(id) = id_of(&domain) {
                if let Some(host) = &profile.desk {
                    self.guests.entry(id).or_default().insert(host.clone(), user.clone());
                }
                self.of.entry(id).or_default().insert(user, profile);
            }
        }
    }

    /// Forgets users and domains that there are no more. They stay in the store, and come back with them at the next start.
    pub(crate) fn retain(&mut self, is_there: impl Fn(DomainId, &str) -> bool) {
        for (domain, users) in &mut self.of {
            users.retain(|user, _| is_there(*domain, user));
        }
        self.of.retain(|_, users| !users.is_empty());
        for (domain, guests) in &mut self.guests {
            let mut out = Vec::new();
            guests.retain(|host, guest| {
                let stays = is_there(*domain, host) && is_there(*domain, guest);
                if !stays {
                    out.push(guest.clone());
                }
                stays
            });
            // A phone that comes back is its own again.
            for guest in out {
                if let Some(profile) = self.of.get_mut(domain).and_then(|users| users.get_mut(&guest)) {
                    profile.desk = None;
                }
            }
        }
        self.guests.retain(|_, guests| !guests.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_there_and_a_user_without_settings_is_forgotten() {
        let (mut profiles, domain) = (Profiles::default(), DomainId(0));
        let forward = Some(Forward { number: "1002".into(), schedule: None, after_s: None });
        let always = Setting::Forward { kind: ForwardKind::Always, forward: forward.clone() };
        profiles.set(domain, "1001", always);
        profiles.set(domain, "1001", Setting::DoNotDisturb(true));
        let now = profiles.of(domain, "1001").cloned().unwrap();
        assert_eq!((&now.forwards[0], now.do_not_disturb), (&forward, true));
        assert_eq!(profiles.of(DomainId(1), "1001"), None);
        profiles.set(domain, "1001", Setting::ForwardNone);
        profiles.set(domain, "1001", Setting::DoNotDisturb(false));
        assert_eq!(profiles.of(domain, "1001"), None);
    }
}
