//! Credentials of requests: the API key, the client address, and the limit of failed logins of an address.
//!
//!
//! Invariants: a valid key is never throttled, because keys are verified before failures are counted; the
//! counters are bounded; no key is logged or put into an error.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use parking_lot::Mutex;
use url::form_urlencoded;

use crate::domain::clock::Millis;
use crate::domain::ip_block::IpBlock;

/// Addresses that are counted in one window.
const MAX_ADDRESSES: usize = 10_000;
const WINDOW_MS: i64 = 60_000;

/// The key of a request: in `X-API-KEY`, `apiKey` or `Authorization: Bearer`, or in the query
/// as `apiKey` where `query` is given (sockets). An empty one counts as absent.
#[must_use]
pub fn presented_key(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let header = |name: &str| {
        let value = headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
    };
    let bearer = || bearer(&header(AUTHORIZATION.as_str())?);
    let query = || {
        let mut pairs = form_urlencoded::parse(query?.as_bytes());
        pairs.find(|(name, _)| name == "apiKey").map(|(_, value)| value.into_owned())
    };
    let given = |key: &String| !key.is_empty();
    header("x-api-key")
        .filter(given)
        .or_else(|| header("apikey").filter(given))
        .or_else(|| bearer().filter(given))
        .or_else(|| query().filter(given))
}

fn bearer(value: &str) -> Option<String> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned())
}

/// The client's address: the peer, or behind trusted proxies the right-most address of `X-Forwarded-For` that
/// is not a trusted proxy's. Addresses further left are ignored: clients can forge them.
#[must_use]
pub fn client_address(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpBlock]) -> IpAddr {
    let mut address = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip()).to_canonical();
    let lines: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    for hop in hops {
        if !trusted.iter().any(|block| block.contains(address)) {
            break;
        }
        let Some(next) = hop_address(hop.trim()) else { break };
        address = next.to_canonical();
    }
    address
}

/// An address of a proxy's header: bare, or with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The result of a failed login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// The failure is answered.
    Counted,
    /// There were too many failures.
    TooMany {
        /// Seconds until the next window.
        retry_after_seconds: u64,
    },
}

/// Failed logins by address, in windows of a minute.
#[derive(Debug)]
pub struct FailedLogins {
    per_minute: u32,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    since: Millis,
    counts: HashMap<IpAddr, u32>,
}

impl FailedLogins {
    /// With the most failures of one address in a minute.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, window: Mutex::default() }
    }

    /// Counts a failed login. When more addresses fail in one minute than are counted, the others are
    /// answered as if they had failed too often.
    pub fn count(&self, address: IpAddr, now: Millis) -> Failed {
        let mut window = self.window.lock();
        let age = now.since(window.since);
        if !(0..WINDOW_MS).contains(&age) {
            *window = Window { since: now, counts: HashMap::new() };
        }
        let left_ms = WINDOW_MS - now.since(window.since);
        let retry_after_seconds = u64::try_from(left_ms).unwrap_or_default().div_ceil(1_000);
        let whole = window.counts.len() >= MAX_ADDRESSES;
        let network = network_of(address);
        if whole && !window.counts.contains_key(&network) {
            return Failed::TooMany { retry_after_seconds };
        }
        let count = window.counts.entry(network).or_default();
        *count = count.saturating_add(1);
        if *count > self.per_minute { Failed::TooMany { retry_after_seconds } } else { Failed::Counted }
    }
}

/// The owner of an IPv6 address usually has its whole /64.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn key_is_read_from_every_accepted_header() {
        let key = |list: &[(&'static str, &str)], query| presented_key(&headers(list), query);
        assert_eq!(key(&[("x-api-key", "a")], None).as_deref(), Some("a"));
        assert_eq!(key(&[("authorization", "bearer  b ")], None).as_deref(), Some("b"));
        assert_eq!(key(&[("apikey", "c")], None).as_deref(), Some("c"));
        assert_eq!(key(&[("x-api-key", ""), ("authorization", "Bearer b")], None).as_deref(), Some("b"));
        assert_eq!(key(&[], Some("EIO=4&apiKey=d%5F1")).as_deref(), Some("d_1"));
        assert_eq!(key(&[("x-api-key", "a")], Some("apiKey=d")).as_deref(), Some("a"));
        for nothing in [&[][..], &[("authorization", "Basic YTpi")], &[("authorization", "Bearer")]] {
            assert_eq!(key(nothing, Some("apiKey=&x=1")), None);
        }
    }

    #[test]
    fn forwarded_addresses_need_a_trusted_proxy() {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        let from = |peer: &str, forwarded: &[&str]| {
            let list: Vec<_> = forwarded.iter().map(|line| ("x-forwarded-for", *line)).collect();
            client_address(Some(peer.parse().unwrap()), &headers(&list), &trusted).to_string()
        };
        assert_eq!(from("192.0.2.1:5", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(from("10.0.0.1:5", &[]), "10.0.0.1");
        assert_eq!(from("10.0.0.1:5", &["203.0.113.9, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1:5", &["203.0.113.9", "198.51.100.7:443, 10.1.1.1"]), "198.51.100.7");
        assert_eq!(from("[::ffff:10.0.0.1]:5", &["[2001:db8::1]:80", "10.2.2.2"]), "2001:db8::1");
        assert_eq!(from("10.0.0.1:5", &["198.51.100.7, unknown"]), "10.0.0.1");
    }

    #[test]
    fn too_many_failures_of_one_address_are_throttled() {
        let tries = FailedLogins::new(2);
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let start = Millis(1_000_000);
        assert_eq!(tries.count(one, start), Failed::Counted);
        assert_eq!(tries.count(one, start.plus(1)), Failed::Counted);
        let later = start.plus(15_500);
        assert_eq!(tries.count(one, later), Failed::TooMany { retry_after_seconds: 45 });
        assert_eq!(tries.count(other, later), Failed::Counted);
        assert_eq!(tries.count(one, start.plus(60_000)), Failed::Counted);
        // The clock was set back.
        assert_eq!(tries.count(one, start), Failed::Counted);
    }

    #[test]
    fn counted_addresses_are_bounded() {
        let tries = FailedLogins::new(5);
        let now = Millis(1_000_000);
        for n in 0..u32::try_from(MAX_ADDRESSES).unwrap() {
            assert_eq!(tries.count(IpAddr::V4(n.into()), now), Failed::Counted);
        }
        assert!(matches!(tries.count("203.0.113.1".parse().unwrap(), now), Failed::TooMany { .. }));
        assert_eq!(tries.count(IpAddr::V4(7.into()), now), Failed::Counted);
        assert_eq!(tries.window.lock().counts.len(), MAX_ADDRESSES);
    }

    #[test]
    fn ipv6_network_counts_as_one_address() {
        let tries = FailedLogins::new(1);
        assert_eq!(tries.count("2001:db8::1".parse().unwrap(), Millis(0)), Failed::Counted);
        assert!(matches!(tries.count("2001:db8::2".parse().unwrap(), Millis(0)), Failed::TooMany { .. }));
        assert_eq!(tries.count("2001:db8:0:1::2".parse().unwrap(), Millis(0)), Failed::Counted);
    }
}
