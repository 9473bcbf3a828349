//! Messages on their way in: durable here before the network hears that we have them.
//!
//! The library calls the hook with what it decrypted, and acknowledges only when it answers `Ok`
//! (`whatsapp-rust`, `message/commit_batch.rs`): what the daemon did not take is delivered again. The same
//! message may come twice; the daemon knows it by its id. Nothing here sends: the library holds the sender's lock.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use whatsapp_rust::anyhow::{self, anyhow};
use whatsapp_rust::types::events::InboundMessage;
use whatsapp_rust::types::message::{EditAttribute, MessageInfo, MessageSource};
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::message::protocol_message::Type as ProtocolType;
use whatsapp_rust::{Client, InboundDurabilityHook, Jid as NetworkJid};

use super::boxed::boxed;
use super::connection_context::ConnectionContext;
use super::convert::content_in::{self, MessageBody};
use super::convert::message_key::KeyContext;
use super::{media, polls};
use crate::engine::{EngineEvent, InboundError};

/// Where the hook finds its connection, which is only there once the client is.
pub(super) type HookSlot = Arc<OnceLock<Weak<ConnectionContext>>>;

/// The library's hook.
pub(super) struct DurabilityHook(pub(super) HookSlot);

#[async_trait]
impl InboundDurabilityHook for DurabilityHook {
    async fn on_messages(&self, _client: Arc<Client>, batch: &[InboundMessage]) -> Result<(), anyhow::Error> {
        let context = self.0.get().and_then(Weak::upgrade).ok_or_else(|| anyhow!("the session has ended"))?;
        for message in batch {
            if !is_announcement_stored(&context, message).await {
                return Err(anyhow!("a part of the history could not be noted"));
            }
            ingest(&context, message).await?;
        }
        Ok(())
    }
}

/// Whether a part of the history that this message announces, if it does, will be asked for after a kill too.
async fn is_announcement_stored(context: &ConnectionContext, message: &InboundMessage) -> bool {
    let protocol = message.message.protocol_message.as_option();
    let announces =
        protocol.is_some_and(|message| message.r#type == Some(ProtocolType::HistorySyncNotification));
    match &context.history_queue {
        Some(queue) if announces && message.info.source.is_from_me => {
            queue.wait_until_stored(&message.info.id).await
        }
        _ => true,
    }
}

/// Tells of a message; returns once it is durable.
///
/// # Errors
/// When the daemon did not take it: it must not be acknowledged.
pub(super) async fn ingest(
    context: &ConnectionContext,
    message: &InboundMessage,
) -> Result<(), InboundError> {
    resolve_source(context, &message.info.source).await?;
    resolve_mentioned(context, &message.message).await?;
    let ids = &context.identities;
    let Some(header) = content_in::header(&message.info, ids) else {
        tracing::debug!(device = %context.device, "a message from where no chat can be was passed over");
        return Ok(());
    };
    let frame = KeyContext { ids, chat: &header.chat, writer: &header.from };
    let by_admin = message.info.edit == EditAttribute::AdminRevoke;
    match content_in::parse(&message.message, &frame, header.timestamp, by_admin) {
        MessageBody::Nothing => Ok(()),
        MessageBody::Change(event) => context.deliver(event).await,
        MessageBody::Vote(vote) => polls::ingest_vote(context, header.from, &message.info.source, vote).await,
        MessageBody::Message(mut parsed) => {
            polls::store_secret(context, &header, &message.info.source.sender, &mut parsed).await?;
            let (message, file) = content_in::message_of(header, *parsed);
            let message = match file {
                Some(file) => media::with_file(context, message, file).await?,
                None => message,
            };
            context.deliver(EngineEvent::Message(Box::new(message))).await
        }
    }
}

/// Tells of a message that only the phone is given, as it may be seen once only.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn ingest_view_once(
    context: &ConnectionContext,
    info: &MessageInfo,
) -> Result<(), InboundError> {
    resolve_source(context, &info.source).await?;
    let Some(header) = content_in::header(info, &context.identities) else { return Ok(()) };
    let (message, _) = content_in::message_of(header, content_in::view_once_placeholder());
    context.deliver(EngineEvent::Message(Box::new(message))).await
}

/// Learns who everybody is that a message speaks of.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn resolve_mentioned(
    context: &ConnectionContext,
    message: &wa::Message,
) -> Result<(), InboundError> {
    for text in content_in::people_in(message) {
        if let Ok(jid) = text.parse::<NetworkJid>() {
            resolve(context, &jid).await?;
        }
    }
    Ok(())
}

/// Learns who the people are that something comes from, and tells of it first.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn resolve_source(
    context: &ConnectionContext,
    source: &MessageSource,
) -> Result<(), InboundError> {
    let pairs = [(&source.sender, &source.sender_alt), (&source.chat, &source.recipient_alt)];
    for (one, other) in pairs {
        if let Some(update) = other.as_ref().and_then(|other| context.identities.record_pair(one, other)) {
            context.deliver(EngineEvent::Contacts(vec![update])).await?;
        }
    }
    resolve(context, &source.chat).await?;
    resolve(context, &source.sender).await
}

/// Learns the number behind a hidden id from what the library knows, and tells of it.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn resolve(context: &ConnectionContext, jid: &NetworkJid) -> Result<(), InboundError> {
    if !context.identities.is_unresolved(jid) {
        return Ok(());
    }
    // Not to know it now is no fault: the person goes by the hidden id until it is.
    let Ok(Some(entry)) = boxed(context.client.get_lid_pn_entry(&jid.to_non_ad())).await else {
        return Ok(());
    };
    let (lid, number) = (NetworkJid::lid(&*entry.lid), NetworkJid::pn(&*entry.phone_number));
    match context.identities.record_pair(&lid, &number) {
        Some(update) => context.deliver(EngineEvent::Contacts(vec![update])).await,
        None => Ok(()),
    }
}
