//! The run: the load is brought up and kept, each window is told in a line, and the whole is judged.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use media::Lateness;
use media::io::ThreadLoad;

use super::calls::Calls;
use super::phones::{self, Counts};

const SECOND: Duration = Duration::from_secs(1);
/// The load may differ by so many thousandths.
const NEAR: u64 = 15;
/// How often the thread may refuse calls while it is brought up.
const REFUSALS: u32 = 60;
/// Ticks may be so late, in microseconds: the bar of 2 ms in powers of two.
const LATE_US: u64 = 2_048;
/// Memory may grow by so many KiB, whatever the allocator does at first.
const GROWN_KIB: u64 = 1_024;

/// What happened in a part of the time.
struct Window {
    lateness: Lateness,
    rss_kib: u64,
}

/// Runs at a load in thousandths of a core for so long; whether all bars are kept.
pub(super) fn run(load: u64, time: Duration) -> bool {
    let sockets = phones::sockets();
    let (begin, begun) = channel();
    let mut calls = Calls::start(&sockets, begin);
    let counts = Arc::new(Counts::default());
    let theirs = Arc::clone(&counts);
    let talking = spawn(move || phones::talk(sockets, &begun, &theirs));
    bring_up(&mut calls, load);
    let members = calls.groups * 4;
    println!(
        "{} rooms of 4 and {} relayed calls, {members} members, {} legs",
        calls.groups,
        calls.groups,
        calls.groups * 6
    );
    println!("  min  load %   ticks  p50 us  p99 us  p99.9 us  left out  rss KiB  phones late ms");
    let window = (time / 30).max(Duration::from_secs(60)).min((time / 6).max(Duration::from_secs(10)));
    let windows = watch(&mut calls, &counts, window, time);
    let left_out = calls.load().ticks_left_out;
    counts.stop.store(true, Ordering::Relaxed);
    // What is on its way is read before the calls end.
    sleep(SECOND);
    let figures = calls.close();
    counts.over.store(true, Ordering::Relaxed);
    let is_talking = talking.join().is_ok();
    assert!(is_talking, "the phones do not panic");
    let (sent, heard) = (counts.sent.load(Ordering::Relaxed), counts.heard.load(Ordering::Relaxed));
    judge(&windows, left_out, sent, heard, &figures)
}

/// Adds calls until the thread is as busy as is wished. It looks at its load once a second, and reckons for a while with what
/// calls cost when there were few: then it takes no more.
fn bring_up(calls: &mut Calls, wanted: u64) {
    let mut missing = 10;
    for refused in 0.. {
        assert!(refused < REFUSALS, "the thread takes no more at a load of {}", calls.load().load);
        while (0..missing).all(|_| calls.add()) {
            (0..3).for_each(|_| {
                sleep(SECOND);
                calls.load();
            });
            let load = calls.load().load;
            if load + NEAR >= wanted {
                return;
            }
            let each = (load / u64::from(calls.groups)).max(1);
            // Half of what is missing: each costs less the more there are.
            missing = ((wanted - load) / each / 2).clamp(1, 60);
        }
        sleep(SECOND);
        calls.load();
    }
}

fn watch(calls: &mut Calls, counts: &Counts, window: Duration, time: Duration) -> Vec<Window> {
    let (begun, mut windows) = (Instant::now(), Vec::new());
    let mut before = calls.load();
    counts.late_us.store(0, Ordering::Relaxed);
    while begun.elapsed() < time {
        let (mut loads, mut seconds) = (0, 0);
        let end = Instant::now() + window;
        while Instant::now() < end {
            sleep(SECOND);
            loads += calls.load().load;
            seconds += 1;
        }
        let now = calls.load();
        let lateness = between(&before, &now);
        let rss_kib = rss_kib();
        let [p50, p99, p999] = [500, 990, 999].map(|part| lateness.not_above(part));
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        let load = loads as f64 / 10.0 / f64::from(seconds);
        let phones = counts.late_us.swap(0, Ordering::Relaxed) as f64 / 1_000.0;
        let (ticks, left_out) =
            (lateness.counts().iter().sum::<u64>(), now.ticks_left_out - before.ticks_left_out);
        println!(
            "{minutes:>5.1} {load:>7.1} {ticks:>7} {p50:>7} {p99:>7} {p999:>9} {left_out:>9} {rss_kib:>8} {phones:>15.1}"
        );
        windows.push(Window { lateness, rss_kib });
        before = now;
    }
    windows
}

/// The ticks from one look to the next.
fn between(before: &ThreadLoad, now: &ThreadLoad) -> Lateness {
    let (before, now) = (before.lateness.counts(), now.lateness.counts());
    Lateness::from_counts(std::array::from_fn(|place| now[place] - before[place]))
}

fn together(windows: &[Window]) -> Lateness {
    let counts = |place| windows.iter().map(|window: &Window| window.lateness.counts()[place]).sum();
    Lateness::from_counts(std::array::from_fn(counts))
}

/// Of ten thousand ticks, how many were later than the bar.
fn late(lateness: &Lateness) -> f64 {
    let all: u64 = lateness.counts().iter().sum();
    let bounds = (0..).map(|bits| 1_u64 << bits);
    let late: u64 =
        lateness.counts().iter().zip(bounds).filter(|(_, bound)| *bound > LATE_US).map(|(n, _)| n).sum();
    late as f64 * 10_000.0 / all.max(1) as f64
}

/// What this process has of the memory.
fn rss_kib() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4
}

fn judge(windows: &[Window], left_out: u64, sent: u64, heard: u64, figures: &[media::LegFigures]) -> bool {
    let third = windows.len().div_ceil(3);
    let (first, last) = (&windows[..third], &windows[windows.len() - third..]);
    let lateness = together(windows);
    let [begin, end] = [first, last].map(|windows| late(&together(windows)));
    let (rss_begin, rss_end) = (windows[0].rss_kib, windows[windows.len() - 1].rss_kib);
    let sum = |count: fn(&media::LegFigures) -> u64| figures.iter().map(count).sum::<u64>();
    let (came, left) = (sum(|leg| leg.packets_in + leg.dropped.foreign), sum(|leg| leg.packets_out));
    let playout = |leg: &media::LegFigures| leg.rtcp.playout;
    let discarded: u64 = figures.iter().filter_map(playout).map(|playout| playout.discarded).sum();
    let concealed: u64 = figures.iter().filter_map(playout).map(|playout| playout.concealed_ms).sum();
    let p999 = lateness.not_above(999);
    let verdicts = [
        (p999 <= LATE_US, format!("ticks late, p99.9: below {p999} us (bar {LATE_US})")),
        (left_out == 0, format!("ticks left out: {left_out}")),
        (
            end <= 2.0 * begin + 5.0,
            format!(
                "of 10,000 ticks later than {LATE_US} us: {begin:.1} in the first third, {end:.1} in the last"
            ),
        ),
        (
            rss_end <= rss_begin + GROWN_KIB,
            format!("memory: {rss_begin} KiB at first, {rss_end} KiB at last (bar {GROWN_KIB} more)"),
        ),
        (sent == came, format!("packets sent to the switch {sent}, read there {came}")),
        (left == heard, format!("packets sent by the switch {left}, heard by phones {heard}")),
        (
            discarded == 0,
            format!(
                "packets that came too late for the jitter buffer: {discarded}; concealed {concealed} ms"
            ),
        ),
    ];
    for (kept, what) in &verdicts {
        println!("{} {what}", if *kept { "  ok  " } else { "MISSED" });
    }
    verdicts.iter().all(|(kept, _)| *kept)
}
