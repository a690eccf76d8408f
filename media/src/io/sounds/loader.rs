//! The thread that reads and decodes sounds. It takes one request after the other: a long file makes those behind it wait, for
//! a second at most, and no tick.
//!
//! Bounds: [`WAITING`] requests; the next one is answered with [`SoundFault::Busy`] at once. As many answers; the thread waits
//! while a media thread takes none of its own.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::cache::{BuiltIn, Sounds};
use crate::shard::Wanted;
use crate::source::{Sound, SoundFault};

/// Requests that wait.
const WAITING: usize = 1_024;

/// A request and its answer.
pub(in crate::io) type Loaded = (Wanted, Result<Arc<Sound>, SoundFault>);

/// A request, and the thread that asks.
struct Request {
    wanted: Wanted,
    from: usize,
}

/// A media thread's end. The thread of sounds ends with the last of them.
pub(in crate::io) struct Loader {
    number: usize,
    requests: SyncSender<Request>,
    answers: Receiver<Loaded>,
}

impl Loader {
    /// Starts the thread, named `sounds`, for as many media threads as there are functions; each is called on it after an answer
    /// for that one.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub(in crate::io) fn start(
        built_in: BuiltIn,
        on_answer: Vec<impl Fn() + Send + 'static>,
    ) -> io::Result<Vec<Loader>> {
        let (requests, requested) = sync_channel::<Request>(WAITING);
        let (answered, ends): (Vec<_>, Vec<_>) = on_answer.iter().map(|_| sync_channel(WAITING)).unzip();
        let run = move || {
            let mut sounds = Sounds::default().with_built_in(built_in);
            while let Ok(Request { wanted, from }) = requested.recv() {
                let sound = sounds.load(&wanted.file, wanted.rate);
                if let (Some(answered), Some(on_answer)) = (answered.get(from), on_answer.get(from))
                    && answered.send((wanted, sound)).is_ok()
                {
                    on_answer();
                }
            }
        };
        std::thread::Builder::new().name("sounds".to_owned()).spawn(run)?;
        let ends = ends.into_iter().enumerate();
        Ok(ends.map(|(number, answers)| Loader { number, requests: requests.clone(), answers }).collect())
    }

    /// Asks for a sound; gives the request back when too many wait.
    pub(in crate::io) fn load(&self, wanted: Wanted) -> Result<(), Wanted> {
        let request = Request { wanted, from: self.number };
        self.requests.try_send(request).map_err(|refused| match refused {
            TrySendError::Full(request) | TrySendError::Disconnected(request) => request.wanted,
        })
    }

    /// The next answer.
    pub(in crate::io) fn poll_answer(&self) -> Option<Loaded> {
        self.answers.try_recv().ok()
    }
}
