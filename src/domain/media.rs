//! Files that belong to messages: what is known of them, and how the wire shows them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::message::MessageType;

/// A file's content, by its SHA-256, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaHash(String);

/// Why a text is no hash.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("a media hash has 64 lower-case hexadecimal digits")]
pub struct MediaHashError;

impl MediaHash {
    /// From a digest.
    #[must_use]
    pub fn of_digest(digest: &[u8; 32]) -> Self {
        Self(hex::encode(digest))
    }

    /// As text.
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

/// As what a file is sent.
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
    /// What a file of this type is, where nothing else was asked for. Only types that phones show; SVG
    /// and the like are documents.
    #[must_use]
    pub fn of_mimetype(mimetype: &str) -> Self {
        match mimetype {
            "image/jpeg" | "image/png" | "image/gif" | "image/webp" => Self::Image,
            "video/mp4" | "video/3gpp" | "video/quicktime" | "video/webm" | "video/x-matroska" => Self::Video,
            _ if mimetype.starts_with("audio/") => Self::Audio,
            _ => Self::Document,
        }
    }

    /// What a file of this type is, where it was told to be this: that, if it can be.
    #[must_use]
    pub fn of_told(self, mimetype: &str) -> Self {
        let can_be = match self {
            Self::Document => true,
            Self::Sticker => mimetype == "image/webp",
            Self::Ptt => mimetype.starts_with("audio/"),
            Self::Image | Self::Video | Self::Audio => Self::of_mimetype(mimetype) == self,
        };
        if can_be { self } else { Self::of_mimetype(mimetype) }
    }

    /// The type of a message that carries it.
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

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimensions {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// A file in the store, as its content tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredMedia {
    /// Its content.
    pub hash: MediaHash,
    /// By its content, never by a claim.
    pub mimetype: String,
    /// In bytes.
    pub filesize: u64,
    /// In seconds, where it is cheap to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Where it is cheap to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Dimensions>,
    /// Whether there is a smaller picture of it.
    #[serde(default)]
    pub has_thumbnail: bool,
}

/// The file of a message. What is read from the wire only describes a file: whether it is here, and where it can
/// be had, is never taken from whoever wrote that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "WireMedia", into = "WireMedia")]
pub struct Media {
    /// As what it is sent.
    pub kind: MediaKind,
    /// The file.
    pub file: StoredMedia,
    /// What the sender calls it.
    pub filename: Option<String>,
    /// Whether the file is still there.
    pub available: bool,
    /// Where it can be had; `None` when it is gone, or not told here.
    pub links: Option<MediaLinks>,
}

impl Media {
    /// All that is known of it, for the wire.
    #[must_use]
    pub fn into_info(self) -> WireMediaInfo {
        WireMedia::from(self).media_info
    }
}

/// Where a file can be had. Each address carries its own permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLinks {
    /// The file.
    pub download: String,
    /// A smaller picture of it, where there is one.
    pub thumbnail: Option<String>,
}

/// The fields that a message with a file has on the wire.
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

/// All that is known of a file, as the wire shows it.
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
        for (told, mimetype, is) in [
            (MediaKind::Image, "text/html", MediaKind::Document),
            (MediaKind::Ptt, "audio/ogg", MediaKind::Ptt),
            (MediaKind::Ptt, "image/png", MediaKind::Image),
            (MediaKind::Sticker, "image/webp", MediaKind::Sticker),
            (MediaKind::Document, "image/png", MediaKind::Document),
        ] {
            assert_eq!(told.of_told(mimetype), is, "{told:?} {mimetype}");
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
