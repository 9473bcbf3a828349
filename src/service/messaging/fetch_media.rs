//! Files that did not arrive with their message: ingests them later, and fetches them on request.
//!
//! The engine has the description of such a file, so a request costs the network nothing where there is none.

use std::time::Duration;

use crate::domain::content::Attachment;
use crate::domain::event::{Event, MessageMediaEvent};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::media::Media;
use crate::engine::MediaFetchError;
use crate::service::log::bridge_inbound;
use crate::service::{Messaging, ServiceError};
use crate::store::StoreError;

/// How long a request waits for a file. Below the default of `server.request_timeout_ms`.
const ON_REQUEST: Duration = Duration::from_secs(25);

impl Messaging {
    /// Ingests the file of a stored message; `None` when the engine gave up.
    pub(in crate::service) async fn ingest_media(
        &self,
        device: &DeviceId,
        id: MessageId,
        attachment: Option<Attachment>,
    ) -> Result<(), StoreError> {
        let (of, now, links) = (device.clone(), self.clock.now(), self.media.link_base());
        let hash = attachment.as_ref().map(|attachment| attachment.file.hash.clone());
        let chat = self
            .store
            .write_patiently(move |tx| {
                let Some(found) = tx.found_here(&of, &id)? else { return Ok::<_, StoreError>(None) };
                let message = match &attachment {
                    Some(file) if !tx.attach_file(&of, &found.id, file.clone())? => return Ok(None),
                    Some(_) => tx.message(&of, &found.id)?.map(|found| found.message),
                    None => None,
                };
                let mut event = MessageMediaEvent {
                    message_id: found.id.clone(),
                    chat_id: found.chat.clone(),
                    available: message.is_some(),
                    message,
                };
                links.attach_all(tx, &of, event.message.as_mut())?;
                let is_available = event.available;
                tx.append(&of, &Event::MessageMedia(event), now)?;
                if is_available {
                    bridge_inbound::record_change(tx, found.pk, false, now)?;
                }
                Ok(attachment.is_some().then_some(found.chat))
            })
            .await?;
        if let Some(hash) = hash {
            self.media.release_reservation(&hash);
        }
        if let Some(chat) = chat {
            self.chat_changed(device, &chat);
        }
        Ok(())
    }

    /// The file of a message. One that did not arrive with its message is fetched.
    ///
    /// # Errors
    /// When there is no such device or message, it has no file, the file cannot be fetched, or the store fails.
    pub async fn message_file(&self, device: &DeviceId, id: &MessageId) -> Result<Media, ServiceError> {
        let missing = match self.media.message_media(device, id).await {
            Ok(media) if media.available => return Ok(media),
            Ok(_) => ServiceError::MediaGone,
            Err(error @ ServiceError::NoMedia) => error,
            Err(error) => return Err(error),
        };
        let message = self.message(device, id).await?.message;
        let engine = self.registry.engine_of(device)?;
        let is_fetched = self.registry.driver(&engine).is_some_and(|driver| driver.fetches_media());
        if !is_fetched || !message.kind.is_file() {
            return Err(missing);
        }
        let session = self.registry.session(device)?;
        let fetch = tokio::time::timeout(ON_REQUEST, session.fetch_media(&message.id)).await;
        match fetch.unwrap_or(Err(MediaFetchError::Failed)) {
            Ok(()) => self.media.message_media(device, id).await,
            Err(MediaFetchError::NotDescribed | MediaFetchError::NotSupported) => Err(missing),
            Err(MediaFetchError::Offline) => Err(ServiceError::Offline),
            Err(MediaFetchError::Gone) => Err(ServiceError::MediaGone),
            Err(MediaFetchError::PhoneOffline) => Err(ServiceError::PhoneOffline),
            Err(error @ MediaFetchError::TooMany) => {
                Err(ServiceError::NotReady { code: "media_fetch_limited", message: error.to_string() })
            }
            Err(error @ MediaFetchError::Failed) => {
                Err(ServiceError::NotReady { code: "media_not_fetched", message: error.to_string() })
            }
        }
    }
}
