//! Taking an exported chat into a device's history: told to nobody, nothing unread, each message once.
//!
//! The export is written to a file without a name first, read through once without storing anything, and only
//! then stored, a batch at a time. So what cannot be read stores nothing; what ends an import later (a full
//! disk, a shutdown) leaves whole batches, says how many messages they are, and the same import again adds the
//! rest. Nothing is ever held whole: not the export, not a file in it. Names in archives are only names.

use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Imports that may run at once.
const AT_ONCE: usize = 4;

/// What an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImportFormat {
    /// What it begins with tells.
    #[default]
    Auto,
    /// The JSON document.
    Json,
    /// The text format of phones.
    Text,
    /// An archive with one of the two in it, and files.
    Zip,
}

/// How an export is taken in.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// What it is.
    pub format: ImportFormat,
    /// Whose chat a text is.
    pub chat: Option<Jid>,
    /// Our own name in a text, or our number.
    pub me: Option<String>,
    /// In whose local time a text is.
    pub zone: Zone,
    /// The order of its dates; by the text itself, when absent.
    pub date_order: Option<DateOrder>,
    /// Who authors of a text are.
    pub authors: Vec<NamedAuthor>,
}

/// Who an author of a text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedAuthor {
    /// What the text calls them.
    pub name: String,
    /// Who they are.
    pub id: Jid,
}

/// Why a text names no author.
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

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportReport {
    /// Messages that are new.
    pub imported: u64,
    /// Messages that were there, or had been removed here.
    pub skipped: u64,
    /// Lines of the system, which are no messages.
    pub system_lines: u64,
    /// The chat.
    pub chat_id: Jid,
    /// Files.
    pub media: ImportedMedia,
    /// Who the authors of a text were taken for.
    pub authors: Vec<ImportedAuthor>,
}

/// What became of the files of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedMedia {
    /// Messages that have their file.
    pub attached: u64,
    /// Messages whose file the export does not have.
    pub missing: u64,
    /// Messages whose file is too large or not what it should be.
    pub refused: u64,
}

/// Who an author of a text was taken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedAuthor {
    /// What the text calls them.
    pub name: String,
    /// Who that is; nobody's real id when `known` is false.
    pub id: Option<Jid>,
    /// Whether that is our account.
    pub is_me: bool,
    /// Whether the id is theirs, or stands for it.
    pub known: bool,
}

/// How many imports run.
#[derive(Default)]
pub(in crate::service) struct Imports(AtomicUsize);

/// An import's place among those that may run.
struct ImportPermit<'a>(&'a AtomicUsize);

impl Imports {
    fn begin(&self) -> Result<ImportPermit<'_>, ServiceError> {
        let turn = ImportPermit(&self.0);
        // The turn is given back when it is dropped, refused or not.
        if self.0.fetch_add(1, Ordering::SeqCst) >= AT_ONCE {
            return Err(ServiceError::TooManyImports(AT_ONCE));
        }
        Ok(turn)
    }
}

impl Drop for ImportPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl History {
    /// Takes an exported chat into a device's history.
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
        let _turn = self.imports.begin()?;
        let limits = self.limits.import.clone();
        let file = temp_file::take_in(&limits, bytes).await?;
        let format = request.format;
        let (source, archive) = blocking(move || open(&file, format, &limits)).await?;
        let sink = ImportWriter::new(self, device, archive);
        let report = match source {
            Found::Document(source) => document::import(source, &request, sink).await,
            Found::Text(source) => chat_text::import(source, &request, account.as_ref(), sink).await,
        }?;
        self.messaging.chat_changed(device, &report.chat_id);
        tracing::info!(%device, imported = report.imported, skipped = report.skipped, "a chat was imported");
        Ok(report)
    }
}

/// Where the chat itself is.
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
    let looks = match () {
        () if start.starts_with(b"PK") => ImportFormat::Zip,
        () if first_letter(&start) == Some(b'{') => ImportFormat::Json,
        () => ImportFormat::Text,
    };
    let format = if format == ImportFormat::Auto { looks } else { format };
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

/// Runs what reads files off the async threads.
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
        let imports = Imports::default();
        let turns: Vec<_> = (0..AT_ONCE).map(|_| imports.begin().unwrap_or_else(|e| panic!("{e}"))).collect();
        assert!(matches!(imports.begin(), Err(ServiceError::TooManyImports(AT_ONCE))));
        drop(turns);
        assert!(imports.begin().is_ok());
    }
}
