//! An HTTP client that reaches only the addresses its guard allows. Redirects are never followed, and no error
//! text contains a URL.

use std::net::IpAddr;
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::OnceCell;
use url::{Host, Url};

use super::guard::{Guard, Refused};
use super::resolver::{GuardedResolver, Lookup, SystemLookup};

/// Time limit of a connection attempt: it distinguishes an absent server from a slow one.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));

/// An HTTP client for addresses that other people may have chosen. Clones share connections.
#[derive(Clone, Debug)]
pub struct GuardedClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    guard: Guard,
    timeout: Duration,
    route: Route,
    lookup: Arc<dyn Lookup>,
    /// Built at the first request: reading the system's certificates takes time, and a host without any
    /// must still be able to start.
    client: OnceCell<reqwest::Client>,
}

/// The certificates and the proxy of a client's requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Route {
    /// The only trusted certificate authorities, as PEM; the system's if absent.
    pub custom_ca: Option<String>,
    /// The HTTP proxy; none if absent. The operator configures it, so its address is not guarded.
    pub proxy: Option<Url>,
}

/// Errors of a request. No text contains the URL, because a URL may contain a secret.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The scheme is neither http nor https, or the host is missing.
    #[error("the URL must begin with http:// or https:// and name a host")]
    Url,
    /// The guard refuses the address.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The request took too long, from connecting to the last byte.
    #[error("no answer in time")]
    Timeout,
    /// No server accepted the connection in time: no byte of the request was sent.
    #[error("the server could not be reached in time")]
    NotReached,
    /// The server answered with another status than 200.
    #[error("the server answered {0}")]
    Status(u16),
    /// The server redirects too often.
    #[error("the server redirected more than {0} times")]
    TooManyRedirects(usize),
    /// The answer is larger than this limit, in bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// A header has characters that HTTP does not allow.
    #[error("a header of the request cannot be sent as it is")]
    Header,
    /// Connecting or transferring failed.
    #[error("the request failed")]
    Http(#[source] reqwest::Error),
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The client could not be set up.
    #[error("the HTTP client could not be set up")]
    SetUp,
    /// The PEM text has no certificate.
    #[error("there is no certificate in it; it must be one or more in PEM form")]
    Certificate,
}

/// Checks that a PEM text has at least one certificate.
///
/// # Errors
/// [`NetError::Certificate`] if it has none.
pub fn check_certificates(pem: &str) -> Result<(), NetError> {
    certificates(pem).map(|_| ())
}

fn certificates(pem: &str) -> Result<Vec<reqwest::Certificate>, NetError> {
    let found = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| NetError::Certificate)?;
    if found.is_empty() { Err(NetError::Certificate) } else { Ok(found) }
}

impl GuardedClient {
    /// A client under `guard`; no request takes longer than `timeout`, from connecting to the last byte.
    pub fn new(guard: Guard, timeout: Duration) -> Self {
        Self::routed(guard, timeout, Route::default())
    }

    /// As [`GuardedClient::new`], with its own certificates and proxy.
    pub fn routed(guard: Guard, timeout: Duration, route: Route) -> Self {
        Self::with_lookup(guard, timeout, route, Arc::new(SystemLookup))
    }

    pub(super) fn with_lookup(
        guard: Guard,
        timeout: Duration,
        route: Route,
        lookup: Arc<dyn Lookup>,
    ) -> Self {
        Self { inner: Arc::new(Inner { guard, timeout, route, lookup, client: OnceCell::new() }) }
    }

    /// Checks a URL without a DNS lookup: its scheme, and its host if that is an IP address.
    ///
    /// # Errors
    /// [`NetError::Url`] or [`NetError::Refused`].
    pub fn check_url(&self, url: &Url) -> Result<(), NetError> {
        self.check(url)
    }

