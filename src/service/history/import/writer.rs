//! Stores the messages of an import in batches, and their files through the media store.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::archive::Archive;
use super::{ImportedMedia, ServiceError, blocking, refused};
use crate::domain::content::{Attachment, Content};
use crate::domain::export::document::{ChatHead, ExportedMessage};
use crate::domain::export::file_names::detect_by_name;
use crate::domain::file_name::safe_filename;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::media::{MediaHash, MediaKind, StoredMedia};
use crate::domain::message::{Message, MessageType};
use crate::engine::MediaStoreError;
use crate::service::History;
use crate::store::{StoreError, Tx};

/// Messages per batch.
const BATCH: usize = 200;
/// Maximum bytes of export per batch; a larger write would delay all other writers of the store.
const BATCH_BYTES: usize = 1 << 20;
/// Batches buffered for the storing task.
const WAITING: usize = 2;
/// Bytes of a file per piece.
const CHUNK: usize = 64 * 1024;

/// Sends messages from the reading thread to the storing task.
pub(super) struct Batches {
    waiting: Vec<ExportedMessage>,
    /// Size of the messages in the export.
    bytes: usize,
    out: Option<mpsc::Sender<Vec<ExportedMessage>>>,
}

impl Batches {
    /// Discards the messages: for the first reading, which only validates.
    pub(super) fn trial() -> Self {
        Self { waiting: Vec::new(), bytes: 0, out: None }
    }

    /// Adds a message of the given size in the export; blocks while too many batches are buffered.
    pub(super) fn push(&mut self, message: ExportedMessage, bytes: usize) -> Result<(), ServiceError> {
        if self.out.is_none() {
            return Ok(());
        }
        self.waiting.push(message);
        self.bytes += bytes;
        if self.waiting.len() >= BATCH || self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Sends the buffered messages.
    pub(super) fn flush(&mut self) -> Result<(), ServiceError> {
        let Some(out) = &self.out else { return Ok(()) };
        self.bytes = 0;
        // The storing task has stopped and reports the cause.
        out.blocking_send(std::mem::take(&mut self.waiting)).map_err(|_| refused("the import was stopped"))
    }
}

/// Counts of stored and skipped messages.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) imported: u64,
    pub(super) skipped: u64,
    pub(super) media: ImportedMedia,
}

/// Result of looking up a message's file in the archive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ArchiveFile {
    /// The message has no file name.
    Unnamed,
    /// The archive has no file of this name.
    Missing,
    /// The file is too large, damaged or of the wrong type.
    Refused,
    Given,
}

impl Stored {
    fn count(&mut self, is_new: bool, has_file: Option<bool>, file: ArchiveFile) {
        if !is_new {
            self.skipped += 1;
            return;
        }
        self.imported += 1;
        match (has_file, file) {
            (Some(true), _) => self.media.attached += 1,
            (_, ArchiveFile::Refused) => self.media.refused += 1,
            (Some(false), _) | (None, ArchiveFile::Missing) => self.media.missing += 1,
            (None, _) => {}
        }
    }
}

pub(super) struct ImportWriter {
    history: History,
    device: DeviceId,
    archive: Option<Arc<Archive>>,
    /// Archive files that were stored; `None` for refused ones.
    saved: HashMap<String, Option<StoredMedia>>,
    /// The chat and its people until they are stored. They are stored with the first messages, so that a
    /// failed import leaves no empty chat.
    head: Option<(ChatHead, Vec<(Jid, String)>)>,
    /// Files stored for the current batch.
    fresh: Vec<MediaHash>,
    stored: Stored,
}

impl ImportWriter {
    pub(super) fn new(history: &History, device: &DeviceId, archive: Option<Archive>) -> Self {
        Self {
            history: history.clone(),
            device: device.clone(),
            archive: archive.map(Arc::new),
            saved: HashMap::new(),
            head: None,
            fresh: Vec::new(),
            stored: Stored::default(),
        }
    }

    pub(super) fn history(&self) -> &History {
        &self.history
    }

    pub(super) fn device(&self) -> &DeviceId {
        &self.device
    }

