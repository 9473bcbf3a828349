//! Ingests messages, receipts and chat names from a network.
//!
//! One message with its chat, contact and events is one transaction, and events are emitted after it. A
//! message that is stored already changes nothing and still succeeds, so the engine may acknowledge it again.

use super::IngestMode;
use super::changes::make_early_changes;
use super::group_changes::{GroupChangeOrigin, store_group_change};
use crate::domain::ack::{Ack, Status};
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::content::Content;
use crate::domain::device::Account;
use crate::domain::event::{
    ContactUpdateEvent, Event, MessageReceivedEvent, MessageStatusEvent, MessagesReadEvent,
};
use crate::domain::group::GroupChange;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::domain::message::{Message, MessageType, SendFailure};
use crate::engine::{Incoming, IncomingReceipt};
use crate::service::Messaging;
use crate::service::log::bridge_inbound::{self, BridgeAuthor};
use crate::service::media::links::LinkBase;
use crate::store::hourly_counters::Counter;
use crate::store::messages::{AckRow, NewMessage};
use crate::store::{StoreError, Tx};

impl Messaging {
    /// Stores messages from the network, in order, in one transaction.
    pub(in crate::service) async fn ingest_messages(
        &self,
        device: &DeviceId,
        account: Option<Account>,
        messages: Vec<Incoming>,
        mode: IngestMode,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let id = device.clone();
        let links = self.media.link_base();
        let files: Vec<_> = messages.iter().filter_map(|message| message.content.file().cloned()).collect();
        let chats = self
            .store
            .write_patiently(move |tx| {
                let mut changed = Vec::new();
                for incoming in &messages {
                    if store_incoming(tx, &id, account.as_ref(), incoming, mode, &links, now)? {
                        changed.push(incoming.chat.clone());
                    }
                }
                Ok::<_, StoreError>(changed)
            })
            .await?;
        files.iter().for_each(|hash| self.media.release_reservation(hash));
        if !chats.is_empty() {
            self.registry.record_inbound(device);
        }
        for chat in &chats {
            self.chat_changed(device, chat);
        }
        if mode == IngestMode::Live {
            self.metrics.messages_in.inc_by(chats.len() as u64);
        }
        Ok(())
    }

    /// Ingests receipts for messages of ours, in order, in one transaction.
    pub(in crate::service) async fn ingest_receipts(
        &self,
        device: &DeviceId,
        receipts: Vec<IncomingReceipt>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let id = device.clone();
        let write =
            move |tx: &Tx<'_>| receipts.iter().try_for_each(|receipt| store_receipt(tx, &id, receipt, now));
        self.store.write_patiently(write).await
    }

    /// Ingests the name of a chat.
    pub(in crate::service) async fn ingest_chat_name(
        &self,
        device: &DeviceId,
        chat: Jid,
        name: String,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (id, of) = (device.clone(), chat.clone());
        let write = move |tx: &Tx<'_>| {
            let text = Some(name.clone());
            let origin =
                GroupChangeOrigin { text, ..GroupChangeOrigin::of(of.clone(), GroupChange::Subject) };
            let group_named = of.is_group() && store_group_change(tx, &id, &origin, now)?;
            Ok::<_, StoreError>(tx.name_chat(&id, &of, &name, now)? || group_named)
        };
        if self.store.write_patiently(write).await? {
            self.chat_changed(device, &chat);
        }
        Ok(())
    }
}

/// The latest time of a message, from now on.
const MAX_AHEAD_MS: i64 = 86_400_000;

