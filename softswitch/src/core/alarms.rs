//! Alarms: something that the switch needs does not work, calls go on, and the operator should know. Each is raised once and cleared once,
//! by itself when it works again.
//!
//! | alarm | is raised | is cleared |
//! |---|---|---|
//! | the store | when a transaction fails | when all that waited has been written |
//! | name servers | when three questions in a row get no answer, or a failure | with the next answer, also that there is no such name |
//! | recordings | when a disk is full or fails under a recording | when a recording that began later has ended well |

use super::Event;
use super::environment::Environment;
use crate::store::{StoreEvent, StoreFault};
use core::time::Duration;
use media::tap::{RecordingFault, RecordingFigures};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::resolve::Answer;

/// Questions in a row that get no answer before the name servers are taken for dead: a single one may be about a domain whose own servers
/// are.
const UNANSWERED: u32 = 3;

/// What does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// The database takes no changes; they wait.
    Store {
        /// Why.
        reason: StoreFault,
    },
    /// Peers that are given by name cannot be found.
    NameServers,
    /// Files of recordings cannot be written.
    Recordings {
        /// Why.
        reason: RecordingFault,
    },
}

impl Alarm {
    /// Its name, the same for every reason.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Alarm::Store { .. } => "store",
            Alarm::NameServers => "name servers",
            Alarm::Recordings { .. } => "recordings",
        }
    }
}

/// An alarm that is up, and since when.
type Raised = Option<(Alarm, Time)>;

/// Those that are up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Alarms {
    store: Raised,
    names: Raised,
    recordings: Raised,
    unanswered: u32,
}

impl Alarms {
    /// Those that are up, in the order of the table.
    #[cfg(test)]
    fn up(&self) -> impl Iterator<Item = Alarm> {
        [self.store, self.names, self.recordings].into_iter().flatten().map(|(alarm, _)| alarm)
    }

    fn slot(&mut self, alarm: Alarm) -> &mut Raised {
        match alarm {
            Alarm::Store { .. } => &mut self.store,
            Alarm::NameServers => &mut self.names,
            Alarm::Recordings { .. } => &mut self.recordings,
        }
    }
}

impl Environment {
    /// Raises an alarm that is not up.
    fn raise(&mut self, alarm: Alarm) {
        let now = self.now;
        let slot = self.alarms.slot(alarm);
        if slot.is_none() {
            *slot = Some((alarm, now));
            self.event(Event::AlarmRaised { alarm });
        }
    }

    /// Clears the alarm of that name.
    fn clear(&mut self, alarm: Alarm) {
        let now = self.now;
        if let Some((alarm, since)) = self.alarms.slot(alarm).take() {
            let lasted_ms = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
            self.event(Event::AlarmCleared { alarm, lasted_ms });
        }
    }

    /// News of the store.
    pub(super) fn handle_store(&mut self, event: StoreEvent) {
        match event {
            StoreEvent::Failing { reason } => self.raise(Alarm::Store { reason }),
            StoreEvent::SetAside => self.event(Event::DatabaseSetAside),
            StoreEvent::Recovered { emptied: _ } => {
                self.clear(Alarm::Store { reason: StoreFault::Locked });
            }
        }
    }

    /// An answer of the name servers.
    pub(super) fn note_answer_of_names(&mut self, answer: &Answer) {
        match answer {
            Answer::Records { .. } | Answer::NoSuchName => {
                self.alarms.unanswered = 0;
                self.clear(Alarm::NameServers);
            }
            Answer::Failed | Answer::TimedOut => self.note_unanswered(1),
        }
    }

    /// So many questions got no answer.
    pub(super) fn note_unanswered(&mut self, questions: u32) {
        self.alarms.unanswered = self.alarms.unanswered.saturating_add(questions);
        if self.alarms.unanswered >= UNANSWERED {
            self.raise(Alarm::NameServers);
        }
    }

    /// A recording has not begun, or ended before its time.
    pub(super) fn note_recording_failed(&mut self, fault: RecordingFault) {
        match fault {
            reason @ (RecordingFault::DiskFull | RecordingFault::Os { .. }) => {
                self.raise(Alarm::Recordings { reason });
            }
            RecordingFault::NoRoom
            | RecordingFault::AlreadyRunning
            | RecordingFault::TooMany
            | RecordingFault::FileExists
            | RecordingFault::Format => {}
        }
    }

