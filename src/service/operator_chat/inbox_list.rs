//! Device conversations with their state and assignee.

use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use super::inbox_views::inbox_views;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::operator_chat::assignment::ConversationState;
use crate::domain::operator_chat::conversation::Conversation;
use crate::domain::operator_chat::ids::ConversationId;
use crate::domain::operator_chat::inbox::rights_of;
use crate::domain::operator_chat::message::MessageView;
use crate::domain::operator_chat::user::ChatUser;
use crate::service::media::links::LinkBase;
use crate::store::inbox_metrics::ResponseTimes;
use crate::store::{Reader, StoreError};

/// A device conversation with its workflow.
#[derive(Debug, Clone)]
pub struct InboxConversation {
    /// The id.
    pub id: ConversationId,
    /// The device.
    pub device: DeviceId,
    /// The chat.
    pub chat: Jid,
    /// The user that stands for the contact.
    pub contact: ChatUser,
    /// The state.
    pub state: ConversationState,
    /// The user who answers it.
    pub assignee: Option<ChatUser>,
    /// Its answers since it was opened.
    pub times: ResponseTimes,
    /// The author of the first answer.
    pub answered_by: Option<ChatUser>,
    /// Unread messages of the chat.
    pub unread: i64,
    /// The newest message.
    pub last_message: Option<MessageView>,
    /// When it was created.
    pub created_at: Millis,
}

/// The devices whose inbox the caller may use. An API key also sees those without a grant.
pub(super) fn visible_devices(
    store: &Reader<'_>,
    caller: &InboxCaller,
    only: Option<&DeviceId>,
) -> Result<Vec<DeviceId>, StoreError> {
    let mut visible = Vec::new();
    let all = match caller {
        InboxCaller::User(_) => store.granted_devices()?,
        InboxCaller::Key(_) => store.bridged_devices()?,
    };
    for device in all.into_iter().filter(|device| only.is_none_or(|only| only == device)) {
        let is_visible = match caller {
            InboxCaller::User(user) => rights_of(&store.inbox_grants(&device)?, user).is_some(),
            InboxCaller::Key(devices) => devices.as_ref().is_none_or(|list| list.contains(&device)),
        };
        if is_visible {
            visible.push(device);
        }
    }
    Ok(visible)
}

/// A device conversation with its workflow.
pub(super) fn inbox_conversation(
    store: &Reader<'_>,
    conversation: &Conversation,
    links: &LinkBase,
) -> Result<InboxConversation, ChatError> {
    let chat = conversation.device_chat().ok_or(ChatError::NotInbox)?;
    let status = store.inbox_status(conversation.id)?;
    let contact = store.chat_user_by_pk(chat.contact)?;
    let times = store.response_times(conversation.id)?;
    let newest: Vec<_> = store.newest_chat_message(conversation.id)?.into_iter().collect();
    Ok(InboxConversation {
        id: conversation.id,
        device: chat.device.clone(),
        chat: chat.chat.clone(),
        contact: contact.ok_or(StoreError::Unreadable("contact of a conversation"))?,
        state: status.state,
        assignee: status.assignee.map_or(Ok(None), |user| store.chat_user_by_pk(user))?,
        times,
        answered_by: times.answered_by.map_or(Ok(None), |user| store.chat_user_by_pk(user))?,
        unread: store.unread_of_device_conversation(conversation.id)?,
        last_message: inbox_views(store, conversation.id, chat, newest, links)?.pop(),
        created_at: conversation.created_at,
    })
}
