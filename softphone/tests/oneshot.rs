//! The commands that do one thing: what is wrong with them is said before anybody is called.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![expect(clippy::disallowed_methods, reason = "the server of this test is a socket")]

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::Command;

#[test]
fn keys_that_there_are_not_are_refused_before_the_call() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let address = server.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_softphone"));
    command.args(["call", "1002", "--server", &address, "--user", "1001", "--digits", "12x"]);
    let ended = command.env("SOFTPHONE_PASSWORD", "secret").output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("--digits"), "{ended:?}");
    assert_eq!(
        server.recv_from(&mut [0; 16]).unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "nobody was called"
    );
}
