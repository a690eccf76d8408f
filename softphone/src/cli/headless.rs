//! `softphone run`: the phone without a window. Lines come from standard input and from the local socket, events go to
//! standard output as lines and to the socket as JSON.
//!
//! Standard input is read by a thread of its own, over a channel of [`LINES`]: while that many wait, it is not read on.

use super::account::{AccountOptions, seed};
use super::events::{line, object};
use super::lines::{Request, read};
use super::output::Output;
#[cfg(unix)]
use super::socket::ControlSocket;
use super::{DONE, NO_ANSWER};
use crate::audio::{Audio, Silence};
#[cfg(feature = "sound-card")]
use crate::config::AudioEntry;
use crate::config::Config;
use crate::io::{Engine, EngineConfig, EngineError, now};
use crate::phone::{CallDirection, CallId, Command, Event, LoggedCall};
use anyhow::{Context, Result};
use clap::Args;
use media::codec::opus;
use media::dsp::SampleRate;
use media::source::Country;
use serde_json::json;
use sip_stack::message::Escaped;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

/// Lines of standard input that may wait.
const LINES: usize = 64;
/// Between two looks at the local socket, which is asked and does not wake.
const PATIENCE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    account: AccountOptions,
    /// A local socket that takes the same lines and gives events as JSON, one in a line.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Do not register at the start.
    #[arg(long)]
    no_register: bool,
}

pub(super) fn run(arguments: &Run) -> Result<u8> {
    let (config, servers) = arguments.account.load()?;
    let [first, last] = config.phone.ports;
    let made = Engine::new(EngineConfig {
        servers,
        settings: config.settings(),
        audio: audio(&config),
        ports: first..=last,
        country: Country::of(&config.phone.country).context("no tones are known of this country")?,
        opus: opus::Settings::default(),
        expires_s: config.phone.expires_s,
        seed: seed()?,
    });
    let mut engine = match made {
        Ok(engine) => engine,
        Err(error @ EngineError::Udp(_)) => {
            eprintln!("softphone: {error}");
            return Ok(NO_ANSWER);
        }
        Err(error) => return Err(error.into()),
    };
    let path = arguments.socket.clone().or_else(|| config.control.socket.clone());
    #[cfg(unix)]
    let mut socket = match &path {
        Some(path) => {
            Some(ControlSocket::bind(path).with_context(|| format!("no socket at {}", path.display()))?)
        }
        None => None,
    };
    #[cfg(not(unix))]
    anyhow::ensure!(path.is_none(), "there are no local sockets on this system");
    let lines = standard_input(&engine);
    if !arguments.no_register {
        engine.command(Command::Register)?;
    }
    let mut session = Session { engine, output: Output::start(), last: None, quit: false };
    while !session.quit {
        session.take_lines(&lines);
        #[cfg(unix)]
        if let Some(socket) = &mut socket {
            for (client, line) in socket.lines() {
                let said = session.take(&line);
                socket.answer(client, &said);
            }
        }
        #[cfg_attr(not(unix), expect(unused_variables, reason = "there is no socket to tell"))]
        let told = session.tell_events();
        #[cfg(unix)]
        if let Some(socket) = &mut socket {
            socket.tell(&told);
        }
        session.engine.turn(PATIENCE)?;
    }
    session.engine.leave(!arguments.no_register).context("leaving")?;
    #[cfg_attr(not(unix), expect(unused_variables, reason = "there is no socket to tell"))]
    let told = session.tell_events();
    #[cfg(unix)]
    if let Some(socket) = &mut socket {
        socket.tell(&told);
    }
    Ok(DONE)
}

/// The sound of the phone: the sound card where there is one and it is wanted, processed as the configuration says.
pub(super) fn audio(config: &Config) -> Box<dyn Audio> {
    let entry = &config.audio;
    #[cfg(feature = "sound-card")]
    if entry.device {
        use crate::audio::{Card, Devices};
        let devices = Devices {
            microphone: entry.microphone.clone(),
            speaker: entry.speaker.clone(),
            ringer: entry.ringer.clone(),
        };
        match Card::new(devices) {
            Ok(card) => return processed(card, entry),
            Err(error) => eprintln!("softphone: no sound card is used: {error}"),
        }
    }
    #[cfg(not(feature = "sound-card"))]
    if entry.device {
        eprintln!(
            "softphone: this program was built without sound cards (feature sound-card): nothing is heard or said"
        );
    }
    Box::new(Silence(SampleRate::Hz16000))
}

