//! Maintains device conversations: ingest, send and the ack update call these functions in their own
//! transaction. Without operator chat they return at once.

use crate::domain::ack::Ack;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::operator_chat::assignment::{AutoAssignment, ConversationState, least_busy, next_in_turn};
use crate::domain::operator_chat::event::{ChatLogEntry, LoggedReceipts};
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::message::SendSource;
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::user::DAEMON;
use crate::store::chat_receipt_ranges::ReceiptOwner;
use crate::store::device_conversations::DeviceConversation;
use crate::store::inbox_workflow::InboxAuthor;
use crate::store::messages::Pk;
use crate::store::{StoreError, Tx};

/// The author of a message of a device.
#[derive(Debug, Clone)]
pub(in crate::service) enum BridgeAuthor {
    /// The contact, or a member of a group, with the name that the network sent.
    Contact {
        /// The person.
        person: Jid,
        /// The name.
        name: String,
    },
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
            let Some(conversation) = bridged_conversation(tx, device, chat, message, now)? else {
                return Ok(());
            };
            let sender = match author {
                BridgeAuthor::Contact { person, name } => {
                    let contact = match chat.is_group() {
                        true => tx.put_device_contact(device, person, now)?,
                        false => conversation.contact,
                    };
                    tx.name_chat_contact(contact, name)?;
                    contact
                }
                BridgeAuthor::Phone => tx.put_system_author("phone", "Phone", now)?,
                _ => tx.put_system_author("api", "API", now)?,
            };
            (conversation.id, sender, None, SendSource::Rest)
        }
    };
    let is_of_contact = matches!(author, BridgeAuthor::Contact { .. });
    if is_of_contact {
        open(tx, conversation, sender, now)?;
    }
    let id = tx.add_linked_message(conversation, sender, temp_id, message, now)?;
    tx.append_chat_event(&ChatLogEntry::sent(conversation, id, source), now)?;
    if is_of_contact {
        tx.set_waiting(conversation, now)?;
        return assign_to_available(tx, device, conversation, now);
    }
    if tx.record_response(device, conversation, sender, now)? {
        let entry = ChatLogEntry::FirstResponse { conversation: conversation.0, by: sender.0 };
        tx.append_chat_event(&entry, now)?;
    }
    if matches!(author, BridgeAuthor::Operator(_)) {
        assign_to_replier(tx, conversation, sender, now)?;
        report_offline(tx, device, conversation, now)?;
    }
    Ok(())
}

/// The conversation of a chat that the device bridges; it is created if there is none.
fn bridged_conversation(
    tx: &Tx<'_>,
    device: &DeviceId,
    chat: &Jid,
    message: Pk,
    now: Millis,
) -> Result<Option<DeviceConversation>, StoreError> {
    if !tx.bridge_mode(device)?.includes(chat) {
        return Ok(None);
    }
    let conversation = match tx.device_conversation(device, chat)? {
        Some(known) => known,
        None => create_conversation(tx, device, chat, message, now)?,
    };
    if chat.is_group()
        && let Some(subject) = tx.chat_subject(device, chat)?
    {
        tx.name_chat_contact(conversation.contact, &subject)?;
    }
    Ok(Some(conversation))
}

/// Creates the conversation of a chat with its messages before `message`.
pub(in crate::service) fn create_conversation(
    tx: &Tx<'_>,
    device: &DeviceId,
    chat: &Jid,
    message: Pk,
    now: Millis,
) -> Result<DeviceConversation, StoreError> {
    let phone = tx.put_system_author("phone", "Phone", now)?;
    let created = tx.create_device_conversation(device, chat, phone, message, now)?;
    let name = tx.chat_subject(device, chat)?;
    tx.name_chat_contact(created.contact, &name.unwrap_or_else(|| chat.as_name()))?;
    tx.append_chat_event(&ChatLogEntry::Created { conversation: created.id.0 }, now)?;
    Ok(created)
}

/// With `chat.assign = "reply"`, the user who replies first gets the conversation.
fn assign_to_replier(
    tx: &Tx<'_>,
    conversation: ConversationId,
    user: UserPk,
    now: Millis,
) -> Result<(), StoreError> {
    if tx.auto_assignment() != AutoAssignment::Reply || tx.inbox_status(conversation)?.assignee.is_some() {
        return Ok(());
    }
    assign_automatically(tx, conversation, user, now)
}

