//! What the switch tells, as lines of the log. Text of peers is escaped.

use crate::core::{Alarm, Event, RoomChange, Told, Unrecorded};
use crate::log::Lines;
use crate::store::MediaFigures;
use media::tap::RecordingFigures;
use sip_stack::message::Escaped;
use sip_stack::registration::Failure;
use tracing::{debug, error, info, warn};

/// Logs an event of the switch.
pub(super) fn event(told: &Told) {
    match &told.event {
        Event::Registered { domain, user, contact, source, expires_s } => {
            info!(user = %address(domain, user), contact = %Escaped(contact), %source, expires_s, "registered");
        }
        Event::Unregistered { domain, user, contact, reason } => {
            info!(user = %address(domain, user), contact = %Escaped(contact), ?reason, "unregistered");
        }
        Event::AuthenticationFailed { domain, user, source } => {
            warn!(domain = %Escaped(domain.as_bytes()), user = %Escaped(user), %source, "authentication failed");
        }
        Event::CallStarted { call, domain, caller, callee } => {
            let domain = Escaped(domain.as_bytes());
            info!(%call, %domain, caller = %Escaped(caller), callee = %Escaped(callee), "call started");
        }
        Event::CallAnswered { call, after_ms } => info!(%call, after_ms, "call answered"),
        Event::CallerAnswered { call, after_ms } => info!(%call, after_ms, "caller answered"),
        Event::CallBack { domain, user, of, how } => {
            info!(user = %address(domain, user), of = %address(domain, of), ?how, "call back");
        }
        Event::HoldChanged { leg, on } => info!(%leg, on, "hold by command"),
        Event::CallTransferred { call, into } => info!(%call, %into, "call transferred"),
        Event::CallEnded { call, status, talked_ms } => info!(%call, status, talked_ms, "call ended"),
        Event::CallMeasured { call, caller, callee } => {
            info!(%call, caller = %quality(caller), callee = %quality(callee), "call quality");
        }
        Event::CallRefused { source, callee, reason } => {
            info!(%source, callee = %Escaped(callee), ?reason, "call refused");
        }
        Event::RecordingBegan { call, file, .. } => {
            info!(%call, file = %Escaped(file.as_bytes()), "recording began");
        }
        Event::RecordingLost { call, lost_ms, .. } => {
            warn!(%call, lost_ms, "part of a recording is silence: the disk does not keep up");
        }
        Event::RecordingEnded { call, figures, .. } => {
            let RecordingFigures { files, octets, recorded_ms, lost_ms } = *figures;
            info!(%call, files, octets, recorded_ms, lost_ms, "recording ended");
        }
        Event::RecordingFailed { call, fault, figures, .. } => {
            warn!(%call, ?fault, recorded_ms = figures.recorded_ms, "recording failed, the call goes on");
        }
        Event::NotRecorded { call, reason } => warn!(%call, "not recorded: {}", unrecorded(*reason)),
        Event::NotPlayed { file, fault } => {
            warn!(file = %Escaped(file.as_bytes()), ?fault, "sound not played");
        }
        Event::Overloaded { cause } => warn!(?cause, "overload: new work is refused, what is up goes on"),
        Event::OverloadEnded { refused } => info!(refused, "overload is over"),
        Event::Unreachable { domain, user, contact } => {
            warn!(user = %address(domain, user), contact = %Escaped(contact), "phone does not answer");
        }
        Event::PeerRegistered { domain, peer, expires_s } => {
            info!(peer = %address(domain, peer), expires_s, "registered at peer");
        }
        Event::PeerUnregistered { domain, peer } => {
            info!(peer = %address(domain, peer), "no longer registered at peer");
        }
        Event::PeerRegistrationFailed { domain, peer, failure, retry_s } => {
            let (peer, why) = (address(domain, peer), unregistered(*failure));
            match retry_s {
                Some(retry_s) => warn!(%peer, retry_s, "not registered at peer: {why}"),
                None => warn!(%peer, "not registered at peer, and not tried again: {why}"),
            }
        }
        Event::PeerDown { domain, peer } => warn!(peer = %address(domain, peer), "peer does not answer"),
        Event::PeerUp { domain, peer } => info!(peer = %address(domain, peer), "peer answers again"),
        Event::SubscriptionRefused { domain, user } => {
            warn!(user = %address(domain, user), "too many subscriptions of one user");
        }
        Event::Parked { call, slot, by, how } => info!(%call, slot, by = %Escaped(by), ?how, "parked"),
        Event::Conference { room, change } => match change {
            // As often as somebody draws breath.
            RoomChange::Talking { .. } | RoomChange::Speaker { .. } => {
                debug!(room = %address(&room.domain, &room.name), ?change, "conference");
            }
            RoomChange::Joined { .. }
            | RoomChange::Waiting { .. }
            | RoomChange::TurnedAway { .. }
            | RoomChange::Left { .. }
            | RoomChange::Muted { .. }
            | RoomChange::Role { .. }
            | RoomChange::Locked { .. }
            | RoomChange::Ended => {
                info!(room = %address(&room.domain, &room.name), ?change, "conference");
            }
        },
        Event::CallCut { call, cause } => warn!(%call, ?cause, "call ended by the switch"),
        Event::TransferProgressed { call, status } => info!(%call, status, "transfer"),
        Event::NotConfigured { reason } => {
            error!("the configuration stays as it is:\n{}", Lines(reason.as_bytes()));
        }
        Event::Stopping => info!("stopping: new calls are refused, calls that are up are ended"),
        Event::SettingChanged { domain, user, setting } => {
            info!(user = %address(domain, user), ?setting, "setting changed");
        }
        Event::CallInterrupted { id, told, untold } => {
            warn!(record = %Escaped(id.as_bytes()), told, untold, "a call was interrupted when the switch ran last");
        }
        Event::AlarmRaised { alarm: alarm @ Alarm::Store { reason } } => {
            warn!(alarm = alarm.name(), "the store is failing, what it should keep waits: {reason}");
        }
        Event::AlarmRaised { alarm } => warn!(alarm = alarm.name(), "{}", remedy(*alarm)),
        Event::AlarmCleared { alarm, lasted_ms } => {
            info!(alarm = alarm.name(), lasted_ms, "{} works again", alarm.name());
        }
        Event::DatabaseSetAside => {
            warn!("the database was damaged: it is set aside, and a new one has what could be read of it");
        }
        Event::Configured { users } => info!(users, "configuration in force"),
    }
}

