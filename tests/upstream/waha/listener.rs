//! A listening address that can be closed and opened to another target.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

type Served = Pin<Box<dyn Future<Output = ()> + Send>>;
type TakeSocket = Box<dyn Fn(TcpStream) -> Served + Send + Sync>;

/// A proxy with a fixed address and a replaceable target.
pub struct SwitchableListener {
    address: SocketAddr,
    shared: Arc<Shared>,
    _open: DropGuard,
}

struct Shared {
    /// The target, and the token that ends its connections; closed while there is none.
    behind: Mutex<Option<(SocketAddr, CancellationToken)>>,
    sockets: OnceLock<TakeSocket>,
}

/// Listens on a free port of the loopback address.
pub async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Serves until the test ends.
#[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
pub fn serve(listener: TcpListener, router: Router) {
    tokio::spawn(async move { axum::serve(listener, router).await });
}

impl SwitchableListener {
    /// A proxy to this address.
    pub async fn to(behind: SocketAddr) -> Self {
        let door = Self::shut().await;
        door.open_to(behind);
        door
    }

    /// A closed proxy: connections end at once.
    #[expect(clippy::disallowed_methods, reason = "it ends with its door")]
    pub async fn shut() -> Self {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { behind: Mutex::default(), sockets: OnceLock::new() });
        let gone = CancellationToken::new();
        let (serving, until) = (Arc::clone(&shared), gone.clone());
        tokio::spawn(async move {
            loop {
                let stream = tokio::select! {
                    () = until.cancelled() => return,
                    accepted = listener.accept() => accepted.unwrap().0,
                };
                let Some((behind, ends)) = serving.behind.lock().unwrap().clone() else { continue };
                let (shared, gone) = (Arc::clone(&serving), until.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = ends.cancelled() => {}
                        () = gone.cancelled() => {}
                        () = passed_on(&shared, stream, behind) => {}
                    }
                });
            }
        });
        Self { address, shared, _open: gone.drop_guard() }
    }

    /// The URL of the proxy.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Opens the proxy to this address.
    pub fn open_to(&self, behind: SocketAddr) {
        *self.shared.behind.lock().unwrap() = Some((behind, CancellationToken::new()));
    }

    /// Closes the proxy and its connections; returns the former target.
    pub fn close(&self) -> Option<SocketAddr> {
        let (behind, ends) = self.shared.behind.lock().unwrap().take()?;
        ends.cancel();
        Some(behind)
    }

    /// Passes WebSocket connections to this function.
    pub fn take_sockets(&self, take: impl Fn(TcpStream) -> Served + Send + Sync + 'static) {
        let _ = self.shared.sockets.set(Box::new(take));
    }
}

async fn passed_on(shared: &Shared, mut stream: TcpStream, behind: SocketAddr) {
    if let Some(take) = shared.sockets.get() {
        let mut begin = [0; 7];
        let seen = stream.peek(&mut begin).await.unwrap_or(0);
        if begin[..seen] == *b"GET /ws" {
            return take(stream).await;
        }
    }
    if let Ok(mut to) = TcpStream::connect(behind).await {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut to).await;
    }
}