    /// The body of a 200 answer to a GET.
    ///
    /// # Errors
    /// [`NetError`]; [`NetError::TooLarge`] if the body has more than `limit` bytes.
    pub async fn get_bytes(&self, url: &Url, limit: usize) -> Result<Vec<u8>, NetError> {
        self.check(url)?;
        let request = self.client().await?.get(url.clone());
        let response = request.send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(NetError::Status(response.status().as_u16()));
        }
        read_body(response, limit).await
    }

    /// The resolver is not asked about an IP address in any spelling, so it is checked here.
    pub(super) fn check(&self, url: &Url) -> Result<(), NetError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NetError::Url);
        }
        let address = match url.host().ok_or(NetError::Url)? {
            Host::Domain(_) => return Ok(()),
            Host::Ipv4(v4) => IpAddr::V4(v4),
            Host::Ipv6(v6) => IpAddr::V6(v6),
        };
        Ok(self.inner.guard.check(address)?)
    }

    /// A proxy resolves names itself. Therefore the name is resolved here first, and its addresses are checked.
    pub(super) async fn check_before_proxy(&self, url: &Url) -> Result<(), NetError> {
        let (Some(_), Some(Host::Domain(name))) = (&self.inner.route.proxy, url.host()) else {
            return Ok(());
        };
        let found = self.inner.lookup.look_up(name.to_owned()).await.map_err(|_| NetError::NoAddress)?;
        found.iter().try_for_each(|address| self.inner.guard.check(address.ip()))?;
        if found.is_empty() { Err(NetError::NoAddress) } else { Ok(()) }
    }

    pub(super) fn guard(&self) -> &Guard {
        &self.inner.guard
    }

    pub(super) fn route(&self) -> &Route {
        &self.inner.route
    }

    pub(super) fn lookup(&self) -> &dyn Lookup {
        self.inner.lookup.as_ref()
    }

    pub(super) async fn client(&self) -> Result<&reqwest::Client, NetError> {
        let inner = &self.inner;
        inner
            .client
            .get_or_try_init(|| async {
                let resolver = GuardedResolver::new(inner.guard.clone(), inner.lookup.clone());
                let (timeout, route) = (inner.timeout, inner.route.clone());
                let built = tokio::task::spawn_blocking(move || build(resolver, timeout, route)).await;
                built.map_err(|_| NetError::SetUp)?
            })
            .await
    }
}

/// Installs the process-wide TLS provider. `reqwest` builds no client without one, not even for plain HTTP.
pub(super) fn install_crypto() {
    static PROVIDER: Once = Once::new();
    // An error means that a provider is installed already.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

fn build(resolver: GuardedResolver, timeout: Duration, route: Route) -> Result<reqwest::Client, NetError> {
    install_crypto();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(timeout.min(CONNECT_WITHIN))
        .timeout(timeout);
    if let Some(pem) = &route.custom_ca {
        builder = builder.tls_certs_only(certificates(pem)?);
    }
    builder = match route.proxy {
        // With a proxy this client resolves only the proxy's name; targets are checked before.
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy).map_err(NetError::Http)?),
        None => builder.dns_resolver(resolver),
    };
    builder.build().map_err(NetError::Http)
}

