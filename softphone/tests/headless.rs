//! The headless phone with programs on its local socket: lines in, JSON out, the end in order.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![expect(clippy::disallowed_methods, reason = "the server of this test has a socket and a thread")]

use bytes::Bytes;
use sip_stack::Message;
use sip_stack::header::HeaderName;
use sip_stack::message::{Method, Status, response};
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A server that registers everybody and is busy for every call. It ends with the process of the test.
fn server() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let Ok(request) = Message::parse(Bytes::copy_from_slice(&buffer[..length])) else { continue };
            let status = match request.method() {
                Some(Method::Ack) | None => continue,
                Some(Method::Invite) => Status::BUSY_HERE,
                Some(_) => Status::OK,
            };
            let mut writer = response(&request, status, None, Some(b"server"), peer);
            writer.copy(HeaderName::Contact, &request);
            socket.send_to(&writer.finish(), peer).unwrap();
        }
    });
    address
}

struct Phone {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Phone {
    fn start(server: &str, arguments: &[&str]) -> Phone {
        let mut command = Command::new(env!("CARGO_BIN_EXE_softphone"));
        let empty = std::env::temp_dir().join("there-is-no-configuration-here");
        command.args(["run", "--server", server, "--user", "1001"]).args(arguments);
        command.env("SOFTPHONE_PASSWORD", "secret").env("XDG_CONFIG_HOME", empty);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Phone { child, output }
    }

    /// The next line that begins so.
    fn says(&mut self, begin: &str) -> String {
        until(&mut self.output, |line| line.starts_with(begin))
    }
}

/// Reads lines until one is wanted.
fn until(input: &mut impl BufRead, wanted: impl Fn(&str) -> bool) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(input.read_line(&mut line).unwrap(), 0, "it said nothing of the kind");
        if wanted(&line) {
            return line;
        }
    }
}

#[test]
fn a_program_on_the_local_socket_commands_and_hears() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phone.socket");
    let mut phone = Phone::start(&server(), &["--socket", path.to_str().unwrap()]);
    assert_eq!(phone.says("registered"), "registered account=0 expires_s=600\n");
    let mut client = UnixStream::connect(&path).unwrap();
    let mut heard = BufReader::new(client.try_clone().unwrap());
    client.write_all(b"call 1002\n").unwrap();
    until(&mut heard, |line| line == "ok\n");
    let ended = until(&mut heard, |line| line.contains("\"event\":\"ended\""));
    let ended: serde_json::Value = serde_json::from_str(&ended).unwrap();
    assert_eq!((&ended["call"], &ended["by"]), (&1.into(), &"failure".into()));
    assert_eq!(ended["reason"], "The other side is busy.");
    client.write_all(b"log\n").unwrap();
    let logged = until(&mut heard, |line| line.contains("\"direction\""));
    let logged: serde_json::Value = serde_json::from_str(&logged).unwrap();
    assert!(logged["peer"].as_str().unwrap().starts_with("sip:1002@"), "{logged}");
    assert_eq!((&logged["direction"], &logged["missed"]), (&"outgoing".into(), &false.into()));
    client.write_all(b"quit\n").unwrap();
    assert!(phone.child.wait().unwrap().success());
    assert!(!path.exists(), "the socket goes with the phone");
}

#[test]
fn the_end_of_standard_input_is_the_end_of_the_phone() {
    let mut phone = Phone::start(&server(), &[]);
    phone.says("registered");
    phone.child.stdin.take().unwrap().write_all(b"redial\nsing\n").unwrap();
    assert_eq!(phone.says("error"), "error \"nothing was called yet\"\n");
    assert_eq!(phone.says("error"), "error \"\\\"sing\\\" is not understood\"\n");
    phone.says("unregistered");
    assert!(phone.child.wait().unwrap().success());
}
