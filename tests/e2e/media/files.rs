//! Generated test files, and the contents of the media store on disk.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat};
use sha2::{Digest as _, Sha256};

use crate::support::TestApp;

/// A picture with a pattern.
pub fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let drawn = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 7])
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(drawn).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn png() -> Vec<u8> {
    picture(640, 480, ImageFormat::Png)
}

/// The first bytes of an Ogg file, detected as audio.
pub fn ogg() -> Vec<u8> {
    let mut bytes = b"OggS\0\x02".to_vec();
    bytes.extend([0; 20]);
    bytes.extend(b"\x01\x13OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0");
    bytes
}

/// An MP4 file of this size: a header and random data.
pub fn mp4(size: usize) -> Vec<u8> {
    let mut bytes = b"\0\0\0\x10ftypisom\0\0\0\0".to_vec();
    bytes.extend(u32::try_from(size - 16).unwrap().to_be_bytes());
    bytes.extend(b"mdat");
    bytes.extend((bytes.len()..size).map(|at| (at % 251).to_le_bytes()[0]));
    bytes
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn media_dir(app: &TestApp) -> PathBuf {
    app.devices_dir().parent().unwrap().join("media")
}

/// Names of all files in the store and in its staging directory.
pub fn on_disk(app: &TestApp) -> Vec<String> {
    fn below(folder: &Path, found: &mut Vec<String>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.map(Result::unwrap) {
            if entry.path().is_dir() {
                below(&entry.path(), found);
            } else {
                found.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    let mut found = Vec::new();
    below(&media_dir(app), &mut found);
    found.sort();
    found
}
