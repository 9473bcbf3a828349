//! Dimensions and durations, from headers alone. All reads are bounded; a header beyond the bounds gives no value.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::domain::media::Dimensions;

mod mp4;

/// The values in a file's headers.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Probed {
    /// In seconds.
    pub(super) duration: Option<f64>,
    pub(super) dimensions: Option<Dimensions>,
}

/// Maximum plausible duration: a week.
const MAX_SECONDS: f64 = 7.0 * 86_400.0;
/// Bytes at the end of an Ogg file that hold the start of its last page.
const OGG_TAIL: u64 = 65_536;

/// Reads the values that need no decoding. It blocks.
pub(super) fn probe(path: &Path, mimetype: &str) -> Probed {
    let Ok(mut file) = File::open(path) else { return Probed::default() };
    let mut found = match mimetype {
        "image/jpeg" | "image/png" | "image/gif" | "image/webp" => {
            Probed { dimensions: picture(file), ..Probed::default() }
        }
        "video/mp4" | "video/quicktime" | "video/3gpp" | "audio/mp4" => {
            mp4::read(&mut file).unwrap_or_default()
        }
        "audio/wav" => Probed { duration: wav(&mut file), ..Probed::default() },
        "audio/ogg" => Probed { duration: ogg(&mut file), ..Probed::default() },
        _ => Probed::default(),
    };
    found.duration =
        found.duration.filter(|seconds| seconds.is_finite() && (0.0..MAX_SECONDS).contains(seconds));
    found
}

fn picture(file: File) -> Option<Dimensions> {
    let size = imagesize::reader_size(BufReader::new(file)).ok()?;
    let pixels = |length: usize| u32::try_from(length).ok().filter(|length| *length > 0);
    Some(Dimensions { width: pixels(size.width)?, height: pixels(size.height)? })
}

/// Source: "Multimedia Programming Interface and Data Specifications 1.0", RIFF WAVE.
fn wav(file: &mut File) -> Option<f64> {
    let length = file.metadata().ok()?.len();
    let mut at = 12;
    let mut bytes_per_second = 0_u32;
    for _ in 0..64 {
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut header = [0; 8];
        file.read_exact(&mut header).ok()?;
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        match &header[..4] {
            b"fmt " => {
                let mut format = [0; 12];
                file.read_exact(&mut format).ok()?;
                bytes_per_second = u32::from_le_bytes([format[8], format[9], format[10], format[11]]);
            }
            b"data" if bytes_per_second > 0 => {
                // A recorder that was interrupted leaves a size beyond the end of the file.
                let there = u64::from(size).min(length.saturating_sub(at + 8));
                return Some(as_f64(there) / f64::from(bytes_per_second));
            }
            _ => {}
        }
        at += 8 + u64::from(size) + u64::from(size & 1);
    }
    None
}

/// Source: RFC 3533 (pages), RFC 7845 (Opus: 48 kHz, pre-skip), the Vorbis I specification (identification header).
fn ogg(file: &mut File) -> Option<f64> {
    let mut head = [0; 64];
    file.read_exact(&mut head).ok()?;
    let body = head.get(27 + usize::from(head[26])..)?;
    let (rate, skip) = if body.starts_with(b"OpusHead") {
        (48_000, u64::from(u16::from_le_bytes([*body.get(10)?, *body.get(11)?])))
    } else if body.starts_with(b"\x01vorbis") {
        (u32::from_le_bytes(body.get(12..16)?.try_into().ok()?), 0)
    } else {
        return None;
    };
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(OGG_TAIL))).ok()?;
    let mut tail = Vec::new();
    file.take(OGG_TAIL).read_to_end(&mut tail).ok()?;
    let page = tail.windows(4).rposition(|window| window == b"OggS")?;
    let samples = u64::from_le_bytes(tail.get(page + 6..page + 14)?.try_into().ok()?);
    if rate == 0 || samples == u64::MAX {
        return None;
    }
    Some(as_f64(samples.saturating_sub(skip)) / f64::from(rate))
}

#[expect(clippy::cast_precision_loss, reason = "a duration needs no more than 52 bits")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(bytes: &[u8], mimetype: &str) -> Probed {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        probe(file.path(), mimetype)
    }

    fn wav_of(data: u32) -> Vec<u8> {
        let mut wav =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data".to_vec();
        wav.extend(data.to_le_bytes());
        wav
    }

    #[test]
    fn wav_duration_follows_samples() {
        let mut wav = wav_of(16_000);
        wav.resize(wav.len() + 16_000, 0x80);
        assert_eq!(probed(&wav, "audio/wav").duration, Some(2.0));
        assert_eq!(probed(&wav_of(u32::MAX), "audio/wav").duration, Some(0.0));
    }

    #[test]
    fn opus_duration_follows_last_page() {
        let page = |granule: u64, body: &[u8]| {
            let mut page = b"OggS\0\0".to_vec();
            page.extend(granule.to_le_bytes());
            page.extend([0; 12]);
            page.extend([1, u8::try_from(body.len()).unwrap()]);
            page.extend(body);
            page
        };
        let mut opus = page(0, b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0");
        opus.extend(page(48_000 * 3 + 312, &[0; 80]));
        assert_eq!(probed(&opus, "audio/ogg").duration, Some(3.0));
    }

    #[test]
    fn image_size_is_read_from_header_alone() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend(50_000_u32.to_be_bytes());
        png.extend(50_000_u32.to_be_bytes());
        let found = probed(&png, "image/png").dimensions;
        assert_eq!(found, Some(Dimensions { width: 50_000, height: 50_000 }));
    }

    #[test]
    fn truncated_file_has_no_metadata() {
        for mimetype in ["image/jpeg", "image/png", "image/webp", "audio/wav", "audio/ogg", "video/mp4"] {
            for length in [0, 1, 4, 11, 12, 20, 63, 64, 100] {
                assert_eq!(probed(&vec![b'O'; length], mimetype), Probed::default(), "{mimetype} {length}");
            }
        }
    }
}