/// What came from a party and what it says of what it got, in a few words.
fn quality(media: &MediaFigures) -> String {
    let mos = |tenths: Option<u8>| {
        tenths.map_or_else(|| "-".to_owned(), |tenths| format!("{}.{}", tenths / 10, tenths % 10))
    };
    let round_trip = media.round_trip_us.map_or_else(|| "-".to_owned(), |us| format!("{}ms", us / 1_000));
    let heard = mos(media.quality.map(|quality| quality.mos_tenths));
    let told = mos(media.reported.map(|reported| reported.quality.mos_tenths));
    let (got, lost, jitter) = (media.packets, media.lost, media.jitter_us / 1_000);
    format!("got {got} lost {lost} jitter {jitter}ms rtt {round_trip} mos {heard}, reports mos {told}")
}

const fn unrecorded(reason: Unrecorded) -> &'static str {
    match reason {
        Unrecorded::NotDecoded => "both phones want a codec that the switch does not know",
        Unrecorded::Refused => "a phone keeps to a codec that the switch does not know",
        Unrecorded::NotAnnounced => "the announcement of the recording could not be played",
        Unrecorded::TooOften => "the recording was begun and ended too often in this call",
    }
}

fn unregistered(failure: Failure) -> String {
    let why = match failure {
        Failure::Refused(status) => return format!("it answered {} {}", status.code(), status.reason()),
        Failure::WrongCredentials => "it does not accept username and password",
        Failure::UnknownAuthentication => {
            "it asks for a password that is not in the configuration, or in a way that is not known"
        }
        Failure::Nonsense => "its answers make no sense",
        Failure::TimedOut => "it does not answer",
        Failure::TransportFailed => "it cannot be reached",
        Failure::FlowFailed => "the connection to it was lost",
    };
    why.to_owned()
}

fn address(domain: &str, user: &str) -> String {
    format!("{}@{}", Escaped(user.as_bytes()), Escaped(domain.as_bytes()))
}

const fn remedy(alarm: Alarm) -> &'static str {
    match alarm {
        Alarm::Store { .. } => "registrations and records wait in memory",
        Alarm::NameServers => "peers given by name cannot be called: check the network, or `name_servers`",
        Alarm::Recordings { .. } => {
            "calls go on without being recorded: make room, or check the folder of recordings"
        }
    }
}
