//! Who is in a conference (RFC 4575): users, and each call of theirs as a device.
//!
//! Who is muted is `muted-via-focus` and only receives. Users who are hidden have no seat (`call/seats.rs`). Left out on purpose: who speaks,
//! which changes faster than it could be told and has no element there; whether the room is locked.

use super::bodies::{Document, fitting};
use super::discretion::Hidden;
use super::ledger::Ledger;
use super::subject::uri;
use crate::call::Seen;
use crate::core::Timestamp;
use sip_stack::event::body::conference_info::{
    ConferenceInfo, ConferenceState, Endpoint, EndpointStatus, JoiningMethod, Media, MediaStatus, PartState,
    User, Users,
};
use std::collections::BTreeMap;

/// Up to so many members are told whole.
const FEW: usize = 4;

/// The document for those who heard the change `since` as the last.
pub(super) fn compose(
    members: &Ledger<Seen>,
    number: &str,
    host: &str,
    (since, is_full): (u64, bool),
    hidden: &Hidden,
) -> Document {
    let (is_full, rows) = members.told(since, is_full, FEW);
    // A user is told whole, with all of its devices, whichever of them has come or gone.
    let mut users: BTreeMap<String, User> = BTreeMap::new();
    for (_, _, member) in &rows {
        let entity = entity(member, host, hidden);
        let user = User::new(entity.clone(), PartState::Deleted);
        users.insert(entity, user);
    }
    for (_, member) in members.live() {
        if let Some(user) = users.get_mut(&entity(member, host, hidden)) {
            user.state = PartState::Full;
            user.display_text = hidden.display(member);
            user.endpoints.push(device(member));
        }
    }
    if is_full {
        users.retain(|_, user| user.state == PartState::Full);
    }
    let state = if is_full { PartState::Full } else { PartState::Partial };
    let count = u32::try_from(members.count()).unwrap_or(u32::MAX);
    let body = fitting(users.len(), |most| {
        let info = ConferenceInfo {
            entity: uri(Some(number), host).into(),
            state,
            version: 0,
            description: None,
            conference_state: Some(ConferenceState {
                user_count: Some(count),
                active: Some(count > 0),
                locked: None,
            }),
            users: Some(Users { state, users: users.values().take(most).cloned().collect() }),
        };
        info.compose()
    });
    Document::versioned(body)
}

/// Members that do not want to be known are told apart all the same.
fn entity(member: &Seen, host: &str, hidden: &Hidden) -> String {
    match hidden.known(member) {
        Some(user) => uri(Some(user), host),
        None => format!("sip:anonymous-{:x}@anonymous.invalid", member.alias),
    }
}

fn device(member: &Seen) -> Endpoint {
    let mut device = Endpoint::new(format!("call:{:x}", member.alias), PartState::Full);
    let (status, media) = match member.is_muted {
        true => (EndpointStatus::MutedViaFocus, MediaStatus::RecvOnly),
        false => (EndpointStatus::Connected, MediaStatus::SendRecv),
    };
    device.status = Some(status);
    device.joining_method = Some(JoiningMethod::DialedIn);
    device.joined_at = Some(moment(member.since_unix_ms).into());
    device.media =
        vec![Media { id: "1".into(), kind: Some("audio".into()), src_id: None, status: Some(media) }];
    device
}

/// A moment as RFC 3339 writes it.
fn moment(unix_ms: u64) -> String {
    let text = Timestamp(unix_ms).to_string();
    match text.split_once('T') {
        Some((date, time)) => format!("{date}T{}", time.replace('-', ":")),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_wants_it() {
        assert_eq!(moment(1_800_000_000_000), "2027-01-15T08:00:00Z");
    }
}
