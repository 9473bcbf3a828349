//! The ledger: an append-only file of all that the simulated network received from the daemon.
//!
//! It is outside the daemon's transactions, so that tests can compare it with the database after a
//! kill. `ledger.jsonl` grows to its limit and replaces `ledger.1.jsonl`; the oldest entries are lost
//! with that file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::domain::ids::DeviceId;

/// The file that grows, and the one that it replaces when it is full.
pub(super) const CURRENT: &str = "ledger.jsonl";
pub(super) const PREVIOUS: &str = "ledger.1.jsonl";
/// Commands that may wait for the writer thread; further callers wait.
const QUEUE: usize = 1_024;
/// Lines that share an fsync.
const BATCH: usize = 256;

/// The ledger could not be written or read.
#[derive(Debug, Clone, Error)]
#[error("the simulator's ledger could not be written or read")]
pub(super) struct LedgerError(#[source] Arc<io::Error>);

impl From<io::Error> for LedgerError {
    fn from(error: io::Error) -> Self {
        Self(Arc::new(error))
    }
}

/// One line. The device and the kind are at its beginning, so that a reader skips other lines unparsed.
#[derive(Serialize)]
struct Line<'a, T> {
    device: &'a DeviceId,
    #[serde(flatten)]
    entry: &'a T,
}

enum Command {
    Append { line: Vec<u8>, synced: oneshot::Sender<Result<(), LedgerError>> },
    Snapshot(oneshot::Sender<io::Result<Vec<Snapshot>>>),
}

/// A file with the length that it had when the snapshot was taken.
struct Snapshot {
    file: File,
    len: u64,
}

/// The handle to the writer thread, which ends with the last handle.
pub(super) struct Ledger {
    commands: mpsc::Sender<Command>,
}

/// An appended line that is not yet synced.
#[must_use]
pub(super) struct AppendedLine(oneshot::Receiver<Result<(), LedgerError>>);

impl AppendedLine {
    /// Waits until the line is on disk.
    pub(super) async fn synced(self) -> Result<(), LedgerError> {
        self.0.await.unwrap_or_else(|_| Err(closed()))
    }
}

impl Ledger {
    /// Opens the files in `dir` and starts the writer thread.
    pub(super) fn open(dir: &Path, max_bytes: u64) -> io::Result<Self> {
        let file = open_current(dir)?;
        let len = file.metadata()?.len();
        let (commands, receiver) = mpsc::channel(QUEUE);
        let writer = Writer { dir: dir.to_owned(), file, len, max_bytes, is_torn: len > 0 };
        std::thread::Builder::new()
            .name("simulator-ledger".to_owned())
            .spawn(move || writer.run(receiver))?;
        Ok(Self { commands })
    }

    /// Appends an entry; entries are written in the order of these calls.
    pub(super) async fn append(
        &self,
        device: &DeviceId,
        entry: &impl Serialize,
    ) -> Result<AppendedLine, LedgerError> {
        let mut line = serde_json::to_vec(&Line { device, entry }).map_err(io::Error::from)?;
        line.push(b'\n');
        self.enqueue(line).await
    }

    /// Appends an entry and waits until it is on disk.
    pub(super) async fn record(&self, device: &DeviceId, entry: &impl Serialize) -> Result<(), LedgerError> {
        self.append(device, entry).await?.synced().await
    }

    /// Waits until all entries before are on disk.
    pub(super) async fn flush(&self) -> Result<(), LedgerError> {
        self.enqueue(Vec::new()).await?.synced().await
    }

    async fn enqueue(&self, line: Vec<u8>) -> Result<AppendedLine, LedgerError> {
        let (synced, receiver) = oneshot::channel();
        self.commands.send(Command::Append { line, synced }).await.map_err(|_| closed())?;
        Ok(AppendedLine(receiver))
    }