#[cfg(all(feature = "sound-card", feature = "processing"))]
fn processed(card: crate::audio::Card, entry: &AudioEntry) -> Box<dyn Audio> {
    let wanted = crate::audio::Processing {
        echo: entry.echo_cancellation,
        noise: entry.noise_suppression,
        gain: entry.gain_control,
    };
    Box::new(crate::audio::Processed::new(card, wanted))
}

#[cfg(all(feature = "sound-card", not(feature = "processing")))]
fn processed(card: crate::audio::Card, _entry: &AudioEntry) -> Box<dyn Audio> {
    Box::new(card)
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program: reading a terminal waits")]
fn standard_input(engine: &Engine) -> Receiver<Option<String>> {
    let (sender, receiver) = sync_channel(LINES);
    let waker = engine.waker();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok).map(Some).chain([None]) {
            if sender.send(line).is_err() {
                return;
            }
            let _woken = waker.wake();
        }
    });
    receiver
}

struct Session {
    engine: Engine,
    output: Output,
    last: Option<CallId>,
    quit: bool,
}

impl Session {
    fn take_lines(&mut self, lines: &Receiver<Option<String>>) {
        loop {
            match lines.try_recv() {
                Ok(Some(line)) => {
                    for said in self.take(&line) {
                        self.output.say(said);
                    }
                }
                // Whoever spoke to us is gone.
                Ok(None) => self.quit = true,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Does what a line wants; what is said to it.
    fn take(&mut self, line: &str) -> Vec<String> {
        let last = self.last.filter(|last| self.engine.phone().call_ids().contains(last));
        let last = last.or_else(|| self.engine.phone().call_ids().last().copied());
        match read(line, last) {
            Ok(Request::Command(command)) => match self.engine.command(command) {
                Ok(()) => vec!["ok".to_owned()],
                Err(error) => vec![refusal(&error.to_string())],
            },
            Ok(Request::Status) => self.status(),
            Ok(Request::Log) => self.engine.phone().call_log().map(logged).collect(),
            Ok(Request::Quit) => {
                self.quit = true;
                vec!["ok".to_owned()]
            }
            Ok(Request::Nothing) => Vec::new(),
            Err(error) => vec![refusal(&error)],
        }
    }

    /// Tells on standard output what has happened; gives it as JSON.
    fn tell_events(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(event) = self.engine.poll_event() {
            if let Event::Calling { call, .. } | Event::Incoming { call, .. } = &event {
                self.last = Some(*call);
            }
            self.output.say(line(&event));
            told.push(object(&event).to_string());
        }
        self.quit |= self.output.is_closed();
        told
    }

    fn status(&self) -> Vec<String> {
        let phone = self.engine.phone();
        let accounts = phone.accounts().map(|(id, account)| {
            let registered = phone.is_registered_at(id);
            json!({ "account": id.0, "user": account.user, "domain": account.domain, "registered": registered })
        });
        let calls = phone.call_ids().into_iter().map(|call| {
            let figures = self.engine.figures(call);
            let rtcp = figures.and_then(|figures| figures.rtcp);
            json!({
                "call": call.0,
                "sending": figures.and_then(|figures| figures.sending).map(|codec| codec.name()),
                "packets_out": figures.map(|figures| figures.packets_out),
                "packets_in": figures.map(|figures| figures.packets_in),
                "lost": figures.map(|figures| figures.jitter.lost),
                "delay_ms": figures.map(|figures| figures.jitter.delay_us / 1_000),
                "round_trip_ms": rtcp.and_then(|rtcp| rtcp.round_trip).map(|time| time.as_millis() as u64),
                "mos": rtcp.and_then(|rtcp| rtcp.quality).map(|quality| f64::from(quality.mos_listening) / 10.0),
            })
        });
        accounts.chain(calls).map(|object| object.to_string()).collect()
    }
}

fn refusal(why: &str) -> String {
    format!("error {}", json!(why))
}

fn logged(call: &LoggedCall) -> String {
    let direction = match call.direction {
        CallDirection::Outgoing => "outgoing",
        CallDirection::Incoming => "incoming",
    };
    let ago = |time: sip_stack::Time| now().since(time).as_secs();
    let connected = call.connected.zip(call.ended.as_ref()).map(|(from, (to, _))| to.since(from).as_secs());
    json!({
        "call": call.call.map(|call| call.0),
        "account": call.account.0,
        "direction": direction,
        "peer": Escaped(&call.peer).to_string(),
        "began_s_ago": ago(call.began),
        "talked_s": connected,
        "missed": call.is_missed(),
    })
    .to_string()
}
