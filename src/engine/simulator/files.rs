//! Files of messages that wait for a device, kept beside the journal until they are acknowledged.
//!
//! A file is on disk before the line that names it; one that no line names is removed at the next start.
//! Together they take a bounded room.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::io::AsyncReadExt as _;

use super::fake_media;
use super::letter::{Bytes, Kept, NetworkMessage};
use crate::domain::clock::Random;
use crate::engine::ByteStream;

/// What all of them together may take.
const MAX_BYTES: u64 = 256 << 20;
/// Read at a time.
const PIECE: usize = 64 << 10;

/// Where they are.
pub(super) struct Files {
    dir: PathBuf,
    used: AtomicU64,
}

/// Why a file is not kept.
#[derive(Debug)]
pub(super) enum KeepError {
    /// As much is kept as may.
    Full,
    /// The file system refused.
    Io(io::Error),
}

impl Files {
    /// Those beside the journal in `dir`. Blocks.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let dir = dir.join("files");
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, used: AtomicU64::new(0) })
    }

    /// Removes what nobody waits for. Blocks.
    pub(super) fn sweep(&self, wanted: &HashSet<Kept>) -> io::Result<()> {
        let paths: HashSet<PathBuf> = wanted.iter().map(|kept| self.path(*kept)).collect();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if !paths.contains(&path)
                && let Err(error) = fs::remove_file(path)
            {
                tracing::warn!(%error, "a file that nobody waits for was not removed");
            }
        }
        self.used.store(wanted.iter().map(|kept| kept.size).sum(), Ordering::Relaxed);
        Ok(())
    }

    /// Keeps a file, on disk when this returns.
    pub(super) async fn keep(&self, bytes: Vec<u8>, random: &dyn Random) -> Result<Kept, KeepError> {
        let size = bytes.len() as u64;
        let room = |used: u64| used.checked_add(size).filter(|sum| *sum <= MAX_BYTES);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_err() {
            return Err(KeepError::Full);
        }
        let kept = Kept { file: fake_media::seed(random), size };
        let path = self.path(kept);
        let dir = self.dir.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut file = File::create_new(&path)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            File::open(dir)?.sync_all()
        });
        match written.await.map_err(io::Error::other).flatten() {
            Ok(()) => Ok(kept),
            Err(error) => {
                self.used.fetch_sub(size, Ordering::Relaxed);
                Err(KeepError::Io(error))
            }
        }
    }

    /// A message's file is needed no more, if it has one. Blocks for a moment.
    pub(super) fn drop_of(&self, letter: &NetworkMessage) {
        let Some(kept) = letter.kept() else { return };
        match fs::remove_file(self.path(kept)) {
            Ok(()) => {
                self.used.fetch_sub(kept.size, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, "a simulated message's file was not removed"),
        }
    }

    /// A file's bytes, as often as they are asked for.
    pub(super) async fn read(&self, bytes: &Bytes) -> io::Result<ByteStream> {
        match bytes {
            Bytes::MadeUp { mimetype, seed, size } => Ok(fake_media::stream(mimetype, *seed, *size)),
            Bytes::Kept(kept) => {
                let file = tokio::fs::File::open(self.path(*kept)).await?;
                Ok(stream::try_unfold(file, next_piece).boxed())
            }
        }
    }

    fn path(&self, kept: Kept) -> PathBuf {
        self.dir.join(format!("{:016x}", kept.file))
    }
}

async fn next_piece(mut file: tokio::fs::File) -> io::Result<Option<(bytes::Bytes, tokio::fs::File)>> {
    let mut piece = bytes::BytesMut::with_capacity(PIECE);
    let read = file.read_buf(&mut piece).await?;
    Ok((read > 0).then(|| (piece.freeze(), file)))
}
