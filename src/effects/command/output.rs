//! Collects the output of a command up to a limit. The rest is read and discarded, so that the command never
//! blocks.

use tokio::io::{AsyncRead, AsyncReadExt as _};

const PIECE: usize = 4096;

/// The first bytes of both streams, in the order of arrival.
pub(super) struct Output {
    pub kept: Vec<u8>,
    limit: usize,
}

impl Output {
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: Vec::new(), limit }
    }

    /// Reads until both streams end. Cancel-safe: a later call continues.
    pub(super) async fn read<A, B>(&mut self, out: &mut Option<A>, err: &mut Option<B>)
    where
        A: AsyncRead + Unpin,
        B: AsyncRead + Unpin,
    {
        let (mut of_out, mut of_err) = ([0; PIECE], [0; PIECE]);
        while out.is_some() || err.is_some() {
            tokio::select! {
                read = piece(out, &mut of_out), if out.is_some() => match read {
                    0 => *out = None,
                    length => self.keep(&of_out[..length]),
                },
                read = piece(err, &mut of_err), if err.is_some() => match read {
                    0 => *err = None,
                    length => self.keep(&of_err[..length]),
                },
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = self.limit.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

/// A failed stream counts as ended.
async fn piece<R: AsyncRead + Unpin>(stream: &mut Option<R>, into: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(into).await.unwrap_or(0),
        None => 0,
    }
}
