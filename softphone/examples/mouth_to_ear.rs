//! How long sound takes from the microphone of one phone to the speaker of another one, through a server: two whole phones over real
//! sockets, with sound cards of virtual samples and real time.
//!
//!     SOFTPHONE_PASSWORD=... mouth_to_ear SERVER[:PORT] CALLER CALLEE CODEC SECONDS [PERIOD_MS] [off|on]
//!
//! The caller's microphone hears a short tone at moments that move against every period and frame. The moment is noted when the tone
//! begins at the microphone; when the call takes the frame in which it begins; when the other call gives the frame in which it begins
//! to its speaker; and when the card plays it. A card takes and gives PERIOD_MS (10) at once: a sample waits for the end of its period in
//! a microphone, and is heard at its place in the period that a speaker has taken. Milliseconds; `on` is the processing of the microphone.

use media::codec::opus;
use media::dsp::SampleRate;
use media::source::Country;
use mio::{Events, Poll};
use sip_stack::Time;
use sip_stack::io::Trust;
use sip_stack::transport::Transport;
use softphone::audio::{Audio, LinkedAudio, Processed, Processing, VirtualDevice, link};
use softphone::io::{Engine, EngineConfig, Server, now};
use softphone::phone::{AccountId, AutoAnswer, CallId, Codec, Command, Event, Password, Settings};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

const RATE: SampleRate = SampleRate::Hz48000;
/// The tone, its length, and from one beginning to the next: 4.7 ms later in the periods and frames each time.
const HERTZ: f64 = 1_000.0;
const TONE_MS: usize = 60;
const EVERY: usize = 48 * 494 + 34;
const PEAK: f64 = 12_000.0;
const LOUD: i16 = 3_000;
/// So long it has to be silent before a tone begins.
const SILENT_MS: usize = 150;
/// Beginnings of this time at first are not counted: rings and jitter buffer find their targets.
const SETTLING: Duration = Duration::from_secs(5);

type Failure = Box<dyn Error + Send + Sync>;
/// Moments at which something was noticed.
type Moments = Arc<Mutex<Vec<Time>>>;

fn note(moments: &Moments, at: Time) {
    if let Ok(mut moments) = moments.lock() {
        moments.push(at);
    }
}

/// Finds where a tone begins after silence.
#[derive(Default)]
struct Onset {
    silent: usize,
}

impl Onset {
    fn find(&mut self, samples: &[i16]) -> Option<usize> {
        let mut found = None;
        for (at, sample) in samples.iter().enumerate() {
            if sample.unsigned_abs() < LOUD.unsigned_abs() {
                self.silent += 1;
            } else {
                if self.silent >= RATE.samples(1) * SILENT_MS {
                    found = Some(at);
                }
                self.silent = 0;
            }
        }
        found
    }
}

/// Notes when tones pass between call and device.
struct Probe {
    inner: Processed<LinkedAudio>,
    recorded: (Onset, Moments),
    played: (Onset, Moments),
}

impl Audio for Probe {
    fn rate(&self) -> SampleRate {
        RATE
    }

    fn record(&mut self, now: Time, frame: &mut [i16]) {
        self.inner.record(now, frame);
        if self.recorded.0.find(frame).is_some() {
            note(&self.recorded.1, now);
        }
    }

    fn play(&mut self, now: Time, frame: &[i16]) {
        if self.played.0.find(frame).is_some() {
            note(&self.played.1, now);
        }
        self.inner.play(now, frame);
    }
}

/// What a phone is told, and what it tells.
#[derive(Clone, Default)]
struct Marks {
    mouth: Moments,
    recorded: Moments,
    played: Moments,
    ear: Moments,
}

struct Setup {
    host: String,
    port: u16,
    codec: Codec,
    period_ms: u32,
    processing: Processing,
}

