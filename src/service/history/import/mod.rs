//! Imports an exported chat as history: without events and unread counts, and each message at most once.
//!
//! The export is first written to an unnamed file, then read once for validation, and only then stored in
//! batches. An invalid export thus stores nothing. A later failure (a full disk, a shutdown) leaves whole
//! batches and reports their number of messages; repeating the import adds the rest. Exports and their files
//! are streamed, never held whole in memory. File names in archives are never used as paths.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::Serialize;
use thiserror::Error;

use crate::domain::export::text::DateOrder;
use crate::domain::export::time_zone::Zone;
use crate::domain::ids::DeviceId;
use crate::domain::jid::Jid;
use crate::engine::ByteStream;
use crate::service::limits::ImportLimits;
use crate::service::{History, ServiceError};

mod archive;
mod author_map;
mod chat_text;
mod document;
mod temp_file;
mod writer;

use archive::{Archive, Source};
use writer::ImportWriter;

/// File format of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportFormat {
    /// Detected from the first bytes.
    #[default]
    Auto,
    /// The JSON document.
    Json,
    /// The text format of WhatsApp on phones.
    Text,
    /// An archive with one of the two and its files.
    Zip,
}

/// Options of an import.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The file format.
    pub format: ImportFormat,
    /// The chat of a text.
    pub chat: Option<Jid>,
    /// Our own name or number in a text.
    pub me: Option<String>,
    /// Time zone of a text.
    pub zone: Zone,
    /// Order of its dates; detected from the text when absent.
    pub date_order: Option<DateOrder>,
    /// Ids of authors in a text.
    pub authors: Vec<NamedAuthor>,
}

/// The id of an author in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedAuthor {
    /// The author's name in the text.
    pub name: String,
    /// The author's id.
    pub id: Jid,
}

/// A text is not of the form `name=number`.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("an author is given as name=number, such as Anna=+15550100001")]
pub struct NamedAuthorError;

impl std::str::FromStr for NamedAuthor {
    type Err = NamedAuthorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, id) = text.rsplit_once('=').ok_or(NamedAuthorError)?;
        let id: Jid = id.parse().map_err(|_| NamedAuthorError)?;
        if name.trim().is_empty() || id.is_group() {
            return Err(NamedAuthorError);
        }
        Ok(Self { name: name.trim().to_owned(), id })
    }
}

/// Result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// New messages.
    pub imported: u64,
    /// Messages that the device already has or has removed.
    pub skipped: u64,
    /// System lines, which are not imported.
    pub system_lines: u64,
    /// The chat.
    pub chat_id: Jid,
    /// Counts of the imported files.
    pub media: ImportedMedia,
    /// The ids that were used for the authors of a text.
    pub authors: Vec<ImportedAuthor>,
}

/// Counts of an import's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedMedia {
    /// Messages with their file attached.
    pub attached: u64,
    /// Messages whose file is not in the export.
    pub missing: u64,
    /// Messages whose file is too large or of the wrong type.
    pub refused: u64,
}

/// The id that was used for an author of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedAuthor {
    /// The author's name in the text.
    pub name: String,
    /// The author's id; a placeholder when `known` is false.
    pub id: Option<Jid>,
    /// Whether the author is our account.
    pub is_me: bool,
    /// Whether the id is real, not a placeholder.
    pub known: bool,
}

/// Number of running imports of each device that has one.
#[derive(Default)]
pub(in crate::service) struct Imports(Mutex<HashMap<DeviceId, usize>>);

/// A permit to run an import.
struct ImportPermit<'a> {
    imports: &'a Imports,
    device: DeviceId,
}

impl Imports {
    fn begin(&self, device: &DeviceId, limits: &ImportLimits) -> Result<ImportPermit<'_>, ServiceError> {
        let mut running = self.0.lock();
        let of_device = running.get(device).copied().unwrap_or(0);
        if of_device >= limits.max_running_per_device {
            return Err(ServiceError::TooManyImportsOfDevice(limits.max_running_per_device));
        }
        if running.values().sum::<usize>() >= limits.max_running {
            return Err(ServiceError::TooManyImports(limits.max_running));
        }
        running.insert(device.clone(), of_device + 1);
        Ok(ImportPermit { imports: self, device: device.clone() })
    }
}

impl Drop for ImportPermit<'_> {
    fn drop(&mut self) {
        let mut running = self.imports.0.lock();
        match running.get_mut(&self.device) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(running.remove(&self.device)),
        }
    }
}

