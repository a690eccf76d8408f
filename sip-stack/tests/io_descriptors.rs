//! A process that has no descriptor left: accepting pauses, does not spin, and goes on. The limit is the whole
//! process's, so the test has a binary to itself.
#![cfg(all(feature = "io", unix))]

mod io_kit;

use io_kit::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sip_stack::transport::Transport;
use std::time::Duration;

#[test]
fn without_a_descriptor_accepting_pauses_and_goes_on() {
    let mut owner = Owner::start(listening(Transport::Tcp));
    let phone = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let usual = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..usual }).unwrap();
    // The system connects it for us, into the backlog.
    phone.connect(&owner.address().into()).unwrap();
    while owner.streams.counters().accept_pauses == 0 {
        std::thread::yield_now();
    }
    setrlimit(Resource::Nofile, usual).unwrap();
    owner.pass(Duration::from_millis(500));
    assert_eq!(owner.streams.counters().accept_pauses, 1, "it waits before it tries again");
    assert_eq!(owner.streams.counters().accepted, 0);
    owner.pass(Duration::from_secs(1));
    let (flow, _) = owner.opened();
    assert_eq!(flow.peer, phone.local_addr().unwrap().as_socket().unwrap());
}
