//! The dry run: which way a call would take, rule by rule, in words (`softswitch route`).
//!
//! What is not known without a running switch is taken as it usually is: every user is registered and idle, no limit of calls at a time
//! is reached, it is the first member's turn, and lots fall on the first.

use super::decide::{Caller, PEER_RING_S, Presence, Question, Trace, decide};
use super::plan::{Plan, Stage, Who};
use super::profile::Setting;
use super::state::State;
use crate::config::{Config, DomainId};
use crate::store::StoredProfile;
use sip_stack::Time;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// In which domain.
    pub domain: DomainId,
    /// Who calls: the id of a user or, with `peer`, any number.
    pub caller: &'a str,
    /// The peer that the call comes from.
    pub peer: Option<&'a str>,
    /// What was dialled.
    pub number: &'a str,
    /// When.
    pub unix_ms: u64,
}

/// Everybody is there, and nobody is busy.
struct Calm;

impl Presence for Calm {
    fn is_busy(&self, _: &str) -> bool {
        false
    }

    fn lot(&mut self) -> u64 {
        0
    }
}

/// What becomes of a call, one line for each rule that was looked at and for each stage. `profiles`: what users have set.
#[must_use]
pub fn explain(config: &Config, profiles: Vec<StoredProfile>, asked: Asked<'_>) -> Vec<String> {
    let Some(domain) = config.domains.get(&asked.domain) else {
        return vec!["there is no such domain".into()];
    };
    let mut state = State::default();
    state.profiles.restore(|name| config.domain_named(name), profiles);
    let caller = match asked.peer {
        Some(id) => Caller::Peer { id, number: asked.caller.as_bytes() },
        None => Caller::User(asked.caller),
    };
    let question = Question {
        id: asked.domain,
        domain,
        features: &config.features,
        caller,
        number: asked.number.as_bytes(),
        unix_ms: asked.unix_ms,
        now: Time::default(),
        diverted: 0,
        is_anonymous: false,
    };
    let mut trace = Trace::default();
    let decided = decide(question, &state, &mut Calm, Some(&mut trace));
    let mut lines = trace.0;
    match decided {
        Err(refused) => {
            let status = refused.status();
            lines.push(format!("=> {} {}: {}", status.code(), status.reason(), refused.shown()));
        }
        Ok(decision) => match decision.plan {
            Plan::Setting(setting) => lines.push(format!("=> {}", shown_setting(&setting))),
            Plan::LogIn { user, is_right: true } => {
                lines.push(format!("=> the phone becomes that of {user}"));
            }
            Plan::LogIn { user, is_right: false } => {
                lines.push(format!("=> 403: that is not the PIN of {user}"))
            }
            Plan::LogOut => lines.push("=> the phone is nobody else's any more".into()),
            Plan::Page(page) => {
                let how = if page.group.two_way { "who hear and are heard" } else { "who hear" };
                lines.push(format!("=> the caller speaks to {}, {how}", page.users.join(", ")));
            }
            Plan::Stages(stages) => {
                lines.extend(stages.iter().enumerate().map(|(place, stage)| shown(place, stage)));
            }
        },
    }
    lines
}

fn shown(place: usize, stage: &Stage<'_>) -> String {
    let when = stage
        .after
        .map_or_else(String::new, |after| format!(" when {} was {}", after.stage + 1, after.on.shown()));
    let rings = stage.targets.iter().map(|target| {
        let who = match &target.who {
            Who::User { id, .. } => format!("user {id}"),
            Who::Peer(outside) => {
                let caller = outside.caller_id.as_ref().map_or_else(String::new, |id| format!(" from {id}"));
                let number = String::from_utf8_lossy(&outside.number);
                format!("{} over peer {}{caller}", number.escape_debug(), outside.id)
            }
        };
        match target.delay_s {
            0 => who,
            delay => format!("{who} after {delay} s"),
        }
    });
    let what = match stage.service {
        Some(service) => format!("a service of the switch: {}", service.word()),
        None => {
            let long =
                if stage.ring_s == PEER_RING_S { String::new() } else { format!(", {} s", stage.ring_s) };
            format!("{}{long}", rings.collect::<Vec<_>>().join(", "))
        }
    };
    format!("=> {}{when}: {what}", place + 1)
}

fn shown_setting(setting: &Setting) -> String {
    match setting {
        Setting::Forward { kind, forward: Some(forward) } => {
            let schedule =
                forward.schedule.as_ref().map_or_else(String::new, |id| format!(", schedule {id}"));
            let after = forward.after_s.map_or_else(String::new, |seconds| format!(", after {seconds} s"));
            format!(
                "the caller's calls are forwarded ({}) to {}{schedule}{after}",
                kind.word(),
                forward.number
            )
        }
        Setting::Forward { kind, forward: None } => {
            format!("the caller's calls are no longer forwarded ({})", kind.word())
        }
        Setting::ForwardNone => "the caller's calls are no longer forwarded".into(),
        Setting::DoNotDisturb(true) => "the caller wants no calls".into(),
        Setting::DoNotDisturb(false) => "the caller wants calls again".into(),
        Setting::RefuseAnonymous(true) => "the caller wants no anonymous calls".into(),
        Setting::RefuseAnonymous(false) => "the caller takes anonymous calls".into(),
        Setting::Desk(Some(host)) => format!("the phones of {host} are the caller's"),
        Setting::Desk(None) => "the caller has logged out".into(),
    }
}
