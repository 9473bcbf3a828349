//! An address that connections come in by, whatever stands behind it, and that can be shut.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

type Served = Pin<Box<dyn Future<Output = ()> + Send>>;
type TakeSocket = Box<dyn Fn(TcpStream) -> Served + Send + Sync>;

/// An address.
pub struct SwitchableListener {
    address: SocketAddr,
    shared: Arc<Shared>,
    _open: DropGuard,
}

struct Shared {
    /// Where connections go, and what ends them; refused while there is none.
    behind: Mutex<Option<(SocketAddr, CancellationToken)>>,
    sockets: OnceLock<TakeSocket>,
}

/// Any free port of loopback.
pub async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Serves until the test ends.
#[expect(clippy::disallowed_methods, reason = "a test's own server, which ends with it")]
pub fn serve(listener: TcpListener, router: Router) {
    tokio::spawn(async move { axum::serve(listener, router).await });
}

impl SwitchableListener {
    /// A door to this address.
    pub async fn to(behind: SocketAddr) -> Self {
        let door = Self::shut().await;
        door.open_to(behind);
        door
    }

    /// A door that is shut: connections end at once.
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

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on connections go there.
    pub fn open_to(&self, behind: SocketAddr) {
        *self.shared.behind.lock().unwrap() = Some((behind, CancellationToken::new()));
    }

    /// Ends all connections, and every new one at once. Answers where it led.
    pub fn close(&self) -> Option<SocketAddr> {
        let (behind, ends) = self.shared.behind.lock().unwrap().take()?;
        ends.cancel();
        Some(behind)
    }

    /// Has WebSockets served by this.
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
