//! What a machine costs that does nothing: one thread receives a datagram of a G.711 packet's size and sends it on.

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use std::fmt;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

/// Packets of 20 ms of G.711 with their RTP header.
const OCTETS: usize = 172;
/// Those of 200 calls, both ways, for five seconds.
const STREAMS: u32 = 400;
const FOR: Duration = Duration::from_secs(5);
/// What ends the relay.
const END: &[u8] = b"end";

/// The cost of a packet.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Floor {
    /// Microseconds of CPU, system time included.
    pub(crate) us_per_packet: f64,
    /// Packets that were relayed.
    pub(crate) packets: u64,
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Floor { us_per_packet, packets } = self;
        write!(
            f,
            "{us_per_packet:.2} µs of CPU a packet ({packets} packets), {:.3} % of a core a call",
            self.percent_per_call()
        )
    }
}

impl Floor {
    /// Of a core, for a call of two who both say 50 packets a second.
    pub(crate) fn percent_per_call(self) -> f64 {
        self.us_per_packet * 100.0 / 10_000.0
    }

    /// Packets spread evenly over the 20 ms, as those of independent phones are.
    pub(crate) fn measure() -> Result<Floor> {
        let local = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let (relay, sender, receiver) = (local()?, local()?, local()?);
        sender.connect(relay.local_addr()?)?;
        let to = receiver.local_addr()?;
        let relaying = std::thread::spawn(move || -> Result<(u64, Duration)> {
            let (mut buffer, mut packets) = ([0; 2_048], 0);
            let before = spent();
            loop {
                let (length, _) = relay.recv_from(&mut buffer)?;
                let packet = buffer.get(..length).unwrap_or_default();
                if packet == END {
                    return Ok((packets, spent() - before));
                }
                relay.send_to(packet, to)?;
                packets += 1;
            }
        });
        let began = Instant::now();
        let apart = Duration::from_millis(20) / STREAMS;
        let all = (FOR.as_nanos() / apart.as_nanos()) as u32;
        for number in 0..all {
            let due = began + apart * number;
            let ahead = due.saturating_duration_since(Instant::now());
            if ahead > Duration::from_micros(200) {
                std::thread::sleep(ahead);
            }
            sender.send(&[0; OCTETS])?;
        }
        for _ in 0..10 {
            // Again, should the first one find a full socket.
            sender.send(END)?;
            std::thread::sleep(Duration::from_millis(20));
            if relaying.is_finished() {
                break;
            }
        }
        let (packets, spent) = relaying.join().map_err(|_| anyhow::anyhow!("the relay has panicked"))??;
        Ok(Floor { us_per_packet: spent.as_secs_f64() * 1e6 / packets.max(1) as f64, packets })
    }
}

/// The CPU time of this thread.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
