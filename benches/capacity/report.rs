//! What was measured: kept as JSON, told as a table and as a plot.

use crate::floor::Floor;
use crate::server::{Kind, Programs};
use crate::work::{Done, Unit, Work};
use anyhow::{Context, Result};
use plotters::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Between these lines of `docs/performance.md` the table stands.
const BEGIN: &str = "<!-- capacity: written by ./dev capacity -->";
const END: &str = "<!-- capacity: end -->";

/// Everything that was measured in one go.
#[derive(Debug, Serialize)]
pub(crate) struct Sitting {
    pub(crate) date: String,
    /// The last commit, and whether files had been changed since.
    pub(crate) commit: String,
    pub(crate) machine: String,
    pub(crate) versions: BTreeMap<&'static str, String>,
    /// Of a hundred.
    pub(crate) size: u32,
    pub(crate) floors: Vec<Floor>,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) left_out: Vec<LeftOut>,
}

/// One piece of work by one server.
#[derive(Debug, Serialize)]
pub(crate) struct Measurement {
    pub(crate) work: Work,
    pub(crate) server: Kind,
    pub(crate) rounds: Vec<Done>,
}

/// One that was not measured.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) work: Work,
    pub(crate) server: Kind,
    pub(crate) reason: String,
}

impl Measurement {
    /// The middle one of the rounds.
    fn cost(&self) -> Option<f64> {
        let mut costs: Vec<f64> = self.rounds.iter().map(|done| done.cost).collect();
        costs.sort_by(f64::total_cmp);
        costs.get(costs.len() / 2).copied()
    }

    fn failed(&self) -> u64 {
        self.rounds.iter().map(|done| done.failed).sum()
    }
}

impl Sitting {
    pub(crate) fn begin(programs: &Programs, servers: &[Kind], size: u32) -> Result<Sitting> {
        let mut versions = BTreeMap::new();
        for kind in servers {
            match kind {
                Kind::Softswitch => {
                    versions.insert(
                        "softswitch",
                        first_line(Command::new(&programs.softswitch).arg("--version")),
                    );
                }
                Kind::Asterisk => {
                    let program = programs.asterisk.as_ref().map(|folder| folder.join("asterisk"));
                    versions.extend(
                        program.map(|program| ("Asterisk", first_line(Command::new(program).arg("-V")))),
                    );
                }
                Kind::Kamailio => {
                    let kamailio = programs.kamailio.as_ref();
                    versions.extend(
                        kamailio.map(|program| ("Kamailio", first_line(Command::new(program).arg("-v")))),
                    );
                    let relay = programs.rtpengine.as_ref();
                    versions
                        .extend(relay.map(|program| {
                            ("rtpengine", first_line(Command::new(program).arg("--version")))
                        }));
                }
            }
        }
        versions.insert("SIPp", first_line(Command::new("sipp").arg("-v")));
        let (floors, measurements, left_out) = (Vec::new(), Vec::new(), Vec::new());
        let date = first_line(Command::new("date").args(["-u", "+%F"]));
        let commit = first_line(Command::new("git").args(["describe", "--always", "--dirty"]));
        Ok(Sitting { date, commit, machine: machine()?, versions, size, floors, measurements, left_out })
    }

    fn cost(&self, work: Work, server: Kind) -> Option<f64> {
        self.measurements.iter().find(|one| one.work == work && one.server == server)?.cost()
    }

    fn floor_percent(&self) -> f64 {
        let all: f64 = self.floors.iter().map(|floor| floor.percent_per_call()).sum();
        all / self.floors.len().max(1) as f64
    }

    fn works(&self) -> Vec<Work> {
        let mut works: Vec<Work> = self.measurements.iter().map(|one| one.work).collect();
        works.dedup();
        works
    }
}

/// What a program says first of itself, on either of its two outputs.
fn first_line(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return String::new() };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

fn machine() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    };
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "{cores} cores of {} (family {} model {}), Linux {}",
        field("model name"),
        field("cpu family"),
        field("model"),
        kernel.trim()
    ))
}

