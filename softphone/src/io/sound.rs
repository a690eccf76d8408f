//! The ticks of the engine: what is said and heard every [`FRAME_MS`], and the tones beside the calls.
//!
//! A turn that comes late is made up for by up to [`CATCH_UP`] ticks; what is later than that is left out.

use super::engine::Engine;
use super::lines::Signals;
use super::now;
use crate::audio::FRAME_MS;
use crate::phone::{Ending, Event, Reason};
use media::source::CallTone;
use sip_stack::Time;
use std::time::Duration;

const FRAME: Duration = Duration::from_millis(FRAME_MS as u64);
/// Frames that are made up for when a turn came late; more are left out.
const CATCH_UP: u64 = 5;

/// Room for the frames of a tick.
pub(super) struct Frames {
    microphone: Vec<i16>,
    scratch: Vec<i16>,
    sum: Vec<i32>,
    heard: Vec<i16>,
    bell: Vec<i16>,
}

impl Frames {
    pub(super) fn new(length: usize) -> Frames {
        let silence = || vec![0; length];
        Frames {
            microphone: silence(),
            scratch: silence(),
            sum: vec![0; length],
            heard: silence(),
            bell: silence(),
        }
    }
}

impl Engine {
    /// What an event means for what is heard.
    pub(super) fn on_news(&mut self, event: &Event) {
        let signals = |ring_back, bell, waiting| Signals { ring_back, bell, waiting };
        match event {
            Event::Ringing { call } => {
                self.signals.insert(*call, signals(true, false, false));
            }
            Event::Incoming { call, waiting, .. } => {
                self.signals.insert(*call, signals(false, !waiting, *waiting));
            }
            Event::Connected { call } => {
                self.signals.remove(call);
                if let Some(media) = self.calls.get_mut(call) {
                    media.connected = true;
                }
                self.talk_or_not();
            }
            Event::Ended { call, ending } => {
                self.signals.remove(call);
                match ending {
                    Ending::Failed(Reason::Busy | Reason::Declined) => self.tones.fail(CallTone::Busy),
                    Ending::Failed(_) => self.tones.fail(CallTone::Congestion),
                    Ending::Ours | Ending::Theirs | Ending::Elsewhere => {}
                }
            }
            Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::RegistrationFailed { .. }
            | Event::Calling { .. }
            | Event::TurnedAway { .. }
            | Event::Held { .. }
            | Event::HoldFailed { .. }
            | Event::HeldByPeer { .. }
            | Event::Transferred { .. }
            | Event::Message { .. }
            | Event::Watch { .. }
            | Event::MessageTaken { .. }
            | Event::MessageFailed { .. }
            | Event::TransferFailed { .. }
            | Event::Muted { .. }
            | Event::Digit { .. } => {}
        }
        self.next_frame.get_or_insert_with(now);
    }

    pub(super) fn talk_or_not(&mut self) {
        let talking = self.calls.values().any(|media| media.connected);
        if std::mem::replace(&mut self.talking, talking) != talking {
            self.audio.set_talking(talking);
        }
    }

    pub(super) fn tick_if_due(&mut self, now: Time) {
        for _ in 0..CATCH_UP {
            let Some(due) = self.next_frame.filter(|due| *due <= now) else { return };
            self.next_frame = Some(due + FRAME);
            self.tick(now);
            if self.calls.is_empty() && !self.tones.are_heard() {
                self.next_frame = None;
                self.audio.rest();
                return;
            }
        }
        if self.next_frame.is_some_and(|due| due <= now) {
            self.next_frame = Some(now + FRAME);
        }
    }

    fn tick(&mut self, now: Time) {
        let Frames { microphone, scratch, sum, heard, bell } = &mut self.frames;
        if self.talking {
            self.audio.record(now, microphone);
        } else {
            microphone.fill(0);
        }
        sum.fill(0);
        let mut early = false;
        for media in self.calls.values_mut() {
            if media.connected {
                scratch.copy_from_slice(microphone);
            } else {
                scratch.fill(0);
                early |= media.voice.stream().is_some();
            }
            media.capture(now, scratch);
            media.voice.play(now, scratch);
            sum.iter_mut().zip(scratch.iter()).for_each(|(sum, sample)| *sum += i32::from(*sample));
        }
        for (heard, sum) in heard.iter_mut().zip(sum.iter()) {
            *heard = (*sum).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        }
        let mut wanted = self.signals.values().fold(Signals::default(), |all, one| Signals {
            ring_back: all.ring_back || one.ring_back,
            bell: all.bell || one.bell,
            waiting: all.waiting || one.waiting,
        });
        // Early media take the place of our own tone.
        wanted.ring_back &= !early;
        self.tones.set(wanted);
        self.tones.play(heard, bell, FRAME_MS);
        self.audio.play(now, heard);
        self.audio.ring(now, bell);
    }
}
