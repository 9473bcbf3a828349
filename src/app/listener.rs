//! The listening socket, and serving on it until the daemon drains.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use socket2::SockRef;
use tokio::net::TcpListener;

use super::StartError;
use crate::lifecycle::Tasks;

pub(super) struct Bound {
    pub(super) address: SocketAddr,
    listener: TcpListener,
    user_timeout: Duration,
}

pub(super) async fn bind(address: SocketAddr, user_timeout_ms: u64) -> Result<Bound, StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { address, listener, user_timeout: Duration::from_millis(user_timeout_ms) })
}

impl Bound {
    pub(super) fn serve(self, router: Router, tasks: &Tasks) {
        let user_timeout = self.user_timeout;
        let listener = self.listener.tap_io(move |stream| {
            // A peer that reads nothing would hold its writer, and its buffers, for as long as it likes.
            if let Err(error) = SockRef::from(&*stream).set_tcp_user_timeout(Some(user_timeout)) {
                tracing::debug!(%error, "TCP_USER_TIMEOUT is not available");
            }
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY is not available");
            }
        });
        let soft = tasks.soft().clone();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn_essential("http", async move {
            let served = axum::serve(listener, service).with_graceful_shutdown(soft.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "serving ended");
            }
        });
    }
}
