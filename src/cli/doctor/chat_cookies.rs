//! Checks for `wharf doctor` that session cookies of operator chat can count: a cookie needs a trusted origin.

use std::net::IpAddr;

use super::host::Check;
use crate::domain::origin::OriginPattern;
use crate::settings::Settings;

const NAME: &str = "chat cookies";

/// Checks the identities with cookies; `None` if there are none.
pub(in crate::cli) fn probe(settings: &Settings) -> Option<Check> {
    let chat = &settings.chat;
    let has_cookies = chat.is_active() && chat.identities.iter().any(|identity| !identity.cookie.is_empty());
    has_cookies.then(|| judged(&settings.server.public_url, &settings.server.allowed_origins))
}

fn judged(public_url: &str, allowed: &[OriginPattern]) -> Check {
    if allowed.iter().any(OriginPattern::is_any) {
        return Check::warn(
            NAME,
            "server.allowed_origins is \"*\", which is not an origin from which cookies count",
            "List the origins of the pages in server.allowed_origins, or set server.public_url to theirs.",
        );
    }
    if public_url.is_empty() && allowed.iter().filter_map(OriginPattern::host).all(|host| is_local(&host)) {
        return Check::warn(
            NAME,
            "no origin is configured from which cookies count, except that of the Host header and of this machine",
            "Set server.public_url to the address of the page, or list its origin in server.allowed_origins.",
        );
    }
    Check::ok(NAME, "origins from which cookies count are configured")
}

fn is_local(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::host::Verdict;
    use super::*;

    fn verdict(public_url: &str, allowed: &[&str]) -> Verdict {
        let allowed: Vec<OriginPattern> = allowed.iter().map(|pattern| pattern.parse().unwrap()).collect();
        judged(public_url, &allowed).verdict
    }

    #[test]
    fn cookies_need_a_configured_origin() {
        let local = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];
        assert_eq!(verdict("", &local), Verdict::Warn);
        assert_eq!(verdict("", &[]), Verdict::Warn);
        assert_eq!(verdict("https://app.example.com", &local), Verdict::Ok);
        assert_eq!(verdict("", &["http://localhost:*", "https://app.example.com"]), Verdict::Ok);
        assert_eq!(verdict("https://app.example.com", &["*"]), Verdict::Warn);
    }
}
