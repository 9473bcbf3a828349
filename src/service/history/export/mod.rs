//! Streams a chat as a file; the next page is read once the client has received the one before.
//!
//! Pages continue after a position, so that a message that arrives during the export appears at most once. An
//! export that fails ends with an error, so that clients never take it for complete.

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt as _;

use crate::domain::ack::Ack;
use crate::domain::chat::Chat;
use crate::domain::clock::Millis;
use crate::domain::device::Account;
use crate::domain::export::document::{self, ExportedMessage};
use crate::domain::export::file_names::{name_in_export, safe_name};
use crate::domain::export::text::{Line, Writer, author_label};
use crate::domain::export::time_zone::Zone;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::domain::media::{Media, MediaHash};
use crate::engine::{ByteStream, MediaStore, MediaStoreError};
use crate::service::media::port::MediaPort;
use crate::service::{History, ServiceError};
use crate::store::Reader;
use crate::store::history_export::BEGINNING;
use crate::store::messages::PagePosition;

mod archive;
mod pipe;
mod render;

use archive::Zipped;
use pipe::{Pipe, PipeClosed};

/// Messages per page.
const PAGE: usize = 50;
/// Author of our own messages when the account has no name.
const OURSELVES: &str = "You";

/// File format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// The JSON document with all stored message data.
    #[default]
    Json,
    /// The text format of WhatsApp on phones.
    Text,
}

/// Options of an export.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// The file format.
    pub format: ExportFormat,
    /// Whether to export an archive with the chat's files.
    pub media: bool,
    /// Time zone for the text format.
    pub zone: Zone,
}

/// A file that is generated while the client reads it.
pub struct ExportedFile {
    /// Suggested file name.
    pub filename: String,
    /// Its media type.
    pub content_type: &'static str,
    /// The bytes, as a stream.
    pub bytes: ByteStream,
}

impl History {
    /// Exports a chat.
    ///
    /// # Errors
    /// When there is no such device or chat, or the store fails.
    pub async fn export_chat(
        &self,
        device: &DeviceId,
        chat: &Jid,
        request: ExportRequest,
    ) -> Result<ExportedFile, ServiceError> {
        let (id, of) = (device.clone(), self.messaging.canonical_chat(device, chat).await?);
        let (chat, account) = self
            .store
            .read_of::<_, ServiceError, _>(device, move |store| {
                let device = store.device(&id)?.ok_or(ServiceError::DeviceNotFound)?;
                Ok((store.chat(&id, &of)?.ok_or(ServiceError::ChatNotFound)?, device.account))
            })
            .await?;
        let (extension, content_type) = match (request.media, request.format) {
            (true, _) => ("zip", "application/zip"),
            (false, ExportFormat::Json) => ("json", "application/json"),
            (false, ExportFormat::Text) => ("txt", "text/plain; charset=utf-8"),
        };
        let filename = format!("{}.{extension}", safe_name(&format!("WhatsApp Chat with {}", chat.name)));
        let chat = chat.as_of(self.clock.now());
        let (pipe, bytes) = pipe::pipe(self.tasks.soft().clone());
        let pages =
            Pages { history: self.clone(), device: device.clone(), chat: chat.id.clone(), after: BEGINNING };
        let export = Export {
            labels: Labels::of(account.as_ref()),
            writer: Writer::new(request.zone.clone()),
            exported_at: self.clock.now(),
            pages,
            chat,
            request,
        };
        let id = device.clone();
        self.tasks.spawn("export", async move {
            match Box::pin(export.run(pipe.clone())).await {
                Ok(()) => pipe.end().await,
                Err(Broken::Client) => {}
                Err(Broken::Bytes) => pipe.fail().await,
                Err(Broken::Store(error)) => {
                    tracing::warn!(device = %id, error = &error as &dyn std::error::Error, "export aborted");
                    pipe.fail().await;
                }
            }
        });
        Ok(ExportedFile { filename, content_type, bytes })
    }

