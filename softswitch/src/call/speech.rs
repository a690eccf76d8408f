//! What the switch says to those who call: prompts one after the other, in the language of the caller.
//!
//! What is to be said waits with its call, [`WAITING`] sentences at most, the last ones being left out beyond; one of them
//! plays at a time, as a member of the room that the call is in (`media/src/source/playlist.rs`). A key of the caller ends what
//! is said to the caller alone. Files that cannot be played are left out by the shard, and so the sentence is over.
//!
//! Left out on purpose: menus.

use super::call::{Call, CallId, Phase, Side};
use super::calls::Calls;
use super::serve::PLAYER;
use crate::core::Event;
use crate::core::environment::Environment;
use crate::prompts::What;
use media::mix::{Audience, MemberId, Role};
use media::source::{Chime, SoundFault, Source};
use media::{Command, RoomId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Sentences that wait for their turn in one call.
const WAITING: usize = 8;
/// Members that speak have numbers of their own. Legs do not come so far.
const SPEAKERS: u64 = 1 << 63;

/// Who speaks at the moment, in all calls.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Speakers {
    /// So far.
    begun: u64,
    speaking: BTreeMap<MemberId, CallId>,
}

/// What is said, and to be said, in one call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Speech {
    now: Option<(MemberId, RoomId, Sentence)>,
    waiting: VecDeque<Sentence>,
    /// Speakers that are not there any more, to be forgotten.
    gone: SmallVec<[MemberId; 1]>,
}

/// A sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sentence {
    files: Vec<Arc<str>>,
    about: About,
    /// Who hears it, in a call of two; `None`: both.
    to: Option<Side>,
}

/// What a sentence is about. That decides who hears it, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum About {
    /// The conference that the caller has come into: to the caller.
    Conference,
    /// That the call is recorded: to both parties, or to who has come into the conference. The recording waits for it.
    Recording,
    /// Why the call comes to nothing: to the caller, who is refused then.
    Refusal,
    /// What a command has asked for.
    Command,
    /// The slot in which the partner will be: to who parks, who leaves then.
    Park,
    /// Why the caller is sent away: to the caller, whose call is over then.
    Farewell,
}

impl About {
    /// Whether a key of the caller ends it.
    const fn is_interruptible(self) -> bool {
        match self {
            About::Conference | About::Refusal | About::Command | About::Park => true,
            About::Recording | About::Farewell => false,
        }
    }
}

impl Speakers {
    /// Says what is next in a call, if nothing is being said.
    pub(super) fn attend(&mut self, env: &mut Environment, call: &mut Call) {
        for member in core::mem::take(&mut call.speech.gone) {
            self.speaking.remove(&member);
        }
        if call.speech.now.is_some() {
            return;
        }
        let (Some(id), Some(room)) = (call.id, call.speaks_in()) else { return };
        let Some(sentence) = call.speech.waiting.pop_front() else { return };
        let member = self.next();
        self.speaking.insert(member, id);
        let to = match (&call.phase, sentence.to) {
            (Phase::Talking { .. }, None) => Audience::All,
            (Phase::Talking { .. }, Some(side)) => Audience::One(MemberId(call.media(side).id.0)),
            (_, _) => Audience::One(MemberId(call.media(Side::Caller).id.0)),
        };
        let source = Source::Files { files: sentence.files.clone(), loops: false };
        env.media(Command::Play { room, member, source, role: Role::Announce { to } });
        call.speech.now = Some((member, room, sentence));
    }

    /// Sounds a signal for everybody in a room.
    pub(super) fn chime(&mut self, env: &mut Environment, room: RoomId, chime: Chime) {
        let (member, role) = (self.next(), Role::Announce { to: Audience::All });
        env.media(Command::Play { room, member, source: Source::Chime(chime), role });
    }

    /// Says something to everybody in a room.
    pub(super) fn announce(&mut self, env: &mut Environment, room: RoomId, files: Vec<Arc<str>>) {
        let (member, role) = (self.next(), Role::Announce { to: Audience::All });
        env.media(Command::Play { room, member, source: Source::Files { files, loops: false }, role });
    }

    /// Forgets who speaks in a call that is over.
    pub(super) fn forget(&mut self, speech: &Speech) {
        let now = speech.now.iter().map(|(member, ..)| member);
        for member in speech.gone.iter().chain(now) {
            self.speaking.remove(member);
        }
    }

    fn next(&mut self) -> MemberId {
        self.begun += 1;
        MemberId(SPEAKERS + self.begun)
    }
}

impl Speech {
    /// Whether something is said, or to be said.
    pub(super) fn is_wanted(&self) -> bool {
        self.now.is_some() || !self.waiting.is_empty()
    }

    /// Who speaks at the moment.
    pub(super) fn speaker(&self) -> Option<MemberId> {
        self.now.as_ref().map(|(member, ..)| *member)
    }

