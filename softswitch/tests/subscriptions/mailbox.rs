//! Messages that wait (RFC 3842).

use crate::world::{World, body};
use softswitch::config::Mailbox;

const USERS: &str = "[[users]]\nfrom = 1000\nto = 1009\npassword = \"secret\"\n";

fn with_mailbox(user: &str, mailbox: Mailbox) -> softswitch::config::Config {
    let mut config = World::config(USERS);
    for domain in config.domains.values_mut() {
        domain.mailboxes.insert(user.into(), mailbox);
    }
    config
}

#[test]
fn counts_are_told_at_once_and_when_the_operator_changes_them() {
    let mut world = World::new("", &["1001", "1002"]);
    let (_, first) = world.watch("1001", "1001", "message-summary");
    let account = "Message-Account: sip:1001@127.0.0.1:5060\r\n";
    assert_eq!(body(&first), format!("Messages-Waiting: no\r\n{account}Voice-Message: 0/0\r\n"));
    world.pass(2_000);
    let mailbox = Mailbox { new: 2, old: 8, urgent_new: 1, urgent_old: 0 };
    world.configure(with_mailbox("1001", mailbox));
    let told = body(&world.notified("1001"));
    assert_eq!(told, format!("Messages-Waiting: yes\r\n{account}Voice-Message: 2/8 (1/0)\r\n"));
    world.pass(2_000);
    world.configure(with_mailbox("1001", mailbox));
    assert!(world.is_quiet(), "nothing has changed");
    world.configure(with_mailbox("1002", mailbox));
    assert!(body(&world.notified("1001")).starts_with("Messages-Waiting: no"));
}

/// A peer at the address of all phones here, which has the mailbox of this user.
fn carrier(of: &str) -> String {
    format!("[[peer]]\nid = \"carrier\"\naddress = \"127.0.0.1:7200\"\nmailbox_of = \"{of}\"\n")
}

const SUMMARY: &str = "application/simple-message-summary";
const TWO: &str = "Messages-Waiting: yes\r\nVoice-Message: 2/8 (1/0)\r\n";

#[test]
fn what_a_peer_tells_of_its_mailbox_of_a_user_is_told_to_the_user() {
    let mut world = World::new(&carrier("1001"), &["1001", "1002"]);
    let (_, first) = world.watch("1001", "1001", "message-summary");
    assert!(body(&first).starts_with("Messages-Waiting: no"), "{}", body(&first));
    world.watch("1002", "1002", "message-summary");
    world.pass(2_000);
    assert_eq!(world.tells_of_mailbox(7_200, SUMMARY, TWO), 200);
    let told = body(&world.notified("1001"));
    assert!(told.contains("Messages-Waiting: yes") && told.contains("2/8 (1/0)"), "{told}");
    world.pass(2_000);
    assert_eq!(world.tells_of_mailbox(7_200, SUMMARY, TWO), 200);
    assert!(world.is_quiet(), "nothing new, and nobody else's");
    let (_, late) = world.watch("1001", "1001", "message-summary");
    assert!(body(&late).contains("2/8"));
    world.pass(2_000);
    assert_eq!(world.tells_of_mailbox(7_200, SUMMARY, "Messages-Waiting: yes\r\n"), 200);
    assert!(body(&world.notified("1001")).contains("1/0"), "somebody who does not count");
    world.pass(2_000);
    world.notifies.clear();
    world.reload("");
    assert!(body(&world.notified("1001")).starts_with("Messages-Waiting: no"), "the peer is gone");
}

#[test]
fn strangers_and_what_cannot_be_read_light_no_lamp() {
    let mut world = World::new("", &["1001"]);
    assert_eq!(world.tells_of_mailbox(7_200, SUMMARY, TWO), 481, "nobody's mailbox");
    let elsewhere = carrier("1001").replace("127.0.0.1", "192.0.2.7");
    let mut world = World::new(&elsewhere, &["1001"]);
    assert_eq!(world.tells_of_mailbox(7_200, SUMMARY, TWO), 481, "another address");
    let mut world = World::new(&carrier("1001"), &["1001"]);
    assert_eq!(world.tells_of_mailbox(7_200, "text/plain", TWO), 415);
    assert_eq!(world.tells_of_mailbox(7_200, SUMMARY, "Messages-Waiting: perhaps\r\n"), 400);
}
