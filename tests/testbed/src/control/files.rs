//! Files of incoming messages, given as base64 or generated to a size.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use wacore::download::MediaType;

use super::fields::Fields;
use super::{MAX_BODY, Refusal};
use crate::media::cipher;
use crate::phone::outbound::{Content, File, FileKind};
use crate::server::World;

/// The largest generated file.
const MAX_FILE: u64 = 128 << 20;
const MAX_DATA: usize = 8 << 20;
const MAX_NAME: usize = 255;
const FIELDS: [&str; 8] =
    ["data", "mimetype", "filename", "caption", "asVoice", "asSticker", "asDocument", "sizeBytes"];

/// Parses `media`, encrypts the file and stores it in the media store.
pub(super) fn media(value: &Value, kind: Option<&str>, world: &World) -> Result<Content, Refusal> {
    let fields = Fields::nested("media".to_owned(), value, &FIELDS)?;
    fields.text("caption", MAX_BODY)?;
    let filename = fields.text("filename", MAX_NAME)?.map(str::to_owned);
    let mimetype = fields.text("mimetype", MAX_NAME)?;
    let size = fields.integer("sizeBytes", 1..=MAX_FILE)?;
    let bytes = match (size, fields.text("data", MAX_DATA)?) {
        (Some(_), Some(_)) => return Err(fields.wrong("sizeBytes", "is for files without data")),
        (None, None) => return Err(fields.wrong("data", "is required, or sizeBytes in its place")),
        (Some(size), None) => {
            generated_file(mimetype.unwrap_or_default(), usize::try_from(size).unwrap_or(0))
        }
        (None, Some(data)) => STANDARD.decode(data).map_err(|_| fields.wrong("data", "must be base64"))?,
    };
    let mimetype = mimetype.unwrap_or_else(|| detect_mimetype(&bytes)).to_owned();
    let kind = as_what(&fields, kind)?.unwrap_or_else(|| of_mimetype(&mimetype));
    let sealed = cipher::seal(&world.media, &bytes, type_of(kind));
    let sealed = sealed.map_err(|error| Refusal::impossible("network_full", format!("{error:#}")))?;
    Ok(Content::File(Box::new(File {
        kind,
        mimetype,
        filename,
        url: format!("https://{}{}", world.address, sealed.direct_path),
        direct_path: sealed.direct_path,
        media_key: sealed.media_key,
        sha256: sealed.file_sha256,
        enc_sha256: sealed.file_enc_sha256,
        length: sealed.file_length,
    })))
}

/// The kind that the type or a flag requests.
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
            return Err(Refusal::Invalid { field: "type".to_owned(), message: "has no media".to_owned() });
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

fn of_mimetype(mimetype: &str) -> FileKind {
    match mimetype.split('/').next() {
        Some("image") => FileKind::Image,
        Some("video") => FileKind::Video,
        Some("audio") => FileKind::Audio,
        _ => FileKind::Document,
    }
}

/// The MIME type that a file's first bytes show.
fn detect_mimetype(bytes: &[u8]) -> &'static str {
    let shown: [(&[u8], &str); 6] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF8", "image/gif"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"OggS", "audio/ogg"),
        (b"ID3", "audio/mpeg"),
        (b"%PDF-", "application/pdf"),
    ];
    if bytes.get(4..8).is_some_and(|mark| mark == b"ftyp") {
        return "video/mp4";
    }
    let found = shown.iter().find(|(beginning, _)| bytes.starts_with(beginning));
    found.map_or("application/octet-stream", |(_, mimetype)| mimetype)
}

fn type_of(kind: FileKind) -> MediaType {
    match kind {
        FileKind::Image => MediaType::Image,
        FileKind::Video => MediaType::Video,
        FileKind::Audio | FileKind::Voice => MediaType::Audio,
        FileKind::Document => MediaType::Document,
        FileKind::Sticker => MediaType::Sticker,
    }
}

/// Generates the file of a call that gives only its size: a prefix that shows the type, then bytes with a
/// long period. Depends on type and size only.
#[must_use]
pub fn generated_file(mimetype: &str, size: usize) -> Vec<u8> {
    let start: &[u8] = match mimetype.split(';').next().unwrap_or_default().trim() {
        "image/png" => b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89",
        "image/gif" => b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff",
        "image/jpeg" => b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0",
        "image/webp" => b"RIFF\0\0\0\0WEBPVP8L",
        "video/mp4" => b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        "audio/ogg" | "audio/opus" => b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead",
        "audio/mpeg" => b"ID3\x04\0\0\0\0\0\0\xff\xfb\x90\x64",
        "application/pdf" => b"%PDF-1.4\n",
        "application/zip" => b"PK\x03\x04",
        _ => b"",
    };
    let readable = mimetype.starts_with("text/");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ size as u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let byte = state.to_le_bytes()[0];
        if readable { b'a' + byte % 26 } else { byte }
    };
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(start);
    bytes.truncate(size);
    bytes.resize_with(size, &mut next);
    bytes
}
