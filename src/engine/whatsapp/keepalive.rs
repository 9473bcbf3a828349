//! Pings the network and measures the round trip. The library pings too and closes a silent connection
//! (`whatsapp-rust`, `keepalive.rs`), but it reports neither.

use super::boxed::boxed;
use std::time::Duration;

use tokio::time::Instant;
use whatsapp_rust::Client;
use whatsapp_rust::request::IqError;
use whatsapp_rust::wacore::iq::keepalive::KeepaliveSpec;

/// Pause between two pings.
pub(super) const INTERVAL: Duration = Duration::from_secs(45);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The result of a ping.
pub(super) enum Keepalive {
    /// The round trip in milliseconds.
    Alive(u64),
    /// No answer in time.
    Silent,
    /// The connection is closing.
    Gone,
}

/// Pings after this pause.
pub(super) async fn ping(client: &Client, pause: Duration) -> Keepalive {
    tokio::time::sleep(pause).await;
    let started = Instant::now();
    match boxed(client.execute(KeepaliveSpec::with_timeout(PATIENCE))).await {
        // Any answer proves that the network responds.
        Ok(())
        | Err(
            IqError::ServerError { .. } | IqError::ParseError(_) | IqError::UnexpectedResponseType { .. },
        ) => Keepalive::Alive(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1)),
        Err(IqError::Timeout) => Keepalive::Silent,
        Err(_) => Keepalive::Gone,
    }
}
