//! The headless phone over TCP: a lost connection, a server that refuses.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![expect(clippy::disallowed_methods, reason = "the server of this test has a socket")]

use bytes::Bytes;
use sip_stack::Message;
use sip_stack::header::HeaderName;
use sip_stack::message::{Method, Status, response};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

struct Phone {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Phone {
    fn start(server: &str, transport: &str) -> Phone {
        let mut command = Command::new(env!("CARGO_BIN_EXE_softphone"));
        let empty = std::env::temp_dir().join("there-is-no-configuration-here");
        command.args(["run", "--server", server, "--transport", transport, "--user", "1001"]);
        command.env("SOFTPHONE_PASSWORD", "secret").env("XDG_CONFIG_HOME", empty);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Phone { child, output }
    }

    /// The next line that begins so.
    fn says(&mut self, begin: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it said nothing of the kind");
            if line.starts_with(begin) {
                return line;
            }
        }
    }
}

/// Reads a request without a body, and answers it.
fn answer(stream: &mut TcpStream) -> Message {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") || bytes.len() < 8 {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        bytes.push(octet[0]);
    }
    let request = Message::parse(Bytes::from(bytes)).unwrap();
    assert_eq!(request.method(), Some(Method::Register));
    let mut ok = response(&request, Status::OK, None, Some(b"server"), stream.peer_addr().unwrap());
    ok.copy(HeaderName::Contact, &request);
    stream.write_all(&ok.finish()).unwrap();
    request
}

#[test]
fn a_lost_connection_registers_again_with_the_address_of_the_new_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut phone = Phone::start(&listener.local_addr().unwrap().to_string(), "tcp");
    for _ in 0..2 {
        let (mut stream, peer) = listener.accept().unwrap();
        let request = answer(&mut stream);
        let contact = String::from_utf8(request.header(HeaderName::Contact).unwrap().to_vec()).unwrap();
        assert_eq!(contact, format!("<sip:1001@{peer};transport=tcp>"));
        phone.says("registered account=0");
        // The connection ends here.
    }
    let (mut stream, _) = listener.accept().unwrap();
    answer(&mut stream);
    phone.says("registered account=0");
    drop(phone.child.stdin.take());
    answer(&mut stream);
    phone.says("unregistered account=0");
    assert!(phone.child.wait().unwrap().success());
}

#[test]
fn a_server_that_refuses_the_connection_is_told_in_words_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    for transport in ["udp", "tcp", "tls"] {
        let mut phone = Phone::start(&address, transport);
        let said = phone.says("registration_failed");
        assert!(said.contains("nothing listens at this port") && said.contains("retry_s="), "{said}");
        drop(phone.child.stdin.take());
        assert!(phone.child.wait().unwrap().success());
    }
}
