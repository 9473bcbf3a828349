//! Runs a connected session: reads groups, contacts and missed messages, then checks the session
//! until it ends.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::backfill::{self, DeferredBackfill};
use super::session::WahaSession;
use super::settings::InboundTransport;
use super::{groups, linking, people, websocket};
use crate::domain::vault::VaultBatch;
use crate::engine::relay::upstream_identity::{self, IdentityKey};
use crate::engine::{EngineEvent, SessionEnd};

/// How often the status of the session is checked.
const CHECK_EVERY: Duration = Duration::from_secs(30);
/// The pause before the history is read once more: after linking, the phone sends it for a while.
const SECOND_HISTORY_DELAY: Duration = Duration::from_secs(60);
/// The place of the server's and session's identity in the vault.
const IDENTITY: IdentityKey = IdentityKey { space: "waha.whose", key: "of" };

/// Runs the session until it ends.
pub(super) async fn live(session: &WahaSession) -> Result<Infallible, SessionEnd> {
    ensure_upstream(session).await?;
    if let Err(error) = session.ids.prune().await {
        tracing::warn!(device = %session.context.device, %error, "expired message ids could not be removed");
    }
    match session.settings.inbound {
        InboundTransport::Webhook => tokio::select! {
            biased;
            ended = stay_online(session) => ended,
            ended = session.retry_media() => ended,
        },
        InboundTransport::WebSocket => {
            let mut socket = websocket::open(session).await?;
            tokio::select! {
                biased;
                ended = websocket::receive(session, &mut socket) => ended,
                ended = stay_online(session) => ended,
                ended = session.retry_media() => ended,
            }
        }
    }
}

/// Removes the position, the deferred chats and the link of another server or session. Message ids stay: the
/// network gives each only once, and after a move of the server they still prevent second copies.
async fn ensure_upstream(session: &WahaSession) -> Result<(), SessionEnd> {
    let identity = upstream_identity::digest(session.settings.base.as_str(), &session.settings.session);
    let clear = |batch: &mut VaultBatch| {
        for space in [backfill::SPACE, backfill::DEFERRED_SPACE, linking::SPACE] {
            batch.remove_space(space);
        }
    };
    let vault = &*session.context.vault;
    let cleared = upstream_identity::ensure_upstream(vault, IDENTITY, &identity, clear).await;
    if session.context.stored(cleared)? {
        tracing::info!(device = %session.context.device, "the settings name another session: the state of the former one was removed");
    }
    Ok(())
}

async fn stay_online(session: &WahaSession) -> Result<Infallible, SessionEnd> {
    let account = linking::establish(session).await?;
    session.base.set_account(&account);
    // Before the session is online, so that no request changes groups meanwhile.
    groups::deliver_groups(session).await?;
    session.base.set_online(true);
    session.context.deliver(EngineEvent::Opened(account)).await?;
    people::deliver_contacts(session).await?;
    let is_first = backfill::begin(session).await?;
    let mut second_history = is_first.then(|| Instant::now() + SECOND_HISTORY_DELAY);
    let mut deferred = DeferredBackfill::new();
    let mut check = Instant::now() + CHECK_EVERY;
    loop {
        tokio::select! {
            () = session.status_changed.notified() => {}
            () = tokio::time::sleep_until(check) => check = Instant::now() + CHECK_EVERY,
            () = sleep_until(second_history) => {
                second_history = None;
                backfill::read_history_again(session).await?;
                continue;
            }
            () = tokio::time::sleep_until(deferred.due()) => {
                deferred.retry(session).await?;
                continue;
            }
        }
        check_status(session).await?;
        backfill::store_position(session).await;
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn check_status(session: &WahaSession) -> Result<(), SessionEnd> {
    let began = Instant::now();
    linking::ensure_working(session).await?;
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    session.context.deliver(EngineEvent::Latency { ms }).await
}
