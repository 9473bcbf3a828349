//! Queries of the store's lists, and the entries and ranges in their results. The API checks limits; the
//! store returns at most `limit` results.

use super::chat::ChatFilter;
use super::clock::Millis;
use super::event::NotificationEvent;
use super::group::Group;
use super::ids::DeviceId;
use super::jid::Jid;
use super::message::{Message, MessageType};
use super::notify::OperatorId;

/// Selects chats for a list.
#[derive(Debug, Clone, Default)]
pub struct ChatQuery {
    /// The kind of chats.
    pub filter: ChatFilter,
    /// Text in the name or id.
    pub search: Option<String>,
    /// The largest number of results.
    pub limit: usize,
    /// Results to skip.
    pub offset: usize,
}

/// Selects contacts for a list.
#[derive(Debug, Clone, Default)]
pub struct ContactQuery {
    /// Text in the name, number or id.
    pub search: Option<String>,
    /// Only these ids; empty selects all.
    pub only: Vec<Jid>,
    /// The largest number of results.
    pub limit: usize,
    /// Results to skip.
    pub offset: usize,
}

/// Selects groups for a list.
#[derive(Debug, Clone, Default)]
pub struct GroupQuery {
    /// Text in the name or id.
    pub search: Option<String>,
    /// The largest number of results.
    pub limit: usize,
    /// Results to skip.
    pub offset: usize,
}

/// A group in a list, with its size instead of its participants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group, without its participants.
    pub group: Group,
    /// Number of participants.
    pub size: i64,
}

/// A full-text search.
#[derive(Debug, Clone)]
pub struct SearchQuery {
    /// Words as a person types them: all must occur, and the last one may be a prefix.
    pub words: String,
    /// Restricts the search to one chat.
    pub chat: Option<Jid>,
    /// Restricts the search to one message type.
    pub kind: Option<MessageType>,
    /// The largest number of results.
    pub limit: usize,
}

/// The result of a full-text search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResult {
    /// The newest matches, as many as the query allows.
    pub messages: Vec<Message>,
    /// The number of matches.
    pub total: usize,
    /// Whether there are more than `total`.
    pub total_is_lower_bound: bool,
}

/// Selects notifications for a list.
#[derive(Debug, Clone)]
pub struct NotificationQuery {
    /// The devices; all devices when absent.
    pub devices: Option<Vec<DeviceId>>,
    /// The operator whose read marks count.
    pub operator: OperatorId,
    /// Only notifications that the operator has not read.
    pub unread: bool,
    /// The largest number of results.
    pub limit: usize,
    /// Results to skip.
    pub offset: usize,
}

/// A notification in a list.
#[derive(Debug, Clone)]
pub struct ListedNotification {
    /// The device.
    pub device: DeviceId,
    /// The notification as it was emitted.
    pub shown: NotificationEvent,
    /// When it was emitted.
    pub at: Millis,
    /// Whether the operator has read it.
    pub read: bool,
}

/// The kinds of queued messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitingKind {
    /// Due, without an attempt so far.
    Queued,
    /// Not due yet.
    Scheduled,
    /// After a failed attempt, before the next one.
    Retrying,
}

/// The range of entries that an event log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// `seq` of the oldest stored entry; of the next entry when the log is empty.
    pub oldest: i64,
    /// `seq` of the newest entry; 0 before the first.
    pub newest: i64,
}

impl LogRange {
    /// Whether the log can replay every entry after `since`.
    #[must_use]
    pub fn covers(&self, since: i64) -> bool {
        since >= self.oldest - 1 && since <= self.newest
    }
}
