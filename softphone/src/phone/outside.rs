//! How every request begins that is of no dialog yet: INVITE, MESSAGE, PUBLISH, the first SUBSCRIBE. It goes to the server of the account
//! by the Service-Route of its registration (RFC 3608). REGISTER knows no such route.

use super::Account;
use super::registration::Registration;
use sip_stack::endpoint::{Draft, Endpoint, Heading};
use sip_stack::header::HeaderName;
use sip_stack::message::Method;

/// Whom a request is to, and as what.
pub(super) struct Outside<'m, 'a> {
    pub(super) method: Method<'m>,
    pub(super) uri: &'a [u8],
    /// With a tag, unless a new one is to be made.
    pub(super) from: &'a [u8],
    /// The URI of To.
    pub(super) to: &'a [u8],
    /// Call-ID and CSeq number, unless they are to be made.
    pub(super) sequence: Option<(&'a [u8], u32)>,
}

impl<'m> Outside<'m, '_> {
    /// The beginning of the request.
    pub(super) fn draft(
        self,
        endpoint: &mut Endpoint,
        account: &Account,
        registration: &Registration,
    ) -> Draft<'m> {
        let Outside { method, uri, from, to, sequence } = self;
        let to = [b"<", to, b">"].concat();
        let sent_by = account.sent_by();
        let heading = Heading { method, uri, from, to: &to, sent_by: &sent_by, sequence, max_forwards: 70 };
        let mut draft = endpoint.draft(heading, account.server);
        for route in registration.service_route() {
            draft.writer.header(HeaderName::Route, route);
        }
        draft
    }
}
