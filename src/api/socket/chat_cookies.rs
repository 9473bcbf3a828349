//! The session cookies of a chat handshake, which the library's request carries in place of the header.
//!
//! Invariant: they count only after a request with a trusted `Origin`: the upgrade to a WebSocket or, of a session
//! that polls, a POST. A handshake by polling is a GET, for which browsers send no `Origin` to their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use axum::http::Method;

use super::Shared;
use super::anonymous_sessions::AnonymousSession;
use super::operator_chat::ChatPath;
use crate::api::chat_cookies::{CookieOrigin, received_cookies};
use crate::service::operator_chat::SessionCookies;

/// The session cookies of a handshake.
#[derive(Clone)]
pub(super) struct HandshakeCookies {
    cookies: Arc<SessionCookies>,
    /// Whether a request of the session had a trusted `Origin`.
    has_origin: Arc<AtomicBool>,
}

impl HandshakeCookies {
    /// The cookies, if they count.
    pub(super) fn trusted(&self) -> Option<&SessionCookies> {
        self.has_origin.load(Ordering::Acquire).then_some(&*self.cookies)
    }
}

impl Shared {
    /// The session cookies of a chat handshake; `None` if there is none, or they can never count. Of a session that
    /// polls, a later request decides, which `session` records.
    pub(super) fn handshake_cookies(
        &self,
        request: &Request,
        is_polling: bool,
        session: &AnonymousSession,
    ) -> Option<HandshakeCookies> {
        request.extensions().get::<ChatPath>()?;
        let chat = self.services.chat.as_ref()?;
        let origin = self.cookie_origin(request);
        let can_count = match origin {
            CookieOrigin::Trusted => true,
            CookieOrigin::Absent => is_polling,
            CookieOrigin::Foreign => false,
        };
        let cookies = can_count.then(|| received_cookies(chat, request.headers()))?;
        if cookies.is_empty() {
            return None;
        }
        let has_origin = Arc::new(AtomicBool::new(!is_polling));
        if is_polling {
            session.await_origin(has_origin.clone());
        }
        Some(HandshakeCookies { cookies: Arc::new(cookies), has_origin })
    }

    /// Whether a request of an open chat session makes its cookies count.
    pub(super) fn confirms_origin(&self, request: &Request, is_upgrade: bool) -> bool {
        request.extensions().get::<ChatPath>().is_some()
            && (is_upgrade || *request.method() != Method::GET)
            && self.cookie_origin(request) == CookieOrigin::Trusted
    }

    fn cookie_origin(&self, request: &Request) -> CookieOrigin {
        let (headers, extensions) = (request.headers(), request.extensions());
        CookieOrigin::read(headers, extensions, &self.own_origin, &self.allowed_origins)
    }
}
