//! The file in which the simulated network keeps what it saw: JSON lines, appended by a thread of its own.
//!
//! `network.jsonl` grows to its limit, becomes `network.1.jsonl` and starts anew; what stood in the older
//! `network.1.jsonl` is forgotten. Each holds at most the limit, or a single longer line. A message that
//! still waits when its line is forgotten is delivered by the running daemon, but not again after a restart.
//!
//! Invariants: a line is on disk in the order in which its slot was used; one `fsync` serves all that wait
//! for it; a line that could not be written whole is cut off again. The queue to the thread is bounded, and
//! who finds it full waits.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::entries::Entry;
use crate::domain::ids::DeviceId;

/// Lines that may wait for the thread.
const QUEUE: usize = 1_024;
/// Lines that share a write and an fsync.
const BATCH: usize = 256;

/// The journal did not take a line.
#[derive(Debug, Clone, Error)]
pub(super) enum JournalError {
    /// The file system refused.
    #[error("the simulated network's journal could not be written or read")]
    Io(#[source] Arc<io::Error>),
    /// The thread is gone.
    #[error("the simulated network's journal is closed")]
    Closed,
}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

#[derive(Serialize)]
struct Line<'a> {
    // First in the line: a reader tells whose it is without parsing it.
    device: &'a DeviceId,
    #[serde(flatten)]
    entry: Entry<'a>,
}

/// What is told once a line is where it should be; runs on the thread and must be quick.
pub(super) type Done = Box<dyn FnOnce(Result<(), JournalError>) + Send>;

/// When a line's [`Done`] is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// When the operating system has it: it survives the death of this process.
    Written,
    /// When the disk has it.
    Synced,
}

/// Both files as they are at one moment, oldest first, each with its length.
pub(super) struct Snapshot {
    pub(super) files: Vec<(File, u64)>,
}

enum Command {
    Append { line: Vec<u8>, durability: Durability, done: Option<Done> },
    Snapshot(oneshot::Sender<Result<Snapshot, JournalError>>),
}

/// The way to the thread.
#[derive(Clone)]
pub(super) struct Journal {
    commands: mpsc::Sender<Command>,
}

/// Room for one line. Using it cannot fail or wait, so a caller that is cancelled has either appended or not.
pub(super) struct Slot<'a>(mpsc::Permit<'a, Command>);

impl Journal {
    /// Opens the files in `dir`; the writer must then be [`Writer::run`] on a thread.
    pub(super) fn open(dir: &Path, max_bytes: u64) -> io::Result<(Self, Writer)> {
        fs::create_dir_all(dir)?;
        let current = dir.join("network.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&current)?;
        let (commands, receiver) = mpsc::channel(QUEUE);
        let len = file.metadata()?.len();
        let paths = Paths { dir: dir.to_owned(), current, previous: dir.join("network.1.jsonl") };
        let writer = Writer { paths, file, len, max_bytes, staged: Vec::new(), dirty: false, receiver };
        Ok((Self { commands }, writer))
    }

    /// Waits for room for one line.
    pub(super) async fn slot(&self) -> Result<Slot<'_>, JournalError> {
        self.commands.reserve().await.map(Slot).map_err(|_| JournalError::Closed)
    }

    /// Appends and waits until the line is as durable as asked.
    pub(super) async fn append(
        &self,
        device: &DeviceId,
        entry: Entry<'_>,
        durability: Durability,
    ) -> Result<(), JournalError> {
        let (sender, receiver) = oneshot::channel();
        let done: Done = Box::new(move |result| {
            let _ = sender.send(result);
        });
        self.slot().await?.append(device, entry, durability, Some(done))?;
        receiver.await.map_err(|_| JournalError::Closed)?
    }

    /// Everything that was appended before this call.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, JournalError> {
        let (sender, receiver) = oneshot::channel();
        self.slot().await?.0.send(Command::Snapshot(sender));
        receiver.await.map_err(|_| JournalError::Closed)?
    }

    /// Waits until everything before is on disk.
    pub(super) async fn flush(&self) -> Result<(), JournalError> {
        let (sender, receiver) = oneshot::channel();
        let done: Done = Box::new(move |result| {
            let _ = sender.send(result);
        });
        let line = Vec::new();
        let command = Command::Append { line, durability: Durability::Synced, done: Some(done) };
        self.slot().await?.0.send(command);
        receiver.await.map_err(|_| JournalError::Closed)?
    }
}

