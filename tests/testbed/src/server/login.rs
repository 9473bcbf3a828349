//! Logs companions in: checks device and key, answers `<success>` or `<failure>`, then handles one stanza
//! after the other.

use std::sync::Arc;

use tokio::time::Instant;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::dispatch::{self, Session};
use super::state::Account;
use super::streams::{self, Refusal};
use super::{World, faults, presence};
use crate::wire::connection::{Arrival, Inbound, Link};
use crate::wire::noise::Pattern;

/// Logs a companion in and serves it until its connection ends.
pub async fn log_in(world: &Arc<World>, arrival: Arrival) {
    let Arrival { client_key, pattern, payload, link, inbound } = arrival;
    let number = payload.username.unwrap_or_default().to_string();
    let device = payload.device.and_then(|device| u16::try_from(device).ok()).unwrap_or_default();
    let Some(account) = world.directory.find(&number) else {
        link.finish(Refusal::LoggedOut.node()).await;
        return;
    };
    let met = account.lock().faults.next_login_fault(Instant::now());
    if !faults::apply(&link, met).await {
        return;
    }
    let Some(former) = enter(&account, device, &client_key, pattern, &link) else {
        link.finish(Refusal::LoggedOut.node()).await;
        return;
    };
    if let Some(former) = former {
        former.finish(streams::replaced()).await;
    }
    let session = Session { world: Arc::clone(world), account, device, link };
    serve(&session, inbound).await;
    leave(&session);
    presence::disconnected(&session).await;
}

/// Sets the companion's link and returns the previous one; `None` if the companion is not linked or has
/// another key.
fn enter(
    account: &Account,
    device: u16,
    key: &[u8; 32],
    pattern: Pattern,
    link: &Link,
) -> Option<Option<Link>> {
    let mut state = account.lock();
    let companion = state.companions.get_mut(&device)?;
    if companion.noise_key != *key {
        return None;
    }
    companion.logged_in_with(pattern);
    companion.active = false;
    Some(companion.link.replace(link.clone()))
}

/// Marks the companion as offline, unless it has connected again.
fn leave(session: &Session) {
    session.account.with(session.device, |companion| {
        if companion.link.as_ref().is_some_and(|link| link.id() == session.link.id()) {
            companion.link = None;
            companion.active = false;
        }
    });
}

async fn serve(session: &Session, mut inbound: Inbound) {
    session.send(success(session)).await;
    while let Some(stanza) = inbound.next().await {
        dispatch::dispatch(session, &stanza).await;
    }
}

fn success(session: &Session) -> Node {
    NodeBuilder::new("success")
        .attr("t", wacore::time::now_secs())
        .attr("lid", session.lid_jid())
        .attr("display_name", session.account.lock().push_name.clone())
        .attr("location", "tst")
        .build()
}