/// The card: its callbacks come when their time has come by the clock.
fn card(
    device: VirtualDevice,
    says: bool,
    marks: Marks,
    period_ms: u32,
    stop: Arc<AtomicBool>,
) -> Result<(), Failure> {
    let (mut device, mut onset, mut sample) = (device, Onset::default(), 0_usize);
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1));
    let period = Duration::from_millis(period_ms.into());
    while !stop.load(Ordering::Relaxed) {
        let at = device.poll_timeout();
        // A poll of nothing is a wait.
        poll.poll(&mut events, Some(at.since(now())))?;
        if now() < at {
            continue;
        }
        device.handle_timeout(at, |played, heard| {
            if let Some(place) = onset.find(played) {
                note(&marks.ear, at + samples_last(place));
            }
            for (place, heard) in heard.iter_mut().enumerate() {
                let within = sample % EVERY;
                if says && within == 0 {
                    // The period that ends now began this long ago.
                    note(&marks.mouth, Time(at.0 - period.as_nanos() as u64) + samples_last(place));
                }
                let turn = std::f64::consts::TAU * HERTZ / f64::from(RATE.hertz()) * within as f64;
                let tone = says && within < RATE.samples(1) * TONE_MS;
                *heard = if tone { (turn.cos() * PEAK) as i16 } else { 0 };
                sample += 1;
            }
        });
    }
    Ok(())
}

fn samples_last(count: usize) -> Duration {
    Duration::from_nanos(count as u64 * 1_000_000_000 / u64::from(RATE.hertz()))
}

fn engine(
    setup: &Setup,
    user: &str,
    marks: &Marks,
    says: bool,
    stop: &Arc<AtomicBool>,
) -> Result<Engine, Failure> {
    let (microphone, speaker, linked) = link(RATE);
    let period = RATE.samples(setup.period_ms);
    let device = VirtualDevice::new(now(), (microphone, speaker), RATE, period, 0);
    let (marks_of_card, stop, period_ms) = (marks.clone(), Arc::clone(stop), setup.period_ms);
    Builder::new().name("card".into()).spawn(move || card(device, says, marks_of_card, period_ms, stop))?;
    let audio = Probe {
        inner: Processed::new(linked, setup.processing),
        recorded: (Onset::default(), Arc::clone(&marks.recorded)),
        played: (Onset::default(), Arc::clone(&marks.played)),
    };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let settings =
        Settings { auto_answer: AutoAnswer::Always, codecs: vec![setup.codec], ..Settings::default() };
    let server = Server {
        host: setup.host.clone(),
        port: Some(setup.port),
        transport: Some(Transport::Udp),
        domain: None,
        user: user.to_owned(),
        display_name: None,
        password: Password(std::env::var("SOFTPHONE_PASSWORD")?.into()),
    };
    Ok(Engine::new(EngineConfig {
        servers: vec![server],
        settings,
        audio: Box::new(audio),
        ports: 35_000..=35_999,
        country: Country::of("us").ok_or("no tones")?,
        opus: opus::Settings { bitrate: 32_000, ..opus::Settings::default() },
        expires_s: 300,
        trust: Trust::System,
        seed,
    })?)
}

/// A phone until the call is over: the callee tells when it is registered, the caller calls at once and hangs up.
fn attend(
    engine: &mut Engine,
    target: Option<&str>,
    registered: &Sender<()>,
    talk: Duration,
) -> Result<String, Failure> {
    match target {
        Some(target) => {
            engine.command(Command::Call { account: AccountId::FIRST, target: target.into() })?;
        }
        None => engine.command(Command::Register)?,
    }
    let (mut call, mut until, mut told) = (None::<CallId>, None, String::new());
    loop {
        while let Some(event) = engine.poll_event() {
            match event {
                Event::Registered { .. } => registered.send(())?,
                Event::Connected { call: connected } => {
                    (call, until) = (Some(connected), Some(now() + talk));
                }
                Event::Ended { .. } => return Ok(told),
                Event::RegistrationFailed { reason, .. } => return Err(reason.to_string().into()),
                _ => {}
            }
        }
        if let Some(figures) = call.and_then(|call| engine.figures(call)) {
            let (jitter, lost) = (figures.jitter, figures.jitter.lost);
            told = format!(
                "jitter buffer {:.1} ms, jitter {:.2} ms, lost {lost}, concealed {} samples",
                f64::from(jitter.delay_us) / 1e3,
                f64::from(jitter.jitter_us) / 1e3,
                jitter.concealed,
            );
        }
        if target.is_some() && until.is_some_and(|until| until <= now()) {
            until = None;
            if let Some(call) = call {
                engine.command(Command::HangUp { call })?;
            }
        }
        engine.turn(Duration::from_millis(100))?;
    }
}

