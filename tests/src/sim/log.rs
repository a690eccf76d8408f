//! A scenario log that is written into memory.

use softswitch::log::{Job, Key, Sink};

/// The key of every log of the simulated world.
pub const KEY: Key = Key::new([7; 32]);

/// The segments, as the files of a log would hold them.
#[derive(Debug, Default)]
pub struct Pages {
    /// From the first to the last.
    pub segments: Vec<Vec<u8>>,
}

impl Sink for Pages {
    fn offer(&mut self, job: Job) -> bool {
        match (job, self.segments.last_mut()) {
            (Job::Begin, _) => self.segments.push(Vec::new()),
            (Job::Append(bytes), Some(open)) => open.extend(bytes),
            (Job::Append(_), None) => {}
        }
        true
    }

    fn recycled(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn poll_failure(&mut self) -> Option<std::io::Error> {
        None
    }
}
