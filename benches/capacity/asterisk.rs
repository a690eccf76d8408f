//! Asterisk: the same users, rooms and static peer. Modules that the work does not need are not loaded, calls are not recorded in a
//! database, and sound always passes through it, as it does through the switch.

use crate::server::{ANSWERING, Kind, Programs, SOUND, USERS};
use crate::work::Work;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

const MODULES: &[&str] = &[
    "res_timing_timerfd",
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_sorcery_astdb",
    "res_pjproject",
    "res_pjsip",
    "res_pjsip_session",
    "res_pjsip_pubsub",
    "res_pjsip_sdp_rtp",
    "res_pjsip_registrar",
    "res_pjsip_authenticator_digest",
    "res_pjsip_outbound_authenticator_digest",
    "res_pjsip_endpoint_identifier_user",
    "res_pjsip_caller_id",
    "res_pjsip_nat",
    "res_rtp_asterisk",
    "res_format_attr_opus",
    "chan_pjsip",
    "codec_ulaw",
    "codec_alaw",
    "codec_a_mu",
    "codec_resample",
    "codec_opus_open_source",
    "format_wav",
    "bridge_simple",
    "bridge_native_rtp",
    "bridge_softmix",
    "bridge_holding",
    "bridge_builtin_features",
    "pbx_config",
    "app_dial",
    "app_confbridge",
    "app_mixmonitor",
    "func_channel",
];

pub(crate) fn prepare(folder: &Path, work: Work, programs: &Programs) -> Result<Vec<Command>> {
    let installed = programs.asterisk.as_deref().context("Asterisk is installed")?;
    let etc = folder.join("etc");
    for name in ["etc", "lib", "spool", "run", "log", "cache"] {
        fs::create_dir_all(folder.join(name))?;
    }
    let modules = modules(installed)?;
    let root = installed.join("root");
    let mut directories = String::from("[directories]\n");
    for (name, place) in [
        ("astcachedir", folder.join("cache")),
        ("astetcdir", etc.clone()),
        ("astmoddir", modules.clone()),
        ("astvarlibdir", folder.join("lib")),
        ("astdbdir", folder.join("lib")),
        ("astkeydir", folder.join("lib")),
        ("astdatadir", root.join("usr/share/asterisk")),
        ("astagidir", folder.join("lib")),
        ("astspooldir", folder.join("spool")),
        ("astrundir", folder.join("run")),
        ("astlogdir", folder.join("log")),
        ("astsbindir", folder.to_owned()),
    ] {
        writeln!(directories, "{name} => {}", place.display())?;
    }
    directories
        .push_str("[options]\nverbose = 0\ndebug = 0\nmaxfiles = 65536\ndocumentation_language = en_US\n");
    fs::write(etc.join("asterisk.conf"), directories)?;
    let there = MODULES.iter().filter(|name| modules.join(format!("{name}.so")).exists());
    let loads: String = there.map(|name| format!("load = {name}.so\n")).collect();
    fs::write(etc.join("modules.conf"), format!("[modules]\nautoload=no\n{loads}"))?;
    fs::write(etc.join("pjsip.conf"), endpoints(folder, work))?;
    fs::write(etc.join("extensions.conf"), extensions(folder, work))?;
    fs::write(
        etc.join("confbridge.conf"),
        "[general]\n[room]\ntype=bridge\nmax_members=1100\n[member]\ntype=user\nquiet=yes\nmusic_on_hold_when_empty=no\n",
    )?;
    fs::write(
        etc.join("rtp.conf"),
        format!("[general]\nrtpstart={}\nrtpend={}\n", SOUND.start(), SOUND.end()),
    )?;
    fs::write(etc.join("logger.conf"), "[general]\n[logfiles]\nmessages => warning,error\n")?;
    for (name, key) in [("cdr", "enable"), ("cel", "enable"), ("manager", "enabled"), ("http", "enabled")] {
        fs::write(etc.join(format!("{name}.conf")), format!("[general]\n{key}=no\n"))?;
    }
    for name in [
        "features",
        "codecs",
        "stasis",
        "udptl",
        "ccss",
        "acl",
        "pjproject",
        "sorcery",
        "dnsmgr",
        "indications",
    ] {
        fs::write(etc.join(format!("{name}.conf")), "")?;
    }
    let mut command = Command::new(installed.join("asterisk"));
    command.arg("-f").arg("-C").arg(etc.join("asterisk.conf")).current_dir(folder);
    Ok(vec![command])
}

fn modules(installed: &Path) -> Result<std::path::PathBuf> {
    let libraries = fs::read_dir(installed.join("root/usr/lib"))?;
    let mut folders = libraries.flatten().map(|entry| entry.path().join("asterisk/modules"));
    folders.find(|folder| folder.is_dir()).context("Asterisk has modules")
}

fn endpoints(folder: &Path, work: Work) -> String {
    let (address, tls) = (Kind::Asterisk.address(), Kind::Asterisk.tls_address());
    let mut text = format!(
        "[global]\ntype=global\nendpoint_identifier_order=username\n\
         [udp]\ntype=transport\nprotocol=udp\nbind={address}\n[tcp]\ntype=transport\nprotocol=tcp\nbind={address}\n"
    );
    if work == Work::RegisterTls {
        let file = |name: &str| folder.join(name).display().to_string();
        text += &format!(
            "[tls]\ntype=transport\nprotocol=tls\nbind={tls}\ncert_file={}\npriv_key_file={}\nmethod=tlsv1_2\n",
            file("server.pem"),
            file("server.key")
        );
    }
    text += "[user](!)\ntype=endpoint\ncontext=phones\ndisallow=all\nallow=ulaw,alaw,opus\ndirect_media=no\n\
             [password](!)\ntype=auth\nauth_type=userpass\npassword=secret\n\
             [bindings](!)\ntype=aor\nmax_contacts=1\nremove_existing=yes\n";
    for user in USERS {
        text += &format!(
            "[{user}](user)\nauth={user}\naors={user}\n[{user}](password)\nusername={user}\n[{user}](bindings)\n"
        );
    }
    text + &format!("[uas](user)\naors=uas\n[uas]\ntype=aor\ncontact=sip:127.0.0.1:{ANSWERING}\n")
}

fn extensions(folder: &Path, work: Work) -> String {
    let monitor = match work {
        Work::Record => format!(" same => n,MixMonitor({}/spool/${{UNIQUEID}}.wav)\n", folder.display()),
        Work::RegisterUdp
        | Work::RegisterTcp
        | Work::RegisterTls
        | Work::Signalling
        | Work::Relay
        | Work::Transcode
        | Work::Room
        | Work::RoomsOfTen
        | Work::RoomsOfFour
        | Work::Mixed => String::new(),
    };
    format!(
        "[general]\nstatic=yes\nwriteprotect=yes\n[phones]\nexten => _1XXX,1,NoOp()\n{monitor} same => n,Dial(PJSIP/${{EXTEN}},60)\n\
         exten => _8XXX,1,Dial(PJSIP/${{EXTEN}}@uas,60)\nexten => _3XXX,1,Answer()\n same => n,ConfBridge(${{EXTEN}},room,member)\n"
    )
}
