//! The program as an operator meets it: started, asked over a real socket, told to reload and to stop, replayed.

#![cfg(unix)]

mod disk;

use sip_stack::auth::{Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method};
use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

fn softswitch() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_softswitch"));
    command.env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    softswitch()
        .args(arguments)
        .arg("--data")
        .arg(data)
        .output()
        .expect("the system does what every system does")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A socket that waits for an answer, but not for ever.
fn phone() -> UdpSocket {
    #[expect(clippy::disallowed_methods, reason = "the peer of a loopback test")]
    let phone = UdpSocket::bind("127.0.0.1:0").expect("the system does what every system does");
    phone.set_read_timeout(Some(Duration::from_secs(20))).expect("the system does what every system does");
    phone
}

/// A running switch with one listener on a port that was free a moment ago.
struct Running {
    child: Child,
    port: u16,
    stdout: BufReader<std::process::ChildStdout>,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(data: &Path, further: &[&str]) -> Running {
        Running::start_by(softswitch(), data, further)
    }

    /// The same by a command that becomes the switch.
    fn start_by(mut command: Command, data: &Path, further: &[&str]) -> Running {
        let port = phone().local_addr().expect("the system does what every system does").port();
        let config = data.join("test.toml");
        let text = format!(
            "[[listener]]\naddress = \"0.0.0.0:{port}\"\n[media]\nports = \"20000-20019\"\n\
             [[user]]\nid = \"1001\"\npassword = \"secret\"\n"
        );
        std::fs::write(&config, text).expect("the system does what every system does");
        let mut child = command
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(data)
            .args(further)
            .spawn()
            .expect("the system does what every system does");
        let mut stdout = BufReader::new(child.stdout.take().expect("the system does what every system does"));
        let stderr = BufReader::new(child.stderr.take().expect("the system does what every system does"));
        let mut ready = String::new();
        stdout.read_line(&mut ready).expect("the system does what every system does");
        let expected =
            format!("ready: udp 0.0.0.0:{port}, media 20000-20019, 1 users, data in {}\n", data.display());
        assert_eq!(ready, expected);
        Running { child, port, stdout, stderr }
    }

    fn options(&self, phone: &UdpSocket) -> String {
        let (ours, port) = (phone.local_addr().expect("the system does what every system does"), self.port);
        let request = format!(
            "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {ours};branch=z9hG4bKoptions;rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: o\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        phone
            .send_to(request.as_bytes(), ("127.0.0.1", port))
            .expect("the system does what every system does");
        let mut answer = [0; 2_000];
        let (length, source) = phone.recv_from(&mut answer).expect("the system does what every system does");
        assert_eq!(source.port(), port);
        text(&answer[..length])
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(name)
            .arg(self.child.id().to_string())
            .status()
            .expect("the system does what every system does");
        assert!(status.success());
    }

    /// The next line of the log that has `part` in it.
    fn logged(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.stderr.read_line(&mut line).expect("the system does what every system does") > 0,
                "{part:?} was not logged"
            );
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Stops it; what it still said on standard output and standard error.
    fn stop(self) -> (String, String) {
        self.signal("-TERM");
        self.ended()
    }

    /// The same of one that stops by itself.
    fn ended(mut self) -> (String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).expect("the system does what every system does");
        self.stderr.read_to_string(&mut err).expect("the system does what every system does");
        assert_eq!(
            self.child.wait().expect("the system does what every system does").code(),
            Some(0),
            "{err}"
        );
        (out, err)
    }
}

#[test]
fn a_live_run_replays_in_another_process() {
    let data = tempfile::tempdir().unwrap();
    let log = data.path().join("live.slog");
    let running = Running::start(data.path(), &["--trace", "--log", log.to_str().unwrap()]);
    let phone = phone();
    assert!(running.options(&phone).starts_with("SIP/2.0 200 OK\r\n"));
    let (out, err) = running.stop();
    assert_eq!(out, "", "standard output has the ready line alone");
    assert!(err.contains(" in  UDP 127.0.0.1:") && err.contains(" out UDP 127.0.0.1:"), "{err}");
    let replayed = run(data.path(), &["replay", log.to_str().unwrap()]);
    assert!(replayed.status.success(), "{}", text(&replayed.stderr));
    assert!(text(&replayed.stdout).starts_with("replayed "), "{}", text(&replayed.stdout));
    assert!(text(&replayed.stdout).ends_with(": identical\n"));
}

