//! The storage backend on the local disk. A stored file survives a crash.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::backend::{Backend, BackendEntry, Key, hash_of};
use super::{ByteStream, MediaError, PIECE_BYTES, off_the_async_threads};
use crate::domain::clock::Millis;

/// A folder of files.
pub(super) struct LocalFiles {
    root: PathBuf,
}

impl LocalFiles {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, key: Key<'_>) -> PathBuf {
        self.root.join(key.path())
    }
}

#[async_trait]
impl Backend for LocalFiles {
    async fn put(&self, key: Key<'_>, staged: &Path) -> Result<(), MediaError> {
        let (from, to, root) = (staged.to_owned(), self.path(key), self.root.clone());
        off_the_async_threads(move || place(&from, &to, &root)).await
    }

    async fn read(&self, key: Key<'_>, range: Range<u64>) -> Result<ByteStream, MediaError> {
        let mut file = match tokio::fs::File::open(self.path(key)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(MediaError::Gone),
            opened => opened?,
        };
        if range.start > 0 {
            file.seek(io::SeekFrom::Start(range.start)).await?;
        }
        let part = file.take(range.end.saturating_sub(range.start));
        Ok(ReaderStream::with_capacity(part, PIECE_BYTES).boxed())
    }

    async fn remove(&self, key: Key<'_>) -> Result<(), MediaError> {
        match tokio::fs::remove_file(self.path(key)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn list(&self, shard: u8) -> Result<Vec<BackendEntry>, MediaError> {
        let folder = self.root.join(format!("{shard:02x}"));
        off_the_async_threads(move || entries(&folder)).await
    }
}

/// Makes a rename durable by syncing the folder.
fn place(from: &Path, to: &Path, root: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(root);
    if !folder.exists() {
        super::create_private(folder)?;
        for made in folder.ancestors().skip(1).take_while(|above| above.starts_with(root)) {
            sync_folder(made)?;
        }
    }
    std::fs::rename(from, to)?;
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

fn entries(folder: &Path) -> io::Result<Vec<BackendEntry>> {
    let mut found = Vec::new();
    for inner in read_dir(folder)? {
        for file in read_dir(&inner?.path())? {
            let file = file?;
            let Some(hash) = file.file_name().to_str().and_then(hash_of) else { continue };
            let since = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            found.push(BackendEntry {
                hash,
                at: Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            });
        }
    }
    Ok(found)
}

/// The entries of a folder; none if it does not exist.
fn read_dir(folder: &Path) -> io::Result<Box<dyn Iterator<Item = io::Result<std::fs::DirEntry>>>> {
    match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Box::new(std::iter::empty()))
        }
        entries => Ok(Box::new(entries?)),
    }
}