    /// Folds the device's entries, oldest first; `fold` is called with the kind and the whole line of each.
    pub(super) async fn fold<T, F>(&self, device: &DeviceId, mut fold: F) -> Result<T, LedgerError>
    where
        T: Default + Send + 'static,
        F: FnMut(&mut T, &str, &[u8]) + Send + 'static,
    {
        let (reply, snapshots) = oneshot::channel();
        self.commands.send(Command::Snapshot(reply)).await.map_err(|_| closed())?;
        let snapshots = snapshots.await.map_err(|_| closed())??;
        let device = device.clone();
        let folded = tokio::task::spawn_blocking(move || {
            let mut result = T::default();
            for Snapshot { file, len } in snapshots {
                each_line(file.take(len), |line| match label(line) {
                    Some((id, kind)) if id == device.as_str() => fold(&mut result, kind, line),
                    _ => {}
                })?;
            }
            io::Result::Ok(result)
        });
        Ok(folded.await.map_err(io::Error::other)??)
    }
}

fn closed() -> LedgerError {
    io::Error::from(io::ErrorKind::BrokenPipe).into()
}

fn open_current(dir: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(dir.join(CURRENT))
}

/// Calls `take` with each line that ends in a newline. Blocks.
pub(super) fn each_line(file: impl io::Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(128 << 10, file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.ends_with(b"\n") {
            take(&line);
        }
        line.clear();
    }
    Ok(())
}

/// The device and the kind of a line, which are not parsed as JSON; `None` for a line that a crash tore.
pub(super) fn label(line: &[u8]) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(br#"{"device":""#)?;
    let (device, rest) = split_at_quote(rest)?;
    let (kind, _) = split_at_quote(rest.strip_prefix(br#","kind":""#)?)?;
    Some((std::str::from_utf8(device).ok()?, std::str::from_utf8(kind).ok()?))
}

fn split_at_quote(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'"')?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// The thread's side.
struct Writer {
    dir: PathBuf,
    file: File,
    len: u64,
    max_bytes: u64,
    /// Whether the file may end in a part of a line, after a crash or a full disk.
    is_torn: bool,
}

impl Writer {
    fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut batch = Vec::with_capacity(BATCH);
        while commands.blocking_recv_many(&mut batch, BATCH) > 0 {
            self.write_batch(&mut batch);
        }
    }

    fn write_batch(&mut self, batch: &mut Vec<Command>) {
        let mut waiting = Vec::with_capacity(batch.len());
        for command in batch.drain(..) {
            match command {
                Command::Append { line, synced } => waiting.push((self.write(&line), synced)),
                Command::Snapshot(reply) => {
                    let _ = reply.send(self.snapshots());
                }
            }
        }
        if waiting.is_empty() {
            return;
        }
        let on_disk = self.file.sync_data().map_err(LedgerError::from);
        for (written, synced) in waiting {
            let result = written.map_err(LedgerError::from).and(on_disk.clone());
            if let Err(LedgerError(error)) = &result {
                tracing::error!(%error, "the simulator's ledger failed");
            }
            let _ = synced.send(result);
        }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.len > 0 && self.len + line.len() as u64 > self.max_bytes {
            self.rotate()?;
        }
        if std::mem::replace(&mut self.is_torn, true) {
            self.file.write_all(b"\n")?;
        }
        self.file.write_all(line)?;
        self.len += line.len() as u64;
        self.is_torn = false;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        fs::rename(self.dir.join(CURRENT), self.dir.join(PREVIOUS))?;
        self.file = open_current(&self.dir)?;
        (self.len, self.is_torn) = (0, false);
        File::open(&self.dir)?.sync_all()
    }

    /// Both files as they are now, the older first.
    fn snapshots(&self) -> io::Result<Vec<Snapshot>> {
        let mut snapshots = Vec::with_capacity(2);
        for name in [PREVIOUS, CURRENT] {
            match File::open(self.dir.join(name)) {
                Ok(file) => {
                    let len = file.metadata()?.len();
                    snapshots.push(Snapshot { file, len });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(snapshots)
    }
}
