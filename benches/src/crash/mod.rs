//! What is left of calls and registrations when the switch is killed (`kill -9`) and started again, over real sockets.
//!
//! Phones register and call each other in pairs; all of their calls are recorded. Then the switch is killed, started again and asked what
//! it knows: how soon it answers SIP, which registrations are there, whether each call has its record with its cause and the time of its
//! end, whether its recording can be played and what of it is missing, and which parties hear BYE with Reason. `round` does that once.
//!
//! The phones share a socket for SIP and one for RTP; their packets all leave at one moment of 20 ms. That loads the switch no less.
//!
//! Left out on purpose: calls younger than a second, of which nothing is promised; phones over TCP.

mod crowd;
mod judge;
mod text;

pub use crowd::Crowd;
pub use judge::{Round, Times};

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// What is done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program `softswitch`.
    pub binary: PathBuf,
    /// A folder for its data, its own.
    pub folder: PathBuf,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// Its RTP ports: four for each call.
    pub media: (u16, u16),
    /// Calls that are up when it is killed.
    pub calls: usize,
    /// Phones that are registered: twice the calls, or more.
    pub phones: usize,
    /// How long the calls last before.
    pub talk: Duration,
}

/// The users' first number.
pub(crate) const FIRST: usize = 1_000;
/// Their password.
pub(crate) const PASSWORD: &str = "secret";
/// How long parties are given to hear BYE.
const BYES: Duration = Duration::from_secs(5);

/// A run of the switch.
pub struct Running {
    child: Child,
    /// From the start of the program to its first answer.
    pub answered: Duration,
}

impl Plan {
    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Writes the configuration.
    ///
    /// # Panics
    /// The folder cannot be written to.
    pub fn configure(&self) {
        self.configure_with("");
    }

    /// The same with more, in TOML.
    ///
    /// # Panics
    /// As [`Plan::configure`].
    pub fn configure_with(&self, more: &str) {
        let (first, last) = self.media;
        let text = format!(
            "[[listener]]\naddress = \"{}\"\n[media]\nports = \"{first}-{last}\"\nsilence_s = 60\n[limits]\ncalls = 10000\n\
             [[users]]\nfrom = {FIRST}\nto = {}\npassword = \"{PASSWORD}\"\nrecord = true\n{more}",
            self.address(),
            FIRST + self.phones - 1,
        );
        std::fs::write(self.folder.join("crash.toml"), text).expect("the folder takes a file");
    }

    /// Starts the switch, and asks it until it answers.
    ///
    /// # Panics
    /// It does not start, or does not answer within ten seconds.
    pub fn start(&self) -> Running {
        let begun = Instant::now();
        let mut command = Command::new(&self.binary);
        command.arg("run").arg("--config").arg(self.folder.join("crash.toml")).arg("--data").arg(self.data());
        command.args(["--log-level", "warn"]).current_dir(&self.folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().expect("the switch starts");
        drain("out", child.stdout.take());
        drain("err", child.stderr.take());
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("no socket refuses that");
        let ours = socket.local_addr().expect("it is bound");
        let mut buffer = [0; 2_048];
        for number in 0.. {
            // Nobody listens at first, which the system tells the socket.
            let _not_yet =
                socket.send_to(text::options(ours, self.address(), number).as_bytes(), self.address());
            if socket.recv_from(&mut buffer).is_ok() {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "the switch does not answer");
        }
        Running { child, answered: begun.elapsed() }
    }

    /// Registers, calls, kills, starts again and looks. The switch runs before and after; `running` is the one that is killed.
    ///
    /// # Panics
    /// A phone does not get as far as its call; the switch does not start again.
    pub fn round(&self, crowd: &mut Crowd, running: Running) -> (Running, Round) {
        let begun = unix_ms();
        crowd.call_all(self.calls);
        crowd.talk(self.talk);
        let mut running = running;
        running.child.kill().expect("it runs");
        let killed = unix_ms();
        running.child.wait().expect("it has ended");
        let running = self.start();
        let answered = running.answered;
        let byes = crowd.hear_byes(BYES);
        let registered = crowd.count_registered();
        let (calls, phones) = (self.calls, self.phones);
        let round = Round { calls, phones, answered, byes, registered, ..Round::default() };
        (running, round.read(&self.data(), begun, killed))
    }
}

impl Running {
    /// Has the switch read its configuration again.
    ///
    /// # Panics
    /// It cannot be told.
    pub fn reload(&self) {
        let told = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()), "it is told to reload");
    }

    /// Stops the switch in order.
    ///
    /// # Panics
    /// It cannot be told.
    pub fn stop(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()), "it is told to stop");
        let _status = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _over = self.child.kill();
        let _over = self.child.wait();
    }
}

/// Reads what the switch says, so that its pipes never fill; errors are shown.
fn drain(name: &'static str, stream: Option<impl std::io::Read + Send + 'static>) {
    let Some(stream) = stream else { return };
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if name == "err" && line.contains("ERROR") {
                eprintln!("switch: {line}");
            }
        }
    });
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

/// Where the program lies that `cargo` has built beside this one, in that profile.
#[must_use]
pub fn beside(program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?;
    let folder =
        if folder.ends_with("examples") || folder.ends_with("deps") { folder.parent()? } else { folder };
    Some(folder.join("softswitch")).filter(|path| path.exists())
}
