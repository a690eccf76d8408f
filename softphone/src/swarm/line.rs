//! The sound of one call: 20 ms of a tone out, what comes in to the ear; cheap, or the whole voice.
//!
//! One-way delay is taken from a packet's stamp: from the moment it is handed to the system until it is taken from it. A tone
//! begins at the mouth 20 ms before the packet with its beginning leaves, for so long a microphone needs to fill one. At the ear
//! it begins when that packet comes (the cheap ear has no jitter buffer, so none of its time is in it), or, with the whole
//! voice, when it is played.

use super::ear::{Bank, Ear};
use super::stamp::Stamp;
use super::tone::{CYCLE, GAP, Law, Tones};
use crate::phone::{CallId, Stream};
use crate::scenario::meter::FRAME;
use crate::voice::{Port, Voice};
use media::dsp::SampleRate;
use media::rtp::{Header, PacketKind, Rewrite, Ssrc};
use sip_stack::Time;
use std::net::SocketAddr;
use std::time::Duration;

/// How often a packet is sent.
pub(super) const TICK: Duration = Duration::from_millis(20);
const HEADER: usize = 12;

/// What all lines share.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) tones: Tones,
    pub(super) bank: Bank,
}

/// Who talks here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Talker {
    /// The place of its tone; `None`: it is silent.
    pub(super) tone: Option<usize>,
    /// What its packets are stamped with, and what those of the other are; `None`: they are not.
    pub(super) stamps: Option<(u16, u16)>,
    /// Frames are counted from here, so that bursts of phones do not begin together.
    pub(super) offset: u64,
}

/// What was said in 20 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Packets that left.
    pub(super) packets: u64,
    /// They were heard to be a tone.
    pub(super) loud: bool,
    /// When the tone began at the mouth.
    pub(super) began: Option<Time>,
}

/// The sound of a call.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) call: CallId,
    pub(super) ear: Ear,
    /// When the next packet is due.
    pub(super) next: Time,
    /// It sends nothing, whatever is agreed.
    pub(super) hushed: bool,
    frames: u64,
    stream: Option<Stream>,
    voice: Mouth,
}

#[derive(Debug)]
enum Mouth {
    Tone(Loop),
    Whole(Box<Voice>),
}

/// RTP of a tone.
#[derive(Debug)]
struct Loop {
    header: Rewrite,
    number: u16,
    packet: [u8; HEADER + FRAME],
}

impl Line {
    /// A line that says tones; `seed` decides SSRC and the first numbers (RFC 3550 §5.1).
    pub(super) fn tone(call: CallId, next: Time, seed: u64) -> Line {
        let header = Rewrite {
            marker: true,
            payload_type: 0,
            sequence: (seed >> 32) as u16,
            timestamp: (seed >> 16) as u32,
            ssrc: Ssrc(seed as u32),
        };
        let voice = Mouth::Tone(Loop { header, number: 0, packet: [0; HEADER + FRAME] });
        Line { call, ear: Ear::default(), next, hushed: false, frames: 0, stream: None, voice }
    }

    /// A line with the whole voice.
    pub(super) fn whole(call: CallId, next: Time, voice: Voice) -> Line {
        let voice = Mouth::Whole(Box::new(voice));
        Line { call, ear: Ear::default(), next, hushed: false, frames: 0, stream: None, voice }
    }

    /// From now on this is agreed.
    pub(super) fn start(&mut self, stream: Stream) {
        if let Mouth::Whole(voice) = &mut self.voice {
            // Every codec that a phone agrees on takes these settings.
            let _kept = voice.configure(&stream);
        }
        self.stream = Some(stream);
    }

