//! Users for the native REST API: list, profile, presence, and the revocation of their tokens.

use super::OperatorChat;
use super::authentication::{SignedIn, is_revoked, release_changed_role};
use super::error::ChatError;
use super::inbox_caller::InboxCaller;
use super::presence::UserStatus;
use super::views::accessible_user;
use crate::domain::operator_chat::ids::UserPk;
use crate::domain::operator_chat::inbox::{Grantee, InboxGrant, rights_of};
use crate::domain::operator_chat::user::{ChatUser, PROFILE_MAX_CHARS, UserProfile};
use crate::domain::operator_chat::visibility::{DirectoryRules, UserAccess};
use crate::store::{Reader, StoreError};

/// Users that one read examines.
const BATCH: usize = 500;

/// A page of users.
#[derive(Debug, Clone)]
pub struct OperatorPage {
    /// The users, in the order of their first sign-in.
    pub users: Vec<ChatUser>,
    /// The position after which the next page begins.
    pub next: Option<i64>,
}

/// The presence of a user, with the number of connected sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperatorPresence {
    /// The status.
    pub status: UserStatus,
    /// The connected sockets.
    pub sockets: usize,
}

impl OperatorChat {
    /// A page of the users that the caller may list: for a user the directory, for an API key those who may use an
    /// inbox of its devices, or all.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn operators(
        &self,
        caller: InboxCaller,
        limit: usize,
        after: i64,
    ) -> Result<OperatorPage, ChatError> {
        let staff = self.directory_rules();
        self.store
            .read(move |store| {
                let grants = grants_of(store, &caller)?;
                let (mut users, mut after) = (Vec::new(), after);
                loop {
                    let batch = store.chat_users_after(UserPk(after), BATCH)?;
                    let is_last = batch.len() < BATCH;
                    for user in batch {
                        if users.len() == limit {
                            return Ok(OperatorPage { users, next: Some(after) });
                        }
                        after = user.pk.0;
                        if lists(&caller, &staff, grants.as_deref(), &user) {
                            users.push(user);
                        }
                    }
                    if is_last {
                        return Ok(OperatorPage { users, next: None });
                    }
                }
            })
            .await
    }

    /// A user whom the caller may query.
    ///
    /// # Errors
    /// When there is no such user for the caller, or the store fails.
    pub async fn operator(&self, caller: InboxCaller, id: String) -> Result<ChatUser, ChatError> {
        let (staff, tenants) = (self.directory_rules(), self.tenants());
        self.store
            .read(move |store| {
                if let InboxCaller::User(me) = &caller {
                    return match me.id.as_str() == id {
                        true => Ok((**me).clone()),
                        false => accessible_user(store, &staff, me, &id, UserAccess::Query),
                    };
                }
                let tenants: Vec<&str> = tenants.iter().map(String::as_str).collect();
                let user = caller.named_user(store, &tenants, &id)?;
                let grants = grants_of(store, &caller)?;
                let is_visible = lists(&caller, &staff, grants.as_deref(), &user);
                is_visible.then_some(user).ok_or(ChatError::UserNotFound)
            })
            .await
    }

    /// Adds a user, or replaces the profile of one; the next token of the user replaces it again.
    ///
    /// # Errors
    /// When the caller is restricted to devices, a field is invalid, there are too many users, or the store fails.
    pub async fn put_operator(
        &self,
        caller: &InboxCaller,
        id: &str,
        profile: UserProfile,
    ) -> Result<(ChatUser, bool), ChatError> {
        caller.require_all_devices()?;
        check(&profile)?;
        let tenants = self.tenants();
        let names: Vec<&str> = tenants.iter().map(String::as_str).collect();
        let Ok(Grantee::User { tenant, id }) = Grantee::parse(id, &names) else {
            return Err(ChatError::invalid(
                "operatorId",
                "must be `<identity>:<user id>` of a configured identity",
            ));
        };
        let id = id.parse().map_err(|error| ChatError::invalid("operatorId", format!("{error}")))?;
        let (now, limit) = (self.now(), self.limits.max_users);
        self.store
            .write(move |tx| {
                let known = tx.chat_user(&tenant, &id)?;
                let most = i64::try_from(limit).unwrap_or(i64::MAX);
                if known.is_none() && tx.chat_user_count(&tenant)? >= most {
                    return Err(ChatError::TooManyUsers(limit));
                }
                // The type is part of a user's identity and never changes.
                let known_type = known.as_ref().and_then(|user| user.profile.user_type.clone());
                let profile =
                    UserProfile { user_type: known_type.or(profile.user_type.clone()), ..profile.clone() };
                let pk = tx.put_chat_user(&tenant, &id, &profile, now)?;
                release_changed_role(tx, pk, known.as_ref(), &profile, now)?;
                let user = tx.chat_user_by_pk(pk)?.ok_or(ChatError::UserNotFound)?;
                Ok((user, known.is_none()))
            })
            .await
    }

    /// Refuses all tokens of a user that were issued before now, and those without a time of issue. The user's sockets
    /// are closed.
    ///
    /// # Errors
    /// When the caller is restricted to devices, there is no such user, or the store fails.
    pub async fn revoke_tokens(&self, caller: InboxCaller, id: String) -> Result<ChatUser, ChatError> {
        caller.require_all_devices()?;
        let user = self.operator(caller, id).await?;
        let (pk, now) = (user.pk, self.now());
        self.store.write::<_, StoreError, _>(move |tx| tx.revoke_chat_tokens(pk, now)).await?;
        self.revocations.lock().insert(pk, now);
        self.revoked.lock().push(pk);
        self.changed.notify_one();
        Ok(user)
    }

    /// Whether the token of a user was revoked since the daemon started. Sockets that connect meanwhile ask.
    #[must_use]
    pub fn was_revoked(&self, me: &SignedIn) -> bool {
        is_revoked(me.issued_at, self.revocations.lock().get(&me.user.pk).copied())
    }

    /// The users whose sockets are to be closed now.
    pub fn due_revocations(&self) -> Vec<UserPk> {
        std::mem::take(&mut *self.revoked.lock())
    }

    /// The presence of a user.
    #[must_use]
    pub fn operator_presence(&self, user: &ChatUser) -> OperatorPresence {
        OperatorPresence { status: self.status(user), sockets: self.presence.lock().sockets(user.pk) }
    }

    /// The number of users who are online.
    ///
    /// # Errors
    /// When the caller is an API key that is restricted to devices.
    pub fn online_count(&self, caller: &InboxCaller) -> Result<usize, ChatError> {
        caller.require_all_devices()?;
        Ok(self.presence.lock().online_count(self.now()))
    }

    pub(super) fn tenants(&self) -> Vec<String> {
        self.providers().iter().map(|provider| provider.name.clone()).collect()
    }
}