impl Slot<'_> {
    /// Appends a line; `done` is told how it went.
    pub(super) fn append(
        self,
        device: &DeviceId,
        entry: Entry<'_>,
        durability: Durability,
        done: Option<Done>,
    ) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(&Line { device, entry }).map_err(io::Error::from)?;
        line.push(b'\n');
        self.0.send(Command::Append { line, durability, done });
        Ok(())
    }
}

/// Where the files are.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) dir: PathBuf,
    pub(super) current: PathBuf,
    pub(super) previous: PathBuf,
}

/// The thread's side.
pub(super) struct Writer {
    pub(super) paths: Paths,
    file: File,
    /// The length of the file up to the last whole line.
    len: u64,
    max_bytes: u64,
    /// Lines of this batch that are not yet in the file.
    staged: Vec<u8>,
    /// Whether anything is written but not synced.
    dirty: bool,
    receiver: mpsc::Receiver<Command>,
}

impl Writer {
    /// Cuts off what stands after the last whole line: a write that a crash tore.
    pub(super) fn cut_to(&mut self, len: u64) -> io::Result<()> {
        if len < self.len {
            self.file.set_len(len)?;
            self.len = len;
        }
        Ok(())
    }

    /// Writes until nobody can append any more.
    pub(super) fn run(mut self) {
        let mut commands = Vec::with_capacity(BATCH);
        while self.receiver.blocking_recv_many(&mut commands, BATCH) > 0 {
            self.batch(&mut commands);
        }
        if let Err(error) = self.sync() {
            tracing::error!(%error, "could not sync the simulated network's journal");
        }
    }

    fn batch(&mut self, commands: &mut Vec<Command>) {
        let mut waiting: Vec<(Durability, Done)> = Vec::new();
        let mut result: Result<(), JournalError> = Ok(());
        for command in commands.drain(..) {
            match command {
                Command::Append { line, durability, done } => {
                    let staged = self.stage(&line);
                    result = result.and(staged.map_err(JournalError::from));
                    waiting.extend(done.map(|done| (durability, done)));
                }
                Command::Snapshot(reply) => {
                    let _ = reply.send(self.snapshot().map_err(JournalError::from));
                }
            }
        }
        result = result.and(self.write_out().map_err(JournalError::from));
        self.answer(waiting, &result);
    }

    fn answer(&mut self, waiting: Vec<(Durability, Done)>, written: &Result<(), JournalError>) {
        let needs_sync = waiting.iter().any(|(durability, _)| *durability == Durability::Synced);
        let synced = match written {
            Ok(()) if needs_sync => self.sync().map_err(JournalError::from),
            other => other.clone(),
        };
        if let Err(error) = written.as_ref().and(synced.as_ref()) {
            tracing::error!(%error, source = ?std::error::Error::source(error), "the simulated network's journal failed");
        }
        for (durability, done) in waiting {
            done(match durability {
                Durability::Written => written.clone(),
                Durability::Synced => synced.clone(),
            });
        }
    }

    fn stage(&mut self, line: &[u8]) -> io::Result<()> {
        let before = self.len + self.staged.len() as u64;
        if before > 0 && before + line.len() as u64 > self.max_bytes {
            self.write_out()?;
            self.rotate()?;
        }
        self.staged.extend_from_slice(line);
        Ok(())
    }

    fn write_out(&mut self) -> io::Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.staged);
        let bytes = self.staged.len() as u64;
        self.staged.clear();
        if let Err(error) = written {
            // A full disk may have taken half a line; if it cannot be cut off, the next one starts on its own.
            if self.file.set_len(self.len).is_err() {
                self.staged.push(b'\n');
            }
            return Err(error);
        }
        self.len += bytes;
        self.dirty = true;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.sync_data()?;
            self.dirty = false;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.sync()?;
        fs::rename(&self.paths.current, &self.paths.previous)?;
        self.file = OpenOptions::new().create(true).append(true).open(&self.paths.current)?;
        self.len = self.file.metadata()?.len();
        File::open(&self.paths.dir)?.sync_all()
    }

    fn snapshot(&mut self) -> io::Result<Snapshot> {
        self.write_out()?;
        let mut files = Vec::with_capacity(2);
        for path in [&self.paths.previous, &self.paths.current] {
            match File::open(path) {
                Ok(file) => {
                    let len = file.metadata()?.len();
                    files.push((file, len));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Snapshot { files })
    }
}
