//! Notifications that an application sends to users.

use super::OperatorChat;
use super::authentication::SignedIn;
use super::error::ChatError;
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::ids::{ChatNotificationId, UserId};
use crate::domain::operator_chat::notification::ChatNotification;
use crate::store::StoreError;

/// Longest title, in characters.
const TITLE_MAX_CHARS: usize = 200;
/// Longest text, in characters.
const MESSAGE_MAX_CHARS: usize = 4_096;
/// Longest link, type, and data as JSON, in characters.
const LINK_MAX_CHARS: usize = 2_048;
const TYPE_MAX_CHARS: usize = 64;
const DATA_MAX_CHARS: usize = 16_384;

/// A notification to send.
#[derive(Debug, Clone)]
pub struct NewChatNotification {
    /// The application's type.
    pub kind: String,
    /// The title.
    pub title: String,
    /// The text.
    pub message: String,
    /// Where it leads.
    pub link: Option<String>,
    /// Further data: a JSON object.
    pub data: String,
}

impl OperatorChat {
    /// Stores a notification of a user and emits it.
    ///
    /// # Errors
    /// When a field is invalid, there is no such user, or the store fails.
    pub async fn notify_user(
        &self,
        tenant: &str,
        user: &UserId,
        new: NewChatNotification,
    ) -> Result<ChatNotification, ChatError> {
        new.check()?;
        let (tenant, user, now) = (tenant.to_owned(), user.clone(), self.now());
        let keep = self.limits.max_notifications;
        self.store
            .write(move |tx| {
                let user = tx.chat_user(&tenant, &user)?.ok_or(ChatError::UserNotFound)?.pk;
                let NewChatNotification { kind, title, message, link, data } = new.clone();
                let (id, created_at) = (ChatNotificationId(0), now);
                let mut stored =
                    ChatNotification { id, kind, title, message, link, data, created_at, read_at: None };
                stored.id = tx.add_chat_notification(user, &stored, keep)?;
                let entry = ChatLogEntry::Notification { user: user.0, notification: stored.id.0 };
                tx.append_chat_event(&entry, now)?;
                Ok(stored)
            })
            .await
    }

    /// Notifications of the caller, newest first, and the number of unread ones.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn notifications(
        &self,
        me: &SignedIn,
        before: Option<i64>,
        unread_only: bool,
        limit: usize,
    ) -> Result<(Vec<ChatNotification>, i64), ChatError> {
        let (me, before) = (me.user.pk, before.unwrap_or(i64::MAX));
        let read = self.store.read::<_, StoreError, _>(move |store| {
            let page = store.chat_notifications(me, before, unread_only, limit)?;
            Ok((page, store.unread_chat_notifications(me)?))
        });
        Ok(read.await?)
    }

    /// Marks a notification of the caller read. `origin` is the socket of the request.
    ///
    /// # Errors
    /// When the caller has no such notification, or the store fails.
    pub async fn read_notification(
        &self,
        me: &SignedIn,
        id: &str,
        origin: Option<u64>,
    ) -> Result<(), ChatError> {
        let id: ChatNotificationId = id.parse().map_err(|_| ChatError::NotificationNotFound)?;
        let (me, now) = (me.user.pk, self.now());
        self.store
            .write(move |tx| {
                tx.chat_notification(me, id)?.ok_or(ChatError::NotificationNotFound)?;
                if tx.read_chat_notification(id, now)? {
                    let entry = ChatLogEntry::NotificationRead { user: me.0, notification: id.0, origin };
                    tx.append_chat_event(&entry, now)?;
                }
                Ok(())
            })
            .await
    }

    /// Marks all notifications of the caller read. `origin` is the socket of the request.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read_all_notifications(&self, me: &SignedIn, origin: Option<u64>) -> Result<(), ChatError> {
        let (me, now) = (me.user.pk, self.now());
        self.store
            .write(move |tx| {
                if tx.read_all_chat_notifications(me, now)? {
                    tx.append_chat_event(&ChatLogEntry::NotificationsRead { user: me.0, origin }, now)?;
                }
                Ok(())
            })
            .await
    }
}

impl NewChatNotification {
    fn check(&self) -> Result<(), ChatError> {
        let link = self.link.as_deref().unwrap_or_default();
        for (field, text, max) in [
            ("type", self.kind.as_str(), TYPE_MAX_CHARS),
            ("title", &self.title, TITLE_MAX_CHARS),
            ("message", &self.message, MESSAGE_MAX_CHARS),
            ("link", link, LINK_MAX_CHARS),
            ("data", &self.data, DATA_MAX_CHARS),
        ] {
            if text.contains('\0') {
                return Err(ChatError::invalid(field, "must not contain U+0000"));
            }
            if text.chars().take(max + 1).count() > max {
                return Err(ChatError::invalid(field, format!("must have at most {max} characters")));
            }
        }
        Ok(())
    }
}
