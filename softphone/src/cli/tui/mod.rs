//! `softphone tui`: the phone on a terminal. What is seen and what keys mean is in [`crate::tui`]; here are the terminal, its keys
//! and the loop.
//!
//! Keys are read by a thread of their own, over a channel of [`KEYS`]: while that many wait, no more are read. A screen is drawn
//! when something has changed, ten times a second while there is a call and once a second otherwise, and never before the
//! last one was written: a terminal that stops takes no time of a call.

mod screen;
mod stderr;

use super::session::{Session, SessionOptions};
use super::{DONE, FAILED};
use crate::io::now;
use crate::tui::{Facts, Ui, View, Wish};
use anyhow::{Result, bail};
use clap::Args;
use ratatui::crossterm::event::{self, Event as Input};
use screen::Screen;
use sip_stack::Time;
use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// Keys that may wait.
const KEYS: usize = 64;
/// Between two screens during a call, and without one.
const IN_CALL: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Tui {
    #[command(flatten)]
    session: SessionOptions,
}

pub(super) fn run(arguments: &Tui) -> Result<u8> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        bail!("this needs a terminal to show itself on; without one there is: softphone run");
    }
    let mut session = Session::start(&arguments.session)?;
    let mut screen = Screen::open(session.waker())?;
    let keys = keys(&session);
    let shown = show(&mut session, &mut screen, &keys);
    let whole = screen.close();
    let left = session.leave();
    shown?;
    left?;
    Ok(if whole { DONE } else { FAILED })
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program: reading a terminal waits")]
fn keys(session: &Session) -> Receiver<Input> {
    let (sender, receiver) = sync_channel(KEYS);
    let waker = session.waker();
    std::thread::spawn(move || {
        while let Ok(input) = event::read() {
            if sender.send(input).is_err() {
                return;
            }
            let _woken = waker.wake();
        }
    });
    receiver
}

/// Goes on until the user, a signal or the end of the terminal ends it.
fn show(session: &mut Session, screen: &mut Screen, keys: &Receiver<Input>) -> Result<()> {
    let mut ui = Ui::default();
    let mut next = Time::default();
    while !session.is_over() && screen.is_open() {
        let mut facts = Facts::of(session.engine(), now(), ui.log_wanted());
        let mut changed = false;
        for input in keys.try_iter() {
            changed = true;
            match ui.handle(&input, &facts) {
                Some(Wish::Command(command)) => {
                    if let Err(error) = session.command(command) {
                        ui.tell(&error.to_string());
                    }
                    facts = Facts::of(session.engine(), now(), ui.log_wanted());
                }
                Some(Wish::Leave) => session.quit(),
                Some(Wish::Redraw) => screen.redraw()?,
                None => {}
            }
        }
        for line in screen.complaints() {
            changed = true;
            ui.tell(&line);
        }
        for event in session.attend() {
            changed = true;
            ui.on_event(&event, &facts);
        }
        ui.hear(&facts);
        if (changed || next <= facts.now) && screen.is_ready() {
            facts = Facts::of(session.engine(), now(), ui.log_wanted());
            screen.draw(&View::of(&facts, &ui))?;
            next = facts.now + if facts.calls.is_empty() { IDLE } else { IN_CALL };
        }
        let wait = next.since(now()).clamp(Duration::from_millis(1), Session::PATIENCE);
        session.turn(wait)?;
    }
    Ok(())
}
