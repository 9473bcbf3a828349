//! Users of operator chat.

use rusqlite::{Row, params};

use super::column_codec::{parsed, time_if_any};
use super::error::StoreError;
use super::tx::{Reader, Tx};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::ids::{UserId, UserPk};
use crate::domain::operator_chat::user::{ChatUser, UserProfile};

/// The columns that [`chat_user`] reads, of the table `u`.
pub(super) const USER_COLUMNS: &str = "u.pk AS user_pk, u.tenant AS user_tenant, u.id AS user_id, u.name AS user_name, \
     u.avatar AS user_avatar, u.email AS user_email, u.role AS user_role, \
     u.user_type AS user_type, u.last_seen_at AS user_seen";

impl Reader<'_> {
    /// The user of a tenant with this id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_user(&self, tenant: &str, id: &UserId) -> Result<Option<ChatUser>, StoreError> {
        self.one(
            &format!("SELECT {USER_COLUMNS} FROM users u WHERE u.tenant = ?1 AND u.id = ?2"),
            params![tenant, id.as_str()],
            chat_user,
        )
    }

    /// The user of a row.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_user_by_pk(&self, pk: UserPk) -> Result<Option<ChatUser>, StoreError> {
        self.one(&format!("SELECT {USER_COLUMNS} FROM users u WHERE u.pk = ?1"), [pk.0], chat_user)
    }

    /// The first users of a tenant, oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_users(&self, tenant: &str, limit: usize) -> Result<Vec<ChatUser>, StoreError> {
        self.all(
            &format!("SELECT {USER_COLUMNS} FROM users u WHERE u.tenant = ?1 ORDER BY u.pk LIMIT ?2"),
            params![tenant, i64::try_from(limit).unwrap_or(i64::MAX)],
            chat_user,
        )
    }

    /// The users of all identity providers after a row, in the order of their rows.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_users_after(&self, after: UserPk, limit: usize) -> Result<Vec<ChatUser>, StoreError> {
        self.all(
            &format!(
                "SELECT {USER_COLUMNS} FROM users u WHERE u.pk > ?1 AND u.tenant <> '' ORDER BY u.pk LIMIT ?2"
            ),
            params![after.0, i64::try_from(limit).unwrap_or(i64::MAX)],
            chat_user,
        )
    }

    /// When the tokens of a user were revoked; tokens that were issued before are refused.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_tokens_revoked_at(&self, user: UserPk) -> Result<Option<Millis>, StoreError> {
        let revoked = self.one("SELECT tokens_revoked_at FROM users WHERE pk = ?1", [user.0], |row| {
            Ok(row.get::<_, Option<i64>>(0)?)
        })?;
        Ok(revoked.flatten().map(Millis))
    }

    /// The number of users of a tenant.
    ///
    /// # Errors
    /// When the store fails.
    pub fn chat_user_count(&self, tenant: &str) -> Result<i64, StoreError> {
        self.number("SELECT count(*) FROM users WHERE tenant = ?1", [tenant])
    }
}

impl Tx<'_> {
    /// Adds a user, or replaces the profile of the one with this id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn put_chat_user(
        &self,
        tenant: &str,
        id: &UserId,
        profile: &UserProfile,
        now: Millis,
    ) -> Result<UserPk, StoreError> {
        let pk = self.number(
            "INSERT INTO users (tenant, id, name, avatar, email, role, user_type, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (tenant, id) DO UPDATE SET
                 name = excluded.name, avatar = excluded.avatar, email = excluded.email, role = excluded.role,
                 user_type = excluded.user_type
             RETURNING pk",
            params![
                tenant,
                id.as_str(),
                profile.name,
                profile.avatar,
                profile.email,
                profile.role,
                profile.user_type,
                now.0
            ],
        )?;
        Ok(UserPk(pk))
    }

    /// Revokes the tokens of a user that were issued before a time.
    ///
    /// # Errors
    /// When the store fails.
    pub fn revoke_chat_tokens(&self, user: UserPk, at: Millis) -> Result<(), StoreError> {
        self.run("UPDATE users SET tokens_revoked_at = ?2 WHERE pk = ?1", params![user.0, at.0])?;
        Ok(())
    }

    /// Records when a user was last seen.
    ///
    /// # Errors
    /// When the store fails.
    pub fn set_chat_user_seen(&self, user: UserPk, at: Millis) -> Result<(), StoreError> {
        self.run("UPDATE users SET last_seen_at = ?2 WHERE pk = ?1", params![user.0, at.0])?;
        Ok(())
    }
}

pub(super) fn chat_user(row: &Row<'_>) -> Result<ChatUser, StoreError> {
    Ok(ChatUser {
        pk: UserPk(row.get("user_pk")?),
        tenant: row.get("user_tenant")?,
        id: parsed(row, "user_id", "user id")?,
        profile: UserProfile {
            name: row.get("user_name")?,
            avatar: row.get("user_avatar")?,
            email: row.get("user_email")?,
            role: row.get("user_role")?,
            user_type: row.get("user_type")?,
        },
        last_seen_at: time_if_any(row, "user_seen")?,
    })
}
