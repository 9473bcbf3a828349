//! Files of messages: their metadata and their fields on the wire. Metadata from clients never grants access
//! to a stored file.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::message::MessageType;

/// The SHA-256 of a file's content, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaHash(String);

/// The text is not a media hash.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a media hash has 64 lower-case hexadecimal digits")]
pub struct MediaHashError;

impl MediaHash {
    /// The hash with this digest.
    #[must_use]
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        Self(hex::encode(digest))
    }

    /// The hash as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MediaHash {
    type Err = MediaHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.bytes().all(digit) {
            return Err(MediaHashError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for MediaHash {
    type Error = MediaHashError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MediaHash> for String {
    fn from(hash: MediaHash) -> Self {
        hash.0
    }
}

impl fmt::Display for MediaHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the recipient's app shows a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// A sound file.
    Audio,
    /// A voice note.
    Ptt,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
}

impl MediaKind {
    /// The default kind of a file of this MIME type. Types that phones do not display, such as SVG, are
    /// documents.
    #[must_use]
    pub fn of_mimetype(mimetype: &str) -> Self {
        match mimetype {
            "image/jpeg" | "image/png" | "image/gif" | "image/webp" => Self::Image,
            "video/mp4" | "video/3gpp" | "video/quicktime" | "video/webm" | "video/x-matroska" => Self::Video,
            _ if mimetype.starts_with("audio/") => Self::Audio,
            _ => Self::Document,
        }
    }

    /// The requested kind if the MIME type allows it, otherwise the default kind of the MIME type.
    #[must_use]
    pub fn of_requested(self, mimetype: &str) -> Self {
        let can_be = match self {
            Self::Document => true,
            Self::Sticker => mimetype == "image/webp",
            Self::Ptt => mimetype.starts_with("audio/"),
            Self::Image | Self::Video | Self::Audio => Self::of_mimetype(mimetype) == self,
        };
        if can_be { self } else { Self::of_mimetype(mimetype) }
    }

    /// The type of a message with a file of this kind.
    #[must_use]
    pub fn message_type(self) -> MessageType {
        match self {
            Self::Image => MessageType::Image,
            Self::Video => MessageType::Video,
            Self::Audio => MessageType::Audio,
            Self::Ptt => MessageType::Ptt,
            Self::Document => MessageType::Document,
            Self::Sticker => MessageType::Sticker,
        }
    }
}

/// The dimensions of an image or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimensions {
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
}

/// Metadata of a file in the media store, derived from its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredMedia {
    /// The hash of the content.
    pub hash: MediaHash,
    /// The MIME type, detected from the content; a declared type is ignored.
    pub mimetype: String,
    /// The size in bytes.
    pub filesize: u64,
    /// The duration in seconds, if it can be determined cheaply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// The dimensions, if they can be determined cheaply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Dimensions>,
    /// Whether a thumbnail is available.
    #[serde(default)]
    pub has_thumbnail: bool,
}

/// The file of a message. Deserializing ignores availability and links, because a client must not set them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "WireMedia", into = "WireMedia")]
pub struct Media {
    /// How the recipient's app shows the file.
    pub kind: MediaKind,
    /// The file.
    pub file: StoredMedia,
    /// The file name that the sender gave.
    pub filename: Option<String>,
    /// Whether the media store still has the file.
    pub available: bool,
    /// The download links; `None` when the file was removed or the caller gets no links.
    pub links: Option<MediaLinks>,
}

impl Media {
    /// The metadata in its wire form.
    #[must_use]
    pub fn into_info(self) -> WireMediaInfo {
        WireMedia::from(self).media_info
    }
}

/// Download links of a file. Each link contains its own access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLinks {
    /// The URL of the file.
    pub download: String,
    /// The URL of the thumbnail, if there is one.
    pub thumbnail: Option<String>,
}

/// The wire fields of a message with a file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMedia {
    mimetype: String,
    filename: Option<String>,
    filesize: u64,
    duration: Option<f64>,
    media_url: Option<String>,
    media_info: WireMediaInfo,
}

