//! The file of an incoming message: given, or made up; sealed and put into the media store.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use wacore::download::MediaType;

use super::Refusal;
use super::fields::Fields;
use crate::media::cipher;
use crate::phone::spoken::{Content, File, FileKind};
use crate::server::World;

/// The largest file that is made up.
const MAX_FILE: u64 = 256 << 20;
const MAX_DATA: usize = 8 << 20;
const MAX_NAME: usize = 255;
const MAX_CAPTION: usize = 65_536;
/// How files of each type begin, the most common first.
const BEGINNINGS: [(&str, &[u8]); 8] = [
    ("image/png", b"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
    ("image/gif", b"GIF89a"),
    ("audio/ogg", b"OggS\0\x02"),
    ("audio/mpeg", b"ID3\x04"),
    ("application/pdf", b"%PDF-1.4\n"),
    ("application/zip", b"PK\x03\x04"),
    ("video/mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"),
];
/// A whole picture of one pixel; viewers ignore what follows it.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0,
    0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0a, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0,
    1, 0, 0, 5, 0, 1, 0x0d, 0x0a, 0x2d, 0xb4, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// Reads `media`: `{ data | sizeBytes, mimetype?, filename?, caption?, asVoice?, asSticker?, asDocument? }`.
pub(super) fn file(value: &Value, kind: Option<&str>, world: &World) -> Result<Content, Refusal> {
    let known =
        ["data", "mimetype", "filename", "caption", "asVoice", "asSticker", "asDocument", "sizeBytes"];
    let fields = Fields::nested("media".to_owned(), value, &known)?;
    let mimetype = fields.text("mimetype", MAX_NAME)?;
    fields.text("caption", MAX_CAPTION)?;
    let as_what = as_what(&fields, kind)?;
    let size = fields.integer("sizeBytes", 1..=MAX_FILE)?;
    let bytes = match (size, fields.text("data", MAX_DATA)?) {
        (Some(_), Some(_)) => return Err(fields.wrong("sizeBytes", "is for files without data")),
        (None, None) => return Err(fields.wrong("data", "is required, or sizeBytes in its place")),
        (Some(size), None) => made_up(mimetype.unwrap_or_default(), size),
        (None, Some(data)) => {
            BASE64_STANDARD.decode(data).map_err(|_| fields.wrong("data", "must be base64"))?
        }
    };
    let mimetype = mimetype.unwrap_or_else(|| told_by(&bytes)).to_owned();
    let kind = as_what.unwrap_or_else(|| usual(&mimetype));
    let sealed = cipher::seal(&world.media, &bytes, media_type(kind))
        .map_err(|error| fields.wrong("data", format!("cannot be stored: {error:#}")))?;
    Ok(Content::File(Box::new(File {
        kind,
        mimetype,
        filename: fields.text("filename", MAX_NAME)?.map(str::to_owned),
        url: format!("https://{}{}", world.address, sealed.direct_path),
        direct_path: sealed.direct_path,
        media_key: sealed.media_key,
        sha256: sealed.file_sha256,
        enc_sha256: sealed.file_enc_sha256,
        length: sealed.file_length,
    })))
}

/// As what the file is sent, where the type or a flag says so.
fn as_what(fields: &Fields<'_>, kind: Option<&str>) -> Result<Option<FileKind>, Refusal> {
    let mut found = match kind {
        None => None,
        Some("image") => Some(FileKind::Image),
        Some("video") => Some(FileKind::Video),
        Some("audio") => Some(FileKind::Audio),
        Some("ptt") => Some(FileKind::Voice),
        Some("document") => Some(FileKind::Document),
        Some("sticker") => Some(FileKind::Sticker),
        Some(_) => {
            let (field, message) = ("type".to_owned(), "has no media".to_owned());
            return Err(Refusal::Invalid { field, message });
        }
    };
    let flags =
        [("asVoice", FileKind::Voice), ("asSticker", FileKind::Sticker), ("asDocument", FileKind::Document)];
    for (name, kind) in flags {
        if !fields.flag(name)?.unwrap_or(false) {
            continue;
        }
        if found.is_some_and(|found| found != kind) {
            return Err(fields.wrong(name, "is not what the message is sent as"));
        }
        found = Some(kind);
    }
    Ok(found)
}

fn usual(mimetype: &str) -> FileKind {
    match mimetype.split(['/', ';']).next() {
        Some("image") if mimetype != "image/svg+xml" => FileKind::Image,
        Some("video") => FileKind::Video,
        Some("audio") => FileKind::Audio,
        _ => FileKind::Document,
    }
}

fn media_type(kind: FileKind) -> MediaType {
    match kind {
        FileKind::Image => MediaType::Image,
        FileKind::Video => MediaType::Video,
        FileKind::Audio | FileKind::Voice => MediaType::Audio,
        FileKind::Document => MediaType::Document,
        FileKind::Sticker => MediaType::Sticker,
    }
}

/// The type that the first bytes tell.
fn told_by(bytes: &[u8]) -> &'static str {
    let fits = |(_, start): &&(&str, &[u8])| start.iter().zip(bytes).take(4).all(|(a, b)| a == b);
    let found = BEGINNINGS.iter().find(fits).map(|(mimetype, _)| *mimetype);
    match found {
        Some(found) if bytes.len() >= 4 => found,
        _ if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => "image/webp",
        _ => "application/octet-stream",
    }
}

/// So many bytes that begin as files of this type do.
fn made_up(mimetype: &str, size: u64) -> Vec<u8> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let bare = mimetype.split(';').next().unwrap_or_default().trim();
    let start = BEGINNINGS.iter().find(|(known, _)| *known == bare).map_or(&b""[..], |(_, start)| *start);
    let mut bytes = if bare == "image/png" { PNG.to_vec() } else { start.to_vec() };
    let random: [u8; 32] = crate::phone::keys::bytes();
    // No two files are the same, and all their bytes count.
    let rest = random.into_iter().cycle().enumerate().map(|(at, byte)| byte ^ at.to_le_bytes()[1]);
    let missing = size.saturating_sub(bytes.len());
    bytes.extend(rest.take(missing));
    bytes.truncate(size);
    bytes
}

#[cfg(test)]
mod tests {
    use super::{made_up, told_by, usual};
    use crate::phone::spoken::FileKind;

    #[test]
    fn a_made_up_file_has_its_size_and_looks_like_its_type() {
        for mimetype in ["image/png", "image/jpeg", "audio/ogg", "application/pdf", "video/mp4"] {
            let bytes = made_up(mimetype, 500);
            assert_eq!((bytes.len(), told_by(&bytes)), (500, mimetype));
        }
        assert_ne!(made_up("text/plain", 64), made_up("text/plain", 64), "no two are the same");
    }

    #[test]
    fn a_file_is_sent_as_its_type_suggests() {
        assert_eq!(usual("image/png"), FileKind::Image);
        assert_eq!(usual("audio/ogg; codecs=opus"), FileKind::Audio);
        assert_eq!(usual("text/plain"), FileKind::Document);
    }
}
