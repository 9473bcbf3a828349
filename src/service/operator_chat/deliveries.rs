//! Records deliveries in batches: a message left the buffer of a recipient's socket, or was fetched.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::OperatorChat;
use super::receipts::mark_one;
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::message::MessageView;
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::store::StoreError;

/// Deliveries that may wait to be recorded. Further ones are dropped; a fetch or a read mark records them.
pub(super) const MAX_DELIVERIES: usize = 10_000;
/// Deliveries that are recorded at once.
const BATCH: usize = 256;

/// Messages to large rooms that are remembered as delivered.
const MAX_DELIVERED: usize = 10_000;

/// A message that reached a recipient.
#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: ChatMessageId,
    /// The recipient.
    pub recipient: UserPk,
}

impl OperatorChat {
    /// Starts the tasks that record deliveries and keep sessions.
    pub(in crate::service) async fn start(self: &Arc<Self>) {
        self.end_earlier_sessions().await;
        self.tasks.spawn_essential("chat-typing", self.clone().follow_contact_typing());
        self.tasks.spawn_essential("chat-sessions", self.clone().keep_sessions());
        self.tasks.spawn_essential("chat-rooms", self.clone().purge_deleted_rooms());
        let Some(waiting) = self.waiting_deliveries.lock().take() else { return };
        self.tasks.spawn_essential("chat-deliveries", self.clone().record_deliveries(waiting));
    }

    /// Queues a delivery, if there is room.
    pub fn delivered(&self, delivery: Delivery) {
        if self.deliveries.try_send(delivery).is_err() {
            tracing::debug!("delivery receipt dropped: the queue is full");
        }
    }

    /// Queues the deliveries of a page that a user fetched.
    pub(super) fn fetched(&self, user: UserPk, messages: &[MessageView]) {
        let undelivered =
            messages.iter().filter(|view| view.message.sender != user && view.delivered_at.is_none());
        for view in undelivered {
            let (conversation, message) = (view.message.conversation, view.message.id);
            self.delivered(Delivery { conversation, message, recipient: user });
        }
    }

    async fn record_deliveries(self: Arc<Self>, mut waiting: mpsc::Receiver<Delivery>) {
        let soft = self.tasks.soft().clone();
        let mut batch = Vec::with_capacity(BATCH);
        let mut delivered = HashSet::new();
        loop {
            if delivered.len() > MAX_DELIVERED {
                delivered.clear();
            }
            tokio::select! {
                () = soft.cancelled() => break,
                _ = waiting.recv_many(&mut batch, BATCH) => {}
            }
            let (deliveries, now) = (std::mem::take(&mut batch), self.now());
            // Of a message to a large room only the first delivery is recorded.
            let deliveries: Vec<_> =
                deliveries.into_iter().filter(|one| !delivered.contains(&one.message)).collect();
            if deliveries.is_empty() {
                continue;
            }
            let recorded = self.store.write_patiently::<_, StoreError, _>(move |tx| {
                let (mut conversations, mut of_large_rooms) = (HashMap::new(), HashSet::new());
                for delivery in &deliveries {
                    let conversation = match conversations.entry(delivery.conversation) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(unknown) => unknown.insert(tx.conversation(delivery.conversation)?),
                    };
                    // In a device conversation the network's receipts count.
                    let Some(found) = conversation.as_ref().filter(|found| found.device_chat().is_none())
                    else {
                        continue;
                    };
                    let is_large = found.room().is_some_and(|room| !room.is_small());
                    if is_large && !of_large_rooms.insert(delivery.message) {
                        continue;
                    }
                    if let Some(message) = tx.chat_message(delivery.message)? {
                        mark_one(tx, found, delivery.recipient, ReceiptLevel::Delivered, message.id, now)?;
                    }
                }
                Ok(of_large_rooms)
            });
            match recorded.await {
                Ok(of_large_rooms) => delivered.extend(of_large_rooms),
                Err(error) => tracing::warn!(%error, "delivery receipts not stored"),
            }
        }
    }
}