    /// Has a sentence said when those before it are over. Whether it will be: there may be no sound for it.
    pub(super) fn add(&mut self, about: About, files: Vec<Arc<str>>) -> bool {
        self.add_to(None, about, files)
    }

    /// The same to one party of two.
    pub(super) fn add_to(&mut self, to: Option<Side>, about: About, files: Vec<Arc<str>>) -> bool {
        let taken = !files.is_empty() && self.waiting.len() < WAITING;
        if taken {
            self.waiting.push_back(Sentence { files, about, to });
        }
        taken
    }

    /// The room is closed: whoever spoke in it is gone. What that was about is over all the same.
    pub(super) fn handle_room_closed(&mut self) {
        self.waiting.clear();
        self.gone.extend(self.now.take().map(|(member, ..)| member));
    }

    /// Ends what a key may end; where somebody spoke, and what about.
    fn interrupt(&mut self) -> Option<(RoomId, MemberId, About)> {
        let may_end = self.now.as_ref().is_some_and(|(.., sentence)| sentence.about.is_interruptible());
        if !may_end {
            return None;
        }
        self.waiting.retain(|sentence| !sentence.about.is_interruptible());
        let (member, room, sentence) = self.now.take()?;
        self.gone.push(member);
        Some((room, member, sentence.about))
    }
}

impl Calls {
    /// A source of a room has played all it had.
    pub(super) fn handle_played(&mut self, env: &mut Environment, room: RoomId, member: MemberId) {
        if member == PLAYER {
            let id = self.rooms.listener(room);
            if let Some(call) = id.and_then(|id| self.table.get_mut(id)) {
                call.handle_played(env);
            }
            return self.settle(env, id);
        }
        env.media(Command::Leave { room, member });
        // A signal is nobody's.
        let Some(id) = self.speakers.speaking.remove(&member) else { return };
        if let Some(call) = self.table.get_mut(id)
            && let Some((.., sentence)) = call.speech.now.take_if(|(known, ..)| *known == member)
        {
            call.handle_said(env, sentence.about);
        }
        self.settle(env, Some(id));
    }
}

impl Calls {
    /// A file of a source cannot be played. Who was to hear in it of a recording is not recorded.
    pub(super) fn handle_not_played(
        &mut self,
        env: &mut Environment,
        member: MemberId,
        file: Arc<str>,
        fault: SoundFault,
    ) {
        env.event(Event::NotPlayed { file, fault });
        let speaking = self.speakers.speaking.get(&member);
        if let Some(call) = speaking.and_then(|id| self.table.get_mut(*id)) {
            let now = call.speech.now.as_ref().filter(|(known, ..)| *known == member);
            match now.map(|(.., sentence)| sentence.about) {
                Some(About::Recording) => call.recorded.handle_unannounced(),
                Some(About::Conference | About::Refusal | About::Command | About::Park | About::Farewell)
                | None => {}
            }
        }
    }
}

impl Call {
    /// The room in which somebody can speak to the call.
    fn speaks_in(&self) -> Option<RoomId> {
        match (&self.phase, &self.destination.service) {
            (Phase::Served, Some(served)) => served.joined_in(),
            (Phase::Talking { .. } | Phase::Refusing { .. }, _) => self.mixed_in(),
            (Phase::Served, None)
            | (Phase::Locating | Phase::Reserving | Phase::Ringing(_) | Phase::Ended, _) => None,
        }
    }

    /// The caller has pressed a key.
    pub(super) fn interrupt_speech(&mut self, env: &mut Environment) {
        if let Some((room, member, about)) = self.speech.interrupt() {
            env.media(Command::Leave { room, member });
            self.handle_said(env, about);
        }
    }

    /// A sentence is over.
    fn handle_said(&mut self, env: &mut Environment, about: About) {
        match about {
            About::Conference => self.play_in_lobby(env),
            About::Command | About::Park => {}
            About::Farewell => self.handle_farewell_said(env),
            About::Recording => self.recorded.handle_announced(),
            About::Refusal => self.handle_refusal_said(env),
        }
    }

    /// The sound of a prompt, in the language of the caller if it has it.
    pub(super) fn prompt(&self, env: &Environment, prompt: &str) -> Vec<Arc<str>> {
        let languages = [&*self.language, &*env.config.prompts.language, "en"];
        languages.into_iter().find_map(|language| env.library.file(language, prompt)).into_iter().collect()
    }

    /// The sounds that say something, in the language of the caller; none when one of them is missing.
    pub(super) fn words(&self, env: &Environment, what: What<'_>) -> Vec<Arc<str>> {
        let said = |language: &str| {
            let prompts = env.library.grammar(language)?.say(what).ok()?;
            prompts.into_iter().map(|prompt| env.library.file(language, prompt)).collect()
        };
        let languages = [&*self.language, &*env.config.prompts.language, "en"];
        languages.into_iter().find_map(said).unwrap_or_default()
    }
}
