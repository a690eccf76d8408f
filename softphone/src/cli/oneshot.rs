//! `softphone call` and `softphone listen`: one thing is done, and the exit code tells how it went.

use super::account::AccountOptions;
use super::events::line;
use super::output::say;
use super::sound::{Finished, Sound};
use super::start;
use super::{BUSY, DONE, FAILED, NO_ANSWER, NOT_ANSWERED, REFUSED, UNKNOWN_NUMBER};
use crate::io::{Engine, now};
use crate::phone::{
    AccountId, AutoAnswer, CallId, Codec, Command, DigitWay, Ending, Event, Reason, check_digits,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use sip_stack::Time;
use std::time::Duration;

/// Between two looks at the clock.
const PATIENCE: Duration = Duration::from_millis(500);
/// For how long a registration is asked for by a command that lasts as long as a call.
const EXPIRES_S: u32 = 300;

#[derive(Debug, Args)]
pub(super) struct Call {
    /// A number of the account's domain, or a SIP URI.
    target: String,
    #[command(flatten)]
    account: AccountOptions,
    #[command(flatten)]
    sound: Sound,
    /// Press these keys when the call is answered.
    #[arg(long)]
    digits: Option<String>,
    /// Register first; most servers let users call without.
    #[arg(long)]
    register: bool,
    /// Give up after so many seconds of ringing.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

#[derive(Debug, Args)]
pub(super) struct Listen {
    #[command(flatten)]
    account: AccountOptions,
    #[command(flatten)]
    sound: Sound,
    /// Take every call.
    #[arg(long)]
    auto_answer: bool,
    /// Let it ring for so many seconds before.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, requires = "auto_answer")]
    answer_after: u64,
    /// Leave when no call has come for so many seconds; otherwise wait for ever.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// Leave after so many calls.
    #[arg(long, default_value_t = 1)]
    calls: u32,
}

fn tell(sound: &Sound, event: &Event) {
    if !sound.quiet {
        say(&line(event));
    }
}

/// Ends the calls, the engine and the file it wrote, also when something went wrong.
fn finish(mut engine: Engine, unregister: bool, outcome: Result<u8>, done: &Finished) -> Result<u8> {
    let left = engine.leave(unregister).context("leaving");
    drop(engine.into_audio());
    let code = outcome?;
    left?;
    match done.borrow_mut().take() {
        Some(Err(error)) => {
            say(&format!("softphone: the recording is not complete: {error}"));
            Ok(if code == DONE { FAILED } else { code })
        }
        Some(Ok(())) | None => Ok(code),
    }
}

/// What is known of the sound of a call, for the one who started the command.
fn report(engine: &Engine, call: CallId, quiet: bool) {
    let Some(figures) = engine.figures(call).filter(|_| !quiet) else { return };
    let codec = |codec: Option<Codec>| codec.map_or("-", Codec::name);
    let quality = figures.rtcp.and_then(|rtcp| rtcp.quality);
    let mos = quality
        .map_or_else(|| "-".to_owned(), |quality| format!("{:.1}", f32::from(quality.mos_listening) / 10.0));
    say(&format!(
        "sound call={call} sent={} codec={} received={} codec={} lost={} jitter_ms={:.1} delay_ms={} mos={mos}",
        figures.packets_out,
        codec(figures.sending),
        figures.packets_in,
        codec(figures.hearing),
        figures.jitter.lost,
        figures.jitter.jitter_us as f32 / 1_000.0,
        figures.jitter.delay_us / 1_000,
    ));
}

fn code_of(reason: &Reason) -> u8 {
    match reason {
        Reason::Unreached(_) | Reason::ServerFailed(_) | Reason::ServerBusy => NO_ANSWER,
        Reason::Busy => BUSY,
        Reason::NotAnswered | Reason::Unavailable => NOT_ANSWERED,
        Reason::UnknownNumber => UNKNOWN_NUMBER,
        Reason::Lost | Reason::NoMediaPort | Reason::Nonsense => FAILED,
        Reason::WrongPassword
        | Reason::UnknownAuthentication
        | Reason::UnknownUser
        | Reason::Forbidden
        | Reason::NotOffered
        | Reason::Declined
        | Reason::NoCommonFormat
        | Reason::Terminated
        | Reason::Moved
        | Reason::Other { .. } => REFUSED,
    }
}

/// A call that goes on.
struct Talk {
    call: CallId,
    since: Time,
}

impl Talk {
    /// Whether it has lasted as long as it should.
    fn is_over(&self, engine: &Engine, duration: Option<Duration>) -> bool {
        match duration {
            Some(duration) => now().since(self.since) >= duration,
            None => engine.audio().is_finished(),
        }
    }
}

pub(super) fn call(arguments: &Call) -> Result<u8> {
    check_digits(arguments.digits.as_deref().unwrap_or_default()).context("--digits")?;
    let (config, servers) = arguments.account.load()?;
    let settings = arguments.sound.settings(&config)?;
    let (audio, done) = arguments.sound.audio(&config)?;
    let mut engine = start::engine(servers, &config, settings, audio, EXPIRES_S)?;
    let target: Box<str> = arguments.target.as_str().into();
    let place = || Command::Call { account: AccountId::FIRST, target: target.clone() };
    if arguments.register {
        engine.command(Command::Register)?;
    } else {
        engine.command(place())?;
    }
    let outcome = attend_call(&mut engine, arguments, place);
    finish(engine, arguments.register, outcome, &done)
}

/// Goes along with a call of ours until it is over; the exit code.
fn attend_call(engine: &mut Engine, arguments: &Call, place: impl Fn() -> Command) -> Result<u8> {
    let sound = &arguments.sound;
    let duration = sound.duration.map(Duration::from_secs);
    let (mut talk, mut placed, mut given_up, mut rang) = (None::<Talk>, None, false, false);
    loop {
        while let Some(event) = engine.poll_event() {
            tell(sound, &event);
            match event {
                Event::Registered { .. } if placed.is_none() => engine.command(place())?,
                Event::RegistrationFailed { reason, .. } if placed.is_none() => return Ok(code_of(&reason)),
                Event::Calling { call, .. } => placed = Some((call, now())),
                Event::Connected { call } => {
                    talk = Some(Talk { call, since: now() });
                    if let Some(digits) = &arguments.digits {
                        let digits = digits.as_str().into();
                        engine.command(Command::Dial { call, digits, way: DigitWay::Best })?;
                    }
                }
                Event::Ended { ending, .. } => {
                    return Ok(match ending {
                        Ending::Failed(reason) => {
                            if sound.quiet {
                                say(&format!("softphone: {reason}"));
                            }
                            code_of(&reason)
                        }
                        Ending::Ours if given_up && rang => NOT_ANSWERED,
                        Ending::Ours if given_up => NO_ANSWER,
                        Ending::Ours | Ending::Theirs | Ending::Elsewhere => DONE,
                    });
                }
                Event::Ringing { .. } => rang = true,
                // The call goes on without a registration.
                Event::RegistrationFailed { .. }
                | Event::Registered { .. }
                | Event::Unregistered { .. }
                | Event::Incoming { .. }
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
        }
        match (&talk, placed) {
            (Some(talk), _) if talk.is_over(engine, duration) => {
                report(engine, talk.call, sound.quiet);
                engine.command(Command::HangUp { call: talk.call })?;
            }
            (None, Some((call, since)))
                if now().since(since) >= Duration::from_secs(arguments.wait) && !given_up =>
            {
                given_up = true;
                engine.command(Command::HangUp { call })?;
            }
            (Some(_) | None, _) => {}
        }
        engine.turn(patience(talk.is_some()))?;
    }
}

/// A call that is over at a certain moment is looked at more often.
const fn patience(talking: bool) -> Duration {
    if talking { Duration::from_millis(10) } else { PATIENCE }
}

pub(super) fn listen(arguments: &Listen) -> Result<u8> {
    let (config, servers) = arguments.account.load()?;
    let mut settings = arguments.sound.settings(&config)?;
    if arguments.auto_answer {
        settings.auto_answer = match Duration::from_secs(arguments.answer_after) {
            Duration::ZERO => AutoAnswer::Always,
            delay => AutoAnswer::After(delay),
        };
    } else if settings.auto_answer == AutoAnswer::Never && !settings.answer_when_asked {
        bail!("nobody would answer: give --auto-answer, or auto_answer in the configuration file");
    }
    let (audio, done) = arguments.sound.audio(&config)?;
    let mut engine = start::engine(servers, &config, settings, audio, EXPIRES_S)?;
    engine.command(Command::Register)?;
    let outcome = attend_calls(&mut engine, arguments);
    finish(engine, true, outcome, &done)
}

/// Goes along with the calls of others; the exit code.
fn attend_calls(engine: &mut Engine, arguments: &Listen) -> Result<u8> {
    let sound = &arguments.sound;
    let duration = sound.duration.map(Duration::from_secs);
    let (mut talks, mut over, mut idle_since) = (Vec::<Talk>::new(), 0_u32, now());
    let (mut code, mut registered, mut lost) = (NOT_ANSWERED, false, None);
    loop {
        while let Some(event) = engine.poll_event() {
            tell(sound, &event);
            match event {
                // One that is tried again keeps nobody from calling, once we were known.
                Event::RegistrationFailed { reason, retry, .. } if retry.is_none() || !registered => {
                    lost = Some(code_of(&reason));
                }
                Event::Registered { .. } => registered = true,
                Event::Connected { call } => {
                    talks.push(Talk { call, since: now() });
                    if code == NOT_ANSWERED {
                        code = DONE;
                    }
                }
                Event::Ended { call, ending } => {
                    idle_since = now();
                    if talks.iter().any(|talk| talk.call == call) {
                        over += 1;
                        if let Ending::Failed(_) = ending {
                            code = FAILED;
                        }
                    }
                    talks.retain(|talk| talk.call != call);
                }
                Event::RegistrationFailed { .. }
                | Event::Unregistered { .. }
                | Event::Calling { .. }
                | Event::Ringing { .. }
                | Event::Incoming { .. }
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
        }
        if over >= arguments.calls {
            return Ok(code);
        }
        // Who talks is not interrupted.
        if let Some(lost) = lost.filter(|_| talks.is_empty()) {
            return Ok(lost);
        }
        let waited = arguments.wait.is_some_and(|wait| now().since(idle_since) >= Duration::from_secs(wait));
        if talks.is_empty() && waited {
            return Ok(code);
        }
        let finished: Vec<CallId> =
            talks.iter().filter(|talk| talk.is_over(engine, duration)).map(|talk| talk.call).collect();
        for call in finished {
            report(engine, call, sound.quiet);
            engine.command(Command::HangUp { call })?;
        }
        engine.turn(patience(!talks.is_empty()))?;
    }
}
