//! Whole files: what they resolve to, and what is said about their faults.

use super::*;
use crate::store::StoredUser;
use sip_stack::auth::Algorithm;

/// The least a file needs, in one line.
const LISTENER: &str = "listener = [{ address = \"0.0.0.0:5060\" }]\n";

fn load(text: &str) -> Config {
    parse("softswitch.toml", text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What is said about a file whose first line is [`LISTENER`].
fn complaint(text: &str) -> String {
    parse("softswitch.toml", &format!("{LISTENER}{text}")).unwrap_err().to_string()
}

fn first_domain(config: &Config) -> &Domain {
    &config.domains[&DomainId(0)]
}

#[test]
fn each_fault_is_told_with_line_and_remedy() {
    let wrong: String = FAULTS
        .iter()
        .filter(|(text, expected)| complaint(text) != *expected)
        .map(|(text, expected)| format!("{text}\nexpected {expected}\ntold     {}\n\n", complaint(text)))
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
}

/// Text after the listener's line, and what is said about it.
const FAULTS: &[(&str, &str)] = &[
    (
        "[[route]]\npattern = \"1\"\nservice = \"echo\"\nmode = \"proxy\"\n",
        "softswitch.toml:5: a service is played by the switch, which with mode = \"proxy\" has no part in the media; remove mode",
    ),
    (
        "[[peer]]\nid = \"p\"\naddress = \"192.0.2.1\"\n[[route]]\npattern = \"1\"\npeer = \"p\"\nrecord = true\nmode = \"proxy\"\n",
        "softswitch.toml:9: calls with mode = \"proxy\" do not pass through the switch and cannot be recorded; remove record, or mode",
    ),
    (
        "[[peer]]\nid = \"p\"\naddress = \"sip.example.com\"\n[[route]]\npattern = \"1\"\npeer = \"p\"\nmode = \"proxy\"\n",
        "softswitch.toml:7: mode = \"proxy\" needs a peer whose address is an IP address, over udp or tcp; \"p\" is none, so remove mode",
    ),
    (
        "[[domain]]\nname = \"a\"\nmode = \"proxy\"\n[[user]]\nid = \"1\"\npassword = \"p\"\nrecord = true\n",
        "softswitch.toml:6: calls of user \"1\" are to be recorded, but domain \"a\" has mode = \"proxy\", and its calls do not pass \
         through the switch; remove record and record_on_request of the user, or mode of the domain",
    ),
    (
        "[[domain]]\nname = \"a\"\nmode = \"fast\"\n",
        "softswitch.toml:4: mode = \"fast\" is not \"anchored\" or \"proxy\"; for example mode = \"proxy\"",
    ),
    (
        "[[user]]\nid = \"1000\"\npassword = \"a\"\n\n[[user]]\nid = \"1000\"\npassword = \"b\"\n",
        "softswitch.toml:7: user \"1000\" is defined twice in domain \"default\" (first in line 3); remove one of them",
    ),
    (
        "[[users]]\nfrom = 1000\nto = 1009\npassword = \"a\"\n[[user]]\nid = \"1005\"\npassword = \"b\"\n",
        "softswitch.toml:7: user \"1005\" is defined twice in domain \"default\" (first in line 3); remove one of them",
    ),
    (
        "[[user]]\nid = \"1000\"\npasword = \"a\"\n",
        "softswitch.toml:3: user \"1000\" has no password; add a line password = \"…\" (or ha1 and ha1_sha256)\n\
         softswitch.toml:4: unknown key \"pasword\" in [[user]]; did you mean password?",
    ),
    (
        "[limits]\ncolour = 1\n",
        "softswitch.toml:3: unknown key \"colour\" in [limits]; remove it; known here: calls, nonces, subscriptions, subscriptions_per_user, transactions",
    ),
    ("[[usr]]\n", "softswitch.toml:2: unknown key \"usr\" in the file; did you mean user?"),
    (
        "[user]\nid = \"1000\"\n",
        "softswitch.toml:2: [[user]] is written otherwise; begin each with a line [[user]]",
    ),
    (
        "[[user]]\nid = 1000\npassword = \"a\"\n",
        "softswitch.toml:3: id must be text in quotes, not a whole number; for example id = \"1000\"",
    ),
    ("[[user]]\npassword = \"a\"\n", "softswitch.toml:2: [[user]] lacks id; add a line id = \"1000\""),
    (
        "[[user]]\nid = \"a b\"\npassword = \"a\"\n",
        "softswitch.toml:3: id = \"a b\" is not a name of letters, digits and - _ . ! ~ * ' ( ) +, at most 64 of \
         them; for example id = \"1000\"",
    ),
    (
        "[[user]]\nid = \"1000\"\npassword = \"\"\n",
        "softswitch.toml:4: password is not a text of at least one character; replace it",
    ),
    (
        "[[user]]\nid = \"1000\"\nha1 = \"0123\"\n",
        "softswitch.toml:4: ha1 is not the MD5 of user:domain:password as 32 hexadecimal digits; replace it",
    ),
    (
        "[[user]]\nid = \"1000\"\nha1 = \"3d78807defe7de2157e2b0b6573a855f\"\n[[domain]]\nname = \"default\"\ndigest = [\"SHA-256\", \"MD5\"]\n",
        "softswitch.toml:3: user \"1000\" has no ha1_sha256, and domain \"default\" offers SHA-256; add ha1_sha256, \
         use password instead, or take SHA-256 out of the domain's digest",
    ),
    (
        "[[user]]\nid = \"1000\"\npassword = \"a\"\nha1 = \"3d78807defe7de2157e2b0b6573a855f\"\n",
        "softswitch.toml:3: user \"1000\" has a password and ha1; keep one of them",
    ),
    (
        "[[user]]\nid = \"1000\"\npassword = \"a\"\nring_s = 0\n",
        "softswitch.toml:5: ring_s = \"0\" is out of range; choose a number from 1 to 3600",
    ),
    (
        "[[user]]\nid = \"1000\"\npassword = \"a\"\nlatching = [\"symmetric\", \"10.0.0.0/8\"]\n",
        "softswitch.toml:5: latching = \"a mixture\" is not \"symmetric\", \"sdp-only\" or a list of IP networks; for \
         example latching = \"symmetric\"",
    ),
    (
        "[[user]]\nid = \"1000\"\npassword = \"a\"\nlatching = []\n",
        "softswitch.toml:5: latching is empty; for example latching = \"symmetric\", or remove the line",
    ),
    (
        "[[users]]\nfrom = 2\nto = 1\npassword = \"a\"\n",
        "softswitch.toml:3: from is more than to; make from the smaller",
    ),
    (
        "[[users]]\nfrom = 1\nto = 100001\npassword = \"a\"\n",
        "softswitch.toml:3: this block has 100001 users, and 100000 are possible; make it smaller or split it",
    ),
    (
        "[[users]]\nfrom = 1\nto = 2\n",
        "softswitch.toml:2: [[users]] lacks password; add a line password = \"a-long-random-one\"",
    ),
    (
        "[[listener]]\naddress = \"0.0.0.0:5060\"\n",
        "softswitch.toml:2: this is not valid TOML: duplicate key; correct this line",
    ),
    (
        "[media]\nports = \"5000-6000\"\n",
        "softswitch.toml:1: port 5060 of this listener lies in the media ports; choose another port, or other ports \
         in [media]",
    ),
    (
        "[media]\nports = \"6000-5000\"\n",
        "softswitch.toml:3: ports = \"6000-5000\" is not a range of at least four ports with the lower one first; for \
         example ports = \"40000-59999\"",
    ),
    (
        "[dns]\nservers = [\"dns.example.com\"]\n",
        "softswitch.toml:3: servers = \"dns.example.com\" is not an IP address, with or without a port; for example \
         servers = [\"192.0.2.53\"]",
    ),
    (
        "[prompts]\nlanguage = \"../en\"\n",
        "softswitch.toml:3: language = \"../en\" is not lower-case letters, digits and hyphens; for example \
         language = \"ru\"",
    ),
    (
        "[dns]\nservers = []\n",
        "softswitch.toml:3: servers is empty; for example servers = [\"192.0.2.53\"], or remove the line",
    ),
    (
        "[media]\nadvertise = [\"192.0.2.1\", \"192.0.2.2\"]\n",
        "softswitch.toml:3: advertise holds two addresses of one family; keep one IPv4 and at most one IPv6 address",
    ),
    (
        "[[domain]]\nname = \"a.example\"\naliases = [\"10.0.0.5\"]\n[[domain]]\nname = \"b.example\"\naliases = [\"A.example.\"]\n",
        "softswitch.toml:7: aliases = \"A.example.\" is not a host name or IP address; for example aliases = \
         [\"10.0.0.5\"]",
    ),
    (
        "[[domain]]\nname = \"a.example\"\n[[domain]]\nname = \"b.example\"\naliases = [\"A.example\"]\n",
        "softswitch.toml:5: the domain name \"a.example\" is taken (first in line 3); remove one of them",
    ),
    (
        "[[domain]]\nname = \"a.example\"\ndefault = true\n[[domain]]\nname = \"b.example\"\ndefault = true\n",
        "softswitch.toml:7: a second domain is the default (the first is that of line 4); remove one of the two \
         default = true",
    ),
    (
        "[[domain]]\nname = \"a.example\"\n[[domain]]\nname = \"b.example\"\n[[user]]\nid = \"1\"\npassword = \"a\"\n",
        "softswitch.toml:6: [[user]] names no domain, and no domain is the default; add a line domain, or default = \
         true to a [[domain]]",
    ),
    (
        "[[domain]]\nname = \"a.example\"\n[[user]]\nid = \"1\"\npassword = \"a\"\ndomain = \"a.exmaple\"\n",
        "softswitch.toml:7: there is no domain \"a.exmaple\"; did you mean \"a.example\"? If not, add a [[domain]] of \
         this name",
    ),
    (
        "[[domain]]\nname = \"a.example\"\ndigest = [\"SHA-1\"]\n",
        "softswitch.toml:4: digest = \"SHA-1\" is not a digest algorithm; for example digest = [\"SHA-256\", \"MD5\"]",
    ),
    (
        "[[domain]]\nname = \"a.example\"\n[domain.registration]\nmax_expires_s = 600\n",
        "softswitch.toml:5: default_expires_s is more than max_expires_s; make default_expires_s the smaller",
    ),
    (
        "[[peer]]\nid = \"uas\"\naddress = \"sip example com\"\n[[route]]\npattern = \"8XXX\"\npeer = \"uas\"\n",
        "softswitch.toml:4: address = \"sip example com\" is not an IP address or a host name, with or without a port; \
         for example address = \"sip.example.com\"",
    ),
    (
        "[[peer]]\nid = \"uas\"\naddress = \"192.0.2.1:5060\"\n[[peer]]\nid = \"uas\"\naddress = \"192.0.2.2:5060\"\n",
        "softswitch.toml:6: peer \"uas\" is defined twice in domain \"default\" (first in line 3); remove one of them",
    ),
    (
        "[[peer]]\nid = \"uas\"\naddress = \"192.0.2.1:5060\"\ntransport = \"wss\"\n",
        "softswitch.toml:2: a peer cannot be reached over WSS, which browsers open alone; use \"udp\", \"tcp\" or \
         \"tls\"",
    ),
    (
        "[[peer]]\nid = \"uas\"\naddress = \"192.0.2.1:5060\"\ntransport = \"tcp\"\n",
        "softswitch.toml:2: no [[listener]] has transport = \"tcp\" and an IPv4 address, which this peer needs to \
         reach us; add one",
    ),
    (
        "[tls]\ncertificate = \"a.pem\"\nkey = \"a.key\"\nclient_certificates = \"require\"\n",
        "softswitch.toml:5: client_certificates = \"require\" needs client_roots; add a line client_roots = \
         \"clients.pem\"",
    ),
    (
        "[[peer]]\nid = \"trunk\"\naddress = \"192.0.2.1:5060\"\n[[route]]\npattern = \"8x\"\npeer = \"trnk\"\n",
        "softswitch.toml:6: pattern = \"8x\" is not digits (and + * #), X for any digit, N for 2-9, Z for 1-9, and a . \
         at the end for one or more of anything; for example pattern = \"8XXX\"",
    ),
    (
        "[[peer]]\nid = \"trunk\"\naddress = \"192.0.2.1:5060\"\n[[route]]\npattern = \"8X\"\npeer = \"trnk\"\n",
        "softswitch.toml:7: domain \"default\" has no peer \"trnk\"; did you mean \"trunk\"? If not, add a [[peer]] of \
         this id",
    ),
    (
        "[[peer]]\nid = \"a\"\naddress = \"192.0.2.1:5060\"\n[[route]]\npattern = \"8X\"\npeer = \"a\"\n[[route]]\npattern = \"8X\"\npeer = \"a\"\n",
        "softswitch.toml:9: pattern \"8X\" is defined twice in domain \"default\" (first in line 6); remove one of them, or \
         give them another order, or other conditions (caller, from, schedule)",
    ),
    (
        "[[peer]]\nid = \"a\"\naddress = \"192.0.2.1:5060\"\n[[route]]\npattern = \"8X\"\npeer = \"a\"\nuser = \"1\"\n",
        "softswitch.toml:6: route \"8X\" does several things; give it one of peer, peers, service, user, group and reject, or \
         a number to dial with strip or prefix",
    ),
    (
        "[[peer]]\nid = \"a\"\naddress = \"192.0.2.1:5060\"\n[[route]]\npattern = \"8X\"\npeer = \"a\"\nschedule = \"ofice\"\n\
         [[schedule]]\nid = \"office\"\nzone = \"UTC\"\nperiods = [\"09:00-18:00\"]\n",
        "softswitch.toml:8: domain \"default\" has no schedule \"ofice\"; did you mean \"office\"? If not, add it",
    ),
    (
        "[[schedule]]\nid = \"office\"\nzone = \"Europe/Moskow\"\nperiods = [\"09:00-18:00\"]\n",
        "softswitch.toml:4: zone = \"Europe/Moskow\" is not a time zone of the IANA database; for example zone = \"Europe/Moscow\"",
    ),
    (
        "[[route]]\npattern = \"8X\"\nreject = 503\n",
        "softswitch.toml:4: reject = \"503\" is not a status from 400 to 699 other than 503; for example reject = 403",
    ),
    (
        "[[group]]\nid = \"sales\"\nnumbers = [\"600\"]\n",
        "softswitch.toml:3: group \"sales\" names no members, and no user says that it is in it; \
         give it members = [\"1001\"], or users groups = [\"sales\"]",
    ),
    (
        "[[user]]\nid = \"112\"\npassword = \"a\"\n[[peer]]\nid = \"a\"\naddress = \"192.0.2.1:5060\"\n",
        "softswitch.toml:3: \"112\" is a number of emergency and dials user \"112\"; give the user another number, or add a line \
         emergency_numbers without \"112\" to the [[domain]]",
    ),
    (
        "[[user]]\nid = \"1\"\npassword = \"a\"\nnumbers = [\"7\"]\n[[user]]\nid = \"2\"\npassword = \"a\"\nnumbers = [\"7\"]\n",
        "softswitch.toml:9: number \"7\" is that of \"1\" already; remove it from one of the two",
    ),
    (
        "[[peer]]\nid = \"a\"\naddress = \"sip.example.com\"\ninbound = true\n",
        "softswitch.toml:5: inbound = true needs a peer whose address is an IP address; name the networks from which it calls: \
         inbound = [\"192.0.2.0/28\"]",
    ),
];

#[test]
fn a_file_without_a_listener_is_told_so_without_a_line() {
    let errors = parse("softswitch.toml", "").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "softswitch.toml: there is no [[listener]]; add one with a line address = \"0.0.0.0:5060\""
    );
}

#[test]
fn listeners_are_told_apart_and_their_transport_must_be_known() {
    let text = "[[listener]]\naddress = \"[::]:5060\"\n[[listener]]\naddress = \"[::]:5060\"\n\
                [[listener]]\naddress = \"0.0.0.0:5060\"\ntransport = \"smoke\"\n[[listener]]\naddress = \"0.0.0.0\"\n";
    assert_eq!(
        parse("softswitch.toml", text).unwrap_err().to_string(),
        "softswitch.toml:4: listener [::]:5060 is defined twice (first in line 2); remove one of them\n\
         softswitch.toml:7: transport = \"smoke\" is not a transport (udp, tcp, tls, ws or wss); for example transport = \"udp\"\n\
         softswitch.toml:9: address = \"0.0.0.0\" is not an IP address with a port (names are not looked up); for \
         example address = \"0.0.0.0:5060\""
    );
}

#[test]
fn udp_and_tcp_share_a_port_and_two_streams_do_not() {
    let listener =
        |transport| format!("[[listener]]\naddress = \"0.0.0.0:5060\"\ntransport = \"{transport}\"\n");
    assert!(parse("softswitch.toml", &[listener("udp"), listener("tcp")].concat()).is_ok());
    let text = [listener("tcp"), listener("ws")].concat();
    assert_eq!(
        parse("softswitch.toml", &text).unwrap_err().to_string(),
        "softswitch.toml:5: listener 0.0.0.0:5060 is defined twice (first in line 2); remove one of them"
    );
}

#[test]
fn a_secure_listener_needs_a_certificate() {
    let text = "[[listener]]\naddress = \"0.0.0.0:5061\"\ntransport = \"tls\"\n";
    assert_eq!(
        parse("softswitch.toml", text).unwrap_err().to_string(),
        "softswitch.toml:2: a TLS listener needs a certificate; add a section [tls] with lines \
         certificate = \"server.pem\" and key = \"server.key\""
    );
}

#[test]
fn certificates_are_names_of_files_and_whom_to_trust() {
    let text = "[[listener]]\naddress = \"0.0.0.0:5061\"\ntransport = \"tls\"\n[tls]\ncertificate = \"a.pem\"\n\
                key = \"a.key\"\nclient_certificates = \"request\"\nclient_roots = \"c.pem\"\nserver_roots = \"s.pem\"\n";
    let tls = parse("softswitch.toml", text).unwrap().tls.unwrap();
    assert_eq!((&*tls.certificate, &*tls.key), ("a.pem", "a.key"));
    assert_eq!(tls.client_certificates, ClientCertificates::Request { roots: "c.pem".into() });
    assert_eq!(tls.server_roots.as_deref(), Some("s.pem"));
}

#[test]
fn all_faults_of_a_file_are_told_at_once_in_the_order_of_lines() {
    let text = "[[user]]\nid = 7\ncolour = 1\n[media]\nports = 5\n[[route]]\n";
    let errors = parse("softswitch.toml", text).unwrap_err();
    let lines: Vec<_> = errors.errors().iter().map(|error| error.line).collect();
    assert_eq!(lines, [None, Some(2), Some(3), Some(5), Some(6), Some(6)].map(|line| line).to_vec());
}

#[test]
fn several_faults_of_syntax_are_told_at_once() {
    let errors = parse("softswitch.toml", "a = \n[[user]]\nid = \"x\nb = 1\n").unwrap_err();
    let lines: Vec<_> = errors.errors().iter().map(|error| error.line).collect();
    assert!(lines.contains(&Some(1)) && lines.contains(&Some(3)), "{errors}");
}

#[test]
fn text_of_the_file_is_escaped_and_cut_where_it_is_shown() {
    let told = complaint("\"a\\u001b[31m\\u202e\\n\" = 1\n");
    assert!(
        told.starts_with("softswitch.toml:2: unknown key \"a\\u{1b}[31m\\u{202e}\\n\" in the file"),
        "{told}"
    );
    let told = complaint(&format!("{} = 1\n", "k".repeat(5_000)));
    assert!(told.contains(&format!("\"{}\"…", "k".repeat(80))) && told.len() < 400, "{told}");
    let errors = parse("bad\n\x1b.toml", "").unwrap_err().to_string();
    assert!(errors.starts_with("bad\\n\\u{1b}.toml: "), "{errors}");
}

#[test]
fn secrets_are_shown_neither_in_faults_nor_by_debug() {
    for secret in
        ["password = \"hunter2\"\nha1 = \"hunter2\"", "password = [\"hunter2\"]", "password = \"hunter2"]
    {
        let told = complaint(&format!("[[user]]\nid = \"1000\"\n{secret}\n"));
        assert!(!told.contains("hunter2"), "{told}");
    }
    let config = load(&format!("{LISTENER}[[user]]\nid = \"1000\"\npassword = \"hunter2\"\n"));
    let credentials = &first_domain(&config).users["1000"].credentials;
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2"));
    let digest = credentials.hex(Algorithm::Md5).unwrap();
    assert!(!shown.contains(core::str::from_utf8(digest.as_bytes()).unwrap()));
}

#[test]
fn an_absurd_number_of_faults_is_cut() {
    let told =
        complaint(&(0..200).map(|index| format!("k{index:03}_nobody_knows = 1\n")).collect::<String>());
    assert_eq!(told.lines().count(), 51);
    assert!(told.ends_with("softswitch.toml: and 150 more errors"), "{told}");
}

/// Uses every key there is.
const EVERYTHING: &str = r#"
[[listener]]
address = "0.0.0.0:5060"
transport = "udp"
advertise = "sip.example.com:5070"
local_networks = ["10.0.0.0/8"]
[[listener]]
address = "[::]:5060"
[media]
ports = "10000-19999"
advertise = ["203.0.113.7", "2001:db8::7"]
local_networks = ["10.0.0.0/8", "fd00::/8"]
silence_s = 30
transcode = false
threads = 4
[[domain]]
name = "a.example"
aliases = ["10.0.0.5", "[2001:DB8::5]"]
digest = ["MD5"]
nonce_lifetime_s = 600
nat = "off"
contact = "source"
[domain.registration]
min_expires_s = 30
default_expires_s = 60
max_expires_s = 120
max_contacts = 3
[[domain]]
name = "b.example"
default = true
[[user]]
id = "1001"
domain = "a.example"
ha1 = "3D78807defe7de2157e2b0b6573a855f"
display_name = "Приёмная"
ring_s = 20
latching = ["192.0.2.0/24", "192.0.3.0/24"]
[[user]]
id = "1001"
password = "secret"
latching = "sdp-only"
[[users]]
from = 2000
to = 2002
domain = "A.EXAMPLE"
password = "secret"
ring_s = 5
latching = "symmetric"
[[peer]]
id = "uas"
domain = "a.example"
address = "127.0.0.1:15080"
transport = "UDP"
overload_control = true
latching = "192.0.2.1"
[[peer]]
id = "other"
domain = "a.example"
address = "[::1]:15080"
[[route]]
domain = "a.example"
pattern = "8."
peer = "other"
[[route]]
domain = "a.example"
pattern = "8XXX"
peer = "uas"
[limits]
transactions = 1_000
calls = 0x64
nonces = 500
subscriptions = 900
subscriptions_per_user = 9
[nat]
keep_alive_s = 20
[dns]
servers = ["192.0.2.53", "[2001:db8::53]:5353"]
[prompts]
folder = "own"
language = "ru"
"#;

#[test]
fn every_key_reaches_the_configuration() {
    let config = load(EVERYTHING);
    assert_eq!(config.listeners.len(), 2);
    let advertise = config.listeners[0].advertise.as_ref().unwrap();
    assert_eq!((&*advertise.host, advertise.port), ("sip.example.com", Some(5070)));
    assert_eq!(config.media.ports, PortRange { first: 10_000, last: 19_999 });
    assert_eq!((config.media.silence_s, config.media.transcode), (Some(30), false));
    assert_eq!(config.media.threads, Some(4));
    assert_eq!(
        config.limits,
        Limits {
            transactions: 1_000,
            calls: 100,
            nonces: 500,
            subscriptions: 900,
            subscriptions_per_user: 9
        }
    );
    assert_eq!(config.keep_alive_s, 20);
    assert_eq!(
        config.prompts,
        Prompts { folder: Some("own".into()), language: "ru".into(), ..Prompts::default() }
    );
    assert_eq!(
        config.name_servers,
        ["192.0.2.53:53", "[2001:db8::53]:5353"].map(|server| server.parse().unwrap())
    );
    let a = first_domain(&config);
    assert_eq!(a.digest, [Algorithm::Md5]);
    assert_eq!(a.nonce_lifetime_s, 600);
    assert_eq!((a.nat, a.contact), (Nat::Off, ContactPolicy::Source));
    assert_eq!(
        a.registration,
        Registration { min_expires_s: 30, default_expires_s: 60, max_expires_s: 120, max_contacts: 3 }
    );
    let user = &a.users["1001"];
    assert_eq!((user.display_name.as_deref(), user.ring_s), (Some("Приёмная"), 20));
    assert!(user.credentials.has(Algorithm::Md5) && !user.credentials.has(Algorithm::Sha256));
    assert!(matches!(&user.latching, Latching::AnyOf(networks) if networks.len() == 2));
    assert_eq!(a.users.len(), 4);
    assert_eq!(a.users["2002"].ring_s, 5);
    assert!(matches!(&a.peers["uas"].latching, Latching::AnyOf(networks) if networks.len() == 1));
    assert!(a.peers["uas"].overload_control && !a.peers["other"].overload_control);
}

#[test]
fn a_configuration_survives_the_snapshot() {
    let config = load(EVERYTHING);
    let bytes = postcard::to_allocvec(&config).unwrap();
    assert_eq!(postcard::from_bytes::<Config>(&bytes).unwrap(), config);
}

#[test]
fn the_same_number_in_two_domains_is_two_users() {
    let config = load(EVERYTHING);
    let [a, b] = [b"a.example".as_slice(), b"b.example"].map(|host| {
        let domain = &config.domains[&config.domain_of_host(host).unwrap()];
        domain.user(b"1001").unwrap().1
    });
    assert_eq!(a.ring_s, 20);
    assert_eq!(b.ring_s, 60);
    assert_ne!(a.credentials, b.credentials);
}

#[test]
fn a_host_is_the_domain_that_has_it_as_name_or_alias_whatever_its_case() {
    let config = load(EVERYTHING);
    let (a, b) = (Some(DomainId(0)), Some(DomainId(1)));
    for (host, expected) in [
        ("a.example", a),
        ("A.Example.", a),
        ("10.0.0.5", a),
        ("[2001:db8::5]", a),
        ("[2001:db8:0::0005]", a),
        ("2001:db8::5", a),
        ("b.example", b),
        ("sip.example.com", b),
        ("localhost", b),
        ("LOCALHOST", b),
        ("192.0.2.1", b),
        ("[::1]", b),
        ("c.example", None),
        ("", None),
        ("[::1", None),
        (&"a".repeat(1_000), None),
    ] {
        assert_eq!(config.domain_of_host(host.as_bytes()), expected, "{host}");
    }
    assert_eq!(config.domain_of_host(b"a.ex\xffmple"), None);
}

#[test]
fn without_a_domain_in_the_file_the_default_one_answers_for_addresses() {
    let config = load(LISTENER);
    assert_eq!(first_domain(&config).name.as_ref(), "default");
    assert_eq!(config.domain_of_host(b"192.0.2.1"), Some(DomainId(0)));
    assert_eq!(config.domain_of_host(b"default"), Some(DomainId(0)));
    assert_eq!(config.domain_of_host(b"a.example"), None);
}

#[test]
fn a_single_domain_is_the_default_unless_it_says_otherwise() {
    let text = format!("{LISTENER}[[domain]]\nname = \"a.example\"\n");
    assert_eq!(load(&text).default_domain, Some(DomainId(0)));
    assert_eq!(load(&format!("{text}default = false\n")).default_domain, None);
}

#[test]
fn a_user_comes_before_a_route_and_a_narrower_route_before_a_wider_one() {
    let config = load(EVERYTHING);
    let domain = first_domain(&config);
    let reached = |number: &str| match domain.route(number.as_bytes()) {
        Some(Target::User { id, .. }) => format!("user {id}"),
        Some(Target::Peer { id, .. }) => format!("peer {id}"),
        Some(Target::Service(service)) => format!("{service:?}"),
        Some(Target::Planned) => "planned".to_owned(),
        None => "nobody".to_owned(),
    };
    assert_eq!(reached("2001"), "user 2001");
    assert_eq!(reached("8123"), "peer uas");
    assert_eq!(reached("81234"), "peer other");
    assert_eq!(reached("7000"), "nobody");
    assert_eq!(domain.route(b"\xff\xfe"), None);
}

#[test]
fn an_exact_user_hides_the_route_of_its_number() {
    let text = format!(
        "{LISTENER}[[user]]\nid = \"8123\"\npassword = \"a\"\n[[peer]]\nid = \"p\"\naddress = \"192.0.2.1:5060\"\n\
         [[route]]\npattern = \"8XXX\"\npeer = \"p\"\n"
    );
    let config = load(&text);
    assert!(matches!(first_domain(&config).route(b"8123"), Some(Target::User { id: "8123", .. })));
    assert!(matches!(first_domain(&config).route(b"8124"), Some(Target::Peer { id: "p", .. })));
}

#[test]
fn what_is_advertised_is_told_to_peers_outside_the_local_networks_only() {
    let config = load("[[listener]]\naddress = \"0.0.0.0:5060\"\nadvertise = \"203.0.113.7\"\n");
    let [inside, outside, outside_v6] =
        ["192.168.1.5", "198.51.100.1", "2001:db8::1"].map(|ip| ip.parse().unwrap());
    let listener = &config.listeners[0];
    assert_eq!(listener.advertised_to(inside), None);
    assert_eq!(listener.advertised_to(outside).and_then(Advertise::ip), "203.0.113.7".parse().ok());
    assert_eq!(config.media.advertised_to(inside), None);
    assert_eq!(config.media.advertised_to(outside), "203.0.113.7".parse().ok());
    assert_eq!(config.media.advertised_to(outside_v6), None);
}

#[test]
fn media_needs_an_address_of_its_own_where_the_listener_advertises_a_name() {
    let text = "[[listener]]\naddress = \"0.0.0.0:5060\"\nadvertise = \"sip.example.com\"\n";
    assert_eq!(
        parse("softswitch.toml", text).unwrap_err().to_string(),
        "softswitch.toml:2: media would be advertised under the name \"sip.example.com\", and phones do not resolve \
         names in SDP; add a line advertise with the IP address to [media]"
    );
    load(&format!("{text}[media]\nadvertise = \"203.0.113.7\"\n"));
}

#[test]
fn a_domain_keeps_its_number_over_a_reload_that_reorders_the_file() {
    let domains = |names: &[&str]| {
        let text: String = names.iter().map(|name| format!("[[domain]]\nname = \"{name}\"\n")).collect();
        load(&format!("{LISTENER}{text}"))
    };
    let running = domains(&["a.example", "b.example"]);
    let mut new = domains(&["c.example", "b.example", "a.example"]);
    new.keep_ids_of(&running);
    assert_eq!(new.domain_of_host(b"a.example"), Some(DomainId(0)));
    assert_eq!(new.domain_of_host(b"b.example"), Some(DomainId(1)));
    assert_eq!(new.domain_of_host(b"c.example"), Some(DomainId(2)));
    assert_eq!(new.domains[&DomainId(2)].name.as_ref(), "c.example");
}

fn stored(domain: &str, id: &str) -> StoredUser {
    StoredUser {
        domain: domain.into(),
        id: id.into(),
        credentials: ha1_of_password(id, domain, "secret"),
        display_name: None,
        ring_s: 30,
        latching: Latching::SdpOnly,
        dtmf: Dtmf::Info,
        language: Some("ru".into()),
        recording: UserRecording { on_request: true, ..UserRecording::default() },
    }
}

#[test]
fn users_made_by_command_join_those_of_the_file() {
    let mut config = load(EVERYTHING);
    config.merge_stored(vec![stored("a.example", "3000"), stored("b.example", "2000")]).unwrap();
    assert_eq!(first_domain(&config).users["3000"].origin, Origin::Store);
    let user = &config.domains[&DomainId(1)].users["2000"];
    assert_eq!(
        (&user.latching, user.dtmf, user.language.as_deref()),
        (&Latching::SdpOnly, Dtmf::Info, Some("ru"))
    );
    assert!(user.recording.on_request && !user.recording.always);
    assert_eq!(first_domain(&config).users["1001"].origin, Origin::File { line: 32 });
}

#[test]
fn a_user_in_the_file_and_in_the_store_is_a_fault_of_the_line_in_the_file() {
    let mut config = load(EVERYTHING);
    let before = config.clone();
    let both = vec![stored("b.example", "9"), stored("a.example", "1001"), stored("gone.example", "7")];
    let errors = config.merge_stored(both).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "softswitch.toml: user \"7\" was made by command in domain \"gone.example\", which this file does not have; \
         add a [[domain]] of this name, or remove the user with: softswitch user remove \"7\" --domain \"gone.example\"\n\
         softswitch.toml:32: user \"1001\" of domain \"a.example\" is defined here and was made by command too; remove it \
         here, or there with: softswitch user remove \"1001\" --domain \"a.example\""
    );
    assert_eq!(config, before);
}