#[test]
fn a_changed_log_ends_the_replay_with_exit_code_1() {
    let data = tempfile::tempdir().unwrap();
    let running = Running::start(data.path(), &[]);
    running.options(&phone());
    running.stop();
    let log = data.path().join("log/segment-000001.slog");
    let mut bytes = std::fs::read(&log).unwrap();
    let at = bytes.windows(11).position(|window| window == b"SIP/2.0 200").unwrap();
    bytes[at + 10] = b'2';
    std::fs::write(&log, bytes).unwrap();
    let replayed = run(data.path(), &["replay", log.to_str().unwrap()]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(text(&replayed.stderr).contains("SIP/2.0 202 OK"));
}

#[test]
fn a_hangup_takes_over_users_made_by_command_and_a_faulty_file_changes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("test.toml");
    let mut running = Running::start(data.path(), &[]);
    let add = |settings: &[&str]| {
        let command = ["user", "add", "1003", "--config", config.to_str().unwrap()];
        run(data.path(), &[&command, settings].concat())
    };
    let refused = add(&["--language", "elvish"]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("there is no language \"elvish\""));
    let added = add(&["--language", "ru", "--dtmf", "info", "--record-on-request"]);
    assert!(added.status.success(), "{}", text(&added.stderr));
    running.signal("-HUP");
    assert!(running.logged("configuration in force").contains("users=2"));
    std::fs::write(&config, "[[listener]]\naddres = \"0.0.0.0:5060\"\n").unwrap();
    running.signal("-HUP");
    running.logged("the configuration stays as it is");
    assert!(running.logged("test.toml:2:").contains("addres"));
    assert!(running.options(&phone()).starts_with("SIP/2.0 200 OK\r\n"));
    running.stop();
}

/// A phone of user 1001 that watches its mailbox.
struct Watcher {
    phone: UdpSocket,
    server: (&'static str, u16),
}

impl Watcher {
    fn receive(&self) -> Message {
        let mut bytes = [0; 2_000];
        let (length, _) = self.phone.recv_from(&mut bytes).expect("the system does what every system does");
        Message::parse(bytes[..length].to_vec().into()).expect("the switch writes SIP")
    }

    fn send(&self, text: &str) {
        self.phone.send_to(text.as_bytes(), self.server).expect("the system does what every system does");
    }

    fn subscribe(&self, number: u32, credentials: &str) -> Message {
        let ours = self.phone.local_addr().expect("the system does what every system does");
        self.send(&format!(
            "SUBSCRIBE sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {ours};branch=z9hG4bKs{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:1001@127.0.0.1>;tag=w\r\nTo: <sip:1001@127.0.0.1>\r\nCall-ID: watch\r\n\
             CSeq: {number} SUBSCRIBE\r\nContact: <sip:1001@{ours}>\r\nEvent: message-summary\r\nExpires: 600\r\n\
             {credentials}Content-Length: 0\r\n\r\n"
        ));
        self.receive()
    }

    /// The body of the next NOTIFY, which is answered.
    fn notified(&self) -> String {
        let notify = self.receive();
        assert_eq!(notify.method(), Some(Method::Notify), "{}", text(notify.bytes()));
        let header = |name| text(notify.header(name).expect("every request has it"));
        let [via, from, to, call_id, cseq] =
            [HeaderName::Via, HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq]
                .map(header);
        self.send(&format!(
            "SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
             Content-Length: 0\r\n\r\n"
        ));
        text(notify.body())
    }
}

#[test]
fn messages_that_wait_are_told_to_a_phone_when_the_switch_reloads() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("test.toml");
    let running = Running::start(data.path(), &[]);
    let watcher = Watcher { phone: phone(), server: ("127.0.0.1", running.port) };
    let refused = watcher.subscribe(1, "");
    let challenge = Challenge::parse(refused.header(HeaderName::WwwAuthenticate).unwrap()).unwrap();
    let mut value = Vec::new();
    let (uri, user, secret) = (&b"sip:1001@127.0.0.1"[..], &b"1001"[..], Secret::Password(b"secret"));
    let answer = Answer { method: b"SUBSCRIBE", uri, user, secret, cnonce: b"c", nc: 1, body: b"" };
    challenge.answer(&answer, &mut value).unwrap();
    let accepted = watcher.subscribe(2, &format!("Authorization: {}\r\n", text(&value)));
    assert_eq!(accepted.status().unwrap().code(), 200);
    assert!(watcher.notified().starts_with("Messages-Waiting: no\r\n"));
    let set = |user: &str| {
        let said = ["mailbox", "set", user, "--new", "2", "--config", config.to_str().unwrap()];
        run(data.path(), &said)
    };
    assert!(text(&set("1077").stderr).contains("there is no user \"1077\""));
    let done = set("1001");
    assert!(done.status.success(), "{}", text(&done.stderr));
    running.signal("-HUP");
    let told = watcher.notified();
    assert!(
        told.starts_with("Messages-Waiting: yes\r\n") && told.ends_with("Voice-Message: 2/0\r\n"),
        "{told}"
    );
    let listed = run(data.path(), &["mailbox", "list"]);
    assert_eq!(text(&listed.stdout), "1001\tdefault\t2/0 (0/0)\n");
    running.stop();
}