/// The figures of a sitting in Markdown.
pub(crate) fn table(sitting: &Sitting) -> String {
    let mut text = String::from(
        "| one of | in | softswitch | Asterisk | Kamailio | ours of Asterisk's | ours of Kamailio's | ours of the floor |\n|---|---|---|---|---|---|---|---|\n",
    );
    for work in sitting.works() {
        let cost = |server| sitting.cost(work, server);
        let ours = cost(Kind::Softswitch);
        let ratio = |theirs: Option<f64>| {
            ours.zip(theirs)
                .filter(|(_, theirs)| *theirs > 0.0)
                .map_or(String::new(), |(ours, theirs)| format!("{:.2} ×", ours / theirs))
        };
        let shown = |server| {
            let failed: u64 = sitting
                .measurements
                .iter()
                .filter(|one| one.work == work && one.server == server)
                .map(Measurement::failed)
                .sum();
            let failures = if failed > 0 { format!(" ({failed} failed)") } else { String::new() };
            cost(server).map_or(String::new(), |cost| match work.unit() {
                Unit::Microseconds => format!("{cost:.1}{failures}"),
                Unit::Percent => format!("{cost:.3}{failures}"),
            })
        };
        let floor = work.floors().map(|floors| floors * sitting.floor_percent());
        let _infallible = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            work.title(),
            work.unit().text(),
            shown(Kind::Softswitch),
            shown(Kind::Asterisk),
            shown(Kind::Kamailio),
            ratio(cost(Kind::Asterisk)),
            ratio(cost(Kind::Kamailio)),
            ratio(floor)
        );
    }
    text
}

/// Writes the figures into the repository.
pub(crate) fn write(sitting: &Sitting, root: &Path) -> Result<()> {
    let name = format!("measurements/{}-capacity", sitting.date);
    let docs = root.join("docs");
    let json = serde_json::to_vec_pretty(sitting)?;
    fs::write(docs.join(format!("{name}.json")), json)?;
    plot(sitting, &docs.join(format!("{name}.svg")))?;
    let file = docs.join("performance.md");
    let before = fs::read_to_string(&file)?;
    let missing = || format!("{} has no line {BEGIN:?}, or none {END:?} after it", file.display());
    let (head, rest) = before.split_once(BEGIN).with_context(missing)?;
    let (_, tail) = rest.split_once(END).with_context(missing)?;
    let versions: Vec<&str> = sitting.versions.values().map(String::as_str).collect();
    let section = format!(
        "{BEGIN}\n\n{}\n{}, commit {}, {}. {}. A packet costs the floor {} µs of CPU before and after. All figures and commands: \
         [{name}.json]({name}.json).\n\n![cost of each server, ours being 1]({name}.svg)\n\n{END}",
        table(sitting),
        sitting.date,
        sitting.commit,
        sitting.machine,
        versions.join("; "),
        sitting
            .floors
            .iter()
            .map(|floor| format!("{:.2}", floor.us_per_packet))
            .collect::<Vec<_>>()
            .join(" and "),
    );
    fs::write(&file, format!("{head}{section}{tail}"))?;
    println!("written: {}, {name}.json, {name}.svg", file.display());
    Ok(())
}

/// Bars of what others cost, where ours is 1.
fn plot(sitting: &Sitting, file: &Path) -> Result<()> {
    const ROW: u32 = 44;
    const OTHERS: [(Kind, RGBColor); 2] =
        [(Kind::Asterisk, RGBColor(217, 119, 6)), (Kind::Kamailio, RGBColor(37, 99, 235))];
    let works = sitting.works();
    let height = ROW * works.len() as u32 + 90;
    let area = SVGBackend::new(file, (900, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let rows = works.len() as f64;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .caption("CPU of others for the same work (ours = 1)", ("sans-serif", 18))
        .x_label_area_size(30)
        .y_label_area_size(10)
        .build_cartesian_2d((0.1f64..100.0).log_scale(), 0.0..rows)?;
    chart.configure_mesh().disable_y_mesh().y_labels(0).x_desc("times ours, logarithmic").draw()?;
    for (at, work) in works.iter().enumerate() {
        let top = rows - at as f64;
        let ours = sitting.cost(*work, Kind::Softswitch);
        for (row, (kind, colour)) in OTHERS.iter().enumerate() {
            let Some((ours, theirs)) = ours.zip(sitting.cost(*work, *kind)).filter(|(ours, _)| *ours > 0.0)
            else {
                continue;
            };
            let times = (theirs / ours).clamp(0.1, 100.0);
            let low = top - 0.62 - 0.28 * row as f64;
            let corners = [(1.0f64.min(times), low), (1.0f64.max(times), low + 0.24)];
            chart.draw_series([Rectangle::new(corners, colour.filled())])?;
            let told = format!("{} {:.2}", kind.name(), theirs / ours);
            let place = (times.max(1.0) * 1.05, low + 0.22);
            chart.draw_series([Text::new(told, place, ("sans-serif", 12))])?;
        }
        chart.draw_series([Text::new(work.title(), (0.105, top - 0.08), ("sans-serif", 13))])?;
    }
    chart.draw_series([PathElement::new([(1.0, 0.0), (1.0, rows)], BLACK)])?;
    area.present()?;
    Ok(())
}
