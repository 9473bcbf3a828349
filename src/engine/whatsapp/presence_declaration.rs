//! Declares the account's own presence to the network, as its policy allows.
//!
//! The library declares the account available at each connection and when its name changes. The phone of an
//! available account gets no push notifications, so [`run`] withdraws that declaration unless an operator is
//! active.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use whatsapp_rust::{NodeFilter, PresenceError, PresenceStatus};

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::keepalive;
use crate::engine::SessionError;

/// Pause before the library's own declaration is withdrawn. The library reports a stanza shortly before it
/// is written, and a withdrawal that overtakes it has no effect.
const LIBRARY_WRITES: Duration = Duration::from_millis(50);

/// Makes the account available for a request that WhatsApp serves to available accounts only.
///
/// # Errors
/// If the policy is `unavailable`.
pub(super) async fn require_available(context: &ConnectionContext) -> Result<(), SessionError> {
    if !context.own_presence.request() {
        return Err(SessionError::PresenceUnavailable);
    }
    declare(context).await;
    // The task has a new end of use to wait for.
    context.own_presence.used.notify_one();
    Ok(())
}

/// Keeps the presence at what is allowed, until the connection ends.
pub(super) async fn run(context: Arc<ConnectionContext>) {
    let presence = &context.own_presence;
    let declarations = || context.client.wait_for_sent_node(available_stanza());
    let mut declaration = declarations();
    let mut repeat_at = None;
    let mut is_open = false;
    loop {
        let use_ends = presence.use_ends();
        tokio::select! {
            sent = &mut declaration => {
                declaration = declarations();
                if sent.is_ok() {
                    tokio::time::sleep(LIBRARY_WRITES).await;
                    *presence.declared.lock().await = PresenceStatus::Available;
                    repeat_at = Some(Instant::now() + keepalive::INTERVAL);
                } else {
                    // The library drops these waiters when it closes its transport.
                    *presence.declared.lock().await = PresenceStatus::Unavailable;
                    repeat_at = None;
                }
            }
            () = context.open.cancelled(), if !is_open => is_open = true,
            () = presence.used.notified() => {}
            () = sleep_until(use_ends) => {}
            () = sleep_until(repeat_at) => {
                // The withdrawal may have overtaken the library's stanza nevertheless.
                repeat_at = None;
                if presence.allowed(Instant::now()) == PresenceStatus::Unavailable {
                    *presence.declared.lock().await = PresenceStatus::Available;
                }
            }
        }
        declare(&context).await;
    }
}

/// Declares the allowed presence, unless it is declared already.
async fn declare(context: &ConnectionContext) {
    let mut declared = context.own_presence.declared.lock().await;
    let allowed = context.own_presence.allowed(Instant::now());
    if *declared == allowed {
        return;
    }
    match boxed(context.client.presence().set(allowed)).await {
        Ok(()) => *declared = allowed,
        // The library declares the account available once it has its name.
        Err(PresenceError::PushNameEmpty) => {}
        Err(error) => {
            tracing::debug!(device = %context.device, %error, "could not declare the account's presence");
        }
    }
}

fn available_stanza() -> NodeFilter {
    NodeFilter::tag("presence").attr("type", PresenceStatus::Available.as_str())
}

/// Waits until this moment; forever without one.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
