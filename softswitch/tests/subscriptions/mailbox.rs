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
