//! `softphone run`: the phone without a window. Lines come from standard input and from the local socket, events go to
//! standard output as lines and to the socket as JSON.
//!
//! Standard input is read by a thread of its own, over a channel of [`LINES`]: while that many wait, it is not read on.

use super::DONE;
use super::events::line;
use super::output::Output;
use super::session::{Session, SessionOptions};
use anyhow::Result;
use clap::Args;
use std::io::BufRead;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

/// Lines of standard input that may wait.
const LINES: usize = 64;

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    session: SessionOptions,
}

pub(super) fn run(arguments: &Run) -> Result<u8> {
    let mut session = Session::start(&arguments.session)?;
    let lines = standard_input(&session);
    let mut output = Output::start();
    while !session.is_over() {
        take_lines(&mut session, &lines, &mut output);
        for event in session.attend() {
            output.say(line(&event));
        }
        if output.is_closed() {
            session.quit();
        }
        session.turn(Session::PATIENCE)?;
    }
    for event in session.leave()? {
        output.say(line(&event));
    }
    Ok(DONE)
}

#[expect(clippy::disallowed_methods, reason = "the edge of the program: reading a terminal waits")]
fn standard_input(session: &Session) -> Receiver<Option<String>> {
    let (sender, receiver) = sync_channel(LINES);
    let waker = session.waker();
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

fn take_lines(session: &mut Session, lines: &Receiver<Option<String>>, output: &mut Output) {
    loop {
        match lines.try_recv() {
            Ok(Some(line)) => session.take(&line).into_iter().for_each(|said| output.say(said)),
            // Whoever spoke to us is gone.
            Ok(None) => session.quit(),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
        }
    }
}
