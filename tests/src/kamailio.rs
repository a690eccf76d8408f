//! Kamailio as a proxy between phones and the switch: it writes Path into their registrations (RFC 3327), stays in the
//! way of their calls (Record-Route, RFC 3261 §16.6), and takes from the switch only what that Path leads to.
//!
//! Facts about Debian 12's Kamailio 5.6 that shape this file:
//! - The module `path` writes Path whether the phone announces the extension or not.
//! - What the switch sends to a phone carries the Path as Route without a To tag: `loose_route_preloaded()` takes that,
//!   `loose_route()` does not.
//! - Its processes outlive the first one when that is killed, so it is asked to end.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::ports::{self, Ports};
use crate::process::Program;

/// The programs a [`Kamailio`] needs.
pub const PROGRAMS: [&str; 1] = ["kamailio"];

/// A running proxy.
pub struct Kamailio {
    program: Option<Program>,
    address: SocketAddr,
}

impl Kamailio {
    /// Starts a proxy before `registrar`, with its files in `folder`; it listens over UDP when this returns.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, ports: &mut Ports, registrar: SocketAddr) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.udp(1)));
        let config = folder.join("kamailio.cfg");
        fs::write(&config, configuration(address, registrar)).expect("the proxy is configured");
        let mut command = Command::new("kamailio");
        // -DD: stays in the foreground; -m, -M: megabytes of shared memory and of each process
        command.args(["-DD", "-E", "-m", "16", "-M", "4", "-Y"]).arg(folder);
        command.arg("-P").arg(folder.join("kamailio.pid")).arg("-f").arg(&config).current_dir(folder);
        let program = Program::start("kamailio", &mut command);
        program.until("listens", || ports::is_bound(address.port()));
        Self { program: Some(program), address }
    }

    /// Where phones register.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the proxy.
    ///
    /// # Panics
    /// When it does not end, or ends with an error.
    pub fn stop(mut self) {
        if let Some(mut program) = self.program.take() {
            program.terminate();
            let status = program.finish();
            assert!(status.success(), "kamailio ended with {status}: {}", program.lines().join("\n"));
        }
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if let Some(program) = &mut self.program {
            program.terminate();
            // with or without an end, nothing more can be done
            let _ended = program.has_ended();
        }
    }
}

fn configuration(address: SocketAddr, registrar: SocketAddr) -> String {
    let port = registrar.port();
    format!(
        r#"#!KAMAILIO
debug=2
log_stderror=yes
children=2
disable_tcp=yes
auto_aliases=no
listen=udp:{address}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "path.so"
modparam("path", "use_received", 1)
modparam("rr", "enable_full_lr", 1)
request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("CANCEL")) {{
    if (t_check_trans()) t_relay();
    exit;
  }}
  if (has_totag()) {{
    if (loose_route()) {{ t_relay(); }}
    else if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); }}
    else {{ sl_send_reply("404", "Not Found"); }}
    exit;
  }}
  if (src_ip == 127.0.0.1 && src_port == {port}) {{
    if (!loose_route_preloaded()) {{ sl_send_reply("404", "No Route"); exit; }}
    record_route();
    t_relay();
    exit;
  }}
  if (is_method("REGISTER")) {{ add_path_received(); }} else {{ record_route(); }}
  $du = "sip:{registrar}";
  t_relay();
}}
"#
    )
}
