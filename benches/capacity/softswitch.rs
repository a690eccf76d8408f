//! Our switch: the laboratory configuration (`benches/lab.toml`), with what a piece of work needs beside it.

use crate::server::{Kind, Programs};
use crate::work::Work;
use anyhow::Result;
use std::path::Path;
use std::process::Command;

const LAB: &str = include_str!("../lab.toml");

pub(crate) fn prepare(folder: &Path, work: Work, programs: &Programs) -> Result<Vec<Command>> {
    let mut config = LAB.to_owned();
    match work {
        Work::RegisterTls => config.push_str(&format!(
            "\n[[listener]]\naddress = \"{}\"\ntransport = \"tls\"\n\
             [tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n",
            Kind::Softswitch.tls_address()
        )),
        Work::Record => {
            config = config.replace("password = \"secret\"", "password = \"secret\"\nrecord = true")
        }
        Work::RegisterUdp
        | Work::RegisterTcp
        | Work::Signalling
        | Work::Relay
        | Work::Transcode
        | Work::Room
        | Work::RoomsOfTen
        | Work::RoomsOfFour
        | Work::Mixed => {}
    }
    let file = folder.join("softswitch.toml");
    std::fs::write(&file, config)?;
    let mut command = Command::new(&programs.softswitch);
    command.arg("run").arg("--config").arg(&file).arg("--data").arg(folder.join("data"));
    Ok(vec![command])
}
