//! The times of answers in device conversations, and the turns of automatic assignment.

use rusqlite::params;

use super::error::StoreError;
use super::tx::{Reader, Tx};
use super::users::{USER_COLUMNS, chat_user};
use crate::domain::clock::Millis;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::ids::{ConversationId, UserPk};
use crate::domain::operator_chat::inbox::{Grantee, InboxRights, rights_of};

/// How long a response is kept, in milliseconds.
const KEPT_MS: i64 = 400 * 24 * 3_600_000;
/// Expired responses that one new response removes.
const REMOVED_AT_ONCE: i64 = 10;
/// The most users of an inbox who get conversations in turn.
const MAX_USERS: i64 = 1_000;

/// The answers in a device conversation since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResponseTimes {
    /// The oldest message of the contact without an answer.
    pub waiting_since: Option<Millis>,
    /// The first answer.
    pub first_response_at: Option<Millis>,
    /// The author of the first answer.
    pub answered_by: Option<UserPk>,
}

/// An answer to a waiting contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxResponse {
    /// The author.
    pub user: UserPk,
    /// How long the contact waited, in milliseconds.
    pub waited_ms: i64,
    /// Whether it was the first since the conversation was opened.
    pub is_first: bool,
}

/// The conversations of a device by what they await.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InboxCounts {
    /// Conversations that began in the period.
    pub created: i64,
    /// Open ones now.
    pub open: i64,
    /// Open ones without an assignee now.
    pub unassigned: i64,
    /// Open ones whose contact waits now.
    pub waiting: i64,
}

impl Reader<'_> {
    /// The answers in a conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub fn response_times(&self, id: ConversationId) -> Result<ResponseTimes, StoreError> {
        let found = self.one(
            "SELECT waiting_since, first_response_at, answered_by FROM conversations WHERE id = ?1",
            [id.0],
            |row| {
                Ok(ResponseTimes {
                    waiting_since: row.get::<_, Option<i64>>(0)?.map(Millis),
                    first_response_at: row.get::<_, Option<i64>>(1)?.map(Millis),
                    answered_by: row.get::<_, Option<i64>>(2)?.map(UserPk),
                })
            },
        )?;
        Ok(found.unwrap_or_default())
    }

    /// The answers of a device in a period, at most `limit`.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox_responses(
        &self,
        device: &DeviceId,
        (from, to): (Millis, Millis),
        limit: usize,
    ) -> Result<Vec<InboxResponse>, StoreError> {
        self.all(
            "SELECT user_pk, waited_ms, is_first FROM inbox_responses
             WHERE device_id = ?1 AND at >= ?2 AND at < ?3 ORDER BY at LIMIT ?4",
            params![device.as_str(), from.0, to.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            |row| {
                Ok(InboxResponse { user: UserPk(row.get(0)?), waited_ms: row.get(1)?, is_first: row.get(2)? })
            },
        )
    }

    /// The conversations of a device: those that began in a period, and those that await something now.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox_counts(
        &self,
        device: &DeviceId,
        (from, to): (Millis, Millis),
    ) -> Result<InboxCounts, StoreError> {
        let created = self.number(
            "SELECT count(*) FROM conversations WHERE device_id = ?1 AND created_at >= ?2 AND created_at < ?3",
            params![device.as_str(), from.0, to.0],
        )?;
        let counts = self.one(
            "SELECT count(*), count(*) - count(assignee), count(waiting_since) FROM conversations
             WHERE device_id = ?1 AND state = 'open'",
            [device.as_str()],
            |row| {
                Ok(InboxCounts { created, open: row.get(0)?, unassigned: row.get(1)?, waiting: row.get(2)? })
            },
        )?;
        Ok(counts.unwrap_or_default())
    }

    /// The users who may reply in the inbox of a device.
    ///
    /// # Errors
    /// When the store fails.
    pub fn inbox_repliers(&self, device: &DeviceId) -> Result<Vec<UserPk>, StoreError> {
        let grants = self.inbox_grants(device)?;
        let mut users = Vec::new();
        for grant in grants.iter().filter(|grant| grant.rights >= InboxRights::Reply) {
            let (condition, tenant, word) = match &grant.who {
                Grantee::User { tenant, id } => ("u.id = ?2", tenant, id.clone()),
                Grantee::Role { tenant, role } => ("upper(u.role) = ?2", tenant, role.to_uppercase()),
            };
            let sql = format!(
                "SELECT {USER_COLUMNS} FROM users u WHERE u.tenant = ?1 AND {condition} ORDER BY u.pk LIMIT ?3"
            );
            users.extend(self.all(&sql, params![tenant, word, MAX_USERS], chat_user)?);
        }
        let mut repliers: Vec<UserPk> = users
            .iter()
            .filter(|user| rights_of(&grants, user) >= Some(InboxRights::Reply))
            .map(|user| user.pk)
            .collect();
        repliers.sort();
        repliers.dedup();
        Ok(repliers)
    }

    /// The number of open conversations of an assignee.
    ///
    /// # Errors
    /// When the store fails.
    pub fn open_conversations_of(&self, assignee: UserPk) -> Result<i64, StoreError> {
        self.number(
            "SELECT count(*) FROM conversations WHERE assignee = ?1 AND state = 'open' AND assignee IS NOT NULL",
            [assignee.0],
        )
    }

    /// The user of an inbox who was assigned last, in turn.
    ///
    /// # Errors
    /// When the store fails.
    pub fn last_turn(&self, device: &DeviceId) -> Result<Option<UserPk>, StoreError> {
        self.one("SELECT user_pk FROM inbox_turns WHERE device_id = ?1", [device.as_str()], |row| {
            Ok(UserPk(row.get(0)?))
        })
    }
}

