//! One subscription in its dialog: until when it lasts, and the SUBSCRIBE that is out in it.

use crate::dialog::DialogId;
use crate::message::Status;
use crate::time::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A refresh leaves so much time for Timer F and another attempt, when the lifetime is long enough.
const AHEAD: Duration = Duration::from_secs(70);
/// A lifetime of nothing would have us ask without end.
const SHORTEST_S: u32 = 10;

/// What is going on in the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// Nothing.
    Resting { refresh_at: Time },
    /// A SUBSCRIBE is out, or its NOTIFY has not come.
    Asking(Asking),
}

/// A SUBSCRIBE in the dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asking {
    pub(super) number: u32,
    /// So many others were answered with a demand.
    pub(super) demands: u8,
    /// Timer N.
    pub(super) notify_by: Time,
    pub(super) answered: bool,
    pub(super) notified: bool,
    /// It ends the subscription.
    pub(super) ends: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) dialog: DialogId,
    pub(super) pending: bool,
    pub(super) expires_at: Time,
    /// The notifier has said when it ends.
    pub(super) is_told: bool,
    pub(super) stage: Stage,
}

impl Usage {
    pub(super) fn new(now: Time, dialog: DialogId, pending: bool, expires_s: u32, is_told: bool) -> Usage {
        let stage = Stage::Resting { refresh_at: now };
        let mut usage = Usage { dialog, pending, expires_at: now, is_told, stage };
        usage.last(now, expires_s);
        usage
    }

    /// It lasts for so many seconds from now on.
    pub(super) fn last(&mut self, now: Time, expires_s: u32) {
        let lifetime = Duration::from_secs(u64::from(expires_s.max(SHORTEST_S)));
        self.expires_at = now + lifetime;
        if let Stage::Resting { refresh_at } = &mut self.stage {
            *refresh_at = now + refresh_after(lifetime);
        }
    }

    /// The SUBSCRIBE that is out was answered with success and followed by its NOTIFY: nothing is out any more.
    pub(super) fn rest_if_done(&mut self, now: Time) {
        if let Stage::Asking(Asking { answered: true, notified: true, ends: false, .. }) = self.stage {
            self.stage = Stage::Resting { refresh_at: now + refresh_after(self.expires_at.since(now)) };
        }
    }

    /// The refresh failed, and the subscription lasts until its end (§4.1.2.2): when it is tried again.
    pub(super) fn rest_until(&mut self, refresh_at: Time) {
        self.stage = Stage::Resting { refresh_at: refresh_at.min(self.expires_at) };
    }

    pub(super) fn asking(&self, number: u32) -> Option<Asking> {
        match self.stage {
            Stage::Asking(asking) if asking.number == number => Some(asking),
            Stage::Asking(_) | Stage::Resting { .. } => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Time {
        match self.stage {
            Stage::Resting { refresh_at } => refresh_at,
            Stage::Asking(asking) => asking.notify_by,
        }
    }
}

fn refresh_after(lifetime: Duration) -> Duration {
    lifetime.checked_sub(AHEAD).filter(|left| *left > AHEAD).unwrap_or(lifetime / 2)
}

/// Whether this answer to a request in its dialog ends a subscription (§4.1.2.2, §4.2.2).
pub(in crate::event) fn ends_subscription(status: Status) -> bool {
    matches!(status.code(), 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}
