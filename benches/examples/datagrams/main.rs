//! What it costs to relay small datagrams of many sockets, by the ways that Linux has: CPU of the relaying thread for each
//! packet, and the delay that it adds. The floor is a thread that does nothing else and drains every socket 50 times a second.
//!
//!     cargo run --release -p benches --example datagrams [SOCKETS [SECONDS]]
//!
//! Every socket gets a datagram of 172 octets (20 ms of G.711 with its RTP header) each 20 ms, and the relay sends it from the
//! next socket to its phone. `even`: the phones are independent of each other, their packets spread over the 20 ms. `burst`: they
//! send in eight groups, as a load generator with a clock of 2.5 ms does. One thread is the phones, the other the relay.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod ring;

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("these are ways of Linux");
}
