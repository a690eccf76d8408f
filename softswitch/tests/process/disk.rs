//! What the running switch does while its disk takes nothing: it answers, says so by an alarm, and keeps what it has acknowledged for the time
//! when it can be written.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use crate::{Client, Running, phone, softswitch, text};
use sip_stack::auth::{Answer, Challenge, Secret};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sqlx::ConnectOptions;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};

/// User 1001 registers at a port of its own, and is told that it is registered.
fn register(running: &Running, phone: &UdpSocket, call: &str) {
    let ours = phone.local_addr().unwrap();
    let ask = |number: u32, credentials: &str| {
        let request = format!(
            "REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {ours};branch=z9hG4bK{call}{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:1001@127.0.0.1>;tag=r\r\nTo: <sip:1001@127.0.0.1>\r\nCall-ID: {call}\r\nCSeq: {number} REGISTER\r\n\
             Contact: <sip:1001@{ours}>\r\nExpires: 600\r\n{credentials}Content-Length: 0\r\n\r\n"
        );
        phone.send_to(request.as_bytes(), ("127.0.0.1", running.port)).unwrap();
        let mut bytes = [0; 2_000];
        let (length, _) = phone.recv_from(&mut bytes).unwrap();
        Message::parse(bytes[..length].to_vec().into()).unwrap()
    };
    let refused = ask(1, "");
    let challenge = Challenge::parse(refused.header(HeaderName::WwwAuthenticate).unwrap()).unwrap();
    let (uri, user, secret) = (&b"sip:127.0.0.1"[..], &b"1001"[..], Secret::Password(b"secret"));
    let answer = Answer { method: b"REGISTER", uri, user, secret, cnonce: b"c", nc: 1, body: b"" };
    let mut value = Vec::new();
    challenge.answer(&answer, &mut value).unwrap();
    let accepted = ask(2, &format!("Authorization: {}\r\n", text(&value)));
    assert_eq!(accepted.status().unwrap().code(), 200);
}

/// A client of the control socket that hears every event.
fn follower(data: &Path) -> Client {
    let mut client = Client::of(data);
    client.hears("hello");
    client.says(r#"{"id":1,"follow":0}"#);
    client.hears("following");
    client
}

/// How many registrations the database has.
fn registrations(data: &Path) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("switch.db"));
        let mut connection = options.connect().await.unwrap();
        let count = sqlx::query_scalar("SELECT count(*) FROM bindings").fetch_one(&mut connection).await;
        count.unwrap()
    })
}

#[test]
fn while_the_disk_takes_nothing_the_switch_answers_says_so_and_loses_nothing() {
    let data = tempfile::tempdir().unwrap();
    // Whose files may not grow hears of it by an error, as of a full disk, if it does not want the signal.
    let mut command = Command::new("sh");
    command.env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = softswitch().get_program().to_owned();
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(program);
    let running = Running::start_by(command, data.path(), &[]);
    let mut client = follower(data.path());
    let may_grow = |bytes: &str| {
        let limit =
            ["--pid", &running.child.id().to_string(), &format!("--fsize={bytes}:")].map(String::from);
        assert!(Command::new("prlimit").args(limit).status().unwrap().success());
    };
    let (phone, other) = (phone(), phone());
    may_grow("0");
    register(&running, &phone, "one");
    client.hears("alarm_raised");
    register(&running, &other, "two");
    assert!(running.options(&phone).starts_with("SIP/2.0 200 OK\r\n"), "it answers meanwhile");
    may_grow("unlimited");
    client.hears("alarm_cleared");
    running.stop();
    assert_eq!(registrations(data.path()), 2, "both were acknowledged");
}