/// The metadata of a file on the wire.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireMediaInfo {
    media_type: MediaKind,
    mimetype: String,
    filesize: u64,
    filename: Option<String>,
    duration: Option<f64>,
    dimensions: Option<Dimensions>,
    sha256: MediaHash,
    download_url: Option<String>,
    thumbnail_url: Option<String>,
}

impl From<Media> for WireMedia {
    fn from(media: Media) -> Self {
        let Media { kind, file, filename, links, .. } = media;
        let (download_url, thumbnail_url) =
            links.map(|l| (Some(l.download), l.thumbnail)).unwrap_or_default();
        Self {
            mimetype: file.mimetype.clone(),
            filename: filename.clone(),
            filesize: file.filesize,
            duration: file.duration,
            media_url: download_url.clone(),
            media_info: WireMediaInfo {
                media_type: kind,
                mimetype: file.mimetype,
                filesize: file.filesize,
                filename,
                duration: file.duration,
                dimensions: file.dimensions,
                sha256: file.hash,
                download_url,
                thumbnail_url,
            },
        }
    }
}

impl From<WireMedia> for Media {
    fn from(wire: WireMedia) -> Self {
        let info = wire.media_info;
        let file = StoredMedia {
            hash: info.sha256,
            mimetype: info.mimetype,
            filesize: info.filesize,
            duration: info.duration,
            dimensions: info.dimensions,
            has_thumbnail: info.thumbnail_url.is_some(),
        };
        Self { kind: info.media_type, file, filename: info.filename, available: false, links: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_hash_has_one_spelling() {
        let hash = MediaHash::of_digest(&[0xab; 32]);
        assert_eq!(hash.as_str().parse(), Ok(hash.clone()));
        for wrong in ["", "ab", &hash.as_str().to_uppercase(), &format!("../{}", &hash.as_str()[3..])] {
            assert_eq!(wrong.parse::<MediaHash>(), Err(MediaHashError), "{wrong}");
        }
    }

    #[test]
    fn types_that_browsers_execute_are_documents() {
        for mimetype in ["image/svg+xml", "text/html", "application/pdf", "application/octet-stream"] {
            assert_eq!(MediaKind::of_mimetype(mimetype), MediaKind::Document, "{mimetype}");
        }
        assert_eq!(MediaKind::of_mimetype("audio/ogg"), MediaKind::Audio);
    }

    #[test]
    fn media_kind_must_fit_mimetype() {
        for (requested, mimetype, expected) in [
            (MediaKind::Image, "text/html", MediaKind::Document),
            (MediaKind::Ptt, "audio/ogg", MediaKind::Ptt),
            (MediaKind::Ptt, "image/png", MediaKind::Image),
            (MediaKind::Sticker, "image/webp", MediaKind::Sticker),
            (MediaKind::Document, "image/png", MediaKind::Document),
        ] {
            assert_eq!(requested.of_requested(mimetype), expected, "{requested:?} {mimetype}");
        }
    }

    #[test]
    fn media_fields_are_doubled_and_links_not_read_back() {
        let media = Media {
            kind: MediaKind::Video,
            file: StoredMedia {
                hash: MediaHash::of_digest(&[1; 32]),
                mimetype: "video/mp4".into(),
                filesize: 7,
                duration: Some(1.5),
                dimensions: Some(Dimensions { width: 4, height: 3 }),
                has_thumbnail: false,
            },
            filename: Some("a.mp4".into()),
            available: true,
            links: Some(MediaLinks { download: "/d".into(), thumbnail: None }),
        };
        let wire = serde_json::to_value(&media).unwrap();
        assert_eq!((&wire["mediaUrl"], &wire["mediaInfo"]["downloadUrl"]), (&"/d".into(), &"/d".into()));
        assert_eq!(wire["filesize"], 7);
        let described = Media { available: false, links: None, ..media };
        assert_eq!(serde_json::from_value::<Media>(wire).unwrap(), described);
    }
}
