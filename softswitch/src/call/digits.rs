//! Digits of a call: SIP INFO in and out, and how digits travel in the media of each party (RFC 4733; RFC 6086 §4 for INFO
//! without a package, as phones have sent it since RFC 2976).
//!
//! A party that has agreed to telephone events gets digits so. One that has not, but names INFO in its Allow, gets INFO; any
//! other hears tones, and its own are listened for if the other side wants digits. The configuration can say otherwise (`dtmf`). The shard converts what it can by itself (`media/src/shard/digits.rs`); what is left to signalling
//! comes here as reports.
//!
//! Packages of INFO are in `packages`. Left out on purpose: keypad facilities of other bodies; INFO during an early
//! dialog of a callee.

use super::call::{Call, Phase, Side};
use super::formats::Formats;
use super::session::Session;
use crate::config::Dtmf;
use crate::core::environment::{ALLOW, Environment, sign_request, sign_response};
use media::dtmf::{Digit, Heard, info};
use media::{AudioFormat, Command, DigitOutlet, DigitParams, EventFormat};
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::sdp::{AudioOffer, TelephoneEvent};
use smallvec::smallvec;

/// The bodies of INFO that are read.
const ACCEPT: &[u8] = b"application/dtmf-relay, application/dtmf";
/// The body of INFO that is written.
const DTMF_RELAY: &[u8] = b"application/dtmf-relay";
/// The duration of packets of tones, in milliseconds.
const TONE_PTIME_MS: u8 = 20;

/// A description without the events that a party is not to be spoken to in.
pub(super) fn without_keys(dtmf: Dtmf, mut offer: AudioOffer) -> AudioOffer {
    match dtmf {
        Dtmf::Auto | Dtmf::Event => {}
        Dtmf::Info | Dtmf::Inband => offer.telephone_events.clear(),
    }
    offer
}

/// What an INFO is about.
enum Info {
    Digit(Digit),
    /// No body: it asks whether we are there.
    Nothing,
}

/// Whether the sender of a message takes INFO (RFC 3261 §20.5).
pub(super) fn takes_info(message: &Message) -> bool {
    message.list(HeaderName::Allow).any(|method| method == b"INFO")
}

/// Reads an INFO; a failure is what it is answered with.
fn read(message: &Message) -> Result<Info, Status> {
    if message.body().is_empty() {
        return Ok(Info::Nothing);
    }
    let encoded =
        message.list(HeaderName::ContentEncoding).any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let content = message.content_type().map_err(|_| Status::BAD_REQUEST)?;
    let is_read = content
        .is_some_and(|content| content.is("application", "dtmf-relay") || content.is("application", "dtmf"));
    if !is_read || encoded {
        return Err(Status::UNSUPPORTED_MEDIA_TYPE);
    }
    info::parse(message.body()).map(Info::Digit).ok_or(Status::BAD_REQUEST)
}

impl Call {
    /// An INFO of one side: the digit in it goes to the other.
    pub(super) fn handle_info(&mut self, env: &mut Environment, side: Side, request: &Request) {
        if request.message.header(HeaderName::InfoPackage).is_some() {
            return self.handle_package(env, side, request);
        }
        let read = read(&request.message);
        let status = read.as_ref().err().copied().unwrap_or(Status::OK);
        let transaction = env.endpoint.accept(env.now, request, 0);
        let mut response = env.endpoint.response(request, status, None);
        if status == Status::UNSUPPORTED_MEDIA_TYPE {
            response.header(HeaderName::Accept, ACCEPT);
        }
        response.header(HeaderName::Allow, ALLOW);
        sign_response(&mut response);
        env.endpoint.respond(env.now, transaction, status, response.finish());
        if let Ok(Info::Digit(digit)) = read {
            self.interrupt_speech(env);
            self.handle_key(env, side, digit);
            self.press(env, side.other(), digit);
        }
    }

    /// Presses a key for one side.
    fn press(&self, env: &mut Environment, side: Side, digit: Digit) {
        match &self.phase {
            // With early media somebody may listen already.
            Phase::Talking { .. } | Phase::Ringing(_) => {
                env.media(Command::Dial { leg: self.media(side).id, digits: smallvec![digit] });
            }
            // A service of ours has no use for it yet.
            Phase::Served | Phase::Refusing { .. } | Phase::Locating | Phase::Reserving | Phase::Ended => {}
        }
    }

    /// A side has pressed a key. Where the shard has no way to the other, and that one takes INFO, it gets one.
    pub(super) fn handle_digit(&mut self, env: &mut Environment, side: Side, heard: Heard) {
        if side == Side::Caller {
            self.interrupt_speech(env);
        }
        let Heard::Ended(digit) = heard else { return };
        self.handle_key(env, side, digit);
        let other = side.other();
        if self.leg_mut(other).is_some_and(|leg| leg.session.outlet() == DigitOutlet::Nowhere) {
            self.send_info(env, other, &[digit]);
        }
    }

