//! One phone of a swarm: the machine, its call, the sound of it, and what its group knows of it.

use super::lamps::Watching;
use super::line::{Line, Talker};
use crate::phone::{Account, AccountError, AutoAnswer, CallId, Input, Phone, Settings};
use sip_stack::Time;
use sip_stack::transport::Flow;
use std::time::Duration;

/// A phone at work.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) user: Box<str>,
    pub(super) phone: Phone,
    pub(super) flow: Flow,
    /// Its place among the groups; phones that are left over have none.
    pub(super) group: Option<usize>,
    pub(super) talker: Talker,
    pub(super) line: Option<Line>,
    /// The call that goes on.
    pub(super) call: Option<CallId>,
    /// Since when it is being called from here.
    pub(super) dialled: Option<Time>,
    pub(super) connected: bool,
    /// Since when it talks, if it does.
    pub(super) talks_since: Option<Time>,
    /// Whom it watches, and what it sees.
    pub(super) watching: Option<Watching>,
    /// It was registered once.
    pub(super) registered: bool,
    /// Frames of its tone that it said, in all its calls.
    pub(super) spoken: u64,
    /// When its tone began last.
    pub(super) began: Option<Time>,
    /// The timer of its phone that is set.
    pub(super) due: Option<Time>,
}

impl Member {
    /// # Errors
    /// [`AccountError`]
    pub(super) fn new(
        seed: [u8; 32],
        account: Account,
        settings: Settings,
        group: Option<usize>,
        talker: Talker,
    ) -> Result<Member, AccountError> {
        Ok(Member {
            user: account.user.clone(),
            flow: account.server,
            phone: Phone::new(seed, account, settings)?,
            group,
            talker,
            line: None,
            call: None,
            dialled: None,
            connected: false,
            talks_since: None,
            watching: None,
            registered: false,
            spoken: 0,
            began: None,
            due: None,
        })
    }

    pub(super) fn give(&mut self, now: Time, input: Input) {
        self.phone.handle_input(now, input).expect("only commands are refused");
    }
}

/// What phones of a swarm are set to.
pub(super) fn settings(codec: crate::phone::Codec, ring: Duration) -> Settings {
    let auto_answer = if ring.is_zero() { AutoAnswer::Always } else { AutoAnswer::After(ring) };
    Settings { auto_answer, codecs: vec![codec], ..Settings::default() }
}