/// The grants of a key's devices; none if the caller is not restricted to devices.
fn grants_of(store: &Reader<'_>, caller: &InboxCaller) -> Result<Option<Vec<InboxGrant>>, StoreError> {
    let InboxCaller::Key(Some(devices)) = caller else { return Ok(None) };
    let mut grants = Vec::new();
    for device in devices {
        grants.extend(store.inbox_grants(device)?);
    }
    Ok(Some(grants))
}

fn lists(
    caller: &InboxCaller,
    staff: &DirectoryRules,
    grants: Option<&[InboxGrant]>,
    user: &ChatUser,
) -> bool {
    match caller {
        InboxCaller::User(me) => {
            me.tenant == user.tenant && (me.pk == user.pk || staff.allows(me, user, UserAccess::List))
        }
        InboxCaller::Key(_) => grants.is_none_or(|grants| rights_of(grants, user).is_some()),
    }
}

fn check(profile: &UserProfile) -> Result<(), ChatError> {
    let fields = [
        ("name", &profile.name),
        ("avatar", &profile.avatar),
        ("email", &profile.email),
        ("role", &profile.role),
        ("userType", &profile.user_type),
    ];
    for (field, text) in fields {
        let Some(text) = text else { continue };
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(ChatError::invalid(field, "must be a line of text"));
        }
        if text.chars().take(PROFILE_MAX_CHARS + 1).count() > PROFILE_MAX_CHARS {
            return Err(ChatError::invalid(
                field,
                format!("must have at most {PROFILE_MAX_CHARS} characters"),
            ));
        }
    }
    Ok(())
}
