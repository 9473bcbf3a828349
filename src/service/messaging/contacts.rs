//! Contacts: lists, and questions about a person that the network answers.
//!
//! Lists come from the store; existence and pictures are queried from the network each time.

use crate::domain::contact::Contact;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::{Answer, Query};
use crate::service::error::require_device;
use crate::service::{ContactQuery, Messaging, ServiceError};

impl Messaging {
    /// Contacts by name, and the total number without the limit.
    ///
    /// # Errors
    /// When there is no such device, or the store fails.
    pub async fn contacts(
        &self,
        device: &DeviceId,
        query: ContactQuery,
    ) -> Result<(Vec<Contact>, i64), ServiceError> {
        let of = device.clone();
        self.store
            .read_of(device, move |store| {
                require_device(store, &of)?;
                Ok(store.contacts(&of, &query)?)
            })
            .await
    }

    /// Whether a person is on the network.
    ///
    /// # Errors
    /// When there is no such device, it is not connected, or its engine does not support the query.
    pub async fn contact_exists(&self, device: &DeviceId, id: &Jid) -> Result<bool, ServiceError> {
        let session = self.registry.session(device)?;
        match session.query(Query::Exists(self.canonical_chat(device, id).await?)).await? {
            Answer::Exists(exists) => Ok(exists),
            Answer::ProfilePicture(_) => Err(ServiceError::NotSupported),
        }
    }

    /// The address of a person's profile picture, if there is one.
    ///
    /// # Errors
    /// When there is no such device, it is not connected, or its engine does not support the query.
    pub async fn profile_picture(&self, device: &DeviceId, id: &Jid) -> Result<Option<String>, ServiceError> {
        let session = self.registry.session(device)?;
        match session.query(Query::ProfilePicture(self.canonical_chat(device, id).await?)).await? {
            Answer::ProfilePicture(address) => Ok(address),
            Answer::Exists(_) => Err(ServiceError::NotSupported),
        }
    }
}
