//! The daemon's own origin, and whether a browser's request comes from a page of it.
//!
//! Invariants: `server.allowed_origins` has no influence here; the headers that decide are among those that scripts
//! cannot set.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{Extensions, HeaderMap};
use url::{Origin, Url};

use crate::domain::ip_block::IpBlock;

/// The daemon's own origin: that of `server.public_url`, else the host of each request.
#[derive(Debug, Clone)]
pub struct OwnOrigin {
    public: Option<Origin>,
    trusted_proxies: Vec<IpBlock>,
}

/// The origin of the page that caused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Initiator {
    /// A page of the daemon.
    OwnPage,
    /// The user: a typed address, a bookmark.
    User,
    /// The request does not say: another program, or a browser's GET on plain http beyond localhost.
    Unstated,
    /// A page of another origin.
    OtherPage,
}

impl OwnOrigin {
    /// With the configured URL, which may be empty, and the proxies whose `X-Forwarded-Proto` counts.
    #[must_use]
    pub fn new(public_url: &str, trusted_proxies: &[IpBlock]) -> Self {
        let public = Url::parse(public_url).ok().map(|url| url.origin());
        Self { public, trusted_proxies: trusted_proxies.to_vec() }
    }

    /// The page that caused a request, as the browser states it.
    pub(super) fn initiator(&self, headers: &HeaderMap, extensions: &Extensions) -> Initiator {
        let mut sites = headers.get_all("sec-fetch-site").iter();
        if let Some(site) = sites.next() {
            return match (site.as_bytes(), sites.next()) {
                (b"same-origin", None) => Initiator::OwnPage,
                (b"none", None) => Initiator::User,
                _ => Initiator::OtherPage,
            };
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Initiator::Unstated,
            (Some(origin), None) if self.is_own(origin.to_str().ok(), headers, extensions) => {
                Initiator::OwnPage
            }
            _ => Initiator::OtherPage,
        }
    }

    /// Whether the value of `Origin` is the daemon's own origin.
    pub(super) fn is_own(&self, origin: Option<&str>, headers: &HeaderMap, extensions: &Extensions) -> bool {
        let Some(origin) = origin.and_then(|origin| Url::parse(origin).ok()) else { return false };
        if let Some(public) = &self.public {
            return origin.origin() == *public;
        }
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else {
            return false;
        };
        // Without a trusted proxy the scheme is unknown: a proxy may serve the daemon by https.
        if self.forwarded_scheme(headers, extensions).is_some_and(|scheme| scheme != origin.scheme()) {
            return false;
        }
        let served = Url::parse(&format!("{}://{host}", origin.scheme()));
        matches!(origin.scheme(), "http" | "https")
            && served.is_ok_and(|served| served.origin() == origin.origin())
    }

    /// Whether the client reaches the daemon by https.
    pub(super) fn is_https(&self, headers: &HeaderMap, extensions: &Extensions) -> bool {
        let is_public =
            matches!(&self.public, Some(Origin::Tuple(scheme, _, _)) if scheme.as_str() == "https");
        is_public || self.forwarded_scheme(headers, extensions) == Some("https")
    }

    /// The scheme that a trusted proxy reports.
    fn forwarded_scheme<'h>(&self, headers: &'h HeaderMap, extensions: &Extensions) -> Option<&'h str> {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
        if !self.trusted_proxies.iter().any(|block| block.contains(peer)) {
            return None;
        }
        let value = headers.get("x-forwarded-proto")?.to_str().ok()?;
        value.split(',').next().map(str::trim).filter(|scheme| matches!(*scheme, "http" | "https"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initiator(own: &OwnOrigin, list: &[(&'static str, &str)]) -> Initiator {
        let (headers, extensions) = request(list);
        own.initiator(&headers, &extensions)
    }

    fn request(list: &[(&'static str, &str)]) -> (HeaderMap, Extensions) {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, value.parse().unwrap());
        }
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo::<SocketAddr>("10.0.0.1:5".parse().unwrap()));
        (headers, extensions)
    }

    fn own(public_url: &str) -> OwnOrigin {
        OwnOrigin::new(public_url, &["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn sec_fetch_site_decides_where_present() {
        let own = own("");
        for (site, expected) in [
            ("same-origin", Initiator::OwnPage),
            ("none", Initiator::User),
            ("same-site", Initiator::OtherPage),
            ("cross-site", Initiator::OtherPage),
            ("", Initiator::OtherPage),
        ] {
            let headers =
                [("sec-fetch-site", site), ("host", "localhost:3000"), ("origin", "http://localhost:3000")];
            assert_eq!(initiator(&own, &headers), expected, "{site}");
        }
        let twice = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
        assert_eq!(initiator(&own, &twice), Initiator::OtherPage);
    }

    #[test]
    fn origin_is_compared_with_the_host() {
        let own = own("");
        for (origin, host, expected) in [
            ("http://192.0.2.7:3000", "192.0.2.7:3000", Initiator::OwnPage),
            ("http://wharf.example", "wharf.example", Initiator::OwnPage),
            ("http://wharf.example", "wharf.example:80", Initiator::OwnPage),
            ("https://wharf.example", "Wharf.Example", Initiator::OwnPage),
            ("http://[::1]:3000", "[::1]:3000", Initiator::OwnPage),
            ("http://localhost:5173", "localhost:3000", Initiator::OtherPage),
            ("http://localhost", "localhost:3000", Initiator::OtherPage),
            ("http://evil.example", "wharf.example", Initiator::OtherPage),
            ("http://wharf.example.evil.example", "wharf.example", Initiator::OtherPage),
            ("null", "wharf.example", Initiator::OtherPage),
            ("file://", "wharf.example", Initiator::OtherPage),
        ] {
            assert_eq!(initiator(&own, &[("origin", origin), ("host", host)]), expected, "{origin} {host}");
        }
        assert_eq!(initiator(&own, &[("host", "wharf.example")]), Initiator::Unstated);
        let hosts = [("origin", "http://a.example"), ("host", "a.example"), ("host", "b.example")];
        assert_eq!(initiator(&own, &hosts), Initiator::OtherPage);
    }

    #[test]
    fn public_url_replaces_the_host() {
        let own = own("https://wharf.example/below");
        let from = |origin| initiator(&own, &[("origin", origin), ("host", "127.0.0.1:3000")]);
        assert_eq!(from("https://wharf.example"), Initiator::OwnPage);
        assert_eq!(from("http://wharf.example"), Initiator::OtherPage);
        assert_eq!(from("http://127.0.0.1:3000"), Initiator::OtherPage);
    }

    #[test]
    fn scheme_of_a_trusted_proxy_counts() {
        let headers = [("host", "a.example"), ("x-forwarded-proto", "https")];
        let with = |origin| [headers.as_slice(), &[("origin", origin)]].concat();
        assert_eq!(initiator(&own(""), &with("https://a.example")), Initiator::OwnPage);
        assert_eq!(initiator(&own(""), &with("http://a.example")), Initiator::OtherPage);
        let (headers, extensions) = request(&headers);
        assert!(own("").is_https(&headers, &extensions));
        let untrusting = OwnOrigin::new("", &[]);
        assert!(!untrusting.is_https(&headers, &extensions));
        assert!(OwnOrigin::new("https://a.example", &[]).is_https(&HeaderMap::new(), &Extensions::new()));
    }
}