pub(super) async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, NetError> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |length| length > limit) {
        return Err(NetError::TooLarge(limit));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if chunk.len() > limit - body.len() {
            return Err(NetError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(super) fn failed(error: reqwest::Error) -> NetError {
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => return NetError::NotReached,
        (false, true) => return NetError::Timeout,
        (_, false) => {}
    }
    if is_refusal(&error) {
        return NetError::Refused(Refused);
    }
    NetError::Http(error.without_url())
}

/// Whether the resolver refused: its error is in the source chain of the client's.
fn is_refusal(error: &reqwest::Error) -> bool {
    let first = std::error::Error::source(error);
    let mut chain = std::iter::successors(first, |error| error.source());
    chain.any(|error| {
        let io = error.downcast_ref::<std::io::Error>();
        let inside = io.and_then(std::io::Error::get_ref).and_then(|inner| inner.downcast_ref::<Refused>());
        error.is::<Refused>() || inside.is_some()
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    pub(in crate::net) fn client(allowed: &[&str]) -> GuardedClient {
        let blocks: Vec<_> = allowed.iter().map(|block| block.parse().unwrap()).collect();
        GuardedClient::new(Guard::new(&blocks), Duration::from_millis(800))
    }

    /// A server that answers each connection with `answer` and leaves it open.
    pub(in crate::net) async fn serve(answer: &'static str) -> Url {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                open.push(stream);
            }
        });
        url.parse().unwrap()
    }

    #[tokio::test]
    async fn local_address_is_refused_in_every_spelling() {
        let client = client(&[]);
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:7f00:1]",
            "[::ffff:127.0.0.1]",
            "１２７.0.0.1",
            "localhost",
            "0",
            "169.254.169.254",
        ] {
            let url: Url = format!("http://{host}:9/").parse().unwrap();
            let error = client.get_bytes(&url, 10).await.unwrap_err();
            assert!(matches!(error, NetError::Refused(_)), "{host}: {error:?}");
        }
    }

    #[tokio::test]
    async fn allowed_address_is_reached_by_ip_and_name() {
        let url = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        let client = client(&["127.0.0.0/8"]);
        assert_eq!(client.get_bytes(&url, 10).await.unwrap(), b"hi");
        let named: Url = format!("http://localhost:{}/", url.port().unwrap()).parse().unwrap();
        assert_eq!(client.get_bytes(&named, 10).await.unwrap(), b"hi");
    }

    #[tokio::test]
    async fn redirects_schemes_and_large_answers_are_refused() {
        let client = client(&["127.0.0.0/8"]);
        let redirect =
            serve("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n").await;
        assert!(matches!(client.get_bytes(&redirect, 10).await, Err(NetError::Status(302))));
        let announced = serve("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n01234567890").await;
        assert!(matches!(client.get_bytes(&announced, 10).await, Err(NetError::TooLarge(10))));
        let unannounced =
            serve("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n").await;
        assert!(matches!(client.get_bytes(&unannounced, 10).await, Err(NetError::TooLarge(10))));
        let file: Url = "file:///etc/passwd".parse().unwrap();
        assert!(matches!(client.get_bytes(&file, 10).await, Err(NetError::Url)));
    }

    /// Gives these answers, one after the other.
    #[derive(Debug)]
    struct Changing(std::sync::Mutex<Vec<&'static str>>);

    impl Lookup for Changing {
        fn look_up(
            &self,
            _: String,
        ) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<std::net::SocketAddr>>> {
            let next = self.0.lock().unwrap().remove(0);
            Box::pin(async move { Ok(vec![std::net::SocketAddr::new(next.parse().unwrap(), 0)]) })
        }
    }

    pub(in crate::net) fn with_answers(answers: &[&'static str], route: Route) -> GuardedClient {
        let guard = Guard::new(&["127.0.0.0/8".parse().unwrap()]);
        let lookup = Arc::new(Changing(std::sync::Mutex::new(answers.to_vec())));
        GuardedClient::with_lookup(guard, Duration::from_millis(800), route, lookup)
    }

    pub(in crate::net) fn named(url: &Url) -> Url {
        format!("{}://hooks.example.com:{}/", url.scheme(), url.port().unwrap()).parse().unwrap()
    }

    #[tokio::test]
    async fn rebound_name_is_refused() {
        let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
        let url = named(&serve(answer).await);
        for private in ["10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"] {
            let client = with_answers(&["127.0.0.1", private], Route::default());
            assert_eq!(client.get_bytes(&url, 10).await.unwrap(), b"hi");
            assert!(matches!(client.get_bytes(&url, 10).await, Err(NetError::Refused(_))), "{private}");
        }
    }

    #[tokio::test]
    async fn proxied_target_is_resolved_and_checked_first() {
        let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
        let proxy = serve(answer).await;
        let route = Route { proxy: Some(proxy), ..Route::default() };
        let client = with_answers(&["1.1.1.1", "10.0.0.1"], route);
        let url: Url = "http://hooks.example.com/".parse().unwrap();
        let post = || crate::net::Post {
            content_type: "application/json",
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(1),
        };
        assert_eq!(client.post(&url, post()).await.unwrap().status, 200);
        assert!(matches!(client.post(&url, post()).await, Err(NetError::Refused(_))));
        let literal: Url = "http://10.0.0.1/".parse().unwrap();
        assert!(matches!(client.post(&literal, post()).await, Err(NetError::Refused(_))));
    }

    #[test]
    fn certificate_files_are_validated() {
        for wrong in ["", "no PEM", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(check_certificates(wrong), Err(NetError::Certificate)), "{wrong}");
        }
    }

    #[tokio::test]
    async fn silent_server_times_out() {
        let silent = serve("").await;
        assert!(matches!(client(&["127.0.0.0/8"]).get_bytes(&silent, 10).await, Err(NetError::Timeout)));
    }
}
