//! Assigns, releases, closes and opens device conversations. Each change is one transaction with its log entry
//! and its system message, so that of concurrent claims one succeeds.

use super::OperatorChat;
use super::error::ChatError;
use super::inbox_caller::{InboxCaller, daemon};
use super::inbox_list::{InboxConversation, inbox_conversation};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::assignment::{
    AssignmentRefusal, AssignmentRequest, ConversationState, is_change,
};
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::inbox::{InboxGrant, InboxRights, rights_of};
use crate::domain::operator_chat::message::ChatMessage;
use crate::domain::operator_chat::user::ChatUser;
use crate::store::inbox_workflow::InboxAuthor;
use crate::store::{Reader, StoreError, Tx};

/// A requested assignee, with ids as the client wrote them.
#[derive(Debug, Clone)]
pub struct NamedAssignment {
    /// The new assignee; `None` releases the conversation.
    pub user: Option<String>,
    /// The assignee that the client expects, if it names one.
    pub expected: Option<Option<String>>,
}

impl OperatorChat {
    /// Replaces the assignee of a device conversation.
    ///
    /// # Errors
    /// When the caller may not do this, the user may not reply in the inbox, or another assignee is in place.
    pub async fn assign(
        &self,
        caller: InboxCaller,
        id: String,
        request: NamedAssignment,
    ) -> Result<InboxConversation, ChatError> {
        let (staff, links, now) = (self.directory_rules(), self.links.clone(), self.now());
        let tenants = self.tenants();
        self.store
            .write(move |tx| {
                let tenants: Vec<&str> = tenants.iter().map(String::as_str).collect();
                let conversation = caller.device_conversation(tx, &staff, &id)?;
                let assignee = request.user.as_deref();
                let assignee = assignee
                    .map(|user| inbox_user(tx, &caller, &conversation, &tenants, user))
                    .transpose()?;
                let expected = match &request.expected {
                    None => None,
                    Some(None) => Some(None),
                    Some(Some(user)) => Some(Some(caller.named_user(tx, &tenants, user)?.pk)),
                };
                let message = assign(tx, &caller, &conversation, assignee.as_ref(), expected, now)?;
                if let Some(text) = message {
                    report(tx, conversation.id, &text, now)?;
                }
                inbox_conversation(tx, &conversation, &links)
            })
            .await
    }

    /// Closes or opens a device conversation.
    ///
    /// # Errors
    /// When the caller may not do this, or the store fails.
    pub async fn set_conversation_state(
        &self,
        caller: InboxCaller,
        id: String,
        state: ConversationState,
    ) -> Result<InboxConversation, ChatError> {
        let (staff, links, now) = (self.directory_rules(), self.links.clone(), self.now());
        self.store
            .write(move |tx| {
                let conversation = caller.device_conversation(tx, &staff, &id)?;
                if let Some(text) = set_state(tx, &caller, &conversation, state, now)? {
                    report(tx, conversation.id, &text, now)?;
                }
                inbox_conversation(tx, &conversation, &links)
            })
            .await
    }
}

/// A user who may reply in the inbox; any other is answered like one that does not exist.
pub(super) fn inbox_user(
    store: &Reader<'_>,
    caller: &InboxCaller,
    conversation: &Conversation,
    tenants: &[&str],
    id: &str,
) -> Result<ChatUser, ChatError> {
    let user = caller.named_user(store, tenants, id)?;
    let chat = conversation.device_chat().ok_or(ChatError::NotInbox)?;
    if chat.rights_of(&user) >= Some(InboxRights::Reply) { Ok(user) } else { Err(ChatError::UserNotFound) }
}

