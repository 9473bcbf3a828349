//! Follows the chat log and queues its events for webhooks. The position is stored with the deliveries, so that a
//! restart neither loses nor repeats one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::http::operator_chat::conversation_events::payload;
use crate::domain::operator_chat::conversation_event::ConversationEvent;
use crate::domain::webhook::event_names::CONVERSATION;
use crate::service::operator_chat::ConversationWebhookEvent;
use crate::service::{OperatorChat, Services};

/// The pause before the log is read again after an error.
const RETRY: Duration = Duration::from_millis(500);
/// Entries that are read at once.
const PAGE: usize = 200;
/// Entries without a delivery after which the position is stored.
const STORED_EVERY: i64 = 1_000;

/// Starts the task.
pub fn start(services: &Services, chat: &Arc<OperatorChat>) {
    let soft = services.tasks().soft().clone();
    let chat = chat.clone();
    services.tasks().spawn_essential("chat-webhooks", async move {
        soft.run_until_cancelled(run(&chat)).await;
    });
}

async fn run(chat: &OperatorChat) {
    let mut log = chat.follow_events();
    let mut stored = first_position(chat).await;
    let mut position = stored;
    loop {
        match advance(chat, position, &mut stored).await {
            Ok(read) if read == position => {
                if log.changed().await.is_err() {
                    return;
                }
            }
            Ok(read) => position = read,
            Err(error) => {
                tracing::warn!(%error, "chat log not readable for webhooks, retrying");
                sleep(RETRY).await;
            }
        }
    }
}

async fn first_position(chat: &OperatorChat) -> i64 {
    loop {
        match chat.webhook_position().await {
            Ok(position) => return position,
            Err(error) => tracing::warn!(%error, "chat log not readable for webhooks, retrying"),
        }
        sleep(RETRY).await;
    }
}

/// Queues the events of a page, and returns the last entry of it.
async fn advance(
    chat: &OperatorChat,
    position: i64,
    stored: &mut i64,
) -> Result<i64, crate::service::operator_chat::ChatError> {
    if !chat.has_webhooks().await? {
        let newest = chat.newest_event().await?.max(position);
        if newest - *stored >= STORED_EVERY {
            chat.queue_for_webhooks(Vec::new(), newest).await?;
            *stored = newest;
        }
        return Ok(newest);
    }
    let page = chat.conversation_events(None, position, PAGE).await?;
    let events: Vec<_> = page.events.iter().filter_map(webhook_event).collect();
    if !events.is_empty() || page.next_after - *stored >= STORED_EVERY {
        chat.queue_for_webhooks(events, page.next_after).await?;
        *stored = page.next_after;
    }
    Ok(page.next_after)
}

/// The event of a device's conversation, if webhooks can subscribe to it.
fn webhook_event(event: &ConversationEvent) -> Option<ConversationWebhookEvent> {
    let (name, device) = (event.change.name(), &event.conversation.device_chat()?.device);
    if !CONVERSATION.contains(&name) {
        return None;
    }
    let payload = payload(event)
        .inspect_err(|error| tracing::error!(%error, "an event of a conversation cannot be written as JSON"))
        .ok()?;
    Some(ConversationWebhookEvent { seq: event.seq, at: event.at, device: device.clone(), name, payload })
}