    /// What counts of a description of a side: as it is recorded, and as its keys travel.
    pub(super) fn taken(&mut self, side: Side, offer: AudioOffer) -> AudioOffer {
        let dtmf = self.leg_mut(side).map_or_else(Dtmf::default, |leg| leg.session.dtmf);
        without_keys(dtmf, self.recorded.prefer_decoded(offer))
    }

    /// Sends digits in INFO, one each, to a side that takes it.
    pub(super) fn send_info(&mut self, env: &mut Environment, side: Side, digits: &[Digit]) {
        let owner = self.owner();
        let Some(leg) = self.leg_mut(side).filter(|leg| leg.session.sends_info()) else { return };
        let (dialog, sent_by) = (leg.dialog, env.sent_by(&leg.flow));
        for digit in digits {
            let mut body = [0; info::BODY];
            let Some(length) = info::write(digit, &mut body) else { continue };
            let Some(mut draft) = env.endpoint.draft_in_dialog(dialog, Method::Info, &sent_by) else {
                return;
            };
            sign_request(&mut draft.writer);
            draft.writer.body(DTMF_RELAY, body.get(..length).unwrap_or_default());
            env.endpoint.request(env.now, draft, owner);
        }
    }
}

fn format(event: &TelephoneEvent) -> EventFormat {
    EventFormat { payload_type: event.payload_type, clock_rate: event.clock_rate }
}

impl Session {
    /// How digits travel between the party and us. `wanted`: whether the other side wants to know of its keys. Its tones are
    /// listened for where they are all there is.
    pub(super) fn digits(&self, wanted: bool) -> DigitParams {
        let Some(remote) = &self.remote else { return DigitParams::default() };
        let listens = match self.dtmf {
            Dtmf::Auto => wanted && remote.telephone_events.is_empty() && !self.takes_info,
            Dtmf::Event | Dtmf::Info => false,
            Dtmf::Inband => true,
        };
        let listen = self.sound().filter(|_| listens);
        DigitParams { incoming: self.incoming(remote), outlet: self.outlet(), listen, report: true }
    }

    /// Whether the party gets keys by INFO when there is no other way.
    fn sends_info(&self) -> bool {
        self.takes_info || self.dtmf == Dtmf::Info
    }

    /// Whether keys that the other side presses have to reach the party as keys and not as sound.
    pub(super) fn wants_keys(&self) -> bool {
        match self.outlet() {
            DigitOutlet::Events(_) => true,
            DigitOutlet::Nowhere => self.remote.is_some() && self.sends_info(),
            DigitOutlet::Tones(_) => false,
        }
    }

    /// The events of the party, under whichever numbers.
    fn incoming(&self, remote: &AudioOffer) -> smallvec::SmallVec<[EventFormat; 2]> {
        let mut incoming: smallvec::SmallVec<[EventFormat; 2]> =
            remote.telephone_events.iter().map(format).collect();
        // Some send under the numbers of our description although theirs has others.
        for event in self.events.iter().map(format) {
            let taken = incoming.iter().any(|known| known.payload_type == event.payload_type)
                || remote.codecs.iter().any(|codec| codec.payload_type == event.payload_type);
            if !taken {
                incoming.push(event);
            }
        }
        incoming
    }

    /// The sound of the party, if we decode it.
    fn sound(&self) -> Option<AudioFormat> {
        let (codec, decoded) = self.agreed.as_ref().and_then(Formats::first_decoded)?;
        Some(AudioFormat { codec: decoded, payload_type: codec.payload_type, ptime_ms: TONE_PTIME_MS })
    }

    /// How keys reach the party.
    fn outlet(&self) -> DigitOutlet {
        let Some(remote) = &self.remote else { return DigitOutlet::Nowhere };
        // Events go with a codec of their clock rate (RFC 4733 §2.2).
        let rate = self.agreed.as_ref().map(Formats::clock_rate);
        let fitting = remote.telephone_events.iter().find(|event| Some(event.clock_rate) == rate);
        let by_info = match self.dtmf {
            Dtmf::Auto => self.takes_info,
            Dtmf::Info => true,
            Dtmf::Event | Dtmf::Inband => false,
        };
        match (fitting.or(remote.telephone_events.first()), self.sound()) {
            (Some(event), _) => DigitOutlet::Events(format(event)),
            (None, Some(sound)) if !by_info => DigitOutlet::Tones(sound),
            (None, Some(_) | None) => DigitOutlet::Nowhere,
        }
    }
}
