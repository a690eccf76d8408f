//! The switch reads its configuration again while calls are up: they go on, whatever has changed.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use benches::crash::{Crowd, Plan};
use std::time::{Duration, Instant};
use tests::ports::Ports;

const CALLS: usize = 5;

#[test]
fn calls_go_on_while_users_peers_routes_limits_and_recordings_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut ports = Ports::claim();
    let port = ports.udp(1);
    let wanted = 4 * CALLS as u16 + 20;
    let first = ports.udp(wanted);
    let plan = Plan {
        binary: tests::switch::binary(),
        folder: folder.path().to_owned(),
        port,
        media: (first, first + wanted - 1),
        calls: CALLS,
        phones: 2 * CALLS,
        talk: Duration::from_secs(1),
    };
    plan.configure();
    let running = plan.start();
    let mut crowd = Crowd::new(&plan);
    crowd.register_all();
    crowd.call_all(CALLS);
    assert!(!crowd.has_user(4_000));
    // What cannot be taken over takes nothing over.
    plan.configure_with("[[user]]\nid = \"4000\"\npassword = \"secret\"\n[[peer]]\nid = \"nowhere\"\n");
    running.reload();
    crowd.talk(Duration::from_secs(1));
    assert!(!crowd.has_user(4_000));
    plan.configure_with(
        "[[user]]\nid = \"4000\"\npassword = \"secret\"\n[[peer]]\nid = \"carrier\"\naddress = \"127.0.0.1:9\"\n\
         [[route]]\npattern = \"8X\"\npeer = \"carrier\"\n[recording]\nfolder = \"elsewhere\"\n[records]\nkeep_days = 9\n\
         [dns]\nservers = [\"127.0.0.1\"]\n[session_timer]\nask = false\n",
    );
    running.reload();
    let until = Instant::now() + Duration::from_secs(30);
    while !crowd.has_user(4_000) {
        assert!(Instant::now() < until, "the reload takes effect");
    }
    crowd.talk(Duration::from_secs(1));
    assert_eq!(crowd.hear_byes(Duration::from_secs(1)).heard, 0, "no call has ended");
    running.stop();
}