/// Gives a conversation without an assignee, whose contact wrote, to a user of the inbox.
fn assign_to_available(
    tx: &Tx<'_>,
    device: &DeviceId,
    conversation: ConversationId,
    now: Millis,
) -> Result<(), StoreError> {
    let mode = tx.auto_assignment();
    if !matches!(mode, AutoAssignment::RoundRobin | AutoAssignment::LeastOpen)
        || tx.inbox_status(conversation)?.assignee.is_some()
    {
        return Ok(());
    }
    let mut users = tx.inbox_repliers(device)?;
    let chosen = if mode == AutoAssignment::RoundRobin {
        next_in_turn(&users, tx.last_turn(device)?)
    } else {
        let online = tx.online_users(now);
        users.retain(|user| online.contains(user));
        let open = users.into_iter().map(|user| Ok((user, tx.open_conversations_of(user)?)));
        least_busy(&open.collect::<Result<Vec<_>, StoreError>>()?)
    };
    let Some(user) = chosen else { return Ok(()) };
    tx.set_last_turn(device, user)?;
    assign_automatically(tx, conversation, user, now)
}

fn assign_automatically(
    tx: &Tx<'_>,
    conversation: ConversationId,
    user: UserPk,
    now: Millis,
) -> Result<(), StoreError> {
    tx.set_assignee(conversation, Some(user))?;
    let entry = ChatLogEntry::Assigned { conversation: conversation.0, assignee: Some(user.0), by: None };
    tx.append_chat_event(&entry, now)?;
    let Some(user) = tx.chat_user_by_pk(user)? else { return Ok(()) };
    report(tx, conversation, &format!("Assigned to {} automatically", user.display_name()), now)
}

/// Says once that the device is offline, until it sends again.
fn report_offline(
    tx: &Tx<'_>,
    device: &DeviceId,
    conversation: ConversationId,
    now: Millis,
) -> Result<(), StoreError> {
    let is_ready = tx.device(device)?.is_some_and(|device| device.state.is_ready());
    if is_ready || !tx.set_offline_reported(conversation, true)? {
        return Ok(());
    }
    report(tx, conversation, "The device is offline. Messages are sent when it is connected again.", now)
}

/// Adds a system message, unless `chat.system_lines` is off.
fn report(tx: &Tx<'_>, conversation: ConversationId, text: &str, now: Millis) -> Result<(), StoreError> {
    if !tx.has_system_lines() {
        return Ok(());
    }
    let author = InboxAuthor { user: tx.put_system_author(DAEMON, "System", now)?, temp_id: None };
    let message = tx.add_system_message(conversation, author, text, now)?;
    let entry = ChatLogEntry::Message { conversation: conversation.0, message: message.id.0, origin: None };
    tx.append_chat_event(&entry, now)
}

/// Reports a change of a device's message to its conversation. A removed one is also reported as deleted.
pub(in crate::service) fn record_change(
    tx: &Tx<'_>,
    message: Pk,
    is_removed: bool,
    now: Millis,
) -> Result<(), StoreError> {
    if !tx.has_operator_chat() {
        return Ok(());
    }
    let Some(message) = tx.chat_message_of(message)? else { return Ok(()) };
    let (conversation, message) = (message.conversation.0, message.id.0);
    tx.append_chat_event(&ChatLogEntry::Updated { conversation, message }, now)?;
    match is_removed {
        true => tx.append_chat_event(&ChatLogEntry::Deleted { conversation, message }, now),
        false => Ok(()),
    }
}

/// Opens a closed conversation, because its contact wrote.
fn open(tx: &Tx<'_>, id: ConversationId, contact: UserPk, now: Millis) -> Result<(), StoreError> {
    if !tx.set_conversation_state(id, ConversationState::Open)? {
        return Ok(());
    }
    tx.append_chat_event(&ChatLogEntry::Opened { conversation: id.0, by: Some(contact.0) }, now)?;
    report(tx, id, "Opened by a message of the contact", now)
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
    if ack >= Ack::Server {
        tx.set_offline_reported(conversation, false)?;
    }
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