    /// Stores the messages that `read` reads, in order, and updates the chat's last message.
    pub(super) async fn store(
        mut self,
        chat: ChatHead,
        names: Vec<(Jid, String)>,
        read: impl FnOnce(&mut Batches) -> Result<(), ServiceError> + Send + 'static,
    ) -> Result<Stored, ServiceError> {
        let (out, mut batches) = mpsc::channel(WAITING);
        let reading = blocking(move || {
            let mut batches = Batches { waiting: Vec::new(), bytes: 0, out: Some(out) };
            read(&mut batches)?;
            batches.flush()
        });
        let storing = async {
            self.head = Some((chat, names));
            while let Some(batch) = batches.recv().await {
                self.store_batch(batch).await?;
            }
            // Closes the channel, so that the reader stops.
            drop(batches);
            Ok::<_, ServiceError>(self)
        };
        // If both fail, the storing task's error is the cause of the reader's.
        let (read, stored) = futures_util::future::join(reading, storing).await;
        let sink = stored?;
        match read {
            Ok(()) => Ok(sink.stored),
            Err(source) => Err(sink.cut(source)),
        }
    }

    fn cut(&self, source: ServiceError) -> ServiceError {
        let imported = self.stored.imported;
        if imported == 0 { source } else { ServiceError::ImportCut { imported, source: Box::new(source) } }
    }

    async fn write<T: Send + 'static>(
        &self,
        write: impl Fn(&Tx<'_>, &DeviceId) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let id = self.device.clone();
        let written = self.history.store.write_patiently(move |tx| {
            tx.device(&id)?.ok_or(ServiceError::DeviceNotFound)?;
            Ok(write(tx, &id)?)
        });
        written.await.map_err(|error| self.cut(error))
    }

    async fn store_batch(&mut self, mut batch: Vec<ExportedMessage>) -> Result<(), ServiceError> {
        if self.history.tasks.soft().is_cancelled() {
            return Err(self.cut(ServiceError::ShuttingDown));
        }
        let mut files = Vec::with_capacity(batch.len());
        for message in &mut batch {
            files.push(self.attach(message).await.map_err(|error| self.cut(error))?);
        }
        let (now, head) = (self.history.clock.now(), self.head.take());
        let added = self.write(move |tx, device| {
            if let Some((mut chat, names)) = head.clone() {
                tx.canonicalize_ids(device, &mut chat.id)?;
                tx.import_chat(device, &chat)?;
                for (mut id, name) in names {
                    tx.canonicalize_ids(device, &mut id)?;
                    tx.import_contact(device, &id, &name)?;
                }
            }
            let mut batch = batch.clone();
            let mut added = Vec::with_capacity(batch.len());
            for message in &mut batch {
                by_hash(tx, device, &mut message.message)?;
                tx.canonicalize_ids(device, &mut message.message)?;
                let is_new = tx.import_message(device, message, now)?.is_some();
                added.push((is_new, message.message.media.as_ref().map(|media| media.available)));
            }
            if let Some(message) = batch.first() {
                tx.refresh_chat(device, &message.message.chat_id)?;
            }
            Ok(added)
        });
        let added = added.await;
        // Files are reserved until their batch is written, whether or not that succeeds.
        std::mem::take(&mut self.fresh).iter().for_each(|hash| self.history.media.release_reservation(hash));
        for ((is_new, has_file), file) in added?.into_iter().zip(files) {
            self.stored.count(is_new, has_file, file);
        }
        Ok(())
    }

    /// Attaches a message's file from the archive.
    async fn attach(&mut self, exported: &mut ExportedMessage) -> Result<ArchiveFile, ServiceError> {
        let Some(name) = exported.file.take() else { return Ok(ArchiveFile::Unnamed) };
        let Some(archive) = self.archive.clone().filter(|archive| archive.has(&name)) else {
            return Ok(ArchiveFile::Missing);
        };
        if !self.saved.contains_key(&name) {
            let saved = self.save(archive, &name).await?;
            self.fresh.extend(saved.iter().map(|file| file.hash.clone()));
            self.saved.insert(name.clone(), saved);
        }
        let message = &mut exported.message;
        Ok(match self.saved.get(&name).cloned().flatten() {
            Some(file) => give_of_archive(message, file, &name),
            None => ArchiveFile::Refused,
        })
    }

