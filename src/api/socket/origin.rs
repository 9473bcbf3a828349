//! The `Origin` rule: browsers attach the header, and only the daemon's own origin and listed ones may open sockets,
//! on both transports. CORS alone does not protect sockets. A request without `Origin` is not from a browser, and
//! needs its key as usual.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::own_origin::{Initiator, OwnOrigin};
use crate::domain::origin::OriginPattern;

/// Middleware: answers 403 to a foreign origin.
pub(super) async fn refuse_foreign(
    State((allowed, own)): State<(Arc<[OriginPattern]>, Arc<OwnOrigin>)>,
    request: Request,
    next: Next,
) -> Response {
    let is_refused = is_foreign(request.headers(), &allowed)
        && own.initiator(request.headers(), request.extensions()) != Initiator::OwnPage;
    if is_refused {
        let content_type = [(header::CONTENT_TYPE, "application/json")];
        let body = r#"{"code":4,"message":"Forbidden"}"#;
        return (StatusCode::FORBIDDEN, content_type, body).into_response();
    }
    next.run(request).await
}

/// Whether one `Origin` value is on the list.
pub(super) fn is_allowed(origin: &HeaderValue, allowed: &[OriginPattern]) -> bool {
    origin.to_str().is_ok_and(|origin| allowed.iter().any(|pattern| pattern.matches(origin)))
}

fn is_foreign(headers: &HeaderMap, allowed: &[OriginPattern]) -> bool {
    headers.get_all(header::ORIGIN).iter().any(|origin| !is_allowed(origin, allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(origins: &[&'static str], allowed: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(header::ORIGIN, HeaderValue::from_bytes(origin.as_bytes()).unwrap());
        }
        let allowed: Vec<_> = allowed.iter().map(|pattern| pattern.parse().unwrap()).collect();
        is_foreign(&headers, &allowed)
    }

    #[test]
    fn foreign_origins_are_refused() {
        let local = ["http://localhost:*", "https://app.example.com"];
        for origins in
            [&[][..], &["http://localhost:5173"], &["http://localhost"], &["https://app.example.com"]]
        {
            assert!(!foreign(origins, &local), "{origins:?}");
        }
        for origins in [
            &["https://evil.example"][..],
            &["null"],
            &[""],
            &["http://localhost.evil.example"],
            &["http://localhost:5173", "https://evil.example"],
            &["http://localhost:5173\u{e9}"],
        ] {
            assert!(foreign(origins, &local), "{origins:?}");
        }
        assert!(!foreign(&["https://anything.example"], &["*"]));
    }
}