    /// The store of media files.
    pub(in crate::service) fn media_store(&self) -> std::sync::Arc<dyn MediaStore> {
        std::sync::Arc::new(MediaPort::new(&self.media))
    }
}

/// Reasons why an export ends early.
enum Broken {
    /// The client disconnected.
    Client,
    /// Messages could not be read.
    Store(ServiceError),
    /// A file could not be read or archived; the cause was logged.
    Bytes,
}

impl From<PipeClosed> for Broken {
    fn from(_: PipeClosed) -> Self {
        Self::Client
    }
}

impl From<ServiceError> for Broken {
    fn from(error: ServiceError) -> Self {
        Self::Store(error)
    }
}

/// Reads a chat's messages page by page.
struct Pages {
    history: History,
    device: DeviceId,
    chat: Jid,
    after: PagePosition,
}

impl Pages {
    /// The next page and the result of `also`, read from one snapshot. The page is empty at the end.
    async fn next<T: Send + 'static>(
        &mut self,
        also: impl FnOnce(&Reader<'_>, &[(PagePosition, ExportedMessage)]) -> Result<T, ServiceError>
        + Send
        + 'static,
    ) -> Result<(Vec<ExportedMessage>, T), ServiceError> {
        let (device, chat, after) = (self.device.clone(), self.chat.clone(), self.after);
        let (page, also) = self
            .history
            .store
            .read_of::<_, ServiceError, _>(&self.device, move |store| {
                let page = store.export_page(&device, &chat, after, PAGE)?;
                let also = also(store, &page)?;
                Ok((page, also))
            })
            .await?;
        if let Some((position, _)) = page.last() {
            self.after = *position;
        }
        Ok((page.into_iter().map(|(_, message)| message).collect(), also))
    }
}

/// Destination of an export.
enum Out {
    Plain(Pipe),
    Zipped(Box<Zipped>),
}

impl Out {
    async fn write(&mut self, text: String) -> Result<(), Broken> {
        match self {
            Self::Plain(pipe) => Ok(pipe.send(text.into()).await?),
            Self::Zipped(zip) => zip.write(text.as_bytes()).await,
        }
    }
}

struct Export {
    pages: Pages,
    chat: Chat,
    labels: Labels,
    writer: Writer,
    request: ExportRequest,
    exported_at: Millis,
}

impl Export {
    async fn run(mut self, pipe: Pipe) -> Result<(), Broken> {
        if !self.request.media {
            return self.write_chat(&mut Out::Plain(pipe)).await;
        }
        let local = self.request.zone.local(self.exported_at);
        let mut zip = Zipped::new(pipe, local);
        let name = match self.request.format {
            ExportFormat::Json => "chat.json",
            ExportFormat::Text => "chat.txt",
        };
        zip.begin(name)?;
        let mut out = Out::Zipped(Box::new(zip));
        self.write_chat(&mut out).await?;
        self.pages.after = BEGINNING;
        match out {
            Out::Plain(_) => Ok(()),
            Out::Zipped(mut zip) => {
                self.write_files(&mut zip).await?;
                zip.end().await
            }
        }
    }

    async fn write_chat(&mut self, out: &mut Out) -> Result<(), Broken> {
        let is_json = self.request.format == ExportFormat::Json;
        if is_json {
            out.write(document::head(&self.chat, self.exported_at).map_err(render::unwritable)?).await?;
        }
        let mut first = true;
        loop {
            let labels = std::mem::take(&mut self.labels);
            let device = self.pages.device.clone();
            let (page, labels) =
                self.pages.next(move |store, page| labels.with_authors(store, &device, page)).await?;
            self.labels = labels;
            if page.is_empty() {
                break;
            }
            let mut text = String::new();
            for mut message in page {
                self.prepare(&mut message);
                if is_json {
                    text.push_str(if first { "" } else { document::BETWEEN });
                    text.push_str(&serde_json::to_string(&message).map_err(render::unwritable)?);
                } else if message.message.ack != Ack::Error {
                    // Phones list sent messages only, so failed ones are left out.
                    let rendered = render::rendered(&message);
                    let author = self.labels.of_message(&message);
                    let (extra, body) = (rendered.extra, &*rendered.body);
                    let m = &message.message;
                    let line = Line { at: m.timestamp, author, extra, body, edited: m.is_edited };
                    self.writer.write(&line, &mut text);
                }
                first = false;
            }
            out.write(text).await?;
        }
        if is_json {
            out.write(document::TAIL.to_owned()).await?;
        }
        Ok(())
    }