impl Tx<'_> {
    /// Records that a user of an inbox was assigned in turn.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_last_turn(&self, device: &DeviceId, user: UserPk) -> Result<(), StoreError> {
        self.run(
            "INSERT INTO inbox_turns (device_id, user_pk) VALUES (?1, ?2)
             ON CONFLICT (device_id) DO UPDATE SET user_pk = excluded.user_pk",
            params![device.as_str(), user.0],
        )?;
        Ok(())
    }

    /// Records that the contact of a conversation waits for an answer.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_waiting(&self, id: ConversationId, now: Millis) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversations SET waiting_since = ?2 WHERE id = ?1 AND waiting_since IS NULL",
            params![id.0, now.0],
        )?;
        Ok(())
    }

    /// Begins to measure the first response anew, or ends the wait of a conversation that was closed.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn reset_response_times(&self, id: ConversationId) -> Result<(), StoreError> {
        self.run(
            "UPDATE conversations SET waiting_since = NULL, first_response_at = NULL, answered_by = NULL
             WHERE id = ?1",
            [id.0],
        )?;
        Ok(())
    }

    /// Records an answer of the operator side. Returns whether it was the first since the conversation was opened;
    /// an answer to no message of the contact is none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_response(
        &self,
        device: &DeviceId,
        id: ConversationId,
        user: UserPk,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let times = self.response_times(id)?;
        let Some(since) = times.waiting_since else { return Ok(false) };
        let is_first = times.first_response_at.is_none();
        self.run(
            "UPDATE conversations SET waiting_since = NULL, first_response_at = coalesce(first_response_at, ?2),
                 answered_by = coalesce(answered_by, ?3) WHERE id = ?1",
            params![id.0, now.0, user.0],
        )?;
        self.run(
            "INSERT INTO inbox_responses (device_id, conversation_id, user_pk, at, waited_ms, is_first)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![device.as_str(), id.0, user.0, now.0, now.since(since).max(0), is_first],
        )?;
        self.run(
            "DELETE FROM inbox_responses WHERE pk IN
                 (SELECT pk FROM inbox_responses WHERE device_id = ?1 AND at < ?2 ORDER BY at LIMIT ?3)",
            params![device.as_str(), now.plus(-KEPT_MS).0, REMOVED_AT_ONCE],
        )?;
        Ok(is_first)
    }

    /// Records whether a system message says that the device is offline. Returns `false` if nothing changed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_offline_reported(&self, id: ConversationId, is_reported: bool) -> Result<bool, StoreError> {
        let changed = self.run(
            "UPDATE conversations SET offline_reported = ?2 WHERE id = ?1 AND offline_reported <> ?2",
            params![id.0, is_reported],
        )?;
        Ok(changed > 0)
    }

    /// Merges the answers of a conversation into another.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) fn merge_response_times(
        &self,
        gone: ConversationId,
        into: ConversationId,
    ) -> Result<(), StoreError> {
        let times = self.response_times(gone)?;
        if let Some(since) = times.waiting_since {
            self.run(
                "UPDATE conversations SET waiting_since = min(coalesce(waiting_since, ?2), ?2) WHERE id = ?1",
                params![into.0, since.0],
            )?;
        }
        self.run(
            "UPDATE inbox_responses SET conversation_id = ?2 WHERE conversation_id = ?1",
            [gone.0, into.0],
        )?;
        Ok(())
    }
}
