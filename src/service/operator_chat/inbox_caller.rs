//! Callers of the native REST API: a user with the rights of its grants, or an API key with its devices.

use super::error::ChatError;
use super::views::conversation_of;
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::conversation::{Conversation, ConversationTarget};
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::inbox::{DeviceChat, Grantee, InboxRights};
use crate::domain::operator_chat::user::{ChatUser, DAEMON};
use crate::domain::operator_chat::visibility::{DirectoryRules, sees_conversation};
use crate::store::{Reader, StoreError, Tx};

/// The caller of the native REST API.
#[derive(Debug, Clone)]
pub enum InboxCaller {
    /// A user.
    User(Box<ChatUser>),
    /// An API key with its devices; `None` for all.
    Key(Option<Vec<DeviceId>>),
}

impl InboxCaller {
    /// The user, if it is one.
    pub(super) fn user(&self) -> Option<&ChatUser> {
        match self {
            Self::User(user) => Some(user),
            Self::Key(_) => None,
        }
    }

    pub(super) fn user_pk(&self) -> Option<UserPk> {
        self.user().map(|user| user.pk)
    }

    /// The name in system messages.
    pub(super) fn name(&self) -> &str {
        self.user().map_or("API", ChatUser::display_name)
    }

    /// The author of what this caller writes.
    pub(super) fn author(&self, tx: &Tx<'_>, now: Millis) -> Result<UserPk, StoreError> {
        self.user_pk().map_or_else(|| tx.put_system_author("api", "API", now), Ok)
    }

    pub(super) fn rights(&self, chat: &DeviceChat) -> Option<InboxRights> {
        match self {
            Self::User(user) => chat.rights_of(user),
            Self::Key(devices) => {
                devices.as_ref().is_none_or(|list| list.contains(&chat.device)).then_some(InboxRights::Manage)
            }
        }
    }

    /// Refuses an API key that is for some devices only.
    pub(super) fn require_all_devices(&self) -> Result<(), ChatError> {
        match self {
            Self::Key(Some(_)) => Err(ChatError::DeviceKey),
            Self::Key(None) | Self::User(_) => Ok(()),
        }
    }

    /// A conversation that the caller may see; for a key that is for some devices only theirs.
    pub(super) fn conversation(
        &self,
        store: &Reader<'_>,
        staff: &DirectoryRules,
        id: &str,
    ) -> Result<Conversation, ChatError> {
        if let Self::User(user) = self {
            return conversation_of(store, staff, user, &ConversationTarget::Named(id.to_owned()));
        }
        let id: ConversationId = id.parse().map_err(|_| ChatError::ConversationNotFound)?;
        let found = store.conversation(id)?.ok_or(ChatError::ConversationNotFound)?;
        if self.sees(&found) { Ok(found) } else { Err(ChatError::ConversationNotFound) }
    }

    /// Whether the caller may see a conversation.
    pub(super) fn sees(&self, conversation: &Conversation) -> bool {
        match (self, conversation.device_chat()) {
            (Self::User(user), _) => sees_conversation(user, conversation),
            (Self::Key(_), Some(chat)) => self.rights(chat).is_some(),
            (Self::Key(_), None) => self.require_all_devices().is_ok(),
        }
    }

    /// A device conversation that the caller may see.
    pub(super) fn device_conversation(
        &self,
        store: &Reader<'_>,
        staff: &DirectoryRules,
        id: &str,
    ) -> Result<Conversation, ChatError> {
        let found = self.conversation(store, staff, id)?;
        if found.device_chat().is_some() { Ok(found) } else { Err(ChatError::NotInbox) }
    }

    /// The user with this id: an API key writes `<identity>:<id>`, a user the id only.
    pub(super) fn named_user(
        &self,
        store: &Reader<'_>,
        tenants: &[&str],
        id: &str,
    ) -> Result<ChatUser, ChatError> {
        let (tenant, id) = match self {
            Self::User(user) => (user.tenant.clone(), id.to_owned()),
            Self::Key(_) => match Grantee::parse(id, tenants) {
                Ok(Grantee::User { tenant, id }) => (tenant, id),
                Ok(Grantee::Role { .. }) | Err(_) => return Err(ChatError::UserNotFound),
            },
        };
        let id = id.parse().map_err(|_| ChatError::UserNotFound)?;
        store.chat_user(&tenant, &id)?.ok_or(ChatError::UserNotFound)
    }
}

/// The author of system messages.
pub(super) fn daemon(tx: &Tx<'_>, now: Millis) -> Result<UserPk, StoreError> {
    tx.put_system_author(DAEMON, "System", now)
}