#[test]
fn the_laboratory_differs_from_the_first_configuration_in_users_ports_and_extensions_only() {
    let lab = parse("lab.toml", include_str!("../../../benches/lab.toml")).unwrap();
    let domain = first_domain(&lab);
    assert_eq!(lab.listeners[0].address, "127.0.0.1:5090".parse().unwrap());
    assert_eq!(domain.users.len(), 1_000);
    assert_eq!(domain.users["1999"].credentials, ha1_of_password("1999", "default", "secret"));
    assert!(matches!(domain.route(b"1500"), Some(Target::User { id: "1500", .. })));
    let Some(Target::Peer { peer, .. }) = domain.route(b"8001") else { panic!("8001 leads nowhere") };
    assert_eq!(peer.authority(), "127.0.0.1:15080");

    let mut first = load(&first::generate(&[3; 32]).text);
    first.file.clone_from(&lab.file);
    for (first, lab) in first.listeners.iter_mut().zip(&lab.listeners) {
        first.address = lab.address;
    }
    (first.media.ports, first.media.silence_s) = (lab.media.ports, lab.media.silence_s);
    let own = first.domains.get_mut(&DomainId(0)).unwrap();
    own.users.clone_from(&domain.users);
    own.peers.clone_from(&domain.peers);
    own.routes.clone_from(&domain.routes);
    assert_eq!(first, lab);
}