/// Replaces the assignee, and returns the text of the system message; `None` if nothing changed.
pub(super) fn assign(
    tx: &Tx<'_>,
    caller: &InboxCaller,
    conversation: &Conversation,
    assignee: Option<&ChatUser>,
    expected: Option<Option<UserPk>>,
    now: Millis,
) -> Result<Option<String>, ChatError> {
    let rights = rights(caller, conversation)?;
    let current = tx.inbox_status(conversation.id)?.assignee;
    let request = AssignmentRequest { user: assignee.map(|user| user.pk), expected };
    match is_change(current, caller.user_pk(), rights, request) {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(AssignmentRefusal::ReadOnly) => return Err(ChatError::ReadOnly),
        Err(AssignmentRefusal::NotManager) => return Err(ChatError::NotManager),
        Err(AssignmentRefusal::Assigned(other)) => {
            let other = other.map_or(Ok(None), |user| tx.chat_user_by_pk(user))?;
            return Err(ChatError::Assigned { assignee: other.map(|user| user.id.to_string()) });
        }
    }
    tx.set_assignee(conversation.id, request.user)?;
    let entry = ChatLogEntry::Assigned {
        conversation: conversation.id.0,
        assignee: request.user.map(|user| user.0),
        by: caller.user_pk().map(|user| user.0),
    };
    tx.append_chat_event(&entry, now)?;
    Ok(Some(match assignee {
        Some(user) => format!("Assigned to {} by {}", user.display_name(), caller.name()),
        None => format!("Assignment removed by {}", caller.name()),
    }))
}

/// Replaces the state, and returns the text of the system message; `None` if nothing changed.
pub(super) fn set_state(
    tx: &Tx<'_>,
    caller: &InboxCaller,
    conversation: &Conversation,
    state: ConversationState,
    now: Millis,
) -> Result<Option<String>, ChatError> {
    if rights(caller, conversation)? < InboxRights::Reply {
        return Err(ChatError::ReadOnly);
    }
    if !tx.set_conversation_state(conversation.id, state)? {
        return Ok(None);
    }
    let (conversation, by) = (conversation.id.0, caller.user_pk().map(|user| user.0));
    let (entry, word) = match state {
        ConversationState::Open => (ChatLogEntry::Opened { conversation, by }, "Opened"),
        ConversationState::Closed => (ChatLogEntry::Closed { conversation, by }, "Closed"),
    };
    tx.append_chat_event(&entry, now)?;
    Ok(Some(format!("{word} by {}", caller.name())))
}

fn rights(caller: &InboxCaller, conversation: &Conversation) -> Result<InboxRights, ChatError> {
    let chat = conversation.device_chat().ok_or(ChatError::NotInbox)?;
    caller.rights(chat).ok_or(ChatError::ConversationNotFound)
}

/// Releases the conversations of a device whose assignees may not reply under these grants, as part of the
/// transaction that takes their access. Each is released with its log entry and its system message.
pub(super) fn release_without_access(
    tx: &Tx<'_>,
    device: &DeviceId,
    grants: &[InboxGrant],
    assignees: &[UserPk],
    now: Millis,
) -> Result<(), StoreError> {
    for assignee in assignees {
        let user = tx.chat_user_by_pk(*assignee)?;
        if user.as_ref().and_then(|user| rights_of(grants, user)) >= Some(InboxRights::Reply) {
            continue;
        }
        let name = user.as_ref().map_or("a removed user", ChatUser::display_name);
        let text = format!("Assignment removed: {name} may no longer reply");
        for conversation in tx.conversations_assigned_to(*assignee, device)? {
            tx.set_assignee(conversation, None)?;
            let entry = ChatLogEntry::Assigned { conversation: conversation.0, assignee: None, by: None };
            tx.append_chat_event(&entry, now)?;
            report(tx, conversation, &text, now)?;
        }
    }
    Ok(())
}

/// Adds the system message of a change, unless `chat.system_lines` is off.
fn report(tx: &Tx<'_>, conversation: ConversationId, text: &str, now: Millis) -> Result<(), StoreError> {
    if tx.has_system_lines() {
        announce(tx, conversation, text, None, now)?;
    }
    Ok(())
}

/// Adds a system message, and appends it to the log. `sent` has the client's own id and the sending socket.
pub(super) fn announce(
    tx: &Tx<'_>,
    conversation: ConversationId,
    text: &str,
    sent: Option<(Option<&str>, Option<u64>)>,
    now: Millis,
) -> Result<ChatMessage, StoreError> {
    let (temp_id, origin) = sent.unwrap_or_default();
    let author = InboxAuthor { user: daemon(tx, now)?, temp_id };
    let message = tx.add_system_message(conversation, author, text, now)?;
    let entry = ChatLogEntry::Message { conversation: conversation.0, message: message.id.0, origin };
    tx.append_chat_event(&entry, now)?;
    Ok(message)
}
