//! Presence: the status of users, and the audience of its changes.

use std::collections::HashSet;

use super::OperatorChat;
use super::error::ChatError;
use crate::domain::clock::Millis;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::presence::PresenceReport;
use crate::domain::operator_chat::user::ChatUser;
use crate::domain::operator_chat::visibility::UserAccess;
use crate::store::StoreError;

/// The status of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserStatus {
    /// Whether the user is online.
    pub is_online: bool,
    /// The last sign of life.
    pub last_seen: Option<Millis>,
}

/// A change of presence, with the users who share a conversation with the user.
#[derive(Debug, Clone)]
pub struct PresenceChange {
    /// The user.
    pub user: ChatUser,
    /// Whether the user is online now.
    pub is_online: bool,
    /// The last sign of life.
    pub last_seen: Millis,
    partners: HashSet<UserPk>,
}

impl PresenceChange {
    /// The status of a user, for sockets that may see it.
    #[must_use]
    pub fn of(user: ChatUser, is_online: bool, last_seen: Millis) -> Self {
        Self { user, is_online, last_seen, partners: HashSet::new() }
    }
}

impl OperatorChat {
    /// Whether a user has as many sockets as allowed.
    #[must_use]
    pub fn has_too_many_sockets(&self, user: UserPk) -> bool {
        self.presence.lock().sockets(user) >= self.limits.max_sockets
    }

    /// Records a new socket.
    pub fn socket_connected(&self, user: UserPk) {
        self.presence.lock().connected(user, self.now());
        self.changed.notify_one();
    }

    /// Records the end of a socket, which may have been away.
    pub fn socket_disconnected(&self, user: UserPk, was_away: bool) {
        self.presence.lock().disconnected(user, was_away, self.now());
        self.changed.notify_one();
    }

    /// Records that the user of a connected socket is away, or is back.
    pub fn socket_away(&self, user: UserPk, is_away: bool) {
        self.presence.lock().set_away(user, is_away, self.now());
        self.changed.notify_one();
    }

    /// Records a sign of life.
    pub fn seen(&self, user: UserPk) {
        self.presence.lock().seen(user, self.now());
    }

    /// The status of a user.
    #[must_use]
    pub fn status(&self, user: &ChatUser) -> UserStatus {
        let presence = self.presence.lock();
        let last_seen = presence.last_seen(user.pk).or(user.last_seen_at);
        UserStatus { is_online: presence.is_online(user.pk, self.now()), last_seen }
    }

    /// Whether a user is online.
    #[must_use]
    pub fn is_online(&self, user: UserPk) -> bool {
        self.presence.lock().is_online(user, self.now())
    }

    /// Waits until presence or typing may have changed, or an answer to a slash command or an upload waits.
    pub async fn presence_changed(&self) {
        self.changed.notified().await;
    }

    /// When presence or typing changes by itself, or an uploaded message is due.
    #[must_use]
    pub fn next_presence_change(&self) -> Option<Millis> {
        let (presence, typing) = (self.presence.lock().next_due(), self.typing.lock().next_end());
        let throttled = self.typing_throttle.lock().next_due();
        let upload = self.uploads.lock().next_due();
        [presence, typing, throttled, upload].into_iter().flatten().min()
    }

    /// The changes to emit now. Users who went offline are stored with their last sign of life.
    ///
    /// # Errors
    /// When the store fails; the changes are lost then.
    pub async fn due_presence(&self) -> Result<Vec<PresenceChange>, ChatError> {
        let reports = self.presence.lock().due(self.now());
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let gone: Vec<PresenceReport> = reports.iter().copied().filter(|report| !report.is_online).collect();
        if !gone.is_empty() {
            let store_seen = self.store.write_patiently::<_, StoreError, _>(move |tx| {
                gone.iter().try_for_each(|report| tx.set_chat_user_seen(report.user, report.last_seen))
            });
            store_seen.await?;
        }
        self.store
            .read::<_, ChatError, _>(move |store| {
                let mut changes = Vec::with_capacity(reports.len());
                for PresenceReport { user, is_online, last_seen } in reports {
                    let Some(found) = store.chat_user_by_pk(user)? else { continue };
                    let partners = store.conversation_partners(user)?.into_iter().collect();
                    changes.push(PresenceChange { user: found, is_online, last_seen, partners });
                }
                Ok(changes)
            })
            .await
    }

    /// Whether a user is in the presence audience of a change.
    #[must_use]
    pub fn is_in_audience(&self, viewer: &ChatUser, change: &PresenceChange) -> bool {
        viewer.pk != change.user.pk
            && (change.partners.contains(&viewer.pk)
                || self.directory_rules().allows(viewer, &change.user, UserAccess::List))
    }
}
