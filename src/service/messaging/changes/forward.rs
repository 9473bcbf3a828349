//! Forwards a message to other chats. Either all chats get it or none.

use crate::domain::content::Content;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::message::{Message, MessageType};
use crate::domain::outbox::Priority;
use crate::service::{Accepted, IdempotencyKey, Messaging, SendContent, SendRequest, ServiceError};

/// A request to forward a message.
#[derive(Debug, Clone)]
pub struct Forward {
    /// The message to forward; it may be in any chat of the device.
    pub message: MessageId,
    /// The chats that receive it.
    pub to: Vec<Jid>,
    /// A request with the same key within a day gets the same answer and sends nothing again.
    pub idempotency: Option<IdempotencyKey>,
}

impl Messaging {
    /// Forwards a message; each chat gets a message of its own.
    ///
    /// # Errors
    /// When there is no such message, it cannot be forwarded, or one send is refused. Then none is sent.
    pub async fn forward(&self, device: &DeviceId, forward: Forward) -> Result<Vec<Accepted>, ServiceError> {
        let message = self.message(device, &forward.message).await?.message;
        let content = content_to_forward(&message)?;
        let mut requests = Vec::with_capacity(forward.to.len());
        for (index, to) in forward.to.into_iter().enumerate() {
            // An idempotency key names one message, so each chat gets a derived key.
            let idempotency = forward.idempotency.clone().map(|key| key.of_part(index));
            requests.push(SendRequest {
                to,
                text: message.body.clone(),
                content: SendContent::Ready(content.clone()),
                quoted: None,
                mentions: Vec::new(),
                forwarded: true,
                temp_id: None,
                priority: Priority::default(),
                send_at: None,
                idempotency,
            });
        }
        self.send_together(device, requests).await
    }
}

fn content_to_forward(message: &Message) -> Result<Content, ServiceError> {
    let refused = |code, text: &str| Err(ServiceError::Impossible { code, message: text.to_owned() });
    match message.content() {
        Content::Other(MessageType::Revoked) => refused("message_revoked", "this message was taken back"),
        Content::Other(_) => refused("cannot_forward", "messages of this type cannot be forwarded"),
        Content::Media(_) if message.media.as_ref().is_none_or(|media| !media.available) => {
            refused("media_gone", "the file of this message was deleted")
        }
        content => Ok(content),
    }
}
