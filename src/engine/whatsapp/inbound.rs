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

use super::boxed::erased;
use super::connection_context::Connected;
use super::convert::content_in::{self, Said};
use super::convert::message_key::Frame;
use super::{media, polls};
use crate::engine::{EngineEvent, InboundError};

/// Where the hook finds its connection, which is only there once the client is.
pub(super) type Place = Arc<OnceLock<Weak<Connected>>>;

/// The library's hook.
pub(super) struct Hook(pub(super) Place);

#[async_trait]
impl InboundDurabilityHook for Hook {
    async fn on_messages(&self, _client: Arc<Client>, batch: &[InboundMessage]) -> Result<(), anyhow::Error> {
        let connected =
            self.0.get().and_then(Weak::upgrade).ok_or_else(|| anyhow!("the session has ended"))?;
        for message in batch {
            if !is_noted(&connected, message).await {
                return Err(anyhow!("a part of the history could not be noted"));
            }
            take_in(&connected, message).await?;
        }
        Ok(())
    }
}

/// Whether a part of the history that this message announces, if it does, will be asked for after a kill too.
async fn is_noted(connected: &Connected, message: &InboundMessage) -> bool {
    let protocol = message.message.protocol_message.as_option();
    let announces = protocol.is_some_and(|told| told.r#type == Some(ProtocolType::HistorySyncNotification));
    match &connected.announced {
        Some(announced) if announces && message.info.source.is_from_me => {
            announced.is_stored(&message.info.id).await
        }
        _ => true,
    }
}

/// Tells of a message; returns once it is durable.
///
/// # Errors
/// When the daemon did not take it: it must not be acknowledged.
pub(super) async fn take_in(connected: &Connected, told: &InboundMessage) -> Result<(), InboundError> {
    learn_source(connected, &told.info.source).await?;
    learn_named(connected, &told.message).await?;
    let ids = &connected.identities;
    let Some(header) = content_in::header(&told.info, ids) else {
        tracing::debug!(device = %connected.device, "a message from where no chat can be was passed over");
        return Ok(());
    };
    let frame = Frame { ids, chat: &header.chat, writer: &header.from };
    let by_admin = told.info.edit == EditAttribute::AdminRevoke;
    match content_in::said(&told.message, &frame, header.timestamp, by_admin) {
        Said::Nothing => Ok(()),
        Said::Change(event) => connected.tell(event).await,
        Said::Vote(vote) => polls::voted(connected, header.from, &told.info.source, vote).await,
        Said::Message(mut saying) => {
            polls::keep_asked(connected, &header, &told.info.source.sender, &mut saying).await?;
            let (message, file) = content_in::message_of(header, *saying);
            let message = match file {
                Some(file) => media::fetched(connected, message, file).await?,
                None => message,
            };
            connected.tell(EngineEvent::Message(Box::new(message))).await
        }
    }
}

/// Tells of a message that only the phone is given, as it may be seen once only.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn withheld(connected: &Connected, info: &MessageInfo) -> Result<(), InboundError> {
    learn_source(connected, &info.source).await?;
    let Some(header) = content_in::header(info, &connected.identities) else { return Ok(()) };
    let (message, _) = content_in::message_of(header, content_in::withheld());
    connected.tell(EngineEvent::Message(Box::new(message))).await
}

/// Learns who everybody is that a message speaks of.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn learn_named(connected: &Connected, message: &wa::Message) -> Result<(), InboundError> {
    for text in content_in::people_in(message) {
        if let Ok(jid) = text.parse::<NetworkJid>() {
            learn(connected, &jid).await?;
        }
    }
    Ok(())
}

/// Learns who the people are that something comes from, and tells of it first.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn learn_source(connected: &Connected, source: &MessageSource) -> Result<(), InboundError> {
    let pairs = [(&source.sender, &source.sender_alt), (&source.chat, &source.recipient_alt)];
    for (one, other) in pairs {
        if let Some(news) = other.as_ref().and_then(|other| connected.identities.learn_pair(one, other)) {
            connected.tell(EngineEvent::Contacts(vec![news])).await?;
        }
    }
    learn(connected, &source.chat).await?;
    learn(connected, &source.sender).await
}

/// Learns the number behind a hidden id from what the library knows, and tells of it.
///
/// # Errors
/// When the daemon did not take it.
pub(super) async fn learn(connected: &Connected, jid: &NetworkJid) -> Result<(), InboundError> {
    if !connected.identities.is_unknown(jid) {
        return Ok(());
    }
    // Not to know it now is no fault: the person goes by the hidden id until it is.
    let Ok(Some(entry)) = erased(connected.client.get_lid_pn_entry(&jid.to_non_ad())).await else {
        return Ok(());
    };
    let (lid, number) = (NetworkJid::lid(&*entry.lid), NetworkJid::pn(&*entry.phone_number));
    match connected.identities.learn_pair(&lid, &number) {
        Some(news) => connected.tell(EngineEvent::Contacts(vec![news])).await,
        None => Ok(()),
    }
}
