//! Maintains device conversations: ingest, send and the ack update call these functions in their own
//! transaction. Without operator chat they return at once.

use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::{Jid, JidKind};
use crate::domain::operator_chat::assignment::ConversationState;
use crate::domain::operator_chat::event::{ChatLogEntry, LoggedReceipts};
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::inbox::BridgeMode;
use crate::domain::operator_chat::message::SendSource;
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::user::DAEMON;
use crate::store::chat_receipt_ranges::ReceiptOwner;
use crate::store::inbox_workflow::InboxAuthor;
use crate::store::messages::Pk;
use crate::store::{StoreError, Tx};

/// The author of a message of a device.
#[derive(Debug, Clone)]
pub(in crate::service) enum BridgeAuthor {
    /// The contact, with the name that the network sent.
    Contact(String),
    /// The phone, or another device of the account.
    Phone,
    /// A client of the device API.
    Api,
    /// An operator.
    Operator(OperatorSend),
}

/// A message that an operator sends.
#[derive(Debug, Clone)]
pub(in crate::service) struct OperatorSend {
    /// The operator.
    pub(in crate::service) user: UserPk,
    /// The conversation.
    pub(in crate::service) conversation: ConversationId,
    /// The client's own id, as JSON.
    pub(in crate::service) temp_id: Option<String>,
    /// The request that sent it.
    pub(in crate::service) source: SendSource,
}

/// Adds a new message of a device to the conversation of its chat, which is created with its first message.
pub(in crate::service) fn record_message(
    tx: &Tx<'_>,
    device: &DeviceId,
    chat: &Jid,
    message: Pk,
    author: &BridgeAuthor,
    now: Millis,
) -> Result<(), StoreError> {
    if !tx.has_operator_chat() {
        return Ok(());
    }
    let (conversation, sender, temp_id, source) = match author {
        BridgeAuthor::Operator(send) => (send.conversation, send.user, send.temp_id.as_deref(), send.source),
        author => {
            let is_person = matches!(chat.kind(), JidKind::Person | JidKind::Lid);
            if !is_person || tx.bridge_mode(device)? == BridgeMode::Off {
                return Ok(());
            }
            let conversation = match tx.device_conversation(device, chat)? {
                Some(known) => known,
                None => {
                    let phone = tx.put_system_author("phone", "Phone", now)?;
                    tx.create_device_conversation(device, chat, phone, message, now)?
                }
            };
            let sender = match author {
                BridgeAuthor::Contact(name) => {
                    tx.name_chat_contact(conversation.contact, name)?;
                    conversation.contact
                }
                BridgeAuthor::Phone => tx.put_system_author("phone", "Phone", now)?,
                _ => tx.put_system_author("api", "API", now)?,
            };
            (conversation.id, sender, None, SendSource::Rest)
        }
    };
    if matches!(author, BridgeAuthor::Contact(_)) {
        open(tx, conversation, sender, now)?;
    }
    let id = tx.add_linked_message(conversation, sender, temp_id, message, now)?;
    tx.append_chat_event(&ChatLogEntry::sent(conversation, id, source), now)
}

/// Opens a closed conversation, because its contact wrote.
fn open(tx: &Tx<'_>, id: ConversationId, contact: UserPk, now: Millis) -> Result<(), StoreError> {
    if !tx.set_conversation_state(id, ConversationState::Open)? {
        return Ok(());
    }
    tx.append_chat_event(&ChatLogEntry::Opened { conversation: id.0, by: Some(contact.0) }, now)?;
    if !tx.has_system_lines() {
        return Ok(());
    }
    let author = InboxAuthor { user: tx.put_system_author(DAEMON, "System", now)?, temp_id: None };
    let message = tx.add_system_message(id, author, "Opened by a message of the contact", now)?;
    let entry = ChatLogEntry::Message { conversation: id.0, message: message.id.0, origin: None };
    tx.append_chat_event(&entry, now)
}

/// Records the network's acknowledgement of a message as receipts of the contact.
pub(in crate::service) fn record_ack(
    tx: &Tx<'_>,
    message: Pk,
    ack: Ack,
    now: Millis,
) -> Result<(), StoreError> {
    if !tx.has_operator_chat() {
        return Ok(());
    }
    let Some(message) = tx.chat_message_of(message)? else { return Ok(()) };
    let found = tx.conversation(message.conversation)?;
    let Some(chat) = found.as_ref().and_then(|found| found.device_chat()) else { return Ok(()) };
    let (conversation, id) = (message.conversation, message.id.0);
    if ack == Ack::Error {
        let entry = ChatLogEntry::Updated { conversation: conversation.0, message: id };
        return tx.append_chat_event(&entry, now);
    }
    for (level, from) in [(ReceiptLevel::Delivered, Ack::Device), (ReceiptLevel::Read, Ack::Read)] {
        let owner = ReceiptOwner { conversation, user: chat.contact, level };
        if ack < from || tx.add_receipts(&owner, id, id, now)?.is_empty() {
            continue;
        }
        let receipts =
            LoggedReceipts { conversation: conversation.0, user: chat.contact.0, ranges: vec![(id, id)] };
        let entry = match level {
            ReceiptLevel::Delivered => ChatLogEntry::Delivered(receipts),
            ReceiptLevel::Read => ChatLogEntry::Read(receipts),
        };
        tx.append_chat_event(&entry, now)?;
    }
    Ok(())
}
