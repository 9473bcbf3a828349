//! Ingests messages; they are durable here before the network receives their acknowledgement.
//!
//! The library calls the hook with decrypted messages and acknowledges them only after `Ok` (`whatsapp-rust`,
//! `message/commit_batch.rs`); otherwise the network delivers them again. The service drops a second copy by
//! its id. Nothing here sends: the library holds the sender's lock.

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

/// The hook's connection, which is created after the client and set then.
pub(super) type HookSlot = Arc<OnceLock<Weak<ConnectionContext>>>;

/// The library's durability hook.
pub(super) struct DurabilityHook(pub(super) HookSlot);

#[async_trait]
impl InboundDurabilityHook for DurabilityHook {
    async fn on_messages(&self, _client: Arc<Client>, batch: &[InboundMessage]) -> Result<(), anyhow::Error> {
        let context = self.0.get().and_then(Weak::upgrade).ok_or_else(|| anyhow!("the session has ended"))?;
        for message in batch {
            if !is_announcement_stored(&context, message).await {
                return Err(anyhow!("a history announcement could not be stored"));
            }
            ingest(&context, message).await?;
        }
        Ok(())
    }
}

/// Whether the history announcement in this message, if it has one, survives a kill.
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

/// Ingests a message; returns once it is durable.
///
/// # Errors
/// If it could not be ingested; it must not be acknowledged then.
pub(super) async fn ingest(
    context: &ConnectionContext,
    message: &InboundMessage,
) -> Result<(), InboundError> {
    resolve_source(context, &message.info.source).await?;
    resolve_mentioned(context, &message.message).await?;
    let ids = &context.identities;
    let Some(header) = content_in::header(&message.info, ids) else {
        tracing::debug!(device = %context.device, "a message from an unsupported chat was skipped");
        return Ok(());
    };
    let frame = KeyContext { ids, chat: &header.chat, writer: &header.from };
    let by_admin = message.info.edit == EditAttribute::AdminRevoke;
    match content_in::parse(&message.message, &frame, header.timestamp, by_admin) {
        MessageBody::Nothing => Ok(()),
        MessageBody::Change(change) => context.deliver(EngineEvent::MessageChange(change)).await,
        MessageBody::Vote(vote) => polls::ingest_vote(context, header.from, &message.info.source, vote).await,
        MessageBody::Message(mut parsed) => {
            polls::store_secret(context, &header, &message.info.source.sender, &mut parsed).await?;
            let source = &message.info.source;
            let (message, file) = content_in::message_of(header, *parsed);
            let message = match file {
                Some(file) => media::with_file(context, message, source, file).await?,
                None => message,
            };
            context.deliver(EngineEvent::Message(Box::new(message))).await
        }
    }
}

/// Ingests the placeholder of a view-once message, which linked devices do not receive.
///
/// # Errors
/// If it could not be ingested.
pub(super) async fn ingest_view_once(
    context: &ConnectionContext,
    info: &MessageInfo,
) -> Result<(), InboundError> {
    resolve_source(context, &info.source).await?;
    let Some(header) = content_in::header(info, &context.identities) else { return Ok(()) };
    let (message, _) = content_in::message_of(header, content_in::view_once_placeholder());
    context.deliver(EngineEvent::Message(Box::new(message))).await
}

/// Resolves the hidden ids of people that a message refers to.
///
/// # Errors
/// If an update could not be ingested.
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

/// Resolves the hidden ids in a source and delivers new pairs.
///
/// # Errors
/// If an update could not be ingested.
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

/// Resolves a hidden id to a phone number through the library and delivers the pair.
///
/// # Errors
/// If the update could not be ingested.
pub(super) async fn resolve(context: &ConnectionContext, jid: &NetworkJid) -> Result<(), InboundError> {
    if !context.identities.is_unresolved(jid) {
        return Ok(());
    }
    // An unresolved person keeps the hidden id.
    let Ok(Some(entry)) = boxed(context.client.get_lid_pn_entry(&jid.to_non_ad())).await else {
        return Ok(());
    };
    let (lid, number) = (NetworkJid::lid(&*entry.lid), NetworkJid::pn(&*entry.phone_number));
    match context.identities.record_pair(&lid, &number) {
        Some(update) => context.deliver(EngineEvent::Contacts(vec![update])).await,
        None => Ok(()),
    }
}
