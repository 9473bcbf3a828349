//! Stores and serves the files that users of operator chat upload. They count against the limits of their user; the file
//! of a message is never evicted.

use crate::domain::file_name::safe_filename;
use crate::domain::ids::DeviceId;
use crate::domain::operator_chat::file::kind_of_upload;
use crate::domain::operator_chat::ids::{ChatFileId, UserPk};
use crate::media::ByteStream;
use crate::service::media::file_store::UploadOwner;
use crate::service::media::links::signed_chat_file;
use crate::service::{MediaService, ServiceError};
use crate::store::StoreError;
use crate::store::chat_files::UploadedChatFile;

/// The name of a file whose own name has no safe character.
const UNNAMED: &str = "file";

/// The result of an upload.
pub(in crate::service) enum ChatUpload {
    /// The file is stored.
    Stored(UploadedChatFile),
    /// Its type is not accepted; it is not stored.
    TypeRefused(String),
}

impl MediaService {
    /// Stores an uploaded file of a user with its row. It is durable when this returns.
    pub(in crate::service) async fn upload_chat_file(
        &self,
        user: UserPk,
        filename: &str,
        max_bytes: u64,
        bytes: ByteStream,
    ) -> Result<ChatUpload, ServiceError> {
        let owner = UploadOwner::User(user);
        let mut permit = self.upload_permit_of(&owner).await?;
        let limit = max_bytes.min(self.limits.media.max_bytes);
        let staged = self.staged_of_owner(&owner, bytes, limit, &mut permit).await?;
        if kind_of_upload(&staged.media().mimetype).is_none() {
            return Ok(ChatUpload::TypeRefused(staged.media().mimetype.clone()));
        }
        let filename = safe_filename(filename).unwrap_or_else(|| UNNAMED.to_owned());
        let secret = self.new_media_secret().to_vec();
        let file = self.keep_staged(staged).await?;
        let (hash, name, key, now) = (file.hash.clone(), filename.clone(), secret.clone(), self.clock.now());
        let row = hash.clone();
        let written: Result<ChatFileId, StoreError> =
            self.store.write_patiently(move |tx| tx.add_chat_file(user, &row, &name, &key, now)).await;
        self.files.end_reservation(&hash);
        Ok(ChatUpload::Stored(UploadedChatFile { id: written?, filename, file, secret }))
    }

    /// An uploaded file, if the signature of its URL is valid.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn signed_chat_file(
        &self,
        id: ChatFileId,
        signature: &str,
    ) -> Result<Option<UploadedChatFile>, ServiceError> {
        let signature = signature.to_owned();
        let read = self.store.read::<_, StoreError, _>(move |store| signed_chat_file(store, id, &signature));
        Ok(read.await?)
    }

    /// Refuses to send an uploaded file through a device whose quota has no room for it.
    pub(in crate::service) async fn require_room_on_device(
        &self,
        device: &DeviceId,
        file: &UploadedChatFile,
    ) -> Result<(), ServiceError> {
        let owner = UploadOwner::Device(device.clone());
        self.require_quota(&owner, Some(&file.file.hash), file.file.filesize).await
    }
}
