//! Whether a call is taken without the user, and when: always, for some callers, or because the caller asks for it.
//!
//! A caller asks with `Call-Info: <…>;answer-after=0` (in seconds), or `Alert-Info` with `info=alert-autoanswer`, `info=Auto
//! Answer` or the like, as phones of several makers do, or with `Answer-Mode: Auto` (RFC 5373 §4.3), which is taken as a wish: what is
//! required of us there we do not promise.

use super::{AutoAnswer, Settings};
use sip_stack::Message;
use sip_stack::header::HeaderName;
use std::time::Duration;

/// The longest delay that a caller may ask for; a longer one is taken for this.
const LONGEST_S: u64 = 60;

/// After how long a call is taken; `None`: by the user alone.
pub(super) fn delay(settings: &Settings, request: &Message) -> Option<Duration> {
    let ours = match &settings.auto_answer {
        AutoAnswer::Never => None,
        AutoAnswer::Always => Some(Duration::ZERO),
        AutoAnswer::After(delay) => Some(*delay),
        AutoAnswer::Numbers { numbers, delay } => is_from(request, numbers).then_some(*delay),
    };
    let asked = settings.answer_when_asked.then(|| asked_delay(request)).flatten();
    ours.into_iter().chain(asked).min()
}

/// Whether the caller is one of `numbers`: a user, or a user at a domain.
fn is_from(request: &Message, numbers: &[Box<str>]) -> bool {
    let Ok(from) = request.from() else { return false };
    let Some(user) = from.uri.user_unescaped() else { return false };
    numbers.iter().any(|number| match number.rsplit_once('@') {
        Some((name, domain)) => {
            *user == *name.as_bytes() && from.uri.host.eq_ignore_ascii_case(domain.as_bytes())
        }
        None => *user == *number.as_bytes(),
    })
}

fn asked_delay(request: &Message) -> Option<Duration> {
    let after = request.list(HeaderName::CallInfo).find_map(|value| {
        let seconds = parameters(value)
            .find_map(|(name, value)| name.eq_ignore_ascii_case(b"answer-after").then_some(value))?;
        let seconds: u64 = core::str::from_utf8(seconds).ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds.min(LONGEST_S)))
    });
    let alert = || {
        let asks = |value: &[u8]| {
            parameters(value).any(|(name, value)| {
                let value: Vec<u8> = value
                    .iter()
                    .filter(|byte| byte.is_ascii_alphanumeric())
                    .map(u8::to_ascii_lowercase)
                    .collect();
                let is_info = name.eq_ignore_ascii_case(b"info");
                is_info
                    && matches!(
                        &value[..],
                        b"alertautoanswer" | b"autoanswer" | b"ringautoanswer" | b"intercom"
                    )
            })
        };
        request.list(HeaderName::AlertInfo).any(asks).then_some(Duration::ZERO)
    };
    let mode = || {
        let mode = request.header(HeaderName::AnswerMode)?;
        let word = mode.split(|byte| *byte == b';').next()?.trim_ascii();
        word.eq_ignore_ascii_case(b"auto").then_some(Duration::ZERO)
    };
    after.or_else(alert).or_else(mode)
}

/// The parameters of a value, behind its URI; quotes are taken off.
fn parameters(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let behind = value.iter().rposition(|byte| *byte == b'>').map_or(0, |end| end + 1);
    value.get(behind..).unwrap_or_default().split(|byte| *byte == b';').filter_map(|parameter| {
        let equals = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, value) = parameter.split_at(equals);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        Some((name.trim_ascii(), value))
    })
}