pub(in crate::service) fn store_incoming(
    tx: &Tx<'_>,
    device: &DeviceId,
    account: Option<&Account>,
    incoming: &Incoming,
    mode: IngestMode,
    links: &LinkBase,
    now: Millis,
) -> Result<bool, StoreError> {
    let mut message = to_message(incoming, account);
    // A sender's clock that is far ahead would keep its chat on top of the list.
    message.timestamp = message.timestamp.min(now.plus(MAX_AHEAD_MS));
    message.quoted_message = quoted(tx, device, incoming, &message)?;
    let live = mode == IngestMode::Live;
    if live {
        message.timestamp = tx.within_its_second(device, &message.chat_id, message.timestamp)?;
    }
    let unread = live && !incoming.from_me;
    let new = NewMessage {
        message: &message,
        status: Status::of(message.ack),
        stored_at: now,
        unread,
        temp_id: None,
    };
    let Some(pk) = tx.insert_message(device, &new)? else { return Ok(false) };
    tx.touch_chat(device, &message.chat_id, pk, message.timestamp, unread)?;
    if !incoming.from_me {
        let update = ContactUpdate {
            pushname: incoming.notify_name.clone(),
            ..ContactUpdate::seen(incoming.from.clone())
        };
        merge_contact(tx, device, &update, live, now)?;
    }
    let id = message.id.clone();
    if live {
        links.attach_all(tx, device, [&mut message])?;
        let name = message.notify_name.clone();
        let chat = message.chat_id.clone();
        tx.append(device, &Event::Message(MessageReceivedEvent { message }), now)?;
        let author = match incoming.from_me {
            true => BridgeAuthor::Phone,
            false => BridgeAuthor::Contact { person: incoming.from.clone(), name },
        };
        bridge_inbound::record_message(tx, device, &chat, pk, &author, now)?;
        tx.count(device, Counter::Received, now)?;
    }
    make_early_changes(tx, device, &id, mode, links, now)?;
    Ok(true)
}

fn to_message(incoming: &Incoming, account: Option<&Account>) -> Message {
    let group = incoming.chat.is_group();
    let me = account.and_then(Account::jid).unwrap_or_else(|| incoming.from.clone());
    let author = group.then(|| if incoming.from_me { me.clone() } else { incoming.from.clone() });
    let (from, to) = match (incoming.from_me, group) {
        (true, _) => (me, incoming.chat.clone()),
        (false, true) => (incoming.chat.clone(), me),
        (false, false) => (incoming.from.clone(), me),
    };
    let given = incoming.notify_name.clone().filter(|name| !name.is_empty());
    let notify_name = given.unwrap_or_else(|| incoming.from.as_name());
    Message {
        id: incoming.id(),
        chat_id: incoming.chat.clone(),
        from,
        to,
        author,
        from_me: incoming.from_me,
        body: incoming.body.clone(),
        kind: MessageType::Chat,
        timestamp: incoming.timestamp,
        // A message from the network was at least delivered to it.
        ack: if incoming.from_me { Ack::Server } else { Ack::Device },
        has_media: false,
        media: None,
        location: None,
        contacts: Vec::new(),
        poll: None,
        template: None,
        quoted_message: None,
        is_forwarded: incoming.forwarded,
        is_starred: false,
        is_edited: false,
        notify_name,
        mentioned_ids: incoming.mentions.clone(),
        reactions: Vec::new(),
        sent_by: None,
    }
    .with_content(incoming.content.clone())
}

/// The quoted message: the stored one, else the part that the network sent with the answer.
fn quoted(
    tx: &Tx<'_>,
    device: &DeviceId,
    incoming: &Incoming,
    answer: &Message,
) -> Result<Option<Box<Message>>, StoreError> {
    let Some(quoted) = &incoming.quoted else { return Ok(None) };
    if let Some(stored) = tx.message(device, &quoted.id)? {
        return Ok(Some(Box::new(stored.message.as_quote())));
    }
    let in_group = quoted.id.chat.is_group();
    Ok(Some(Box::new(
        Message {
            id: quoted.id.clone(),
            chat_id: quoted.id.chat.clone(),
            from: if in_group { quoted.id.chat.clone() } else { quoted.author.clone() },
            to: if quoted.id.from_me { quoted.id.chat.clone() } else { answer.to.clone() },
            author: in_group.then(|| quoted.author.clone()),
            from_me: quoted.id.from_me,
            body: quoted.body.clone(),
            notify_name: quoted.author.as_name(),
            quoted_message: None,
            mentioned_ids: Vec::new(),
            is_forwarded: false,
            ..answer.clone().revoked()
        }
        .with_content(Content::Text),
    )))
}

/// Merges contact data. `true` when the stored contact changed.
fn merge_contact(
    tx: &Tx<'_>,
    device: &DeviceId,
    update: &ContactUpdate,
    emit: bool,
    now: Millis,
) -> Result<bool, StoreError> {
    let Some(contact) = tx.merge_contact(device, update)? else { return Ok(false) };
    if emit {
        tx.append(device, &Event::ContactUpdate(ContactUpdateEvent { contact }), now)?;
    }
    Ok(true)
}

