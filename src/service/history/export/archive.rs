//! Streams a ZIP archive while it is written. Files are stored uncompressed, and their sizes follow their
//! bytes.

use std::io::{self, Write};
use std::sync::Arc;

use jiff::civil::DateTime;
use parking_lot::Mutex;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use super::pipe::Pipe;
use super::{Broken, render};

/// Archive bytes that are not sent yet: at most one piece of a file plus ZIP headers.
#[derive(Clone, Default)]
struct ZipState(Arc<Mutex<Vec<u8>>>);

impl ZipState {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Write for ZipState {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct Zipped {
    pipe: Pipe,
    waiting: ZipState,
    zip: ZipWriter<StreamWriter<ZipState>>,
    options: SimpleFileOptions,
}

impl Zipped {
    /// Creates the archive; `now` becomes the modification time of its files.
    pub(super) fn new(pipe: Pipe, now: DateTime) -> Self {
        let waiting = ZipState::default();
        let number = |number: i8| u8::try_from(number).unwrap_or(0);
        let time = zip::DateTime::from_date_and_time(
            u16::try_from(now.year()).unwrap_or(0),
            number(now.month()),
            number(now.day()),
            number(now.hour()),
            number(now.minute()),
            number(now.second()),
        );
        // ZIP64, because a file's size is not available when its header is written.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(time.unwrap_or_default())
            .large_file(true);
        Self { pipe, zip: ZipWriter::new_stream(waiting.clone()), waiting, options }
    }

    /// Begins a file and ends the one before.
    pub(super) fn begin(&mut self, name: &str) -> Result<(), Broken> {
        self.zip.start_file(name, self.options).map_err(render::unwritable)
    }

    /// Appends bytes to the current file.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.zip.write_all(bytes).map_err(render::unwritable)?;
        Ok(self.pipe.send(self.waiting.take().into()).await?)
    }

    /// Ends the current file and the archive.
    pub(super) async fn end(self) -> Result<(), Broken> {
        let Self { pipe, waiting, zip, .. } = self;
        zip.finish().map_err(render::unwritable)?;
        Ok(pipe.send(waiting.take().into()).await?)
    }
}
