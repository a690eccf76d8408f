//! The commands that do one thing: what is wrong with them is said before anybody is called, and what can be borne is borne.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![expect(clippy::disallowed_methods, reason = "the server of this test is a socket")]

use bytes::Bytes;
use sip_stack::Message;
use sip_stack::header::HeaderName;
use sip_stack::message::{Method, Status, response};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};

fn softphone(server: &UdpSocket, arguments: &[&str]) -> Command {
    let address = server.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_softphone"));
    command.args(arguments).args(["--server", &address, "--user", "1001"]);
    command.env("SOFTPHONE_PASSWORD", "secret").stdin(Stdio::null());
    command
}

#[test]
fn keys_that_there_are_not_are_refused_before_the_call() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let ended = softphone(&server, &["call", "1002", "--digits", "12x"]).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("--digits"), "{ended:?}");
    assert_eq!(
        server.recv_from(&mut [0; 16]).unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "nobody was called"
    );
}

/// A server that registers for a second.
struct Server {
    socket: UdpSocket,
    registered: u32,
    /// The To of the call, with the tag of the phone.
    callee: String,
}

impl Server {
    fn next(&self) -> (Message, SocketAddr) {
        let mut buffer = [0; 4_096];
        loop {
            let (length, phone) = self.socket.recv_from(&mut buffer).unwrap();
            // Empty lines, which a phone sends to learn whether anybody listens, are no message.
            if let Ok(message) = Message::parse(Bytes::copy_from_slice(&buffer[..length])) {
                return (message, phone);
            }
        }
    }

    fn answer(&self, request: &Message, phone: SocketAddr, status: Status) {
        let mut writer = response(request, status, None, Some(b"server"), phone);
        if status.is_success() {
            let contact = request.header(HeaderName::Contact).unwrap_or_default();
            writer.header(HeaderName::Contact, &[contact, b";expires=1"].concat());
        }
        self.socket.send_to(&writer.finish(), phone).unwrap();
    }

    fn ask(&self, phone: SocketAddr, method: &str, cseq: u32, body: &str) {
        let server = self.socket.local_addr().unwrap();
        let request = format!(
            "{method} sip:1001@{phone} SIP/2.0\r\nVia: SIP/2.0/UDP {server};branch=z9hG4bK-{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:1002@{server}>;tag=1\r\nTo: {}\r\nCall-ID: one\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:1002@{server}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            self.callee,
            body.len(),
        );
        self.socket.send_to(request.as_bytes(), phone).unwrap();
    }

    /// Registers, is too busy to do it again, and calls the phone all the same. It ends with the process of the test.
    fn serve(&mut self) -> ! {
        loop {
            let (message, phone) = self.next();
            match (message.method(), message.status()) {
                (Some(Method::Register), _) => {
                    self.registered += 1;
                    let busy = self.registered == 2;
                    self.answer(&message, phone, if busy { Status::SERVICE_UNAVAILABLE } else { Status::OK });
                    if busy {
                        let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                                     m=audio 9 RTP/AVP 0\r\n";
                        self.ask(phone, "INVITE", 1, offer);
                    }
                }
                (None, Some(Status::OK)) if message.cseq().unwrap().method == Method::Invite => {
                    let callee = message.header(HeaderName::To).unwrap_or_default();
                    self.callee = String::from_utf8_lossy(callee).into_owned();
                    self.ask(phone, "ACK", 1, "");
                }
                (Some(Method::Bye), _) => self.answer(&message, phone, Status::OK),
                (Some(_) | None, _) => {}
            }
        }
    }
}

#[test]
fn a_registration_that_is_tried_again_does_not_end_listen() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let arguments = ["listen", "--auto-answer", "--duration", "0"];
    let mut phone = softphone(&socket, &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut server = Server { socket, registered: 0, callee: "<sip:1001@localhost>".to_owned() };
    std::thread::spawn(move || server.serve());
    assert_eq!(phone.wait().unwrap().code(), Some(0), "a call was talked in after the failure");
}
