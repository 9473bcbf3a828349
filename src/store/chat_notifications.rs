//! Notifications of users of operator chat.

use rusqlite::{Row, params};

use super::column_codec::time_if_any;
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::ids::{ChatNotificationId, UserPk};
use crate::domain::operator_chat::notification::ChatNotification;

const COLUMNS: &str = "id, type, title, message, link, data, created_at, read_at";

impl Reader<'_> {
    /// Notifications of a user before an id, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_notifications(
        &self,
        user: UserPk,
        before: i64,
        unread_only: bool,
        limit: usize,
    ) -> Result<Vec<ChatNotification>, StoreError> {
        self.all(
            &format!(
                "SELECT {COLUMNS} FROM chat_notifications
                 WHERE user_pk = ?1 AND id < ?2 AND (?3 = 0 OR read_at IS NULL) ORDER BY id DESC LIMIT ?4"
            ),
            params![user.0, before, unread_only, i64::try_from(limit).unwrap_or(i64::MAX)],
            chat_notification,
        )
    }

    /// A notification of a user.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_notification(
        &self,
        user: UserPk,
        id: ChatNotificationId,
    ) -> Result<Option<ChatNotification>, StoreError> {
        self.one(
            &format!("SELECT {COLUMNS} FROM chat_notifications WHERE id = ?1 AND user_pk = ?2"),
            [id.0, user.0],
            chat_notification,
        )
    }

    /// The number of a user's unread notifications.
    ///
    /// # Errors
    /// When the store fails.
    pub fn unread_chat_notifications(&self, user: UserPk) -> Result<i64, StoreError> {
        self.number(
            "SELECT count(*) FROM chat_notifications WHERE user_pk = ?1 AND read_at IS NULL",
            [user.0],
        )
    }
}

impl Tx<'_> {
    /// Adds a notification, and deletes the oldest ones beyond `keep`. The id of `notification` is ignored.
    ///
    /// # Errors
    /// When the store fails.
    pub fn add_chat_notification(
        &self,
        user: UserPk,
        notification: &ChatNotification,
        keep: usize,
    ) -> Result<ChatNotificationId, StoreError> {
        let id = self.number(
            "INSERT INTO chat_notifications (user_pk, type, title, message, link, data, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
            params![
                user.0,
                notification.kind,
                notification.title,
                notification.message,
                notification.link,
                notification.data,
                notification.created_at.0
            ],
        )?;
        let oldest_kept = self.one(
            "SELECT id FROM chat_notifications WHERE user_pk = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2",
            params![user.0, i64::try_from(keep.saturating_sub(1)).unwrap_or(i64::MAX)],
            |row| Ok(row.get::<_, i64>(0)?),
        )?;
        if let Some(oldest) = oldest_kept {
            self.run("DELETE FROM chat_notifications WHERE user_pk = ?1 AND id < ?2", [user.0, oldest])?;
        }
        Ok(ChatNotificationId(id))
    }

    /// Marks a notification read; `false` if it was.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read_chat_notification(&self, id: ChatNotificationId, at: Millis) -> Result<bool, StoreError> {
        let changed = self.run(
            "UPDATE chat_notifications SET read_at = ?2 WHERE id = ?1 AND read_at IS NULL",
            [id.0, at.0],
        )?;
        Ok(changed > 0)
    }

    /// Marks all notifications of a user read; `false` if all were.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read_all_chat_notifications(&self, user: UserPk, at: Millis) -> Result<bool, StoreError> {
        let changed = self.run(
            "UPDATE chat_notifications SET read_at = ?2 WHERE user_pk = ?1 AND read_at IS NULL",
            [user.0, at.0],
        )?;
        Ok(changed > 0)
    }
}

fn chat_notification(row: &Row<'_>) -> Result<ChatNotification, StoreError> {
    Ok(ChatNotification {
        id: ChatNotificationId(row.get("id")?),
        kind: row.get("type")?,
        title: row.get("title")?,
        message: row.get("message")?,
        link: row.get("link")?,
        data: row.get("data")?,
        created_at: Millis(row.get("created_at")?),
        read_at: time_if_any(row, "read_at")?,
    })
}
