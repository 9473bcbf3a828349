//! Users as others see them.

use super::OperatorChat;
use super::authentication::SignedIn;
use super::error::ChatError;
use super::views::accessible_user;
use crate::domain::operator_chat::user::ChatUser;
use crate::domain::operator_chat::visibility::UserAccess;

/// Users of a tenant that the directory reads.
const MAX_DIRECTORY: usize = 10_000;

impl OperatorChat {
    /// A user whom the caller may query.
    ///
    /// # Errors
    /// When there is no such user for the caller, or the store fails.
    pub async fn user(&self, me: &SignedIn, id: &str) -> Result<ChatUser, ChatError> {
        let (me, staff, id) = (me.user.clone(), self.directory_rules(), id.to_owned());
        self.store.read(move |store| accessible_user(store, &staff, &me, &id, UserAccess::Query)).await
    }

    /// The users of the tenant whom the caller lists, without the caller; those of the oldest 10,000.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn directory(&self, me: &SignedIn) -> Result<Vec<ChatUser>, ChatError> {
        let (me, staff) = (me.user.clone(), self.directory_rules());
        self.store
            .read::<_, ChatError, _>(move |store| {
                let mut users = store.chat_users(&me.tenant, MAX_DIRECTORY)?;
                users.retain(|user| user.pk != me.pk && staff.allows(&me, user, UserAccess::List));
                Ok(users)
            })
            .await
    }

    /// Users whom the caller may query, in the order of the request; `None` for all others.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users(&self, me: &SignedIn, ids: Vec<String>) -> Result<Vec<Option<ChatUser>>, ChatError> {
        let (me, staff) = (me.user.clone(), self.directory_rules());
        self.store
            .read(move |store| {
                let user = |id: &String| match accessible_user(store, &staff, &me, id, UserAccess::Query) {
                    Ok(user) => Ok(Some(user)),
                    Err(ChatError::UserNotFound) => Ok(None),
                    Err(error) => Err(error),
                };
                ids.iter().map(user).collect()
            })
            .await
    }
}
