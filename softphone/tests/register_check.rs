//! `softphone register --check` against a registrar on the loopback interface: every outcome has its exit code.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![expect(clippy::disallowed_methods, reason = "the registrar of this test has a socket")]

use bytes::Bytes;
use sip_stack::Message;
use sip_stack::auth::{Algorithm, Credentials, Ha1, QopOffer, write_challenge};
use sip_stack::header::HeaderName;
use sip_stack::message::{Status, response};
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn softphone(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_softphone"));
    command.args(["register", "--check"]).args(arguments).env_remove("SOFTPHONE_PASSWORD");
    command
}

/// Runs it to its end, while a registrar for `1001` with the password `secret` answers on `socket`; how many REGISTERs
/// of a lifetime were accepted.
fn run(mut command: Command, input: &str, socket: &UdpSocket) -> (Output, Vec<u32>) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that wants no password may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (mut buffer, mut accepted) = ([0; 4096], Vec::new());
    while child.try_wait().unwrap().is_none() {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        // Empty lines, which a phone sends to learn whether anybody listens, are no message.
        let Ok(request) = Message::parse(Bytes::copy_from_slice(&buffer[..length])) else { continue };
        socket.send_to(&answer(&request, peer, &mut accepted), peer).unwrap();
    }
    (child.wait_with_output().unwrap(), accepted)
}

fn answer(request: &Message, peer: SocketAddr, accepted: &mut Vec<u32>) -> Bytes {
    let proven = request.authorization().next().is_some_and(|value| {
        let ha1 = Ha1::compute(&[Algorithm::Sha256], b"1001", b"test", b"secret");
        Credentials::parse(value).unwrap().verify(QopOffer::Auth, b"REGISTER", b"", &ha1).is_ok()
    });
    if proven {
        accepted.push(request.expires().unwrap().unwrap());
        let mut ok = response(request, Status::OK, None, Some(b"registrar"), peer);
        ok.copy(HeaderName::Contact, request);
        return ok.finish();
    }
    let mut challenge = Vec::new();
    write_challenge(&mut challenge, b"test", b"nonce", Algorithm::Sha256, QopOffer::Auth, false);
    let mut unauthorized = response(request, Status::UNAUTHORIZED, None, Some(b"registrar"), peer);
    unauthorized.header(HeaderName::WwwAuthenticate, &challenge);
    unauthorized.finish()
}

fn registrar() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

#[test]
fn a_good_account_is_registered_and_removed_again() {
    let (socket, address) = registrar();
    let command = softphone(&["--server", &address, "--user", "1001", "--password-stdin"]);
    let (output, accepted) = run(command, "secret\n", &socket);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(accepted, [60, 0]);
    assert_eq!(output.stdout, b"Registered for 60 s, and removed again.\n");
}

#[test]
fn the_password_may_stand_in_the_environment() {
    let (socket, address) = registrar();
    let mut command = softphone(&["--server", &address, "--user", "1001", "--domain", "a.example"]);
    command.env("SOFTPHONE_PASSWORD", "secret");
    let (output, _) = run(command, "", &socket);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_wrong_password_is_a_refusal() {
    let (socket, address) = registrar();
    let command = softphone(&["--server", &address, "--user", "1001", "--password-stdin"]);
    let (output, accepted) = run(command, "sesame\n", &socket);
    assert_eq!(output.status.code(), Some(1));
    assert!(accepted.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "softphone: The server did not accept the user name and password.\n");
}

#[test]
fn a_port_that_nobody_listens_on_gives_no_answer() {
    let (socket, address) = registrar();
    let (other, _) = registrar();
    drop(socket);
    let command = softphone(&["--server", &address, "--user", "1001", "--password-stdin"]);
    let (output, _) = run(command, "secret\n", &other);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn wrong_usage_is_told_before_anything_is_sent() {
    let (socket, address) = registrar();
    for arguments in [
        &["--server", &address, "--user", "1001"][..],
        &["--server", &address],
        &["--server", "pbx:x", "--user", "1001", "--password-stdin"],
        &["--server", &address, "--user", "", "--password-stdin"],
        &["--server", &address, "--user", "1001", "--domain", "a b", "--password-stdin"],
    ] {
        let (output, accepted) = run(softphone(arguments), "secret\n", &socket);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(accepted.is_empty());
    }
}

#[test]
fn the_first_start_asks_tries_and_writes_what_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("phone").join("softphone.toml");
    let path = config.to_str().unwrap();
    let (socket, address) = registrar();
    let setup = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_softphone"));
        command.args(["setup", "--config", path]);
        command
    };
    let (output, _) = run(setup(), &format!("{address}\n1001\nsesame\n"), &socket);
    assert_eq!((output.status.code(), config.exists()), (Some(1), false));
    let (output, accepted) = run(setup(), &format!("{address}\n1001\nsecret\n"), &socket);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(accepted, [60, 0]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_softphone"));
    command.args(["register", "--check", "--config", path]);
    let (output, accepted) = run(command, "", &socket);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(accepted, [60, 0]);
    #[cfg(unix)]
    for file in [config.clone(), config.with_file_name("password")] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let (output, _) = run(setup(), "x\nx\nx\n", &socket);
    assert_eq!(output.status.code(), Some(2), "a configuration is never written over");
}

#[test]
fn a_mistake_in_the_configuration_is_told_with_file_line_and_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("phone.toml");
    std::fs::write(&config, "[phone]\ncodecs = [\"g729\"]\n").unwrap();
    let (socket, _) = registrar();
    let mut command = Command::new(env!("CARGO_BIN_EXE_softphone"));
    command.arg("run").arg("--config").arg(&config);
    let (output, _) = run(command, "", &socket);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("phone.toml, line 2: there is no codec \"g729\". Known are opus"), "{said}");
}
