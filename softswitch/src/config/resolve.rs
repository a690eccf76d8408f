//! From the text of the file to a [`Config`]: the order of the steps, and the sections without a file of their own.
//!
//! Nothing is read but the text: no other file, no environment, no name service.

use super::addresses::{parse_name_server, resolve_listeners, resolve_media};
use super::call_features::{CallFeatures, resolve_call_features};
use super::error::{ConfigErrors, Fault};
use super::features::{Features, resolve_features};
use super::groups::{resolve_groups, resolve_paging, resolve_rates, resolve_schedules};
use super::model::{Config, Limits, Listener, MAX_DOMAINS, Media, Transport};
use super::numbers::resolve_emergencies;
use super::objects::{resolve_peers, resolve_users};
use super::prompts::resolve_prompts;
use super::rooms::resolve_rooms;
use super::routes::{parse_path, resolve_routes};
use super::table::{Faults, Key, Section};
use super::tenants::Tenants;
use super::tls::resolve_tls;
use sip_stack::session::TimerPolicy;
use std::net::SocketAddr;
use std::sync::Arc;
use toml::de::DeTable;

/// Reads a configuration. `file` is its name, for messages.
///
/// # Errors
///
/// All faults that could be found, with line and remedy. When the text is not TOML, those of its syntax alone.
pub fn parse(file: &str, text: &str) -> Result<Config, ConfigErrors> {
    let faults = Faults::new(text);
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    for error in &syntax_errors {
        let message = error.message().into();
        let line = faults.line(&error.span().unwrap_or_default());
        faults.note(line, Fault::Syntax { message });
    }
    if !syntax_errors.is_empty() {
        return Err(ConfigErrors::new(file, faults.into_found()));
    }
    let config = resolve(file, Section::new(&document, &faults, "the file"), &faults);
    let found = faults.into_found();
    if found.is_empty() { Ok(config) } else { Err(ConfigErrors::new(file, found)) }
}

fn resolve(file: &str, mut root: Section<'_>, faults: &Faults) -> Config {
    let listeners = resolve_listeners(&mut root, faults);
    let tls = resolve_tls(&mut root, &listeners, faults);
    let media = resolve_media(&mut root, &listeners, faults);
    note_overlaps(&listeners, &media, faults);
    let prompts = root.table("prompts", "[prompts]").map(resolve_prompts).unwrap_or_default();
    let mut tenants = Tenants::resolve(&mut root, faults);
    tenants.claim_advertised(listeners.iter().map(|listener| &listener.value));
    resolve_users(&mut root, &mut tenants, faults);
    resolve_peers(&mut root, &mut tenants, &listeners, faults);
    resolve_schedules(&mut root, &mut tenants, faults);
    resolve_groups(&mut root, &mut tenants, faults);
    resolve_paging(&mut root, &mut tenants, faults);
    resolve_rates(&mut root, &mut tenants, faults);
    resolve_rooms(&mut root, &mut tenants, faults);
    resolve_routes(&mut root, &mut tenants, faults);
    for (id, domain) in &mut tenants.domains {
        let read = tenants.emergencies.remove(id).unwrap_or_default();
        resolve_emergencies(domain, read, faults);
    }
    let (features, call_features) =
        root.table("features", "[features]").map(resolve_all_features).unwrap_or_default();
    let limits = root.table("limits", "[limits]").map(resolve_limits).unwrap_or_default();
    let session_timer =
        root.table("session_timer", "[session_timer]").map(resolve_session_timer).unwrap_or_default();
    let keep_alive_s = root.table("nat", "[nat]").map_or(KEEP_ALIVE_S, resolve_keep_alive);
    let name_servers = root.table("dns", "[dns]").map(resolve_name_servers).unwrap_or_default();
    let (recordings, announce_recordings) =
        root.table("recording", "[recording]").map(resolve_recordings).unwrap_or_default();
    let keep_records_days = root.table("records", "[records]").and_then(resolve_records);
    root.finish();
    if tenants.domains.len() > MAX_DOMAINS {
        faults.note_absence(Fault::TooManyDomains { found: tenants.domains.len(), limit: MAX_DOMAINS });
    }
    Config {
        file: file.into(),
        listeners: listeners.into_iter().map(|listener| listener.value).collect(),
        tls,
        media,
        prompts,
        default_domain: tenants.default.map(|default| default.value),
        hosts: tenants.hosts.into_iter().map(|(host, id)| (host, id.value)).collect(),
        domains: tenants.domains,
        recordings,
        announce_recordings,
        keep_records_days,
        limits,
        session_timer,
        keep_alive_s,
        call_features,
        features,
        name_servers,
    }
}