pub(in crate::service) fn store_receipt(
    tx: &Tx<'_>,
    device: &DeviceId,
    receipt: &IncomingReceipt,
    now: Millis,
) -> Result<(), StoreError> {
    let id = MessageId {
        from_me: true,
        chat: receipt.chat.clone(),
        network: receipt.network_id.clone(),
        participant: None,
    };
    let Some(row) = tx.ack_row(device, &id)? else {
        tracing::debug!(%device, "receipt for a message that is not in the store");
        return Ok(());
    };
    let who = receipt.participant.as_ref().unwrap_or(&receipt.chat);
    let by_member = receipt.chat.is_group() && receipt.participant.is_some();
    if (by_member || !receipt.chat.is_group())
        && !tx.merge_receipt(row.pk, who, receipt.ack, receipt.timestamp)?
    {
        return Ok(());
    }
    if by_member && row.ack == Ack::Pending {
        // The network's answer lists all recipients; before it, one receipt does not give the group's level.
        return Ok(());
    }
    let level = if by_member {
        Ack::of_group(tx.receipts(row.pk)?.into_iter().map(|r| r.ack)).unwrap_or(receipt.ack)
    } else {
        receipt.ack
    };
    let failure = (level == Ack::Error).then(|| SendFailure {
        code: receipt.error.as_ref().map_or("delivery_failed", |e| e.code).to_owned(),
        message: receipt
            .error
            .as_ref()
            .map_or_else(|| "the network could not deliver it".to_owned(), |e| e.message.clone()),
    });
    raise_ack(tx, device, &row, &AckUpdate { level, failure, reader: Some(who) }, now)
}

/// A new acknowledgement level for a message.
pub(in crate::service) struct AckUpdate<'a> {
    /// The level that the network reported.
    pub(in crate::service) level: Ack,
    /// The reason, with [`Ack::Error`].
    pub(in crate::service) failure: Option<SendFailure>,
    /// The person who read it, with [`Ack::Read`].
    pub(in crate::service) reader: Option<&'a Jid>,
}

/// Merges a level into a message and appends `message:ack`, `message:status` and `message:read`. A new
/// level also removes the message from the outbox.
pub(in crate::service) fn raise_ack(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &AckRow,
    raise: &AckUpdate<'_>,
    now: Millis,
) -> Result<(), StoreError> {
    let Some(ack) = row.ack.merge(raise.level) else { return Ok(()) };
    if row.ack == Ack::Pending && ack > Ack::Server {
        // The receipt came before the network's answer: a delivered message has been sent.
        append_level(tx, device, row, Ack::Server, None, now)?;
    }
    tx.set_ack(row.pk, ack, Status::of(ack), raise.failure.as_ref())?;
    append_level(tx, device, row, ack, raise.failure.as_ref(), now)?;
    bridge_inbound::record_ack(tx, row.pk, ack, now)?;
    if row.ack < Ack::Read && ack >= Ack::Read {
        let read = MessagesReadEvent {
            chat_id: row.chat.clone(),
            message_ids: vec![row.id.clone()],
            read_by: raise.reader.cloned(),
        };
        tx.append(device, &Event::MessageRead(read), now)?;
    }
    if tx.outbox_remove(row.pk)? {
        let counted = if ack == Ack::Error {
            Counter::Failed
        } else {
            Counter::Sent { after_ms: now.since(row.stored_at) }
        };
        tx.count(device, counted, now)?;
    }
    Ok(())
}

fn append_level(
    tx: &Tx<'_>,
    device: &DeviceId,
    row: &AckRow,
    ack: Ack,
    failure: Option<&SendFailure>,
    now: Millis,
) -> Result<(), StoreError> {
    tx.append(device, &Event::ack(&row.id, &row.chat, ack), now)?;
    let step = MessageStatusEvent {
        message_id: row.id.clone(),
        chat_id: row.chat.clone(),
        status: Status::of(ack),
        error: failure.map(|f| f.message.clone()),
        code: failure.map(|f| f.code.clone()),
        temp_id: row.temp_id.clone(),
    };
    tx.append(device, &Event::MessageStatus(step), now)?;
    Ok(())
}