#[test]
fn how_keys_travel_is_a_setting_of_users_and_peers() {
    let text = format!(
        "{LISTENER}[[user]]\nid = \"1\"\npassword = \"p\"\ndtmf = \"inband\"\n\
         [[users]]\nfrom = 2\nto = 2\npassword = \"p\"\n\
         [[peer]]\nid = \"p\"\naddress = \"192.0.2.1\"\ndtmf = \"info\"\n"
    );
    let config = parse("softswitch.toml", &text).unwrap();
    let domain = first_domain(&config);
    assert_eq!(["1", "2"].map(|user| domain.users[user].dtmf), [Dtmf::Inband, Dtmf::Auto]);
    assert_eq!(domain.peers["p"].dtmf, Dtmf::Info);
}

#[test]
fn calls_between_users_and_those_to_a_peer_are_carried_as_their_domain_and_route_say() {
    let text = "[[domain]]\nname = \"a\"\nmode = \"proxy\"\n[[user]]\nid = \"1000\"\npassword = \"p\"\n\
        [[peer]]\nid = \"p\"\naddress = \"192.0.2.1\"\n[[route]]\npattern = \"8.\"\npeer = \"p\"\nmode = \"proxy\"\n\
        [[route]]\npattern = \"9.\"\npeer = \"p\"\n";
    let config = load(&format!("{LISTENER}{text}"));
    let domain = first_domain(&config);
    assert_eq!(domain.mode, Mode::Proxy);
    let mode = |number: &[u8]| match domain.route(number) {
        Some(Target::Peer { mode, .. }) => mode,
        other => panic!("{other:?}"),
    };
    assert_eq!((mode(b"81"), mode(b"91")), (Mode::Proxy, Mode::Anchored));
    assert_eq!(first_domain(&load(LISTENER)).mode, Mode::Anchored);
}

#[test]
fn a_user_made_by_command_is_not_recorded_where_calls_pass_through() {
    let mut config = load(&format!("{LISTENER}[[domain]]\nname = \"a\"\nmode = \"proxy\"\n"));
    let told = config.merge_stored(vec![stored("a", "1000")]).unwrap_err().to_string();
    assert!(told.contains("calls of user \"1000\" are to be recorded"), "{told}");
}
