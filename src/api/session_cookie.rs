//! The cookie of a dashboard session, and the requests for which it counts.
//!
//! Invariants: the cookie counts only for pages of the daemon's own origin; where https is in use only a cookie
//! counts that neither plain http nor another host of the domain can set.

use axum::http::header::COOKIE;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method};

use super::own_origin::{Initiator, OwnOrigin};
use crate::domain::clock::Millis;
use crate::domain::dashboard_session::SessionHash;
use crate::service::{Access, Principal};

/// Cookies of the session's name that are tried in one request. More than one exists only if another program
/// of this host set them.
const MAX_TRIED: usize = 4;

/// The parts of a request that decide about its cookie.
pub(super) struct CookieRequest<'r> {
    /// The headers.
    pub(super) headers: &'r HeaderMap,
    /// The extensions, with the address of the peer.
    pub(super) extensions: &'r Extensions,
}

impl CookieRequest<'_> {
    /// The identity of a REST request by its cookie.
    pub(super) fn principal(
        &self,
        access: &Access,
        own_origin: &OwnOrigin,
        method: &Method,
    ) -> Option<Principal> {
        let counts = match own_origin.initiator(self.headers, self.extensions) {
            Initiator::OwnPage => true,
            Initiator::User | Initiator::Unstated => *method == Method::GET || *method == Method::HEAD,
            Initiator::OtherPage => false,
        };
        if !counts {
            return None;
        }
        access.authenticate_session(self.session(access, own_origin)?)
    }

    /// The open session of a request that a page of the daemon caused.
    pub(super) fn of_own_page(&self, access: &Access, own_origin: &OwnOrigin) -> Option<SessionHash> {
        let is_own = own_origin.initiator(self.headers, self.extensions) == Initiator::OwnPage;
        is_own.then(|| self.session(access, own_origin)).flatten()
    }

    /// The open session of the cookie.
    fn session(&self, access: &Access, own_origin: &OwnOrigin) -> Option<SessionHash> {
        let name = self.name(access, own_origin);
        let values = self.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let tokens = pairs.filter(|(given, _)| *given == name).map(|(_, token)| token);
        tokens.take(MAX_TRIED).find_map(|token| access.find_session(token))
    }

    fn name(&self, access: &Access, own_origin: &OwnOrigin) -> String {
        let prefix = if own_origin.is_https(self.headers, self.extensions) { "__Host-" } else { "" };
        format!("{prefix}wharf_session_{}", access.installation())
    }

    /// The header that sets the cookie until `ends_at`.
    pub(super) fn set(
        &self,
        access: &Access,
        own_origin: &OwnOrigin,
        token: &str,
        (now, ends_at): (Millis, Millis),
    ) -> Option<HeaderValue> {
        let seconds = ends_at.since(now).max(0) / 1000;
        self.header(access, own_origin, token, seconds)
    }

    /// The header that removes the cookie.
    pub(super) fn clear(&self, access: &Access, own_origin: &OwnOrigin) -> Option<HeaderValue> {
        self.header(access, own_origin, "", 0)
    }

    fn header(
        &self,
        access: &Access,
        own_origin: &OwnOrigin,
        value: &str,
        max_age: i64,
    ) -> Option<HeaderValue> {
        let secure = if own_origin.is_https(self.headers, self.extensions) { "; Secure" } else { "" };
        let name = self.name(access, own_origin);
        let text = format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
        let mut header = HeaderValue::try_from(text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}
