//! Registrations a second over TCP and TLS, and what each costs the switch.
//!
//!     cargo build --release --bins && cargo run --release -p benches --example register_streams
//!
//! Starts `softswitch` of the same build on the loopback interface, with a certificate made for the run (P-256), the
//! scenario log and the store as they are by default. Phones run on a few threads of this process; each phone waits for
//! its answer before it sends again. CPU is user and system time of the whole switch (`/proc/PID/stat`, Linux). The
//! arguments are the rounds of each measurement (3), and connections (1000).
//!
//! - `established`: connections that stay, digest with the nonce used again (RFC 7616 §3.3).
//! - `new`: connect, handshake without resumption, REGISTER, 401, REGISTER, 200, close.
//! - `resumed`: the same, with TLS sessions resumed (RFC 8446 §2.2).

use benches::cpu;
use benches::registrations::{Crowd, Line, Phone, trusting, write_certificate};
use rustls::client::Resumption;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Threads that open connections.
const THREADS: usize = 4;
/// Registrations over each connection that stays.
const EACH: usize = 60;
/// Connections opened in one measurement.
const OPENED: usize = 6_000;
const FIRST_USER: usize = 1_000;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mut next = |default| arguments.next().and_then(Result::ok).unwrap_or(default);
    let (rounds, connections) = (next(3), next(1_000));
    let switch = Switch::start();
    println!("{:<32} {:>8} {:>10} {:>14}", "what", "number", "a second", "CPU each, µs");
    for _ in 0..rounds {
        for (name, line) in [("TCP", &switch.tcp), ("TLS", &switch.tls)] {
            let mut crowd = Crowd::register(line, FIRST_USER, connections).expect("phones register");
            let again = || crowd.refresh(EACH).expect("phones register again");
            switch.measure(&format!("{name}, established"), again);
        }
        for (name, line, resumes) in [
            ("TCP, new", &switch.tcp, false),
            ("TLS, new", &switch.tls, false),
            ("TLS, resumed", &switch.resumed, true),
        ] {
            switch.measure(name, || opened(line, resumes));
        }
    }
}

/// A switch that was started for the run.
struct Switch {
    child: Child,
    tcp: Line,
    tls: Line,
    resumed: Line,
    _folder: tempfile::TempDir,
}

impl Switch {
    fn start() -> Switch {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificate = write_certificate(folder.path()).expect("a certificate");
        let [tcp, tls] = free_addresses();
        let config = folder.path().join("softswitch.toml");
        std::fs::write(&config, configuration(tcp, tls)).expect("the configuration is written");
        let mut command = Command::new(binary());
        command.arg("run").arg("--config").arg(&config).arg("--data").arg(folder.path().join("data"));
        let mut child =
            command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the switch starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line.contains("ready"))), "the switch is ready");
        let errors = BufReader::new(child.stderr.take().expect("a pipe"));
        std::thread::spawn(move || lines.count());
        std::thread::spawn(move || errors.lines().count());
        let line = |resumption| Line::Tls(tls, trusting(&certificate, resumption).expect("a client"));
        Switch {
            child,
            tcp: Line::Tcp(tcp),
            tls: line(Resumption::disabled()),
            resumed: line(Resumption::in_memory_sessions(256)),
            _folder: folder,
        }
    }

    /// Prints how often phones registered, how fast, and the CPU it cost.
    fn measure(&self, name: &str, register: impl FnOnce() -> usize) {
        let cpu_us = || cpu::of_process(self.child.id()).expect("it runs").as_micros();
        let before = cpu_us();
        let started = Instant::now();
        let number = register() as f64;
        let took = started.elapsed().as_secs_f64();
        let cpu = (cpu_us() - before) as f64 / number;
        println!("{name:<32} {number:>8} {:>10.0} {cpu:>14.1}", number / took);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn configuration(tcp: SocketAddr, tls: SocketAddr) -> String {
    format!(
        "[[listener]]\naddress = \"{tcp}\"\ntransport = \"tcp\"\n\
         [[listener]]\naddress = \"{tls}\"\ntransport = \"tls\"\n\
         [tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
         [[users]]\nfrom = {FIRST_USER}\nto = {}\npassword = \"secret\"\n",
        FIRST_USER + 9_999
    )
}

/// The switch of the build that this program is of.
fn binary() -> PathBuf {
    let program = std::env::current_exe().expect("the program knows its file");
    let folder = program.parent().and_then(Path::parent).expect("examples lie in a folder of the build");
    folder.join("softswitch")
}

fn free_addresses() -> [SocketAddr; 2] {
    let sockets = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    sockets.map(|socket| socket.local_addr().expect("a bound socket has an address"))
}

/// Phones that connect, register and leave; tells how many.
fn opened(line: &Line, resumes: bool) -> usize {
    let some = |thread: usize| {
        for number in 0..OPENED / THREADS {
            let user = FIRST_USER + thread * (OPENED / THREADS) + number;
            let mut phone = Phone::new(line, user).expect("the switch takes connections");
            phone.register().expect("it registers");
            // The first ones may find nothing to resume.
            assert!(number < 10 || phone.is_resumed() == resumes, "TLS is resumed as it is told");
        }
    };
    std::thread::scope(|scope| {
        (0..THREADS).for_each(|thread| drop(scope.spawn(move || some(thread))));
    });
    OPENED
}