    /// Returns `None` for a file that the media store refuses.
    async fn save(&self, archive: Arc<Archive>, name: &str) -> Result<Option<StoredMedia>, ServiceError> {
        let (pieces, reader) = mpsc::channel(WAITING);
        let name = name.to_owned();
        let reading = blocking(move || archive.read(&name, |file| pass_on(file, &pieces)));
        let stream = futures_util::stream::unfold(reader, async |mut reader: mpsc::Receiver<_>| {
            Some((reader.recv().await?, reader))
        });
        let media = self.history.media_store();
        let (read, saved) = futures_util::future::join(reading, media.save(stream.fuse().boxed())).await;
        match (read, saved) {
            (Ok(()), Ok(saved)) => Ok(Some(saved)),
            // The file does not match its entry in the archive; the message stays without it.
            (Err(ServiceError::BadImport(_)), Ok(saved)) => {
                self.history.media.release_reservation(&saved.hash);
                Ok(None)
            }
            (Err(error), _) if !matches!(error, ServiceError::BadImport(_)) => Err(error),
            (_, Err(MediaStoreError::TooLarge(_) | MediaStoreError::Gone)) => Ok(None),
            // The file is truncated or empty.
            (_, Err(MediaStoreError::Incomplete(_))) => Ok(None),
            (Err(error), Ok(_)) => Err(error),
            (_, Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot store a file of an import");
                Err(StoreError::RolledBack.into())
            }
        }
    }
}

/// Attaches a file of the archive, if it matches the file that the document describes.
fn give_of_archive(message: &mut Message, file: StoredMedia, name: &str) -> ArchiveFile {
    match &message.media {
        Some(media) if media.file.hash != file.hash => return ArchiveFile::Refused,
        Some(_) => give(message, file),
        None => {
            let (kind_by_name, filename) = detect_by_name(name);
            let by_content = || MediaKind::of_mimetype(&file.mimetype);
            let kind = kind_by_name.map_or_else(by_content, |kind| kind.of_requested(&file.mimetype));
            let named = filename.filter(|_| kind == MediaKind::Document);
            let filename = named.as_deref().and_then(safe_filename);
            let content = Content::Media(Attachment { kind, file, filename });
            *message = message.clone().with_content(content);
        }
    }
    ArchiveFile::Given
}

/// Attaches the file that a message describes. The type comes from the content, not from the export.
fn give(message: &mut Message, file: StoredMedia) {
    let Some(media) = &mut message.media else { return };
    media.kind = media.kind.of_requested(&file.mimetype);
    media.filename = media.filename.as_deref().and_then(safe_filename);
    media.file = file;
    media.available = true;
    message.kind = media.kind.message_type();
}

/// Attaches a file that the device already has, so that the archive need not contain it.
fn by_hash(tx: &Tx<'_>, device: &DeviceId, message: &mut Message) -> Result<(), StoreError> {
    if message.kind == MessageType::Revoked {
        return Ok(());
    }
    if let Some(media) = &message.media
        && !media.available
        && let Some(file) = tx.file_of_device(device, &media.file.hash)?
    {
        give(message, file);
    }
    Ok(())
}

fn pass_on(
    file: &mut dyn std::io::Read,
    pieces: &mpsc::Sender<std::io::Result<Bytes>>,
) -> Result<(), ServiceError> {
    loop {
        let mut piece = vec![0; CHUNK];
        let read = file.read(&mut piece);
        let piece = read.map(|read| {
            piece.truncate(read);
            Bytes::from(piece)
        });
        match piece {
            Ok(piece) if piece.is_empty() => return Ok(()),
            Ok(piece) => {
                if pieces.blocking_send(Ok(piece)).is_err() {
                    return Ok(());
                }
            }
            Err(error) => {
                let refusal = refused(format!("a file in the archive cannot be read: {error}"));
                let _ = pieces.blocking_send(Err(error));
                return Err(refusal);
            }
        }
    }
}
