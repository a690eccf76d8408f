//! The load: swarms of our phones, and SIPp.

use crate::server::{ANSWERING, Programs, Running, shown};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the server spent while a swarm was talking.
pub(crate) struct Talk {
    /// Of a core, in percent.
    pub(crate) percent: f64,
    /// The report of the swarm.
    pub(crate) report: Value,
    pub(crate) command: String,
}

/// Lets a swarm loose, and looks at the server for `window` from when so many phones talk on.
pub(crate) fn swarm(
    programs: &Programs,
    server: &Running,
    talking: u64,
    window: Duration,
    words: &[String],
) -> Result<Talk> {
    let file = server.folder().join("swarm.json");
    let address = server.kind.address().to_string();
    let mut command = Command::new(&programs.softphone);
    command.args(["swarm", "--server", &address, "--domain", "127.0.0.1", "--register-rate", "400"]);
    command.args(["--rtp-ports", "16384-32767"]).args(words).arg("--json").arg(&file);
    command.env("SOFTPHONE_PASSWORD", "secret").stdout(Stdio::null()).stderr(Stdio::piped());
    let told = shown(&command);
    let mut child = command.spawn().with_context(|| format!("{told} does not start"))?;
    let lines = BufReader::new(child.stderr.take().context("its errors are piped")?).lines();
    let mut began = None;
    let mut percent = None;
    let mut last = String::new();
    // A line a second.
    for line in lines {
        let line = line?;
        if in_calls(&line).is_some_and(|now| now >= talking) && began.is_none() {
            began = Some((Instant::now(), server.cpu()));
        }
        if let (Some((since, before)), None) = (began, percent)
            && since.elapsed() >= window
        {
            percent = Some(100.0 * (server.cpu() - before).as_secs_f64() / since.elapsed().as_secs_f64());
        }
        last = line;
    }
    child.wait()?;
    let report = fs::read(&file).with_context(|| format!("{told} wrote no report; it said: {last}"))?;
    let report: Value = serde_json::from_slice(&report)?;
    let Some(percent) = percent else {
        bail!("{told}: {talking} phones never talked for {} s; it said: {last}", window.as_secs());
    };
    Ok(Talk { percent, report, command: told })
}

/// How many phones talk, as a line of a swarm's progress says.
fn in_calls(line: &str) -> Option<u64> {
    let (before, _) = line.split_once(" in calls")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// What came of calls of SIPp.
pub(crate) struct Calls {
    pub(crate) successful: u64,
    pub(crate) failed: u64,
    pub(crate) retransmissions: u64,
    pub(crate) commands: Vec<String>,
}

/// Calls without sound, with ports for sound below those that the system gives to the sockets of others: users 1000 to 1099 call 8000 to 8099, which the server sends to a SIPp that answers.
pub(crate) fn calls(server: &Running, rate: u32, number: u32) -> Result<Calls> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/sipp");
    let folder = server.folder();
    let mut answering = sipp(folder, &scenarios, "uas");
    answering.args(["-p", &ANSWERING.to_string(), "-mp", "13000"]);
    let mut calling = sipp(folder, &scenarios, "uac");
    let statistics = folder.join("uac.csv");
    calling.arg(server.kind.address().to_string()).arg("-inf").arg(scenarios.join("peer_calls.csv"));
    calling.args([
        "-p",
        "15081",
        "-mp",
        "13100",
        "-m",
        &number.to_string(),
        "-r",
        &rate.to_string(),
        "-d",
        "500",
    ]);
    calling.args(["-timeout", "120s", "-fd", "1", "-trace_stat", "-stf"]).arg(&statistics);
    let commands = vec![shown(&answering), shown(&calling)];
    let mut answering = quiet(answering, folder, "uas")?;
    std::thread::sleep(Duration::from_millis(500));
    let ended = quiet(calling, folder, "uac").and_then(|mut calling| Ok(calling.wait()?));
    // It answers until it is ended.
    answering.kill()?;
    answering.wait()?;
    ended?;
    let table = fs::read_to_string(&statistics).context("SIPp wrote no statistics")?;
    let last = |name: &str| column(&table, name).with_context(|| format!("SIPp's statistics have no {name}"));
    let (successful, failed) = (last("SuccessfulCall(C)")?, last("FailedCall(C)")?);
    if successful + failed < u64::from(number) {
        let said = fs::read_to_string(folder.join("uac.out")).unwrap_or_default();
        let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let end = said.get(said.len().saturating_sub(8)..).unwrap_or_default().join(" | ");
        bail!("{successful} of {number} calls of SIPp were made, {failed} failed: {end}");
    }
    Ok(Calls { successful, failed, retransmissions: last("Retransmissions(C)")?, commands })
}

fn sipp(folder: &Path, scenarios: &Path, scenario: &str) -> Command {
    let mut command = Command::new("sipp");
    command.current_dir(folder).env("TERM", "dumb");
    command.arg("-sf").arg(scenarios.join(format!("{scenario}.xml"))).args([
        "-t",
        "u1",
        "-i",
        "127.0.0.1",
        "-nostdin",
    ]);
    command
}

fn quiet(mut command: Command, folder: &Path, name: &str) -> Result<Child> {
    let log: PathBuf = folder.join(format!("{name}.out"));
    let log = File::create(log)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("sipp does not start (Debian package sip-tester)")
}

/// The value of a column in the last row of a table of `;`-separated values.
fn column(table: &str, name: &str) -> Option<u64> {
    let mut rows = table.lines();
    let index = rows.next()?.split(';').position(|title| title == name)?;
    rows.next_back()?.split(';').nth(index)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_progress_tells_how_many_talk() {
        let line = "   7 s  400 registered, 398 in calls, 200 calls, 0 failed, 1200 packets, 0 lost";
        assert_eq!(in_calls(line), Some(398));
        assert_eq!(in_calls("softphone: the server does not answer"), None);
    }
}