    /// 20 ms of sound. `begun` gets the tones that began to be heard, `send` what leaves.
    pub(super) fn tick(
        &mut self,
        now: Time,
        sound: &Sound,
        talker: Talker,
        begun: impl FnMut(usize, Time),
        mut send: impl FnMut(Port, SocketAddr, &[u8]),
    ) -> Said {
        self.next = self.next + TICK;
        let phase = (self.frames + talker.offset) % CYCLE;
        let tone = talker.tone.filter(|_| phase >= GAP);
        let mut packets = 0;
        match &mut self.voice {
            Mouth::Tone(tones) => {
                let sends = self.stream.as_ref().filter(|stream| stream.send && !self.hushed);
                if let Some((stream, to)) = sends.and_then(|stream| Some((stream, stream.remote?)))
                    && let Some(law) = Law::of(stream.codec)
                {
                    send(
                        Port::Rtp,
                        to,
                        tones.next(now, sound.tones.encoded(law, tone), stream.payload_type, talker),
                    );
                    packets = 1;
                }
            }
            Mouth::Whole(voice) => {
                let (mut frame, mut played) = (*sound.tones.linear(tone), [0; FRAME]);
                if !self.hushed {
                    voice.capture(now, &mut frame, |to, packet| {
                        packets += 1;
                        send(Port::Rtp, to, packet);
                    });
                }
                if voice.poll_timeout().is_some_and(|due| due <= now) {
                    voice.handle_timeout(now, |to, report| send(Port::Rtcp, to, report));
                }
                voice.play(now, &mut played);
                self.ear.handle_frame(now, &sound.bank, played.into_iter().map(f32::from), begun);
            }
        }
        if packets == 0 {
            return Said::default();
        }
        self.frames += 1;
        let began = (talker.tone.is_some() && phase == GAP).then(|| now - TICK);
        Said { packets, loud: tone.is_some(), began }
    }

    /// Takes a datagram that came; how long it was under way, where it tells, in microseconds.
    pub(super) fn receive(
        &mut self,
        now: Time,
        sound: &Sound,
        talker: Talker,
        (port, from, datagram): (Port, SocketAddr, &[u8]),
        begun: impl FnMut(usize, Time),
    ) -> Option<u64> {
        if let Mouth::Whole(voice) = &mut self.voice {
            voice.handle_datagram(now, port, from, datagram);
        }
        if port == Port::Rtcp || PacketKind::of(datagram) != PacketKind::Rtp {
            return None;
        }
        let header = Header::parse(datagram).ok()?;
        self.ear.packets.add(header.ssrc(), header.sequence());
        if matches!(self.voice, Mouth::Whole(_)) {
            return None;
        }
        let payload = datagram.get(header.payload())?;
        let received = self.stream.as_ref()?.receives.iter();
        let (_, codec) = received.into_iter().find(|(number, _)| *number == header.payload_type())?;
        let samples = sound.tones.samples(Law::of(*codec)?);
        let decode = |octet: &u8| samples.get(usize::from(*octet)).copied().unwrap_or_default();
        // A packet of another length than 20 ms would need a buffer; what is left over of it is not listened to.
        let mut begun = begun;
        for frame in payload.chunks_exact(FRAME) {
            self.ear.handle_frame(now, &sound.bank, frame.iter().map(decode), &mut begun);
        }
        let stamp = Stamp::read(payload)?;
        let (_, other) = talker.stamps?;
        if stamp.talker != other {
            self.ear.strange += 1;
            return None;
        }
        self.ear.stamps.add(stamp.number);
        Some(stamp.age_us(now))
    }
}

impl Loop {
    fn next(&mut self, now: Time, payload: &[u8; FRAME], payload_type: u8, talker: Talker) -> &[u8] {
        self.header.payload_type = payload_type;
        let (head, body) = self.packet.split_at_mut(HEADER);
        head.copy_from_slice(&self.header.header());
        body.copy_from_slice(payload);
        if let Some((own, _)) = talker.stamps {
            Stamp::new(now, own, self.number).write(body);
        }
        self.number = self.number.wrapping_add(1);
        self.header.marker = false;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(FRAME as u32);
        &self.packet
    }
}

/// The rate at which the whole voice gives and takes frames.
pub(super) const WHOLE_RATE: SampleRate = SampleRate::Hz8000;
