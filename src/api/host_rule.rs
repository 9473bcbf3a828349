//! The `Host` header of each request. A web page on another name that resolves to a loopback address (DNS rebinding)
//! must not reach a daemon that listens on loopback.
//!
//! Invariant: a request without a `Host` header, or with two, has no effect.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use url::Url;

use super::ApiConfig;
use super::http::ApiError;
use crate::domain::ip_block::IpBlock;
use crate::domain::origin::OriginPattern;

/// The names under which clients may reach the daemon.
pub(super) struct HostRule {
    /// `None` if every name is allowed.
    names: Option<Vec<String>>,
    trusted_proxies: Vec<IpBlock>,
}

impl HostRule {
    pub(super) fn new(config: &ApiConfig) -> Self {
        let is_open = !config.listens_on_loopback || config.allowed_origins.iter().any(OriginPattern::is_any);
        let public = Url::parse(&config.public_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let origins = config.allowed_origins.iter().filter_map(OriginPattern::host);
        let names = (!is_open).then(|| public.into_iter().chain(origins).collect());
        Self { names, trusted_proxies: config.trusted_proxies.clone() }
    }

    /// Refuses requests for other names.
    pub(super) fn check(&self, request: &Request) -> Result<(), ApiError> {
        let mut headers = request.headers().get_all(HOST).iter();
        let (Some(host), None) = (headers.next(), headers.next()) else { return Err(ApiError::HostInvalid) };
        let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        let host = host.ok_or(ApiError::HostInvalid)?;
        // A request to a proxy has the name in its target, too.
        let mut names = [Some(host.host()), request.uri().host()].into_iter().flatten();
        let peer =
            request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        let is_proxy = peer.is_some_and(|ip| self.trusted_proxies.iter().any(|block| block.contains(ip)));
        if is_proxy || names.all(|name| self.allows(name)) { Ok(()) } else { Err(ApiError::HostNotAllowed) }
    }

    fn allows(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        self.names.as_ref().is_none_or(|names| {
            is_loopback(name) || names.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
        })
    }
}

fn is_loopback(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn rule(names: &[&str]) -> HostRule {
        let names = Some(names.iter().map(|name| (*name).to_owned()).collect());
        HostRule { names, trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()] }
    }

    fn code(rule: &HostRule, uri: &str, hosts: &[&str], peer: &str) -> Option<&'static str> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let peer: SocketAddr = peer.parse().unwrap();
        let request = request.extension(ConnectInfo(peer)).body(Body::empty()).unwrap();
        rule.check(&request).err().map(|error| error.code())
    }

    #[test]
    fn loopback_and_configured_names_are_allowed() {
        let rule = rule(&["wharf.example.com"]);
        for host in
            ["localhost", "LOCALHOST:3000", "127.0.0.1:3000", "127.9.9.9", "[::1]:3000", "Wharf.example.com"]
        {
            assert_eq!(code(&rule, "/healthz", &[host], "127.0.0.1:9"), None, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "192.0.2.1", "wharf.example.com.evil.example"]
        {
            assert_eq!(code(&rule, "/healthz", &[host], "127.0.0.1:9"), Some("host_not_allowed"), "{host}");
            assert_eq!(code(&rule, "/healthz", &[host], "10.0.0.1:9"), None, "a trusted proxy: {host}");
        }
        let absolute = code(&rule, "http://evil.example/healthz", &["localhost"], "127.0.0.1:9");
        assert_eq!(absolute, Some("host_not_allowed"));
    }

    #[test]
    fn one_valid_host_header_is_required() {
        let open = HostRule { names: None, trusted_proxies: Vec::new() };
        assert_eq!(code(&open, "/healthz", &["any.example"], "192.0.2.1:9"), None);
        for hosts in [&[][..], &["a.example", "a.example"], &["a b"]] {
            assert_eq!(code(&open, "/healthz", hosts, "192.0.2.1:9"), Some("invalid_host"), "{hosts:?}");
        }
    }
}
