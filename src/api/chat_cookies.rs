//! Session cookies of chat users, and the origins from which they count.
//!
//! Invariant: a cookie never counts for a page of another origin than the daemon's own and the listed ones; the pattern
//! `*` lists none, because every page could then act as the user.

use axum::http::header::{COOKIE, ORIGIN};
use axum::http::{Extensions, HeaderMap, Method};

use super::{ApiConfig, OwnOrigin};
use crate::domain::origin::OriginPattern;
use crate::service::OperatorChat;
use crate::service::operator_chat::SessionCookies;

/// The origin of a request, as far as cookies of chat users are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CookieOrigin {
    /// The daemon's own, or a listed one.
    Trusted,
    /// The request has no `Origin`.
    Absent,
    /// Any other, or more than one.
    Foreign,
}

impl CookieOrigin {
    pub(super) fn read(
        headers: &HeaderMap,
        extensions: &Extensions,
        own: &OwnOrigin,
        allowed: &[OriginPattern],
    ) -> Self {
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (None, _) => return Self::Absent,
            (Some(origin), None) => origin.to_str().ok(),
            _ => return Self::Foreign,
        };
        let is_listed =
            |origin: &str| allowed.iter().any(|pattern| !pattern.is_any() && pattern.matches(origin));
        let is_trusted = origin.is_some_and(is_listed) || own.is_own(origin, headers, extensions);
        if is_trusted { Self::Trusted } else { Self::Foreign }
    }
}

/// The session cookies of a REST request; none if they do not count. A GET may be without `Origin`, since it changes
/// nothing.
pub(super) fn rest_cookies(
    chat: &OperatorChat,
    config: &ApiConfig,
    method: &Method,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> SessionCookies {
    match CookieOrigin::read(headers, extensions, &config.own_origin, &config.allowed_origins) {
        CookieOrigin::Trusted => received_cookies(chat, headers),
        CookieOrigin::Absent if *method == Method::GET => received_cookies(chat, headers),
        CookieOrigin::Absent | CookieOrigin::Foreign => SessionCookies::default(),
    }
}

/// The session cookies of a request, whatever its origin.
pub(super) fn received_cookies(chat: &OperatorChat, headers: &HeaderMap) -> SessionCookies {
    let values: Vec<&str> = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
    chat.session_cookies(&values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(origins: &[&str], public_url: &str, allowed: &[&str]) -> CookieOrigin {
        let mut headers = HeaderMap::new();
        headers.append("host", "wharf.example".parse().unwrap());
        for origin in origins {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        let allowed: Vec<OriginPattern> = allowed.iter().map(|pattern| pattern.parse().unwrap()).collect();
        CookieOrigin::read(&headers, &Extensions::new(), &OwnOrigin::new(public_url, &[]), &allowed)
    }

    #[test]
    fn own_and_listed_origins_are_trusted() {
        assert_eq!(read(&["https://wharf.example"], "", &[]), CookieOrigin::Trusted);
        assert_eq!(read(&["https://app.example"], "https://app.example", &[]), CookieOrigin::Trusted);
        assert_eq!(read(&["http://localhost:5173"], "", &["http://localhost:*"]), CookieOrigin::Trusted);
        assert_eq!(read(&[], "", &["http://localhost:*"]), CookieOrigin::Absent);
    }

    #[test]
    fn other_origins_are_foreign() {
        for origins in [&["https://evil.example"][..], &["null"], &[""], &["https://wharf.example"; 2]] {
            assert_eq!(read(origins, "", &["http://localhost:*"]), CookieOrigin::Foreign, "{origins:?}");
        }
        // The name in `Host` is not the public one.
        assert_eq!(read(&["https://wharf.example"], "https://app.example", &[]), CookieOrigin::Foreign);
    }

    #[test]
    fn any_origin_lists_none_for_cookies() {
        for origin in ["https://evil.example", "null"] {
            assert_eq!(read(&[origin], "", &["*"]), CookieOrigin::Foreign, "{origin}");
        }
    }
}
