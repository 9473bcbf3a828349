//! A bounded pipe from the task that writes an export to the client that reads it.

use std::io;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::ByteStream;

/// Pieces buffered for a slow reader.
const WAITING: usize = 4;

enum Piece {
    Bytes(Bytes),
    End,
    Failed,
}

/// The writing end of the pipe; its clones share the same pipe.
#[derive(Clone)]
pub(super) struct Pipe {
    pieces: mpsc::Sender<Piece>,
    soft: CancellationToken,
}

/// The reader is gone, or the daemon shuts down.
pub(super) struct PipeClosed;

/// Returns both ends. Reading fails after [`Pipe::fail`], and when the writer is dropped without
/// [`Pipe::end`].
pub(super) fn pipe(soft: CancellationToken) -> (Pipe, ByteStream) {
    let (pieces, reader) = mpsc::channel(WAITING);
    let bytes = futures_util::stream::unfold(Some(reader), async |reader| {
        let mut reader = reader?;
        match reader.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(reader))),
            Some(Piece::End) => None,
            Some(Piece::Failed) | None => Some((Err(io::Error::other("the export was aborted")), None)),
        }
    });
    // Layers that compress poll once more after the end.
    (Pipe { pieces, soft }, bytes.fuse().boxed())
}

impl Pipe {
    /// Waits for capacity and sends.
    pub(super) async fn send(&self, bytes: Bytes) -> Result<(), PipeClosed> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.put(Piece::Bytes(bytes)).await
    }

    /// Ends the stream successfully.
    pub(super) async fn end(self) {
        let _ = self.put(Piece::End).await;
    }

    /// Makes the reader fail.
    pub(super) async fn fail(self) {
        let _ = self.put(Piece::Failed).await;
    }

    async fn put(&self, piece: Piece) -> Result<(), PipeClosed> {
        tokio::select! {
            sent = self.pieces.send(piece) => sent.map_err(|_| PipeClosed),
            () = self.soft.cancelled() => Err(PipeClosed),
        }
    }
}
