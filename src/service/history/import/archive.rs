//! Reads untrusted archives. Limits the number of files and their unpacked size, and ignores folders in file
//! names.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zip::ZipReadOptions;
use zip::read::{Config, OwnedZipFileEntry};
use zip::unstable::read::ZipIterable;

use super::temp_file::{TempUpload, TempUploadReader};
use super::{ImportLimits, ServiceError, refused};

/// Maximum files in an archive.
const MAX_FILES: usize = 50_000;
/// Maximum bytes of an archive's central directory.
const MAX_LIST: u64 = 32 << 20;
/// Maximum length of a file name; files with longer names are ignored.
const MAX_NAME: usize = 512;
/// Maximum unpacked bytes per packed byte. Chats reach 10, long repetitions 100.
const MAX_RATIO: u64 = 200;
/// Files up to this size are not checked against the ratio.
const SMALL: u64 = 4 << 20;

/// A file that can be read several times: the whole export, or one file of an archive.
#[derive(Clone)]
pub(super) struct Source {
    file: TempUpload,
    entry: Option<(Arc<OwnedZipFileEntry>, u64)>,
}

impl Source {
    pub(super) fn plain(file: &TempUpload) -> Self {
        Self { file: file.clone(), entry: None }
    }

    /// Reads the file from the beginning.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&mut dyn Read) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        match &self.entry {
            None => read(&mut self.file.reader()),
            Some((entry, most)) => read_entry(&self.file, entry, &AtomicU64::new(*most), read),
        }
    }
}

/// The files of an archive by their names without folders.
pub(super) struct Archive {
    file: TempUpload,
    entries: HashMap<String, Arc<OwnedZipFileEntry>>,
    max_unpacked: u64,
    /// Bytes that may still be unpacked.
    remaining: AtomicU64,
}

impl Archive {
    /// Reads the list of files. Refuses declared sizes beyond the limits before anything is unpacked.
    pub(super) fn open(file: &TempUpload, limits: &ImportLimits) -> Result<Self, ServiceError> {
        let reader = file.reader().at_most(MAX_LIST);
        let mut list = ZipIterable::try_new(reader, Config::default()).map_err(|error| unreadable(&error))?;
        if list.len() > MAX_FILES {
            return Err(refused(format!("the archive has more than {MAX_FILES} files")));
        }
        let max_unpacked = limits.max_unpacked_bytes;
        let mut entries = HashMap::new();
        let mut total = 0_u64;
        for entry in list.files().map_err(|error| unreadable(&error))? {
            let entry = entry.map_err(|error| unreadable(&error))?;
            let name = entry.name().map_err(|error| unreadable(&error))?;
            if entry.is_dir() || name.len() > MAX_NAME {
                continue;
            }
            total = total.saturating_add(entry.size());
            check_size(total, max_unpacked)?;
            check_ratio(entry.size(), entry.compressed_size())?;
            entries.entry(base_name(&name).to_owned()).or_insert_with(|| Arc::new(entry.into()));
        }
        Ok(Self { file: file.clone(), entries, max_unpacked, remaining: AtomicU64::new(max_unpacked) })
    }

    /// The archive's chat and the name of its file.
    pub(super) fn chat(&self) -> Result<(String, Source), ServiceError> {
        let is_chat = |name: &str| {
            let name = name.to_ascii_lowercase();
            matches!(name.as_str(), "chat.json" | "chat.txt" | "_chat.txt")
                || (name.starts_with("whatsapp chat ") && (name.ends_with(".txt") || name.ends_with(".json")))
        };
        let mut found: Vec<_> = self.entries.iter().filter(|(name, _)| is_chat(name)).collect();
        if found.is_empty() {
            found =
                self.entries.iter().filter(|(name, _)| name.to_ascii_lowercase().ends_with(".txt")).collect();
        }
        match found.as_slice() {
            [(name, entry)] => {
                let source =
                    Source { file: self.file.clone(), entry: Some(((*entry).clone(), self.max_unpacked)) };
                Ok(((*name).clone(), source))
            }
            [] => Err(refused(
                "the archive has no chat: no chat.json, chat.txt, _chat.txt or WhatsApp Chat with ….txt",
            )),
            _ => Err(refused("the archive has several chats: send each in an archive of its own")),
        }
    }

    /// Whether the archive has this file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Reads a file of the archive.
    pub(super) fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&mut dyn Read) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let entry = self.entries.get(name).ok_or_else(|| refused("the archive has no such file"))?;
        read_entry(&self.file, entry, &self.remaining, read)
    }
}

/// The part after the last slash or backslash.
fn base_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

fn read_entry<T>(
    file: &TempUpload,
    entry: &OwnedZipFileEntry,
    remaining: &AtomicU64,
    read: impl FnOnce(&mut dyn Read) -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    let mut reader: BufReader<TempUploadReader> = BufReader::new(file.reader());
    let file = entry
        .as_ref()
        .with_reader(&mut reader, ZipReadOptions::default())
        .map_err(|error| unreadable(&error))?;
    read(&mut Unpacked { compressed: entry.compressed_size(), file, read: 0, remaining })
}

/// Enforces the limits on unpacked bytes, independently of the declared sizes.
struct Unpacked<'a, R> {
    file: R,
    compressed: u64,
    read: u64,
    remaining: &'a AtomicU64,
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        self.read += read as u64;
        let trap = |error: ServiceError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        check_ratio(self.read, self.compressed).map_err(trap)?;
        let taken = self
            .remaining
            .try_update(Ordering::SeqCst, Ordering::SeqCst, |remaining| remaining.checked_sub(read as u64));
        taken.map_err(|_| trap(too_much()))?;
        Ok(read)
    }
}

fn check_size(size: u64, most: u64) -> Result<(), ServiceError> {
    if size > most { Err(too_much()) } else { Ok(()) }
}

fn too_much() -> ServiceError {
    refused("the unpacked archive must not exceed import.max_unpacked_bytes")
}

fn check_ratio(size: u64, compressed: u64) -> Result<(), ServiceError> {
    if size > SMALL && size > compressed.saturating_mul(MAX_RATIO) {
        return Err(refused(format!(
            "a file in the archive must not be more than {MAX_RATIO} times larger when unpacked"
        )));
    }
    Ok(())
}

fn unreadable(error: &zip::result::ZipError) -> ServiceError {
    refused(format!("the archive cannot be read: {error}"))
}
