//! SIPp runs a scenario of `scenarios/sipp`, and says how many calls went as written.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ports::{self, Ports};
use crate::process::Program;
use rustix::process::Signal;

/// The programs a [`Sipp`] run needs.
pub const PROGRAMS: [&str; 1] = ["sipp"];

/// UDP ports SIPp takes for media from its first one on: audio, video, and one more for each.
const MEDIA_PORTS: u16 = 6;

/// One run of one scenario.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// File name in `scenarios/sipp`, without `.xml`.
    pub scenario: &'a str,
    /// File in `scenarios/sipp` that the scenario takes its numbers from, without `.csv`; none to answer calls.
    pub users: Option<&'a str>,
    /// Calls in all; a scenario that answers ends after so many.
    pub calls: u32,
    /// Calls started per second.
    pub rate: u32,
    /// Length of the scenario's pause, ms.
    pub pause_ms: u32,
    /// SIPp's name of the transport: `u1` is UDP, `t1` one TCP connection for all calls.
    pub transport: &'a str,
}

/// What is put into a scenario that is not for all of its runs alike.
#[derive(Debug, Clone, Copy, Default)]
pub struct Particulars<'a> {
    /// Words of the file between two `@`, with what takes their place.
    pub words: &'a [(&'a str, &'a str)],
    /// Keywords of SIPp's (`-key`), with their values.
    pub keys: &'a [(&'a str, &'a str)],
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Calls that went as the scenario says.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Calls that failed because of a message the scenario does not expect.
    pub unexpected: u64,
    /// Messages outside of any call, such as one sent again after its call was over; not a failure.
    pub out_of_call: u64,
    /// Messages sent again, for nobody answered in time.
    pub retransmissions: u64,
    /// SIPp's exit code: 0 when every call was successful.
    pub exit_code: Option<i32>,
    /// What SIPp complained about.
    pub errors: String,
}

impl Outcome {
    /// Asserts that exactly `calls` calls were made and every one went as written.
    ///
    /// # Panics
    /// When one did not.
    #[track_caller]
    pub fn all_successful(&self, calls: u32) {
        assert_eq!(self.successful, u64::from(calls), "{self:?}");
        assert_eq!((self.failed, self.unexpected), (0, 0), "{self:?}");
        assert_eq!(self.exit_code, Some(0), "{self:?}");
    }
}

/// A SIPp process at work.
pub struct Sipp {
    program: Program,
    folder: PathBuf,
    /// Of its files.
    name: String,
}

impl Sipp {
    /// Starts a run from `port`, with its files in `folder`. A scenario that answers listens there when this returns.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, server: SocketAddr, port: u16, ports: &mut Ports, run: Run<'_>) -> Self {
        Self::start_with(folder, server, port, ports, (run, Particulars::default()))
    }

    /// The same with particulars.
    ///
    /// # Panics
    /// As [`Sipp::start`].
    #[must_use]
    pub fn start_with(
        folder: &Path,
        server: SocketAddr,
        port: u16,
        ports: &mut Ports,
        (run, particulars): (Run<'_>, Particulars<'_>),
    ) -> Self {
        let scenarios = crate::root().join("scenarios/sipp");
        let name = format!("{}-{port}", run.scenario);
        let output = |kind: &str| folder.join(format!("{name}.{kind}"));
        let mut command = Command::new("sipp");
        command.arg(server.to_string()).current_dir(folder).env("TERM", "dumb");
        let scenario = scenarios.join(format!("{}.xml", run.scenario));
        if particulars.words.is_empty() {
            command.arg("-sf").arg(scenario);
        } else {
            let mut text = fs::read_to_string(&scenario).expect("the scenario is there");
            for (word, value) in particulars.words {
                text = text.replace(&format!("@{word}@"), value);
            }
            let filled = folder.join(format!("{name}.xml"));
            fs::write(&filled, text).expect("the scenario is written");
            command.arg("-sf").arg(filled);
        }
        for (key, value) in particulars.keys {
            command.args(["-key", key, value]);
        }
        if let Some(users) = run.users {
            command.arg("-inf").arg(scenarios.join(format!("{users}.csv")));
        }
        command.args(["-t", run.transport, "-i", "127.0.0.1", "-nostdin", "-p", &port.to_string()]);
        // sound that comes is sent back
        command.args(["-mp", &ports.udp(MEDIA_PORTS).to_string(), "-rtp_echo"]);
        command.args([
            "-m",
            &run.calls.to_string(),
            "-r",
            &run.rate.to_string(),
            "-d",
            &run.pause_ms.to_string(),
        ]);
        command
            .args(["-timeout", "25s", "-timeout_error", "-fd", "1", "-trace_stat", "-stf"])
            .arg(output("csv"));
        command.args(["-trace_err", "-error_file"]).arg(output("errors"));
        let program = Program::start(&format!("sipp {}", run.scenario), &mut command);
        if run.users.is_none() {
            program.until("listens", || ports::is_bound(port) || ports::listens(port));
        }
        Self { program, folder: folder.to_owned(), name }
    }

    /// Waits until something is so that the run brings about.
    ///
    /// # Panics
    /// When that does not come true in time.
    #[track_caller]
    pub fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        self.program.until(what, is_so);
    }

    /// Ends a scenario that answers before all its calls have come.
    ///
    /// # Panics
    /// As [`Sipp::finish`].
    #[track_caller]
    #[must_use]
    pub fn stop(self) -> Outcome {
        // as the key `q`: no more calls, an end when those that are up have ended
        self.program.signal(Signal::USR1);
        self.finish()
    }

    /// Waits for the end of the run.
    ///
    /// # Panics
    /// When there is no end, or no statistics.
    #[track_caller]
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        let status = self.program.finish();
        let read = |kind: &str| fs::read_to_string(self.folder.join(format!("{}.{kind}", self.name)));
        let statistics = read("csv").expect("SIPp writes its statistics");
        let errors = read("errors").unwrap_or_default();
        let last =
            |name| column(&statistics, name).unwrap_or_else(|| panic!("{name} is in SIPp's statistics"));
        Outcome {
            successful: last("SuccessfulCall(C)"),
            failed: last("FailedCall(C)"),
            unexpected: last("FailedUnexpectedMessage(C)"),
            out_of_call: last("OutOfCallMsgs(C)"),
            retransmissions: last("Retransmissions(C)"),
            exit_code: status.code(),
            errors: errors.chars().take(4000).collect(),
        }
    }
}

/// The value of a column in the last row of a table of `;`-separated values.
fn column(table: &str, name: &str) -> Option<u64> {
    let mut rows = table.lines();
    let index = rows.next()?.split(';').position(|title| title == name)?;
    rows.last()?.split(';').nth(index)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_counts() {
        let table = "Time;SuccessfulCall(C);FailedCall(C);\n10:00;1;0;\n10:01;50;2;\n";
        assert_eq!(column(table, "SuccessfulCall(C)"), Some(50));
        assert_eq!(column(table, "FailedCall(C)"), Some(2));
        assert_eq!(column(table, "Retransmissions(C)"), None);
    }
}
