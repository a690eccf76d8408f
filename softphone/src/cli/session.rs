//! A phone that stays: what the front ends have in common, whether they show it on a terminal or speak in lines.
//!
//! Programs on the local socket are served here, and signals that ask the program to end.

use super::account::AccountOptions;
#[cfg(unix)]
use super::events::object;
use super::lines::{Request, read};
#[cfg(unix)]
use super::signals::Signals;
#[cfg(unix)]
use super::socket::ControlSocket;
use super::start;
use crate::io::{Engine, now};
#[cfg(feature = "tui")]
use crate::phone::CommandError;
use crate::phone::{CallDirection, CallId, Command, Event, LoggedCall, Standing};
use anyhow::{Context, Result};
use clap::Args;
use mio::Waker;
use serde_json::json;
use sip_stack::message::Escaped;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct SessionOptions {
    #[command(flatten)]
    account: AccountOptions,
    /// A local socket that takes commands in lines and gives events as JSON, one in a line.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Do not register at the start.
    #[arg(long)]
    no_register: bool,
}

/// The phone, with who commands it from outside.
pub(super) struct Session {
    engine: Engine,
    #[cfg(unix)]
    socket: Option<ControlSocket>,
    #[cfg(unix)]
    signals: Signals,
    /// Whether registrations are removed at the end.
    registered: bool,
    last: Option<CallId>,
    over: bool,
}

impl Session {
    /// Between two looks at the local socket, which is asked and does not wake.
    pub(super) const PATIENCE: Duration = Duration::from_millis(200);

    /// Starts the phone, and has it register.
    pub(super) fn start(options: &SessionOptions) -> Result<Session> {
        let (config, servers) = options.account.load()?;
        let (settings, audio) = (config.settings(), start::audio(&config));
        let mut engine = start::engine(servers, &config, settings, audio, config.phone.expires_s)?;
        let path = options.socket.clone().or_else(|| config.control.socket.clone());
        #[cfg(not(unix))]
        anyhow::ensure!(path.is_none(), "there are no local sockets on this system");
        #[cfg(unix)]
        let bind = |path: PathBuf| {
            ControlSocket::bind(&path).with_context(|| format!("no socket at {}", path.display()))
        };
        for command in config.watching() {
            engine.command(command).context("what is to be watched")?;
        }
        if !options.no_register {
            engine.command(Command::Register)?;
        }
        Ok(Session {
            #[cfg(unix)]
            socket: path.map(bind).transpose()?,
            #[cfg(unix)]
            signals: Signals::watch(engine.waker()).context("signals cannot be watched")?,
            engine,
            registered: !options.no_register,
            last: None,
            over: false,
        })
    }

    /// The phone itself.
    #[cfg(feature = "tui")]
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Wakes [`Session::turn`] from another thread.
    pub(super) fn waker(&self) -> Arc<Waker> {
        self.engine.waker()
    }

    /// Somebody wants to leave.
    pub(super) fn quit(&mut self) {
        self.over = true;
    }

    /// Whether somebody wants to leave.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The user wants something.
    ///
    /// # Errors
    /// [`CommandError`]
    #[cfg(feature = "tui")]
    pub(super) fn command(&mut self, command: Command) -> Result<(), CommandError> {
        self.engine.command(command)
    }

    /// As [`Engine::turn`].
    pub(super) fn turn(&mut self, patience: Duration) -> std::io::Result<()> {
        self.engine.turn(patience)
    }

    /// Serves who is on the socket, and returns what has happened, which they were told.
    pub(super) fn attend(&mut self) -> Vec<Event> {
        #[cfg(unix)]
        {
            self.over |= self.signals.are_there();
            if let Some(mut socket) = self.socket.take() {
                for (client, line) in socket.lines() {
                    let said = self.take(&line);
                    socket.answer(client, &said);
                }
                self.socket = Some(socket);
            }
        }
        self.news()
    }

    /// Leaves in order: calls end, registrations are removed. What happened meanwhile.
    pub(super) fn leave(mut self) -> Result<Vec<Event>> {
        self.engine.leave(self.registered).context("leaving")?;
        Ok(self.news())
    }

    fn news(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.engine.poll_event() {
            if let Event::Calling { call, .. } | Event::Incoming { call, .. } = &event {
                self.last = Some(*call);
            }
            events.push(event);
        }
        #[cfg(unix)]
        if let Some(socket) = self.socket.as_mut().filter(|_| !events.is_empty()) {
            let told: Vec<String> = events.iter().map(|event| object(event).to_string()).collect();
            socket.tell(&told);
        }
        events
    }

    /// Does what a line wants; what is said to it.
    pub(super) fn take(&mut self, line: &str) -> Vec<String> {
        let last = self.last.filter(|last| self.engine.phone().call_ids().contains(last));
        let last = last.or_else(|| self.engine.phone().call_ids().last().copied());
        match read(line, last) {
            Ok(Request::Command(command)) => match self.engine.command(command) {
                Ok(()) => vec!["ok".to_owned()],
                Err(error) => vec![refusal(&error.to_string())],
            },
            Ok(Request::Status) => self.status(),
            Ok(Request::Watched) => super::watched::rows(self.engine.phone()),
            Ok(Request::Log) => self.engine.phone().call_log().map(logged).collect(),
            Ok(Request::Quit) => {
                self.over = true;
                vec!["ok".to_owned()]
            }
            Ok(Request::Nothing) => Vec::new(),
            Err(error) => vec![refusal(&error)],
        }
    }

    fn status(&self) -> Vec<String> {
        let phone = self.engine.phone();
        let accounts = phone.accounts().map(|(id, account)| {
            let registered = phone.is_registered_at(id);
            let reason = match phone.standing(id) {
                Standing::Failed { reason, .. } => Some(reason.to_string()),
                Standing::Away | Standing::Asking | Standing::Registered => None,
            };
            let (user, domain) = (&account.user, &account.domain);
            json!({ "account": id.0, "user": user, "domain": domain, "registered": registered, "reason": reason })
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