    /// A recording is complete. One that began before the alarm says nothing of what came after.
    pub(super) fn note_recording_ended(&mut self, figures: RecordingFigures) {
        let (now, recorded) = (self.now, Duration::from_millis(figures.recorded_ms));
        let began_later = |(_, since): (Alarm, Time)| now.since(since) >= recorded;
        if figures.files > 0 && self.alarms.recordings.is_some_and(began_later) {
            self.clear(Alarm::Recordings { reason: RecordingFault::DiskFull });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Output;

    fn environment() -> Environment {
        let text =
            "[[listener]]\naddress = \"192.0.2.1:5060\"\n[[user]]\nid = \"1001\"\npassword = \"secret\"\n";
        Environment::new([1; 32], crate::config::parse("test.toml", text).unwrap())
    }

    fn told(env: &mut Environment) -> Vec<Event> {
        core::iter::from_fn(|| env.poll())
            .filter_map(|output| match output {
                Output::Event(event @ (Event::AlarmRaised { .. } | Event::AlarmCleared { .. })) => {
                    Some(event)
                }
                _ => None,
            })
            .collect()
    }

    #[test]
    fn an_alarm_of_the_store_is_raised_once_and_cleared_once_with_its_first_reason_and_its_time() {
        let mut env = environment();
        let alarm = Alarm::Store { reason: StoreFault::Full };
        env.handle_store(StoreEvent::Failing { reason: StoreFault::Full });
        env.handle_store(StoreEvent::Failing { reason: StoreFault::Locked });
        assert_eq!(told(&mut env), [Event::AlarmRaised { alarm }]);
        assert_eq!(env.alarms.up().collect::<Vec<_>>(), [alarm]);
        env.now = Time::from_millis(1_500);
        env.handle_store(StoreEvent::Recovered { emptied: false });
        env.handle_store(StoreEvent::Recovered { emptied: true });
        assert_eq!(told(&mut env), [Event::AlarmCleared { alarm, lasted_ms: 1_500 }]);
        assert_eq!(env.alarms.up().count(), 0);
    }

    #[test]
    fn name_servers_are_dead_after_three_questions_without_an_answer_and_alive_with_any_answer() {
        let mut env = environment();
        let alarm = Alarm::NameServers;
        for answer in [Answer::TimedOut, Answer::Failed, Answer::NoSuchName, Answer::TimedOut, Answer::Failed]
        {
            env.note_answer_of_names(&answer);
        }
        assert_eq!(told(&mut env), []);
        env.note_unanswered(1);
        env.note_answer_of_names(&Answer::TimedOut);
        assert_eq!(told(&mut env), [Event::AlarmRaised { alarm }]);
        env.note_answer_of_names(&Answer::NoSuchName);
        assert_eq!(told(&mut env), [Event::AlarmCleared { alarm, lasted_ms: 0 }]);
    }

    #[test]
    fn a_full_disk_is_an_alarm_until_a_recording_that_began_later_has_ended_well() {
        let mut env = environment();
        let (alarm, figures) =
            (Alarm::Recordings { reason: RecordingFault::DiskFull }, RecordingFigures::default());
        env.event(Event::RecordingFailed { call: 1, fault: RecordingFault::FileExists, figures });
        assert_eq!(told(&mut env), []);
        env.event(Event::RecordingFailed { call: 1, fault: RecordingFault::DiskFull, figures });
        assert_eq!(told(&mut env), [Event::AlarmRaised { alarm }]);
        env.now = Time::from_millis(5_000);
        // It is of a disk that is not full, or of before.
        let ended = |recorded_ms| Event::RecordingEnded {
            call: 2,
            figures: RecordingFigures { files: 1, recorded_ms, ..figures },
        };
        env.event(ended(9_000));
        assert_eq!(told(&mut env), []);
        env.event(ended(4_000));
        assert_eq!(told(&mut env), [Event::AlarmCleared { alarm, lasted_ms: 5_000 }]);
    }
}
