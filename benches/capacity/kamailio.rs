//! Kamailio as a registrar and proxy that keeps bindings in memory and asks every user for the same password, with rtpengine, whose
//! packets pass through its own process, where sound is to be relayed.

use crate::server::{ANSWERING, Kind, Programs, SOUND};
use crate::work::Work;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where rtpengine takes commands.
const CONTROL: &str = "127.0.0.1:22223";

/// The folder of its modules, whatever this machine's architecture is called.
pub(crate) fn modules() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path().join("kamailio/modules"));
    folders.chain([PathBuf::from("/usr/lib/kamailio/modules")]).find(|folder| folder.is_dir())
}

pub(crate) fn prepare(folder: &Path, work: Work, programs: &Programs) -> Result<Vec<Command>> {
    let program = programs.kamailio.as_deref().context("Kamailio is installed")?;
    let config = folder.join("kamailio.cfg");
    fs::write(&config, configuration(folder, work))?;
    let mut kamailio = Command::new(program);
    // -DD: stays in the foreground; -m, -M: megabytes of shared memory and of each process
    kamailio.args(["-DD", "-E", "-m", "256", "-M", "16", "-Y"]).arg(folder);
    kamailio.arg("-P").arg(folder.join("kamailio.pid")).arg("-f").arg(&config);
    if work != Work::Relay {
        return Ok(vec![kamailio]);
    }
    let mut relay = Command::new(programs.rtpengine.as_deref().context("rtpengine is installed")?);
    relay.args([
        "--foreground",
        "--table=-1",
        "--interface=127.0.0.1",
        "--config-file=none",
        "--log-stderr",
        "--log-level=3",
    ]);
    relay.arg(format!("--listen-ng={CONTROL}"));
    relay.arg(format!("--port-min={}", SOUND.start())).arg(format!("--port-max={}", SOUND.end()));
    relay.arg(format!("--pidfile={}", folder.join("rtpengine.pid").display()));
    Ok(vec![kamailio, relay])
}

fn configuration(folder: &Path, work: Work) -> String {
    let (address, tls) = (Kind::Kamailio.address(), Kind::Kamailio.tls_address());
    let (tls_line, tls_module) = match work {
        Work::RegisterTls => (
            format!("enable_tls=yes\nlisten=tls:{tls}\n"),
            format!(
                "loadmodule \"tls.so\"\nmodparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\nmodparam(\"tls\", \"certificate\", \"{0}/server.pem\")\n\
                 modparam(\"tls\", \"private_key\", \"{0}/server.key\")\n",
                folder.display()
            ),
        ),
        _ => (String::new(), String::new()),
    };
    let (relay_module, relay_offer) = if work == Work::Relay {
        (
            format!(
                "loadmodule \"rtpengine.so\"\nmodparam(\"rtpengine\", \"rtpengine_sock\", \"udp:{CONTROL}\")\n"
            ),
            "rtpengine_manage();",
        )
    } else {
        (String::new(), "")
    };
    format!(
        r#"#!KAMAILIO
debug=0
log_stderror=yes
children=2
tcp_children=2
tcp_max_connections=4096
auto_aliases=no
listen=udp:{address}
listen=tcp:{address}
{tls_line}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
{tls_module}{relay_module}
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_contacts", 1)
modparam("auth", "nonce_expire", 3600)
request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (has_totag()) {{
    if (loose_route()) {{
      if (is_method("BYE")) route(SOUND);
      t_relay();
    }} else if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); }}
    else {{ sl_send_reply("404", "Not Found"); }}
    exit;
  }}
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("$fd", "secret", "0")) {{ www_challenge("$fd", "1"); exit; }}
    save("location");
    exit;
  }}
  if (is_method("INVITE")) {{
    if (!pv_proxy_authenticate("$fd", "secret", "0")) {{ proxy_challenge("$fd", "1"); exit; }}
    consume_credentials();
  }}
  record_route();
  if ($rU =~ "^8") {{ $du = "sip:127.0.0.1:{ANSWERING}"; }}
  else if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
  if (is_method("INVITE")) {{ route(SOUND); t_on_reply("ANSWER"); }}
  t_relay();
}}
route[SOUND] {{ {relay_offer} return; }}
onreply_route[ANSWER] {{ if (has_body("application/sdp")) route(SOUND); }}
"#
    )
}