fn note_overlaps(listeners: &[super::table::Located<Listener>], media: &Media, faults: &Faults) {
    for listener in listeners.iter().filter(|listener| listener.value.transport == Transport::Udp) {
        let port = listener.value.address.port();
        if (media.ports.first..=media.ports.last).contains(&port) {
            faults.note(listener.line, Fault::ListenerInMediaPorts { port });
        }
    }
}

fn resolve_limits(mut section: Section<'_>) -> Limits {
    let count = |name, example| Key { name, expected: "a whole number", example };
    let default = Limits::default();
    let mut limit = |key, highest, default| section.number(key, 1, highest).map_or(default, |n| n.value);
    let limits = Limits {
        transactions: limit(count("transactions", "200000"), 10_000_000, default.transactions),
        calls: limit(count("calls", "10000"), 1_000_000, default.calls),
        nonces: limit(count("nonces", "100000"), 10_000_000, default.nonces),
        subscriptions: limit(count("subscriptions", "100000"), 1_000_000, default.subscriptions),
        subscriptions_per_user: limit(
            count("subscriptions_per_user", "500"),
            100_000,
            default.subscriptions_per_user,
        ),
    };
    section.finish();
    limits
}

/// How long sessions last without a refresh: no more than a day, no less than RFC 4028 §4 allows.
fn resolve_session_timer(mut section: Section<'_>) -> TimerPolicy {
    let default = TimerPolicy::default();
    let seconds = |name, example| Key { name, expected: "a whole number of seconds", example };
    let interval = section.number(seconds("interval_s", "1800"), 90, 86_400).map(|number| number.value);
    let least = section.number(seconds("min_se_s", "90"), 90, 86_400).map(|number| number.value);
    let offered = section.flag(Key { name: "ask", expected: "true or false", example: "true" });
    section.finish();
    let min_se_s = least.unwrap_or(default.min_se_s);
    let interval_s = interval.or(default.interval_s).map(|interval| interval.max(min_se_s));
    TimerPolicy { interval_s: interval_s.filter(|_| offered.is_none_or(|flag| flag.value)), min_se_s }
}

/// Where recordings go, and whether those who are recorded are told.
fn resolve_recordings(mut section: Section<'_>) -> (Option<Arc<str>>, bool) {
    let key = Key { name: "folder", expected: "the path of a folder", example: "\"/srv/recordings\"" };
    let folder = section.parsed(key, parse_path).map(|folder| folder.value);
    let announce = Key { name: "announce", expected: "true or false", example: "true" };
    let announce = section.flag(announce).is_some_and(|flag| flag.value);
    section.finish();
    (folder, announce)
}

/// `[features]`: the codes of settings, and what is done with calls.
fn resolve_all_features(mut section: Section<'_>) -> (Features, CallFeatures) {
    let features = (resolve_features(&mut section), resolve_call_features(&mut section));
    section.finish();
    features
}

/// How long records of calls are kept.
fn resolve_records(mut section: Section<'_>) -> Option<u32> {
    let key = Key { name: "keep_days", expected: "a whole number of days", example: "365" };
    let keep_days = section.number(key, 1, 36_500).map(|days| days.value);
    section.finish();
    keep_days
}

/// How often phones behind translators are asked when the file does not say.
const KEEP_ALIVE_S: u32 = 30;

fn resolve_keep_alive(mut section: Section<'_>) -> u32 {
    let key = Key { name: "keep_alive_s", expected: "a whole number", example: "30" };
    let keep_alive_s = section.number(key, 10, 3_600).map_or(KEEP_ALIVE_S, |number| number.value);
    section.finish();
    keep_alive_s
}

fn resolve_name_servers(mut section: Section<'_>) -> Vec<SocketAddr> {
    let expected = "an IP address, with or without a port";
    let key = Key { name: "servers", expected, example: "[\"192.0.2.53\"]" };
    let servers = section.filled_list(key, parse_name_server).map(|servers| servers.value);
    section.finish();
    servers.into_iter().flatten().map(|server| server.value).collect()
}
