//! Generates files of any size: a header of their type, then pseudo-random bytes.
//!
//! The same arguments give the same bytes; no file is held in memory whole.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::generator::SplitMix64;
use crate::domain::clock::Random;
use crate::engine::ByteStream;

/// Bytes that are generated at a time.
const PIECE: usize = 64 << 10;
/// A complete picture of one pixel; viewers ignore the bytes after it.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0,
    1, 0, 0, 5, 0, 1, 0x0d, 0x0a, 0x2d, 0xb4, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];
const GIF: &[u8] =
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\
\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00";

/// A random seed for one file.
pub(super) fn seed(random: &dyn Random) -> u64 {
    let mut bytes = [0_u8; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A file of exactly `size` bytes.
pub(super) fn stream(mimetype: &str, seed: u64, size: u64) -> ByteStream {
    let mut start = header(mimetype, size);
    start.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let left = size - start.len() as u64;
    let readable = mimetype.starts_with("text/");
    let rest = stream::unfold((SplitMix64(seed), left), move |(mut random, left)| async move {
        let size = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        (size > 0).then(|| (Ok(piece(&mut random, size, readable)), (random, left - size as u64)))
    });
    stream::iter((!start.is_empty()).then(|| Ok(Bytes::from(start)))).chain(rest).boxed()
}

fn piece(random: &mut SplitMix64, size: usize, readable: bool) -> Bytes {
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        let word = random.next().to_le_bytes();
        bytes.extend(if readable { word.map(|byte| b'a' + byte % 26) } else { word });
    }
    bytes.truncate(size);
    bytes.into()
}

/// The header of a file of this type and length.
fn header(mimetype: &str, size: u64) -> Vec<u8> {
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    match mimetype.split(';').next().unwrap_or_default().trim() {
        "image/png" => PNG.to_vec(),
        "image/gif" => GIF.to_vec(),
        "image/jpeg" => JPEG.to_vec(),
        "image/webp" => {
            let picture = size.saturating_sub(20);
            [b"RIFF", &size.saturating_sub(8).to_le_bytes()[..], b"WEBPVP8L", &picture.to_le_bytes()].concat()
        }
        "video/mp4" => {
            let film = size.saturating_sub(24).to_be_bytes();
            [&b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"[..], &film, b"mdat"].concat()
        }
        "audio/ogg" | "audio/opus" => {
            let page = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13";
            [&page[..], b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0"].concat()
        }
        "audio/mpeg" => b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x64".to_vec(),
        "audio/wav" | "audio/x-wav" => {
            let format = b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data";
            let (all, sound) = (size.saturating_sub(8), size.saturating_sub(44));
            [b"RIFF", &all.to_le_bytes()[..], format, &sound.to_le_bytes()].concat()
        }
        "application/pdf" => b"%PDF-1.4\n".to_vec(),
        "application/zip" => b"PK\x03\x04".to_vec(),
        _ => Vec::new(),
    }
}
