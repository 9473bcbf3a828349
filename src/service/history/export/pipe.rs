//! A bounded pipe from the task that makes an export to the client that reads it.

use std::io;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::engine::ByteStream;

/// Pieces that may wait for a slow reader.
const WAITING: usize = 4;

enum Piece {
    Bytes(Bytes),
    End,
    Failed,
}

/// The end into which an export is written. Clones write into the same.
#[derive(Clone)]
pub(super) struct Pipe {
    pieces: mpsc::Sender<Piece>,
    soft: CancellationToken,
}

/// Nobody reads any more, or the daemon ends.
pub(super) struct PipeClosed;

/// Both ends. Reading fails where writing did, or ended without [`Pipe::end`].
pub(super) fn pipe(soft: CancellationToken) -> (Pipe, ByteStream) {
    let (pieces, reader) = mpsc::channel(WAITING);
    let bytes = futures_util::stream::unfold(Some(reader), async |reader| {
        let mut reader = reader?;
        match reader.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(reader))),
            Some(Piece::End) => None,
            Some(Piece::Failed) | None => Some((Err(io::Error::other("the export broke off")), None)),
        }
    });
    // Layers that compress ask once more after the end.
    (Pipe { pieces, soft }, bytes.fuse().boxed())
}

impl Pipe {
    /// Waits until there is room.
    pub(super) async fn send(&self, bytes: Bytes) -> Result<(), PipeClosed> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.put(Piece::Bytes(bytes)).await
    }

    /// All is written.
    pub(super) async fn end(self) {
        let _ = self.put(Piece::End).await;
    }

    /// It cannot be finished.
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
