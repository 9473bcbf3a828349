//! An archive that is written while it is read: files are stored as they are, sizes follow them.

use std::io::{self, Write};
use std::sync::Arc;

use jiff::civil::DateTime;
use parking_lot::Mutex;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use super::pipe::Pipe;
use super::{Broken, render};

/// What was written and not yet sent: never more than one piece and the archive's own words.
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
    /// Files in it are of this time.
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
        // How large a file becomes is not known when it begins.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(time.unwrap_or_default())
            .large_file(true);
        Self { pipe, zip: ZipWriter::new_stream(waiting.clone()), waiting, options }
    }

    /// Begins a file; the one before has ended.
    pub(super) fn begin(&mut self, name: &str) -> Result<(), Broken> {
        self.zip.start_file(name, self.options).map_err(render::unwritable)
    }

    /// Goes on with the file.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.zip.write_all(bytes).map_err(render::unwritable)?;
        Ok(self.pipe.send(self.waiting.take().into()).await?)
    }

    /// Ends the last file and the archive.
    pub(super) async fn end(self) -> Result<(), Broken> {
        let Self { pipe, waiting, zip, .. } = self;
        zip.finish().map_err(render::unwritable)?;
        Ok(pipe.send(waiting.take().into()).await?)
    }
}