fn phone(
    setup: Arc<Setup>,
    users: (String, Option<String>),
    marks: Marks,
    registered: Sender<()>,
    talk: Duration,
) -> Result<JoinHandle<Result<String, Failure>>, Failure> {
    let work = move || {
        let stop = Arc::new(AtomicBool::new(false));
        let mut engine = engine(&setup, &users.0, &marks, users.1.is_some(), &stop)?;
        let told = attend(&mut engine, users.1.as_deref(), &registered, talk);
        engine.leave(true)?;
        stop.store(true, Ordering::Relaxed);
        told
    };
    Ok(Builder::new().name(String::from("phone")).spawn(work)?)
}

fn taken(moments: &Moments) -> Vec<Time> {
    moments.lock().map(|moments| moments.clone()).unwrap_or_default()
}

/// From each moment to the next one of the later stage, less than half a second later.
fn spans(from: &[Time], to: &[Time], begun: Time) -> Vec<f64> {
    let settled = from.iter().filter(|at| **at >= begun + SETTLING);
    let span = |at: &Time| {
        let next = to.iter().find(|next| **next >= *at)?;
        let ms = next.since(*at).as_secs_f64() * 1e3;
        (ms < 450.0).then_some(ms)
    };
    settled.filter_map(span).collect()
}

fn show(name: &str, mut spans: Vec<f64>) {
    spans.sort_by(f64::total_cmp);
    let at = |part: f64| {
        spans.get(((spans.len() as f64 - 1.0) * part).round() as usize).copied().unwrap_or(f64::NAN)
    };
    let mean = spans.iter().sum::<f64>() / spans.len() as f64;
    println!(
        "{name:<46} n {:>4}  mean {mean:6.1}  least {:6.1}  p50 {:6.1}  p95 {:6.1}  p99 {:6.1}  most {:6.1}",
        spans.len(),
        at(0.0),
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, caller, callee, codec, seconds, more @ ..] = arguments.as_slice() else {
        return Err("mouth_to_ear SERVER[:PORT] CALLER CALLEE CODEC SECONDS [PERIOD_MS] [off|on]".into());
    };
    let (host, port) = server.split_once(':').unwrap_or((server, "5060"));
    let period_ms = more.first().map_or(Ok(10), |text| text.parse())?;
    let processing =
        if more.get(1).is_some_and(|word| word == "on") { Processing::ON } else { Processing::OFF };
    let codec = Codec::from_name(codec).ok_or("opus, g722, pcmu or pcma")?;
    let setup = Arc::new(Setup { host: host.to_owned(), port: port.parse()?, codec, period_ms, processing });
    let talk = Duration::from_secs(seconds.parse()?);
    let (speaking, hearing) = (Marks::default(), Marks::default());
    let (registered, news): (Sender<()>, Receiver<()>) = channel();
    let listens =
        phone(Arc::clone(&setup), (callee.clone(), None), hearing.clone(), registered.clone(), talk)?;
    news.recv_timeout(Duration::from_secs(10))?;
    let begun = now();
    let speaks = phone(setup, (caller.clone(), Some(callee.clone())), speaking.clone(), registered, talk)?;
    let told = speaks.join().map_err(|_| "the caller broke off")??;
    let heard = listens.join().map_err(|_| "the callee broke off")??;
    let (mouth, recorded) = (taken(&speaking.mouth), taken(&speaking.recorded));
    let (played, ear) = (taken(&hearing.played), taken(&hearing.ear));
    println!("{} {period_ms} ms periods, processing {processing:?}", codec.name());
    println!("caller: {told}\ncallee: {heard}");
    show("microphone: mouth to call", spans(&mouth, &recorded, begun));
    show("call to call: packet, switch, jitter buffer", spans(&recorded, &played, begun));
    show("speaker: call to ear", spans(&played, &ear, begun));
    show("mouth to ear", spans(&mouth, &ear, begun));
    Ok(())
}