    /// Sets the file's name in the archive and removes links that only this daemon can serve.
    fn prepare(&self, message: &mut ExportedMessage) {
        if let Some(media) = &mut message.message.media {
            media.links = None;
            message.file = (self.request.media && media.available).then(|| name_in_export(media));
        }
        let quoted = message.message.quoted_message.as_mut();
        if let Some(media) = quoted.and_then(|quoted| quoted.media.as_mut()) {
            media.links = None;
        }
    }

    async fn write_files(&mut self, zip: &mut Zipped) -> Result<(), Broken> {
        let store = self.pages.history.media_store();
        let mut written = HashSet::new();
        loop {
            let (page, ()) = self.pages.next(|_, _| Ok(())).await?;
            if page.is_empty() {
                return Ok(());
            }
            let files = page.into_iter().filter_map(|m| m.message.media).filter(|media| media.available);
            for media in files {
                let name = name_in_export(&media);
                if written.insert(name.clone()) {
                    write_file(zip, &*store, &name, &media).await?;
                }
            }
        }
    }
}

async fn write_file(
    zip: &mut Zipped,
    store: &dyn MediaStore,
    name: &str,
    media: &Media,
) -> Result<(), Broken> {
    let Some(mut bytes) = opened(store, &media.file.hash).await? else { return Ok(()) };
    zip.begin(name)?;
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.map_err(|error| {
            tracing::warn!(%error, "cannot export a file");
            Broken::Bytes
        })?;
        zip.write(&chunk).await?;
    }
    Ok(())
}

/// Returns `None` for a file that was removed in the meantime.
async fn opened(store: &dyn MediaStore, hash: &MediaHash) -> Result<Option<ByteStream>, Broken> {
    match store.open(hash).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(MediaStoreError::Gone) => Ok(None),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot export a file");
            Err(Broken::Bytes)
        }
    }
}

/// Author names of a text export; each name is unique.
#[derive(Default)]
struct Labels {
    ourselves: String,
    by_id: HashMap<Jid, String>,
    taken: HashSet<String>,
}

impl Labels {
    fn of(account: Option<&Account>) -> Self {
        let name = account.map_or("", |account| account.client_name.as_str());
        let ourselves = if name.trim().is_empty() { OURSELVES.to_owned() } else { author_label(name) };
        Self { taken: HashSet::from([ourselves.clone()]), ourselves, by_id: HashMap::new() }
    }

    /// Adds the names of a page's authors.
    fn with_authors(
        mut self,
        store: &Reader<'_>,
        device: &DeviceId,
        page: &[(PagePosition, ExportedMessage)],
    ) -> Result<Self, ServiceError> {
        for (_, exported) in page {
            let message = &exported.message;
            let id = author_of(exported);
            if message.from_me || self.by_id.contains_key(id) {
                continue;
            }
            let stored = store.contact(device, id)?.map(|contact| contact.name);
            let name = stored.unwrap_or_else(|| message.notify_name.clone());
            let mut label = author_label(&name);
            if !self.taken.insert(label.clone()) {
                label = format!("{label} ({})", id.as_name());
                self.taken.insert(label.clone());
            }
            self.by_id.insert(id.clone(), label);
        }
        Ok(self)
    }

    fn of_message(&self, exported: &ExportedMessage) -> &str {
        if exported.message.from_me {
            return &self.ourselves;
        }
        self.by_id.get(author_of(exported)).unwrap_or(&self.ourselves)
    }
}

fn author_of(exported: &ExportedMessage) -> &Jid {
    exported.message.author.as_ref().unwrap_or(&exported.message.from)
}
