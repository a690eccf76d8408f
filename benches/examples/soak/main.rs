//! A media thread under a steady load for as long as is wished: how late its ticks are, what memory it takes, and whether a packet
//! is lost.
//!
//!     cargo run --release -p benches --example soak [LOAD % [MINUTES]]
//!
//! Rooms of four, of whom three talk, and as many relayed calls are added until the thread is busy for LOAD % of a core (60), and
//! stay for MINUTES (30). The phones are a thread of this process that sends and receives in batches, each phone 50 packets a second
//! evenly over the 20 ms, through real sockets on the loopback interface. A line is told for each thirtieth of the time, or minute, whichever is
//! longer than 10 s, and at the end a verdict on each bar. `soak 70 2` is the measurement of lateness, `soak` that of half an hour; it
//! needs nothing but time and may run in the background: what others take from the two cores shows as lateness all the same.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod phones;
#[cfg(target_os = "linux")]
mod record;

#[cfg(target_os = "linux")]
fn main() {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let (load, minutes) = (numbers.next().unwrap_or(60), numbers.next().unwrap_or(30));
    let passed = record::run(load * 10, std::time::Duration::from_secs(60 * minutes));
    std::process::exit(i32::from(!passed));
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("it sends in the batches of Linux");
}
