//! What the user can set.

use super::{AutoAnswer, Codec};
use serde::{Deserialize, Serialize};

/// Whether the other side of a call may send us to somebody else (REFER).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transfers {
    /// To numbers of the account's own domain or server. A call elsewhere may cost money, and whoever calls us could have us make it.
    #[default]
    Domain,
    /// To wherever they say.
    Anywhere,
    /// Not at all.
    Never,
}

/// What the user can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What to do with calls that come in.
    pub auto_answer: AutoAnswer,
    /// Whether a caller may have a call taken by asking for it (Call-Info with `answer-after`, or Alert-Info). Who may call
    /// may then listen in, so it is off unless the user wants it.
    pub answer_when_asked: bool,
    /// Whether calls are taken that do not come from the host of one of our servers. Whoever reaches our port could then
    /// ring, or be answered automatically.
    pub accept_strangers: bool,
    /// Where the other side of a call may send us.
    pub transfers: Transfers,
    /// Every caller is told that we are busy.
    pub do_not_disturb: bool,
    /// Calls at a time; a caller beyond is told that we are busy.
    pub lines: u16,
    /// Whether taking or making a call holds the one that is going on.
    pub hold_others: bool,
    /// What we offer and take, in our order.
    pub codecs: Vec<Codec>,
    /// What User-Agent says.
    pub user_agent: Box<str>,
}

impl Default for Settings {
    fn default() -> Settings {
        let user_agent = concat!("softphone/", env!("CARGO_PKG_VERSION")).into();
        Settings {
            auto_answer: AutoAnswer::Never,
            answer_when_asked: false,
            accept_strangers: false,
            transfers: Transfers::Domain,
            do_not_disturb: false,
            lines: 2,
            hold_others: true,
            codecs: Codec::ALL.to_vec(),
            user_agent,
        }
    }
}