impl History {
    /// Imports an exported chat into a device's history.
    ///
    /// # Errors
    /// When there is no such device, the export cannot be read or is too large, or the store fails.
    pub async fn import_chat(
        &self,
        device: &DeviceId,
        request: ImportRequest,
        bytes: ByteStream,
    ) -> Result<ImportReport, ServiceError> {
        let id = device.clone();
        let account = self
            .store
            .read::<_, ServiceError, _>(move |store| {
                Ok(store.device(&id)?.ok_or(ServiceError::DeviceNotFound)?.account)
            })
            .await?;
        let limits = self.limits.import.clone();
        let _permit = self.imports.begin(device, &limits)?;
        self.media.require_free_space().await?;
        let file = temp_file::store_upload(&limits, bytes).await?;
        let format = request.format;
        let (source, archive) = blocking(move || open(&file, format, &limits)).await?;
        let sink = ImportWriter::new(self, device, archive);
        let report = match source {
            Found::Document(source) => document::import(source, &request, sink).await,
            Found::Text(source) => chat_text::import(source, &request, account.as_ref(), sink).await,
        }?;
        self.messaging.chat_changed(device, &report.chat_id);
        tracing::info!(%device, imported = report.imported, skipped = report.skipped, "chat imported");
        Ok(report)
    }
}

/// Location of the chat in the upload.
enum Found {
    Document(Source),
    Text(Source),
}

fn open(
    file: &temp_file::TempUpload,
    format: ImportFormat,
    limits: &ImportLimits,
) -> Result<(Found, Option<Archive>), ServiceError> {
    let start = file.start()?;
    if start.is_empty() {
        return Err(refused("the request body is empty: send the export as the body"));
    }
    let detected = match () {
        () if start.starts_with(b"PK") => ImportFormat::Zip,
        () if first_letter(&start) == Some(b'{') => ImportFormat::Json,
        () => ImportFormat::Text,
    };
    let format = if format == ImportFormat::Auto { detected } else { format };
    match format {
        ImportFormat::Zip => {
            let archive = Archive::open(file, limits)?;
            let (name, source) = archive.chat()?;
            let is_json = name.to_ascii_lowercase().ends_with(".json");
            let found = if is_json { Found::Document(source) } else { Found::Text(source) };
            Ok((found, Some(archive)))
        }
        ImportFormat::Json => Ok((Found::Document(Source::plain(file)), None)),
        ImportFormat::Text | ImportFormat::Auto => Ok((Found::Text(Source::plain(file)), None)),
    }
}

fn first_letter(start: &[u8]) -> Option<u8> {
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
    start.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

fn refused(sentence: impl Into<String>) -> ServiceError {
    ServiceError::BadImport(sentence.into())
}

/// Runs file access off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(ServiceError::Store(crate::store::StoreError::Panicked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn author_mapping_names_author_and_id() {
        let anna: NamedAuthor = "Anna = x=+1 555 010-0001".parse().unwrap();
        assert_eq!((anna.name.as_str(), anna.id.to_string().as_str()), ("Anna = x", "15550100001@c.us"));
        for wrong in ["Anna", "=15550100001", "Anna=", "Anna=120363000000000001@g.us"] {
            assert_eq!(wrong.parse::<NamedAuthor>(), Err(NamedAuthorError), "{wrong}");
        }
    }

    #[test]
    fn concurrent_imports_are_limited() {
        let limits = ImportLimits {
            dir: "/".into(),
            max_bytes: 1,
            max_unpacked_bytes: 1,
            max_running: 3,
            max_running_per_device: 2,
            min_bytes_per_second: 1,
            grace: std::time::Duration::ZERO,
        };
        let (a, b): (DeviceId, DeviceId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let imports = Imports::default();
        let first = imports.begin(&a, &limits).unwrap_or_else(|error| panic!("{error}"));
        let second = imports.begin(&a, &limits).unwrap_or_else(|error| panic!("{error}"));
        assert!(matches!(imports.begin(&a, &limits), Err(ServiceError::TooManyImportsOfDevice(2))));
        let other = imports.begin(&b, &limits).unwrap_or_else(|error| panic!("{error}"));
        assert!(matches!(imports.begin(&b, &limits), Err(ServiceError::TooManyImports(3))));
        drop(first);
        assert!(imports.begin(&b, &limits).is_ok());
        drop((second, other));
        assert!(imports.0.lock().is_empty());
    }
}