/// A client of the control socket.
struct Client(BufReader<std::os::unix::net::UnixStream>);

impl Client {
    fn of(data: &Path) -> Client {
        let stream = std::os::unix::net::UnixStream::connect(data.join("control.sock")).expect("it is there");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("the system does what every system does");
        Client(BufReader::new(stream))
    }

    /// The next line that has `part` in it.
    fn hears(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            let length = self.0.read_line(&mut line).expect("a line in time");
            assert!(length > 0, "{part:?} was not said");
            if line.contains(part) {
                return line;
            }
        }
    }

    fn says(&mut self, line: &str) {
        use std::io::Write;
        writeln!(self.0.get_mut(), "{line}").expect("the switch listens");
    }
}

#[test]
fn a_program_commands_the_running_switch_and_follows_what_comes_of_it() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let log = data.path().join("live.slog");
    let running = Running::start(data.path(), &["--log", log.to_str().unwrap()]);
    let mode = std::fs::metadata(data.path().join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "its owner's alone");
    let mut client = Client::of(data.path());
    assert!(client.hears("hello").contains(r#""version":1"#));
    client.says(r#"{"id":1,"follow":0}"#);
    assert!(client.hears("following").contains(r#""id":1"#));
    client.says(r#"{"id":2,"command":"reload"}"#);
    let accepted = client.hears("answer");
    let command = accepted.split(r#""command":""#).nth(1).and_then(|rest| rest.get(..16)).unwrap().to_owned();
    assert!(accepted.contains(r#""id":2"#) && accepted.contains(r#""accepted":"done""#), "{accepted}");
    assert!(client.hears(r#""configured":{"users":1}"#).contains(&command), "the event names the command");
    std::fs::write(data.path().join("test.toml"), "[[listener]]\naddres = \"0.0.0.0:5060\"\n").unwrap();
    client.says(r#"{"id":3,"command":"reload"}"#);
    assert!(client.hears("not_configured").contains("test.toml:2:"));
    let control = |words: &[&str]| run(data.path(), &[&["control"], words].concat());
    let listed = control(&["calls"]);
    assert!(listed.status.success() && listed.stdout.is_empty(), "{}", text(&listed.stdout));
    assert_eq!(text(&listed.stderr), "no calls\n");
    let refused = control(&["hang-up", "0000000000000001"]);
    assert_eq!((refused.status.code(), text(&refused.stderr).contains("no such call")), (Some(1), true));
    let refused = control(&["--as", "1001", "reload"]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("only the operator may"));
    let shown = control(&["--json", "send", r#"{"trace":{"on":true}}"#]);
    assert!(text(&shown.stdout).contains(r#""accepted":"done""#), "{}", text(&shown.stdout));
    assert!(running.options(&phone()).starts_with("SIP/2.0 200 OK\r\n"));
    assert!(text(&control(&["stop"]).stdout).contains("done"));
    client.hears("stopping");
    let (_, err) = running.ended();
    assert!(err.contains(" in  UDP 127.0.0.1:"), "{err}");
    assert!(!data.path().join("control.sock").exists());
    let replayed = run(data.path(), &["replay", log.to_str().unwrap()]);
    assert!(text(&replayed.stdout).ends_with(": identical\n"), "{}", text(&replayed.stderr));
}

#[test]
fn a_taken_port_is_told_with_a_remedy() {
    let data = tempfile::tempdir().unwrap();
    let taken = phone();
    let address = taken.local_addr().unwrap();
    let config = data.path().join("test.toml");
    let file = format!(
        "[[listener]]\naddress = \"{address}\"\n[media]\nports = \"20000-20019\"\n[[user]]\nid = \"1\"\npassword = \"p\"\n"
    );
    std::fs::write(&config, file).unwrap();
    let refused = run(data.path(), &["run", "--config", config.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(
        told.contains(&format!("cannot listen on udp {address}")) && told.contains("[[listener]]"),
        "{told}"
    );
}

#[test]
fn check_tells_every_fault_with_its_line() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("bad.toml");
    std::fs::write(&config, "[[listener]]\naddress = \"nowhere\"\n\n[[usr]]\nid = \"1\"\n").unwrap();
    let checked = run(data.path(), &["check", "--config", config.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1));
    let told = text(&checked.stderr);
    assert!(told.contains("bad.toml:2: ") && told.contains("bad.toml:4: "), "{told}");
}

#[test]
fn the_dry_run_tells_which_rule_a_call_takes_and_why_not_another() {
    let data = tempfile::tempdir().expect("the system does what every system does");
    let config = data.path().join("plan.toml");
    let text = "[[listener]]\naddress = \"127.0.0.1:5060\"\n[[user]]\nid = \"1001\"\npassword = \"p\"\n\
        [[schedule]]\nid = \"office\"\nzone = \"Europe/Moscow\"\nperiods = [\"mon-fri 09:00-18:00\"]\n\
        [[route]]\npattern = \"8.\"\nuser = \"1001\"\nschedule = \"office\"\n[[route]]\npattern = \"8.\"\nreject = 480\n";
    std::fs::write(&config, text).expect("the system does what every system does");
    let config = config.to_string_lossy().into_owned();
    let asked = |at: &str| {
        let arguments = ["route", "--config", &config, "--from", "1001", "--to", "88001234567", "--at", at];
        let output = run(data.path(), &arguments);
        (output.status.success(), self::text(&output.stdout), self::text(&output.stderr))
    };
    let (_, open, _) = asked("2026-12-01T12:00:00+03:00");
    assert!(open.ends_with("line 11, 8.: yes\nuser 1001\n=> 1: user 1001, 60 s\n"), "{open}");
    let (_, closed, _) = asked("2026-12-01T20:00:00+03:00");
    assert!(closed.contains("line 11, 8.: no, schedule office is closed\n"), "{closed}");
    assert!(closed.ends_with("=> 480 Temporarily Unavailable: the route says so\n"), "{closed}");
    let (good, _, told) = asked("noon");
    assert!(!good && told.contains("is no time with its offset"), "{told}");
}

#[test]
fn a_reload_that_only_a_restart_could_fulfil_is_refused_with_the_key_and_nothing_is_changed() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("test.toml");
    let mut running = Running::start(data.path(), &[]);
    let before = std::fs::read_to_string(&config).unwrap();
    let more = "[[user]]\nid = \"1002\"\npassword = \"secret\"\n";
    std::fs::write(&config, before.clone() + more + "[limits]\nnonces = 9000\n").unwrap();
    running.signal("-HUP");
    running.logged("the configuration stays as it is");
    let told = running.logged("test.toml");
    assert!(told.contains("nonces of [limits]") && told.contains("restart the switch"), "{told}");
    let before = before.replace("20000-20019", "20000-20039");
    std::fs::write(&config, before + more + "[records]\nkeep_days = 30\n").unwrap();
    running.signal("-HUP");
    assert!(running.logged("configuration in force").contains("users=2"));
    running.stop();
}

/// A REGISTER of 1001; what is answered.
fn register(phone: &UdpSocket, port: u16, number: u32, credentials: &str) -> Message {
    let ours = phone.local_addr().expect("the system does what every system does");
    let request = format!(
        "REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {ours};branch=z9hG4bKr{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:1001@127.0.0.1>;tag=r\r\nTo: <sip:1001@127.0.0.1>\r\nCall-ID: register\r\nCSeq: {number} REGISTER\r\n\
         Contact: <sip:1001@{ours}>\r\nExpires: 600\r\n{credentials}Content-Length: 0\r\n\r\n"
    );
    phone.send_to(request.as_bytes(), ("127.0.0.1", port)).expect("the system does what every system does");
    let mut answer = [0; 2_000];
    let (length, _) = phone.recv_from(&mut answer).expect("the system does what every system does");
    Message::parse(answer[..length].to_vec().into()).expect("the switch writes SIP")
}

/// The database, as another process has it.
struct Beside {
    runtime: tokio::runtime::Runtime,
    connection: sqlx::SqliteConnection,
}

impl Beside {
    fn open(data: &Path) -> Beside {
        use sqlx::ConnectOptions as _;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("the system does what every system does");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("switch.db"));
        let connection = runtime.block_on(options.connect()).expect("the system does what every system does");
        Beside { runtime, connection }
    }

    fn run(&mut self, statement: &'static str) {
        self.runtime
            .block_on(sqlx::raw_sql(statement).execute(&mut self.connection))
            .expect("the system does what every system does");
    }
}

#[test]
fn a_locked_database_is_an_alarm_that_is_cleared_by_itself_and_nothing_is_lost() {
    let data = tempfile::tempdir().unwrap();
    let mut running = Running::start(data.path(), &[]);
    let phone = phone();
    let mut beside = Beside::open(data.path());
    beside.run("BEGIN IMMEDIATE");
    let refused = register(&phone, running.port, 1, "");
    let challenge = Challenge::parse(refused.header(HeaderName::WwwAuthenticate).unwrap()).unwrap();
    let mut value = Vec::new();
    let (uri, user, secret) = (&b"sip:127.0.0.1"[..], &b"1001"[..], Secret::Password(b"secret"));
    let answer = Answer { method: b"REGISTER", uri, user, secret, cnonce: b"c", nc: 1, body: b"" };
    challenge.answer(&answer, &mut value).unwrap();
    let accepted = register(&phone, running.port, 2, &format!("Authorization: {}\r\n", text(&value)));
    assert_eq!(accepted.status().unwrap().code(), 200, "the phone does not wait for the disk");
    assert!(running.logged("the store is failing").contains("another process holds the database"));
    assert!(running.options(&phone).starts_with("SIP/2.0 200 OK\r\n"));
    beside.run("COMMIT");
    running.logged("store works again");
    running.stop();
    let again = Running::start(data.path(), &[]);
    let (_, log) = again.stop();
    assert!(log.contains("registrations restored"), "{log}");
}

#[test]
fn records_are_listed_as_text_json_and_csv() {
    let data = tempfile::tempdir().unwrap();
    Running::start(data.path(), &[]).stop();
    let listed = |arguments: &[&str]| run(data.path(), &[&["records"], arguments].concat());
    let nothing = listed(&["list"]);
    assert_eq!((text(&nothing.stdout).as_str(), text(&nothing.stderr).as_str()), ("", "no such records\n"));
    assert!(text(&listed(&["list", "--csv"]).stdout).starts_with("id,domain,caller,callee,"));
    assert!(text(&listed(&["show", "nothing"]).stderr).contains("there is no call record \"nothing\""));
    assert!(text(&listed(&["list", "--since", "soon"]).stderr).contains("\"soon\" is no time"));
    Beside::open(data.path()).run(
        "INSERT INTO calls (domain, id, caller, callee, started_unix_ms, ended_unix_ms, status, ended_by, caller_packets,
        caller_octets, caller_lost, caller_refused, caller_jitter_us, callee_packets, callee_octets, callee_lost, callee_refused,
        callee_jitter_us, cause, missed) VALUES ('default', 'x-1', '1001', '1002', 1800000000000, 1800000005000, 486, 'callee',
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'busy', 1)",
    );
    let line = text(&listed(&["list", "--missed", "--user", "1002"]).stdout);
    assert!(line.starts_with("x-1  ") && line.ends_with("1001 > 1002  0.0s  busy, missed\n"), "{line}");
    assert!(text(&listed(&["show", "x-1"]).stdout).contains("by callee, status 486"));
    assert!(text(&listed(&["list", "--json"]).stdout).contains("\"cause\":\"busy\""));
    assert_eq!(text(&listed(&["list", "--csv"]).stdout).lines().count(), 2);
}
