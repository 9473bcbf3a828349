//! Notifications that an application sends to a user of operator chat.

use super::ids::ChatNotificationId;
use crate::domain::clock::Millis;

/// A stored notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatNotification {
    /// The id.
    pub id: ChatNotificationId,
    /// The application's type of notification.
    pub kind: String,
    /// The title.
    pub title: String,
    /// The text.
    pub message: String,
    /// Where it leads.
    pub link: Option<String>,
    /// Further data: a JSON object.
    pub data: String,
    /// When it was stored.
    pub created_at: Millis,
    /// When the user read it.
    pub read_at: Option<Millis>,
}
