//! Reads and replaces the grants of a device's inbox. A removed user gets no event after the commit, and is the assignee
//! of no conversation.

use super::OperatorChat;
use super::assignment::release_without_access;
use super::error::ChatError;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::event::ChatLogEntry;
use crate::domain::operator_chat::inbox::{Grantee, InboxGrant, InvalidGrant, MAX_GRANTS};
use crate::service::error::require_device;

impl OperatorChat {
    /// The grants of a device's inbox.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn inbox_grants(&self, device: &DeviceId) -> Result<Vec<InboxGrant>, ChatError> {
        let device = device.clone();
        self.store
            .read(move |store| {
                require_device(store, &device)?;
                Ok(store.inbox_grants(&device)?)
            })
            .await
    }

    /// Replaces the grants of a device's inbox; each is whom it names, and the word of the rights.
    ///
    /// # Errors
    /// When a grant is invalid, there is no such device, or the store fails.
    pub async fn set_inbox_grants(
        &self,
        device: &DeviceId,
        grants: &[(String, String)],
    ) -> Result<Vec<InboxGrant>, ChatError> {
        if grants.len() > MAX_GRANTS {
            return Err(ChatError::invalid("operators", format!("must have at most {MAX_GRANTS} grants")));
        }
        let tenants: Vec<&str> = self.providers.iter().map(|provider| provider.name.as_str()).collect();
        let grant = |(who, rights): &(String, String)| -> Result<InboxGrant, ChatError> {
            let wrong = |error: InvalidGrant| error.to_string();
            Ok(InboxGrant {
                who: Grantee::parse(who, &tenants)
                    .map_err(|error| ChatError::invalid("operators.who", wrong(error)))?,
                rights: rights
                    .parse()
                    .map_err(|error| ChatError::invalid("operators.rights", wrong(error)))?,
            })
        };
        let grants: Vec<InboxGrant> = grants.iter().map(grant).collect::<Result<_, _>>()?;
        let (device, now) = (device.clone(), self.now());
        self.store
            .write(move |tx| {
                require_device(tx, &device)?;
                tx.set_inbox_grants(&device, &grants)?;
                tx.append_chat_event(&ChatLogEntry::InboxAccess { device: device.to_string() }, now)?;
                release_without_access(tx, &device, &grants, &tx.assignees_of(&device)?, now)?;
                Ok(grants.clone())
            })
            .await
    }
}
